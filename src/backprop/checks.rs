//! The same gradients in two other ways: forward mode in random directions, and central differences.
//!
//! Any variable can move alone, with what comes after it computed again. For a direction Ẋ of it, forward mode gives
//! ż, and reverse mode must give ⟨X.g, Ẋ⟩ = ż to rounding. As long as no pre-activation changes its sign, z is a
//! polynomial of degree 2 in any one variable, so that central differences have no error but rounding whatever
//! the step is; across the kink of a relu they say nothing, so the step is made smaller, and where that does not help,
//! as at a pre-activation of exactly 0, the entry is counted and not compared.

use super::{Backprop, Variable};
use crate::autodiff::jvp;
use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::{Builder, Draw, Graph};
use crate::random::{self, Purpose};

/// Random directions of each variable.
const DIRECTIONS: u64 = 3;

/// Steps of the differences, relative to the entry's size where that is more than 1.
const STEPS: [f64; 4] = [1e-3, 1e-4, 1e-5, 1e-6];

/// Differences take at most so many multiplications and additions, about two seconds; beyond that the variable moves
/// in random directions instead of entry by entry.
const MOST_WORK: usize = 500_000_000;

/// What was found of one variable's gradient.
#[derive(Clone, Debug)]
pub struct Found {
    /// The variable, by position in [`Backprop::variables`].
    pub variable: usize,
    /// The largest |⟨X.g, Ẋ⟩ − ż| over the directions, relative to Σ|X.gᵢ Ẋᵢ|.
    pub forward_mode: f64,
    /// What central differences say.
    pub differences: Differences,
}

/// Central differences of one variable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Differences {
    /// The largest error, relative to the largest entry of the gradient, or 1 if that is more.
    pub error: f64,
    /// The largest error that rounding explains, relative to the same.
    pub rounding: f64,
    /// Entries, or random directions, that were compared.
    pub compared: usize,
    /// Those that were not, as they stand at a kink.
    pub at_kinks: usize,
    /// Whether random directions were compared, not entries.
    pub in_directions: bool,
}

impl Found {
    /// Whether both ways agree with reverse mode; nothing where differences could compare nothing.
    pub fn agrees(&self) -> Option<bool> {
        // Written so that NaN does not agree.
        let forward = self.forward_mode <= 1e-10;
        let Differences { error, rounding, compared, .. } = self.differences;
        match (forward, compared) {
            (false, _) => Some(false),
            (true, 0) => None,
            (true, _) => Some(error <= 1e-9 + 8.0 * rounding),
        }
    }
}

/// What was found of all gradients.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// One entry for each variable with a gradient, in their order.
    pub found: Vec<Found>,
}

impl Checks {
    /// The largest errors: of forward mode, and of central differences.
    pub fn largest(&self) -> (f64, f64) {
        let largest = |errors: &mut dyn Iterator<Item = f64>| {
            errors.fold(0.0, |largest: f64, x| if x <= largest { largest } else { x })
        };
        let forward = largest(&mut self.found.iter().map(|found| found.forward_mode));
        (forward, largest(&mut self.found.iter().map(|found| found.differences.error)))
    }

    /// Whether all agree: nothing if that could not be told of one.
    pub fn agree(&self) -> Option<bool> {
        let verdicts = || self.found.iter().map(Found::agrees);
        match (verdicts().any(|v| v == Some(false)), verdicts().any(|v| v.is_none())) {
            (true, _) => Some(false),
            (false, true) => None,
            (false, false) => Some(true),
        }
    }

    /// `values` hold the whole graph's, and do so again afterwards.
    pub(super) fn of(found: &Backprop, graph: &Graph, values: &mut Interpreter<'_, f64>) -> Self {
        let with_gradient = found.variables.iter().enumerate().filter(|(_, v)| v.gradient.is_some());
        let check = |(position, variable): (usize, &Variable)| Found {
            variable: position,
            forward_mode: forward_mode(found, graph, position),
            differences: Curve::new(found, graph, values, variable).differences(position),
        };
        Self { found: with_gradient.map(check).collect() }
    }
}

/// Entries of a direction, for the variable at this position.
fn direction(position: usize, which: u64, length: usize) -> Vec<f64> {
    let mut rng = random::chacha(which, Purpose::Directions, position as u64);
    (0..length).map(|_| random::standard_normal(&mut rng)).collect()
}

/// ⟨a, b⟩ and Σ|aᵢ bᵢ|.
fn inner_product(a: &[f64], b: &[f64]) -> (f64, f64) {
    a.iter().zip(b).fold((0.0, 0.0), |(sum, size), (a, b)| (sum + a * b, size + (a * b).abs()))
}

fn gradient(variable: &Variable) -> &[f64] {
    variable.gradient.as_ref().map_or(&[], |gradient| &gradient.values)
}

/// The largest relative error over the directions of a variable.
fn forward_mode(found: &Backprop, graph: &Graph, position: usize) -> f64 {
    let variable = &found.variables[position];
    let Some(z) = found.variables.last().map(|z| z.node) else { return f64::NAN };
    let builder = Builder::extend(graph.clone());
    let var = builder.var(variable.node);
    let seed = builder.input("tangent", var.shape());
    let tangent = jvp(&[builder.var(z)], &[(var, seed)])[0];
    let (Some(seed), Some(tangent)) = (seed.id(), tangent.and_then(|tangent| tangent.id())) else {
        return f64::NAN;
    };
    // Every node has the shape of its value: no operation is refused.
    let Ok(graph) = builder.finish() else { return f64::NAN };
    let mut values = Interpreter::<f64>::new(&graph);
    for input in found.variables.iter().filter(|variable| variable.is_input) {
        values.set(input.node, &input.value.values);
    }
    // Tangents share nodes with the gradients that stand in the graph already.
    values.run(0..seed.index(), Draw::default());
    let mut largest = 0.0;
    for which in 0..DIRECTIONS {
        let direction = direction(position, which, variable.value.values.len());
        values.set(seed, &direction);
        values.run(seed.index() + 1..graph.len(), Draw::default());
        let (reverse, size) = inner_product(gradient(variable), &direction);
        let error = (reverse - values.get(tangent)[0]).abs() / size.max(f64::MIN_POSITIVE);
        largest = if error <= largest { largest } else { error };
    }
    largest
}

