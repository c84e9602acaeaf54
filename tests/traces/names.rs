//! Two different things never look the same: inputs, rows, the value, in every notation and format.

use std::collections::{HashMap, HashSet};

use cotangent::document::{Paper, TextPage, latex, text};
use cotangent::scalar::format::{Notation, csv, diagram, json, page};
use cotangent::scalar::{Names, TraceRequest, parse, parse_point, trace};

use super::{traced, traced_as};

/// Names that are near to each other, and to what nodes are called.
const NAMES: [&str; 60] = [
    "x",
    "x1",
    "x_1",
    "x__1",
    "x01",
    "x_01",
    "x10",
    "x_",
    "x1_",
    "_x1",
    "_",
    "_1",
    "__1",
    "X",
    "X1",
    "xx",
    "x1x",
    "x_x",
    "alpha",
    "α",
    "Α",
    "a",
    "αα",
    "α1",
    "α_1",
    "αx",
    "xα",
    "alpha1",
    "alpha_1",
    "varepsilon",
    "ε",
    "ν",
    "v",
    "o",
    "ο",
    "é",
    "e1",
    "è",
    "éa",
    "aé",
    "日本",
    "日",
    "本",
    "日本1",
    "日本_1",
    "х",
    "ж",
    "ı",
    "ħ",
    "hbar",
    "Ω",
    "Omega",
    "imath",
    "learning_rate",
    "learning_rate1",
    "learning_rate_1",
    "learningrate",
    "dot_v1",
    "adj_v1",
    "texté",
];

#[test]
fn different_names_have_different_latex_alone_and_side_by_side() {
    for notation in [Notation::Griewank, Notation::Plain, Notation::Latex] {
        let all = Names::beside(NAMES.into_iter());
        let written: HashSet<String> = NAMES.iter().map(|name| notation.with(&all).name(name)).collect();
        assert_eq!(written.len(), NAMES.len());
        for a in NAMES {
            for b in NAMES.into_iter().filter(|b| *b != a) {
                let names = Names::beside([a, b].into_iter());
                let script = notation.with(&names);
                let mut written = vec![script.name(a), script.name(b), script.value()];
                written.extend(
                    (-2..12).flat_map(|row| [script.primal(row), script.tangent(row), script.adjoint(row)]),
                );
                let different: HashSet<&String> = written.iter().collect();
                assert_eq!(different.len(), written.len(), "{a} and {b}: {written:?}");
            }
        }
    }
}

#[test]
fn latex_prints_the_letters_of_a_name() {
    for (name, expected) in [
        ("x1", "x_{1}"),
        ("x_1", "x_{1}"),
        ("x", "x"),
        ("rate", r"\mathrm{rate}"),
        ("learning_rate", r"\mathrm{learning\_rate}"),
        ("α", r"\alpha{}"),
        ("α_1", r"\alpha{}_{1}"),
        ("alpha", r"\mathrm{alpha}"),
        ("Ξ", r"\Xi{}"),
        ("ħω", r"\hbar{}\omega{}"),
        ("é", r"\text{é}"),
        ("café", r"\mathrm{caf}\text{é}"),
        ("日本2", r"\text{日本}_{2}"),
    ] {
        let names = Names::beside([name].into_iter());
        assert_eq!(Notation::Latex.with(&names).name(name), expected);
    }
    let both = Names::beside(["x_1", "x1"].into_iter());
    let script = Notation::Latex.with(&both);
    assert_eq!([script.name("x1"), script.name("x_1")], ["x_{1}", r"\mathrm{x\_}_{1}"]);
}

#[test]
fn a_document_says_which_engine_its_letters_need() {
    let document = |formula: &str, point: &str| {
        latex(&page(&traced(formula, point), Notation::Latex, 4, None), Paper::Portrait)
    };
    for usual in [document("x*α", "x=1,α=2"), document("é*x", "é=1,x=2")] {
        assert!(usual.contains(r"\usepackage[utf8]{inputenc}") && !usual.contains("lualatex"), "{usual}");
    }
    for foreign in [document("日*x", "日=1,x=2"), document("ж*x", "ж=1,x=2")] {
        assert!(foreign.contains("% Compile with lualatex or xelatex") && foreign.contains(r"\RequireTUTeX"));
        assert!(foreign.contains(r"\tracinglostchars=3"), "a letter that is lost is an error");
    }
}

