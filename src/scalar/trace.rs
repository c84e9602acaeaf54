//! The trace of a formula: what forward and reverse mode do, node by node, with every number.
//!
//! One graph holds the formula, its adjoints, partials, tangents and second derivatives (`steps.rs` builds it). An
//! [`Interpreter`] computes all values once, and the tangents again for each further direction. Nothing is
//! simplified, so a row shows the operation that was carried out.
//!
//! Source of the notation: Griewank and Walther, Evaluating Derivatives (2008), chapters 2 and 3; Baydin et al.,
//! Automatic Differentiation in Machine Learning: a Survey (2018), tables 2 and 3.

use super::asked::{Asked, MOST_SECOND, Request};
use super::characters;
use super::checks::Checks;
use super::computed::Computed;
use super::domain::DomainError;
use super::error::TextError;
use super::formula::Formula;
use super::kinks;
use super::steps::Steps;
use crate::graph::NodeId;
use crate::ops::Graph;

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
}

/// A node as the traces list it: an input or an operation that depends on one; constants stand inline.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its place in [`Trace::graph`].
    pub node: NodeId,
    /// Its number: the inputs of three are -2, -1, 0, operations count from 1.
    pub number: i64,
    /// Its value.
    pub value: f64,
    /// Its tangent in each direction of [`Trace::directions`].
    pub tangents: Vec<f64>,
    /// The node that computes the tangent, if any can flow here.
    pub tangent: Option<NodeId>,
    /// Its adjoint: the derivative of the output by it. Not finite where that does not exist, and was not asked for.
    pub adjoint: f64,
    /// What the adjoint is the sum of, in the order in which reverse mode adds it.
    pub contributions: Vec<Contribution>,
}

/// A summand of an adjoint.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// The row that it comes from, by position in [`Trace::rows`].
    pub from: usize,
    /// The local partial: the derivative of that row's value by this one's. Not finite where it does not exist, and was
    /// not asked for; and where it overflows, but the amount does not.
    pub partial: f64,
    /// The node that computes the partial.
    pub partial_node: NodeId,
    /// What is added: the adjoint of `from` times the partial.
    pub amount: f64,
}

/// A direction of forward mode.
#[derive(Clone, Debug)]
pub struct Direction {
    /// The tangents of the inputs, in their order.
    pub tangents: Vec<f64>,
}

/// Operations (nodes that are not leaves) of the graphs that compute them.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// The formula alone.
    pub value: usize,
    /// What reverse mode adds for the whole gradient.
    pub reverse: usize,
    /// What forward mode adds for one direction.
    pub forward: usize,
}

/// Everything about a formula at a point.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The formula as it was written.
    pub expression: String,
    /// The inputs with their values; inputs are the first rows.
    pub point: Vec<(String, f64)>,
    /// Inputs, then operations in evaluation order; the output's row is the last.
    pub rows: Vec<Row>,
    /// The directions of forward mode; none where the forward trace is left out.
    pub directions: Vec<Direction>,
    /// Why the forward trace is left out: there are too many inputs for a sweep each.
    pub forward_omitted: Option<String>,
    /// The matrix of second derivatives, if it was asked for; not a number where one does not exist, and was not.
    pub hessian: Option<Vec<Vec<f64>>>,
    /// Derivatives found in other ways.
    pub checks: Checks,
    /// Numbers of operations.
    pub costs: Costs,
    /// What a reader must know, such as the derivative used at a kink, or a number that underflows.
    pub notes: Vec<String>,
    /// The formula, its partials, adjoints and tangents.
    pub graph: Graph,
    /// Whether the directions are one for each input, or would be if the forward trace were not left out.
    each: bool,
    /// The rows of the formula's nodes, by position in `rows`; no position for constants.
    pub(super) places: Vec<usize>,
    /// The values of all nodes of the graph that are constants of the formula, by node.
    pub(super) constants: Vec<Option<f64>>,
}

