//! What the program says of itself.

use super::*;

#[test]
fn without_a_command_it_shows_help_and_fails() {
    let place = Workplace::new();
    let Finished { status, stdout, stderr } = place.run("");
    assert_eq!((status, stdout.as_str()), (Some(2), ""));
    for word in ["mnist", "compare", "trace", "doctor", "Exit status: 0 done, 1 the work failed, 2 bad usage"]
    {
        assert!(stderr.contains(word), "{stderr}");
    }
}

#[test]
fn help_names_each_option_and_its_values_once() {
    let place = Workplace::new();
    let own = ["--resume"];
    let shared = [
        "--opt",
        "--lr",
        "--schedule",
        "--weight-decay",
        "--epochs",
        "--batch-size",
        "--seed",
        "--threads",
        "--hidden",
        "--activation",
        "--dropout",
        "--augment",
        "--device",
        "--precision",
        "--data",
        "--validation",
        "--config",
        "--out",
        "--quiet",
    ];
    for (command, own) in [("mnist", &own[..]), ("compare", &["--seeds", "--resume", "--check-torch"])] {
        let long = place.run(&format!("{command} --help")).succeeded().stdout;
        assert_eq!(long, place.run(&format!("{command} -h")).succeeded().stdout);
        for option in shared.iter().chain(own) {
            let lines = long.lines().filter(|line| line.split_whitespace().next() == Some(option));
            assert_eq!(lines.count(), 1, "{option} in {long}");
        }
        let words: Vec<&str> = long.split(|c: char| !(c.is_alphanumeric() || "-".contains(c))).collect();
        for value in ["cosine", "sigmoid", "bf16"] {
            assert_eq!(words.iter().filter(|word| **word == value).count(), 1, "{value} in {long}");
        }
        assert!(!long.contains("possible values") && !long.contains("Possible values"), "{long}");
    }
}
