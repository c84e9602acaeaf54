//! The graph of a trace: the formula, and behind it everything that differentiation appends.
//!
//! In stretches of the evaluation order: the formula; adjoints and local partials; the rows' tangents, from an input
//! each that is filled in later; the tangents of the gradient, which are second derivatives.

use super::formula::Formula;
use super::trace::Costs;
use crate::autodiff::{jvp, vjp};
use crate::graph::NodeId;
use crate::ops::{At, Builder, Graph, Leaf, Op, Rule, Var};

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
        let is_input = |id: NodeId| matches!(graph[id].op, Op::Leaf(Leaf::Input(_)));
        let operations = graph.ids().filter(|&id| (active[id.index()] && !is_input(id)) || id == output);
        let operations = operations.filter(|&id| !inputs.contains(&id) || id != output);
        rows.extend(operations.zip(1..));

        let builder = Builder::extend(std::mem::take(graph));
        let vars = |ids: &[NodeId]| -> Vec<Var<'_>> { ids.iter().map(|&id| builder.var(id)).collect() };
        let nodes: Vec<NodeId> = rows.iter().map(|&(node, _)| node).collect();
        let (xs, all, y) = (vars(inputs), vars(&nodes), builder.var(output));
        let one = builder.constant(1.0);
        let adjoints = vjp(y, one, &xs);
        let mut edges = Vec::with_capacity(adjoints.contributions().len());
        for edge in adjoints.contributions() {
            let node = builder.graph()[edge.from].clone();
            let at = At { inputs: &vars(&node.inputs), output: builder.var(edge.from) };
            let partial = node.op.jvp(edge.operand, one, at).and_then(Var::id);
            if let (Some(partial), Some(amount)) = (partial, edge.amount.id()) {
                edges.push(Edge { from: edge.from, to: edge.to, partial, amount });
            }
        }
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
        let second = gradient.iter().map(|partial| partial.and_then(|_| seconds.next()?)?.id()).collect();

        let ids = |vars: &[Option<Var<'_>>]| -> Vec<NodeId> {
            vars.iter().flatten().filter_map(|var| var.id()).collect()
        };
        let output_tangent = tangents.last().copied().flatten();
        let costs = {
            let graph = builder.graph();
            let operations = |of: &[NodeId]| {
                let needed = graph.ancestors(of);
                graph.iter().filter(|(id, node)| needed[id.index()] && node.op.arity() > 0).count()
            };
            let value = operations(&[output]);
            let with_value = |others: Vec<NodeId>| operations(&[&others[..], &[output]].concat()) - value;
            Costs { value, reverse: with_value(ids(&gradient)), forward: with_value(ids(&[output_tangent])) }
        };
        let steps = Self {
            adjoints: all.iter().map(|&var| adjoints.of(var)?.id()).collect(),
            seeds: seeds.iter().map(|seed| (*seed)?.id()).collect(),
            tangents: tangents.iter().map(|tangent| (*tangent)?.id()).collect(),
            rows,
            edges,
            second,
            tangents_begin,
            tangents_end,
            costs,
        };
        // All nodes are scalars, so no operation is refused.
        *graph = builder.finish().unwrap_or_default();
        steps
    }
}
