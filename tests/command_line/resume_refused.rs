//! Runs that cannot be gone on with, as something is not what it was, and what may be different all the same.

use super::resume::{LONG, cut_off, same_result};
use super::*;

#[test]
fn a_folder_that_cannot_go_on_is_refused_and_left_as_it_is() {
    let place = Workplace::new();
    let options = format!("mnist {} {LONG}", small(LONG));
    cut_off(&place, &format!("{options} --out run"), "3 ", "KILL");
    fs::remove_file(place.path("run/.lock")).unwrap(); // of the process that was ended; it means nothing
    fs::create_dir(place.path("empty")).unwrap();
    let refused = |folder: &str, status: i32, words: &[&str]| {
        let before = contents(place.folder.path());
        place.run(&format!("mnist --resume {folder}")).failed(status, words);
        assert!(contents(place.folder.path()) == before, "something was changed");
    };
    refused("nowhere", 1, &["nowhere", "no such run folder"]);
    refused("empty", 1, &["empty", "holds no config.toml: the run was ended before it began", "--out empty"]);
    fs::write(place.path("other"), "").unwrap();
    refused("other", 1, &["other", "is no folder"]);
    fs::remove_file(place.path("other")).unwrap();
    refused("data", 1, &["data", "is no run folder, as it holds no config.toml"]);
    refused("run --epochs 5", 2, &["--epochs 5: run has not come to the end of its 150 epochs"]);
    refused("run --lr 1", 2, &["the run's own options"]);
    refused("run --threads 0", 2, &["--threads 0: must be at least 1"]);
    refused("run --opt sgd", 2, &["--opt"]);
    refused("run --out other", 2, &["--out"]);

    let checkpoint = place.path("run/checkpoint.safetensors");
    let before = place.path("run/checkpoint.previous.safetensors");
    let whole = fs::read(&checkpoint).unwrap();
    let kept = fs::read(&before).unwrap();
    let mut flipped = whole.clone();
    flipped[9] ^= 0xff;
    for damaged in [&whole[..whole.len() - 7], &whole[..3], &[], &flipped] {
        fs::write(&checkpoint, damaged).unwrap();
        fs::write(&before, damaged).unwrap();
        refused("run", 1, &["run/checkpoint.safetensors: is damaged (", "put back a whole one"]);
    }
    fs::write(&checkpoint, &whole).unwrap();
    fs::write(&before, &kept).unwrap();

    // Whatever is not as it was when the run began is named.
    let config = place.read("run/config.toml");
    let edited = |from: &str, to: &str, words: &[&str]| {
        assert!(config.contains(from), "{from}");
        fs::write(place.path("run/config.toml"), config.replace(from, to)).unwrap();
        refused("run", 1, words);
        fs::write(place.path("run/config.toml"), &config).unwrap();
    };
    for (from, to, name) in [
        ("seed = 9", "seed = 8", "seed"),
        ("lr = 0.002", "lr = 0.003", "lr"),
        ("activation = \"relu\"", "activation = \"tanh\"", "activation"),
        ("opt = \"adam\"", "opt = \"nesterov\"\nmomentum = 0.9", "opt"),
        ("beta1 = 0.9", "beta1 = 0.8", "beta1"),
        ("epochs = 150", "epochs = 160", "epochs"),
        ("dropout = 0.2", "dropout = 0.1", "dropout"),
        ("hidden = \"64,48\"", "hidden = \"64,49\"", "hidden"),
        ("batch-size = 32", "batch-size = 25", "batch-size"),
        ("schedule = \"one-cycle\"", "schedule = \"linear\"", "schedule"),
        ("validation = 0", "validation = 9", "validation"),
        ("device = \"cpu\"", "device = \"auto\"", "device"),
        ("kernels = \"dense\"", "kernels = \"skipping\"", "kernels"),
    ] {
        if name == "opt" {
            let constants = ["beta1 = 0.9\n", "beta2 = 0.999\n", "epsilon = 0.00000001\n"];
            let bare = constants.iter().fold(config.clone(), |text, line| text.replace(line, ""));
            fs::write(place.path("run/config.toml"), bare.replace("\"adam\"", "\"rmsprop\"")).unwrap();
            refused("run", 1, &["run/config.toml: says ", "and the run was begun with"]);
            fs::write(place.path("run/config.toml"), &config).unwrap();
            continue;
        }
        edited(from, to, &["run/config.toml: says ", &format!(" for {name}, and the run was begun with ")]);
    }
    for (name, part) in
        [("train-images-idx3-ubyte", "training images"), ("t10k-labels-idx1-ubyte", "test labels")]
    {
        let path = place.path("data").join(name);
        let data = fs::read(&path).unwrap();
        let mut other = data.clone();
        let last = other.len() - 1;
        other[last] = u8::from(other[last] == 0); // a pixel, or a class that there is
        fs::write(&path, other).unwrap();
        refused("run", 1, &["was written with other data", part]);
        fs::write(&path, data).unwrap();
    }

    let log = place.read("run/metrics.csv");
    let logged = |text: &str, words: &[&str]| {
        fs::write(place.path("run/metrics.csv"), text).unwrap();
        refused("run", 1, words);
        fs::write(place.path("run/metrics.csv"), &log).unwrap();
    };
    logged(log.lines().next().unwrap(), &["run/metrics.csv: holds 0 whole rows"]);
    logged(
        &log.replacen("\n2,", "\n4,", 1),
        &["run/metrics.csv: is damaged", "epoch 4 stands where 2 should"],
    );
    logged(&log.replacen("\n2,", "\ntwo,", 1), &["run/metrics.csv: is damaged"]);
    logged(&log.replacen("\n2,", "\n2,9", 1), &["run/metrics.csv: has changed since it was written"]);

    // The data may lie elsewhere, and a damaged checkpoint falls back to the one before.
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    let moved = config.replace("/data\"", "/moved\"");
    assert!(moved != config, "{config}");
    fs::write(place.path("run/config.toml"), moved).unwrap();
    fs::write(&checkpoint, &flipped).unwrap();
    // What is damaged does not take the place of the whole one before, wherever that is cut off.
    cut_off(&place, "mnist --resume run", "going on", "KILL");
    assert!(fs::read(&before).is_ok_and(|bytes| bytes != flipped));
    fs::write(&checkpoint, &flipped).unwrap();
    let shown = place.run("mnist --resume run").succeeded().stdout;
    assert!(shown.contains("note: ") && shown.contains("going on from the one before"), "{shown}");
    fs::rename(place.path("moved"), place.path("data")).unwrap();
    let options = format!("mnist {} {LONG}", small(LONG));
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    same_result(&place, "run", "whole");
}

