//! Large formulas and deep nesting: read, traced and written, or refused; never a stack overflow.

use cotangent::document::{Paper, TextStyle, latex, markdown, text};
use cotangent::scalar::format::{Notation, csv, json, page};
use cotangent::scalar::{parse, parse_point, trace};

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
                text(&page(Notation::Griewank), TextStyle::PLAIN),
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

#[test]
fn tangents_that_would_not_fit_into_memory_are_refused_with_what_to_do() {
    let names: Vec<String> = (0..12_000).map(|i| format!("x{i}")).collect();
    let point: Vec<String> = names.iter().map(|name| format!("{name}=1")).collect();
    let error = trace(
        &parse(&names.join("*")).unwrap(),
        &parse_point(&point.join(",")).unwrap(),
        &Default::default(),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("--wrt"), "{error}");
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let error = parse(&"x".repeat(cotangent::scalar::LONGEST + 1)).unwrap_err().to_string();
    assert!(error.contains("at most 8388608 are read"), "{error}");
}
