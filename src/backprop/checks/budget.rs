//! How long the checks may take: counted, not measured, so that the same problem is always checked alike.

use std::ops::Range;

use crate::ops::{Graph, Op};

/// All checks together take at most about so many multiplications, some seconds; what is left then is not checked.
const MOST_WORK: usize = 4_000_000_000;

/// One variable's differences take at most this part of them entry by entry; a larger variable moves in random directions.
const SHARE: usize = 20;

/// What going to a node costs beside its arithmetic, in multiplications.
const NODE: usize = 200;

/// What is left to spend, in multiplications.
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MOST_WORK)
    }
}

impl Budget {
    /// Takes a cost from the budget, if it can be paid.
    pub fn pays(&mut self, cost: usize) -> bool {
        let rest = self.0.checked_sub(cost);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// As [`Self::pays`], for a cost that is no more than one variable's share.
    pub fn pays_share(&mut self, cost: usize) -> bool {
        cost <= MOST_WORK / SHARE && self.pays(cost)
    }
}

/// About how many multiplications these nodes take.
pub(super) fn work(graph: &Graph, nodes: Range<usize>) -> usize {
    let of = graph.iter().take(nodes.end).skip(nodes.start).map(|(_, node)| {
        let terms = match node.op {
            Op::MatMul(product) => {
                product.extents(&graph[node.inputs[0]].shape, &graph[node.inputs[1]].shape).k
            }
            _ => 1,
        };
        node.shape.size().saturating_mul(terms).saturating_add(NODE)
    });
    of.fold(0, usize::saturating_add)
}