#[test]
fn without_a_checkpoint_a_run_begins_anew_unless_epochs_would_be_lost_without_a_word() {
    let place = Workplace::new();
    let options = format!("mnist {} {LONG}", small(LONG));
    place.run(&format!("{options} --quiet --out whole")).succeeded();
    cut_off(&place, &format!("{options} --out run"), "3 ", "KILL");
    let _ = fs::remove_file(place.path("run/.lock"));
    // Either may be missing: a checkpoint takes the place of the one before in two steps, and the run may have died between.
    let _ = fs::remove_file(place.path("run/checkpoint.safetensors"));
    let _ = fs::remove_file(place.path("run/checkpoint.previous.safetensors"));
    let before = contents(&place.path("run"));
    place
        .run("mnist --resume run")
        .failed(1, &["run/checkpoint.safetensors: is missing, and ", " epochs are logged"]);
    assert!(contents(&place.path("run")) == before);
    let log = place.read("run/metrics.csv");
    let first: String = log.lines().take(2).map(|line| format!("{line}\n")).collect();
    fs::write(place.path("run/metrics.csv"), first).unwrap(); // as after a kill between the first row and its checkpoint
    place.run("mnist --resume run --quiet").succeeded();
    same_result(&place, "run", "whole");
    // A finished run whose summary is gone is none that has not begun.
    fs::remove_file(place.path("whole/summary.json")).unwrap();
    fs::remove_file(place.path("whole/model.safetensors")).unwrap();
    place.run("mnist --resume whole").failed(1, &["whole/checkpoint.safetensors: is missing"]);
}

#[test]
fn a_finished_run_can_be_given_more_epochs_and_no_other() {
    let place = Workplace::new();
    place.mnist("--epochs 2 --out run").succeeded();
    let refused = |options: &str, status: i32, words: &[&str]| {
        let before = contents(&place.path("run"));
        place.run(&format!("mnist --resume run {options}")).failed(status, words);
        assert!(contents(&place.path("run")) == before, "something was changed");
    };
    refused("", 2, &["run is complete", "--epochs 4", "--config run/config.toml"]);
    refused("--epochs 2", 2, &["--epochs 2: run has all of its 2 epochs"]);
    let shown = place.run("mnist --resume run --epochs 5").succeeded().stdout;
    assert!(
        shown.contains("given more epochs after 2: the one-cycle schedule now runs over all 5"),
        "{shown}"
    );
    assert_eq!(place.read("run/metrics.csv").lines().count(), 6);
    let config = place.read("run/config.toml");
    assert!(
        !config.contains("Run it again")
            && config.contains("epochs = 5")
            && config.contains("extended = \"epochs up to 2 with a schedule"),
        "{config}"
    );
    place.run("verify run").succeeded();
    // Cut off in between, it goes on to the same; the command that was cut off can be said again, too.
    let all = |run: &str| (fs::read(place.path(run).join("model.safetensors")).unwrap(), place.names(run));
    for again in ["", " --epochs 155"] {
        place.mnist("--epochs 2 --out whole").succeeded();
        place.run("mnist --resume whole --epochs 155 --quiet").succeeded();
        place.mnist("--epochs 2 --out cut").succeeded();
        cut_off(&place, "mnist --resume cut --epochs 155", "9 ", "KILL");
        place.run(&format!("mnist --resume cut --quiet{again}")).succeeded();
        assert!(all("cut") == all("whole"));
        fs::remove_dir_all(place.path("cut")).unwrap();
        fs::remove_dir_all(place.path("whole")).unwrap();
    }
    fs::remove_file(place.path("run/finished.safetensors")).unwrap();
    refused("--epochs 9", 1, &["holds no finished.safetensors", "--init run"]);
}
