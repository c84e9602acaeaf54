//! The same gradients in two other ways: forward mode in random directions, and central differences.
//!
//! Any variable can move alone, with what comes after it computed again. For a direction Ẋ of it, forward mode gives
//! ż, and reverse mode must give ⟨X.g, Ẋ⟩ = ż to rounding. As long as no pre-activation changes its sign, z is a
//! polynomial of degree 2 in any one variable, so that central differences have no error but rounding whatever
//! the step is: of all steps that keep the signs, the one is taken that rounding disturbs least. Where none does, as at a
//! pre-activation of exactly 0, or where rounding hides the slope, an entry is counted and not compared.

use std::ops::Range;

use super::problem::largest;
use super::{Backprop, Matrix, Variable};
use crate::autodiff::jvp;
use crate::exec::Interpreter;
use crate::ops::{Builder, Draw, Graph, Op};
use crate::random::{self, Purpose};

/// Random directions of each variable.
const DIRECTIONS: u64 = 3;

/// Steps of the differences, relative to the size of what moves, the largest first.
const STEPS: [f64; 12] = [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11];

/// All checks together take at most about so many multiplications, some seconds; what is left then is not checked.
const MOST_WORK: usize = 4_000_000_000;

/// One variable's differences take at most this part of them entry by entry; a larger variable moves in random directions.
const SHARE: usize = 20;

/// What going to a node costs beside its arithmetic, in multiplications.
const NODE: usize = 200;

/// The error that rounding explains, relative to the absolute values of what is added up.
const TOLERANCE: f64 = 1e-12;

/// How far apart two ways of computing something are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Deviation {
    /// The largest error, relative to the absolute values of the gradient's entries, or to a thousandth of what these
    /// are sums of, if that is more.
    pub error: f64,
    /// Whether no error is more than rounding explains.
    pub within_rounding: bool,
}

impl Deviation {
    /// Nothing is apart yet.
    const NONE: Self = Self { error: 0.0, within_rounding: true };

    /// Takes an error in, that is to be no more than `tolerance`. Written so that NaN is more than anything.
    fn add(&mut self, error: f64, tolerance: f64, size: f64) {
        self.within_rounding &= error <= tolerance;
        self.error = largest([self.error, if error == 0.0 { 0.0 } else { error / size }]);
    }
}

/// What errors are relative to: a gradient's size, or a thousandth of what it is a sum of.
fn size_of(gradient: f64, scale: f64) -> f64 {
    gradient.max(1e-3 * scale)
}

/// Products and their sums that are smaller lose digits to underflow: their rounding is no longer relative to them.
const TINY: f64 = 1e-280;

/// What was found of one variable's gradient.
#[derive(Clone, Debug)]
pub struct Found {
    /// The variable, by position in [`Backprop::variables`].
    pub variable: usize,
    /// The largest |⟨X.g, Ẋ⟩ − ż| over the directions; nothing where the time did not suffice, or where
    /// what is added up overflows or underflows.
    pub forward_mode: Option<Deviation>,
    /// What central differences say.
    pub differences: Differences,
}

/// Central differences of one variable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Differences {
    /// The errors of those that were compared.
    pub deviation: Deviation,
    /// Entries, or random directions, that were compared.
    pub compared: usize,
    /// Those that were not, as they stand at a kink, or as rounding hides them.
    pub not_compared: usize,
    /// Whether random directions were compared, not entries.
    pub in_directions: bool,
}

