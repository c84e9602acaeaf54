//! Numbers beyond float64's range: poles, overflow and underflow are told apart, at the place where they begin.

use cotangent::scalar::{Directions, TraceRequest, parse, parse_point, trace};

use super::{refused, traced, traced_as};

#[test]
fn a_derivative_that_is_infinite_because_a_square_underflows_names_the_square_and_hypot() {
    refused(
        "sqrt(x*x+y*y)",
        "x=5e-180,y=12e-180",
        &[
            "derivative of v4 = sqrt(v3)",
            "because v1 = x * x underflows to 0 at x = 5e-180",
            "write hypot(x, y)",
        ],
    );
    refused(
        "sqrt(a^2 + (b+c)^2 + a^2)",
        "a=1e-200,b=1e-200,c=0",
        &["v1 = a^2 underflows to 0 at a = 1e-200", "write hypot(hypot(a, b + c), a)"],
    );
    refused(
        "sqrt(x*y)",
        "x=1e-200,y=1e-200",
        &["because v1 = x * y underflows to 0", "; rescale the inputs"],
    );
    refused("sqrt(x*x+y*y)", "x=1e200,y=1", &["v1 = x * x overflows at x = 1e200", "write hypot(x, y)"]);
    refused("sqrt((x-1)^2+(y-1)^2)", "x=1e200,y=1", &["write hypot(x - 1, y - 1), which"]);
    refused("(x*x+y*y)^0.5", "x=1e200,y=1", &["write hypot(x, y), which"]);
    // A square that is no part of a length has no such remedy.
    refused("1/x^2", "x=1e-200", &["v1 = x^2 underflows to 0", "; rescale the inputs"]);
}

#[test]
fn a_value_that_leaves_the_range_on_its_way_into_a_point_is_a_mistake() {
    for (point, words) in [
        ("x=1e-300*1e-300", "the value of x underflows"),
        ("y=1, x=1e-320/10", "the value of x underflows"),
        ("x=1/(1e-200*1e-200)", "the value of x is inf"),
    ] {
        let error = parse_point(point).unwrap_err();
        assert!(error.problem().contains(words), "{point}: {error}");
    }
    assert_eq!(parse_point("x=exp(-800)+1").unwrap()[0].1, 1.0);
    assert_eq!(parse_point("x=5e-324").unwrap()[0].1, 5e-324);
}

#[test]
fn values_name_a_pole_an_overflow_or_the_underflow_that_they_stem_from() {
    refused("1/x", "x=0", &["v1 = 1 / x is infinite at x = 0: its divisor must not be 0"]);
    refused("1/x", "x=1e-310", &["v1 = 1 / x overflows at x = 1e-310: it is larger than float64 holds"]);
    refused("x^-1", "x=1e-310", &["v1 = x^(-1) overflows at x = 1e-310"]);
    refused(
        "1/(x*x)",
        "x=1e-200",
        &["v2 = 1 / v1 is infinite at v1 = 0, because v1 = x * x underflows to 0 at x = 1e-200"],
    );
    refused("ln(exp(x))", "x=-800", &["v2 = ln(v1) is infinite at v1 = 0, because v1 = exp(x) underflows"]);
    refused("(x*x)/(x*x)", "x=1e-200", &["is not defined at v1 = 0, because v1 = x * x underflows"]);
    refused("x*1e308 + 1e308*(x+0)", "x=1.7", &["overflows at v1 = 1.7e308, v3 = 1.7e308"]);
}

#[test]
fn a_partial_an_adjoint_a_tangent_or_a_second_derivative_that_overflows_is_not_called_infinite() {
    refused(
        "1/x",
        "x=1e-200",
        &["derivative of v1 = 1 / x by x overflows at x = 1e-200", "larger than float64 holds"],
    );
    refused("(x*1e200)*1e200", "x=1e-300", &["adjoint of x overflows: 1e200 · 1e200", "scale the formula"]);
    refused("x*1e308 + 1.1e308*x", "x=1e-10", &["adjoint of x overflows: the sum of what flows back"]);
    refused("0*sign((x*1e200)*1e200)", "x=1e-300", &["tangent of v2 = v1 * 1e200 overflows", "scale the"]);
    let request = TraceRequest { hessian: true, ..TraceRequest::default() };
    let second = |formula: &str, point: &str| {
        let error = trace(&parse(formula).unwrap(), &parse_point(point).unwrap(), &request);
        error.unwrap_err().to_string()
    };
    let error = second("1/x", "x=1e-120");
    assert!(error.contains("second derivative of f by x and x overflows at this point"), "{error}");
}

#[test]
fn a_partial_that_overflows_on_the_way_to_an_ordinary_gradient_is_a_note() {
    // A step of 1 would overflow in forward mode.
    let directions = Directions::Along(vec![("x".into(), 1e-10)]);
    let found = traced_as("1e-300*(x/1e-310)", "x=1e-5", &TraceRequest { directions, hessian: false });
    let gradient: Vec<f64> = found.gradient().map(|(_, g)| g).collect();
    assert!((gradient[0] / 1e10 - 1.0).abs() < 1e-12, "{gradient:?}");
    let note = "the derivative of v1 = v0 / 1e-310 by v0 overflows at v0 = 1e-5";
    assert!(found.notes.iter().any(|found| found.starts_with(note)), "{:?}", found.notes);
}

#[test]
fn what_underflows_on_the_way_to_a_finite_number_is_a_note() {
    let has = |formula: &str, point: &str, note: &str| {
        let found = traced(formula, point);
        assert!(found.notes.iter().any(|found| found.contains(note)), "{formula}: {:?}", found.notes);
        found
    };
    // 1e-200 is what it should be.
    let found = has(
        "(x*x)/x",
        "x=1e-200",
        "v1 = v0 * v0 underflows to 0 at v0 = 1e-200: what follows from it may be wrong",
    );
    assert_eq!(found.value(), 0.0);
    has("sqrt(x*x)", "x=3e-162", "v1 = v0 * v0 underflows to ");
    has("1 + exp(x)", "x=-800", "v1 = exp(v0) underflows to 0 at v0 = -800");
    has("sigmoid(x)", "x=-800", "v1 = sigmoid(v0) underflows to 0");
    has("1 + x/y", "x=1e-200,y=1e200", "v1 = v-1 / v0 underflows to 0");
    has("x^3", "x=1e-150", "v1 = v0^3 underflows to 0");
    has("(x*1e-200)*1e-200", "x=1e100", "what flows back from v1 to v0 underflows to 0");
    has("x^3", "x=1e-170", "the partial of v1 by v0 underflows to 0");
    assert!(traced("x*x + relu(-x) + (x-x)", "x=1e-100").notes.is_empty());
}
