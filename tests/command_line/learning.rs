//! What is said of runs that lead nowhere, without an objective that is infinite.

use super::*;

fn summary(place: &Workplace, run: &str) -> serde_json::Value {
    serde_json::from_str(&place.read(&format!("{run}/summary.json"))).unwrap()
}

#[test]
fn a_run_that_diverged_says_so_with_a_rate_to_try_and_keeps_its_work() {
    let place = Workplace::new();
    // Labels that the images do not tell: those that they tell are learnt at any rate.
    write_data(&place.path("noise"), [1, 1], 3, [TRAIN, TEST]);
    let options = "--data noise --lr 1e6 --schedule constant";
    let Finished { stdout, .. } = place.mnist(&format!("{options} --out run")).succeeded();
    let last = stdout.lines().last().unwrap();
    assert!(last.starts_with("warning: the run diverged: its last epoch has an objective of "), "{stdout}");
    assert!(last.ends_with("try a smaller --lr, such as 0.002"), "{stdout}");
    let found = summary(&place, "run");
    assert!(found["learning"] == "diverged" && found["test_objective"].as_f64().unwrap() > 1e3, "{found}");
    let objective = stdout.lines().find(|line| line.starts_with("    2 ")).unwrap();
    assert!(objective.len() <= 60, "{objective:?} is too wide");
    // Its weights are no start for another.
    let of_no_use = ["run", "is a run that diverged, so its weights are of no use"];
    place.mnist("--data noise --init run --out other").failed(1, &of_no_use);
    place.mnist("--opt sgd --lr 1e30 --out infinite").failed(1, &["no longer finite"]);
    place.mnist("--init infinite --out other").failed(1, &["infinite: is a run that diverged"]);
    // In a comparison and on the page, too.
    let Finished { stdout, .. } = place.compare(&format!("{options} --opt rmsprop --out both")).succeeded();
    assert!(stdout.contains("\nwarning: the run diverged") && stdout.contains("such as 0.001\n"), "{stdout}");
    assert_eq!(summary(&place, "both/rmsprop-seed0")["learning"], "diverged");
    let row = |shown: &str| shown.lines().find(|line| line.starts_with("rmsprop ")).unwrap().to_owned();
    assert!(row(&stdout).ends_with("  objective diverged: seed 0"), "{stdout}");
    let json = || -> serde_json::Value { serde_json::from_str(&place.read("both/compare.json")).unwrap() };
    let entry = json()[0].clone();
    assert_eq!(entry["objective_diverged"], serde_json::json!([0]));
    assert_eq!((&entry["seeds"], &entry["diverged"]), (&serde_json::json!([0]), &serde_json::json!([])));
    // Read back, it is said again.
    let again = place.run("compare --resume both").succeeded().stdout;
    assert!(again.contains("as before") && again.contains("\nwarning: the run diverged"), "{again}");
    assert_eq!((row(&again), json()[0].clone()), (row(&stdout), entry));
    let Finished { stdout, .. } = place.run("report --runs run").succeeded();
    assert!(stdout.contains("run: the run diverged"), "{stdout}");
    assert!(place.read("report.html").contains("the run diverged"));
}

#[test]
fn a_run_that_learns_little_or_nothing_is_no_divergence() {
    let place = Workplace::new();
    let run = |arguments: &str, out: &str| {
        let stdout = place.mnist(&format!("{arguments} --out {out}")).succeeded().stdout;
        let learning = summary(&place, out)["learning"].as_str().unwrap().to_owned();
        (learning, stdout.lines().last().unwrap().to_owned())
    };
    let (learning, last) = run("--lr 1e-9 --epochs 1 --seed 3", "tiny");
    assert!(learning == "nothing" && last.starts_with("warning: the network has learnt nothing: "), "{last}");
    assert!(last.ends_with("more --epochs or a larger --lr, such as 0.002"), "{last}");
    let (learning, last) = run("", "good");
    assert!(learning == "learns" && last.starts_with("test accuracy"), "{last}");
    // Labels that the images do not tell.
    write_data(&place.path("noise"), [1, 1], 3, [TRAIN, TEST]);
    for (number, arguments) in ["", "--epochs 20", "--dropout 0.9"].into_iter().enumerate() {
        let (learning, last) = run(&format!("--data noise {arguments}"), &format!("noise{number}"));
        assert!(learning != "diverged" && !last.contains("diverged"), "{arguments}: {last}");
    }
    // One class alone.
    write_data(&place.path("one"), [4, 4], 1, [64, 32]);
    let (learning, last) = run("--data one", "alone");
    assert!(learning == "learns" && last.starts_with("test accuracy 100.00%"), "{last}");
}
