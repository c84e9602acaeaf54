//! `compare --check-torch`, with a stand-in for Python: what it is sent, and what becomes of what it says.

use std::fs;

use cotangent::nn::{Activation, Model, perceptron};

use super::*;

/// Bytes before the first step: parameters of 144-16-3, test images and their labels.
const START: usize = 4 * (144 * 16 + 16 + 16 * 3 + 3 + TEST * (144 + 1));

/// Bytes of an epoch: the heads of ten steps, and the images with their labels.
const EPOCH: usize = 10 * 16 + 4 * TRAIN * (144 + 1);

/// A line that the script says of an epoch.
const SAID: &str = r#"{"epoch": {"objective": 0.5, "train_accuracy": 0.8, "test_objective": 0.4, "test_accuracy": 0.9, "seconds": 2}}"#;

/// A stand-in for Python that names its version, and if there is work keeps the first line and goes on with `script`.
pub(super) fn python(place: &Workplace, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = place.path("python");
    let start = place.path("start.json").display().to_string();
    let text = format!(
        "#!/bin/sh\necho '{{\"torch\": \"9.8\"}}'\nread -r start || exit 0\nprintf '%s' \"$start\" > '{start}'\n{script}\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// One that trains for two epochs, and keeps all that it is sent.
fn training(place: &Workplace) -> String {
    let sent = place.path("sent").display().to_string();
    let take = |bytes: usize| format!("head -c {bytes} >> '{sent}'; echo '{SAID}'");
    python(place, &format!("rm -f '{sent}'\n{}\n{}", take(START + EPOCH), take(EPOCH)))
}

#[test]
fn pytorch_is_a_row_a_line_and_a_table_beside_ours() {
    let place = Workplace::new();
    let python = training(&place);
    let shown = place.compare(&format!("--opt adam --out both --check-torch {python}")).succeeded().stdout;
    let row = shown.lines().find(|line| line.starts_with("adam (PyTorch)")).unwrap();
    assert!(row.contains("    1  90.00%            90.00%       4.0"), "{row:?}");

    let log = place.read("both/adam-seed0/metrics.csv");
    let objective: f64 = cells(&log)[1][1].parse().unwrap();
    let json: serde_json::Value = serde_json::from_str(&place.read("both/compare.json")).unwrap();
    let peer = &json[0]["pytorch"];
    assert_eq!((&peer["version"], &peer["seeds"]), (&"9.8".into(), &serde_json::json!([0])));
    assert_eq!(peer["test_accuracy"]["mean"], 0.9);
    let apart = peer["objective_difference"]["first_epoch"].as_f64().unwrap();
    assert!((apart - (objective - 0.5).abs() / 0.5).abs() < 1e-12, "{apart} for {objective}");
    assert!(shown.contains(&format!(
        "adam: the objective differs from PyTorch's by {apart:.1e} of it in the first epoch"
    )));
    // Those who read the tables of ours find nothing new in them.
    let ours = place.read("both/compare.csv");
    assert_eq!(ours.lines().count(), 3);
    let theirs = place.read("both/compare-pytorch.csv");
    assert_eq!(theirs, format!("{}\nadam,0,1,0.5,0.9\nadam,0,2,0.5,0.9\n", ours.lines().next().unwrap()));
    assert!(place.read("both/compare.svg").contains("adam (PyTorch)"));
}

#[test]
fn pytorch_gets_our_start_our_batches_and_our_learning_rates() {
    let place = Workplace::new();
    let python = training(&place);
    place
        .compare(&format!(
            "--opt adam --beta1 0.8 --weight-decay 0.01 --seed 3 --out both --check-torch {python}"
        ))
        .succeeded();
    let start: serde_json::Value = serde_json::from_str(&place.read("start.json")).unwrap();
    assert_eq!((&start["optimizer"], &start["pixels"]), (&"adam".into(), &144.into()));
    assert_eq!(start["layers"], serde_json::json!([["Linear", 144, 16], ["ReLU"], ["Linear", 16, 3]]));
    assert_eq!((&start["constants"]["beta1"], &start["weight_decay"]), (&0.8.into(), &0.01.into()));
    let sent = fs::read(place.path("sent")).unwrap();
    assert_eq!(sent.len(), START + 2 * EPOCH);
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes.chunks_exact(4).map(|four| f32::from_ne_bytes(four.try_into().unwrap())).collect()
    };
    let model = perceptron(&[144, 16, 3], Activation::Relu, 0.0);
    let parameters = model.initial_parameters(3);
    assert!(floats(&sent[..4 * parameters.len()]) == parameters);

    let mut steps = &sent[START..];
    let (mut counts, mut rates, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    while !steps.is_empty() {
        let number = |at: usize| u32::from_ne_bytes(steps[at..at + 4].try_into().unwrap());
        let (count, is_last) = (number(0) as usize, number(4));
        counts.push((count, is_last));
        rates.push(f64::from_ne_bytes(steps[8..16].try_into().unwrap()));
        let images = floats(&steps[16..][..4 * count * 144]);
        let labels = floats(&steps[16 + 4 * count * 144..][..4 * count]);
        assert!(labels.iter().all(|label| [0.0, 1.0, 2.0].contains(label)), "{labels:?}");
        sums.push(images.iter().map(|&x| f64::from(x)).sum::<f64>());
        steps = &steps[16 + 4 * count * 145..];
    }
    let epoch: Vec<(usize, u32)> = [(32, 0); 9].into_iter().chain([(12, 1)]).collect();
    assert_eq!(counts, [&epoch[..], &epoch[..]].concat());
    assert_ne!(sums[..10], sums[10..], "each epoch has its own order");
    let log = place.read("both/adam-seed3/metrics.csv");
    for (epoch, last) in [(1, 9), (2, 19)] {
        assert_eq!(cells(&log)[epoch][5].parse::<f64>().unwrap(), rates[last]);
    }
}

#[test]
fn what_keeps_pytorch_from_running_is_found_before_anything_is_trained() {
    let place = Workplace::new();
    let refused = |arguments: &str, status: i32, words: &[&str]| {
        place.compare(&format!("{arguments} --out all")).failed(status, words);
        assert!(!place.path("all").exists());
    };
    refused("--check-torch ./no-python", 1, &["cannot start ", "no-python", "--check-torch PYTHON"]);
    let script = |text: &str| {
        let python = python(&place, "");
        fs::write(&python, format!("#!/bin/sh\n{text}\n")).unwrap();
        python
    };
    let lacking = script("echo \"No module named 'torch'\" >&2; exit 3");
    refused(
        &format!("--check-torch {lacking}"),
        1,
        &["has no PyTorch (No module named 'torch')", "-m pip install torch"],
    );
    let broken = script("echo 'ImportError: no such library' >&2; exit 1");
    refused(&format!("--check-torch {broken}"), 1, &["ImportError: no such library"]);
    let odd = script("echo hello");
    refused(&format!("--check-torch {odd}"), 1, &["PyTorch's results: ", "hello"]);
    let silent = script("exit 0");
    refused(&format!("--check-torch {silent}"), 1, &["wrote no results"]);
    let python = training(&place);
    refused(&format!("--dropout 0.5 --check-torch {python}"), 2, &["--dropout 0.5", "--check-torch"]);
}

#[test]
fn a_pytorch_that_fails_on_the_way_is_quoted_and_the_comparison_goes_on_with_another() {
    let place = Workplace::new();
    let broken = python(&place, "echo 'RuntimeError: out of patience' >&2; exit 1");
    place.compare(&format!("--opt adam --out both --check-torch {broken}")).failed(
        1,
        &[
            "the run adam-seed0 by PyTorch failed after 0 of 1 run",
            "compare --resume both",
            "RuntimeError: out of patience",
        ],
    );
    let ours = fs::read(place.path("both/adam-seed0/summary.json")).unwrap();
    training(&place); // under the same name
    let shown = place.run("compare --resume both").succeeded().stdout;
    assert!(
        shown.contains("adam-seed0: as before, after 2 epochs") && shown.contains("by PyTorch"),
        "{shown}"
    );
    assert_eq!(fs::read(place.path("both/adam-seed0/summary.json")).unwrap(), ours);
    let (first, theirs) = (place.read("both/compare.json"), place.read("both/compare-pytorch.csv"));
    // Then PyTorch's run is read back, too.
    fs::remove_file(place.path("python")).unwrap();
    training(&place);
    fs::remove_file(place.path("start.json")).unwrap();
    place.run("compare --resume both").succeeded();
    assert!(!place.path("start.json").exists(), "it trained again");
    assert_eq!((place.read("both/compare.json"), place.read("both/compare-pytorch.csv")), (first, theirs));
}

#[test]
fn a_pytorch_that_diverges_is_said_as_such() {
    let place = Workplace::new();
    let script = format!(
        r#"head -c {} > /dev/null; echo '{{"diverged": {{"step": 3, "place": "the loss"}}}}'"#,
        START + 100
    );
    let python = python(&place, &script);
    let finished = place.compare(&format!("--opt adam --out both --check-torch {python}"));
    assert!(
        finished.stdout.contains("adam (PyTorch)      0  diverged: seed 0 at step 3"),
        "{}",
        finished.stdout
    );
    finished.failed(1, &["1 run diverged: adam-seed0 (PyTorch) at step 3, where the loss"]);
    let json: serde_json::Value = serde_json::from_str(&place.read("both/compare.json")).unwrap();
    assert_eq!(json[0]["pytorch"]["diverged"][0]["step"], 3);
    assert_eq!(json[0]["diverged"], serde_json::json!([]));
    assert!(place.read("both/compare.svg").contains("×: adam (PyTorch) diverged at epoch 1."));
}
