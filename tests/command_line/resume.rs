//! Runs that are cut off, by Ctrl-C or worse, and go on to the bits that they would have had.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use super::*;

/// Long enough to be cut off somewhere, with everything random switched on.
pub(super) const LONG: &str =
    "--opt adam --epochs 150 --hidden 64,48 --dropout 0.2 --augment shifts --seed 9";

/// Starts a run and waits until it prints a line that begins with `line`.
pub(super) fn started(
    place: &Workplace,
    arguments: &str,
    line: &str,
) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = place.attentive();
    command.args(arguments.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.lines().any(|text| text.trim_start().starts_with(line)) {
        assert!(reader.read_line(&mut text).unwrap() > 0, "{line:?} never came: {text}");
    }
    (child, reader)
}

pub(super) fn signal(child: &Child, name: &str) {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", child.id())).status();
    assert!(status.unwrap().success());
}

pub(super) fn finished(child: Child) -> Finished {
    child.wait_with_output().unwrap().into()
}

/// Runs until a line begins with `line`, and sends a signal.
pub(super) fn cut_off(place: &Workplace, arguments: &str, line: &str, name: &str) -> Finished {
    let (child, reader) = started(place, arguments, line);
    signal(&child, name);
    std::io::copy(&mut { reader }, &mut std::io::sink()).unwrap(); // lest the pipe fills up
    finished(child)
}

#[track_caller]
pub(super) fn same_result(place: &Workplace, run: &str, whole: &str) {
    let of = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(of(run) == of(whole), "the models differ");
    let of = |run: &str| place.read(&format!("{run}/metrics.csv"));
    assert_eq!(metrics_without_times(&of(run)), metrics_without_times(&of(whole)));
    assert_eq!(place.names(run), place.names(whole));
    let summary: serde_json::Value =
        serde_json::from_str(&place.read(&format!("{run}/summary.json"))).unwrap();
    assert_eq!(summary["interrupted"], false);
}

#[test]
fn an_interrupted_run_leaves_its_results_and_goes_on_to_the_same_bits() {
    let place = Workplace::new();
    let options = format!("mnist {} {LONG}", small(LONG));
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    let message = cut_off(&place, &format!("{options} --out run"), "5 ", "INT")
        .failed(130, &["interrupted after ", "Go on with: cotangent mnist --resume run (SIGINT)"]);
    let summary: serde_json::Value = serde_json::from_str(&place.read("run/summary.json")).unwrap();
    let epochs = summary["epochs"].as_u64().unwrap();
    assert!((5..150).contains(&epochs) && summary["interrupted"] == true, "{summary}");
    assert!(message.contains(&format!("after {epochs} whole epochs")), "{message}");
    assert_eq!(place.read("run/metrics.csv").lines().count() as u64, 1 + epochs);
    for name in ["model.safetensors", "objective.svg", "objective.png", "accuracy.svg", "confusion.csv"] {
        assert!(place.path("run").join(name).exists(), "{name}");
    }
    let shown = place.run("mnist --resume run --threads 2").succeeded().stdout;
    assert!(shown.contains(&format!("going on after epoch {epochs}")), "{shown}");
    same_result(&place, "run", "whole");
    place.run("mnist --resume run").failed(2, &["run is complete", "--config run/config.toml"]);
}

#[test]
fn a_run_that_was_killed_goes_on_from_its_last_whole_epoch_even_after_half_a_row() {
    let place = Workplace::new();
    let options = format!("mnist {} {LONG}", small(LONG));
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    let killed = cut_off(&place, &format!("{options} --out run"), "7 ", "KILL");
    assert_eq!(killed.status, None);
    assert!(!place.path("run/summary.json").exists());
    let log = place.read("run/metrics.csv");
    let row = log.lines().last().unwrap();
    fs::write(place.path("run/metrics.csv"), format!("{log}{}", &row[..row.len() / 2])).unwrap();
    place.run("mnist --resume run --quiet").succeeded();
    same_result(&place, "run", "whole");
}

