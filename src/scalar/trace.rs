//! The trace of a formula: what forward and reverse mode do, node by node, with every number.
//!
//! One graph holds the formula, its adjoints, partials, tangents and second derivatives (`steps.rs` builds it). An
//! [`Interpreter`] computes all values once, and the tangents again for each further direction. Nothing is
//! simplified, so a row shows the operation that was carried out.
//!
//! Source of the notation: Griewank and Walther, Evaluating Derivatives (2008), chapters 2 and 3; Baydin et al.,
//! Automatic Differentiation in Machine Learning: a Survey (2018), tables 2 and 3.

use std::ops::Range;

use super::asked::{Asked, MOST_SECOND, Request, unit};
use super::checks::Checks;
use super::domain::{DomainError, Explain, NodeNames};
use super::error::TextError;
use super::kinks;
use super::notes::{self, Losses};
use super::parse::{Formula, shortened};
use super::range::Survey;
use super::steps::Steps;
use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::{Draw, Graph};

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

/// The numbers of a trace while they are computed.
struct Computed<'c> {
    formula: &'c Formula,
    graph: &'c Graph,
    steps: &'c Steps,
    asked: &'c Asked,
    values: Interpreter<'c, f64>,
    survey: Survey,
    /// The rows of nodes, by position; no position for those that have none.
    places: Vec<usize>,
    /// Whether a node of the formula depends on an input that moves: its adjoint and its tangent must exist.
    needed: Vec<bool>,
    /// What rows are called in errors and in notes.
    names: [NodeNames<'c>; 2],
    /// Numbers that left the range of float64.
    losses: Losses,
}

impl<'c> Computed<'c> {
    fn new(formula: &'c Formula, graph: &'c Graph, steps: &'c Steps, asked: &'c Asked) -> Self {
        let mut places = vec![usize::MAX; formula.graph().len()];
        for (position, (node, _)) in steps.rows.iter().enumerate() {
            places[node.index()] = position;
        }
        let names = [NodeNames::of_inputs(formula, &steps.rows), NodeNames::of_rows(formula, &steps.rows)];
        let needed = formula.graph().descendants(&asked.moving_inputs());
        let (values, survey) = (Interpreter::new(graph), Survey::new(graph));
        Self {
            formula,
            graph,
            steps,
            asked,
            values,
            survey,
            places,
            needed,
            names,
            losses: Losses::default(),
        }
    }

    fn run(&mut self, nodes: Range<usize>) {
        self.values.run(nodes.clone(), Draw::default());
        self.survey.look(self.graph, &self.values, nodes);
    }

    /// Computes the tangents of all rows from these of the inputs.
    fn sweep(&mut self, tangents: &[f64]) {
        for (seed, &tangent) in self.steps.seeds.iter().zip(tangents) {
            if let Some(seed) = *seed {
                self.values.set(seed, &[tangent]);
            }
        }
        self.run(self.steps.tangents_begin..self.steps.tangents_end);
    }

    fn at(&self, node: NodeId) -> f64 {
        self.values.get(node)[0]
    }

