//! Which matrices lie transposed.

use super::given::Given;
use crate::graph::NodeId;
use crate::ops::{Leaf, Op};

/// For each node, whether it is computed, or given, as the transpose of its matrix.
#[derive(Clone, Debug)]
pub(super) struct Layouts {
    transposed: Vec<bool>,
}

impl Layouts {
    /// Inputs that the first product to read them multiplies by as Bᵀ, as layers multiply by weights (out, in), and all
    /// that stands beside them element by element: operands, results, what is stored. A product among these costs the
    /// same in both layouts. Everything else keeps its layout: what rows mean something to, and what is drawn at random.
    pub fn of(given: &Given<'_>, examples: NodeId) -> Self {
        let first_uses = first_uses(given);
        let mut transposed: Vec<bool> = first_uses.iter().map(|&first| first == Some(Use::Weights)).collect();
        transposed[examples.index()] = false;
        let follows = |id: NodeId| {
            let node = &given.graph[id];
            let may = match node.op {
                Op::Leaf(Leaf::Input(_)) => first_uses[id.index()].is_none() && id != examples,
                Op::Unary(_) | Op::Binary(_) | Op::MatMul(_) => true,
                _ => false,
            };
            may && node.shape.len() == 2
        };
        let elementwise = given.nodes().filter(|(_, node)| matches!(node.op, Op::Unary(_) | Op::Binary(_)));
        let elementwise = elementwise.map(|(id, node)| node.inputs.iter().copied().chain([id]).collect());
        let stored = given.stores.iter().map(|store| vec![store.into, store.value]);
        let alike: Vec<Vec<NodeId>> = elementwise.chain(stored).collect();
        // One round forwards and one backwards find all but zigzags.
        loop {
            let mut changed = false;
            for group in alike.iter().chain(alike.iter().rev()) {
                if group.iter().any(|id| transposed[id.index()]) {
                    for id in group.iter().filter(|&&id| follows(id)) {
                        changed |= !std::mem::replace(&mut transposed[id.index()], true);
                    }
                }
            }
            if !changed {
                return Self { transposed };
            }
        }
    }

    pub fn is_transposed(&self, id: NodeId) -> bool {
        self.transposed[id.index()]
    }

    /// Whether nothing reads a matrix but products, and these as their first operand once they are written anew.
    pub fn are_first_operands(&self, given: &Given<'_>, examples: NodeId) -> bool {
        let is_it = |&id: &NodeId| given.behind(id).0 == examples;
        let fits = |id: NodeId, op: &Op, operands: &[NodeId]| match (op, operands) {
            // The product's transpose swaps them.
            (Op::MatMul(_), [a, b]) => {
                let [first, second] = if self.is_transposed(id) { [b, a] } else { [a, b] };
                is_it(first) && !is_it(second)
            }
            _ => is_it(&id), // a transpose
        };
        let mut users = given.nodes().filter(|(_, node)| node.inputs.iter().any(is_it));
        let only_products = users.all(|(id, node)| fits(id, &node.op, &node.inputs));
        only_products && given.graph.is_input(examples) && !given.wanted.iter().any(is_it)
    }
}

/// How a product reads an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    /// As Bᵀ.
    Weights,
    Otherwise,
}

/// How the first product that reads an input reads it.
fn first_uses(given: &Given<'_>) -> Vec<Option<Use>> {
    let mut uses = vec![None; given.graph.len()];
    for (_, node) in given.nodes() {
        let Op::MatMul(matmul) = node.op else { continue };
        for (&operand, is_b) in node.inputs.iter().zip([false, true]) {
            let (id, transposed) = given.behind(operand);
            if given.graph.is_input(id) {
                let is_weights = is_b && matmul.transpose_b != transposed;
                uses[id.index()].get_or_insert(if is_weights { Use::Weights } else { Use::Otherwise });
            }
        }
    }
    uses
}
