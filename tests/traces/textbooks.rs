//! Values and gradients that are published, or known in closed form.

use cotangent::scalar::TraceRequest;

use super::{EXERCISE, traced, traced_as};

#[test]
fn the_exercise_has_its_numbers_to_four_digits_in_both_modes() {
    let found = traced(EXERCISE.0, EXERCISE.1);
    let rounded = |x: f64| format!("{:.4}", x + 0.0); // no -0
    assert_eq!(rounded(found.value()), "2.9228");
    let reverse: Vec<String> = found.gradient().map(|(_, g)| rounded(g)).collect();
    assert_eq!(reverse, ["4.0432", "2.6955", "-1.7735"]);
    let forward: Vec<String> = found.rows.last().unwrap().tangents.iter().map(|&t| rounded(t)).collect();
    assert_eq!(forward, reverse);
    // Every node, worked by hand.
    let values: Vec<String> = found.rows.iter().map(|row| rounded(row.value)).collect();
    assert_eq!(
        values,
        ["1.0000", "1.5000", "2.0000", "1.5000", "0.9093", "1.3639", "4.4817", "5.8456", "2.9228"]
    );
    let adjoints: Vec<String> = found.rows.iter().map(|row| rounded(row.adjoint)).collect();
    assert_eq!(
        adjoints,
        ["4.0432", "2.6955", "-1.7735", "2.6955", "0.7500", "0.5000", "0.5000", "0.5000", "1.0000"]
    );
    let by_x2: Vec<String> = found.rows.iter().map(|row| rounded(row.tangents[1])).collect();
    assert_eq!(
        by_x2,
        ["0.0000", "1.0000", "0.0000", "1.0000", "0.0000", "0.9093", "4.4817", "5.3910", "2.6955"]
    );
}

/// Baydin et al. (2018), tables 2 and 3: f = ln(x1) + x1 x2 - sin(x2) at (2, 5), row by row as printed there.
#[test]
fn baydins_tables_2_and_3() {
    let found = traced("ln(x1) + x1*x2 - sin(x2)", "x1=2,x2=5");
    let column = |of: &dyn Fn(usize) -> f64| -> Vec<String> {
        (0..found.rows.len()).map(|i| format!("{:.3}", of(i))).collect()
    };
    // v-1, v0, v1 = ln v-1, v2 = v-1 v0, v3 = v1 + v2 here (v4 there), v4 = sin v0 (v3 there), v5
    assert_eq!(
        column(&|i| found.rows[i].value),
        ["2.000", "5.000", "0.693", "10.000", "10.693", "-0.959", "11.652"]
    );
    assert_eq!(
        column(&|i| found.rows[i].tangents[0]),
        ["1.000", "0.000", "0.500", "5.000", "5.500", "0.000", "5.500"]
    );
    assert_eq!(
        column(&|i| found.rows[i].adjoint),
        ["5.500", "1.716", "1.000", "1.000", "1.000", "-1.000", "1.000"]
    );
}

struct Textbook {
    source: &'static str,
    formula: &'static str,
    point: &'static [(&'static str, f64)],
    /// Value and gradient at the point, in plain code.
    closed: fn(&[f64]) -> Vec<f64>,
}

