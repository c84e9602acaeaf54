//! `mnist`: the run folder, its contents, and what decides them.

use std::collections::HashMap;

use cotangent::exec::Bf16Unit;
use safetensors::SafeTensors;

use super::*;

const HEADER: &str =
    "epoch,objective,train_accuracy,test_objective,test_accuracy,learning_rate,seconds,examples_per_second";

type Shapes = Vec<(String, Vec<usize>)>;

/// (name, shape) of all tensors of a model file, sorted by name, and its metadata.
fn model(bytes: &[u8]) -> (Shapes, HashMap<String, String>) {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let mut shapes: Shapes =
        tensors.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect();
    shapes.sort();
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    (shapes, header.metadata().clone().unwrap())
}

#[test]
fn a_run_folder_holds_the_files_that_the_contract_names() {
    let place = Workplace::new();
    place.mnist("--opt sgd --epochs 3 --seed 5 --out run").succeeded();
    assert_eq!(place.names("run"), FILES);
    for name in ["accuracy", "confusion", "objective"] {
        assert!(is_svg(&place.path(format!("run/{name}.svg"))), "{name}");
        assert!(is_png(&place.path(format!("run/{name}.png"))), "{name}");
    }
}

#[test]
fn metrics_have_a_row_an_epoch_that_counts_every_image() {
    let place = Workplace::new();
    place.mnist("--opt adam --epochs 3 --out run").succeeded();
    let text = place.read("run/metrics.csv");
    let rows = cells(&text);
    assert_eq!(rows[0].join(","), HEADER);
    assert_eq!(rows.len(), 4);
    for (epoch, row) in rows.iter().enumerate().skip(1) {
        let numbers: Vec<f64> = row.iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(numbers[0], epoch as f64);
        // 300 = 9 · 32 + 12: the last, smaller batch is trained on too.
        assert!((numbers[6] * numbers[7] - TRAIN as f64).abs() < 1e-6, "{row:?}");
        assert!(numbers.iter().all(|x| x.is_finite()));
        assert!(numbers[1] > 0.0 && (0.0..=1.0).contains(&numbers[2]) && (0.0..=1.0).contains(&numbers[4]));
        let correct = numbers[4] * TEST as f64;
        assert!((correct - correct.round()).abs() < 1e-9, "an accuracy is a share of {TEST} images");
    }
    let last: f64 = rows[3][4].parse().unwrap();
    assert!(last > 0.9, "the pattern was not learnt: {last}");
}

#[test]
fn the_summary_agrees_with_the_log_and_the_confusion_matrix() {
    let place = Workplace::new();
    place.mnist("--opt rmsprop --epochs 3 --seed 7 --out run").succeeded();
    let summary: serde_json::Value = serde_json::from_str(&place.read("run/summary.json")).unwrap();
    let text = place.read("run/metrics.csv");
    let rows = cells(&text);
    let column = |index: usize| -> Vec<f64> { rows[1..].iter().map(|r| r[index].parse().unwrap()).collect() };
    assert_eq!(summary["optimizer"], "rmsprop");
    assert_eq!(summary["epochs"], 3);
    assert_eq!(summary["seed"], 7);
    assert_eq!(summary["device"], "cpu");
    assert_eq!(summary["threads"], 1);
    assert_eq!(summary["precision"], "f32");
    assert_eq!(summary["parameters"], 145 * 16 + 17 * 3);
    // serde_json reads decimals to within a unit in the last place.
    let assert_says = |key: &str, expected: f64| {
        let found = summary[key].as_f64().unwrap();
        assert!((found - expected).abs() <= f64::EPSILON * expected, "{key}: {found}, not {expected}");
    };
    assert_says("test_objective", *column(3).last().unwrap());
    assert_says("test_accuracy", *column(4).last().unwrap());
    assert_says("train_seconds", column(6).iter().sum());
    let goal = column(4).iter().position(|&accuracy| accuracy >= 0.98);
    let seconds = goal.map(|epoch| column(6)[..=epoch].iter().sum::<f64>());
    match seconds {
        Some(seconds) => assert_says("seconds_to_98", seconds),
        None => assert!(summary["seconds_to_98"].is_null(), "{summary}"),
    }

    let confusion = place.read("run/confusion.csv");
    let counts: Vec<Vec<usize>> = cells(&confusion)[1..]
        .iter()
        .map(|row| row[1..].iter().map(|n| n.parse().unwrap()).collect())
        .collect();
    assert_eq!(cells(&confusion)[0], ["true\\predicted", "0", "1", "2"]);
    assert_eq!(counts.iter().map(|row| row.iter().sum()).collect::<Vec<usize>>(), [TEST / 3; 3]);
    let correct = (0..3).map(|class| counts[class][class]).sum::<usize>() as f64 / TEST as f64;
    assert_eq!(summary["test_accuracy"], correct);
}

