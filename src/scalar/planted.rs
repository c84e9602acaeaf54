//! Gradients with planted mistakes: the checks must find them, and must not blame a gradient that is right.

use super::asked::Asked;
use super::checks::Difference;
use super::verify::verify;
use super::{Formula, Point, Trace, TraceRequest, parse, trace};

/// SplitMix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn between(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * self.below(1 << 53) as f64 / (1u64 << 53) as f64
    }

    /// Kinks, poles, cancellation, fast and slow changes: whatever may be asked for.
    fn formula(&mut self, depth: usize) -> String {
        if depth == 0 || self.below(9) == 0 {
            return match self.below(6) {
                0 => format!("{}", 1 + self.below(9)),
                1 => "pi".into(),
                2 => format!("{:.3}", self.between(0.01, 3.0)),
                _ => ["x", "y"][self.below(2) as usize].into(),
            };
        }
        let (a, b) = (self.formula(depth - 1), self.formula(depth - 1));
        match self.below(24) {
            0 | 1 => format!("({a} + {b})"),
            2 | 3 => format!("({a} - {b})"),
            4 | 5 => format!("{a} * ({b})"),
            6 => format!("({a}) / ({b})"),
            7 | 8 => format!("sin({a})"),
            9 => format!("cos({a})"),
            10 => format!("tan({a})"),
            11 => format!("atan({a})"),
            12 => format!("tanh({a})"),
            13 => format!("exp({a})"),
            14 => format!("ln(abs({a}))"),
            15 => format!("sqrt(abs({a}))"),
            16 => format!("sigmoid({a})"),
            17 => format!("abs({a})"),
            18 => format!("relu({a})"),
            19 => format!("max({a}, {b})"),
            20 => format!("min({a}, {b})"),
            21 => format!("sign({a}) * ({b})"),
            22 => format!("({a})^2"),
            _ => format!("abs({a})^sin({b})"),
        }
    }

    /// An ordinary number, a round one, a large or a tiny one.
    fn coordinate(&mut self) -> f64 {
        match self.below(12) {
            0 => self.below(5) as f64 - 2.0,
            1 => std::f64::consts::PI * (self.below(9) as f64 - 4.0) / 2.0,
            2 => self.between(-1.0, 1.0) * 10f64.powi(self.below(18) as i32),
            3 => self.between(-1.0, 1.0) * 10f64.powi(-(self.below(30) as i32)),
            4 => [0.1, 0.2, 0.3, 1.0 / 3.0][self.below(4) as usize],
            _ => self.between(-4.0, 4.0),
        }
    }
}

fn checked(formula: &Formula, found: &Trace) -> Vec<Difference> {
    let asked = Asked::of(formula, &found.point, &TraceRequest::default()).unwrap();
    let along = vec![1.0; found.point.len()];
    verify(formula, &asked.inputs, found, &along, 0.0).differences
}

/// Traces of formulas that have values and derivatives.
fn traces(count: usize) -> Vec<(Formula, Trace)> {
    let mut random = Random(15);
    let mut found = Vec::new();
    while found.len() < count {
        let depth = 2 + random.below(4) as usize;
        let formula = parse(&format!("{} + 0*x*y", random.formula(depth))).unwrap();
        let point: Point =
            formula.variables().iter().map(|(name, _)| (name.clone(), random.coordinate())).collect();
        if let Ok(trace) = trace(&formula, &point, &TraceRequest::default()) {
            found.push((formula, trace));
        }
    }
    found
}

/// The trace again, with a partial of an edge changed, and all adjoints that follow from it.
fn with_wrong_partial(found: &Trace, row: usize, part: usize, change: impl Fn(f64) -> f64) -> Trace {
    let mut wrong = found.clone();
    let contribution = &mut wrong.rows[row].contributions[part];
    contribution.partial = change(contribution.partial);
    for position in (0..wrong.rows.len() - 1).rev() {
        let parts = wrong.rows[position].contributions.iter();
        let adjoint = parts.map(|part| wrong.rows[part.from].adjoint * part.partial).sum();
        wrong.rows[position].adjoint = adjoint;
    }
    wrong
}

#[test]
fn no_correct_gradient_is_blamed_and_most_can_be_told() {
    let (mut told, mut sharp, mut all) = (0, 0, 0);
    for (formula, found) in traces(1500) {
        for (input, difference) in found.checks.differences.iter().enumerate() {
            let (text, point) = (formula.text(), &found.point);
            assert_ne!(difference.agrees(), Some(false), "{text} at {point:?} by {input}: {difference:?}");
            assert_eq!(difference.note.is_some(), difference.agrees().is_none(), "{text} at {point:?}");
            told += usize::from(difference.agrees().is_some());
            sharp += usize::from(
                difference.agrees().is_some()
                    && difference.uncertainty <= 1e-5 * difference.reverse.abs().max(1e-3),
            );
            all += 1;
        }
    }
    assert!(told * 10 > all * 8, "only {told} of {all} were told");
    assert!(sharp * 10 > told * 9, "only {sharp} of {told} would be told from what is a little wrong");
}

