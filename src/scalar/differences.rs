//! Central differences that know what they cannot tell.
//!
//! Each slope is divided by the distance that its two points really have, as numbers of float64. Two slopes, one of half the
//! other's step, give one of fourth order (Richardson 1911). Such a limit is trusted where three longer steps come near it
//! as fourth order does, and every shorter step has the same limit within its rounding: a ripple on a slope is in no
//! difference whose step is longer. The same is asked of every operation, because in the formula's own value rounding may
//! hide what an operation does. A step is not taken at all where a kink, a jump or a pole lies within it.

use std::cmp::Ordering;

use super::checks::Difference;
use super::domain::NodeNames;
use super::formula::Formula;
use super::kinks::{self, Kind, Kink, Side};
use super::ladder::{BEYOND, Ladder, NOISE, NOISIEST, Slope, Span, Watched};
use super::trace::{Trace, TraceRow};
use crate::document::number::{error, exact};
use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::{Binary, Draw, Op, Unary};

/// No fraction of a power of 2, nor of another number that periods are written with.
const FIRST: f64 = 0.712_34;

/// The longest step, as a power of 2 of the size of what moves.
const LONGEST: i32 = -3;

/// The shortest, which is less than a unit in the last place.
const SHORTEST: i32 = -54;

/// The last place of a number that underflows.
const LAST: f64 = f64::from_bits(1);

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
    /// How far rounding may move the values of these.
    errors: Vec<f64>,
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
    /// The steepest slope from the point to a longer step's end, and how much slopes change there for a step of 1.
    steepest: f64,
    bend: f64,
    /// The longest step that was asked for, and that was taken.
    longest: f64,
    taken: f64,
}

/// Why a step was not taken.
enum Missed {
    TooShort,
    TooLong,
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
            .map(|(i, row)| (i, f64::EPSILON * (row.value * row.adjoint).abs() + (LAST * row.adjoint).abs()))
            .filter(|(_, part)| part.is_finite())
            .collect();
        let largest = parts.iter().fold(0.0, |largest: f64, (_, part)| largest.max(*part));
        let squares: f64 =
            parts.iter().map(|(_, part)| if largest > 0.0 { (part / largest).powi(2) } else { 0.0 }).sum();
        let roundest = parts.iter().find(|(_, part)| *part == largest).map(|(i, _)| *i);