impl Found {
    /// Whether both ways agree with reverse mode; nothing where one could tell nothing.
    pub fn agrees(&self) -> Option<bool> {
        match (self.forward_mode?.within_rounding, self.differences.compared) {
            (false, _) => Some(false),
            (true, 0) => None,
            (true, _) => Some(self.differences.deviation.within_rounding),
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
    /// The largest errors: of forward mode, and of central differences; nothing of what compared nothing.
    pub fn largest(&self) -> (Option<f64>, Option<f64>) {
        let of = |deviations: Vec<Deviation>| {
            (!deviations.is_empty()).then(|| largest(deviations.iter().map(|deviation| deviation.error)))
        };
        let forward = self.found.iter().filter_map(|found| found.forward_mode);
        let compared = self.found.iter().map(|found| found.differences).filter(|of| of.compared > 0);
        (of(forward.collect()), of(compared.map(|differences| differences.deviation).collect()))
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
        let mut budget = MOST_WORK;
        let with_gradient = found.variables.iter().enumerate().filter(|(_, v)| v.gradient.is_some());
        let whole = work(graph, 0..graph.len());
        let check = |(position, variable): (usize, &Variable)| {
            // Forward mode computes the graph, and a tangent of the chain in each direction.
            let cost = whole.saturating_mul(1 + DIRECTIONS as usize);
            let forward_mode =
                if afford(&mut budget, cost) { forward_mode(found, graph, position) } else { None };
            let differences = match forward_mode {
                Some(_) => Curve::new(found, graph, values, variable).differences(position, &mut budget),
                None => Differences::default(),
            };
            Found { variable: position, forward_mode, differences }
        };
        Self { found: with_gradient.map(check).collect() }
    }
}

/// Takes a cost from the budget, if it can be paid.
fn afford(budget: &mut usize, cost: usize) -> bool {
    match budget.checked_sub(cost) {
        Some(rest) => {
            *budget = rest;
            true
        }
        None => false,
    }
}

/// About how many multiplications these nodes take.
fn work(graph: &Graph, nodes: Range<usize>) -> usize {
    let of = graph.iter().take(nodes.end).skip(nodes.start).map(|(_, node)| {
        let terms = match node.op {
            Op::MatMul(product) => {
                product.extents(&graph[node.inputs[0]].shape, &graph[node.inputs[1]].shape).k
            }
            _ => 1,
        };
        node.shape.size().saturating_mul(terms).saturating_add(NODE)
    });
    of.fold(0, usize::saturating_add)
}

/// Entries of a direction, for the variable at this position.
fn direction(position: usize, which: u64, length: usize) -> Vec<f64> {
    let mut rng = random::chacha(which, Purpose::Directions, position as u64);
    (0..length).map(|_| random::standard_normal(&mut rng)).collect()
}

/// ⟨a, b⟩
fn inner_product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Σ|aᵢ bᵢ|
fn size_of_product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum()
}

fn gradient(variable: &Variable) -> &[f64] {
    variable.gradient.as_ref().map_or(&[], |gradient| &gradient.values)
}

/// ⟨X.g, Ẋ⟩ beside ż, in several directions of a variable.
fn forward_mode(found: &Backprop, graph: &Graph, position: usize) -> Option<Deviation> {
    let variable = &found.variables[position];
    let z = found.variables.last()?.node;
    let builder = Builder::extend(graph.clone());
    let var = builder.var(variable.node);
    let seed = builder.input("tangent", var.shape());
    let tangent = jvp(&[builder.var(z)], &[(var, seed)])[0];
    let (seed, tangent) = (seed.id()?, tangent?.id()?);
    let graph = builder.finish().ok()?; // every node has the shape of its value: no operation is refused
    let mut values = Interpreter::<f64>::new(&graph);
    for input in found.variables.iter().filter(|variable| variable.is_input) {
        values.set(input.node, &input.value.values);
    }
    // Tangents share nodes with the gradients that stand in the graph already.
    values.run(0..seed.index(), Draw::default());
    let mut deviation = Deviation::NONE;
    for which in 0..DIRECTIONS {
        let direction = direction(position, which, variable.value.values.len());
        values.set(seed, &direction);
        values.run(seed.index() + 1..graph.len(), Draw::default());
        let error = (inner_product(gradient(variable), &direction) - values.get(tangent)[0]).abs();
        let scale = size_of_product(&variable.scale.gradient, &direction);
        if !scale.is_finite() || (0.0 < scale && scale < TINY) {
            return None;
        }
        let size = size_of(size_of_product(gradient(variable), &direction), scale);
        deviation.add(error, TOLERANCE * scale, size);
    }
    Some(deviation)
}

/// z as a function of one variable, what comes before it held fixed.
struct Curve<'c, 'g> {
    found: &'c Backprop,
    values: &'c mut Interpreter<'g, f64>,
    variable: &'c Variable,
    /// What is computed again when the variable moves.
    after: Range<usize>,
    /// Operations of one evaluation.
    work: usize,
}

/// A slope by central differences, and how far rounding may have moved it.
#[derive(Clone, Copy)]
struct Slope {
    slope: f64,
    rounding: f64,
}

impl<'c, 'g> Curve<'c, 'g> {
    fn new(
        found: &'c Backprop,
        graph: &Graph,
        values: &'c mut Interpreter<'g, f64>,
        variable: &'c Variable,
    ) -> Self {
        let after = variable.node.index() + 1..found.primal.end;
        Self { found, values, variable, work: work(graph, after.clone()), after }
    }