#[test]
fn a_run_that_was_interrupted_in_its_first_epoch_keeps_the_batches_it_made() {
    let place = Workplace::new();
    // 300 steps that each update half a million parameters: an epoch long enough to be cut off.
    let options = format!("mnist {} --batch-size 1 --hidden 600,600", small("--batch-size --hidden"));
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    cut_off(&place, &format!("{options} --out run"), "epoch", "INT")
        .failed(130, &["after 0 whole epochs and ", " step", "--resume"]);
    assert!(!place.read("run/summary.json").contains("\"learning\""), "nothing is known of it yet");
    assert_eq!(place.read("run/metrics.csv").lines().count(), 1);
    assert!(place.path("run/model.safetensors").exists() && !place.path("run/objective.svg").exists());
    let shown = place.run("mnist --resume run").succeeded().stdout;
    assert!(shown.contains("going on after ") && shown.contains(" step"), "{shown}");
    same_result(&place, "run", "whole");
}

#[test]
fn a_second_interrupt_ends_a_run_in_the_middle_of_a_batch() {
    let place = Workplace::new();
    let options = "mnist --batch-size 60000 --hidden 1024 --epochs 2 --threads 1 --out run";
    let (child, _reader) = started(&place, options, "epoch");
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(150)); // two signals within a blink are one
    let begin = Instant::now();
    signal(&child, "INT");
    assert_eq!(finished(child).status, Some(130));
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

/// A comparison's results without what a clock decides.
fn comparison(place: &Workplace, folder: &str) -> (String, serde_json::Value, String, Vec<String>) {
    let read = |name: &str| place.read(&format!("{folder}/{name}"));
    let mut json: serde_json::Value = serde_json::from_str(&read("compare.json")).unwrap();
    for entry in json.as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("train_seconds");
    }
    (read("compare.csv"), json, read("compare.svg"), place.names(folder))
}

#[test]
fn an_interrupted_comparison_goes_on_to_the_results_of_one_that_was_not() {
    let place = Workplace::new();
    let options = format!("compare {} {LONG}", small(LONG)).replace("adam", "sgd,adam,adagrad");
    let options = format!("{options} --lr sgd=1e30");
    place.run(&format!("{options} --quiet --out whole")).failed(1, &["sgd-seed9 at step"]);
    let message = cut_off(&place, &format!("{options} --out both"), "5 ", "INT").failed(
        130,
        &["interrupted after 1 of 3 runs, compared in both. Go on with: cotangent compare --resume both"],
    );
    assert_eq!(message.lines().count(), 1);
    let epochs = place.read("both/adam-seed9/metrics.csv").lines().count() - 1;
    assert!((5..150).contains(&epochs) && !place.path("both/adagrad-seed9").exists());
    let diverged = contents(&place.path("both/sgd-seed9"));
    let finished = place.run("compare --resume both --threads 2");
    let shown = finished.stdout.clone();
    finished.failed(1, &["1 run diverged: sgd-seed9"]);
    assert!(shown.contains("sgd-seed9: as before, after 0 epochs\ndiverged at step"), "{shown}");
    assert!(shown.contains(&format!("adam-seed9\ngoing on after epoch {epochs}")), "{shown}");
    assert!(contents(&place.path("both/sgd-seed9")) == diverged, "a run that diverged is not repeated");
    same_result(&place, "both/adam-seed9", "whole/adam-seed9");
    same_result(&place, "both/adagrad-seed9", "whole/adagrad-seed9");
    assert_eq!(comparison(&place, "both"), comparison(&place, "whole"));

    // Once more: all is read back, and what is missing beside it is written anew.
    fs::remove_file(place.path("both/compare.csv")).unwrap();
    let again = place.run("compare --resume both").stdout;
    assert!(
        again.contains("adam-seed9: as before, after 150 epochs") && !again.contains("epoch objective"),
        "{again}"
    );
    assert_eq!(comparison(&place, "both"), comparison(&place, "whole"));
}

