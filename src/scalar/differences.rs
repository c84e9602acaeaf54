//! Central differences that know what they cannot tell.
//!
//! Each slope is divided by the distance that its two points really have, as numbers of float64. Two slopes, one of half the
//! other's step, give one of fourth order (Richardson 1911), and a few of those in a row must agree before a step is
//! trusted; and those of every operation, too: a ripple on a slope is in no difference of the whole whose step is longer. A
//! step is not taken at all where an operation with a kink is not on the same side at both ends as at the point.

use std::cmp::Ordering;

use super::checks::{Difference, FLAT};
use super::domain::NodeNames;
use super::formula::Formula;
use super::kinks::{self, Kink, Side};
use super::trace::Trace;
use crate::document::number::{error, exact};
use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::Draw;

/// No fraction of a power of 2, nor of another number that periods are written with.
const FIRST: f64 = 0.712_34;

/// The longest step, as a power of 2 of the size of what moves.
const LONGEST: i32 = -3;

/// The shortest, which is less than a unit in the last place.
const SHORTEST: i32 = -54;

/// The formula along lines through the point.
pub(super) struct Curve<'a> {
    formula: &'a Formula,
    names: NodeNames<'a>,
    trace: &'a Trace,
    values: Interpreter<'a, f64>,
    inputs: &'a [NodeId],
    point: Vec<f64>,
    /// The values of all nodes at the point.
    at_point: Vec<f64>,
    /// Operations that the formula's slope depends on.
    watched: Vec<NodeId>,
    /// Kinks with the side that the point is on.
    kinks: Vec<(Kink, Side)>,
    /// About how far the formula's value is rounded, and the row that this stems from most.
    rounding: f64,
    roundest: Option<usize>,
}

/// The formula beside the point.
enum Sample {
    Value(f64),
    /// An operation is on another side of its kink, by position in `kinks`.
    Beyond(usize),
    NoValue,
}

/// The slope between two points beside the given one.
struct Slope {
    step: f64,
    slope: f64,
    /// The larger of the formula's values in size.
    largest: f64,
    /// How far rounding may have moved it.
    rounding: f64,
    /// The slopes of the operations that are watched, and the larger of their values in size.
    watched: Vec<(f64, f64)>,
}

/// Why steps were not taken, and what limits those that were.
#[derive(Default)]
struct Obstacles {
    /// The kink that the shortest step meets, and that step.
    kink: Option<(usize, f64)>,
    no_value: bool,
    /// Whether shorter steps would be within a few units in the last place of the point.
    unrepresentable: bool,
    /// Whether any slope was had.
    slopes: bool,
    /// The share of rounding in the uncertainty.
    rounding: f64,
}

/// A slope of fourth order, from one of a step and one of a longer step.
fn extrapolated(wide: f64, narrow: f64, ratio: f64) -> f64 {
    narrow + (narrow - wide) / (ratio * ratio - 1.0)
}

impl Slope {
    fn extrapolated(&self, wide: &Self) -> f64 {
        extrapolated(wide.slope, self.slope, wide.step / self.step)
    }
}

/// How near each other extrapolated slopes of an operation must come with halved steps, as a share of the last. Errors
/// fall to a sixteenth; slopes that come near each other by chance, where the operation ripples within the step, do not.
const NEARER: [f64; 3] = [0.1, 0.02, 0.005];

/// Whether the slopes of all operations that are watched come near their limits; `steepest` are theirs so far.
fn all_converge(slopes: &[Slope; 5], steepest: &[f64]) -> bool {
    steepest.iter().enumerate().all(|(operation, steepest)| {
        let at = |k: usize| slopes[k].watched[operation];
        let limit = |k: usize| extrapolated(at(k).0, at(k + 1).0, slopes[k].step / slopes[k + 1].step);
        let last = limit(3).abs();
        NEARER.iter().enumerate().all(|(k, share)| {
            let rounding = 8.0 * f64::EPSILON * at(k + 1).1.max(at(k + 2).1) / slopes[k + 2].step;
            (limit(k) - limit(k + 1)).abs() <= share * last + FLAT * steepest + rounding
        })
    })
}