    fn differences(mut self, position: usize, budget: &mut usize) -> Differences {
        let variable = self.variable;
        let (value, length) = (variable.value.values.clone(), variable.value.values.len());
        let (gradient, scale) = (gradient(variable), &variable.scale.gradient);
        let of_slope = self.work.saturating_mul(2 * STEPS.len() / 2); // about half the steps are tried
        let each = of_slope.saturating_mul(length);
        let mut differences = Differences { deviation: Deviation::NONE, ..Differences::default() };
        let size = size_of(largest(gradient.iter().map(|g| g.abs())), largest(scale.iter().copied()));
        let typical = variable.value.largest();
        if each <= MOST_WORK / SHARE && afford(budget, each) {
            for entry in 0..length {
                let step = if typical > 0.0 { value[entry].abs().max(typical) } else { 1.0 };
                let slope = self.slope(&value, |t, moved: &mut [f64]| moved[entry] += t * step);
                differences.add(slope, [gradient[entry], scale[entry], size].map(|x| x * step));
            }
        } else if afford(budget, of_slope.saturating_mul(DIRECTIONS as usize)) {
            differences.in_directions = true;
            for which in 0..DIRECTIONS {
                let step = if typical > 0.0 { typical } else { 1.0 };
                let direction: Vec<f64> =
                    direction(position, which, length).into_iter().map(|d| d * step).collect();
                let slope = self.slope(&value, |t, moved: &mut [f64]| {
                    moved.iter_mut().zip(&direction).for_each(|(x, d)| *x += t * d);
                });
                let reverse = inner_product(gradient, &direction);
                let scale = size_of_product(scale, &direction);
                differences
                    .add(slope, [reverse, scale, size_of(size_of_product(gradient, &direction), scale)]);
            }
        }
        self.evaluate(&value);
        differences
    }

    /// dz/dt at t = 0 from the step that rounding disturbs least; nothing where every step meets a kink.
    fn slope(&mut self, value: &[f64], moved: impl Fn(f64, &mut [f64])) -> Option<Slope> {
        let mut best: Option<Slope> = None;
        for step in STEPS {
            let mut end = |t: f64| {
                let mut values = value.to_vec();
                moved(t, &mut values);
                let z = self.evaluate(&values);
                (z.is_finite() && self.has_signs_of_the_point()).then(|| (z, self.rounding_of_z()))
            };
            let Some(((low, error_low), (high, error_high))) = end(-step).zip(end(step)) else { continue };
            let rounding = (error_low + error_high) / (2.0 * step);
            match best {
                // Smaller steps from here on only divide the same rounding by less.
                Some(best) if rounding > best.rounding => break,
                _ => best = Some(Slope { slope: (high - low) / (2.0 * step), rounding }),
            }
        }
        best
    }

    fn evaluate(&mut self, value: &[f64]) -> f64 {
        self.values.set(self.variable.node, value);
        self.values.run(self.after.clone(), Draw::default());
        self.found.variables.last().map_or(f64::NAN, |z| self.values.get(z.node)[0])
    }

    /// About how wrong z is: D is wrong by a rounding of what it is a sum of, and z by D times that.
    fn rounding_of_z(&self) -> f64 {
        let [.., d, z] = &self.found.variables[..] else { return f64::NAN };
        let now = self.values.get(d.node);
        let unit = 4.0 * f64::EPSILON;
        let of_d = now.iter().zip(&d.scale.value).map(|(d, scale)| {
            let wrong = unit * scale.max(d.abs());
            d.abs() * wrong + wrong * wrong
        });
        // Where D or z moves itself, it is what it was set to.
        let of_d = if self.variable.node < d.node { of_d.sum() } else { 0.0 };
        of_d + unit * self.values.get(z.node)[0].abs()
    }

    /// Whether every pre-activation is still on the side of its kink where the gradient was taken. At 0 it is on
    /// neither, so that any change takes it away.
    fn has_signs_of_the_point(&self) -> bool {
        let sign = |x: f64| x.partial_cmp(&0.0);
        self.found.pre_activations.iter().all(|&position| {
            let at_point: &Matrix = &self.found.variables[position].value;
            let now = self.values.get(self.found.variables[position].node);
            now.iter().zip(&at_point.values).all(|(&a, &b)| sign(a) == sign(b))
        })
    }
}

impl Differences {
    /// Compares a slope with reverse mode's. `scale` is what that is a sum of, `size` what errors are relative to.
    fn add(&mut self, slope: Option<Slope>, [reverse, scale, size]: [f64; 3]) {
        let within = slope.map(|slope| (slope, 8.0 * slope.rounding + TOLERANCE * scale));
        // A tenth of a per mille at least, or a comparison would say nothing.
        let can_tell = |tolerance: f64| size >= TINY && size.is_finite() && tolerance <= 1e-4 * size;
        match within {
            Some((Slope { slope, .. }, tolerance)) if can_tell(tolerance) => {
                self.compared += 1;
                self.deviation.add((slope - reverse).abs(), tolerance, size);
            }
            _ => self.not_compared += 1,
        }
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
