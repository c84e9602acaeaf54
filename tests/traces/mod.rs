//! Formulas: read, differentiated in both modes, and shown, against textbooks, differences and themselves.

mod formulas;
mod kinks;
mod mistakes;
mod names;
mod printed;
mod ranges;
mod scale;
mod textbooks;
mod unasked;

use cotangent::scalar::{Trace, TraceRequest, parse, parse_point, trace};

use crate::support::Random;

/// The exercise: Griewank and Walther's notation, the formula that everybody begins with.
const EXERCISE: (&str, &str) = ("(x1*x2*sin(x3) + exp(x1*x2))/x3", "x1=1,x2=1.5,x3=2");

/// That there is no trace at a point, and that the error holds these words.
#[track_caller]
fn refused(formula: &str, point: &str, words: &[&str]) {
    let error = trace(&parse(formula).unwrap(), &parse_point(point).unwrap(), &TraceRequest::default());
    let error = error.expect_err(formula).to_string();
    for word in words {
        assert!(error.contains(word), "{formula} at {point}: {word:?} is not in: {error}");
    }
}

/// The trace of a formula at a point, by all inputs.
#[track_caller]
fn traced(formula: &str, point: &str) -> Trace {
    traced_as(formula, point, &TraceRequest::default())
}

#[track_caller]
fn traced_as(formula: &str, point: &str, request: &TraceRequest) -> Trace {
    let parsed = parse(formula).unwrap_or_else(|error| panic!("{formula}: {error}"));
    let point = parse_point(point).unwrap_or_else(|error| panic!("{point}: {error}"));
    trace(&parsed, &point, request).unwrap_or_else(|error| panic!("{formula}: {error}"))
}

/// A formula over x, y and z that is defined everywhere, without kinks at random points.
fn random_formula(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.below(8) == 0 {
        return match random.below(6) {
            0 => format!("{}", 1 + random.below(5)),
            1 => "pi".into(),
            2 => format!("{:.2}", random.between(0.1, 2.0)),
            _ => random.pick(&["x", "y", "z"]).into(),
        };
    }
    let mut part = || random_formula(random, depth - 1);
    let (a, b) = (part(), part());
    match random.below(24) {
        0 => format!("({a} + {b})"),
        1 => format!("({a} - {b})"),
        2 | 3 => format!("{a} * ({b})"),
        4 => format!("({a}) / (2 + sin({b}))"),
        5 => format!("-({a}) + {b}"),
        6 => format!("sin({a})"),
        7 => format!("cos({a})"),
        8 => format!("tan(0.5*sin({a}))"),
        9 => format!("asin(0.9*sin({a})) + {b}"),
        10 => format!("acos(0.9*cos({a}))"),
        11 => format!("atan({a}) * atan({b})"),
        12 => format!("sinh(sin({a}))"),
        13 => format!("cosh(tanh({a}))"),
        14 => format!("tanh({a})"),
        15 => format!("exp(sin({a}))"),
        16 => format!("ln(1 + ({a})^2)"),
        17 => format!("log10(2 + cos({a}))"),
        18 => format!("sqrt(1 + ({a})^2)"),
        19 => format!("sigmoid({a})"),
        20 => format!("(1.5 + sin({a}))^sin({b})"),
        21 => format!("max({a}, {b} + 0.001)"),
        22 => format!("min(relu({a}), abs({b}))"),
        _ => format!("pow(tanh({a}), 3)"),
    }
}
