//! Large formulas and deep nesting: read, traced and written, or refused; never a stack overflow.

use cotangent::document::{Paper, TextPage, latex, markdown, text};
use cotangent::scalar::format::{Notation, csv, json, page};
use cotangent::scalar::{Directions, Formula, Point, TraceRequest, parse, trace};

use super::traced;

#[test]
fn a_formula_of_100_000_operations_is_traced_to_json() {
    let formula: Vec<String> = (0..25_000).map(|i| format!("sin(x*{i}.5)/(y+{i})")).collect();
    let formula = formula.join("+");
    let found = traced(&formula, "x=1,y=2,z=3".trim_end_matches(",z=3"));
    assert!(found.costs.value >= 100_000, "{:?}", found.costs);
    let json: serde_json::Value = serde_json::from_str(&json(&found).unwrap()).unwrap();
    assert_eq!(json["reverse"]["rows"].as_array().unwrap().len(), found.rows.len());
    let exact: f64 =
        (0..25_000).map(|i| (f64::from(i) + 0.5).cos() * (f64::from(i) + 0.5) / (2.0 + f64::from(i))).sum();
    let gradient = json["gradient"]["x"].as_f64().unwrap();
    assert!((gradient - exact).abs() < 1e-8 * exact.abs().max(1.0), "{gradient}, not {exact}");
}

/// In a thread whose stack is small, so that recursion of any kind would show.
#[test]
fn nesting_100_000_deep_is_read_traced_and_written_in_every_format() {
    const DEPTH: usize = 100_000;
    let nested = |open: &str, inner: &str, close: &str| open.repeat(DEPTH) + inner + &close.repeat(DEPTH);
    let formulas = [
        nested("(", "x", ")"),
        nested("sin(", "x", ")"),
        nested("-", "x", ""),
        nested("1+(", "x", ")"),
        nested("", "x", "^1"),
        nested("1+(", "2", ")") + "*x",
        nested("cos(", "1", ")") + "*x",
        nested("max(x,", "1", ")"),
    ];
    let work = move || {
        for formula in formulas {
            let found = traced(&formula, "x=1");
            let page = |notation| page(&found, notation, 4, None);
            let written = [
                text(&page(Notation::Griewank), TextPage::PLAIN),
                markdown(&page(Notation::Plain)),
                latex(&page(Notation::Latex), Paper::Portrait),
                csv(&found).unwrap(),
                json(&found).unwrap(),
            ];
            assert!(written.iter().all(|text| !text.is_empty()));
        }
        for other in [nested("|", "x", "|"), nested("√", "x", ""), nested("exp|0*", "x", "|")] {
            assert_eq!(parse(&other).unwrap().variables().len(), 1);
        }
        for broken in [
            nested("(", "x", ""),
            nested("sin(", "", ")"),
            nested("", "x", ")"),
            nested("(", "", ""),
            nested("|", "x", ""),
        ] {
            assert!(parse(&broken).unwrap_err().to_string().len() < 400);
        }
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(work).unwrap().join().unwrap();
}

/// A sum of products of so many inputs, and a point for it.
fn of_inputs(count: usize) -> (Formula, Point) {
    let products: Vec<String> = (0..count).map(|i| format!("x{i}*x{}", (i + 1) % count)).collect();
    let point = (0..count).map(|i| (format!("x{i}"), 1.0 + (i % 7) as f64 / 4.0)).collect();
    (parse(&products.join("+")).unwrap(), point)
}

#[test]
fn beyond_32_inputs_the_forward_trace_is_left_out_and_every_format_says_why() {
    let traced = |count: usize, directions: Directions| {
        let (formula, point) = of_inputs(count);
        trace(&formula, &point, &TraceRequest { directions, hessian: false }).unwrap()
    };
    let found = traced(33, Directions::Each);
    let why = found.forward_omitted.clone().unwrap();
    assert!(why.contains("a sweep for each input, 33 here") && why.contains("--wrt NAME"), "{why}");
    assert!(found.directions.is_empty() && found.rows.iter().all(|row| row.tangents.is_empty()));
    let written: serde_json::Value = serde_json::from_str(&json(&found).unwrap()).unwrap();
    assert_eq!(written["forward"], serde_json::json!([]));
    assert_eq!(written["forward_omitted"], why);
    assert!(
        csv(&found).unwrap().lines().nth(1).unwrap().starts_with("forward omitted,,,\"the forward trace")
    );
    let page = |notation| page(&found, notation, 4, None);
    for text in [
        text(&page(Notation::Griewank), TextPage::PLAIN),
        markdown(&page(Notation::Plain)),
        latex(&page(Notation::Latex), Paper::Portrait),
    ] {
        let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("the forward trace is left out: it takes a sweep for each input, 33"),
            "{text}"
        );
        assert!(!text.contains("tangent rule"), "{text}");
    }
    // All else is complete, and forward mode is still held against reverse mode.
    for (i, (name, derivative)) in found.gradient().enumerate() {
        let (before, after) = (found.point[(i + 32) % 33].1, found.point[(i + 1) % 33].1);
        assert_eq!(derivative, before + after, "{name}");
    }
    assert_eq!(written["reverse"]["rows"].as_array().unwrap().len(), found.rows.len());
    let sum: f64 = found.gradient().map(|(_, g)| g).sum();
    assert_eq!(found.checks.inner_product.agrees(), Some(true));
    assert_eq!([found.checks.inner_product.forward, found.checks.inner_product.reverse], [sum, sum]);

    let within = traced(32, Directions::Each);
    assert_eq!((within.forward_omitted, within.directions.len()), (None, 32));
    let along = traced(33, Directions::Along(vec![("x3".into(), 1.0)]));
    assert_eq!((&along.forward_omitted, along.directions.len()), (&None, 1));
    assert!(!json(&along).unwrap().contains("forward_omitted"));
}

#[test]
fn what_is_written_of_many_inputs_grows_as_their_number() {
    let sizes = [500, 1000].map(|count| {
        let (formula, point) = of_inputs(count);
        let found = trace(&formula, &point, &TraceRequest::default()).unwrap();
        assert_eq!(found.checks.differences.iter().filter(|check| check.agrees() == Some(true)).count(), 1);
        let page = |notation| page(&found, notation, 4, None);
        [
            text(&page(Notation::Griewank), TextPage::PLAIN),
            markdown(&page(Notation::Plain)),
            latex(&page(Notation::Latex), Paper::Portrait),
            csv(&found).unwrap(),
            json(&found).unwrap(),
        ]
        .map(|text| text.len())
    });
    for (half, whole) in sizes[0].iter().zip(sizes[1]) {
        assert!(whole < half * 5 / 2, "{half} bytes for 500 inputs, {whole} for 1000");
    }
}

#[test]
fn second_derivatives_by_too_many_inputs_are_refused() {
    let (formula, point) = of_inputs(1001);
    let request = TraceRequest { hessian: true, ..TraceRequest::default() };
    let error = trace(&formula, &point, &request).unwrap_err().to_string();
    assert!(error.contains("1001 inputs") && error.contains("leave --hessian out"), "{error}");
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let error = parse(&"x".repeat(cotangent::scalar::LONGEST + 1)).unwrap_err().to_string();
    assert!(error.contains("at most 8388608 are read"), "{error}");
}
