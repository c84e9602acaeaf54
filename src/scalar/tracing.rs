//! A trace is made: one graph holds the formula, its adjoints, partials, tangents and second derivatives (`steps.rs`
//! builds it). An [`Interpreter`](crate::exec::Interpreter) computes all values once, and the tangents again for each
//! further direction (`computed.rs`). Nothing is simplified, so a row shows the operation that was carried out.

use super::asked::{Asked, TraceError, TraceRequest};
use super::characters;
use super::checks::Checks;
use super::computed::Computed;
use super::domain::DomainError;
use super::formula::Formula;
use super::kinks;
use super::memory;
use super::steps::Steps;
use super::trace::{Trace, TraceRow};
use super::verify::verify;
use crate::graph::NodeId;
use crate::ops::Graph;

/// Traces a formula at a point.
///
/// ```
/// use cotangent::scalar::{TraceRequest, parse, parse_point, trace};
///
/// let formula = parse("(x1*x2*sin(x3) + exp(x1*x2))/x3")?;
/// let found = trace(&formula, &parse_point("x1=1, x2=1.5, x3=2")?, &TraceRequest::default())?;
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
pub fn trace(
    formula: &Formula,
    point: &[(String, f64)],
    request: &TraceRequest,
) -> Result<Trace, TraceError> {
    let named = point.iter().map(|(name, value)| (characters::name(name).into_owned(), *value));
    let point = &named.collect::<Vec<_>>()[..];
    let asked = Asked::of(formula, point, request)?;
    memory::check(formula, &asked)?;
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
    reverse(&mut computed, asked, point, steps.tangents_begin)?;
    let mut rows = computed.rows();
    sweeps(&mut computed, asked, &mut rows)?;
    let checked = asked.checked();
    let hessian = asked.hessian.then(|| computed.hessian(point)).transpose()?;
    let forward = forward(&mut computed, &rows, &checked);
    let mut found = Trace {
        expression: formula.text().into(),
        point: point.to_vec(),
        directions: asked.directions.clone(),
        forward_omitted: asked.omitted.clone(),
        hessian,
        checks: Checks::default(),
        costs: steps.costs,
        notes: notes(&mut computed, formula, point, &rows, asked.hessian && moving.contains(&false)),
        graph: Graph::default(),
        each: asked.each,
        constants: constants(&computed, formula),
        places: std::mem::take(&mut computed.places),
        rows,
    };
    drop(computed); // before more is computed
    drop(steps);
    found.checks = verify(formula, &asked.inputs, &found, &checked, forward);
    found.graph = graph;
    Ok(found)
}

/// Values, partials and adjoints: every node up to the tangents.
fn reverse(
    computed: &mut Computed<'_>,
    asked: &Asked,
    point: &[(String, f64)],
    tangents_begin: usize,
) -> Result<(), DomainError> {
    for (&input, (_, value)) in asked.inputs.iter().zip(point) {
        computed.values.set(input, &[*value]);
    }
    computed.run(0..tangents_begin);
    computed.explain(true).check_value()?;
    computed.check_reverse()?;
    computed.find_losses();
    Ok(())
}

/// The rows' tangents, by a sweep for each direction.
fn sweeps(computed: &mut Computed<'_>, asked: &Asked, rows: &mut [TraceRow]) -> Result<(), DomainError> {
    for direction in &asked.directions {
        computed.sweep(&direction.tangents);
        computed.check_tangents()?;
        for row in &mut *rows {
            row.tangents.push(row.tangent.map_or(0.0, |tangent| computed.at(tangent)));
        }
    }
    Ok(())
}

/// Forward mode's side of the inner product; where each input has its own sweep it is the sum of these.
fn forward(computed: &mut Computed<'_>, rows: &[TraceRow], along: &[f64]) -> f64 {
    match rows.last() {
        Some(output) if !output.tangents.is_empty() => output.tangents.iter().sum(),
        Some(TraceRow { tangent: Some(tangent), .. }) => {
            computed.sweep(along);
            computed.at(*tangent)
        }
        _ => 0.0,
    }
}

/// What a reader must know beside the numbers.
fn notes(
    computed: &mut Computed<'_>,
    formula: &Formula,
    point: &[(String, f64)],
    rows: &[TraceRow],
    lacks_second: bool,
) -> Vec<String> {
    let number = |node: NodeId| rows.get(*computed.places.get(node.index())?).map(|row| row.number);
    let mut notes = kinks::notes(formula, rows, |node| (number(node), computed.at(node)));
    notes.extend(computed.unasked(point));
    if lacks_second {
        notes.push(
            "second derivatives by inputs that do not move are left out, because not all of them exist"
                .into(),
        );
    }
    notes.extend(std::mem::take(&mut computed.losses).into_notes());
    notes
}

/// The values of the formula's nodes that have no row, by node.
fn constants(computed: &Computed<'_>, formula: &Formula) -> Vec<Option<f64>> {
    let has_row = |node: NodeId| computed.places.get(node.index()).is_some_and(|&place| place != usize::MAX);
    formula.graph().ids().map(|id| (!has_row(id)).then(|| computed.at(id))).collect()
}
