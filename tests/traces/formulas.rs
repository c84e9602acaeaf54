//! Random formulas: forward mode = reverse mode = differences, and how formulas are read.

use cotangent::scalar::{Directions, TraceRequest, parse};

use super::{random_formula, traced, traced_as};
use crate::support::Random;

#[test]
fn forward_and_reverse_mode_and_differences_agree_on_random_formulas() {
    let mut random = Random::new(11);
    let mut checked = 0;
    for _ in 0..400 {
        let formula = format!("{} + 0*(x+y+z)", random_formula(&mut random, 5));
        let point: Vec<String> =
            ["x", "y", "z"].iter().map(|name| format!("{name}={}", random.between(-1.5, 1.5))).collect();
        let found =
            traced_as(&formula, &point.join(","), &TraceRequest { hessian: true, ..TraceRequest::default() });
        let scale = found.rows.iter().fold(1.0, |scale: f64, row| scale.max(row.adjoint.abs()));
        let output = found.rows.last().unwrap();
        for (i, (name, reverse)) in found.gradient().enumerate() {
            let difference = (output.tangents[i] - reverse).abs();
            assert!(difference <= 1e-11 * scale, "{formula} by {name}: {} and {reverse}", output.tangents[i]);
        }
        assert!(
            found.checks.inner_product.agrees() == Some(true),
            "{formula}: {:?}",
            found.checks.inner_product
        );
        for check in &found.checks.differences {
            assert_ne!(check.agrees(), Some(false), "{formula} at {point:?}: {check:?}");
            // Differences that can tell nothing are no check.
            checked += usize::from(check.uncertainty <= 1e-6 * check.reverse.abs().max(1.0));
        }
        let hessian = found.hessian.unwrap();
        for (i, j) in [(1, 0), (2, 0), (2, 1)] {
            let (a, b) = (hessian[i][j], hessian[j][i]);
            let size = a.abs().max(b.abs()).max(scale);
            assert!((a - b).abs() <= 1e-9 * size, "{formula}: second derivatives {a} and {b}");
        }
    }
    assert!(checked > 1000, "only {checked} of 1200 differences are precise enough to tell anything");
}

#[test]
fn a_gradient_takes_at_most_five_times_the_operations_of_the_value() {
    let mut random = Random::new(12);
    // A power whose exponent varies is exp(y ln x): three operations, and one node here.
    let varying_power = |formula: &str| formula.matches(")^sin(").count();
    for formula in (0..300).map(|_| random_formula(&mut random, 6)).chain(worst_cases()) {
        let inputs: Vec<String> =
            parse(&formula).unwrap().variables().iter().map(|(name, _)| format!("{name}=0.7")).collect();
        let costs = traced(&formula, &inputs.join(",")).costs;
        let value = costs.value + 2 * varying_power(&formula);
        assert!(costs.value + costs.reverse <= 5 * value, "{formula}: {costs:?}");
    }
}

/// For each operation a formula of nothing else.
fn worst_cases() -> Vec<String> {
    let chain = |next: &str| (0..20).fold("x".to_owned(), |formula, _| next.replace('#', &formula));
    [
        "sin(#)",
        "tan(#)",
        "sigmoid(#)",
        "atan(#)",
        "tanh(#)",
        "cosh(sin(#))",
        "sqrt(1+#)",
        "abs(#)",
        "relu(#)",
        "x/(1+#)",
        "x-#",
        "(#)*x",
        "max(#,x)",
        "min(x,#)",
        "(#)^3",
        "y/(x/(1+#))",
        "asin(0.1*(#))",
        "log10(3+#)",
    ]
    .map(chain)
    .into()
}

#[test]
fn operators_bind_as_in_mathematics() {
    for (formula, value) in [
        ("-x^2", -4.0),
        ("2^3^2", 512.0),
        ("2^-1", 0.5),
        ("-2^-x", -0.25),
        ("8/4/2", 1.0),
        ("8-4-2", 2.0),
        ("2+3*x^2", 14.0),
        ("-x*3", -6.0),
        ("2--x", 4.0),
        ("2*-x", -4.0),
        ("+x", 2.0),
        ("(2+3)*x", 10.0),
        ("1.5e1+.5+2.", 17.5),
        ("2·x − 1", 3.0),
        ("max(x, 3) - min(x, 3)", 1.0),
        ("log(e^x) + ln(e)", 3.0),
        ("abs(-x) + relu(-x)", 2.0),
        ("pow(x, 3) + sqrt(x*8)", 12.0),
        ("  x\n + 1\t", 3.0),
        ("e^0 + pi/pi", 2.0),
        ("2*pi", 2.0 * std::f64::consts::PI),
        ("θ_1", 5.0),
        ("x**3 + 2**-1", 8.5),
        ("2**3**2", 512.0),
        ("x² + x³ + x⁻¹ - x⁰", 11.5),
        ("x¹⁰", 1024.0),
        ("-x²", -4.0),
        ("2^x²", 16.0),
        ("x^2²", 16.0),
        ("(x + 1)² · sin(x)⁰", 9.0),
        ("√16", 4.0),
        ("√(x + 2)", 2.0),
        ("√x²", 2.0),
        ("√x^4", 4.0),
        ("√x*y - y*√x", 0.0),
        ("√16/x", 2.0),
        ("2^√16", 16.0),
        ("-√√16", -2.0),
        ("|x - 5|", 3.0),
        ("||x - 5| - 4|", 1.0),
        ("|x|*|-y| - |x + |y||", 3.0),
        ("-|-x|²", -4.0),
        ("2^|-3|", 8.0),
        ("ln|-e| + max(|-x|, |x - 3|)", 3.0),
        ("√|-16|", 4.0),
        ("x⋅x × x ∗ x ∙ x", 32.0),
        ("8 ÷ x ∕ 2 − 1 – 1 — 1 ‒ 1", -2.0),
        ("（８＋ｘ）＊２／４", 5.0),
        ("2 * \u{a0}x\u{2009}+\u{202f}1\u{200b}", 5.0),
        ("2\u{2062}x", 4.0),
        ("½*x + ¾", 1.75),
        ("1e−1 * x", 0.2),
        ("2*π - 2*pi + ℯ - e", 0.0),
        ("x₁ - x1 + 𝑦 - y + é - e\u{301}", 0.0),
    ] {
        let point: Vec<String> = parse(formula)
            .unwrap()
            .variables()
            .iter()
            .map(|(n, _)| format!("{n}={}", if n == "x" { 2 } else { 5 }))
            .collect();
        let found = traced(formula, &point.join(",")).value();
        assert!((found - value).abs() <= 1e-14 * value.abs().max(0.1), "{formula} is {found}, not {value}");
    }
}

