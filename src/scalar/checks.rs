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
        let scale = self.reverse.abs().max(1.0);
        self.error().map(|error| error <= 20.0 * self.uncertainty + 1e-8 * scale)
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

    /// Whether that is no more than rounding.
    pub fn agrees(&self) -> bool {
        self.error() <= 1e-9 * self.magnitude.max(1.0)
    }
}

/// The most operations to spend on differences: about a second.
const MOST_OPERATIONS: usize = 60_000_000;

/// The steps tried, as fractions of the input's size.
const STEPS: [f64; 7] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7];

pub(super) fn differences(formula: &Formula, inputs: &[NodeId], trace: &Trace) -> Checks {
    let mut curve = Curve::new(formula, inputs, trace);
    let evaluations = inputs.len().saturating_mul(4 * STEPS.len());
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
        let end = formula.graph().len();
        // Rounding errors of independent operations grow as a random walk does.
        let rounding = f64::EPSILON * trace.value().abs() * (1.0 + end as f64).sqrt();
        Self { values, end, output: formula.output(), inputs, point, rounding }
    }

    /// The best central difference over all steps: of fourth order, from two step lengths; the step
    /// is the one where these two agree best (after Ridders 1982).
    fn difference(&mut self, input: Option<usize>, reverse: f64) -> Difference {
        let size = input.map_or(1.0, |input| self.point[input].abs()).clamp(1e-3, 1e3);
        let mut best = Difference { input, reverse, central: None, uncertainty: f64::INFINITY };
        for step in STEPS.map(|step| step * size.max(self.scale(input))) {
            let (wide, narrow) = (self.slope(input, step), self.slope(input, step / 2.0));
            let central = (4.0 * narrow - wide) / 3.0;
            let uncertainty = (wide - narrow).abs() + self.rounding / step;
            if central.is_finite() && uncertainty < best.uncertainty {
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

    fn slope(&mut self, input: Option<usize>, step: f64) -> f64 {
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
        (up - down) / (2.0 * step)
    }
}
