//! `trace`: what it prints, reads and refuses.

use std::io::Write;
use std::process::Stdio;

use super::{Finished, Workplace};

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
    refused(&["trace", "x", "--at", "x=1", "--digits", "0"], &["--digits"]);
    refused(&["trace", "x", "--at", "x=1", "--format", "pdf"], &["pdf"]);
    refused(&["trace", "-h"], &["trace --help"]);
    refused(&["trace", "", "--at", "x=1"], &["the formula is empty"]);
}

#[test]
fn outside_the_domain_is_status_1_and_names_the_node() {
    let place = Workplace::new();
    let words = ["v2 = ln(v1) is infinite at v1 = 0", "(column 5)", "^^^^^^^^^"];
    run(&place, &["trace", "1 + ln(x - 1)", "--at", "x=1"]).failed(1, &words);
    run(&place, &["trace", "sqrt(x)", "--at", "x=0"]).failed(1, &["derivative of v1 = sqrt(v0)"]);
    let kink = run(&place, &["trace", "relu(x)", "--at", "x=0"]).succeeded().stdout;
    assert!(kink.contains("the derivative used there is 0"), "{kink}");
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
    drawn("missing/graph.svg").failed(1, &["cannot write missing/graph.svg"]);
    run(&place, &[&EXERCISE[..], &["--graph", "-", "--format", "json"]].concat()).failed(2, &["name a file"]);
}
