//! `trace`: what it prints, reads and refuses.

use std::io::Write;
use std::process::Stdio;

use super::{Finished, Workplace, is_png};

const EXERCISE: [&str; 4] = ["trace", "(x1*x2*sin(x3) + exp(x1*x2))/x3", "--at", "x1=1,x2=1.5,x3=2"];

fn run(place: &Workplace, arguments: &[&str]) -> Finished {
    Finished::of(place.program().args(arguments))
}

fn exercise(arguments: &[&str]) -> Finished {
    run(&Workplace::new(), &[&EXERCISE[..], arguments].concat())
}

#[test]
fn the_exercise_is_printed_with_both_traces_gradient_and_checks() {
    let page = exercise(&["--wrt", "x2"]).succeeded().stdout;
    for words in [
        "= 2.9228",
        "Forward trace",
        "v6    v5 / v0     2.9228  v\u{307}6 = v\u{307}5 / v0 - v\u{307}0 · v6 / v0   2.6955",
        "= 0.5000 · 0.9093      = 0.4546   2.6955",
        "∂f/∂x3 = v\u{304}0        -1.7735",
        "4.0432",
        "agrees",
        "error 0: agree.",
    ] {
        assert!(page.contains(words), "{words:?} is not in\n{page}");
    }
    assert!(!page.contains('\u{1b}'), "colour where there is no terminal");
}

#[test]
fn each_format_is_what_it_says() {
    let json: serde_json::Value =
        serde_json::from_str(&exercise(&["--format", "json"]).succeeded().stdout).unwrap();
    assert_eq!(json["expression"], EXERCISE[1]);
    assert_eq!(json["forward"].as_array().unwrap().len(), 3);
    assert_eq!(json["forward"][1]["rows"].as_array().unwrap().last().unwrap()["node"], "v6");
    assert_eq!(json["reverse"]["rows"][0]["node"], "v6");
    let one: serde_json::Value = serde_json::from_str(
        &exercise(&["--format", "json", "--direction", "x1=1,x2=0.5"]).succeeded().stdout,
    )
    .unwrap();
    assert_eq!(one["forward"]["direction"], serde_json::json!({"x1": 1.0, "x2": 0.5, "x3": 0.0}));
    let csv = exercise(&["--format", "csv"]).succeeded().stdout;
    assert!(
        csv.starts_with("sweep,direction,node,definition,value,derivative,from,partial,amount\n"),
        "{csv}"
    );
    assert!(exercise(&["--format", "latex"]).succeeded().stdout.starts_with(r"\documentclass"));
    let markdown =
        exercise(&["--format", "markdown", "--notation", "plain", "--digits", "2"]).succeeded().stdout;
    assert!(markdown.contains("| `v2` | `sin(v0)` | `0.91` |"), "{markdown}");
    assert!(exercise(&["--hessian"]).succeeded().stdout.contains("x1   5.0419   6.0568  -2.3337"));
}

