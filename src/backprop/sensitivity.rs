//! How far rounding can have moved the numbers of a chain.
//!
//! A rounded product is the product of slightly other factors (Higham, Accuracy and Stability of Numerical Algorithms,
//! 2002, section 3.5). So the whole is computed again with every entry of the inputs changed by a small random part of
//! itself: what comes out differently by how much is what rounding does, but for the size of the change. A bound by absolute
//! values would be certain, and so large in a deep chain that nothing could be told.

use super::chain::{Rounding, Variable};
use super::problem::Matrix;
use crate::exec::Interpreter;
use crate::ops::{Draw, Graph};
use crate::random::{self, Purpose};

/// The change of the inputs, relative to themselves: far above rounding, and seldom enough to meet a kink.
const CHANGE: f64 = 1e-9;

/// Times that everything is changed; the median counts, so that one that meets a kink does not.
const TIMES: usize = 5;

/// Safety over one rounding an operand.
const SAFETY: f64 = 32.0;

/// Numbers beyond these may have products that overflow or underflow, whose rounding follows no rule.
const EXTREME: [f64; 2] = [1e-100, 1e100];

/// Fills in what rounding may do to each variable. Returns, for each of the pre-activations, how many entries are no
/// larger than that, and so 0 but for rounding.
pub(super) fn fill_in(graph: &Graph, variables: &mut [Variable], pre_activations: &[usize]) -> Vec<usize> {
    let mut values = Interpreter::<f64>::new(graph);
    let mut changes: Vec<[Vec<f64>; 2]> = vec![[Vec::new(), Vec::new()]; variables.len()];
    let mut moved: Vec<Vec<f64>> =
        pre_activations.iter().map(|&position| vec![0.0; variables[position].value.values.len()]).collect();
    for time in 0..TIMES {
        for (position, variable) in variables.iter().enumerate().filter(|(_, variable)| variable.is_input) {
            let mut rng = random::chacha(time as u64, Purpose::Changes, position as u64);
            let change = |x: &f64| x * (1.0 + CHANGE * (2.0 * random::uniform(&mut rng) - 1.0));
            let changed: Vec<f64> = variable.value.values.iter().map(change).collect();
            values.set(variable.node, &changed);
        }
        values.run(0..graph.len(), Draw::default());
        for (&position, moved) in pre_activations.iter().zip(&mut moved) {
            let variable = &variables[position];
            let entries = moved.iter_mut().zip(&variable.value.values).zip(values.get(variable.node));
            entries.for_each(|((moved, before), after)| *moved = moved.max((before - after).abs()));
        }
        for (variable, [of_value, of_gradient]) in variables.iter().zip(&mut changes) {
            of_value.push(variable.value.distance(values.get(variable.node)));
            if let (Some(gradient), Some(node)) = (&variable.gradient, variable.gradient_node) {
                of_gradient.push(gradient.distance(values.get(node)));
            }
        }
    }
    // The longest sum of the chain: each of its terms is rounded.
    let longest = variables.iter().map(|variable| variable.value.rows.max(variable.value.columns)).max();
    let unit = SAFETY * longest.unwrap_or(1) as f64 * f64::EPSILON / 2.0;
    let rounding = |changes: &mut Vec<f64>, matrix: &Matrix| {
        changes.sort_by(f64::total_cmp); // NaN is more than all
        let median = changes.get(TIMES / 2).map_or(0.0, |change| change / CHANGE);
        unit * (median + matrix.largest())
    };
    for (variable, [mut of_value, mut of_gradient]) in variables.iter_mut().zip(changes) {
        let gradient =
            variable.gradient.as_ref().map_or(0.0, |gradient| rounding(&mut of_gradient, gradient));
        variable.rounding = Rounding { value: rounding(&mut of_value, &variable.value), gradient };
    }
    // What does not move at all, as behind units that are all closed, is 0 by right.
    let near = |(&position, moved): (&usize, &Vec<f64>)| {
        let entries = variables[position].value.values.iter().zip(moved);
        entries.filter(|(x, moved)| **moved > 0.0 && x.abs() <= unit * **moved / CHANGE).count()
    };
    pre_activations.iter().zip(&moved).map(near).collect()
}

/// Whether some number is so large or so small that products of it may be none.
pub(super) fn is_extreme(variables: &[Variable]) -> bool {
    let numbers = variables.iter().flat_map(|variable| {
        let gradient = variable.gradient.iter().flat_map(|gradient| &gradient.values);
        variable.value.values.iter().chain(gradient).map(|x| x.abs())
    });
    let [small, large] = EXTREME;
    numbers.into_iter().any(|x| (0.0 < x && x < small) || x > large)
}