        let errors = kinks::errors(trace);
        let kinks = kinks::at_point(formula, trace, &at_point, &errors);
        let watched = trace
            .rows
            .iter()
            .zip(&errors)
            .filter(|(row, _)| row.number > 0 && row.adjoint != 0.0 && row.adjoint.is_finite());
        let (watched, errors) = watched.map(|(row, error)| (row.node, 2.0 * error.max(0.0))).unzip();
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
            errors,
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
        if let Some(row) = self.underflowing(moving) {
            let row = &self.trace.rows[row];
            let operation = self.names.definition(row.node, &|node| self.at_point[node.index()]);
            best.note = Some(format!(
                "{operation} is {} there: it has lost digits, because float64 holds no smaller numbers",
                exact(row.value)
            ));
            return best;
        }
        // Beside an input near 0 the formula may change over its distance from 0, or over 1; at 0 over that of others.
        let sizes = match size {
            0.0 => [self.smallest(), Some(1.0)],
            size if size < 0.1 => [Some(size), Some(1.0)],
            size => [Some(size.max(1.0)), None],
        };
        let mut ladder = Ladder {
            spans: vec![Span::EVERYTHING; self.watched.len()],
            formula: Span::EVERYTHING,
            noises: vec![0.0; self.watched.len()],
            noise: 0.0,
            limits: 0,
        };
        best.uncertainty = f64::INFINITY;
        for size in sizes.into_iter().flatten() {
            obstacles.longest = obstacles.longest.max(size / fastest);
            self.climb(moving, size / fastest, &mut ladder, &mut best, &mut obstacles);
        }
        if best.central.is_none() {
            best.uncertainty = 0.0;
        }
        // A derivative of 0 is one as far as rounding of the point, or of what cancels in it, lets it.
        let amounts = moving.iter().flat_map(|&(input, tangent)| {
            let parts = self.trace.rows[input].contributions.iter();
            parts.map(move |part| (part.amount * tangent).abs())
        });
        let cancels = amounts.fold(0.0, f64::max);
        best.beside = obstacles.steepest.max(cancels);
        if best.central == Some(0.0) && best.reverse == 0.0 && self.is_constant(moving, obstacles.taken) {
            best.beside = f64::INFINITY;
        }
        best.rounded = 64.0 * f64::EPSILON * (obstacles.bend * size / fastest).max(cancels);
        if best.agrees().is_none() {
            best.note = Some(self.why(&best, &obstacles, name));
        }
        best
    }

    /// Whether the formula stays the same at the end of a step, and not because rounding swallows a change.
    fn is_constant(&mut self, moving: &[(usize, f64)], step: f64) -> bool {
        let ends = moving.iter().map(|&(input, tangent)| self.point[input] + step * tangent);
        let ends: Vec<f64> = ends.collect();
        self.sample(moving, &ends);
        let graph = self.formula.graph();
        let change = |node: NodeId| {
            let moved = moving.iter().position(|&(input, _)| self.inputs[input] == node);
            let now = moved.map_or_else(|| self.values.get(node)[0], |moved| ends[moved]);
            (now - self.at_point[node.index()]).abs()
        };
        self.trace.rows.iter().filter(|row| row.number > 0 && change(row.node) == 0.0).all(|row| {
            let changes = graph[row.node].inputs.iter().map(|&operand| change(operand));
            let largest = changes.fold(0.0, f64::max);
            largest == 0.0 || f64::EPSILON * row.value.abs() + LAST <= 1e-6 * largest
        }) && change(self.formula.output()) == 0.0
    }

    /// An operation that depends on what moves, matters, and is too small for float64.
    fn underflowing(&self, moving: &[(usize, f64)]) -> Option<usize> {
        let graph = self.formula.graph();
        let is_lost = |row: &TraceRow| match &graph[row.node].op {
            _ if row.number <= 0 || row.adjoint == 0.0 => false,
            Op::Binary(Binary::Mul | Binary::Div | Binary::Pow) | Op::Unary(Unary::Exp)
                if row.value == 0.0 =>
            {
                graph[row.node].inputs.iter().all(|operand| self.at_point[operand.index()] != 0.0)
            }
            _ => row.value.is_subnormal(),
        };
        if !self.trace.rows.iter().any(is_lost) {
            return None;
        }
        let moving: Vec<NodeId> = moving.iter().map(|&(input, _)| self.inputs[input]).collect();
        let moved = graph.descendants(&moving);
        self.trace.rows.iter().position(|row| is_lost(row) && moved[row.node.index()])
    }

    /// The smallest size that a number of the formula suggests for one that is 0.
    fn smallest(&self) -> Option<f64> {
        let sizes = self.at_point.iter().map(|x| x.abs().min(x.abs().recip()));
        let sizes = sizes.filter(|size| (1e-300..1e-3).contains(size));
        sizes.min_by(f64::total_cmp)
    }

    /// Doubles the step up to about `size`, and keeps the best of all differences.
    fn climb(
        &mut self,
        moving: &[(usize, f64)],
        size: f64,
        ladder: &mut Ladder,
        best: &mut Difference,
        obstacles: &mut Obstacles,
    ) {
        let mut slopes: Vec<Slope> = Vec::new(); // each of about twice the step of the one before
        let mut taken = 0;
        for exponent in SHORTEST..=LONGEST {
            let slope = match self.slope(moving, FIRST * size * f64::from(exponent).exp2(), obstacles) {
                Ok(slope) => slope,
                Err(Missed::TooShort) => continue,
                Err(Missed::TooLong) => break,
            };
            // Near the point steps are whole units in its last place.
            if slopes.last().is_some_and(|last| slope.step < last.step / 0.75) {
                continue;
            }
            taken += 1;
            if taken <= NOISIEST {
                ladder.listen(&slope);
            }
            obstacles.steepest = obstacles.steepest.max(slope.change);
            obstacles.bend = obstacles.bend.max(slope.bend);
            obstacles.taken = slope.asked;
            slopes.push(slope);
            if slopes.len() > 5 {
                slopes.remove(0);
            }
            let Ok(slopes) = <&[Slope; 5]>::try_from(&slopes[..]) else { continue };
            obstacles.slopes = true;
            if let Some((limit, uncertainty)) = ladder.limit(slopes)
                && uncertainty < best.uncertainty
            {
                obstacles.rounding = limit.rounding / uncertainty;
                best.central = Some(limit.value);
                best.uncertainty = uncertainty;
            }
        }
    }

    /// The central difference; nothing where an end has no value, is beyond a kink, or is not where it should be.
    fn slope(
        &mut self,
        moving: &[(usize, f64)],
        step: f64,
        obstacles: &mut Obstacles,
    ) -> Result<Slope, Missed> {
        // How far apart the ends really are, and how far inputs that move together are off the line.
        let (mut up, mut down) = (Vec::with_capacity(moving.len()), Vec::with_capacity(moving.len()));
        let (mut half, mut off, mut stray) = (step, 0.0, 0.0f64);
        for &(input, tangent) in moving {
            let x = self.point[input];
            let above = x + step * tangent;
            let below = x - (above - x);
            let sides = [(above - x) / tangent, (x - below) / tangent];
            if !(sides[0] > 0.0 && sides[1] > 0.0 && (sides[0] - sides[1]).abs() <= 1e-3 * step) {
                obstacles.unrepresentable = true;
                return Err(Missed::TooShort);
            }
            let real = (sides[0] + sides[1]) / 2.0;
            match moving.len() {
                1 => half = real,
                _ => {
                    off += (self.trace.rows[input].adjoint * tangent * (real - step)).abs();
                    stray = stray.max((real - step).abs() / step);
                }
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
                    let is_kink = self.kinks[kink].0.kind != Kind::Waves;
                    if is_kink && obstacles.kink.is_none_or(|(_, shortest)| step < shortest) {
                        obstacles.kink = Some((kink, step));
                    }
                    return Err(Missed::TooLong);
                }
                Sample::NoValue => {
                    obstacles.no_value = true;
                    return Err(Missed::TooLong);
                }
            };
        }
        let slope = |up: f64, down: f64| (up - down) / (2.0 * half);
        let watched = match &watched[..] {
            [ups, downs] => {
                let values = ups.iter().zip(downs).zip(self.errors.iter().zip(&self.watched));
                let watched = values.map(|((&up, &down), (&error, node))| {
                    let (slope, largest) = (slope(up, down), up.abs().max(down.abs()));
                    let rounding = error.max(f64::EPSILON * largest) + LAST;
                    let is_noise = up != down && error > NOISE * largest;
                    let value = self.at_point[node.index()];
                    let jump = ((up - value) + (down - value)).abs() / 2.0;
                    Watched { jump, slope, rounding: rounding / half + 4.0 * stray * slope.abs(), is_noise }
                });
                watched.collect()
            }
            _ => Vec::new(),
        };
        let [up, down] = ends;
        let value = self.at_point[self.formula.output().index()];
        let rounding = self.rounding.max(f64::EPSILON * up.abs().max(down.abs())) + off;
        let beyond = |change: f64| (change.abs() - BEYOND * rounding).max(0.0) / half;
        Ok(Slope {
            step: half,
            asked: step,
            jump: ((up - value) + (down - value)).abs() / 2.0,
            slope: slope(up, down),
            rounding: rounding / half,
            change: beyond(up - value).max(beyond(down - value)),
            bend: beyond((up - value) + (down - value)) / half,
            watched,
        })
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
            Side::Of(_) => kink.lies_between(|node| self.at_point[node.index()], at),
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
            Some((kink, step)) if step <= 1e-2 * obstacles.longest => {
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
            _ if best.central.is_none() && !obstacles.slopes && obstacles.no_value => {
                return format!("{f} has no value on one side of the point");
            }
            _ => {}
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
