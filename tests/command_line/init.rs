//! `--init`: runs that start from the weights of others.

use super::*;

/// Leaves parameters as they are: an update this small is rounded away.
const STILL: &str = "--opt sgd --lr 1e-30 --epochs 1";

/// A place with a trained run in `first`, of another network than the default.
fn with_first() -> Workplace {
    let place = Workplace::new();
    place.mnist("--hidden 12,7 --activation tanh --out first").succeeded();
    place
}

/// `mnist` on the small data set without saying what its network is.
fn started_from(place: &Workplace, arguments: &str) -> Finished {
    place.run(&format!("mnist {} {arguments}", small("--hidden --epochs")))
}

fn model(place: &Workplace, run: &str) -> Vec<u8> {
    fs::read(place.path(run).join("model.safetensors")).unwrap()
}

#[test]
fn a_run_begins_as_the_network_that_was_saved_whatever_its_own_images_are() {
    let place = with_first();
    write_data(&place.path("others"), [12, 12], 3, [64, 32]);
    for (number, init) in ["first", "first/model.safetensors"].into_iter().enumerate() {
        for data in ["data", "others"] {
            let out = format!("{data}{number}");
            let arguments =
                format!("mnist --data {data} --batch-size 32 --threads 1 {STILL} --init {init} --out {out}");
            let shown = place.run(&arguments).succeeded().stdout;
            assert!(
                shown.contains("144-12-7-3, tanh") && shown.contains("starting from the weights of"),
                "{shown}"
            );
            // Layers, activation, weights, and mean and deviation of the images.
            assert!(model(&place, &out) == model(&place, "first"), "{out} is another network");
        }
    }
    let accuracy = |run: &str| {
        let summary: serde_json::Value =
            serde_json::from_str(&place.read(&format!("{run}/summary.json"))).unwrap();
        (summary["test_objective"].as_f64(), summary["test_accuracy"].as_f64())
    };
    assert_eq!(accuracy("data0"), accuracy("first"));
}

#[test]
fn the_optimizer_starts_anew_and_every_optimizer_of_a_comparison_from_the_same_weights() {
    let place = with_first();
    place.mnist("--hidden 12,7 --activation tanh --init first --epochs 1 --out on").succeeded();
    assert!(model(&place, "on") != model(&place, "first"), "it does not train");
    let still = "--lr 1e-30 --epochs 1 --init first --out both --batch-size 32 --data data --threads 1";
    place.run(&format!("compare --opt sgd,adam --seeds 2 {still}")).succeeded();
    for run in ["sgd-seed0", "sgd-seed1", "adam-seed0"] {
        assert!(model(&place, &format!("both/{run}")) == model(&place, "first"), "{run}");
    }
    // On a recipe's or a file's network the one that is named has precedence.
    place
        .run("mnist --recipe fast --data data --batch-size 32 --epochs 1 --init first --out fast")
        .succeeded();
    assert!(place.read("fast/config.toml").contains("hidden = \"12,7\""));
}

#[test]
fn a_comparison_goes_on_from_the_weights_that_it_began_with_and_from_no_others() {
    let place = with_first();
    let options = "compare --opt sgd,adam --epochs 2 --init first --batch-size 32 --data data --threads 1";
    place.run(&format!("{options} --out whole")).succeeded();
    place.run(&format!("{options} --out both")).succeeded();
    // As if it had been cut off between the two runs.
    fs::remove_dir_all(place.path("both/adam-seed0")).unwrap();
    let shown = place.run("compare --resume both").succeeded().stdout;
    assert!(shown.contains("sgd-seed0: as before") && !shown.contains("adam-seed0: as before"), "{shown}");
    assert!(model(&place, "both/adam-seed0") == model(&place, "whole/adam-seed0"));

    // Runs that have ended need them no more.
    fs::rename(place.path("first"), place.path("elsewhere")).unwrap();
    place.run("compare --resume both").succeeded();
    fs::rename(place.path("elsewhere"), place.path("first")).unwrap();

    fs::remove_dir_all(place.path("both/adam-seed0")).unwrap();
    let file = place.path("first/model.safetensors");
    place.mnist("--hidden 12,7 --activation tanh --seed 1 --out second").succeeded();
    fs::copy(place.path("second/model.safetensors"), &file).unwrap();
    place.run("compare --resume both").failed(1, &["first/model.safetensors: ", "its weights are others"]);
    assert!(!place.path("both/adam-seed0").exists());
}

