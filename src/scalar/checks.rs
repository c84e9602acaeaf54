//! The same derivatives by other ways: central differences, and forward against reverse mode.

use super::parse::Formula;
use super::trace::Trace;
use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::Draw;

/// What was compared.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// A line for each input; where there are too many, one for the direction in which all move alike.
    pub differences: Vec<Difference>,
    /// ⟨ȳ, ẏ⟩ = ⟨x̄, ẋ⟩.
    pub inner_product: InnerProduct,
}

/// A derivative by reverse mode beside its central difference.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The input that moves; nothing where all do, by 1 each.
    pub input: Option<usize>,
    /// From the gradient.
    pub reverse: f64,
    /// From values on both sides; nothing where the formula has none there.
    pub central: Option<f64>,
    /// About how wrong `central` is, from its change with the step.
    pub uncertainty: f64,
}

impl Difference {
    /// How far they are apart.
    pub fn error(&self) -> Option<f64> {
        self.central.map(|central| (central - self.reverse).abs())
    }

    /// Whether that is within what differences can tell; nothing where they tell nothing.
    pub fn agrees(&self) -> Option<bool> {
        let (error, central) = (self.error()?, self.central?);
        let size = self.reverse.abs().max(central.abs());
        let tolerance = 20.0 * self.uncertainty + 1e-8 * size.max(1.0);
        let tells = tolerance <= 1e-6 || tolerance <= 0.02 * central.abs();
        tells.then_some(error <= tolerance)
    }
}

/// Forward and reverse mode against each other, with ȳ = 1 and the tangents ẋ of the first direction, or 1 for
/// all inputs where each was traced alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct InnerProduct {
    /// ⟨ȳ, ẏ⟩, from forward mode.
    pub forward: f64,
    /// ⟨x̄, ẋ⟩, from reverse mode.
    pub reverse: f64,
    /// The sum of the absolute values of what was added up: what rounding errors are relative to.
    pub magnitude: f64,
}

impl InnerProduct {
    /// How far they are apart.
    pub fn error(&self) -> f64 {
        (self.forward - self.reverse).abs()
    }

    /// Whether that is no more than rounding; nothing where the sum overflows.
    pub fn agrees(&self) -> Option<bool> {
        self.error().is_finite().then_some(self.error() <= 1e-9 * self.magnitude.max(1.0))
    }
}

/// The most operations to spend on differences: about a second.
const MOST_OPERATIONS: usize = 60_000_000;

/// The steps tried, as fractions of the input's size: small ones, too, for what changes fast.
const STEPS: [f64; 12] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12];

pub(super) fn differences(formula: &Formula, inputs: &[NodeId], trace: &Trace) -> Checks {
    let mut curve = Curve::new(formula, inputs, trace);
    let evaluations = inputs.len().saturating_mul(8 * STEPS.len());
    let differences = if evaluations.saturating_mul(formula.graph().len()) <= MOST_OPERATIONS {
        let each = trace.gradient().map(|(_, g)| g).collect::<Vec<f64>>().into_iter().enumerate();
        each.map(|(input, reverse)| curve.difference(Some(input), reverse)).collect()
    } else {
        let reverse = trace.gradient().map(|(_, g)| g).sum();
        vec![curve.difference(None, reverse)]
    };
    let output = trace.rows.last();
    let each = trace.sweeps_each_input();
    let tangents: Vec<f64> = match trace.directions.first() {
        Some(direction) if !each => direction.tangents.clone(),
        _ => vec![1.0; inputs.len()],
    };
    let terms = trace.gradient().zip(&tangents).map(|((_, g), t)| g * t);
    let (reverse, magnitude) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
    let forward = output.map_or(0.0, |output| match each {
        true => output.tangents.iter().sum(), // ẏ is linear in ẋ
        false => output.tangents[0],
    });
    Checks { differences, inner_product: InnerProduct { forward, reverse, magnitude } }
}

/// The formula along a line through the point.
struct Curve<'a> {
    values: Interpreter<'a, f64>,
    end: usize,
    output: NodeId,
    inputs: &'a [NodeId],
    point: Vec<f64>,
    /// About how far the formula's value is rounded.
    rounding: f64,
}

impl<'a> Curve<'a> {
    fn new(formula: &'a Formula, inputs: &'a [NodeId], trace: &Trace) -> Self {
        let mut values = Interpreter::new(formula.graph());
        let point: Vec<f64> = trace.point.iter().map(|(_, x)| *x).collect();
        for (&input, &x) in inputs.iter().zip(&point) {
            values.set(input, &[x]);
        }
        // Each node is rounded, and its adjoint says what that does to the formula's value (Griewank and Walther
        // 2008, section 3.4); independent errors add up as a random walk does.
        let squares = trace.rows.iter().map(|row| (row.value * row.adjoint).powi(2));
        let rounding = f64::EPSILON * squares.sum::<f64>().sqrt();
        let end = formula.graph().len();
        Self { values, end, output: formula.output(), inputs, point, rounding }
    }

    /// The best central difference over all steps: of fourth order, from two step lengths; the step
    /// is the one where these two agree best (after Ridders 1982).
    fn difference(&mut self, input: Option<usize>, reverse: f64) -> Difference {
        let mut best = Difference { input, reverse, central: None, uncertainty: f64::INFINITY };
        let mut best_share = f64::INFINITY;
        let size = self.scale(input);
        // Beside an input near 0 the formula may change over its distance from 0, or over 1.
        let sizes =
            if size > 0.0 && size < 0.1 { [Some(size), Some(1.0)] } else { [Some(size.max(1.0)), None] };
        for step in sizes.into_iter().flatten().flat_map(|size| STEPS.map(|step| step * size)) {
            let (wide, largest) = self.slope(input, step);
            let (narrow, _) = self.slope(input, step / 2.0);
            let central = (4.0 * narrow - wide) / 3.0;
            let rounding = self.rounding.max(f64::EPSILON * largest);
            let uncertainty = (wide - narrow).abs() + rounding / step;
            // A share of the slope: where a step is too long for what changes fast, slopes are small and wrong.
            let share = uncertainty / (central.abs() + 1e-6);
            if central.is_finite() && share < best_share {
                best_share = share;
                best = Difference { central: Some(central), uncertainty, ..best };
            }
        }
        best
    }

    fn scale(&self, input: Option<usize>) -> f64 {
        match input {
            Some(input) => self.point[input].abs(),
            None => self.point.iter().fold(0.0, |largest: f64, x| largest.max(x.abs())),
        }
    }

    /// The central difference, and the larger of the two values' sizes.
    fn slope(&mut self, input: Option<usize>, step: f64) -> (f64, f64) {
        let mut value = |step: f64| {
            let moving = input.map_or(0..self.inputs.len(), |input| input..input + 1);
            for input in moving.clone() {
                self.values.set(self.inputs[input], &[self.point[input] + step]);
            }
            self.values.run(0..self.end, Draw::default());
            let value = self.values.get(self.output)[0];
            for input in moving {
                self.values.set(self.inputs[input], &[self.point[input]]);
            }
            value
        };
        let (up, down) = (value(step), value(-step));
        ((up - down) / (2.0 * step), up.abs().max(down.abs()))
    }
}