#[test]
fn common_subexpressions_are_one_node_and_constants_are_no_rows() {
    let found = traced("sin(x*y)^2 + 2*pi*(x*y) + cos(1)", "x=1,y=2");
    let names = found.names();
    let script = cotangent::scalar::format::Notation::Plain.with(&names);
    let definitions: Vec<String> =
        found.rows.iter().map(|row| script.write(&found.definition(row))).collect();
    assert_eq!(
        definitions,
        ["x", "y", "v-1 * v0", "sin(v1)", "v2^2", "2 * pi * v1", "v3 + v4", "v5 + cos(1)"]
    );
}

#[test]
fn constants_and_lone_inputs_have_traces() {
    let constant = traced("2*pi", "");
    assert_eq!(constant.rows.len(), 1);
    assert_eq!((constant.rows[0].number, constant.rows[0].adjoint), (1, 1.0));
    let input = traced("x", "x=3");
    assert_eq!((input.rows.len(), input.value(), input.rows[0].adjoint), (1, 3.0, 1.0));
    let unmoved = traced("x^0 + step(x)", "x=3");
    assert_eq!(unmoved.gradient().collect::<Vec<_>>(), [("x", 0.0)]);
}

#[test]
fn a_direction_is_the_sum_of_its_partials() {
    let along = Directions::Along(vec![("x3".into(), -2.0), ("x1".into(), 0.5)]);
    let request = TraceRequest { directions: along, hessian: false };
    let (formula, point) = super::EXERCISE;
    let found = traced_as(formula, point, &request);
    let by: Vec<f64> = traced(formula, point).gradient().map(|(_, g)| g).collect();
    let expected = 0.5 * by[0] - 2.0 * by[2];
    assert!((found.rows.last().unwrap().tangents[0] - expected).abs() < 1e-14 * expected.abs());
    assert_eq!(found.checks.inner_product.agrees(), Some(true));
    assert!((found.checks.inner_product.reverse - expected).abs() < 1e-14 * expected.abs());
}

#[test]
fn differences_tell_of_fast_changes_and_never_blame_a_right_derivative() {
    let verdict = |formula: &str, point: &str| traced(formula, point).checks.differences[0].agrees();
    // Where the formula changes fast, or near 0 alone.
    assert_eq!(verdict("sin(1e10*x)", "x=1"), Some(true));
    assert_eq!(verdict("x^(1/3)", "x=1e-10"), Some(true));
    assert_eq!(verdict("ln(x)", "x=1e-200"), Some(true));
    assert_ne!(verdict("1e300*x*x", "x=1e-300"), Some(false));
    assert_ne!(verdict("tan(x)", "x=pi/2"), Some(false));
    assert_eq!(traced("x*1e308 + y*1e308", "x=0.1,y=0.1").checks.inner_product.agrees(), None);
}

#[test]
fn at_kinks_the_derivative_used_is_said() {
    for (formula, note, derivative) in [
        ("relu(x)", "v1 = relu(v0) is at its kink, 0: the derivative used there is 0", 0.0),
        ("abs(x) + x", "v1 = abs(v0) is at its kink, 0: the derivative used there is 0", 1.0),
        ("max(x, 0)", "v1 = max(v0, 0) is at its kink, v0 = 0: the derivative used is 1/2 for each", 0.5),
        ("min(x, x)", "v1 = min(v0, v0) is at its kink, v0 = v0: the derivative used is 1/2 for each", 1.0),
        ("sign(x)", "v1 = sign(v0) is at its jump, 0: the derivative used there is 0", 0.0),
    ] {
        let found = traced(formula, "x=0");
        assert_eq!(found.notes, [note]);
        assert_eq!(found.gradient().collect::<Vec<_>>(), [("x", derivative)], "{formula}");
    }
    assert!(traced("relu(x) + abs(x) + max(x, 0)", "x=1").notes.is_empty());
}