impl<'a> Curve<'a> {
    /// The most evaluations that a line takes.
    pub const EVALUATIONS: usize = 4 * (LONGEST - SHORTEST + 1) as usize; // two ends of two sizes

    pub fn new(formula: &'a Formula, inputs: &'a [NodeId], trace: &'a Trace) -> Self {
        let mut values = Interpreter::new(formula.graph());
        let point: Vec<f64> = trace.point.iter().map(|(_, x)| *x).collect();
        for (&input, &x) in inputs.iter().zip(&point) {
            values.set(input, &[x]);
        }
        let end = formula.graph().len();
        values.run(0..end, Draw::default());
        let at_point: Vec<f64> = formula.graph().ids().map(|id| values.get(id)[0]).collect();

        // Each operation is rounded, and its adjoint says what that does to the formula's value (Griewank and Walther
        // 2008, section 3.4); independent errors add up as a random walk does. Inputs are exact.
        let operations = trace.rows.iter().enumerate().filter(|(_, row)| row.number > 0);
        let parts: Vec<(usize, f64)> = operations
            .map(|(i, row)| (i, (f64::EPSILON * row.value * row.adjoint).abs()))
            .filter(|(_, part)| part.is_finite())
            .collect();
        let largest = parts.iter().fold(0.0, |largest: f64, (_, part)| largest.max(*part));
        let squares: f64 =
            parts.iter().map(|(_, part)| if largest > 0.0 { (part / largest).powi(2) } else { 0.0 }).sum();
        let roundest = parts.iter().find(|(_, part)| *part == largest).map(|(i, _)| *i);

        let watched =
            trace.rows.iter().filter(|row| row.number > 0 && row.adjoint != 0.0 && row.adjoint.is_finite());
        let watched = watched.map(|row| row.node).collect();
        let kinks = kinks::at_point(formula, trace, &at_point);
        let rows: Vec<(NodeId, i64)> = trace.rows.iter().map(|row| (row.node, row.number)).collect();
        Self {
            formula,
            names: NodeNames::of_rows(formula, &rows),
            trace,
            values,
            inputs,
            point,
            at_point,
            watched,
            kinks,
            rounding: largest * squares.sqrt(),
            roundest,
        }
    }

    /// One input moves.
    pub fn along_input(&mut self, input: usize, reverse: f64) -> Difference {
        let name = self.trace.point[input].0.clone();
        self.difference(
            &[(input, 1.0)],
            Difference { input: Some(input), reverse, ..Difference::default() },
            &name,
        )
    }

    /// The inputs move together, each by its tangent.
    pub fn along(&mut self, tangents: &[f64], reverse: f64) -> Difference {
        let moving = tangents.iter().copied().enumerate().filter(|(_, tangent)| *tangent != 0.0);
        let moving: Vec<(usize, f64)> = moving.collect();
        self.difference(&moving, Difference { reverse, ..Difference::default() }, "the point")
    }

    fn difference(&mut self, moving: &[(usize, f64)], empty: Difference, name: &str) -> Difference {
        let size = moving.iter().fold(0.0, |size: f64, &(input, _)| size.max(self.point[input].abs()));
        let fastest = moving.iter().fold(0.0, |fastest: f64, &(_, tangent)| fastest.max(tangent.abs()));
        let mut best = empty;
        let mut obstacles = Obstacles::default();
        if fastest == 0.0 {
            return Difference { central: Some(0.0), ..best };
        }
        if let Some(kink) = self.doubtful(moving) {
            obstacles.kink = Some((kink, 0.0));
            best.note = Some(self.why(&best, &obstacles, name));
            return best;
        }
        // Beside an input near 0 the formula may change over its distance from 0, or over 1.
        let sizes =
            if size > 0.0 && size < 0.1 { [Some(size), Some(1.0)] } else { [Some(size.max(1.0)), None] };
        let mut best_share = f64::INFINITY;
        for size in sizes.into_iter().flatten() {
            self.ladder(moving, size / fastest, &mut best, &mut best_share, &mut obstacles);
        }
        if best.agrees().is_none() {
            best.note = Some(self.why(&best, &obstacles, name));
        }
        best
    }

