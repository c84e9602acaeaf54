//! Zeros: a graph written anew so that its products have many to leave out.
//!
//! A product leaves out the zeros of its first operand (see [`Nonzeros`](super::Nonzeros)), and adds up rows of its
//! second one. Two things have to be so for that, and nobody but this executor wants them:
//!
//! - Weights lie (in, out). PyTorch's (out, in) makes the gradient δᵀ h, whose first operand is dense; transposed it is
//!   hᵀ δ, and h is what relu left. So matrices that layers multiply by are kept transposed, and with them all that
//!   stands beside them element by element: gradients, the optimizer's state, new values (`layout`).
//! - Images are zero where there is nothing. Normalised ones are not, but most of their values are one number, the
//!   background β. So what goes in is how far they are from it, D, and the background's share is a row that the
//!   product's sums start from, one with the bias (`copy`):
//!
//! ```text
//! (D + β 1 1ᵀ) Wᵀ + 1 bᵀ = D Wᵀ + 1 (β W 1 + b)ᵀ
//! ```
//!
//! The values are the same but for rounding. Nothing here knows a layer, an optimizer or a loss.

mod copy;
mod given;
mod layout;
mod numbers;
#[cfg(test)]
mod tests;

pub(in crate::exec) use numbers::{LeftOut, can_leave_out_zeros, left_out};

use copy::Copied;
use given::Given;
use layout::Layouts;

use crate::graph::NodeId;
use crate::ops::{Builder, Graph, Store};

/// A graph written anew, and where its inputs, outputs and stores went.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::exec) struct Rewritten {
    pub graph: Graph,
    /// For each input in the order given.
    pub inputs: Vec<Input>,
    /// For each output in the order given: never transposed.
    pub outputs: Vec<NodeId>,
    /// What is stored, in the order given; it lies as the input lies that it is stored into.
    pub stores: Vec<Store>,
    /// If images are given by how far they are from their background.
    pub sparse: Option<Sparse>,
}

/// An input of a graph that was written anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::exec) struct Input {
    pub node: NodeId,
    /// Whether its values are to be the matrix's transpose.
    pub transposed: bool,
}

/// Images as what deviates from their background.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::exec) struct Sparse {
    /// Input, (rows, columns): images less their background. Products read it as their first operand, and nothing else
    /// reads it.
    pub deviations: NodeId,
    /// Input, a scalar: the background.
    pub background: NodeId,
}

/// Writes the computation of `outputs` and `stores` anew. `examples` is the input that holds images, and whether they are to be
/// given by how far they are from their background.
///
/// Whether an input lies transposed depends on the first product that reads it, so graphs that begin with the same
/// layers, a training step and an evaluation say, agree on their parameters.
pub(in crate::exec) fn rewrite(
    graph: &Graph,
    inputs: &[NodeId],
    outputs: &[NodeId],
    stores: &[Store],
    examples: (NodeId, bool),
) -> Rewritten {
    let wanted: Vec<NodeId> = outputs.iter().copied().chain(stores.iter().map(|store| store.value)).collect();
    let mut needed = graph.ancestors(&wanted);
    for input in inputs.iter().copied().chain(stores.iter().map(|store| store.into)) {
        needed[input.index()] = true;
    }
    let given = Given { graph, inputs, outputs, stores, wanted, needed };
    written(&given, examples).unwrap_or_else(|| Rewritten::unchanged(graph, inputs, outputs, stores))
}

impl Rewritten {
    /// The graph as it is.
    pub fn unchanged(graph: &Graph, inputs: &[NodeId], outputs: &[NodeId], stores: &[Store]) -> Self {
        Self {
            graph: graph.clone(),
            inputs: inputs.iter().map(|&node| Input { node, transposed: false }).collect(),
            outputs: outputs.to_vec(),
            stores: stores.to_vec(),
            sparse: None,
        }
    }
}

/// The graph written anew; nothing where it cannot be.
fn written(given: &Given<'_>, (examples, skipping): (NodeId, bool)) -> Option<Rewritten> {
    let layouts = Layouts::of(given, examples);
    let examples = (skipping && layouts.are_first_operands(given, examples)).then_some(examples);
    let builder = Builder::new();
    let mut copied = Copied::new(given, &layouts, examples, &builder);
    copied.copy()?;
    for store in given.stores {
        let transposed = layouts.is_transposed(store.into);
        builder.store(copied.of(store.value, transposed)?, copied.of(store.into, transposed)?);
    }
    let outputs = given.outputs.iter().map(|&output| copied.of(output, false)).collect::<Option<Vec<_>>>()?;
    let inputs = given.inputs.iter().map(|&input| copied.of(input, layouts.is_transposed(input)));
    let inputs = inputs.collect::<Option<Vec<_>>>()?;
    copied.name();
    let (deviations, background) =
        (examples.and_then(|examples| copied.of(examples, false)), copied.background());
    let sparse = deviations.zip(background);
    let function = builder.finish((inputs, background), (outputs, sparse)).ok()?;
    let (nodes, _) = function.inputs;
    let (outputs, sparse) = function.outputs;
    let lies = |(node, &input): (NodeId, &NodeId)| Input { node, transposed: layouts.is_transposed(input) };
    Some(Rewritten {
        graph: function.graph,
        inputs: nodes.into_iter().zip(given.inputs).map(lies).collect(),
        outputs,
        stores: function.stores,
        sparse: sparse.map(|(deviations, background)| Sparse { deviations, background }),
    })
}
