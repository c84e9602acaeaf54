//! Which nodes' zeros are left out of products.

use crate::exec::instruction::{Instruction, Work};
use crate::graph::{NodeId, Shape};
use crate::ops::{Binary, Graph, MatMul, Op, Unary};

/// Columns of a product from which on zeros are left out of it: with fewer, walking through lists costs more.
const LEAST_COLUMNS: usize = 32;

/// Whether a product can leave out the zeros of its first operand; `b` is the second one's shape.
pub(in crate::exec) fn can_leave_out_zeros(matmul: MatMul, b: &Shape) -> bool {
    b[if matmul.transpose_b { 0 } else { 1 }] >= LEAST_COLUMNS
}

/// The nodes that are zero in many places and operands of products that can leave these out, numbered, the
/// inputs first.
pub(in crate::exec) fn numbers(
    graph: &Graph,
    instructions: &[Instruction],
    mostly_zero: &[NodeId],
) -> Vec<Option<usize>> {
    let mut has_zeros = vec![false; graph.len()];
    for (id, node) in graph.iter() {
        has_zeros[id.index()] = match node.op {
            Op::Unary(Unary::Relu | Unary::Step) => true,
            Op::Binary(Binary::Mul) => node.inputs.iter().any(|input| has_zeros[input.index()]),
            _ => mostly_zero.contains(&id),
        };
    }
    let mut numbers = vec![None; graph.len()];
    let mut count = 0;
    let mut number = |id: NodeId| {
        if numbers[id.index()].is_none() {
            numbers[id.index()] = Some(count);
            count += 1;
        }
    };
    mostly_zero.iter().copied().for_each(&mut number);
    for instruction in instructions {
        if let Work::Product { matmul, operands: [a, b], .. } = instruction.work
            && has_zeros[a.index()]
            && can_leave_out_zeros(matmul, &graph[b].shape)
        {
            number(a);
        }
    }
    numbers
}
