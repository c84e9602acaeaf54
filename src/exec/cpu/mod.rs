//! The CPU executor: carries a plan out on rayon's threads.
//!
//! Work is cut by shape, never by the number of threads, and no sum is split between them, so one,
//! two and four threads give the same bits.

mod arena;
mod elementwise;
mod interpreter;
mod product;

pub use arena::Arena;
pub use interpreter::Interpreter;

use arena::Rest;

use super::Plan;
use super::instruction::{Instruction, Work};
use crate::float::Float;
use crate::graph::NodeId;
use crate::ops::{Draw, Graph, MAX_ARITY, Op, Rule, Tensor, cross_entropy_with_gradient};
use rayon::prelude::*;

/// Runs `work` as compiled for the widest vectors that this processor has (AVX2 or AVX-512 on
/// x86-64), found out at run time: what is inlined into it is compiled once for each. Elementwise
/// code gives the same bits in each, as every element sees the same operations.
#[inline(always)]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Elements per task: about ten microseconds of work, many times what handing it out costs.
const TASK: usize = 1 << 14;

impl Plan {
    /// Runs every instruction once, on the rayon pool that the caller is in.
    ///
    /// The inputs' values stand in their places; afterwards the outputs' stand in theirs.
    pub fn run<T: Float>(&self, arena: &mut Arena<T>, draw: Draw) {
        for instruction in &self.instructions {
            self.run_instruction(instruction, arena, draw);
        }
    }

    fn run_instruction<T: Float>(&self, instruction: &Instruction, arena: &mut Arena<T>, draw: Draw) {
        let place = self.place(instruction.output);
        if let Work::CrossEntropy { logits, labels, gradient, scale } = instruction.work {
            let (rest, losses, gradients) = arena.split_two(place, self.place(gradient));
            let (logits, labels) = (self.tensor(logits, &rest), self.tensor(labels, &rest));
            let (_, classes) = logits.shape.rows_and_columns();
            let rows = logits.data.chunks_exact(classes).zip(labels.data);
            for ((row, &label), (loss, gradient)) in
                rows.zip(losses.iter_mut().zip(gradients.chunks_exact_mut(classes)))
            {
                *loss = cross_entropy_with_gradient(row, label, T::of(scale), gradient);
            }
            return;
        }
        let (rest, output) = arena.split(place);
        match &instruction.work {
            Work::Operation => self.run_operation(instruction.output, &rest, draw, output),
            Work::Fill(value) => output.fill(T::of(*value)),
            Work::Elementwise(program) => elementwise::run(program, self, &rest, output),
            Work::Product { matmul, operands: [a, b], epilogue } => {
                let (a, b) = (self.tensor(*a, &rest), self.tensor(*b, &rest));
                product::run(*matmul, a, b, output, |tile| {
                    if let Some(program) = epilogue {
                        elementwise::run_tile(program, self, &rest, tile);
                    }
                });
            }
            Work::CrossEntropy { .. } => {} // above: it writes two values
        }
    }

    fn run_operation<T: Float>(&self, node: NodeId, rest: &Rest<'_, T>, draw: Draw, output: &mut [T]) {
        let node = &self.graph[node];
        if let Op::DropoutMask(mask) = &node.op {
            output.par_chunks_mut(TASK).enumerate().for_each(|(task, piece)| {
                vectorized(
                    #[inline(always)]
                    || mask.fill(draw, (task * TASK) as u64, piece),
                );
            });
            return;
        }
        let empty = Tensor { shape: &node.shape, data: &[] };
        let mut inputs = [empty; MAX_ARITY];
        for (tensor, &input) in inputs.iter_mut().zip(&node.inputs) {
            *tensor = self.tensor(input, rest);
        }
        node.op.evaluate(&inputs[..node.inputs.len()], draw, output);
    }

    fn tensor<'a, T>(&'a self, node: NodeId, rest: &Rest<'a, T>) -> Tensor<'a, T> {
        Tensor { shape: self.shape(node), data: rest.get(self.place(node)) }
    }
}

/// Runs a graph once and returns the values of `outputs`: the plain way, for small programs.
///
/// # Panics
/// When an input's values are not as many as its shape says.
pub fn evaluate<T: Float>(graph: &Graph, inputs: &[(NodeId, &[T])], outputs: &[NodeId]) -> Vec<Vec<T>> {
    evaluate_with(graph, inputs, outputs, Draw::default())
}

/// As [`evaluate`], with the random numbers of a given step.
///
/// # Panics
/// When an input's values are not as many as its shape says.
pub fn evaluate_with<T: Float>(
    graph: &Graph,
    inputs: &[(NodeId, &[T])],
    outputs: &[NodeId],
    draw: Draw,
) -> Vec<Vec<T>> {
    let plan = Plan::new(graph, outputs, &[], 0);
    let mut arena = Arena::new(plan.arena());
    for (node, values) in inputs {
        arena[plan.place(*node)].copy_from_slice(values);
    }
    plan.run(&mut arena, draw);
    outputs.iter().map(|&output| arena[plan.place(output)].to_vec()).collect()
}
