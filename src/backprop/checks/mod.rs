//! The same gradients in two other ways: [`forward`] mode in random directions, and central [`differences`].
//!
//! Any variable can move alone, with what comes after it computed again, so the gradient of every node is checked. Errors
//! are held to what rounding can have done ([`Rounding`](super::Rounding)); where that is more than a trace of the gradient,
//! nothing is said. Numbers whose products overflow or underflow are not judged either.

mod budget;
mod deviation;
mod differences;
mod forward;
mod found;

pub use found::{Deviation, Differences, Found, GradientChecks};

use budget::{Budget, work};
use differences::Curve;
use forward::{DIRECTIONS, forward_mode};

use super::chain::{Backprop, Variable};
use super::sensitivity::is_extreme;
use crate::exec::Interpreter;
use crate::ops::Graph;

/// Every gradient in both ways. `values` hold the whole graph's, and do so again afterwards.
pub(super) fn check(found: &Backprop, graph: &Graph, values: &mut Interpreter<'_, f64>) -> GradientChecks {
    let mut budget = Budget::default();
    let with_gradient = found.variables.iter().enumerate().filter(|(_, v)| v.gradient.is_some());
    let whole = work(graph, 0..graph.len());
    let is_extreme = is_extreme(&found.variables);
    let check = |(position, variable): (usize, &Variable)| {
        // Forward mode computes the graph, and a tangent of the chain in each direction.
        let cost = whole.saturating_mul(1 + DIRECTIONS as usize);
        let forward_mode =
            if !is_extreme && budget.pays(cost) { forward_mode(found, graph, position) } else { None };
        let differences = match forward_mode {
            Some(_) => Curve::new(found, graph, values, variable).differences(position, &mut budget),
            None => Differences::default(),
        };
        Found { variable: position, forward_mode, differences }
    };
    GradientChecks { found: with_gradient.map(check).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backprop::Problem;
    use crate::ops::Draw;

    /// The checks after one number of a gradient has been changed.
    fn with_mistake(name: &str, entry: usize, by: f64) -> Vec<(String, Option<bool>)> {
        let mut found = Backprop::of(&Problem::random(&[5, 4, 3, 2], 10, 1).unwrap()).unwrap();
        let graph = found.graph.clone();
        let mut values = Interpreter::<f64>::new(&graph);
        for input in found.variables.iter().filter(|variable| variable.is_input) {
            values.set(input.node, &input.value.values);
        }
        values.run(0..graph.len(), Draw::default());
        let wrong = found.variables.iter_mut().find(|variable| variable.name == name).unwrap();
        wrong.gradient.as_mut().unwrap().values[entry] += by;
        let checks = check(&found, &graph, &mut values);
        checks.found.iter().map(|f| (found.variables[f.variable].name.clone(), f.agrees())).collect()
    }

    #[test]
    fn a_wrong_number_in_any_gradient_is_found_there_and_nowhere_else() {
        for name in ["W1", "W2", "W3", "V1", "V2", "V3", "V4", "V5", "D", "z"] {
            let verdicts = with_mistake(name, 0, 1e-4);
            assert_eq!(
                verdicts.iter().filter(|(_, agrees)| *agrees == Some(false)).count(),
                1,
                "{verdicts:?}"
            );
            assert!(verdicts.contains(&(name.into(), Some(false))), "{name}: {verdicts:?}");
        }
        assert!(with_mistake("W1", 3, f64::NAN).contains(&("W1".into(), Some(false))));
        assert!(with_mistake("W1", 3, 0.0).iter().all(|(_, agrees)| *agrees != Some(false)));
    }

    #[test]
    fn either_way_alone_finds_a_mistake_and_nan_is_one() {
        let deviation = |error: f64| {
            let mut deviation = Deviation::NONE;
            [1e-15, error, 1e-15].into_iter().for_each(|error| deviation.add(error, 1e-12, 1.0));
            deviation
        };
        let verdict = |forward: f64, differences: f64, compared: usize| {
            let differences =
                Differences { deviation: deviation(differences), compared, ..Differences::default() };
            Found { variable: 0, forward_mode: Some(deviation(forward)), differences }.agrees()
        };
        assert_eq!(verdict(1e-15, 1e-15, 3), Some(true));
        assert_eq!(verdict(1e-15, 1e-4, 3), Some(false));
        assert_eq!(verdict(1e-15, 0.0, 0), None);
        assert_eq!(verdict(1e-4, 1e-15, 3), Some(false));
        assert_eq!([verdict(f64::NAN, 0.0, 3), verdict(0.0, f64::NAN, 3)], [Some(false), Some(false)]);
        assert!(deviation(f64::NAN).error.is_nan());
    }
}
