//! Chains of many shapes: every gradient agrees with forward mode and with differences, and with products by hand.

use cotangent::backprop::{Matrix, Problem};

use super::solved;
use crate::support::Random;

fn random_shape(random: &mut Random) -> (Vec<usize>, usize) {
    let layers = 1 + random.below(6);
    ((0..=layers).map(|_| 1 + random.below(7)).collect(), 1 + random.below(9))
}

#[test]
fn gradients_of_a_hundred_shapes_agree_with_both_other_ways() {
    let mut random = Random::new(5);
    let mut compared = 0;
    for seed in 0..100 {
        let (shape, columns) = random_shape(&mut random);
        let found = solved(&Problem::random(&shape, columns, seed).unwrap());
        assert_ne!(found.checks.agree(), Some(false), "{shape:?}, {columns} columns: {:?}", found.checks);
        let (forward, differences) = found.checks.largest();
        assert!(forward <= 1e-12 && differences <= 1e-8, "{shape:?}: {forward:e} and {differences:e}");
        compared += found.checks.found.iter().map(|check| check.differences.compared).sum::<usize>();
    }
    assert!(compared > 5000, "{compared} entries compared");
}

/// A (m, k) times B (k, n), each transposed if the flag says so, entry by entry.
fn product((a, ta): (&Matrix, bool), (b, tb): (&Matrix, bool)) -> Vec<f64> {
    let at = |matrix: &Matrix, transposed: bool, i: usize, j: usize| {
        matrix.values[if transposed { j * matrix.columns + i } else { i * matrix.columns + j }]
    };
    let (m, k) = if ta { (a.columns, a.rows) } else { (a.rows, a.columns) };
    let n = if tb { b.rows } else { b.columns };
    let entries = (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
    entries.map(|(i, j)| (0..k).map(|l| at(a, ta, i, l) * at(b, tb, l, j)).sum()).collect()
}

#[test]
fn every_gradient_is_what_its_printed_rule_says() {
    let mut random = Random::new(6);
    for seed in 0..30 {
        let (shape, columns) = random_shape(&mut random);
        let found = solved(&Problem::random(&shape, columns, seed).unwrap());
        let matrix = |name: &str| -> &Matrix {
            match name.strip_suffix(".g") {
                Some(of) => found.variable(of).unwrap().gradient.as_ref().unwrap(),
                None => &found.variable(name).unwrap().value,
            }
        };
        let factor = |text: &str| match text.strip_suffix('ᵀ') {
            Some(name) => (matrix(name).clone(), true),
            None => (matrix(text).clone(), false),
        };
        for variable in found.variables.iter().filter(|variable| variable.gradient.is_some()) {
            let rule = found.rule(variable).unwrap();
            let (left, right) = rule.split_once(" = ").unwrap();
            let expected = if let Some((a, b)) = right.split_once(" ⊙ ") {
                let inner = b.strip_prefix('[').unwrap().strip_suffix(" > 0]").unwrap();
                let entries = matrix(a).values.iter().zip(&matrix(inner).values);
                entries.map(|(a, b)| if *b > 0.0 { *a } else { 0.0 }).collect()
            } else if let Some(name) = right.strip_prefix('−') {
                matrix(name).values.iter().map(|x| -x).collect()
            } else if let Some(name) = right.strip_prefix("z.g ") {
                matrix(name).values.clone()
            } else if let Some((a, b)) = right.split_once(' ') {
                let ((a, ta), (b, tb)) = (factor(a), factor(b));
                product((&a, ta), (&b, tb))
            } else {
                vec![right.parse().unwrap()]
            };
            let distance = matrix(left).distance(&expected);
            assert!(distance <= 1e-12 * matrix(left).largest().max(1.0), "{rule}: off by {distance:e}");
        }
    }
}

#[test]
fn what_is_too_large_or_overflows_is_an_error_that_says_so() {
    let mut problem = Problem::random(&[5, 4, 3], 2, 0).unwrap();
    let mut weights = problem.weights().to_vec();
    weights.iter_mut().for_each(|weight| weight.values.iter_mut().for_each(|x| *x *= 1e200));
    problem = Problem::new(problem.x().clone(), problem.y().clone(), weights).unwrap();
    let error = cotangent::backprop::Backprop::of(&problem).unwrap_err().to_string();
    assert_eq!(error, "V3.v overflows float64: take smaller numbers");
}