#[test]
fn a_comparison_that_was_killed_goes_on_and_runs_whose_folder_is_gone_begin_again() {
    let place = Workplace::new();
    let options = format!("compare {} {LONG}", small(LONG)).replace("adam", "adam,sgd");
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    cut_off(&place, &format!("{options} --out both"), "sgd-seed9", "KILL");
    fs::remove_dir_all(place.path("both/adam-seed9")).unwrap();
    fs::create_dir_all(place.path("both/sgd-seed9")).unwrap();
    place.run("compare --resume both --quiet").succeeded();
    assert_eq!(comparison(&place, "both"), comparison(&place, "whole"));
}

#[test]
fn a_comparison_that_cannot_go_on_is_refused_and_left_as_it_is() {
    let place = Workplace::new();
    place.compare("--opt adam,sgd --epochs 1 --out both").succeeded();
    let refused = |arguments: &str, status: i32, words: &[&str]| {
        let before = contents(place.folder.path());
        place.run(&format!("compare --resume {arguments}")).failed(status, words);
        assert!(contents(place.folder.path()) == before, "something was changed");
    };
    refused("nowhere", 1, &["nowhere", "no such comparison folder"]);
    refused("both/adam-seed0", 1, &["both/adam-seed0", "no compare.toml"]);
    refused("both/compare.toml", 1, &["is no folder"]);
    refused("both --epochs 5", 2, &["the run's own options"]);
    refused("both --threads 0", 2, &["--threads 0: must be at least 1"]);
    refused("both --opt sgd", 2, &["--opt"]);
    refused("both --seeds 2", 2, &["--seeds"]);
    refused("both --out other", 2, &["--out"]);
    refused("both --check-torch", 2, &["--check-torch"]);
    let config = place.read("both/adam-seed0/config.toml");
    fs::write(place.path("both/adam-seed0/config.toml"), config.replace("lr = 0.002", "lr = 0.003")).unwrap();
    refused("both", 1, &["both/adam-seed0/config.toml", "says 0.003 for lr, where compare.toml plans 0.002"]);
    fs::write(place.path("both/adam-seed0/config.toml"), &config).unwrap();
    let log = place.read("both/adam-seed0/metrics.csv");
    fs::write(place.path("both/adam-seed0/metrics.csv"), log.lines().next().unwrap()).unwrap();
    refused("both", 1, &["both/adam-seed0/metrics.csv: has changed since the run wrote it"]);
    let seal = place.path("both/adam-seed0/SHA256SUMS");
    let sealed = fs::read(&seal).unwrap();
    fs::remove_file(&seal).unwrap();
    refused("both", 1, &["both/adam-seed0/metrics.csv: holds 0 whole rows of a run of 1 epochs"]);
    fs::write(&seal, sealed).unwrap();
    fs::write(place.path("both/adam-seed0/metrics.csv"), &log).unwrap();
    for (from, to, word) in [("seeds = 1", "seeds = 0", "plans no run"), ("\"sgd\"", "\"sdg\"", "sdg")] {
        let plan = place.read("both/compare.toml");
        fs::write(place.path("both/compare.toml"), plan.replace(from, to)).unwrap();
        refused("both", 1, &["both/compare.toml: ", word]);
        fs::write(place.path("both/compare.toml"), plan).unwrap();
    }
}

#[test]
fn an_interrupt_ends_pytorch_too_even_where_it_does_nothing() {
    let place = Workplace::new();
    let pid = place.path("pid").display().to_string();
    let python = compare_torch::python(&place, &format!("echo $$ > '{pid}'; exec sleep 600"));
    let options = format!("compare {} --opt adam --out both --check-torch {python}", small("--opt adam"));
    cut_off(&place, &options, "adam-seed0, by PyTorch", "INT")
        .failed(130, &["interrupted after 0 of 1 run.", "compare --resume both"]);
    // It may have been ended before it wrote its number.
    let gone = place.shell(&format!("test ! -s '{pid}' || ! kill -0 $(cat '{pid}')"));
    assert_eq!(gone.status, Some(0), "it goes on");
}

