//! What a terminal is sent: escapes where it takes them, and lines that it has room for.

use super::*;

/// The program on a terminal of so many columns. `script` (of util-linux) makes the terminal.
fn on_terminal(place: &Workplace, variables: &[(&str, &str)], columns: usize, arguments: &str) -> String {
    let mut command = Command::new("script");
    let line = format!("stty cols {columns} rows 24; exec '{PROGRAM}' {arguments}");
    command.current_dir(place.folder.path()).stdin(Stdio::null()).args(["-q", "-c", &line, "/dev/null"]);
    for name in ["NO_COLOR", "CI", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.env("SHELL", "/bin/sh").env("TERM", "xterm").env("CUDA_VISIBLE_DEVICES", "-1");
    let output = command.envs(variables.iter().copied()).output().expect("script, of util-linux, runs");
    String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")
}

/// Something of each kind that a command shows a person.
fn shown(place: &Workplace, variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let mnist = format!("mnist {} --out run", small(""));
    let commands = [
        "--help",
        "mnist --help",
        "mnist --opt none",
        "mnist --lr",
        "trace x*x --at x=1",
        "backprop --columns 2",
        &mnist,
    ];
    let of = |arguments: &str| (arguments.to_owned(), on_terminal(place, variables, 80, arguments));
    let shown = commands.map(of).into();
    fs::remove_dir_all(place.path("run")).unwrap();
    shown
}

#[test]
fn no_escape_reaches_a_terminal_without_them_or_a_person_who_wants_none() {
    let place = Workplace::new();
    let none = [[("TERM", "dumb")], [("NO_COLOR", "1")], [("TERM", "")]];
    for variables in none {
        for (arguments, text) in shown(&place, &variables) {
            assert!(
                !text.is_empty() && !text.contains(['\x1b', '\r']),
                "{variables:?} {arguments}: {text:?}"
            );
        }
    }
    // An empty NO_COLOR is none.
    for (arguments, text) in shown(&place, &[("NO_COLOR", "")]) {
        assert!(text.contains('\x1b'), "{arguments} shows that no terminal was there: {text:?}");
    }
}

#[test]
fn images_held_out_have_columns_of_their_own_and_a_narrow_terminal_goes_without_the_times() {
    let place = Workplace::new();
    let lines = |columns: usize| {
        let arguments = format!("mnist {} --validation 60 --out run{columns}", small(""));
        let text = on_terminal(&place, &[("TERM", "dumb")], columns, &arguments);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let head = lines.iter().position(|line| line.starts_with("epoch ")).unwrap();
        assert!(lines[head - 1..head + 3].iter().all(|line| line.len() <= columns), "{text}");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let log = place.read(&format!("run{columns}/metrics.csv"));
        let row: Vec<f64> = cells(&log)[1].iter().map(|cell| cell.parse().unwrap()).collect();
        let expected = [row[1], row[9], row[4]]; // training objective, validation and test accuracy
        let found = words(&lines[head + 1]);
        assert_eq!(found[1], format!("{:.5}", expected[0]));
        assert_eq!(
            [&found[4], &found[6]],
            [expected[1], expected[2]].map(|x| format!("{:.2}%", 100.0 * x)).each_ref()
        );
        assert!(lines[head + 3].contains("%, validation accuracy "), "{text}");
        (words(&lines[head - 1]).join(" "), words(&lines[head]).len(), found.len())
    };
    assert_eq!(lines(76), ("training validation test".into(), 9, 9));
    assert_eq!(lines(60), ("training validation test".into(), 7, 7));
}