#[test]
fn a_formula_may_begin_with_a_minus_or_come_from_standard_input() {
    let place = Workplace::new();
    assert!(run(&place, &["trace", "-x^2", "--at", "x=3"]).succeeded().stdout.contains("= -9.0000"));
    assert!(run(&place, &["trace", "-h", "--at", "h=3"]).succeeded().stdout.contains("= -3.0000"));
    let mut child = place
        .program()
        .args(["trace", "-", "--at", "x=2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"x\n  + sin(0)\n").unwrap();
    let page = Finished::from(child.wait_with_output().unwrap()).succeeded().stdout;
    assert!(page.contains("f = x + sin(0) = 2.0000"), "{page}");
}

#[test]
fn bad_input_is_one_message_with_column_and_caret_and_status_2() {
    let place = Workplace::new();
    let refused = |arguments: &[&str], words: &[&str]| run(&place, arguments).failed(2, words);
    refused(
        &["trace", "2*sine(x)", "--at", "x=1"],
        &["in the formula", "did you mean sin?", "(column 3)", "\n      ^^^^"],
    );
    refused(&["trace", "x*y", "--at", "x=1"], &["y has no value", "column 3"]);
    refused(
        &["trace", "x", "--at", "x=1,y=2"],
        &["in --at", "y is no input of the formula", "(column 5)", "\n    x=1,y=2\n        ^"],
    );
    refused(&["trace", "x", "--at", "x=one"], &["in --at", "column 3"]);
    refused(&["trace", "x", "--at", "x=1", "--wrt", "z"], &["in --wrt", "z is no input", "\n    z\n    ^"]);
    refused(&["trace", "x", "--at", "x=1", "--direction", "x"], &["in --direction", "lacks its value"]);
    let arguments = ["trace", "x", "--at", "x=1", "--direction", "x=1, xx=2"];
    refused(&arguments, &["in --direction", "xx is no input of the formula; did you mean x?", "(column 6)"]);
    let arguments = ["trace", "x", "--at", "x=1", "--at", " height = 2"];
    let words =
        ["in --at", "height is no input of the formula, whose only input is x (column 2)", "\n     ^^^^^^"];
    refused(&arguments, &words);
    refused(&["trace", "x", "--at", "x=1", "--at", "x=2"], &["in --at", "x has a value already (column 1)"]);
    refused(
        &["trace", "x", "--at", "x=1 y"],
        &["in --at", "the value of x: an operator is missing", "(column 5)"],
    );
    refused(
        &["trace", "1e-400*x", "--at", "x=1"],
        &["in the formula", "it would become 0 (column 1)", "^^^^^^"],
    );
    refused(&["trace", "x", "--at", "x=1e-400"], &["in --at", "it would become 0 (column 3)"]);
    let arguments = ["trace", "x", "--at", "x=1", "--direction", "x=1e-400"];
    refused(&arguments, &["in --direction", "it would become 0 (column 3)"]);
    refused(&["trace", "x", "--at", "x=1", "--direction", " "], &["--direction names no input"]);
    refused(&["trace", "x", "--at", "x=1", "--digits", "0"], &["--digits"]);
    refused(&["trace", "x", "--at", "x=1", "--format", "pdf"], &["pdf"]);
    refused(&["trace", "-h"], &["trace --help"]);
    refused(&["trace", "", "--at", "x=1"], &["the formula is empty"]);
}

#[test]
fn inputs_are_given_apart_by_spaces_and_in_several_options() {
    let place = Workplace::new();
    let formula = "√|x| × y²";
    let whole = run(&place, &["trace", formula, "--at", "x=-4,y=3"]).succeeded().stdout;
    assert!(whole.contains("= 18.0000"), "{whole}");
    for at in [&["--at", "x=-4 y=3"][..], &["--at", "x = −4 ; y = 1 + 2"], &["--at", "x=-4", "--at", "y=3"]]
    {
        let arguments = [&["trace", formula][..], at].concat();
        assert_eq!(run(&place, &arguments).succeeded().stdout, whole, "{at:?}");
    }
    let json = |direction: &[&str]| {
        let arguments = ["trace", formula, "--at", "x=-4,y=3", "--format", "json"];
        run(&place, &[&arguments[..], direction].concat()).succeeded().stdout
    };
    let along = json(&["--direction", "x=1,y=0.5"]);
    assert_eq!(json(&["--direction", "x=1 y=1/2"]), along);
    assert_eq!(json(&["--direction", "x=1", "--direction", "y=0.5"]), along);
    assert_eq!(json(&["--wrt", "y"]), json(&["--direction", "y=1"]));
}

#[test]
fn the_file_of_a_graph_is_not_replaced_unasked_and_never_left_half_written() {
    let place = Workplace::new();
    let drawn = |arguments: &[&str]| run(&place, &[&["trace", "x*x", "--at"][..], arguments].concat());
    std::fs::write(place.path("graph.svg"), "a letter to a friend").unwrap();
    // Refused before the work: the formula has no value there, which nobody learns.
    for at in ["x=2", "x=1e300"] {
        let message =
            drawn(&[at, "--graph", "graph.svg"]).failed(2, &["--graph: graph.svg exists already", "--force"]);
        assert!(!message.contains("overflows"), "{message}");
    }
    assert_eq!(place.read("graph.svg"), "a letter to a friend");
    drawn(&["x=2", "--graph", "graph.svg", "--force"]).succeeded();
    assert!(place.read("graph.svg").contains("4.0000"));
    drawn(&["x=2", "--graph", "-"]).succeeded(); // asks for no file
    // A limit on the size of files stands for a disk that is full.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" trace x*x --at x=3 --graph";
    let before = (place.read("graph.svg"), place.names("."));
    place.shell(&format!("{script} other.svg")).failed(1, &["--graph: cannot write other.svg", "free space"]);
    place.shell(&format!("{script} graph.svg --force")).failed(1, &["--graph: cannot write graph.svg"]);
    assert_eq!((place.read("graph.svg"), place.names(".")), before);
}

#[test]
fn the_help_names_every_function() {
    let help = run(&Workplace::new(), &["trace", "--help"]).succeeded().stdout;
    for function in cotangent::scalar::functions() {
        assert!(help.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == function), "{function}");
    }
}

#[test]
fn outside_the_domain_is_status_1_and_names_the_node() {
    let place = Workplace::new();
    let words = ["v2 = ln(v1) is infinite at v1 = 0", "(column 5)", "^^^^^^^^^"];
    run(&place, &["trace", "1 + ln(x - 1)", "--at", "x=1"]).failed(1, &words);
    run(&place, &["trace", "sqrt(x)", "--at", "x=0"]).failed(1, &["derivative of v1 = sqrt(x)"]);
    let kink = run(&place, &["trace", "relu(x)", "--at", "x=0"]).succeeded().stdout;
    assert!(kink.contains("the derivative used there is 0"), "{kink}");
}

#[test]
fn what_is_not_asked_for_need_not_exist_and_what_cannot_be_told_is_no_mistake() {
    let place = Workplace::new();
    let power = ["trace", "x^y", "--at", "x=-2,y=3"];
    run(&place, &power).failed(1, &["by y is not defined", "the derivative by x exists", "--wrt x"]);
    let page = run(&place, &[&power[..], &["--wrt", "x"]].concat()).succeeded().stdout;
    assert!(page.contains("x      ∂f/∂x = v\u{304}-1       12.0000"), "{page}");
    assert!(page.contains("y      ∂f/∂y = v\u{304}0              –"), "{page}");
    let page = run(&place, &["trace", "abs(sin(x))", "--at", "x=pi"]).succeeded().stdout;
    assert!(
        page.contains("cannot tell") && page.contains("Cannot tell for x: v2 = abs(v1) is near its kink"),
        "{page}"
    );
    let root = ["trace", "sqrt(x*x+y*y)", "--at", "x=5e-180,y=12e-180"];
    run(&place, &root).failed(1, &["v1 = x * x underflows to 0 at x = 5e-180", "write hypot(x, y)"]);
}

#[test]
fn with_more_than_32_inputs_the_forward_trace_is_left_out_unless_a_direction_is_given() {
    let place = Workplace::new();
    let names: Vec<String> = (0..40).map(|i| format!("x{i}")).collect();
    let point: Vec<String> = names.iter().map(|name| format!("{name}=2")).collect();
    let (formula, point) = (names.join("+"), point.join(","));
    let traced = |more: &[&str]| -> serde_json::Value {
        let arguments = [&["trace", &formula, "--at", &point, "--format", "json"], more].concat();
        serde_json::from_str(&run(&place, &arguments).succeeded().stdout).unwrap()
    };
    let found = traced(&[]);
    assert_eq!(found["forward"], serde_json::json!([]));
    assert!(found["forward_omitted"].as_str().unwrap().contains("--wrt NAME"), "{found}");
    assert_eq!(found["gradient"]["x39"], 1.0);
    assert_eq!(traced(&["--wrt", "x3"])["forward"]["direction"]["x3"], 1.0);
}

#[test]
fn the_graph_is_drawn_into_files_and_on_the_page() {
    let place = Workplace::new();
    let drawn = |graph: &str| run(&place, &[&EXERCISE[..], &["--graph", graph]].concat());
    drawn("graph.svg").succeeded();
    let svg = place.read("graph.svg");
    roxmltree::Document::parse(&svg).unwrap();
    // Names, operations, values, adjoints, and a partial.
    for words in ["v6", "sin(v0)", "5.8456", "v\u{304}1 = 2.6955", "-0.4161"] {
        assert!(svg.contains(words), "{words:?} is not in {svg}");
    }
    drawn("graph.png").succeeded();
    assert!(std::fs::read(place.path("graph.png")).unwrap().starts_with(b"\x89PNG"));
    drawn("graph.dot").succeeded();
    assert_eq!(place.read("graph.dot").matches(" -> ").count(), 10, "{}", place.read("graph.dot"));
    let page = drawn("-").succeeded().stdout;
    assert!(page.contains("│ v4 = exp(v1) │"), "{page}");
    // x·x has two edges, and a step lets nothing through but is an edge.
    run(&place, &["trace", "x*x + step(x)", "--at", "x=2", "--graph", "square.dot"]).succeeded();
    assert_eq!(place.read("square.dot").matches(" -> ").count(), 5, "{}", place.read("square.dot"));
    drawn("graph.pdf").failed(2, &["graph.pdf", ".svg, .png or .dot"]);
    drawn("made/graph.svg").succeeded();
    run(&place, &[&EXERCISE[..], &["--graph", "-", "--format", "json"]].concat()).failed(2, &["name a file"]);
}

#[test]
fn names_in_any_letters_stand_in_every_drawing_of_the_graph() {
    let place = Workplace::new();
    let graph = |file: &str| {
        let arguments = ["trace", "日本*x", "--at", "日本=3,x=2", "--graph", file];
        Finished::of(place.program().args(arguments)).succeeded().stdout
    };
    // a browser has fonts of its own
    graph("graph.svg");
    assert!(place.read("graph.svg").contains("日本"));
    // the picture's font lacks them: it spells them by their codes, and shows no empty box
    graph("graph.png");
    assert!(is_png(&place.path("graph.png")));
    // an ideograph takes two columns: the sides of its box stand above each other
    let text = graph("-");
    let top = text.lines().position(|line| line.starts_with('┌')).unwrap();
    let lines: Vec<&str> = text.lines().skip(top).take(3).collect();
    let column = |line: &str, side: char| {
        let before: String = line.chars().skip(1).take_while(|&c| c != side).collect();
        before.chars().map(|c| if matches!(c, '日' | '本') { 2 } else { 1 }).sum::<usize>()
    };
    assert!(lines[1].contains("日本"), "{text}");
    assert_eq!(column(lines[0], '┐'), column(lines[1], '│'), "{text}");
}