    /// Halves the step from about `size` on, and keeps the best of all differences.
    fn ladder(
        &mut self,
        moving: &[(usize, f64)],
        size: f64,
        best: &mut Difference,
        best_share: &mut f64,
        obstacles: &mut Obstacles,
    ) {
        let mut slopes: Vec<Slope> = Vec::new(); // each of about half the step of the one before
        let (mut steepest, mut each) = (0.0f64, vec![0.0f64; self.watched.len()]);
        for exponent in (SHORTEST..=LONGEST).rev() {
            match self.slope(moving, FIRST * size * f64::from(exponent).exp2(), obstacles) {
                // Near the point steps are whole units in its last place.
                Some(slope) if slopes.last().is_some_and(|last| slope.step > 0.75 * last.step) => continue,
                Some(slope) => slopes.push(slope),
                None => slopes.clear(),
            }
            if let Some(slope) = slopes.last() {
                steepest = steepest.max(slope.slope.abs());
                for (steepest, (slope, _)) in each.iter_mut().zip(&slope.watched) {
                    *steepest = slope.abs().max(*steepest);
                }
            }
            if slopes.len() > 5 {
                slopes.remove(0);
            }
            let Ok(slopes) = <&[Slope; 5]>::try_from(&slopes[..]) else { continue };
            let [_, a, b, c, d] = slopes;
            obstacles.slopes = true;
            let [first, second, third] =
                [(a, b), (b, c), (c, d)].map(|(wide, narrow)| narrow.extrapolated(wide));
            let (before, now) = ((first - second).abs(), (second - third).abs());
            let change = now.max(before / 64.0);
            let uncertainty = change + d.rounding;
            // What is small beside the value over the whole size is no slope at all.
            let scale = third.abs() + FLAT * (d.largest / size).max(steepest);
            let share = if scale > 0.0 { uncertainty / scale } else { f64::MAX };
            let is_trusted = before <= 0.25 * scale + d.rounding && all_converge(slopes, &each);
            if is_trusted && share < *best_share {
                *best_share = share;
                obstacles.rounding = d.rounding / uncertainty;
                *best = Difference {
                    central: Some(third),
                    uncertainty,
                    steepest: steepest.max(d.largest / d.step),
                    ..best.clone()
                };
            }
            if *best_share < 1e-6 && d.rounding > *best_share * scale {
                break; // shorter steps are rounded more
            }
        }
    }

    /// The central difference; nothing where an end has no value, is beyond a kink, or is not where it should be.
    fn slope(&mut self, moving: &[(usize, f64)], step: f64, obstacles: &mut Obstacles) -> Option<Slope> {
        // How far apart the ends really are, and how far inputs that move together are off the line.
        let (mut up, mut down) = (Vec::with_capacity(moving.len()), Vec::with_capacity(moving.len()));
        let (mut half, mut off) = (step, 0.0);
        for &(input, tangent) in moving {
            let x = self.point[input];
            let above = x + step * tangent;
            let below = x - (above - x);
            let sides = [(above - x) / tangent, (x - below) / tangent];
            if !(sides[0] > 0.0 && sides[1] > 0.0 && (sides[0] - sides[1]).abs() <= 1e-3 * step) {
                obstacles.unrepresentable = true;
                return None;
            }
            let real = (sides[0] + sides[1]) / 2.0;
            match moving.len() {
                1 => half = real,
                _ => off += (self.trace.rows[input].adjoint * tangent * (real - step)).abs(),
            }
            up.push(above);
            down.push(below);
        }
        let mut watched: Vec<Vec<f64>> = Vec::with_capacity(2);
        let mut ends = [0.0; 2];
        for (end, points) in ends.iter_mut().zip([&up, &down]) {
            *end = match self.sample(moving, points) {
                Sample::Value(value) => {
                    watched.push(self.watched.iter().map(|&node| self.values.get(node)[0]).collect());
                    value
                }
                Sample::Beyond(kink) => {
                    obstacles.kink = Some((kink, step));
                    return None;
                }
                Sample::NoValue => {
                    obstacles.no_value = true;
                    return None;
                }
            };
        }
        let of = |up: f64, down: f64| ((up - down) / (2.0 * half), up.abs().max(down.abs()));
        let watched = match &watched[..] {
            [up, down] => up.iter().zip(down).map(|(&up, &down)| of(up, down)).collect(),
            _ => Vec::new(),
        };
        let (slope, largest) = of(ends[0], ends[1]);
        let rounding = self.rounding.max(f64::EPSILON * largest) + off;
        Some(Slope { step: half, slope, largest, rounding: rounding / half, watched })
    }

