//! The trace of a formula: what forward and reverse mode do, node by node, with every number.
//!
//! One graph holds the formula, its adjoints, partials, tangents and second derivatives (`steps.rs` builds it). An
//! [`Interpreter`] computes all values once, and the tangents again for each further direction. Nothing is
//! simplified, so a row shows the operation that was carried out.
//!
//! Source of the notation: Griewank and Walther, Evaluating Derivatives (2008), chapters 2 and 3; Baydin et al.,
//! Automatic Differentiation in Machine Learning: a Survey (2018), tables 2 and 3.

use super::checks::{Checks, differences};
use super::domain::{self, DomainError};
use super::error::{TextError, not_an_input, shortened};
use super::parse::Formula;
use super::steps::Steps;
use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::{Draw, Graph};

/// Which tangents forward mode starts from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Directions {
    /// One sweep for each input, which alone has the tangent 1.
    #[default]
    Each,
    /// One sweep; inputs that are not named have the tangent 0.
    Along(Vec<(String, f64)>),
}

/// What to trace beside the formula's value and gradient.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The sweeps of forward mode.
    pub directions: Directions,
    /// Whether to compute the matrix of second derivatives.
    pub hessian: bool,
}

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
        "{rows} rows in {directions} directions are too many for memory; take one direction, with --wrt or --direction"
    )]
    TooLarge { rows: usize, directions: usize },
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
    /// Its tangent in each direction.
    pub tangents: Vec<f64>,
    /// The node that computes the tangent, if any can flow here.
    pub tangent: Option<NodeId>,
    /// Its adjoint: the derivative of the output by it.
    pub adjoint: f64,
    /// What the adjoint is the sum of, in the order in which reverse mode adds it.
    pub contributions: Vec<Contribution>,
}

/// A summand of an adjoint.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// The row that it comes from, by position in [`Trace::rows`].
    pub from: usize,
    /// The local partial: the derivative of that row's value by this one's.
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
    /// The directions of forward mode.
    pub directions: Vec<Direction>,
    /// The matrix of second derivatives, if it was asked for.
    pub hessian: Option<Vec<Vec<f64>>>,
    /// Derivatives found in other ways.
    pub checks: Checks,
    /// Numbers of operations.
    pub costs: Costs,
    /// What a reader must know, such as the derivative used at a kink.
    pub notes: Vec<String>,
    /// The formula, its partials, adjoints and tangents.
    pub graph: Graph,
    /// Whether the directions are one for each input.
    each: bool,
    /// The values of all nodes of the graph that are constants of the formula, by node.
    pub(super) constants: Vec<Option<f64>>,
}