/// Traces a formula at a point.
///
/// ```
/// use cotangent::scalar::{Request, parse, parse_point, trace};
///
/// let formula = parse("(x1*x2*sin(x3) + exp(x1*x2))/x3")?;
/// let found = trace(&formula, &parse_point("x1=1, x2=1.5, x3=2")?, &Request::default())?;
/// assert!((found.value() - 2.9228).abs() < 5e-5);
/// let gradient: Vec<String> = found.gradient().map(|(name, g)| format!("{name}: {g:.4}")).collect();
/// assert_eq!(gradient, ["x1: 4.0432", "x2: 2.6955", "x3: -1.7735"]);
/// assert_eq!(formula.graph().len(), 9); // x1·x2 is one node
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A variable without a value or a value without a variable; a node where the formula, or a derivative that is asked for,
/// has no finite value; a matrix of second derivatives that is too large.
pub fn trace(formula: &Formula, point: &[(String, f64)], request: &Request) -> Result<Trace, TraceError> {
    let named = point.iter().map(|(name, value)| (characters::name(name).into_owned(), *value));
    let point = &named.collect::<Vec<_>>()[..];
    let asked = Asked::of(formula, point, request)?;
    // Rules of tangents are shown with the terms of all inputs, also of those that do not move. Where such a term has no
    // value it has no place in the sum, and only what moves is differentiated.
    let everything = traced(formula, point, &asked, &vec![true; point.len()]);
    match everything {
        Ok(found) if found.is_finite() => Ok(found),
        _ if asked.moving.contains(&false) => traced(formula, point, &asked, &asked.moving),
        everything => everything,
    }
}

/// The trace with tangents of the inputs that move.
fn traced(
    formula: &Formula,
    point: &[(String, f64)],
    asked: &Asked,
    moving: &[bool],
) -> Result<Trace, TraceError> {
    let mut graph = formula.graph().clone();
    let steps = Steps::build(&mut graph, formula, &asked.inputs, moving, asked.hessian);
    let mut computed = Computed::new(formula, &graph, &steps, asked);
    for (&input, (_, value)) in asked.inputs.iter().zip(point) {
        computed.values.set(input, &[*value]);
    }
    computed.run(0..steps.tangents_begin);
    computed.explain(true).check_value()?;
    computed.check_reverse()?;
    computed.find_losses();
    let mut rows = computed.rows();
    for direction in &asked.directions {
        computed.sweep(&direction.tangents);
        computed.check_tangents()?;
        for row in &mut rows {
            row.tangents.push(row.tangent.map_or(0.0, |tangent| computed.at(tangent)));
        }
    }
    let checked = asked.checked();
    let hessian = match asked.hessian {
        true => Some(computed.hessian(point)?),
        false => None,
    };
    // Forward mode's side of the inner product; where each input has its own sweep it is the sum of these.
    let forward = match rows.last() {
        Some(output) if !output.tangents.is_empty() => output.tangents.iter().sum(),
        Some(Row { tangent: Some(tangent), .. }) => {
            computed.sweep(&checked);
            computed.at(*tangent)
        }
        _ => 0.0,
    };

    let number = |node: NodeId| rows.get(*computed.places.get(node.index())?).map(|row| row.number);
    let mut notes = kinks::notes(formula, &rows, |node| (number(node), computed.at(node)));
    notes.extend(computed.unasked(point));
    if asked.hessian && moving.contains(&false) {
        notes.push(
            "second derivatives by inputs that do not move are left out, because not all of them exist"
                .into(),
        );
    }
    notes.extend(std::mem::take(&mut computed.losses).into_notes());
    let constants = formula.graph().ids();
    let constants = constants.map(|id| number(id).is_none().then(|| computed.at(id))).collect();
    let mut found = Trace {
        expression: formula.text().into(),
        point: point.to_vec(),
        rows,
        directions: asked.directions.clone(),
        forward_omitted: asked.omitted.clone(),
        hessian,
        checks: Checks::default(),
        costs: steps.costs,
        notes,
        graph: Graph::default(),
        each: asked.each,
        constants,
        places: std::mem::take(&mut computed.places),
    };
    found.checks = Checks::of(formula, &asked.inputs, &found, &checked, forward);
    drop(computed);
    found.graph = graph;
    Ok(found)
}

impl Trace {
    /// Whether all numbers are, those that nobody asked for included.
    fn is_finite(&self) -> bool {
        let hessian = self.hessian.iter().flatten().flatten();
        let adjoints = self.rows.iter().map(|row| row.adjoint).chain(hessian.copied());
        adjoints.chain(self.rows.iter().flat_map(|row| row.tangents.iter().copied())).all(f64::is_finite)
    }

    /// The formula's value: the last row's.
    pub fn value(&self) -> f64 {
        self.rows.last().map_or(f64::NAN, |row| row.value)
    }

    /// Whether forward mode goes over the formula once for each input, which alone moves.
    pub fn sweeps_each_input(&self) -> bool {
        self.each
    }

    /// The derivatives by all inputs, from one reverse sweep; not finite where one does not exist, and was not asked for.
    pub fn gradient(&self) -> impl Iterator<Item = (&str, f64)> {
        self.point.iter().zip(&self.rows).map(|((name, _), row)| (&name[..], row.adjoint))
    }
}
