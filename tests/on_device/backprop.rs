//! The chain of matrices in float32 on a device, beside float64.

use cotangent::backprop::device::{UNIT, compare};
use cotangent::backprop::{Backprop, Matrix, Problem};

use super::*;
use crate::support::Random;

/// The devices to try: the emulated ones, or the card.
fn devices() -> impl Iterator<Item = Arc<Device>> {
    (0..if on_real_card() { 1 } else { 3 }).map(device)
}

#[test]
fn values_and_gradients_are_those_of_float64_but_for_rounding() {
    for (shape, columns) in
        [(&[5, 4, 3, 2][..], 50), (&[6, 5, 5, 4, 4, 3, 3, 3, 2], 20), (&[33, 70, 17], 129)]
    {
        let found = Backprop::of(&Problem::random(shape, columns, 0).unwrap()).unwrap();
        for device in devices() {
            let comparison = compare(&found, &device).unwrap();
            assert_eq!(comparison.lines.len(), found.variables.len());
            for line in &comparison.lines {
                let name = &found.variables[line.variable].name;
                let sizes =
                    [line.largest_value, line.largest_gradient].map(|size| size.max(f64::MIN_POSITIVE));
                let errors = [line.value / sizes[0], line.gradient.unwrap_or(0.0) / sizes[1]];
                // Each layer adds the roundings of its sums.
                let bound = 64.0 * UNIT * (shape.len() as f64);
                assert!(
                    errors.iter().all(|&error| error <= bound),
                    "{name} on {}: {errors:?}",
                    comparison.device
                );
            }
        }
    }
}

#[test]
fn whole_numbers_come_out_exactly_and_a_zero_before_a_relu_passes_nothing() {
    let mut random = Random::new(11);
    let mut matrix = |rows: usize, columns: usize| {
        let values = (0..rows * columns).map(|_| random.below(3) as f64 - 1.0).collect();
        Matrix { rows, columns, values }
    };
    let weights = vec![matrix(4, 5), matrix(3, 4), matrix(2, 3)];
    let found = Backprop::of(&Problem::new(matrix(5, 40), matrix(2, 40), weights).unwrap()).unwrap();
    assert!(found.variable("V1").unwrap().value.values.contains(&0.0));
    for device in devices() {
        for line in compare(&found, &device).unwrap().lines {
            let differences = (line.value, line.gradient.unwrap_or(0.0));
            assert_eq!(differences, (0.0, 0.0), "{}", found.variables[line.variable].name);
        }
    }
}
