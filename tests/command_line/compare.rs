//! `compare`: a folder a run, and what stands beside them.

use super::*;

#[test]
fn a_comparison_has_a_folder_a_run_and_four_files_that_agree_with_them() {
    let place = Workplace::new();
    // At these rates some images are missed, so that the accuracies differ between seeds.
    let finished =
        place.compare("--opt adam,adagrad --seeds 3 --seed 4 --lr 0.0005 --momentum 0.5 --out both");
    finished.failed(2, &["--momentum 0.5", "is no constant of adam"]);
    let shown =
        place.compare("--opt adam,adagrad --seeds 3 --seed 4 --lr 0.0005 --out both").succeeded().stdout;
    let runs: Vec<String> =
        ["adagrad", "adam"].iter().flat_map(|opt| (4..7).map(move |k| format!("{opt}-seed{k}"))).collect();
    let files =
        ["compare.csv", "compare.json", "compare.png", "compare.svg", "compare.toml"].map(String::from);
    assert_eq!(place.names("both"), [&["SHA256SUMS".to_owned()], &runs[..], &files[..]].concat());
    assert!(is_svg(&place.path("both/compare.svg")) && is_png(&place.path("both/compare.png")));

    let text = place.read("both/compare.csv");
    let rows = cells(&text);
    assert_eq!(rows[0], ["optimizer", "seed", "epoch", "objective", "test_accuracy"]);
    assert_eq!(rows.len(), 1 + 2 * 3 * 2);
    for row in &rows[1..] {
        let log = place.read(&format!("both/{}-seed{}/metrics.csv", row[0], row[1]));
        let log = cells(&log);
        let epoch: usize = row[2].parse().unwrap();
        assert_eq!([row[2], row[3], row[4]], [log[epoch][0], log[epoch][1], log[epoch][4]]);
    }

    let json: serde_json::Value = serde_json::from_str(&place.read("both/compare.json")).unwrap();
    let mut spread = false;
    for (entry, opt) in json.as_array().unwrap().iter().zip(["adam", "adagrad"]) {
        assert_eq!(entry["optimizer"], opt);
        let accuracies: Vec<f64> = (4..7)
            .map(|k| {
                let summary = place.read(&format!("both/{opt}-seed{k}/summary.json"));
                let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
                summary["test_accuracy"].as_f64().unwrap()
            })
            .collect();
        let mean = accuracies.iter().sum::<f64>() / 3.0;
        let deviation = (accuracies.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        let minimum = accuracies.iter().copied().fold(1.0, f64::min);
        let close = |key: &str, expected: f64| {
            let found = entry["test_accuracy"][key].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-12, "{opt} {key}: {found}, not {expected}");
        };
        close("mean", mean);
        close("standard_deviation", deviation);
        close("minimum", minimum);
        spread |= deviation > 0.0;
        let cell = format!("{:.2}% ± {:.2}%", 100.0 * mean, 100.0 * deviation);
        let line = shown.lines().find(|line| line.starts_with(opt) && line.contains('±')).unwrap();
        assert!(line.contains(&cell), "{cell:?} is not in {line:?}");
    }
    assert!(spread, "all seeds gave one accuracy, so the arithmetic was not tried");
}

#[test]
fn a_run_of_a_comparison_is_the_run_that_mnist_makes() {
    let place = Workplace::new();
    place.compare("--opt sgd --seed 2 --out both").succeeded();
    place.mnist("--opt sgd --seed 2 --out alone").succeeded();
    let of = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(of("both/sgd-seed2") == of("alone"));
}

#[test]
fn the_usual_optimizers_run_once_unless_said_otherwise_each_with_its_own_constants() {
    let place = Workplace::new();
    let shown = place.compare("--epochs 1 --momentum 0.5 --beta1 0.8 --out all").succeeded().stdout;
    assert!(!shown.contains('±'), "one seed has no deviation");
    let names: Vec<String> = place.names("all");
    let runs: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix("-seed0")).collect();
    assert_eq!(runs, ["adagrad", "adam", "rmsprop", "sgd"]);
    let config = |run: &str| place.read(&format!("all/{run}-seed0/config.toml"));
    assert!(config("sgd").contains("momentum = 0.5") && config("adam").contains("beta1 = 0.8"));
    assert!(!config("adam").contains("\nmomentum"));
    let json: serde_json::Value = serde_json::from_str(&place.read("all/compare.json")).unwrap();
    assert!(json[0]["test_accuracy"]["standard_deviation"].is_null());
}

#[test]
fn a_mistake_is_found_before_a_folder_is_made() {
    let place = Workplace::new();
    place.compare("--data nowhere --out all").failed(1, &["nowhere does not exist"]);
    place.compare("--batch-size 301 --out all").failed(2, &["--batch-size 301", "at most 300"]);
    place.compare("--seeds 0 --out all").failed(2, &["--seeds"]);
    place
        .compare("--seed 9223372036854775807 --seeds 2 --out all")
        .failed(2, &["--seed 9223372036854775808"]);
    place.compare("--opt adam,foo --out all").failed(2, &["foo"]);
    assert!(!place.path("all").exists());
}