/// z as a function of one variable, what comes before it held fixed.
struct Curve<'c, 'g> {
    found: &'c Backprop,
    values: &'c mut Interpreter<'g, f64>,
    variable: &'c Variable,
    /// What is computed again when the variable moves.
    after: std::ops::Range<usize>,
    z: Option<NodeId>,
    /// Operations of one evaluation.
    work: usize,
}

impl<'c, 'g> Curve<'c, 'g> {
    fn new(
        found: &'c Backprop,
        graph: &Graph,
        values: &'c mut Interpreter<'g, f64>,
        variable: &'c Variable,
    ) -> Self {
        let after = variable.node.index() + 1..found.primal.end;
        let work = graph.iter().take(after.end).skip(after.start).map(|(_, node)| {
            let first = node.inputs.first().map_or(1, |&input| graph[input].shape.rows_and_columns().1);
            node.shape.size().saturating_mul(first)
        });
        let work = work.fold(1, usize::saturating_add);
        Self { found, values, variable, after, z: found.variables.last().map(|z| z.node), work }
    }

    fn differences(mut self, position: usize) -> Differences {
        let value = self.variable.value.values.clone();
        let length = value.len();
        let each = self.work.saturating_mul(length).saturating_mul(2 * STEPS.len()) <= MOST_WORK;
        let mut differences = Differences { in_directions: !each, ..Differences::default() };
        if each {
            let largest = self.variable.gradient.as_ref().map_or(0.0, |gradient| gradient.largest()).max(1.0);
            for (entry, &reverse) in gradient(self.variable).to_vec().iter().enumerate() {
                let step = value[entry].abs().max(1.0);
                let moved = |t: f64, moved: &mut [f64]| moved[entry] += t * step;
                differences.add(self.slope(&value, moved), reverse * step, largest * step);
            }
        } else {
            for which in 0..DIRECTIONS {
                let direction = direction(position, which, length);
                let (reverse, size) = inner_product(gradient(self.variable), &direction);
                let moved = |t: f64, moved: &mut [f64]| {
                    moved.iter_mut().zip(&direction).for_each(|(x, d)| *x += t * d);
                };
                differences.add(self.slope(&value, moved), reverse, size.max(1.0));
            }
        }
        self.evaluate(&value);
        differences
    }

    /// dz/dt at t = 0 by central differences, and how much of it may be rounding; nothing at a kink.
    fn slope(&mut self, value: &[f64], moved: impl Fn(f64, &mut [f64])) -> Option<(f64, f64)> {
        STEPS.into_iter().find_map(|step| {
            let [low, high] = [-step, step].map(|t| {
                let mut values = value.to_vec();
                moved(t, &mut values);
                let z = self.evaluate(&values);
                (self.has_signs_of_the_point()).then_some(z)
            });
            let (low, high) = (low?, high?);
            let rounding = f64::EPSILON * low.abs().max(high.abs()) / step;
            Some(((high - low) / (2.0 * step), rounding))
        })
    }

    fn evaluate(&mut self, value: &[f64]) -> f64 {
        self.values.set(self.variable.node, value);
        self.values.run(self.after.clone(), Draw::default());
        self.z.map_or(f64::NAN, |z| self.values.get(z)[0])
    }

    /// Whether every pre-activation is still on the side of its kink where the gradient was taken. At 0 it is on
    /// neither, so that any change takes it away.
    fn has_signs_of_the_point(&self) -> bool {
        let sign = |x: f64| x.partial_cmp(&0.0);
        self.found.pre_activations.iter().all(|&node| {
            let Some(at_point) = self.found.variables.iter().find(|variable| variable.node == node) else {
                return false;
            };
            let now = self.values.get(node);
            now.iter().zip(&at_point.value.values).all(|(&a, &b)| sign(a) == sign(b))
        })
    }
}

impl Differences {
    fn add(&mut self, slope: Option<(f64, f64)>, reverse: f64, size: f64) {
        let Some((slope, rounding)) = slope else {
            self.at_kinks += 1;
            return;
        };
        self.compared += 1;
        let error = (slope - reverse).abs() / size;
        self.error = if error <= self.error { self.error } else { error };
        self.rounding = self.rounding.max(rounding / size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backprop::Problem;

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
        let checks = Checks::of(&found, &graph, &mut values);
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
    fn differences_alone_find_a_mistake_too() {
        let found = Differences { error: 1e-4, rounding: 1e-12, compared: 3, ..Differences::default() };
        assert_eq!(Found { variable: 0, forward_mode: 0.0, differences: found }.agrees(), Some(false));
        let none = Differences { compared: 0, at_kinks: 3, ..found };
        assert_eq!(Found { variable: 0, forward_mode: 0.0, differences: none }.agrees(), None);
        assert_eq!(Found { variable: 0, forward_mode: f64::NAN, differences: none }.agrees(), Some(false));
    }
}
