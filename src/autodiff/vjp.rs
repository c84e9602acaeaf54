//! Reverse mode: an adjoint times the Jacobian (Griewank and Walther 2008, section 3.2).

use crate::graph::NodeId;
use crate::ops::{At, Rule, Var};

/// What one reverse sweep found: the adjoint of every node on a path from `wrt` to the output.
#[derive(Clone, Debug)]
pub struct Adjoints<'g> {
    adjoints: Vec<Option<Var<'g>>>,
    contributions: Vec<Contribution<'g>>,
}

/// What one edge of the graph carries back: a summand of an adjoint.
#[derive(Clone, Copy, Debug)]
pub struct Contribution<'g> {
    /// The node whose adjoint flows back.
    pub from: NodeId,
    /// Which of its operands.
    pub operand: usize,
    /// The operand, whose adjoint this is a part of.
    pub to: NodeId,
    /// The adjoint of `from` times the local derivative.
    pub amount: Var<'g>,
}

impl<'g> Adjoints<'g> {
    /// The adjoint of a node: nothing where the output does not depend on it, or where nobody asked.
    pub fn of(&self, node: Var<'g>) -> Option<Var<'g>> {
        *self.adjoints.get(node.id()?.index())?
    }

    /// The adjoint of a node that must have one, of the node's shape.
    ///
    /// Where there is none, that is the builder's mistake, which [`finish`](crate::ops::Builder::finish) returns: a
    /// parameter that nothing uses is never left out in silence.
    #[track_caller]
    pub fn get(&self, node: Var<'g>) -> Var<'g> {
        // No closure here: the caller's place in the source would end at it.
        match self.of(node) {
            Some(adjoint) => adjoint,
            None => {
                node.refused("gradient", "has none: the output does not depend on it, or nobody asked for it")
            }
        }
    }

    /// What the adjoints are sums of, in the order in which it was added.
    pub fn contributions(&self) -> &[Contribution<'g>] {
        &self.contributions
    }
}

/// The adjoints that follow from the given adjoint of `output`, for `wrt` and all between.
///
/// One sweep, against evaluation order. Where a node is used several times its contributions are
/// added. Adjoints that no node of `wrt` needs (the data's, say) are not computed.
#[track_caller]
pub fn vjp<'g>(output: Var<'g>, adjoint: Var<'g>, wrt: &[Var<'g>]) -> Adjoints<'g> {
    let builder = output.builder();
    let sources: Vec<NodeId> = wrt.iter().filter_map(|var| var.id()).collect();
    let (Some(target), true) = (output.id(), builder.owns("derivative", wrt.iter().copied())) else {
        return Adjoints { adjoints: Vec::new(), contributions: Vec::new() }; // a mistake stands in the builder
    };
    let active = builder.graph().descendants(&sources);
    let mut adjoints: Vec<Option<Var<'g>>> = vec![None; builder.graph().len()];
    if active[target.index()] {
        adjoints[target.index()] = Some(adjoint.expect_shape(output.shape()));
    }
    let mut contributions = Vec::new();
    let primal: Vec<NodeId> = builder.graph().ids().take(target.index() + 1).collect();
    for id in primal.into_iter().rev() {
        let Some(adjoint) = adjoints[id.index()] else { continue };
        let node = builder.graph()[id].clone();
        let operands: Vec<Var<'g>> = node.inputs.iter().map(|&input| builder.var(input)).collect();
        let at = At { inputs: &operands, output: builder.var(id) };
        for (operand, &to) in node.inputs.iter().enumerate().filter(|(_, to)| active[to.index()]) {
            if let Some(amount) = node.op.vjp(operand, adjoint, at) {
                let slot = &mut adjoints[to.index()];
                *slot = Some(slot.map_or(amount, |sum| sum + amount));
                contributions.push(Contribution { from: id, operand, to, amount });
            }
        }
    }
    Adjoints { adjoints, contributions }
}

/// The gradient of a scalar by each of `wrt`: zeros where it does not depend on one.
#[track_caller]
pub fn gradient<'g, const N: usize>(output: Var<'g>, wrt: [Var<'g>; N]) -> [Var<'g>; N] {
    let builder = output.builder();
    let adjoints = vjp(output, builder.constant(1.0), &wrt);
    wrt.map(|var| adjoints.of(var).unwrap_or_else(|| builder.constant(0.0).broadcast_to(var.shape())))
}
