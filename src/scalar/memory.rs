//! What a trace takes, asked for before anything of it is made.
//!
//! The graph of a trace is that of the formula and what differentiation appends, which is a sum over the formula's operations:
//! each kind of operation is differentiated once by itself to see how many nodes its rules append. All else is so many bytes
//! a node, a row or an edge. The figures are bounds from above: lists that grow have room for twice what is in them.

use std::collections::HashMap;

use super::asked::{Asked, TraceError};
use super::formula::Formula;
use super::names::Names;
use super::steps::{Edge, Steps};
use super::tokens::tokens;
use super::trace::{Summand, TraceRow};
use crate::document::number::bytes as readable;
use crate::exec::heap;
use crate::graph::Node;
use crate::ops::{Builder, Function, Op, Rule};

/// What the allocator puts beside each piece, and rounds it up by.
const PIECE: usize = 16;

/// A node in a graph, its list of operands, and what finds it again, computes it, and looks where its number left the range.
const NODE: usize = 2 * size_of::<Node<Op>>() + 2 * PIECE + 64;

/// A row with its lists, and what is kept of it where it is made, checked and written.
const ROW: usize = size_of::<TraceRow>() + 2 * PIECE + 192;

/// An edge of reverse mode: the contribution that a row shows, and what it is made of.
const EDGE: usize = size_of::<Summand>() + 2 * size_of::<Edge>() + 96;

/// A part of a text while it is read: what is open, an operand, a node of the graph and its place.
const TOKEN: usize = 2 * size_of::<Node<Op>>() + 2 * PIECE + 160;

/// That the machine gives what a formula takes that is read from this text. Mistakes in it are for
/// [`parse`](super::parse) to tell.
///
/// # Errors
/// [`TraceError::Memory`] when it does not.
pub fn check_text(text: &str) -> Result<(), TraceError> {
    let parts = tokens(text).map_while(Result::ok).count();
    let bytes = parts.saturating_mul(TOKEN);
    match heap::has(bytes) {
        true => Ok(()),
        false => Err(lacking(format!("a formula of {parts} parts"), bytes, "")),
    }
}

fn lacking(of: String, bytes: usize, instead: &'static str) -> TraceError {
    TraceError::Memory { of, bytes: readable(bytes as f64), instead }
}

/// That the machine gives what the trace of a formula takes.
///
/// # Errors
/// [`TraceError::Memory`] when it does not.
pub(super) fn check(formula: &Formula, asked: &Asked) -> Result<(), TraceError> {
    let graph = formula.graph();
    let edges: usize = graph.iter().map(|(_, node)| node.inputs.len()).sum();
    let nodes = graph.len() + appended_to(formula, asked.hessian);
    let row = ROW + asked.directions.len() * size_of::<f64>();
    // The matrix has a number for each pair of inputs, and a text that is shown of it.
    let pairs = if asked.hessian { asked.inputs.len().pow(2) } else { 0 };
    let parts = [(nodes, NODE), (graph.len(), row), (edges, EDGE), (pairs, 2 * size_of::<f64>())];
    let bytes =
        parts.into_iter().fold(0, |sum: usize, (count, each)| sum.saturating_add(count.saturating_mul(each)));
    if heap::has(bytes) {
        return Ok(());
    }
    let operations = graph.iter().filter(|(_, node)| node.op.arity() > 0).count();
    let instead = if asked.hessian { ", or leave --hessian out" } else { "" };
    Err(lacking(format!("{operations} operations"), bytes, instead))
}

/// How many nodes differentiation appends to the formula's, at most.
fn appended_to(formula: &Formula, hessian: bool) -> usize {
    let mut known: HashMap<&Op, usize> = HashMap::new();
    let (mut sum, mut uses) = (0, 0);
    for (_, node) in formula.graph().iter() {
        uses += node.inputs.len();
        if node.op.arity() > 0 {
            sum += *known.entry(&node.op).or_insert_with(|| appended_by(Some(&node.op), hessian));
        }
    }
    // Where several operations use a node, what flows back from them is added up, and so are the tangents of that.
    sum + uses * if hessian { 3 } else { 1 } + formula.variables().len()
}

/// How many nodes one operation makes differentiation append, in the middle of a graph.
fn appended_by(op: Option<&Op>, hessian: bool) -> usize {
    let builder = Builder::new();
    let all = ["x", "y", "z"].map(|name| builder.input(name, []));
    // Squared, so that what flows through the operation varies in each way.
    let [x, y, z] = all.map(|var| var * var);
    let operands = [x, y];
    let inner = match op {
        Some(op) => builder.apply(op.clone(), &operands[..op.arity()]),
        None => x,
    };
    let output = (inner * z) * (inner * z);
    let Ok(Function { mut graph, inputs, outputs, .. }) = builder.finish(all, output) else { return 0 };
    let formula = Formula {
        text: String::new(),
        graph: graph.clone(),
        output: outputs,
        variables: Vec::new(),
        names: Names::beside(std::iter::empty()),
        places: Vec::new(),
    };
    let before = graph.len();
    Steps::build(&mut graph, &formula, &inputs, &[true; 3], hessian);
    let without = if op.is_some() { appended_by(None, hessian) } else { 0 };
    (graph.len() - before).saturating_sub(without).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Binary;
    use crate::scalar::{functions, parse};

    /// Nodes that are really appended.
    fn appended(formula: &Formula, hessian: bool) -> usize {
        let mut graph = formula.graph().clone();
        let inputs: Vec<_> = formula.variables().iter().map(|(_, node)| *node).collect();
        Steps::build(&mut graph, formula, &inputs, &vec![true; inputs.len()], hessian);
        graph.len() - formula.graph().len()
    }

    #[test]
    fn no_formula_appends_more_nodes_than_are_counted_and_few_much_fewer() {
        let nested = |function: &str| match Binary::FUNCTIONS.iter().any(|binary| binary.name() == function) {
            true => (0..20).fold("x".to_string(), |inner, _| format!("{function}({inner}*y, x)")),
            false => (0..20).fold("x*y".to_string(), |inner, _| format!("{function}({inner})")),
        };
        let mut formulas: Vec<String> = functions().map(nested).collect();
        let names = |sign: &str| (1..=60).map(|i| format!("x{i}")).collect::<Vec<_>>().join(sign);
        formulas.extend(["+", "-", "*", "/", "^"].map(names));
        formulas.extend(["-".repeat(60) + "x", "x".to_string() + &"*x".repeat(60), "√".repeat(30) + "x"]);
        formulas.push((0..40).map(|i| format!("sin(x*{i}.5+y)^2")).collect::<Vec<_>>().join("+"));
        for text in formulas {
            let formula = parse(&text).unwrap();
            for hessian in [false, true] {
                let (counted, real) = (appended_to(&formula, hessian), appended(&formula, hessian));
                assert!(counted >= real, "{text}, second derivatives {hessian}: {counted} for {real}");
                assert!(
                    counted <= 12 * (real + formula.graph().len()) + 100,
                    "{text}, second derivatives {hessian}: {counted} for {real}"
                );
            }
        }
    }
}
