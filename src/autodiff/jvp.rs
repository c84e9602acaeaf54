//! Forward mode: the Jacobian times a tangent (Griewank and Walther 2008, section 3.1).

use crate::graph::NodeId;
use crate::ops::{At, Rule, Var};

/// The tangents of `outputs` when each given input moves with the given tangent.
///
/// A tangent has its input's shape. An output that does not depend on any of the inputs has no
/// tangent. One sweep, in evaluation order; each operation costs a small multiple of itself.
#[track_caller]
pub fn jvp<'g>(outputs: &[Var<'g>], inputs: &[(Var<'g>, Var<'g>)]) -> Vec<Option<Var<'g>>> {
    let Some(builder) = outputs.first().map(|output| output.builder()) else { return Vec::new() };
    let own =
        builder.owns("derivative", outputs.iter().copied().chain(inputs.iter().map(|&(input, _)| input)));
    let targets: Option<Vec<NodeId>> = outputs.iter().map(|output| output.id()).collect();
    let (Some(targets), true) = (targets, own) else {
        return vec![None; outputs.len()]; // a mistake stands in the builder
    };
    let primal: Vec<NodeId> = builder.graph().ids().collect();
    let needed = builder.graph().ancestors(&targets);
    let mut tangents: Vec<Option<Var<'g>>> = vec![None; primal.len()];
    for &(input, tangent) in inputs {
        if let Some(id) = input.id() {
            tangents[id.index()] = Some(tangent.expect_shape(input.shape()));
        }
    }
    for id in primal {
        if !needed[id.index()] || tangents[id.index()].is_some() {
            continue;
        }
        let node = builder.graph()[id].clone();
        let operands: Vec<Var<'g>> = node.inputs.iter().map(|&input| builder.var(input)).collect();
        let at = At { inputs: &operands, output: builder.var(id) };
        let parts = node.inputs.iter().enumerate().filter_map(|(k, input)| {
            let tangent = tangents[input.index()]?;
            node.op.jvp(k, tangent, at)
        });
        tangents[id.index()] = parts.reduce(|sum, part| sum + part);
    }
    targets.iter().map(|id| tangents[id.index()]).collect()
}