    /// A kink whose side at the point rounding decides, where that depends on what moves.
    fn doubtful(&self, moving: &[(usize, f64)]) -> Option<usize> {
        let is_doubtful = |(_, side): &(Kink, Side)| *side == Side::Doubtful;
        if !self.kinks.iter().any(is_doubtful) {
            return None;
        }
        let moving: Vec<NodeId> = moving.iter().map(|&(input, _)| self.inputs[input]).collect();
        let moved = self.formula.graph().descendants(&moving);
        let depends = |kink: &Kink| kink.operands().any(|node| moved[node.index()]);
        self.kinks.iter().position(|entry| is_doubtful(entry) && depends(&entry.0))
    }

    fn sample(&mut self, moving: &[(usize, f64)], points: &[f64]) -> Sample {
        for (&(input, _), &x) in moving.iter().zip(points) {
            self.values.set(self.inputs[input], &[x]);
        }
        self.values.run(0..self.formula.graph().len(), Draw::default());
        let at = |node: NodeId| self.values.get(node)[0];
        let is_beyond = |(kink, side): &(Kink, Side)| match *side {
            Side::Of(side) => kink.side(at) != Some(side),
            Side::Doubtful => false, // it does not move
        };
        let value = at(self.formula.output());
        let beyond = self.kinks.iter().position(is_beyond);
        for &(input, _) in moving {
            self.values.set(self.inputs[input], &[self.point[input]]);
        }
        match beyond {
            Some(kink) => Sample::Beyond(kink),
            None if value.is_finite() => Sample::Value(value),
            None => Sample::NoValue,
        }
    }

    /// Why the best difference tells nothing; `name` is what moves.
    fn why(&self, best: &Difference, obstacles: &Obstacles, name: &str) -> String {
        let at_point = |node: NodeId| self.at_point[node.index()];
        let f = self.formula.names().value();
        match obstacles.kink {
            Some((kink, step)) => {
                let (kink, side) = self.kinks[kink];
                let row = &self.trace.rows[kink.row];
                let operation = self.names.definition(row.node, &at_point);
                let at = self.names.at(row.node, &at_point);
                let what = kink.what();
                return match side {
                    Side::Of(Ordering::Equal) => format!("{operation} is at its {what}{at}"),
                    Side::Doubtful => format!("{operation} is so near its {what} that rounding decides{at}"),
                    Side::Of(_) => format!(
                        "{operation} is near its {what}{at}: steps of {} and more go beyond it, and shorter ones drown in \
                         rounding",
                        error(step)
                    ),
                };
            }
            None if best.central.is_none() && !obstacles.slopes && obstacles.no_value => {
                return format!("{f} has no value on one side of the point");
            }
            None => {}
        }
        let roundest = self.roundest.map(|row| &self.trace.rows[row]);
        match roundest {
            Some(row) if best.central.is_some() && obstacles.rounding > 0.5 => {
                let operation = self.names.definition(row.node, &at_point);
                format!(
                    "rounding hides the slope: {operation} is {} there, and {f} is rounded by about {}",
                    exact(row.value),
                    error(self.rounding)
                )
            }
            _ if obstacles.unrepresentable => format!(
                "{f} changes too much between {name} and the nearest numbers of float64 for a difference to follow"
            ),
            _ => "differences with longer and shorter steps do not agree".into(),
        }
    }
}
