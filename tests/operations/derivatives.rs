//! First and second derivatives of every elementwise operation against mpmath, in units in the last place.
//!
//! `tests/golden/derivatives.txt` holds points and values, and `derivatives.py` beside it says how they were made. A first
//! derivative is held to units of its own last place, a second one to those of its largest summand.

use std::collections::BTreeMap;
use std::fmt::Write;

use cotangent::autodiff::{jvp, vjp};
use cotangent::ops::{Binary, Builder, Op, Rule, Unary, Var};

/// The largest error allowed.
const ULPS: f64 = 4.0;

/// The least number of points of an operation.
const POINTS: usize = 100;

/// The points of an operation: a line each, without the name.
fn golden() -> BTreeMap<&'static str, Vec<Vec<Option<f64>>>> {
    let mut golden = BTreeMap::<_, Vec<_>>::new();
    for line in include_str!("../golden/derivatives.txt").lines().filter(|line| !line.starts_with('#')) {
        let (name, numbers) = line.split_once(' ').unwrap();
        let number = |text: &str| (!["-", "."].contains(&text)).then(|| text.parse().unwrap());
        golden.entry(name).or_default().push(numbers.split(' ').map(number).collect());
    }
    golden
}

/// What an operation's derivatives are worth.
#[derive(Default)]
struct Errors {
    points: usize,
    first: f64,
    second: f64,
    /// The points that are worse than allowed.
    bad: Vec<String>,
}

impl Errors {
    /// Compares one derivative at all points; `exact` gives it, with what its error is relative to.
    fn add(
        &mut self,
        what: &str,
        found: &[f64],
        points: &[Vec<Option<f64>>],
        exact: impl Fn(&[Option<f64>]) -> Option<(f64, f64)>,
    ) {
        for (found, point) in found.iter().zip(points) {
            let Some((exact, size)) = exact(point) else { continue };
            let error = if *found == exact { 0.0 } else { (found - exact).abs() / unit(size) };
            let largest = if what.len() == 2 { &mut self.first } else { &mut self.second };
            if error.is_nan() || error > ULPS {
                self.bad.push(format!("{what} at {point:?}: {found:e}, not {exact:e}: {error} units"));
            }
            *largest = if error.is_nan() || largest.is_nan() { f64::NAN } else { largest.max(error) };
        }
    }
}

/// A unit in the last place.
fn unit(x: f64) -> f64 {
    let x = x.abs().max(f64::MIN_POSITIVE);
    f64::from_bits(x.to_bits() + 1) - x
}

/// The values of all first derivatives of an operation, and of the derivatives of each by each operand: by forward mode
/// and by reverse mode.
struct Found {
    first: Vec<Vec<f64>>,
    second: Vec<Vec<[Vec<f64>; 2]>>,
}

impl Found {
    fn of<const K: usize>(operands: [Vec<f64>; K], apply: impl for<'g> Fn([Var<'g>; K]) -> Var<'g>) -> Self {
        let count = operands[0].len();
        let builder = Builder::new();
        let x = [(); K].map(|()| builder.input("x", [count]));
        let one = builder.input("one", [count]);
        let first = vjp(apply(x), one, &x);
        let first = x.map(|x| first.of(x));
        let second = first.map(|first| match first {
            None => [[None; 2]; K],
            Some(first) => {
                let reverse = vjp(first, one, &x);
                x.map(|x| [jvp(&[first], &[(x, one)])[0], reverse.of(x)])
            }
        });
        let function = builder.finish((x, one), (first, second)).unwrap();
        let operands = operands.each_ref().map(|values| &values[..]);
        let (first, second) = function.call((operands, &vec![1.0; count])).unwrap();
        // Nothing flows where a derivative is 0 everywhere.
        let values = |found: Option<Vec<f64>>| found.unwrap_or_else(|| vec![0.0; count]);
        Self {
            first: first.map(values).into(),
            second: second.map(|row| row.map(|modes| modes.map(values)).into()).into(),
        }
    }
}

fn column(points: &[Vec<Option<f64>>], k: usize) -> Vec<f64> {
    points.iter().map(|point| point[k].unwrap()).collect()
}

fn unary(operation: Unary, points: &[Vec<Option<f64>>]) -> Errors {
    let found = Found::of([column(points, 0)], |[x]| x.builder().apply(Op::Unary(operation), &[x]));
    let mut errors = Errors { points: points.len(), ..Errors::default() };
    errors.add("f'", &found.first[0], points, |point| Some((point[1]?, point[1]?)));
    for mode in &found.second[0][0] {
        errors.add("f''", mode, points, |point| Some((point[2]?, point[3].or(point[2])?)));
    }
    errors
}

fn binary(operation: Binary, points: &[Vec<Option<f64>>]) -> Errors {
    let operands = [column(points, 0), column(points, 1)];
    let found = Found::of(operands, |[a, b]| a.builder().apply(Op::Binary(operation), &[a, b]));
    let mut errors = Errors { points: points.len(), ..Errors::default() };
    for (k, name) in ["fa", "fb"].into_iter().enumerate() {
        errors.add(name, &found.first[k], points, |point| {
            Some((point[2 + k]?, point[10 + k].or(point[2 + k])?))
        });
        for (l, other) in ["a", "b"].into_iter().enumerate() {
            for mode in &found.second[k][l] {
                let exact =
                    |point: &[Option<f64>]| Some((point[4 + k + l]?, point[7 + k + l].or(point[4 + k + l])?));
                errors.add(&format!("{name}{other}"), mode, points, exact);
            }
        }
    }
    errors
}