const TEXTBOOKS: [Textbook; 11] = [
    Textbook {
        source: "Griewank and Walther (2008), table 1.1: [sin(x1/x2) + x1/x2 - exp(x2)] [x1/x2 - exp(x2)]",
        formula: "(sin(x1/x2) + x1/x2 - exp(x2)) * (x1/x2 - exp(x2))",
        point: &[("x1", 1.5), ("x2", 0.5)],
        closed: |x| {
            let (q, e) = (x[0] / x[1], x[1].exp());
            let (a, b) = (q.sin() + q - e, q - e);
            let by = |dq: f64, de: f64| (q.cos() * dq + dq - de) * b + a * (dq - de);
            vec![a * b, by(1.0 / x[1], 0.0), by(-x[0] / (x[1] * x[1]), e)]
        },
    },
    Textbook {
        source: "Griewank and Walther (2008), section 3.3: Speelpenning's product",
        formula: "x1*x2*x3*x4*x5",
        point: &[("x1", 1.1), ("x2", -0.7), ("x3", 2.0), ("x4", 0.3), ("x5", 5.0)],
        closed: |x| {
            let product: f64 = x.iter().product();
            std::iter::once(product).chain(x.iter().map(|x| product / x)).collect()
        },
    },
    Textbook {
        source: "Griewank and Walther (2008), section 1.1: the Euclidean norm",
        formula: "sqrt(x^2 + y^2 + z^2)",
        point: &[("x", 3.0), ("y", 4.0), ("z", 12.0)],
        closed: |_| vec![13.0, 3.0 / 13.0, 4.0 / 13.0, 12.0 / 13.0],
    },
    Textbook {
        source: "Nocedal and Wright (2006), section 8.2, equation 8.26: (x1 x2 sin x3 + exp(x1 x2)) / x3",
        formula: "(x1*x2*sin(x3) + exp(x1*x2)) / x3",
        point: &[("x1", 1.0), ("x2", 2.0), ("x3", std::f64::consts::FRAC_PI_2)],
        closed: |_| {
            let (p, e) = (std::f64::consts::PI, std::f64::consts::E.powi(2));
            vec![(4.0 + 2.0 * e) / p, (4.0 + 4.0 * e) / p, (2.0 + 2.0 * e) / p, (-8.0 - 4.0 * e) / (p * p)]
        },
    },
    Textbook {
        source: "Nocedal and Wright (2006), exercise 2.1: Rosenbrock's function",
        formula: "100*(x2 - x1^2)^2 + (1 - x1)^2",
        point: &[("x1", -1.2), ("x2", 1.0)],
        closed: |_| vec![24.2, -215.6, -88.0],
    },
    Textbook {
        source: "Baydin et al. (2018), section 2, table 1: the logistic map's fourth iterate, l_{n+1} = 4 l_n (1 - l_n)",
        formula: "64*x*(1-x)*(1-2*x)^2*(1-8*x+8*x^2)^2",
        point: &[("x", 0.2)],
        closed: |x| {
            let x = x[0];
            let f = 64.0 * x * (1.0 - x) * (1.0 - 2.0 * x).powi(2) * (1.0 - 8.0 * x + 8.0 * x * x).powi(2);
            let (a, b) = (1.0 - 2.0 * x, 1.0 - 8.0 * x + 8.0 * x * x);
            let derivative = 128.0 * x * (1.0 - x) * (-8.0 + 16.0 * x) * a * a * b
                + 64.0 * (1.0 - x) * a * a * b * b
                - 64.0 * x * a * a * b * b
                - 256.0 * x * (1.0 - x) * a * b * b;
            vec![f, derivative]
        },
    },
    Textbook {
        source: "the logistic function: s' = s (1 - s)",
        formula: "1/(1 + exp(-x))",
        point: &[("x", 0.75)],
        closed: |x| {
            let s = 1.0 / (1.0 + (-x[0]).exp());
            vec![s, s * (1.0 - s)]
        },
    },
    Textbook {
        source: "the power with both operands varying: d(x^y) = x^y (y/x dx + ln x dy)",
        formula: "x^y",
        point: &[("x", 2.0), ("y", 3.0)],
        closed: |_| vec![8.0, 12.0, 8.0 * std::f64::consts::LN_2],
    },
    Textbook {
        source: "the inverse functions: asin x + acos x = pi/2, and the derivative of atan",
        formula: "asin(x) + acos(x) + atan(y)",
        point: &[("x", 0.3), ("y", 1.0)],
        closed: |_| vec![0.75 * std::f64::consts::PI, 0.0, 0.5],
    },
    Textbook {
        source: "the hyperbolic functions: cosh^2 - sinh^2 = 1, and tanh' = 1 - tanh^2",
        formula: "cosh(x)^2 - sinh(x)^2 + tanh(y)",
        point: &[("x", 0.8), ("y", 0.4)],
        closed: |x| vec![1.0 + x[1].tanh(), 0.0, 1.0 - x[1].tanh().powi(2)],
    },
    Textbook {
        source: "Helmholtz energy (Griewank and Walther 2008, section 1.1), one term: x ln(x/(1 - b x))",
        formula: "x*ln(x/(1 - b*x))",
        point: &[("x", 0.4), ("b", 0.5)],
        closed: |x| {
            let (x, b) = (x[0], x[1]);
            let ln = (x / (1.0 - b * x)).ln();
            vec![x * ln, ln + 1.0 / (1.0 - b * x), x * x / (1.0 - b * x)]
        },
    },
];

#[test]
fn textbook_formulas_have_their_published_or_closed_values_and_gradients() {
    for book in &TEXTBOOKS {
        let point: Vec<String> = book.point.iter().map(|(name, x)| format!("{name}={x:?}")).collect();
        let values: Vec<f64> = book.point.iter().map(|(_, x)| *x).collect();
        let found = traced(book.formula, &point.join(","));
        let expected = (book.closed)(&values);
        let reverse: Vec<f64> =
            std::iter::once(found.value()).chain(found.gradient().map(|(_, g)| g)).collect();
        let tangents = found.rows.last().unwrap().tangents.iter().copied();
        let forward: Vec<f64> = std::iter::once(found.value()).chain(tangents).collect();
        assert_eq!(expected.len(), book.point.len() + 1, "{}", book.source);
        for found in [forward, reverse] {
            crate::support::assert_close(book.source, &found, &expected, 1e-13);
        }
    }
}

#[test]
fn the_hessian_of_rosenbrocks_function_is_the_published_one() {
    let request = TraceRequest { hessian: true, ..TraceRequest::default() };
    let found = traced_as("100*(x2 - x1^2)^2 + (1 - x1)^2", "x1=-1.2,x2=1", &request);
    // 1200 x1^2 - 400 x2 + 2 and so on: Nocedal and Wright (2006), exercise 2.1.
    let hessian: Vec<f64> = found.hessian.unwrap().concat();
    crate::support::assert_close("Hessian", &hessian, &[1330.0, 480.0, 480.0, 200.0], 1e-14);
}
