//! Derivatives that do not exist: an error where they are asked for, a dash and a note where they are not.

use cotangent::document::{Paper, TextPage, latex, text};
use cotangent::scalar::format::{Notation, csv, diagram, json, page};
use cotangent::scalar::{Directions, Trace, TraceRequest, parse, parse_point, trace};

use super::traced_as;

fn along(names: &[&str], hessian: bool) -> TraceRequest {
    let directions = Directions::Along(names.iter().map(|name| ((*name).to_owned(), 1.0)).collect());
    TraceRequest { directions, hessian }
}

fn gradient(found: &Trace, name: &str) -> f64 {
    found.gradient().find(|(other, _)| *other == name).unwrap().1
}

#[test]
fn an_input_that_does_not_move_asks_for_no_derivative() {
    for (formula, point, wrt, derivative, undefined) in [
        ("x^y", "x=-2,y=3", "x", 12.0, "y"),
        ("x^2 + sqrt(y)", "x=3,y=0", "x", 6.0, "y"),
        ("x*(1 + acos(y))", "x=3,y=1", "x", 1.0, "y"),
        ("x^sqrt(y)", "x=-2,y=0", "x", 0.0, "y"),
        ("z*x^y + z", "x=-2,y=3,z=5", "z", -7.0, "y"),
        ("y^x", "x=3,y=-2", "y", 12.0, "x"),
    ] {
        let found = traced_as(formula, point, &along(&[wrt], false));
        assert_eq!(gradient(&found, wrt), derivative, "{formula}");
        assert_eq!(found.rows.last().unwrap().tangents, [derivative], "{formula}");
        assert!(!gradient(&found, undefined).is_finite(), "{formula}");
        let note = format!("the derivative by {undefined} was not asked for and has no value here: ");
        assert!(found.notes.iter().any(|found| found.starts_with(&note)), "{formula}: {:?}", found.notes);
        assert_eq!(found.checks.inner_product.agrees(), Some(true), "{formula}");
        let moving = found.point.iter().position(|(name, _)| name == wrt);
        for check in &found.checks.differences {
            assert_ne!(check.agrees(), Some(false), "{formula}: {check:?}");
        }
        let check = found.checks.differences.iter().find(|check| check.input == moving).unwrap();
        assert_eq!(check.agrees(), Some(true), "{formula}: {check:?}");
    }
}

#[test]
fn what_does_not_exist_is_null_in_json_empty_in_csv_and_a_dash_on_the_page() {
    let found = traced_as("x^y", "x=-2,y=3", &along(&["x"], false));
    let json: serde_json::Value = serde_json::from_str(&json(&found).unwrap()).unwrap();
    assert_eq!(json["gradient"], serde_json::json!({"x": 12.0, "y": null}));
    assert!(
        json["notes"][0].as_str().unwrap().contains("v1 = v-1^v0 by v0 is not defined at v-1 = -2, v0 = 3")
    );
    assert!(csv(&found).unwrap().contains("reverse,,v0,y,3,,v1,,\n"), "{}", csv(&found).unwrap());
    let page = |notation| page(&found, notation, 4, None);
    let shown = text(&page(Notation::Griewank), TextPage::PLAIN);
    assert!(shown.contains("y      ∂f/∂y = v\u{304}0              –"), "{shown}");
    let shown = [
        shown,
        latex(&page(Notation::Latex), Paper::Portrait),
        format!("{:?}", diagram(&found, Notation::Plain, 4)),
    ];
    assert!(shown.iter().all(|text| !text.contains("NaN")), "{shown:?}");
}

#[test]
fn a_direction_asks_for_the_inputs_that_it_moves() {
    let formula = parse("x^y + z*x").unwrap();
    let point = parse_point("x=-2,y=3,z=1").unwrap();
    let found = trace(&formula, &point, &along(&["x", "z"], true)).unwrap();
    assert_eq!(found.rows.last().unwrap().tangents, [13.0 - 2.0]);
    let hessian = found.hessian.unwrap();
    assert_eq!([hessian[0][0], hessian[0][2], hessian[2][0], hessian[2][2]], [-12.0, 1.0, 1.0, 0.0]);
    assert!(hessian[1][1].is_nan() && hessian[1][0].is_nan());
    assert!(found.notes.iter().any(|note| note.starts_with("second derivatives by inputs that do not move")));
    // By 0 it does not move either.
    let still = TraceRequest {
        directions: Directions::Along(vec![("x".into(), 1.0), ("y".into(), 0.0)]),
        hessian: false,
    };
    assert_eq!(trace(&formula, &point, &still).unwrap().rows.last().unwrap().tangents, [13.0]);
    let asked = trace(&formula, &point, &along(&["x", "y"], false)).unwrap_err().to_string();
    assert!(asked.contains("by y is not defined") && !asked.contains("--wrt"), "{asked}");
}

#[test]
fn where_every_derivative_is_asked_for_the_error_says_which_exist() {
    let refused = |formula: &str, point: &str| {
        trace(&parse(formula).unwrap(), &parse_point(point).unwrap(), &TraceRequest::default())
            .unwrap_err()
            .to_string()
    };
    let error = refused("x^y", "x=-2,y=3");
    assert!(error.contains("by y is not defined at x = -2, y = 3"), "{error}");
    assert!(error.contains("the derivative by x exists, and is given alone with --wrt x"), "{error}");
    let error = refused("x^y + z", "x=-2,y=3,z=1");
    assert!(error.contains("the derivatives by x and 1 more exist: ask for one, as --wrt x does"), "{error}");
    assert!(!refused("sqrt(x)", "x=0").contains("--wrt"));
    assert!(!refused("ln(x)", "x=0").contains("--wrt"));
}