/// Powers whose exponent is a number, which have rules of their own.
fn constant_powers(points: &[Vec<Option<f64>>]) -> Errors {
    let mut errors = Errors { points: points.len(), ..Errors::default() };
    for point in points {
        let (a, b) = (point[0].unwrap(), point[1].unwrap());
        let found = Found::of([vec![a]], |[x]| x.pow(b));
        let one = std::slice::from_ref(point);
        errors.add("fa", &found.first[0], one, |point| Some((point[2]?, point[2]?)));
        for mode in &found.second[0][0] {
            errors.add("faa", mode, one, |point| Some((point[4]?, point[7].or(point[4])?)));
        }
    }
    errors
}

fn all() -> Vec<(&'static str, Errors)> {
    let golden = golden();
    let points = |name: &str| {
        let points = golden.get(name).map_or(&[][..], |points| points);
        assert!(
            points.len() >= POINTS,
            "{name} has {} points in derivatives.txt; add it to derivatives.py",
            points.len()
        );
        points
    };
    let unary =
        Unary::ALL.iter().map(|&operation| (operation.name(), unary(operation, points(operation.name()))));
    let binary =
        Binary::ALL.iter().map(|&operation| (operation.name(), binary(operation, points(operation.name()))));
    let powers = ("pow, exponent a number", constant_powers(points("pow")));
    unary.chain(binary).chain([powers]).collect()
}

fn table(all: &[(&str, Errors)]) -> String {
    let mut table = String::from("| operation | points | first | second |\n|---|---|---|---|\n");
    for (name, errors) in all {
        writeln!(table, "| `{name}` | {} | {:.2} | {:.2} |", errors.points, errors.first, errors.second)
            .unwrap();
    }
    table
}

#[test]
fn derivatives_of_every_operation_are_within_four_units_in_the_last_place() {
    let all = all();
    println!("{}", table(&all));
    if std::env::var_os("COTANGENT_WRITE_DOCS").is_some() {
        std::fs::write(DOCUMENT, document(&all)).unwrap();
    }
    // C libraries differ in the last digits of their functions, so only the operations are compared.
    let written = std::fs::read_to_string(DOCUMENT).unwrap();
    let rows = |text: &str| -> Vec<String> {
        let rows =
            text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned));
        rows.collect()
    };
    assert_eq!(
        rows(&written),
        rows(&document(&all)),
        "write docs/derivatives.md anew: COTANGENT_WRITE_DOCS=1"
    );
    let bad: Vec<String> = all
        .iter()
        .filter(|(_, errors)| !errors.bad.is_empty())
        .map(|(name, errors)| {
            format!(
                "{name}, {} of them:\n  {}",
                errors.bad.len(),
                errors.bad[..errors.bad.len().min(6)].join("\n  ")
            )
        })
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// The document's path; `COTANGENT_WRITE_DOCS=1` makes the test write it.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/derivatives.md");

fn document(all: &[(&str, Errors)]) -> String {
    format!(
        "# How exact derivatives are\n\n\
        The largest errors of the derivatives of elementwise operations against mpmath, in units in the last place of float64:\n\
        of the first derivative, and of the second one, there in units of its largest summand. Both modes, each operand by each.\n\
        Points are extreme ones (kinks' neighbours, ends of domains, subnormal numbers, the largest) and ordinary ones; where the\n\
        operation has a finite value and the derivative, or the summand, is a normal number. The first derivative of every\n\
        operation, and the second one, has to be within {ULPS} units (`tests/operations/derivatives.rs`, values from\n\
        `tests/golden/derivatives.py`). Written by that test with `COTANGENT_WRITE_DOCS=1`, here with glibc's functions.\n\n{}",
        table(all)
    )
}

#[test]
fn a_power_has_the_derivatives_at_a_base_that_is_not_positive_that_exist() {
    let nan = f64::NAN;
    for (a, b, by_base, by_exponent) in [
        (0.0, 2.0, 0.0, 0.0),
        (0.0, 1.5, 0.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, 0.5, f64::INFINITY, 0.0),
        (0.0, 0.0, 0.0, f64::NEG_INFINITY),
        (-2.0, 3.0, 12.0, nan),
        (-2.0, -1.0, -0.25, nan),
        (-1.0, 1e17, -1e17, nan), // an even exponent, so what is one below is odd
        (-1.0, -1e17, 1e17, nan),
        (-1.0, 9007199254740993.0 + 3.0, -9007199254740996.0, nan),
    ] {
        let found = Found::of([vec![a], vec![b]], |[a, b]| a.pow(b)).first.concat();
        let is_right = |found: f64, exact: f64| found == exact || found.is_nan() && exact.is_nan();
        assert!(is_right(found[0], by_base) && is_right(found[1], by_exponent), "{a}^{b}: {found:?}");
    }
}
