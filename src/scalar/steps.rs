//! The graph of a trace: the formula, and behind it everything that differentiation appends.
//!
//! In stretches of the evaluation order: the formula; adjoints and local partials; the rows' tangents, from an input
//! each that is filled in later; the tangents of the gradient, which are second derivatives.

use super::formula::Formula;
use super::trace::Costs;
use crate::autodiff::{jvp, vjp};
use crate::graph::NodeId;
use crate::ops::{At, Builder, Function, Graph, Rule, Var};

/// An edge of the formula's graph in reverse mode.
pub(super) struct Edge {
    pub from: NodeId,
    pub to: NodeId,
    /// The local derivative.
    pub partial: NodeId,
    /// The adjoint of `from` times the local derivative.
    pub amount: NodeId,
}

/// The graph with everything that the trace shows, and where.
pub(super) struct Steps {
    /// The rows' nodes and numbers.
    pub rows: Vec<(NodeId, i64)>,
    /// What reverse mode goes over, in its order.
    pub edges: Vec<Edge>,
    /// The rows' adjoints, where there are any.
    pub adjoints: Vec<Option<NodeId>>,
    /// The inputs' tangents, to be filled in; nothing for those that do not move.
    pub seeds: Vec<Option<NodeId>>,
    /// The rows' tangents, where there are any.
    pub tangents: Vec<Option<NodeId>>,
    /// The tangents of the gradient.
    pub second: Vec<Option<NodeId>>,
    /// Where the tangents begin in the evaluation order: what is before does not depend on the direction.
    pub tangents_begin: usize,
    /// Where the rows' tangents end, and those of the gradient begin.
    pub tangents_end: usize,
    pub costs: Costs,
}

impl Steps {
    /// Appends everything to the formula's graph, with tangents of the inputs that move.
    pub fn build(
        graph: &mut Graph,
        formula: &Formula,
        inputs: &[NodeId],
        moving: &[bool],
        hessian: bool,
    ) -> Self {
        let output = formula.output();
        let active = graph.descendants(inputs);
        let mut rows: Vec<(NodeId, i64)> = inputs
            .iter()
            .enumerate()
            .map(|(i, &input)| (input, i as i64 + 1 - inputs.len() as i64))
            .collect();
        let operations =
            graph.ids().filter(|&id| (active[id.index()] && !graph.is_input(id)) || id == output);
        let operations = operations.filter(|&id| !inputs.contains(&id) || id != output);
        rows.extend(operations.zip(1..));

        let builder = Builder::extend(std::mem::take(graph));
        let vars = |ids: &[NodeId]| -> Vec<Var<'_>> { ids.iter().map(|&id| builder.var(id)).collect() };
        let nodes: Vec<NodeId> = rows.iter().map(|&(node, _)| node).collect();
        let (xs, all, y) = (vars(inputs), vars(&nodes), builder.var(output));
        let one = builder.constant(1.0);
        let adjoints = vjp(y, one, &xs);
        let carried = adjoints.contributions().iter().filter_map(|edge| {
            let node = builder.graph()[edge.from].clone();
            let at = At { inputs: &vars(&node.inputs), output: builder.var(edge.from) };
            Some(((edge.from, edge.to), (node.op.jvp(edge.operand, one, at)?, edge.amount)))
        });
        let (ends, carried): (Vec<_>, Vec<(Var<'_>, Var<'_>)>) = carried.unzip();
        let gradient: Vec<Option<Var<'_>>> = xs.iter().map(|&x| adjoints.of(x)).collect();
        let tangents_begin = builder.graph().len();
        let seeds: Vec<Option<Var<'_>>> =
            moving.iter().map(|&moves| moves.then(|| builder.input("tangent", []))).collect();
        let moving: Vec<(Var<'_>, Var<'_>)> =
            xs.iter().zip(&seeds).filter_map(|(&x, seed)| Some((x, (*seed)?))).collect();
        let tangents = jvp(&all, &moving);
        let tangents_end = builder.graph().len();
        let partials: Vec<Var<'_>> = gradient.iter().flatten().copied().collect();
        let mut seconds = if hessian { jvp(&partials, &moving).into_iter() } else { Vec::new().into_iter() };
        let second: Vec<Option<Var<'_>>> =
            gradient.iter().map(|partial| partial.and_then(|_| seconds.next()?)).collect();

        let adjoints: Vec<Option<Var<'_>>> = all.iter().map(|&var| adjoints.of(var)).collect();
        let function = builder.finish((xs, seeds), (adjoints, tangents, second, carried));
        let Function { graph: whole, inputs: (_, seeds), outputs, .. } =
            function.expect("no operation on scalars is refused");
        let (adjoints, tangents, second, carried) = outputs;
        let edge = |((from, to), (partial, amount))| Edge { from, to, partial, amount };
        let edges = ends.into_iter().zip(carried).map(edge).collect();

        let operations = |of: &[NodeId]| {
            let needed = whole.ancestors(of);
            whole.iter().filter(|(id, node)| needed[id.index()] && node.op.arity() > 0).count()
        };
        let value = operations(&[output]);
        let with_value = |others: Vec<NodeId>| operations(&[&others[..], &[output]].concat()) - value;
        // The first rows are the inputs, whose adjoints are the gradient; the last is the output.
        let gradient = adjoints[..inputs.len()].iter().flatten();
        let costs = Costs {
            value,
            reverse: with_value(gradient.copied().collect()),
            forward: with_value(tangents.last().copied().flatten().into_iter().collect()),
        };
        *graph = whole;
        Self { rows, edges, adjoints, seeds, tangents, second, tangents_begin, tangents_end, costs }
    }
}