/// What two inputs' and all rows' names are in each format, for inputs that are called like rows.
#[test]
fn rows_have_another_letter_in_every_format_where_an_input_is_called_like_one() {
    let found = traced("relu(v1*dot_w2 - 2)*v1", "v1=1,dot_w2=2");
    let written = |notation| text(&page(&found, notation, 4, None), TextPage::PLAIN);
    let (griewank, plain) = (written(Notation::Griewank), written(Notation::Plain));
    assert!(griewank.contains("f = relu(v1 · dot_w2 - 2) · v1 = 0.0000"), "{griewank}");
    for words in [
        "u-1   v1 ",
        "u\u{307}1 = u\u{307}-1 · u0 + u\u{307}0 · u-1",
        "u\u{304}0",
        "∂f/∂v1 = u\u{304}-1",
        "⟨u\u{304}, u\u{307}⟩",
    ] {
        assert!(griewank.contains(words), "{words:?} is not in\n{griewank}");
    }
    for words in ["dot_u1 = dot_u-1 * u0 + dot_u0 * u-1", "d(f)/d(v1) = adj_u-1", "d(u1)/d(u-1)"] {
        assert!(plain.contains(words), "{words:?} is not in\n{plain}");
    }
    assert_eq!(found.notes, ["u3 = relu(u2) is at its kink, 0: the derivative used there is 0"]);
    let tex = latex(&page(&found, Notation::Latex, 4, None), Paper::Portrait);
    assert!(
        tex.contains(r"\bar{u}_{1} \mathrel{+}= \bar{u}_{2} \cdot \frac{\partial u_{2}}{\partial u_{1}}")
    );
    assert!(!tex.contains(r"\bar{v}") && !tex.contains("v_{0}"), "{tex}");
    let json: serde_json::Value = serde_json::from_str(&json(&found).unwrap()).unwrap();
    assert_eq!(json["forward"][0]["rows"][0]["node"], "u-1");
    assert_eq!(json["forward"][0]["rows"][0]["definition"], "v1");
    assert_eq!(json["reverse"]["rows"][0]["contributions"], serde_json::json!([]));
    assert_eq!(json["reverse"]["rows"][1]["contributions"][0]["from"], "u4");
    assert!(csv(&found).unwrap().contains("\nforward,v1=1,u-1,v1,1,1,,,\n"), "{}", csv(&found).unwrap());
    let drawn: Vec<String> =
        diagram(&found, Notation::Griewank, 4).nodes.into_iter().map(|node| node.name).collect();
    assert_eq!(drawn, ["u-1", "u0", "u1", "u2", "u3", "u4"]);
}

#[test]
fn an_error_never_defines_an_input_by_itself() {
    let refused = |formula: &str, point: &str, request: &TraceRequest| {
        let error = trace(&parse(formula).unwrap(), &parse_point(point).unwrap(), request);
        error.expect_err(formula).to_string()
    };
    let value = |formula, point| refused(formula, point, &TraceRequest::default());
    let error = value("ln(v1)", "v1=-1");
    assert!(error.starts_with("w1 = ln(v1) is not defined at v1 = -1"), "{error}");
    let error = value("sqrt(v1)", "v1=0");
    assert!(error.contains("w1 = sqrt(v1) by v1"), "{error}");
    let error = value("1/(v_1 - 1)", "v_1=1");
    assert!(error.contains("w2 = 1 / w1 is infinite at w1 = 0"), "{error}");
    let second = TraceRequest { hessian: true, ..TraceRequest::default() };
    let error = refused("y + f^1.5", "f=0,y=1", &second);
    assert!(error.contains("second derivative of g by f and f"), "{error}");
}

#[test]
fn the_value_has_another_letter_where_an_input_is_called_f() {
    let found = traced_as("f^2", "f=3", &TraceRequest { hessian: true, ..TraceRequest::default() });
    let shown = text(&page(&found, Notation::Griewank, 4, None), TextPage::PLAIN);
    for words in ["g = f^2 = 9.0000", "∂g/∂f = v\u{304}0", "partial of g", "⟨g\u{304}, g\u{307}⟩"] {
        assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    }
    let drawn = diagram(&found, Notation::Plain, 4);
    assert_eq!((&drawn.title[..], drawn.subtitle.as_deref()), ("g = f^2", Some("g = 9.0000 at f = 3.0000")));
}

#[test]
fn names_are_known_by_their_normal_form_in_formula_point_and_files() {
    let found = traced("x₁ + µ·𝑥1", "x1=1,μ=2");
    assert_eq!(found.gradient().collect::<Vec<_>>(), [("x1", 3.0), ("μ", 1.0)]);
    let keys: HashMap<String, f64> = serde_json::from_value(
        serde_json::from_str::<serde_json::Value>(&json(&found).unwrap()).unwrap()["gradient"].clone(),
    )
    .unwrap();
    assert_eq!(keys, HashMap::from([("x1".to_owned(), 3.0), ("\u{3bc}".to_owned(), 1.0)]));
}