#[test]
fn the_configuration_holds_the_weights_digest_and_runs_again_to_the_bit_or_says_that_they_changed() {
    let place = with_first();
    started_from(&place, "--epochs 2 --init first --out run").succeeded();
    let table: toml::Table = toml::from_str(&place.read("run/config.toml")).unwrap();
    let init = table["init"].as_table().unwrap();
    let sum = place.shell("sha256sum first/model.safetensors").succeeded().stdout;
    assert_eq!(init["sha256"].as_str(), sum.split(' ').next());
    let file = place.path("first/model.safetensors");
    assert_eq!(
        Path::new(init["path"].as_str().unwrap()).canonicalize().unwrap(),
        file.canonicalize().unwrap()
    );
    let first: toml::Table = toml::from_str(&place.read("first/config.toml")).unwrap();
    for key in ["mean", "std"] {
        assert_eq!(init[key], first["about"][key]);
        assert_eq!(table["about"][key], first["about"][key]);
    }
    place.run("mnist --config run/config.toml --out again").succeeded();
    assert!(model(&place, "again") == model(&place, "run"));
    assert_eq!(place.read("again/config.toml"), place.read("run/config.toml"));

    let whole = fs::read(&file).unwrap();
    place.mnist("--hidden 12,7 --activation tanh --seed 1 --out second").succeeded();
    fs::copy(place.path("second/model.safetensors"), &file).unwrap();
    let again = || place.run("mnist --config run/config.toml --out other");
    again().failed(1, &["first/model.safetensors: ", "its weights are others", "--init"]);
    fs::remove_file(&file).unwrap();
    again().failed(1, &["first/model.safetensors", "No such file"]);
    assert!(!place.path("other").exists());
    // By hand a path alone will do.
    fs::write(&file, whole).unwrap();
    fs::write(place.path("mine.toml"), "init = \"first\"\nepochs = 1\ndata = \"data\"\nbatch-size = 32\n")
        .unwrap();
    place.run("mnist --config mine.toml --out mine").succeeded();
    assert!(place.read("mine/config.toml").contains("hidden = \"12,7\""));
}

#[test]
fn a_network_that_does_not_fit_is_refused_with_both_named_and_nothing_written() {
    let place = with_first();
    write_data(&place.path("wide"), [12, 13], 3, [64, 32]);
    write_data(&place.path("more"), [12, 12], 5, [64, 32]);
    fs::create_dir(place.path("empty")).unwrap();
    fs::create_dir(place.path("stopped")).unwrap();
    fs::write(place.path("stopped/checkpoint.safetensors"), "").unwrap();
    let refused = |arguments: &str, status: i32, words: &[&str]| {
        for command in ["mnist", "compare"] {
            let fixed = small("--hidden --epochs --data --batch-size");
            let line = format!("{command} {fixed} --batch-size 32 --epochs 1 --out run {arguments}");
            place.run(&line).failed(status, words);
            assert!(!place.path("run").exists(), "{line}: a folder was made");
        }
    };
    let has = "is a network 144-12-7-3, tanh, where options and images make it ";
    let leave_out = "leave out --hidden and --activation, and name images of 144 pixels in 3 classes";
    for (arguments, made) in [
        ("--data data --hidden 16", "144-16-3, tanh"),
        ("--data data --activation relu", "144-12-7-3, relu"),
        ("--data wide", "156-12-7-3, tanh"),
        ("--data more", "144-12-7-5, tanh"),
    ] {
        refused(
            &format!("{arguments} --init first"),
            1,
            &["first/model.safetensors: ", has, made, leave_out],
        );
    }
    refused("--data data --init nowhere", 1, &["--init", "nowhere", "No such file"]);
    refused("--data data --init empty", 1, &["--init", "empty", "holds no model.safetensors"]);
    refused("--data data --init stopped", 1, &["--init", "cotangent mnist --resume"]);
    refused("--data data --init data/t10k-labels-idx1-ubyte", 1, &["--init", "is damaged"]);
    place.run("mnist --resume first --init first").failed(2, &["the run's own options"]);
}