#[test]
fn a_run_that_diverges_is_a_row_and_a_mark_and_the_others_run() {
    let place = Workplace::new();
    let finished = place.compare("--opt sgd,adam --lr sgd=1e30 --seeds 2 --out both");
    let shown = finished.stdout.clone();
    let message =
        finished.failed(1, &["2 runs diverged: sgd-seed0 at step 2, where ", "is in both", "--lr sgd=0.1"]);
    assert_eq!(message.lines().count(), 1);
    let row = shown.lines().find(|line| line.starts_with("sgd ")).unwrap();
    assert!(row.ends_with("      0  diverged: seed 0 at step 2, seed 1 at step 2"), "{row:?}");

    let csv = place.read("both/compare.csv");
    let runs: Vec<String> = cells(&csv)[1..].iter().map(|row| row[..3].join(",")).collect();
    assert_eq!(runs, ["adam,0,1", "adam,0,2", "adam,1,1", "adam,1,2"]);
    let json: serde_json::Value = serde_json::from_str(&place.read("both/compare.json")).unwrap();
    assert_eq!(json[0]["optimizer"], "sgd");
    assert_eq!(
        (&json[0]["seeds"], &json[0]["test_accuracy"]),
        (&serde_json::json!([]), &serde_json::Value::Null)
    );
    assert_eq!((&json[0]["diverged"][1]["seed"], &json[0]["diverged"][1]["step"]), (&1.into(), &2.into()));
    assert_eq!(json[0]["diverged"][1]["place"], "the output of layer 2");
    assert_eq!(
        (&json[1]["seeds"], &json[1]["diverged"]),
        (&serde_json::json!([0, 1]), &serde_json::json!([]))
    );
    assert!(place.read("both/compare.svg").contains("×: sgd diverged at epoch 1 (seeds 0, 1)."));
    assert!(is_png(&place.path("both/compare.png")));
    let why: serde_json::Value = serde_json::from_str(&place.read("both/sgd-seed0/diverged.json")).unwrap();
    assert_eq!(why["step"], 2);
}

#[test]
fn a_comparison_all_of_whose_runs_diverge_is_still_written() {
    let place = Workplace::new();
    let message = place
        .compare("--opt sgd,rmsprop --seeds 3 --lr 1e30 --out both")
        .failed(1, &["6 runs diverged: sgd-seed0 ", " and 2 more", "--lr sgd=0.1,rmsprop=0.001"]);
    assert!(!message.contains("rmsprop-seed1"), "four are named: {message}");
    assert_eq!(place.read("both/compare.csv"), "optimizer,seed,epoch,objective,test_accuracy\n");
    assert!(is_svg(&place.path("both/compare.svg")) && is_png(&place.path("both/compare.png")));
}

#[test]
fn each_optimizer_has_the_rate_of_its_name_then_that_of_all_then_its_default() {
    let place = Workplace::new();
    let rate = |run: &str| {
        let config = place.read(&format!("{run}-seed0/config.toml"));
        config.lines().find_map(|line| line.strip_prefix("lr = ")).unwrap().to_string()
    };
    place.compare("--epochs 1 --lr adam=3e-3,sgd=0.2 --out named").succeeded();
    assert_eq!(
        ["adam", "sgd", "adagrad", "rmsprop"].map(|opt| rate(&format!("named/{opt}"))),
        ["0.003", "0.2", "0.05", "0.001"]
    );
    fs::write(place.path("mine.toml"), "lr = \"0.01,sgd=0.3\"\n").unwrap();
    place.compare("--epochs 1 --opt adam,sgd --config mine.toml --lr adam=0.004 --out mixed").succeeded();
    assert_eq!(["adam", "sgd"].map(|opt| rate(&format!("mixed/{opt}"))), ["0.004", "0.3"]);
}

#[test]
fn a_rate_for_nobody_or_two_for_one_are_mistakes_found_before_a_folder_is_made() {
    let place = Workplace::new();
    let refused = |arguments: &str, words: &[&str]| {
        place.compare(&format!("{arguments} --out all")).failed(2, words);
    };
    refused("--opt adam --lr sgd=0.1", &["--lr has a rate for sgd, which does not run", "--opt adam"]);
    refused("--lr adam=0.1,adam=0.2", &["--lr", "adam has two rates"]);
    refused("--lr adem=0.1", &["\"adem\": did you mean adam?"]);
    refused("--lr adam=fast", &["expected a number"]);
    refused("--lr adam=-1", &["--lr adam=-1: must be a positive number"]);
    assert!(!place.path("all").exists());
    place
        .mnist("--lr adam=0.1 --out one")
        .failed(2, &["--lr adam=0.1: mnist trains with one optimizer", "compare"]);
}
