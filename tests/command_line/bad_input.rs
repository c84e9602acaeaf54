//! What is refused: one message each that says what, where and what to do next, and nothing written.

use super::*;

/// Runs `mnist` on the small data set and checks status, words and that nothing was made.
#[track_caller]
fn refused(place: &Workplace, arguments: &str, status: i32, words: &[&str]) {
    place.mnist(&format!("{arguments} --out run")).failed(status, words);
    assert!(!place.path("run").exists(), "{arguments}: a folder was made");
}

#[test]
fn what_is_no_option_or_no_value_of_one_is_bad_usage() {
    let place = Workplace::new();
    for (arguments, words) in [
        ("--optimizer adam", &["--optimizer", "--opt"][..]),
        ("--opt adm", &["'adm'", "--opt", "did you mean adam?", "adagrad, rmsprop, adam, sgd"]),
        ("--opt AdamW", &["'AdamW'", "decoupled here already: use --opt adam --weight-decay X"]),
        ("--opt NAG", &["--opt nesterov --momentum X"]),
        ("--schedule step", &["'step'", "constant, linear, cosine, one-cycle"]),
        ("--activation gelu", &["'gelu'", "relu, tanh, sigmoid"]),
        ("--augment flips", &["'flips'", "none, shifts"]),
        ("--recipe slow", &["'slow'", "fast"]),
        ("--recipe fast --config run.toml", &["--recipe", "--config"]),
        ("--precision f64", &["'f64'", "f32, tf32, bf16"]),
        ("--lr=abc", &["'abc'", "--lr", "expected a number, such as 0.001"]),
        ("--epochs -1", &["'-1'", "--epochs", "expected a whole number"]),
        ("--epochs 1.5", &["'1.5'", "--epochs", "expected a whole number"]),
        ("--seed -1", &["'-1'", "--seed", "expected a whole number"]),
        ("--seed 99999999999999999999", &["--seed", "too large"]),
        ("--hidden 512,", &["'512,'", "--hidden", "such as 512,256, or none"]),
        ("--hidden -5", &["'-5'", "--hidden", "such as 512,256, or none"]),
        ("--hidden 99999999999999999999", &["--hidden", "fits no memory"]),
        ("extra", &["'extra'"]),
    ] {
        refused(&place, arguments, 2, words);
    }
    for option in ["--hidden", "--out", "--data", "--config", "--resume", "--lr"] {
        Finished::of(place.program().args(["mnist", option, ""])).failed(2, &[option]);
    }
    place.run("train").failed(2, &["'train'"]);
    assert_eq!(place.names(""), ["data"]);
}

#[test]
fn values_that_make_no_sense_are_refused_with_the_rule() {
    let place = Workplace::new();
    for (arguments, words) in [
        ("--epochs 0", &["--epochs 0", "at least 1"][..]),
        ("--epochs 18446744073709551615", &["--epochs 18446744073709551615", "at most"]),
        ("--threads 0", &["--threads 0", "at least 1"]),
        ("--threads 100000", &["--threads 100000", "at most 1024"]),
        ("--batch-size 0", &["--batch-size 0", "at least 1"]),
        ("--batch-size 301", &["--batch-size 301", "at most 300, the number of training images"]),
        ("--batch-size 241 --validation 60", &["--batch-size 241", "at most 240"]),
        ("--hidden 16,0,8", &["--hidden 0", "at least 1"]),
        ("--dropout 1", &["--dropout 1", "[0, 1)"]),
        ("--dropout -0.1", &["--dropout -0.1", "[0, 1)"]),
        ("--dropout NaN", &["--dropout NaN", "[0, 1)"]),
        ("--lr 0", &["--lr 0", "positive"]),
        ("--lr -1", &["--lr -1", "positive"]),
        ("--lr nan", &["--lr NaN", "positive"]),
        ("--lr inf", &["--lr inf", "positive"]),
        ("--weight-decay -1", &["--weight-decay -1", "at least 0"]),
        ("--weight-decay 1000 --lr 0.1", &["--weight-decay 1000", "less than 1/lr"]),
        ("--seed 18446744073709551615", &["--seed 18446744073709551615", "at most 9223372036854775807"]),
        ("--epsilon 0", &["--epsilon 0", "must be in"]),
        ("--beta1 1", &["--beta1 1", "[0, 1)"]),
        ("--opt adam --momentum 0.5", &["--momentum 0.5", "no constant of adam"]),
        ("--device tpu", &["--device tpu", "auto, cpu, cuda or cuda:N"]),
        ("--device cuda:-1", &["--device cuda:-1", "auto, cpu, cuda or cuda:N"]),
        ("--kernels dense --plan graph", &["--plan graph", "--kernels", "leave out one"]),
        ("--device cuda --kernels dense", &["--kernels dense", "is for the CPU"]),
        ("--device cpu --precision tf32", &["--precision tf32", "no kernels yet"]),
        ("--device cpu --plan graph", &["--plan graph", "CUDA"]),
    ] {
        refused(&place, arguments, 2, words);
    }
    for arguments in ["--validation 300", "--validation 301", "--validation 18446744073709551615"] {
        refused(&place, arguments, 1, &["of 300 training images", "hold out fewer than 300"]);
    }
}

