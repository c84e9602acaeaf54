//! Values and gradients equal those of PyTorch's autograd in float64, to 1e-12.
//!
//! The files hold matrices and what PyTorch makes of them; `tests/golden/backprop.py` wrote them.

use std::path::PathBuf;

use cotangent::backprop::{Problem, torch};

use super::solved;

fn golden(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    PathBuf::from(format!("{folder}/backprop-{name}.safetensors"))
}

/// Compares every value and gradient; returns the number of variables compared.
fn agrees_with_pytorch(name: &str) -> usize {
    let found = solved(&Problem::read(&golden(name)).unwrap());
    let comparison = torch::read(&found, &std::fs::read(golden(name)).unwrap()).unwrap();
    for line in &comparison.lines {
        let variable = &found.variables[line.variable];
        let scale = |largest: f64| 1e-12 * largest.max(1.0);
        assert!(
            line.value <= scale(variable.value.largest()),
            "{name}, {}.v: {:e}",
            variable.name,
            line.value
        );
        if let Some(gradient) = line.gradient {
            assert!(gradient <= scale(line.largest), "{name}, {}.g: {gradient:e}", variable.name);
        }
        assert_eq!(line.gradient.is_some(), !["X", "Y"].contains(&&variable.name[..]));
    }
    assert_eq!(comparison.agrees(), Some(true));
    comparison.lines.len()
}

#[test]
fn the_exercise_equals_pytorch() {
    assert_eq!(agrees_with_pytorch("exercise"), 12);
}

#[test]
fn eight_layers_equal_pytorch() {
    assert_eq!(agrees_with_pytorch("eight-layers"), 2 + 8 + 15 + 2);
}

#[test]
fn a_single_column_equals_pytorch() {
    assert_eq!(agrees_with_pytorch("one-column"), 12);
}

#[test]
fn pre_activations_of_exactly_zero_pass_no_gradient_as_in_pytorch() {
    assert_eq!(agrees_with_pytorch("zeros"), 12);
    let found = solved(&Problem::read(&golden("zeros")).unwrap());
    for (before, behind) in [("V1", "V2"), ("V3", "V4")] {
        let [before, behind] = [before, behind].map(|name| found.variable(name).unwrap());
        let (gradient, incoming) = (before.gradient.as_ref().unwrap(), behind.gradient.as_ref().unwrap());
        let at_zero: Vec<usize> =
            (0..before.value.values.len()).filter(|&entry| before.value.values[entry] == 0.0).collect();
        assert!(at_zero.iter().any(|&entry| incoming.values[entry] != 0.0), "no gradient comes to a zero");
        assert!(at_zero.iter().all(|&entry| gradient.values[entry] == 0.0));
    }
    // Differences say nothing there, and claim nothing.
    assert_eq!(found.checks.agree(), None);
    assert!(found.checks.found.iter().any(|check| check.differences.not_compared > 0));
    assert!(found.near_kinks() > 0);
}

#[test]
fn a_seed_gives_the_same_matrices_as_ever() {
    for (name, shape, columns, seed) in [
        ("exercise", &[5, 4, 3, 2][..], 50, 0),
        ("eight-layers", &[6, 5, 5, 4, 4, 3, 3, 3, 2], 20, 1),
        ("one-column", &[5, 4, 3, 2], 1, 2),
    ] {
        let (now, then) =
            (Problem::random(shape, columns, seed).unwrap(), Problem::read(&golden(name)).unwrap());
        assert_eq!(now.shape(), then.shape());
        let matrices = |problem: &Problem| {
            let all = [problem.x(), problem.y()].into_iter().chain(problem.weights());
            all.flat_map(|matrix| matrix.values.clone()).collect::<Vec<f64>>()
        };
        // The logarithm and the sine are the platform's: they may differ in the last bit.
        for (now, then) in matrices(&now).iter().zip(matrices(&then)) {
            assert!((now - then).abs() <= 1e-14, "{name}: {now}, not {then}");
        }
    }
}

#[test]
fn a_difference_to_pytorch_is_seen_and_where_it_is() {
    let found = solved(&Problem::read(&golden("exercise")).unwrap());
    let file = std::fs::read(golden("exercise")).unwrap();
    let position = found.variables.iter().position(|variable| variable.name == "W2").unwrap();
    for (entry, by) in [(3, 1e-10), (0, f64::NAN), (11, f64::NAN)] {
        let mut other = found.clone();
        other.variables[position].gradient.as_mut().unwrap().values[entry] += by;
        let comparison = torch::read(&other, &file).unwrap();
        let differing: Vec<usize> = comparison
            .lines
            .iter()
            .filter(|line| line.agrees == Some(false))
            .map(|line| line.variable)
            .collect();
        assert_eq!((found.near_kinks(), comparison.agrees()), (0, Some(false)));
        assert_eq!(differing, [position]);
        assert!(by.is_nan() == comparison.largest().is_nan());
        assert!(by.is_nan() || (comparison.largest() - 1e-10).abs() < 1e-13);
    }
    let shorter = solved(&Problem::random(&[5, 4, 3, 2], 49, 0).unwrap());
    let error = torch::read(&shorter, &file).unwrap_err().to_string();
    assert!(error.starts_with("PyTorch's results: X.v is F64 [5, 50]"), "{error}");
}
