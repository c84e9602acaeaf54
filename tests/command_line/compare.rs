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
    let files = ["compare.csv", "compare.json", "compare.png", "compare.svg"].map(String::from);
    assert_eq!(place.names("both"), [&runs[..], &files[..]].concat());
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
fn all_optimizers_run_once_unless_said_otherwise_each_with_its_own_constants() {
    let place = Workplace::new();
    let shown = place.compare("--epochs 1 --momentum 0.5 --beta1 0.8 --out all").succeeded().stdout;
    assert!(!shown.contains('±'), "one seed has no deviation");
    let runs = ["adagrad-seed0", "adam-seed0", "rmsprop-seed0", "sgd-seed0"];
    assert_eq!(place.names("all").into_iter().filter(|name| name.contains("seed")).collect::<Vec<_>>(), runs);
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
fn a_run_that_fails_is_named_and_the_runs_before_it_are_kept() {
    let place = Workplace::new();
    // Adam divides by the gradient's size; plain steps explode.
    let message = place
        .compare("--opt adam,sgd --lr 100 --schedule constant --hidden 64,64 --epochs 4 --out both")
        .failed(1, &["the run sgd-seed0 failed", "no longer finite at step", "compared in both"]);
    assert_eq!(message.lines().count(), 1);
    assert!(place.read("both/compare.csv").contains("adam,0,4,"));
    assert!(place.path("both/adam-seed0/model.safetensors").exists());
}
