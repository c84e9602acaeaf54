//! Which nodes' zeros are left out of products: as factors, and as elements that nobody needs.

use crate::exec::cpu::product::can_mask;
use crate::exec::instruction::{Instruction, Program, ProgramStep, Source, Work};
use crate::graph::{NodeId, Shape};
use crate::ops::{Binary, Graph, MatMul, Op, Unary};

/// Columns of a product from which on zeros are left out of it: with fewer, walking through lists costs more.
const LEAST_COLUMNS: usize = 32;

/// Whether a product can leave out the zeros of its first operand; `b` is the second one's shape.
pub(in crate::exec) fn can_leave_out_zeros(matmul: MatMul, b: &Shape) -> bool {
    b[if matmul.transpose_b { 0 } else { 1 }] >= LEAST_COLUMNS
}

/// Which products leave out what.
pub(in crate::exec) struct LeftOut {
    /// Of nodes that are zero in many places: their numbers among those whose zeros are left out.
    pub zeros: Vec<Option<usize>>,
    /// Of each instruction that is a product: the node with a number where whose zeros are its elements are not needed.
    pub masks: Vec<Option<NodeId>>,
}

/// Which zeros are left out. Nodes that are zero in many places and operands of products that can leave these out are numbered, the
/// inputs first.
pub(in crate::exec) fn left_out(
    graph: &Graph,
    instructions: &[Instruction],
    mostly_zero: &[NodeId],
) -> LeftOut {
    let mut has_zeros = vec![false; graph.len()];
    for (id, node) in graph.iter() {
        has_zeros[id.index()] = match node.op {
            Op::Unary(Unary::Relu | Unary::Step) => true,
            Op::Binary(Binary::Mul) => node.inputs.iter().any(|input| has_zeros[input.index()]),
            _ => mostly_zero.contains(&id),
        };
    }
    let mut zeros = vec![None; graph.len()];
    let mut count = 0;
    let mut number = |zeros: &mut Vec<Option<usize>>, id: NodeId| {
        if zeros[id.index()].is_none() {
            zeros[id.index()] = Some(count);
            count += 1;
        }
    };
    mostly_zero.iter().for_each(|&id| number(&mut zeros, id));
    let mask = |instruction: &Instruction| match &instruction.work {
        Work::Product { matmul, operands: [a, b], epilogue: Some(program), start: None } => {
            let can = can_mask(*matmul, &graph[*b].shape) && !mostly_zero.contains(a);
            masked_by(program).filter(|_| can && !instruction.stores)
        }
        _ => None,
    };
    let mut masks: Vec<Option<NodeId>> = instructions.iter().map(mask).collect();
    for is_masked in [false, true] {
        for (instruction, mask) in instructions.iter().zip(&mut masks) {
            // What nobody lists anyway is not worth listing as a mask.
            if is_masked {
                *mask = mask.filter(|mask| zeros[mask.index()].is_some());
            }
            if let Work::Product { matmul, operands: [a, b], .. } = instruction.work
                && mask.is_none()
                && has_zeros[a.index()]
                && can_leave_out_zeros(matmul, &graph[b].shape)
            {
                number(&mut zeros, a);
            }
        }
    }
    LeftOut { zeros, masks }
}

/// The node where whose zeros a program's one result is zero whatever else it reads: what relu left, if the program multiplies by its
/// step.
fn masked_by(program: &Program) -> Option<NodeId> {
    let first = program.loads.len();
    let mut masked: Vec<Option<NodeId>> = vec![None; first];
    for step in &program.steps {
        let of = |source| match source {
            Source::Register(register) => masked[register],
            Source::Full(_) | Source::PerColumn(_) => None,
        };
        masked.push(match *step {
            ProgramStep::Unary(Unary::Relu | Unary::Step, Source::Full(node)) => Some(node),
            ProgramStep::Binary(Binary::Mul, a, b) => of(a).or(of(b)),
            _ => None,
        });
    }
    match program.results[..] {
        [(step, _)] => masked[first + step],
        _ => None,
    }
}