    fn explain(&self, in_error: bool) -> Explain<'_> {
        let names = &self.names[usize::from(!in_error)];
        Explain { formula: self.formula, names, values: &self.values, survey: &self.survey }
    }

    fn rows(&self) -> Vec<Row> {
        let steps = self.steps;
        let row = |(position, &(node, number)): (usize, &(NodeId, i64))| Row {
            node,
            number,
            value: self.at(node),
            tangents: Vec::with_capacity(self.asked.directions.len()),
            tangent: steps.tangents[position],
            adjoint: steps.adjoints[position].map_or(0.0, |adjoint| self.at(adjoint)),
            contributions: Vec::new(),
        };
        let mut rows: Vec<Row> = steps.rows.iter().enumerate().map(row).collect();
        for edge in &steps.edges {
            rows[self.places[edge.to.index()]].contributions.push(Contribution {
                from: self.places[edge.from.index()],
                partial: self.at(edge.partial),
                partial_node: edge.partial,
                amount: self.at(edge.amount),
            });
        }
        if let Some(output) = rows.last_mut() {
            output.adjoint = 1.0; // what reverse mode begins with, also where the formula is a constant
        }
        rows
    }

    /// The adjoint of a row of the formula.
    fn adjoint(&self, node: NodeId) -> f64 {
        let adjoint = self.places.get(node.index()).and_then(|&place| *self.steps.adjoints.get(place)?);
        adjoint.map_or(0.0, |adjoint| self.at(adjoint))
    }

    /// That all adjoints that are asked for are finite.
    fn check_reverse(&self) -> Result<(), DomainError> {
        // In the order of the sweep, so that what flows along the first such edge is a product of finite numbers.
        for edge in self.steps.edges.iter().filter(|edge| self.needed[edge.to.index()]) {
            let adjoint = self.adjoint(edge.from);
            if !adjoint.is_finite() {
                return Err(self.explain(true).sum(edge.from));
            }
            if !self.at(edge.amount).is_finite() {
                return Err(self.explain(true).backwards(edge, adjoint, &self.instead()));
            }
        }
        let inputs = self.asked.inputs.iter().filter(|input| self.needed[input.index()]);
        match inputs.into_iter().find(|&&input| !self.adjoint(input).is_finite()) {
            Some(&input) => Err(self.explain(true).sum(input)),
            None => Ok(()),
        }
    }

    /// Which derivatives could be asked for where not all exist.
    fn instead(&self) -> String {
        let broken = self.steps.edges.iter().filter(|edge| !self.at(edge.amount).is_finite());
        let broken: Vec<NodeId> = broken.map(|edge| edge.to).collect();
        let behind = self.formula.graph().ancestors(&broken);
        let is_whole = |input: &&NodeId| !behind[input.index()];
        let name = |input: NodeId| shortened(self.formula.graph().name(input).unwrap_or_default());
        let mut whole = self.asked.inputs.iter().filter(is_whole);
        match (self.asked.moving.contains(&false), whole.next(), whole.count()) {
            (false, Some(&first), 0) => {
                let first = name(first);
                format!("; the derivative by {first} exists, and is given alone with --wrt {first}")
            }
            (false, Some(&first), more) => {
                let first = name(first);
                format!(
                    "; the derivatives by {first} and {more} more exist: ask for one, as --wrt {first} does"
                )
            }
            _ => String::new(),
        }
    }

    /// That the tangents of the last sweep are finite.
    fn check_tangents(&mut self) -> Result<(), DomainError> {
        let tangents = || self.steps.rows.iter().zip(&self.steps.tangents);
        let mut tangents = tangents().filter_map(|(&(node, _), tangent)| Some((node, (*tangent)?)));
        // The first: its operands' tangents are finite.
        if let Some((node, tangent)) = tangents.find(|&(_, tangent)| !self.at(tangent).is_finite()) {
            return Err(self.explain(true).tangent(node, tangent));
        }
        let mut losses = std::mem::take(&mut self.losses);
        let explain = self.explain(false);
        for (&(node, _), tangent) in self.steps.rows.iter().zip(&self.steps.tangents) {
            if let Some(tangent) = *tangent {
                let name =
                    || format!("the tangent of {}", explain.names.short(node, &|id| explain.value(id)));
                losses.derivative(&explain, tangent, name);
            }
        }
        self.losses = losses;
        Ok(())
    }

    /// The matrix of second derivatives, by a sweep for each input that moves; not a number for those that do not.
    fn hessian(&mut self, point: &[(String, f64)]) -> Result<Vec<Vec<f64>>, DomainError> {
        let count = point.len();
        let mut matrix = Vec::with_capacity(count);
        for by in 0..count {
            if self.steps.seeds[by].is_none() {
                matrix.push(vec![f64::NAN; count]);
                continue;
            }
            self.sweep(&unit(count, by));
            self.run(self.steps.tangents_end..self.graph.len());
            let mut row = Vec::with_capacity(count);
            for and in 0..count {
                let second = self.steps.second[and];
                let number = second.map_or(0.0, |second| self.at(second));
                let names = [&point[by].0[..], &point[and].0];
                if let Some(second) = second {
                    if !number.is_finite() && self.asked.moving[by] && self.asked.moving[and] {
                        return Err(self.explain(true).second(names, second));
                    }
                    let mut losses = std::mem::take(&mut self.losses);
                    let name = || format!("the second derivative by {} and {}", names[0], names[1]);
                    losses.derivative(&self.explain(false), second, name);
                    self.losses = losses;
                }
                row.push(number);
            }
            matrix.push(row);
        }
        Ok(matrix)
    }

    /// A note on the derivatives by inputs that do not move, where there are none.
    fn unasked(&self, point: &[(String, f64)]) -> Option<String> {
        let inputs = self.asked.inputs.iter().zip(point);
        let inputs = inputs.filter(|(input, _)| !self.adjoint(**input).is_finite());
        let inputs: Vec<&str> = inputs.map(|(_, (name, _))| &name[..]).collect();
        let broken = self.steps.edges.iter().find(|edge| !self.at(edge.amount).is_finite());
        notes::unasked(&self.explain(false), &inputs, broken)
    }

    /// Looks for values, partials and adjoints that left the range of float64.
    fn find_losses(&mut self) {
        let mut losses = std::mem::take(&mut self.losses);
        let explain = self.explain(false);
        losses.values(&explain);
        self.steps.edges.iter().for_each(|edge| losses.edge(&explain, edge));
        self.losses = losses;
    }
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
