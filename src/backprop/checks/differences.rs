//! Central differences beside reverse mode.
//!
//! As long as no pre-activation changes its sign, z is a polynomial of degree 2 in any one variable, so that central
//! differences have no error but rounding whatever the step is: of all steps that keep the signs, the one is taken that
//! rounding disturbs least. Where none does, as at a pre-activation of exactly 0, or where rounding hides the slope, an entry
//! is counted and not compared.

use std::ops::Range;

use super::budget::{Budget, work};
use super::deviation::{HIDDEN, direction, gradient, inner_product, size_of_product};
use super::forward::DIRECTIONS;
use super::found::{Deviation, Differences};
use crate::backprop::Matrix;
use crate::backprop::chain::{Backprop, Variable};
use crate::backprop::problem::largest;
use crate::exec::Interpreter;
use crate::ops::{Draw, Graph};

/// Steps of the differences, relative to the size of what moves, the largest first.
const STEPS: [f64; 12] = [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11];

/// z as a function of one variable, what comes before it held fixed.
pub(super) struct Curve<'c, 'g> {
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
    pub fn new(
        found: &'c Backprop,
        graph: &Graph,
        values: &'c mut Interpreter<'g, f64>,
        variable: &'c Variable,
    ) -> Self {
        let after = variable.node.index() + 1..found.primal.end;
        Self { found, values, variable, work: work(graph, after.clone()), after }
    }

    /// The slopes in all entries, or in random directions, beside the gradient of the variable at this position.
    pub fn differences(mut self, position: usize, budget: &mut Budget) -> Differences {
        let variable = self.variable;
        let (value, length) = (variable.value.values.clone(), variable.value.values.len());
        let (gradient, wrong) = (gradient(variable), variable.rounding.gradient);
        let of_slope = self.work.saturating_mul(STEPS.len()); // both ends of about half the steps
        let each = of_slope.saturating_mul(length);
        let mut differences = Differences { deviation: Deviation::NONE, ..Differences::default() };
        let size = largest(gradient.iter().map(|g| g.abs()));
        let typical = variable.value.largest();
        if budget.pays_share(each) {
            for entry in 0..length {
                let step = if typical > 0.0 { value[entry].abs().max(typical) } else { 1.0 };
                let slope = self.slope(&value, |t, moved: &mut [f64]| moved[entry] += t * step);
                differences.add(slope, [gradient[entry], wrong, size].map(|x| x * step));
            }
        } else if budget.pays(of_slope.saturating_mul(DIRECTIONS as usize)) {
            differences.in_directions = true;
            for which in 0..DIRECTIONS {
                let step = if typical > 0.0 { typical } else { 1.0 };
                let direction: Vec<f64> =
                    direction(position, which, length).into_iter().map(|d| d * step).collect();
                let slope = self.slope(&value, |t, moved: &mut [f64]| {
                    moved.iter_mut().zip(&direction).for_each(|(x, d)| *x += t * d);
                });
                let reverse = inner_product(gradient, &direction);
                let length: f64 = direction.iter().map(|d| d.abs()).sum();
                differences.add(slope, [reverse, wrong * length, size_of_product(gradient, &direction)]);
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
        let (unit, at_point) = (4.0 * f64::EPSILON, d.value.largest());
        let largest_now = largest(now.iter().map(|d| d.abs()));
        // Where D has become larger, so has what it is wrong by.
        let wrong = d.rounding.value * if largest_now > at_point { largest_now / at_point } else { 1.0 };
        let wrong = wrong.max(unit * largest_now);
        let of_d = now.iter().map(|d| d.abs() * wrong + wrong * wrong);
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
    /// Compares a slope with reverse mode's, which rounding may have moved by `wrong`; `size` is what errors are relative
    /// to.
    fn add(&mut self, slope: Option<Slope>, [reverse, wrong, size]: [f64; 3]) {
        let within = slope.map(|slope| (slope, 8.0 * slope.rounding + wrong));
        let can_tell = |tolerance: f64| size > 0.0 && size.is_finite() && tolerance <= HIDDEN * size;
        match within {
            Some((Slope { slope, .. }, tolerance)) if can_tell(tolerance) => {
                self.compared += 1;
                self.deviation.add((slope - reverse).abs(), tolerance, size);
            }
            _ => self.not_compared += 1,
        }
    }
}