/// Ripples, cancellation, saturation, underflow: formulas with the powers of 10 between which x and y lie.
const HARD: [(&str, [f64; 2], [f64; 2]); 34] = [
    ("x + sin(x)", [0.0, 18.0], [0.0, 0.0]),
    ("x - sin(x)", [3.0, 12.0], [0.0, 0.0]),
    ("sin(x)", [3.0, 18.0], [0.0, 0.0]),
    ("cos(x)", [3.0, 18.0], [0.0, 0.0]),
    ("tan(x)", [3.0, 18.0], [0.0, 0.0]),
    ("sin(x)", [13.0, 17.0], [0.0, 0.0]),
    ("sin(x)", [299.0, 301.0], [0.0, 0.0]),
    ("cos(x)", [299.0, 301.0], [0.0, 0.0]),
    ("tan(x)", [299.0, 301.0], [0.0, 0.0]),
    ("1/tan(x)", [15.0, 30.0], [0.0, 0.0]),
    ("sin(x)^2", [15.0, 30.0], [0.0, 0.0]),
    ("abs(sin(x))", [15.0, 30.0], [0.0, 0.0]),
    ("sin(x + 1) + x", [13.0, 18.0], [0.0, 0.0]),
    ("sin(x^2)", [2.0, 6.0], [0.0, 0.0]),
    ("sin(exp(x))", [0.7, 1.6], [0.0, 0.0]),
    ("cos(1e8*x)", [-3.0, 4.0], [0.0, 0.0]),
    ("cos(x*y)", [3.0, 12.0], [-1.0, 1.0]),
    ("x*x + y", [0.0, 10.0], [-1.0, 1.0]),
    ("x - y", [0.0, 16.0], [-1.0, 1.0]),
    ("1/(1/(x - y))", [0.0, 10.0], [-8.0, 0.0]),
    ("hypot(x, y)", [-8.0, 8.0], [-8.0, 8.0]),
    ("sqrt(x*x + y*y)", [-163.0, -158.0], [-163.0, -158.0]),
    ("tanh(x)", [-1.0, 1.6], [0.0, 0.0]),
    ("sigmoid(x)", [-1.0, 1.6], [0.0, 0.0]),
    ("erf(x)", [-1.0, 0.8], [0.0, 0.0]),
    ("cosh(x) + cos(x)", [-9.0, 1.0], [0.0, 0.0]),
    ("x^2", [-180.0, 0.0], [0.0, 0.0]),
    ("abs(x)^1.5", [-230.0, 0.0], [0.0, 0.0]),
    ("x*1e-320 + y*1e-320", [-2.0, 3.0], [-2.0, 3.0]),
    ("x/y", [-322.0, -300.0], [-2.0, 2.0]),
    ("x/(x + y)", [-320.0, 0.0], [-320.0, 0.0]),
    ("(x - x)/(x - x + y)", [0.0, 3.0], [-30.0, 0.0]),
    ("atan2(x, y)", [-300.0, 0.0], [-2.0, 2.0]),
    ("atan2(x, y)", [-12.0, 0.0], [300.0, 308.0]),
];

#[test]
fn no_correct_gradient_is_blamed_where_rounding_or_ripples_hide_it_and_no_wrong_one_would_pass() {
    let mut random = Random(17);
    let (mut told, mut all) = (0, 0);
    for (text, x, y) in HARD {
        let formula = parse(text).unwrap();
        for _ in 0..120 {
            let mut coordinate = |powers: [f64; 2]| {
                let size = 10f64.powf(random.between(powers[0], powers[1]));
                if random.below(2) == 0 { size } else { -size }
            };
            let (x, y) = (coordinate(x), coordinate(y));
            let of = |name: &str| if name == "x" { x } else { y };
            let point: Point = formula.variables().iter().map(|(name, _)| (name.clone(), of(name))).collect();
            let Ok(found) = trace(&formula, &point, &TraceRequest::default()) else { continue };
            for difference in &found.checks.differences {
                assert_ne!(difference.agrees(), Some(false), "{text} at {point:?}: {difference:?}");
                let wrong = Difference { reverse: 1.03 * difference.reverse, ..difference.clone() };
                if difference.reverse.abs() > difference.rounded {
                    assert_ne!(wrong.agrees(), Some(true), "{text} at {point:?}: {difference:?}");
                }
                told += usize::from(difference.agrees().is_some());
                all += 1;
            }
        }
    }
    assert!(told * 2 > all, "only {told} of {all} were told");
}

