//! Chains of many shapes: every gradient agrees with forward mode and with differences, and with products by hand.

use cotangent::backprop::{Backprop, Matrix, Problem, torch};

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
        let [forward, differences] = [forward, differences].map(|error| error.unwrap());
        assert!(forward <= 1e-12 && differences <= 1e-6, "{shape:?}: {forward:e} and {differences:e}");
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

/// The problem with each of its matrices changed.
fn changed(problem: &Problem, mut change: impl FnMut(&str, &mut Matrix)) -> Problem {
    let [mut x, mut y] = [problem.x().clone(), problem.y().clone()];
    let mut weights = problem.weights().to_vec();
    change("X", &mut x);
    change("Y", &mut y);
    weights.iter_mut().for_each(|weight| change("W", weight));
    Problem::new(x, y, weights).unwrap()
}

/// How many gradients were compared with differences; none may be called wrong.
#[track_caller]
fn compared(what: &str, problem: &Problem) -> usize {
    let found = solved(problem);
    assert_ne!(found.checks.agree(), Some(false), "{what}: {:?}", found.checks);
    found.checks.found.iter().filter(|check| check.differences.compared > 0).count()
}

#[test]
fn correct_gradients_are_called_wrong_at_no_scale() {
    let mut random = Random::new(7);
    let mut all = 0;
    for seed in 0..12 {
        let (shape, columns) = random_shape(&mut random);
        let drawn = Problem::random(&shape, columns, seed).unwrap();
        for power in [-310, -160, -100, -30, -7, 7, 30] {
            for which in ["X", "Y", "W"] {
                let scaled = changed(&drawn, |name, matrix| {
                    let factor = if name == which { 10f64.powi(power) } else { 1.0 };
                    matrix.values.iter_mut().for_each(|x| *x *= factor);
                });
                all += compared(&format!("{shape:?}, {which} times 1e{power}"), &scaled);
            }
        }
    }
    assert!(all > 500, "{all} gradients compared");
}

#[test]
fn correct_gradients_are_not_called_wrong_where_they_vanish_or_where_a_kink_is_near() {
    let mut random = Random::new(8);
    for seed in 0..30 {
        let (shape, columns) = random_shape(&mut random);
        // Decimals, whose sums are often 0 but for rounding.
        let drawn = Problem::random(&shape, columns, seed).unwrap();
        let decimals = changed(&drawn, |_, matrix| {
            matrix.values.iter_mut().for_each(|x| *x = (random.below(7) as f64 - 3.0) / 10.0);
        });
        compared(&format!("{shape:?}, decimals"), &decimals);
        // The network's own output as the target: D is nothing but rounding.
        let found = solved(&drawn);
        let output = &found.variables[found.variables.len() - 3].value;
        let fitted = changed(&drawn, |name, matrix| {
            if name == "Y" {
                matrix.values = output.values.iter().map(|x| x * (1.0 + f64::EPSILON)).collect();
            }
        });
        compared(&format!("{shape:?}, fitted"), &fitted);
    }
    // The mean as the only weight: a minimum.
    let matrix = |values: &[f64]| Matrix { rows: 1, columns: values.len(), values: values.to_vec() };
    let mean = Problem::new(matrix(&[1.0; 3]), matrix(&[0.1, 0.2, 0.3]), vec![matrix(&[0.2])]).unwrap();
    assert_eq!(compared("a minimum", &mean), 3, "the weight's own gradient is nothing but rounding");
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

/// The verdict on results that are ours but for one entry, which the first of these names and the second changes.
fn verdict_on_change(found: &Backprop, name: &str, change: impl Fn(f64, f64) -> f64) -> Option<bool> {
    let results = found.tensors().unwrap();
    let mut other = found.clone();
    let (of, suffix) = name.split_at(name.len() - 2);
    let variable = other.variables.iter_mut().find(|variable| variable.name == of).unwrap();
    let matrix = if suffix == ".v" { &mut variable.value } else { variable.gradient.as_mut().unwrap() };
    let (largest, last) = (matrix.largest(), matrix.values.len() - 1);
    matrix.values[last] = change(matrix.values[last], largest);
    torch::read(&other, &results).unwrap().agrees()
}

#[test]
fn a_small_difference_to_other_results_is_seen_in_a_deep_chain_too() {
    let found = solved(&Problem::random(&[20; 21], 2, 0).unwrap());
    assert_eq!(torch::read(&found, &found.tensors().unwrap()).unwrap().agrees(), Some(true));
    for name in ["W1.g", "W7.g", "W20.g", "V1.g", "V20.v", "V39.v", "D.g", "z.v"] {
        assert_eq!(verdict_on_change(&found, name, |x, largest| x + 1e-9 * largest), Some(false), "{name}");
        assert_eq!(verdict_on_change(&found, name, |_, _| f64::NAN), Some(false), "{name}");
    }
}

#[test]
fn a_kink_excuses_only_finite_gradients_that_pass_it() {
    let matrix =
        |rows: usize, values: &[f64]| Matrix { rows, columns: values.len() / rows, values: values.to_vec() };
    let weights = vec![matrix(2, &[0.3, -0.3, 1.0, 1.0]), matrix(1, &[1.0, 2.0])];
    let problem = Problem::new(matrix(2, &[1.0; 4]), matrix(1, &[1.0; 2]), weights).unwrap();
    let found = solved(&problem);
    assert_eq!(found.near_kinks(), 2);
    let moved = |x: f64, largest: f64| x + 0.1 * largest;
    for name in ["W1.g", "V1.g"] {
        assert_eq!(verdict_on_change(&found, name, moved), None, "{name}");
        assert_eq!(verdict_on_change(&found, name, |_, _| f64::NAN), Some(false), "{name}");
    }
    for name in ["X.v", "W1.v", "V1.v", "V2.v", "V2.g", "W2.g", "V3.g", "D.g", "z.v"] {
        assert_eq!(verdict_on_change(&found, name, moved), Some(false), "{name}");
    }
}

#[test]
fn long_sums_of_one_sign_are_not_called_wrong() {
    let ones = |value: f64, columns: usize| Matrix { rows: 1, columns, values: vec![value; columns] };
    let problem = Problem::new(ones(0.1, 200_000), ones(0.3, 200_000), vec![ones(1.7, 1)]).unwrap();
    assert_ne!(solved(&problem).checks.agree(), Some(false));
}