#[test]
fn a_report_whose_training_was_cut_off_says_how_to_finish_it() {
    let place = Workplace::new();
    let options = format!("report {} {LONG}", small(LONG)).replace("adam", "adam,sgd");
    let message = cut_off(&place, &options, "sgd-seed9", "INT").failed(
        130,
        &[
            "interrupted after 1 of 2 runs",
            "Go on with: cotangent compare --resume runs/",
            "then to make the page",
        ],
    );
    let folder = message.split("--resume ").nth(1).unwrap().split(',').next().unwrap();
    place.run(&format!("compare --quiet --resume {folder}")).succeeded();
    place.run(&format!("report --quiet --runs {folder}")).succeeded();
}

#[test]
fn checkpoints_within_an_epoch_change_no_bit_and_a_kill_loses_no_more_than_since_the_last() {
    let place = Workplace::new();
    let options = format!("mnist {} --batch-size 2 --epochs 4 --dropout 0.1", small("--batch-size --epochs"));
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    for every in ["7", "0.01s"] {
        let run = format!("run-{every}");
        cut_off(&place, &format!("{options} --checkpoint-every {every} --out {run}"), "2 ", "KILL");
        let shown = place.run(&format!("mnist --resume {run}")).succeeded().stdout;
        assert!(shown.contains("going on after epoch "), "{shown}");
        same_result(&place, &run, "whole");
        assert!(
            place.read(&format!("{run}/config.toml")).contains(&format!("checkpoint-every = \"{every}\""))
        );
    }
    for (every, rule) in [("0", "number of steps"), ("0s", "number"), ("-3", "number"), ("30m", "30s")] {
        place
            .run(&format!("{options} --checkpoint-every {every} --out x"))
            .failed(2, &["--checkpoint-every", rule]);
    }
}

#[test]
fn a_run_that_started_from_anothers_weights_goes_on_without_them() {
    let place = Workplace::new();
    place.mnist("--hidden 64,48 --epochs 1 --out first").succeeded();
    let options = format!("mnist {} {LONG} --init first", small(LONG));
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    cut_off(&place, &format!("{options} --out run"), "4 ", "KILL");
    let config = place.read("run/config.toml");
    fs::remove_dir_all(place.path("first")).unwrap();
    place.run("mnist --resume run --quiet").succeeded();
    same_result(&place, "run", "whole");
    assert_eq!(place.read("run/config.toml"), config);
}

#[test]
fn how_a_run_went_whose_beginning_is_gone_is_left_open() {
    let place = Workplace::new();
    // Labels that the images do not tell, at a rate that takes the objective far above that of knowing nothing.
    write_data(&place.path("noise"), [1, 1], 3, [TRAIN, TEST]);
    let all = "mnist --data noise --batch-size 32 --threads 1 --schedule constant";
    place.run(&format!("{all} --hidden 64,48 --epochs 1 --out first")).succeeded();
    let options = format!("{all} --lr 1e6 --epochs 150 --init first --out run");
    cut_off(&place, &options, "2 ", "INT");
    let learning = |place: &Workplace| {
        let summary: serde_json::Value = serde_json::from_str(&place.read("run/summary.json")).unwrap();
        summary.get("learning").cloned()
    };
    assert_eq!(learning(&place), Some("diverged".into()));
    fs::remove_dir_all(place.path("first")).unwrap();
    let shown = place.run("mnist --resume run").succeeded().stdout;
    assert!(!shown.contains("warning"), "{shown}");
    assert_eq!(learning(&place), None, "there is no network to judge it against");
}