#[test]
fn a_formula_of_another_scale_at_0_and_the_numbers_that_were_blamed_are_no_more() {
    for (text, point) in [
        ("x/(x+1e-20)", [0.0, 0.0]),
        ("x*y/(x+y)", [0.0, -9.7e-57]),
        ("x + sin(x)", [1e8, 0.0]),
        ("sin(x)", [847_787_894_032_375.2, 0.0]),
        ("cos(x)", [1e300, 0.0]),
        ("sin(x^2)", [24517.65, 0.0]),
        ("sin(exp(x))", [26.92, 0.0]),
        ("cos(1e8*x)", [47.871, 0.0]),
        ("cos(x*y)", [4.5e11, 1.3]),
        ("1.5e-323*x", [1.0, 0.0]),
        ("x*1e-320", [0.5, 0.0]),
        ("x/y", [1e-320, 2.0]),
        ("x^1.5", [1e-220, 0.0]),
        ("atan2(x, y)", [-6e-10, 1e308]),
        ("atan2(y, x)", [-1.0, 1e-18]),
        ("x + tanh(x - 1e16)", [1e16, 0.0]),
        ("x + 1e-8*tanh(1e8*x)", [0.0, 0.0]),
        ("x + tanh(1e20*x)", [0.0, 0.0]),
        // A bump that steps longer than it is wide agree to pass over: the shorter ones refute them.
        ("x + 1e-3*exp(-(1e6*x)^2)", [1e-7, 0.0]),
    ] {
        let formula = parse(text).unwrap();
        let names = formula.variables().iter();
        let point: Point =
            names.map(|(name, _)| (name.clone(), if name == "x" { point[0] } else { point[1] })).collect();
        for difference in trace(&formula, &point, &TraceRequest::default()).unwrap().checks.differences {
            assert_ne!(difference.agrees(), Some(false), "{text} at {point:?}: {difference:?}");
        }
    }
}

/// A mistake: which kind, and how the number at fault becomes another.
type Mistake = (&'static str, bool, fn(f64) -> f64);

const MISTAKES: [Mistake; 5] = [
    ("a derivative with the wrong sign", false, |g| -g),
    ("a derivative that is wrong by a thousandth", false, |g| g * 1.001),
    ("a partial with the wrong sign", true, |partial| -partial),
    ("a partial that is wrong by a thousandth", true, |partial| partial * 1.001),
    ("an edge that is forgotten", true, |_| 0.0),
];

#[test]
fn planted_mistakes_are_found() {
    let mut random = Random(16);
    let mut counts = [(0, 0); MISTAKES.len()];
    let mut missed = Vec::new();
    for (formula, found) in traces(900) {
        let before = &found.checks.differences;
        for ((name, is_partial, change), (planted, found_out)) in MISTAKES.iter().zip(&mut counts) {
            let rows = found.rows.iter().enumerate().filter(|(_, row)| !row.contributions.is_empty());
            let rows: Vec<usize> = rows.map(|(row, _)| row).collect();
            let wrong = if *is_partial {
                let row = rows[random.below(rows.len() as u64) as usize];
                let part = random.below(found.rows[row].contributions.len() as u64) as usize;
                with_wrong_partial(&found, row, part, change)
            } else {
                let mut wrong = found.clone();
                let input = random.below(found.point.len() as u64) as usize;
                wrong.rows[input].adjoint = change(wrong.rows[input].adjoint);
                wrong
            };
            for (input, (before, after)) in before.iter().zip(&checked(&formula, &wrong)).enumerate() {
                let (right, is) = (found.rows[input].adjoint, wrong.rows[input].adjoint);
                // As large as a mistake that was made on purpose, and larger than what differences leave open.
                let size = (right - is).abs();
                if before.agrees() == Some(true)
                    && size > 5e-4 * right.abs()
                    && size > 25.0 * before.uncertainty
                {
                    *planted += 1;
                    match after.agrees() {
                        Some(false) => *found_out += 1,
                        _ => missed.push(format!(
                            "{name}: {} at {:?}: {right} as {is}: {after:?}",
                            formula.text(),
                            found.point
                        )),
                    }
                }
            }
        }
    }
    for ((name, ..), (planted, found_out)) in MISTAKES.iter().zip(counts) {
        assert!(planted > 200, "{planted} times {name}");
        assert!(found_out * 100 >= planted * 99, "{name}: {found_out} of {planted} found; not {missed:#?}");
    }
}