#[test]
fn a_network_that_no_memory_holds_is_refused_with_its_size() {
    let place = Workplace::new();
    for (hidden, size) in [
        ("99999999999", "TB"),
        ("18446744073709551615", "ZB"),
        ("18446744073709551615,18446744073709551615", "YB"),
        ("3000000,3000000", "TB"),
    ] {
        let words =
            [&*format!("144-{hidden}-3").replace(',', "-"), size, "make --hidden or --batch-size smaller"];
        refused(&place, &format!("--hidden {hidden}"), 1, &words);
    }
    // Under a limit that this process is given, too: 14 GB do not fit into one.
    let limited =
        "ulimit -v 1000000; exec \"$0\" mnist --data data --threads 1 --hidden 20000,20000 --out run";
    place.shell(limited).failed(1, &["144-20000-20000-3", "14.6 GB", "--hidden"]);
    assert!(!place.path("run").exists());
}

#[test]
fn large_images_take_what_their_plans_say_and_not_what_many_of_them_would() {
    let place = Workplace::new();
    write_data(&place.path("large"), [512, 512], 3, [20, 10]);
    let run = "exec \"$0\" mnist --data large --threads 1 --hidden 4 --epochs 1 --batch-size 4 --out";
    let message = place.shell(&format!("ulimit -v 110000; {run} refused")).failed(
        1,
        &[
            "262144-4-3 with batches of 4 images",
            "for a training step",
            "more for an evaluation",
            "--batch-size smaller",
        ],
    );
    let (_, rest) = message.split_once("takes ").unwrap();
    let (megabytes, _) = rest.split_once(" MB of memory (").unwrap();
    let megabytes: f64 = megabytes.parse().unwrap();
    // Parameters and state of Adam, three times 4.2 MB each; the rest is images, of which a few are in memory at once.
    assert!((80.0..200.0).contains(&megabytes), "{message}");
    // With so much, and what the program itself takes, it runs: libraries, its own code, stacks.
    let kilobytes = megabytes as usize * 1000 + 150_000;
    place.shell(&format!("ulimit -v {kilobytes}; {run} run")).succeeded();
}

#[test]
fn a_configuration_that_cannot_be_used_is_named_with_line_and_key() {
    let place = Workplace::new();
    for (text, words) in [
        ("epochs = 1\n\nbatch = 5\n", &["line 3", "`batch`", "`batch-size`"][..]),
        ("epochs = 1\nlr = \"fast\"\n", &["line 2", "\"fast\"", "a number"]),
        ("epochs = -1\n", &["line 1", "-1"]),
        ("opt = \"sdg\"\n", &["line 1", "\"sdg\"", "did you mean sgd?"]),
        ("opt = \"adamw\"\n", &["line 1", "--weight-decay"]),
        ("opt = 5\n", &["line 1", "`5`", "string"]),
        ("[init]\nfile = \"model\"\n", &["`file`", "`path`"]),
        ("init = 5\n", &["line 1", "the path of a run"]),
        ("hidden = \"512,\"\n", &["line 1", "512,256, or none"]),
        ("hidden = 512\n", &["line 1", "[512, 256]"]),
        ("lr 0.1\n", &["line 1"]),
        ("lr = 0.1\nlr = 0.2\n", &["line 2", "duplicate"]),
    ] {
        fs::write(place.path("mine.toml"), text).unwrap();
        let words = [&["mine.toml"], words].concat();
        place.run("mnist --config mine.toml --out run").failed(1, &words);
        place.run("compare --config mine.toml --out run").failed(1, &words);
    }
    for (text, words) in
        [("epochs = 0\n", ["--epochs 0", "at least 1"]), ("lr = nan\n", ["--lr NaN", "positive"])]
    {
        fs::write(place.path("mine.toml"), text).unwrap();
        place.run("mnist --config mine.toml --out run").failed(2, &[&["mine.toml: "], &words[..]].concat());
    }
    place.run("mnist --config nowhere.toml --out run").failed(1, &["nowhere.toml", "No such file"]);
    place.run("mnist --config data --out run").failed(1, &["data", "directory"]);
    fs::write(place.path("mine.toml"), b"opt = \"\xff\"").unwrap();
    place.run("mnist --config mine.toml --out run").failed(1, &["mine.toml", "UTF-8"]);
    assert!(!place.path("run").exists());
}

#[test]
fn an_output_folder_that_exists_is_refused_and_left_as_it_is() {
    let place = Workplace::new();
    fs::write(place.path("file"), "kept").unwrap();
    place.mnist("--out full").succeeded();
    let before = contents(place.folder.path());
    for out in ["file", "full", "."] {
        for finished in [place.mnist(&format!("--out {out}")), place.compare(&format!("--out {out}"))] {
            finished.failed(1, &["exists already", "another --out"]);
        }
    }
    for out in ["file/below", "file/far/below"] {
        place.mnist(&format!("--out {out}")).failed(1, &["could not make the folder", out]);
    }
    assert!(contents(place.folder.path()) == before, "something was changed");
}

#[test]
fn paths_that_are_not_utf8_work_where_they_can_and_are_refused_where_not() {
    let place = Workplace::new();
    let mut run = place.program();
    run.args(["mnist", "--data", "data", "--epochs", "1", "--hidden", "4", "--out"]).arg(bytes(b"r\xff"));
    Finished::of(&mut run).succeeded();
    assert!(place.path(bytes(b"r\xff")).join("summary.json").exists());
    fs::rename(place.path("data"), place.path(bytes(b"d\xff"))).unwrap();
    let mut run = place.program();
    run.args(["mnist", "--out", "run", "--data"]).arg(bytes(b"d\xff"));
    Finished::of(&mut run).failed(2, &["--data", "UTF-8"]);
    let mut run = place.program();
    run.args(["mnist", "--config"]).arg(bytes(b"c\xff"));
    Finished::of(&mut run).failed(1, &["could not read the configuration"]);
    let mut run = place.program();
    run.args(["mnist", "--lr"]).arg(bytes(b"\xff"));
    Finished::of(&mut run).failed(2, &["UTF-8"]);
}