#[test]
fn the_confusion_matrix_has_the_true_classes_as_its_rows() {
    let place = Workplace::new();
    // Test images that look like class 2 but are labelled 1, so that true and predicted class differ.
    let file = place.path("data/t10k-labels-idx1-ubyte");
    let mut bytes = fs::read(&file).unwrap();
    bytes[8..].iter_mut().for_each(|label| *label = (*label).min(1));
    fs::write(file, bytes).unwrap();
    place.mnist("--opt rmsprop --epochs 3 --out run").succeeded();
    let third = (TEST / 3).to_string();
    let confusion = place.read("run/confusion.csv");
    let rows: Vec<Vec<&str>> = cells(&confusion)[1..].iter().map(|row| row[1..].to_vec()).collect();
    assert_eq!(rows, [[&third[..], "0", "0"], ["0", &third, &third], ["0", "0", "0"]]);
}

#[test]
fn a_run_that_never_reaches_98_percent_says_null() {
    let place = Workplace::new();
    place.mnist("--lr 1e-9 --epochs 1 --out run").succeeded();
    let summary: serde_json::Value = serde_json::from_str(&place.read("run/summary.json")).unwrap();
    assert!(summary.as_object().unwrap()["seconds_to_98"].is_null());
}

#[test]
fn the_configuration_holds_every_option_and_the_update_rule() {
    let place = Workplace::new();
    place.mnist("--out run").succeeded();
    let config = place.read("run/config.toml");
    let table: toml::Table = toml::from_str(&config).unwrap();
    for key in [
        "opt",
        "lr",
        "schedule",
        "weight-decay",
        "epochs",
        "batch-size",
        "seed",
        "threads",
        "hidden",
        "activation",
        "dropout",
        "augment",
        "device",
        "precision",
        "data",
        "validation",
    ] {
        assert!(table.contains_key(key), "{key} is missing:\n{config}");
    }
    let rule = table["about"]["update_rule"].as_str().unwrap();
    assert!(rule.contains("m_hat / (sqrt(v_hat) + 1e-8)") && rule.contains("0.999"), "{rule}");
    assert_eq!(table["about"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    let data = place.path("data").canonicalize().unwrap();
    assert_eq!(Path::new(table["data"].as_str().unwrap()).canonicalize().unwrap(), data);
}

#[test]
fn a_configuration_runs_again_to_the_same_bits_from_any_folder() {
    let place = Workplace::new();
    place.mnist("--opt rmsprop --rho 0.8 --lr 0.003 --dropout 0.25 --seed 3 --out run").succeeded();
    fs::create_dir(place.path("elsewhere")).unwrap();
    let mut again = place.program();
    again.current_dir(place.path("elsewhere")).args([
        "mnist",
        "--config",
        "../run/config.toml",
        "--out",
        "../again",
    ]);
    Finished::of(&mut again).succeeded();
    for name in ["model.safetensors", "config.toml", "confusion.csv"] {
        let of = |run: &str| fs::read(place.path(run).join(name)).unwrap();
        assert!(of("run") == of("again"), "{name} differs");
    }
    assert_eq!(
        metrics_without_times(&place.read("run/metrics.csv")),
        metrics_without_times(&place.read("again/metrics.csv"))
    );
}

#[test]
fn the_command_line_overrides_a_configuration_by_hand_and_defaults_fill_the_rest() {
    let place = Workplace::new();
    let mine = "opt = \"sgd\"\nmomentum = 0.5\nepochs = 3\nhidden = [8, 4]\nlr = 1\ndata = \"data\"\n";
    fs::write(place.path("mine.toml"), mine).unwrap();
    place.run("mnist --config mine.toml --epochs 1 --batch-size 50 --lr 0.25 --out run").succeeded();
    let table: toml::Table = toml::from_str(&place.read("run/config.toml")).unwrap();
    let whole = |key: &str| table[key].as_integer().unwrap();
    assert_eq!((whole("epochs"), whole("batch-size"), whole("seed")), (1, 50, 0));
    assert_eq!((table["lr"].as_float(), table["momentum"].as_float()), (Some(0.25), Some(0.5)));
    assert_eq!((table["opt"].as_str(), table["hidden"].as_str()), (Some("sgd"), Some("8,4")));
    // Another optimizer has no use for the file's momentum and learning rate.
    place.run("mnist --config mine.toml --opt adam --out other").succeeded();
    let other = place.read("other/config.toml");
    assert!(other.contains("opt = \"adam\"") && other.contains("lr = 0.002\n"), "{other}");
}

#[test]
fn models_have_pytorchs_names_and_shapes_for_any_number_of_layers() {
    let place = Workplace::new();
    for (hidden, widths) in
        [("none", vec![144, 3]), ("16", vec![144, 16, 3]), ("9,8,7,6", vec![144, 9, 8, 7, 6, 3])]
    {
        for dropout in ["0", "0.4"] {
            let out = format!("run-{hidden}-{dropout}");
            place.mnist(&format!("--hidden {hidden} --dropout {dropout} --epochs 1 --out {out}")).succeeded();
            let bytes = fs::read(place.path(&out).join("model.safetensors")).unwrap();
            let (shapes, metadata) = model(&bytes);
            let mut expected = Vec::new();
            for (layer, pair) in widths.windows(2).enumerate() {
                expected.push((format!("{}.bias", 2 * layer), vec![pair[1]]));
                expected.push((format!("{}.weight", 2 * layer), vec![pair[1], pair[0]]));
            }
            assert_eq!(shapes, expected, "hidden {hidden}, dropout {dropout}");
            let number = |key: &str| metadata[key].parse::<f64>().unwrap();
            let images = fs::read(place.path("data/train-images-idx3-ubyte")).unwrap();
            let values: Vec<f64> = images[16..].iter().map(|&byte| f64::from(byte) / 255.0).collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let std = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
            assert!((number("mean") - mean).abs() < 1e-12 && (number("std") - std).abs() < 1e-12);
        }
    }
}

#[test]
fn the_seed_decides_the_bits_and_the_number_of_threads_does_not() {
    let place = Workplace::new();
    let bits = |arguments: &str, out: &str| {
        place.mnist(&format!("{arguments} --hidden 64,32 --dropout 0.2 --out {out}")).succeeded();
        fs::read(place.path(out).join("model.safetensors")).unwrap()
    };
    let one = bits("--threads 1", "one");
    assert!(one == bits("--threads 1", "again"), "the same seed gave other bits");
    assert!(one == bits("--threads 2", "two"), "two threads gave other bits");
    assert!(one == bits("--threads 4", "four"), "four threads gave other bits");
    assert!(one != bits("--threads 1 --seed 1", "other"), "another seed gave the same bits");
}

#[test]
fn images_held_out_are_not_trained_on_and_have_columns_of_their_own() {
    let place = Workplace::new();
    place.mnist("--validation 60 --out run").succeeded();
    let text = place.read("run/metrics.csv");
    let rows = cells(&text);
    assert_eq!(rows[0].join(","), format!("{HEADER},validation_objective,validation_accuracy"));
    let number = |index: usize| rows[2][index].parse::<f64>().unwrap();
    assert!((number(6) * number(7) - 240.0).abs() < 1e-6);
    let correct = number(9) * 60.0;
    assert!((correct - correct.round()).abs() < 1e-9);
    let summary: serde_json::Value = serde_json::from_str(&place.read("run/summary.json")).unwrap();
    assert_eq!(summary["validation_accuracy"].as_f64(), Some(number(9)));
}

#[test]
fn quiet_prints_nothing() {
    let place = Workplace::new();
    let quiet = place.mnist("--quiet --out run").succeeded();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    place.compare("--quiet --opt adam,sgd --out both").succeeded();
    let loud = place.mnist("--quiet --out run").failed(1, &["run exists already", "--out"]);
    assert_eq!(loud.lines().count(), 1);
}

#[test]
fn without_a_terminal_there_are_plain_lines_that_fit_sixty_columns() {
    let place = Workplace::new();
    let Finished { stdout, stderr, .. } = place.mnist("--epochs 3 --out run").succeeded();
    assert_eq!(stderr, "");
    assert!(!stdout.contains(['\x1b', '\r']), "{stdout:?}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[0], "adam: 144-16-3, relu, batch 32, 2371 parameters, seed 0");
    // What is taken is the machine's and the build's affair; that doctor and a run agree is not.
    let doctor = place.run("doctor --format json").succeeded().stdout;
    let doctor: serde_json::Value = serde_json::from_str(&doctor).unwrap();
    let (auto, why) = (doctor["auto"].as_str().unwrap(), doctor["auto_why"].as_str().unwrap());
    assert!(lines[1].starts_with(&format!("device: {auto}")), "{stdout}");
    assert!(lines[1].ends_with(&format!(" ({why})")) && why.starts_with("chosen automatically"), "{stdout}");
    assert_eq!(lines[2], "writing run");
    assert!(lines[3..8].iter().all(|line| line.len() <= 60), "{stdout}");
    assert!(lines[7].starts_with("    3 "), "{stdout}");
    assert!(lines[8].starts_with("test accuracy ") && lines[8].contains(" after 3 epochs, "), "{stdout}");
    let asked = place.mnist("--device cpu --threads 2 --out asked").succeeded();
    assert!(asked.stdout.contains("\ndevice: cpu with 2 threads (as asked for)\n"), "{}", asked.stdout);
}

#[test]
fn the_folder_is_named_by_time_and_optimizer_unless_said_otherwise() {
    let place = Workplace::new();
    for _ in 0..3 {
        place.mnist("--opt adagrad --epochs 1").succeeded(); // within a second, hence suffixes
    }
    let names = place.names("runs");
    assert_eq!(names.len(), 3, "{names:?}");
    for name in names {
        let (time, rest) = name.split_at(20);
        let pattern: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(pattern, "0000-00-00T00-00-00Z", "{name}");
        assert!(rest.starts_with("-mnist-adagrad"), "{name}");
    }
}

#[test]
fn the_mnist_inside_is_learnt_to_nine_of_ten_in_one_epoch() {
    let place = Workplace::new();
    place.run("mnist --epochs 1 --hidden 32 --out run --quiet").succeeded();
    let summary: serde_json::Value = serde_json::from_str(&place.read("run/summary.json")).unwrap();
    assert!(summary["test_accuracy"].as_f64().unwrap() > 0.9, "{summary}");
    let rows = place.read("run/confusion.csv");
    let total: u64 =
        cells(&rows)[1..].iter().flat_map(|row| &row[1..]).map(|n| n.parse::<u64>().unwrap()).sum();
    assert_eq!(total, 10_000);
    let (_, metadata) = model(&fs::read(place.path("run/model.safetensors")).unwrap());
    assert!(metadata["mean"].starts_with("0.1306") && metadata["std"].starts_with("0.3081"), "{metadata:?}");
}

#[test]
fn a_recipe_gives_the_options_that_are_not_said() {
    let place = Workplace::new();
    let run = |more: &str, out: &str| {
        let fixed = "mnist --recipe fast --data data --epochs 1 --threads 1";
        let words = fixed.split(' ').chain(more.split_whitespace()).chain(["--out", out]);
        Finished::of(place.program().args(words)).succeeded();
        place.read(&format!("{out}/config.toml"))
    };
    let has = |configuration: &str, lines: &[&str]| {
        for line in lines {
            assert!(configuration.lines().any(|found| found == *line), "{line} is not in {configuration}");
        }
    };
    let lines = ["opt = \"adam\"", "hidden = \"256\"", "batch-size = 256", "lr = 0.006", "epochs = 1"];
    has(&run("", "run"), &lines);
    // A learning rate is one optimizer's, as in a configuration file.
    has(
        &run("--opt sgd --hidden 8", "other"),
        &["opt = \"sgd\"", "hidden = \"8\"", "batch-size = 256", "lr = 0.1"],
    );
}

#[test]
fn the_kernels_that_auto_took_are_in_the_configuration_and_a_run_again_takes_them() {
    let place = Workplace::new();
    let kernels = |run: &str| {
        let table: toml::Table = toml::from_str(&place.read(&format!("{run}/config.toml"))).unwrap();
        table["kernels"].as_str().unwrap().to_owned()
    };
    let weights = |run: &str| fs::read(place.path(format!("{run}/model.safetensors"))).unwrap();
    place.mnist("--opt sgd --epochs 1 --device cpu --out auto").succeeded();
    // The images are noise, all pixels of which are something.
    assert_eq!(kernels("auto"), "dense");
    place.mnist("--opt sgd --epochs 1 --device cpu --kernels skipping --out skipping").succeeded();
    assert_eq!(kernels("skipping"), "skipping");
    assert!(weights("skipping") != weights("auto"), "both round alike");
    for run in ["auto", "skipping"] {
        place.run(&format!("mnist --config {run}/config.toml --out {run}-again")).succeeded();
        assert_eq!(
            place.read(&format!("{run}-again/config.toml")),
            place.read(&format!("{run}/config.toml"))
        );
        assert!(weights(&format!("{run}-again")) == weights(run), "{run}");
    }
    place.mnist("--device cpu --kernels amx --out none").failed(2, &["--kernels amx", "--precision bf16"]);
    let amx = place.mnist("--epochs 1 --device cpu --precision bf16 --kernels amx --out amx");
    match Bf16Unit::tiles() {
        Some(_) => {
            amx.succeeded();
            assert_eq!(kernels("amx"), "amx");
        }
        None => {
            amx.failed(2, &["--kernels amx", "no AMX", "use auto"]);
        }
    }
}
