//! What a trace is asked for: at which inputs, in which directions, and which derivatives must therefore exist.

use std::collections::{HashMap, HashSet};

use super::characters;
use super::domain::DomainError;
use super::error::{TextError, not_an_input, shortened};
use super::formula::Formula;
use super::functions::CONSTANTS;
use super::trace::Direction;
use crate::graph::NodeId;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what it is")]
pub enum TraceError {
    #[error("{0}")]
    Lacking(TextError),
    #[error("{problem}")]
    Unknown { name: String, problem: String },
    #[error(transparent)]
    Domain(#[from] DomainError),
    #[error(
        "second derivatives by {inputs} inputs are too many: the matrix has {inputs} times {inputs} entries, and is computed \
         for up to {MOST_SECOND} inputs; leave --hessian out"
    )]
    TooLarge { inputs: usize },
    #[error(
        "the trace of {of} takes {bytes} of memory, which the machine does not give: take a shorter formula\
         {instead}"
    )]
    Memory { of: String, bytes: String, instead: &'static str },
}

/// Which tangents forward mode starts from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Directions {
    /// One sweep for each input, which alone has the tangent 1: up to [`MOST_SWEEPS`] inputs. Beyond that there is no
    /// forward trace, and [`Trace::forward_omitted`](super::Trace::forward_omitted) says why; gradient, reverse trace and
    /// checks are complete. Every derivative is asked for, and must exist.
    #[default]
    Each,
    /// One sweep; inputs that are not named, or by 0, do not move, and no derivative by them is asked for. Where such a
    /// one does not exist it is not finite in the trace, with a note, and is no error.
    Along(Vec<(String, f64)>),
}

/// What to trace beside the formula's value and gradient.
#[derive(Clone, Debug, Default)]
pub struct TraceRequest {
    /// The sweeps of forward mode.
    pub directions: Directions,
    /// Whether to compute the matrix of second derivatives, for at most [`MOST_SECOND`] inputs.
    pub hessian: bool,
}

/// The most inputs that each get a sweep of forward mode of their own.
pub const MOST_SWEEPS: usize = 32;

/// The most inputs whose matrix of second derivatives is computed: its size is the square of that.
pub const MOST_SECOND: usize = 1000;

/// The most numbers in the tangents of a trace: 1 GiB.
const MOST_TANGENTS: usize = 1 << 27;

/// A request, held against the formula and the point.
pub(super) struct Asked {
    /// The inputs' nodes in the order of the point.
    pub inputs: Vec<NodeId>,
    /// The sweeps of forward mode.
    pub directions: Vec<Direction>,
    /// Whether an input moves in any of them: then its derivative is asked for.
    pub moving: Vec<bool>,
    /// Why there are no sweeps although every input moves.
    pub omitted: Option<String>,
    /// Whether each input moves alone.
    pub each: bool,
    pub hessian: bool,
}

impl Asked {
    pub fn of(
        formula: &Formula,
        point: &[(String, f64)],
        request: &TraceRequest,
    ) -> Result<Self, TraceError> {
        let inputs = inputs(formula, point)?;
        let count = inputs.len();
        if request.hessian && count > MOST_SECOND {
            return Err(TraceError::TooLarge { inputs: count });
        }
        let each = request.directions == Directions::Each;
        let omitted = if each { omission(count, formula.graph().len()) } else { None };
        let directions = match &request.directions {
            Directions::Each if omitted.is_some() => Vec::new(),
            Directions::Each => (0..count).map(|input| Direction { tangents: unit(count, input) }).collect(),
            Directions::Along(tangents) => vec![along(point, tangents)?],
        };
        let moving = match &directions[..] {
            [direction] if !each => direction.tangents.iter().map(|&tangent| tangent != 0.0).collect(),
            _ => vec![true; count],
        };
        Ok(Self { inputs, directions, moving, omitted, each, hessian: request.hessian })
    }

    /// The nodes of the inputs that move.
    pub fn moving_inputs(&self) -> Vec<NodeId> {
        let moving = self.inputs.iter().zip(&self.moving).filter(|(_, moving)| **moving);
        moving.map(|(input, _)| *input).collect()
    }

    /// What forward and reverse mode are held against each other with: the direction, or 1 for all inputs.
    pub fn checked(&self) -> Vec<f64> {
        match self.directions.first() {
            Some(direction) if !self.each => direction.tangents.clone(),
            _ => vec![1.0; self.inputs.len()],
        }
    }
}

/// The tangents that move this input alone.
pub(super) fn unit(count: usize, moving: usize) -> Vec<f64> {
    (0..count).map(|input| f64::from(u8::from(input == moving))).collect()
}

/// Why so many sweeps over so many nodes are left out.
fn omission(inputs: usize, nodes: usize) -> Option<String> {
    let is_large = inputs.saturating_mul(nodes) > MOST_TANGENTS;
    (inputs > MOST_SWEEPS || is_large).then(|| {
        let reason = match inputs > MOST_SWEEPS {
            true => format!("more than {MOST_SWEEPS}"),
            false => format!("over {nodes} nodes each"),
        };
        format!(
            "the forward trace is left out: it takes a sweep for each input, {inputs} here, {reason}; for one sweep give \
             --wrt NAME or --direction NAME=VALUE,... (gradient and reverse trace are complete)"
        )
    })
}

/// The inputs' nodes in the order of the point.
fn inputs(formula: &Formula, point: &[(String, f64)]) -> Result<Vec<NodeId>, TraceError> {
    let names = || formula.variables().iter().map(|(name, _)| &name[..]);
    let known: HashMap<&str, NodeId> =
        formula.variables().iter().map(|(name, node)| (&name[..], *node)).collect();
    let mut inputs = Vec::new();
    for (name, _) in point {
        let Some(&node) = known.get(&name[..]) else {
            let short = shortened(name);
            let problem = match CONSTANTS.iter().any(|(constant, _)| constant == name) {
                true => format!("{short} is a constant, not an input; give the variable another name"),
                false => not_an_input(name, names()),
            };
            return Err(TraceError::Unknown { name: name.clone(), problem });
        };
        inputs.push(node);
    }
    let given: HashSet<&str> = point.iter().map(|(name, _)| &name[..]).collect();
    let lacking: Vec<&(String, NodeId)> =
        formula.variables().iter().filter(|(name, _)| !given.contains(&name[..])).collect();
    if let Some((first, node)) = lacking.first().map(|(name, node)| (name, *node)) {
        let more = match lacking.len() {
            1 => String::new(),
            many => format!(" (and {} more)", many - 1),
        };
        let first = shortened(first);
        let problem = format!("{first}{more} has no value; give it one: --at {first}=NUMBER");
        return Err(TraceError::Lacking(formula.error_at(node, problem)));
    }
    Ok(inputs)
}

/// The direction in which these inputs move and no others.
fn along(point: &[(String, f64)], moving: &[(String, f64)]) -> Result<Direction, TraceError> {
    let places: HashMap<&str, usize> =
        point.iter().enumerate().map(|(input, (name, _))| (&name[..], input)).collect();
    let mut tangents = vec![0.0; point.len()];
    for (name, tangent) in moving {
        let Some(&input) = places.get(&*characters::name(name)) else {
            let problem = not_an_input(name, point.iter().map(|(name, _)| &name[..]));
            return Err(TraceError::Unknown { name: name.clone(), problem });
        };
        tangents[input] = *tangent;
    }
    Ok(Direction { tangents })
}