/// Most numbers in the tangents of a trace: 1 GiB.
const MOST_TANGENTS: usize = 1 << 27;

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
/// A variable without a value or a value without a variable; a node where the formula or a derivative has no finite value.
pub fn trace(formula: &Formula, point: &[(String, f64)], request: &Request) -> Result<Trace, TraceError> {
    let inputs = inputs(formula, point)?;
    let directions = directions(point, &request.directions)?;
    let mut graph = formula.graph().clone();
    let steps = Steps::build(&mut graph, formula, &inputs, request.hessian);
    let rows = steps.rows.len();
    if rows.saturating_mul(directions.len()) > MOST_TANGENTS {
        return Err(TraceError::TooLarge { rows, directions: directions.len() });
    }

    let mut values = Interpreter::<f64>::new(&graph);
    for (&input, (_, value)) in inputs.iter().zip(point) {
        values.set(input, &[*value]);
    }
    values.run(0..steps.tangents_begin, Draw::default());
    let at = |values: &Interpreter<'_, f64>, node: NodeId| values.get(node)[0];
    domain::check_value(formula, |node| at(&values, node))?;

    let mut place = vec![usize::MAX; graph.len()];
    let mut rows: Vec<Row> = Vec::with_capacity(rows);
    for (position, &(node, number)) in steps.rows.iter().enumerate() {
        place[node.index()] = position;
        rows.push(Row {
            node,
            number,
            value: at(&values, node),
            tangents: Vec::with_capacity(directions.len()),
            tangent: steps.tangents[position],
            adjoint: steps.adjoints[position].map_or(0.0, |adjoint| at(&values, adjoint)),
            contributions: Vec::new(),
        });
    }
    for edge in &steps.edges {
        let partial = at(&values, edge.partial);
        if !partial.is_finite() {
            let find = |node: NodeId| rows.get(place[node.index()]).map(|row| row.number);
            return Err(domain::partial(formula, edge.from, edge.to, partial, find, |node| {
                at(&values, node)
            })
            .into());
        }
        rows[place[edge.to.index()]].contributions.push(Contribution {
            from: place[edge.from.index()],
            partial,
            partial_node: edge.partial,
            amount: at(&values, edge.amount),
        });
    }
    for direction in &directions {
        for (&seed, &tangent) in steps.seeds.iter().zip(&direction.tangents) {
            values.set(seed, &[tangent]);
        }
        values.run(steps.tangents_begin..steps.tangents_end, Draw::default());
        for row in &mut rows {
            row.tangents.push(row.tangent.map_or(0.0, |tangent| at(&values, tangent)));
        }
    }
    if let Some(output) = rows.last_mut() {
        output.adjoint = 1.0; // what reverse mode begins with, also where the formula is a constant
    }
    let number = |node: NodeId| rows.get(place[node.index()]).map(|row| row.number);
    domain::check_derivatives(formula, &rows, number, |node| at(&values, node))?;
    let hessian = request.hessian.then(|| {
        (0..inputs.len()).map(|moving| {
            for (other, &seed) in steps.seeds.iter().enumerate() {
                values.set(seed, &[f64::from(u8::from(other == moving))]);
            }
            values.run(steps.tangents_begin..graph.len(), Draw::default());
            steps.second.iter().map(|second| second.map_or(0.0, |second| at(&values, second))).collect()
        })
    });
    let hessian: Option<Vec<Vec<f64>>> = hessian.map(Iterator::collect);
    for (by, row) in hessian.iter().flatten().enumerate() {
        if let Some(and) = row.iter().position(|second| !second.is_finite()) {
            let [by, and] = [by, and].map(|input| shortened(&point[input].0));
            return Err(DomainError::Second { of: formula.names().value().into(), by, and }.into());
        }
    }

    let constants: Vec<Option<f64>> =
        formula.graph().ids().map(|id| (place[id.index()] == usize::MAX).then(|| at(&values, id))).collect();
    let notes = domain::kinks(formula, &rows, |node| (number(node), at(&values, node)));
    let mut found = Trace {
        expression: formula.text().into(),
        point: point.to_vec(),
        rows,
        directions,
        hessian,
        checks: Checks::default(),
        costs: steps.costs,
        notes,
        graph: Graph::default(),
        each: request.directions == Directions::Each,
        constants,
    };
    found.checks = differences(formula, &inputs, &found);
    drop(values);
    found.graph = graph;
    Ok(found)
}

impl Trace {
    /// The formula's value: the last row's.
    pub fn value(&self) -> f64 {
        self.rows.last().map_or(f64::NAN, |row| row.value)
    }

    /// Whether forward mode went over the formula once for each input, which alone moved.
    pub fn sweeps_each_input(&self) -> bool {
        self.each
    }

    /// The derivatives by all inputs, from one reverse sweep.
    pub fn gradient(&self) -> impl Iterator<Item = (&str, f64)> {
        self.point.iter().zip(&self.rows).map(|((name, _), row)| (&name[..], row.adjoint))
    }
}

/// The inputs' nodes in the order of the point.
fn inputs(formula: &Formula, point: &[(String, f64)]) -> Result<Vec<NodeId>, TraceError> {
    let names = || formula.variables().iter().map(|(name, _)| &name[..]);
    let known: std::collections::HashMap<&str, NodeId> =
        formula.variables().iter().map(|(name, node)| (&name[..], *node)).collect();
    let mut inputs = Vec::new();
    for (name, _) in point {
        let Some(&node) = known.get(&name[..]) else {
            let short = shortened(name);
            let problem = match super::functions::CONSTANTS.iter().any(|(constant, _)| constant == name) {
                true => format!("{short} is a constant, not an input; give the variable another name"),
                false => not_an_input(name, names()),
            };
            return Err(TraceError::Unknown { name: name.clone(), problem });
        };
        inputs.push(node);
    }
    let given: std::collections::HashSet<&str> = point.iter().map(|(name, _)| &name[..]).collect();
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

fn directions(point: &[(String, f64)], wanted: &Directions) -> Result<Vec<Direction>, TraceError> {
    let count = point.len();
    let unit = |moving: usize| (0..count).map(|input| f64::from(u8::from(input == moving))).collect();
    match wanted {
        Directions::Each => Ok((0..count).map(|input| Direction { tangents: unit(input) }).collect()),
        Directions::Along(tangents) => {
            let mut all = vec![0.0; count];
            for (name, tangent) in tangents {
                let Some(input) = point.iter().position(|(other, _)| other == name) else {
                    let problem = not_an_input(name, point.iter().map(|(name, _)| &name[..]));
                    return Err(TraceError::Unknown { name: name.clone(), problem });
                };
                all[input] = *tangent;
            }
            Ok(vec![Direction { tangents: all }])
        }
    }
}
