//! From a task of a plan to kernels: the one place that says which kernel does which work.
//!
//! - An elementwise program of one operation has a kernel of its own, as has ReLU's way back; any other is
//!   carried out by the interpreter of `kernels/program.cu`, in one pass all the same.
//! - A program that stores has the kernel of the optimizer's rule that it is, if there is one; any other is interpreted.
//! - An epilogue of bias, ReLU and ReLU's mask, in this order, is done where the product is stored; any
//!   other is a program on the product where it stands.

use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::{CudaStream, CudaView, CudaViewMut};

use super::CudaError;
use super::arena::{DeviceArena, Rest};
use super::error::During;
use super::kernels::{
    Broadcast, DeviceOperand, DeviceUpdate, Epilogue, Factor, Gemm, Kernels, Logits, Product, Read, StepState,
};
use super::plan::{Action, CudaPlan, Products};
use super::recognise::{FixedEpilogue, Single};
use crate::exec::instruction::{Instruction, MOST_RESULTS, Program, Work};
use crate::exec::update::{Moved, Update};
use crate::graph::NodeId;
use crate::ops::{Classification, MatMul, Op, Reduction};

/// Which random numbers a run draws: as [`crate::ops::Draw`], but that the step stands on the device.
#[derive(Clone, Copy)]
pub struct DeviceDraw<'a> {
    /// The run's seed.
    pub seed: u64,
    /// One element; numbers are drawn for its `number` − 1.
    pub step: &'a CudaView<'a, StepState>,
}

impl CudaPlan {
    /// Puts the launches of a task, by its number, on a stream.
    ///
    /// # Errors
    /// What the kernels' functions refuse or the driver reports.
    pub fn launch(
        &self,
        kernels: &Kernels,
        stream: &Arc<CudaStream>,
        task: usize,
        arena: &mut DeviceArena,
        draw: DeviceDraw<'_>,
    ) -> Result<(), CudaError> {
        let task = &self.tasks[task];
        let launch = TaskLaunch { plan: self, kernels, stream, draw };
        match &task.action {
            Action::Round(node) => {
                arena.lend([self.place_of_rounded(*node)], |rest, [mut copy]| {
                    let values = rest.get(self.place(*node));
                    // SAFETY: every pattern of 16 bits is a bfloat16; a place is aligned for float32.
                    let copy = unsafe { copy.transmute_mut(values.len()) };
                    let mut copy = copy.unwrap_or_else(|| panic!("the copy of node {} fits", node.index()));
                    kernels.convert.f32_to_bf16(stream, &values, &mut copy)
                })
            }
            Action::Carry(instruction) => {
                let mut writes = instruction.writes();
                let mut place = || writes.next().map_or(0..0, |node| self.place_in(instruction, node));
                let outputs: [Range<usize>; MOST_RESULTS] = std::array::from_fn(|_| place());
                let [a, b, c, d] = outputs;
                arena.lend([a, b, c, d, task.workspace.clone()], |rest, [a, b, c, d, workspace]| {
                    launch.carry_out(
                        instruction,
                        task.rule.as_ref(),
                        rest,
                        Lent { outputs: [a, b, c, d], workspace },
                    )
                })
            }
        }
    }

    /// Where the values lie that an instruction reads or writes element by element as a node's: with those of its
    /// neighbours where it goes over these too.
    fn place_in(&self, instruction: &Instruction, node: NodeId) -> Range<usize> {
        let place = self.place(node);
        match &instruction.work {
            Work::Elementwise(program) => place.start..place.start + program.rows * program.columns,
            _ => place,
        }
    }
}

/// What an instruction may write.
struct Lent<'a> {
    /// As many as it [writes](Instruction::writes); the others are empty.
    outputs: [CudaViewMut<'a, f32>; MOST_RESULTS],
    workspace: CudaViewMut<'a, f32>,
}

struct TaskLaunch<'a> {
    plan: &'a CudaPlan,
    kernels: &'a Kernels,
    stream: &'a Arc<CudaStream>,
    draw: DeviceDraw<'a>,
}

impl TaskLaunch<'_> {
    fn carry_out(
        &self,
        instruction: &Instruction,
        rule: Option<&Update>,
        rest: &Rest<'_>,
        mut lent: Lent<'_>,
    ) -> Result<(), CudaError> {
        let Self { kernels, stream, .. } = *self;
        match &instruction.work {
            Work::Operation => self.operation(instruction.output, rest, &mut lent),
            Work::Fill(value) => kernels.layout.fill(stream, *value as f32, &mut lent.outputs[0]),
            Work::Copy(_) => unreachable!("a copy that stores is a program, and no other is made"),
            Work::Elementwise(program) if instruction.stores => {
                self.update(program, rule, rest, &mut lent.outputs)
            }
            Work::Elementwise(program) => self.elementwise(program, rest, &mut lent.outputs),
            Work::Product { matmul, operands, epilogue, .. } => {
                self.product(*matmul, *operands, epilogue.as_ref(), rest, &mut lent)
            }
            Work::CrossEntropy { logits, labels, scale, .. } => {
                let [losses, gradient, ..] = &mut lent.outputs;
                kernels.softmax_cross_entropy.cross_entropy(
                    stream,
                    self.logits(*logits, &self.view(*logits, rest)),
                    &self.view(*labels, rest),
                    *scale as f32,
                    losses,
                    Some(gradient),
                )
            }
        }
    }

    fn view<'r>(&self, node: NodeId, rest: &'r Rest<'_>) -> CudaView<'r, f32> {
        rest.get(self.plan.place(node))
    }

    fn logits<'v>(&self, node: NodeId, view: &'v CudaView<'v, f32>) -> Logits<'v> {
        let (rows, classes) = self.plan.shape(node).rows_and_columns();
        Logits { view, rows, classes }
    }

    fn operation(&self, id: NodeId, rest: &Rest<'_>, lent: &mut Lent<'_>) -> Result<(), CudaError> {
        let Self { kernels, stream, .. } = *self;
        let node = &self.plan.graph[id];
        let [output, ..] = &mut lent.outputs;
        let input = |k: usize| self.view(node.inputs[k], rest);
        let shape_of_input = || self.plan.shape(node.inputs[0]);
        match &node.op {
            Op::Reduction(Reduction::Sum { axes }) => {
                kernels.sum.run_over(stream, (shape_of_input(), axes), &input(0), output, &mut lent.workspace)
            }
            Op::Reduction(Reduction::Broadcast { axes, shape }) => {
                kernels.layout.broadcast(stream, axes, shape, &input(0), output)
            }
            Op::Layout(crate::ops::Layout::Reshape(_)) if output.is_empty() => Ok(()),
            Op::Layout(crate::ops::Layout::Reshape(_)) => {
                stream.memcpy_dtod(&input(0), output).during(|| "copying values on the device".into())
            }
            Op::Layout(crate::ops::Layout::Transpose { permutation }) => {
                kernels.layout.transpose(stream, permutation, shape_of_input(), &input(0), output)
            }
            Op::Classification(Classification::Softmax) => {
                let view = input(0);
                kernels.softmax_cross_entropy.softmax(stream, self.logits(node.inputs[0], &view), output)
            }
            Op::Classification(Classification::OneHot { classes }) => {
                kernels.softmax_cross_entropy.one_hot(stream, &input(0), *classes, output)
            }
            Op::Classification(Classification::SoftmaxCrossEntropy) => {
                let view = input(0);
                let logits = self.logits(node.inputs[0], &view);
                kernels.softmax_cross_entropy.cross_entropy(stream, logits, &input(1), 1.0, output, None)
            }
            Op::DropoutMask(mask) => {
                kernels.dropout.mask(stream, mask, self.draw.seed, self.draw.step, output)
            }
            Op::Leaf(_) | Op::Unary(_) | Op::Binary(_) | Op::MatMul(_) => {
                unreachable!("fusion makes other work of these, and none of inputs")
            }
        }
    }

    fn elementwise(
        &self,
        program: &Program,
        rest: &Rest<'_>,
        outputs: &mut [CudaViewMut<'_, f32>; MOST_RESULTS],
    ) -> Result<(), CudaError> {
        let Self { kernels, stream, .. } = *self;
        let [output, ..] = outputs;
        let operand = |(node, broadcast)| (self.view(node, rest), broadcast);
        match Single::of(program) {
            Some(Single::Unary(unary, x)) => {
                kernels.elementwise.unary(stream, unary, &self.view(x, rest), output)
            }
            Some(Single::Binary(binary, a, b)) => {
                let ((a, a_broadcast), (b, b_broadcast)) = (operand(a), operand(b));
                let a = DeviceOperand { view: &a, broadcast: a_broadcast };
                let b = DeviceOperand { view: &b, broadcast: b_broadcast };
                kernels.elementwise.binary(stream, binary, [program.rows, program.columns], a, b, output)
            }
            Some(Single::ReluBackward { dy, y }) => {
                kernels.elementwise.relu_backward(stream, &self.view(dy, rest), &self.view(y, rest), output)
            }
            None => self.interpret(program, rest, &mut outputs[..program.results.len()]),
        }
    }

    fn interpret(
        &self,
        program: &Program,
        rest: &Rest<'_>,
        outputs: &mut [CudaViewMut<'_, f32>],
    ) -> Result<(), CudaError> {
        let operand = |node, _| Read::View(self.view(node, rest));
        self.kernels.program.run(self.stream, program, operand, outputs, None)
    }

    /// A program that stores, unless a loss was not finite: by the kernel of its rule, if it is an optimizer's that has one.
    fn update(
        &self,
        program: &Program,
        rule: Option<&Update>,
        rest: &Rest<'_>,
        outputs: &mut [CudaViewMut<'_, f32>; MOST_RESULTS],
    ) -> Result<(), CudaError> {
        let Self { kernels, stream, draw, .. } = *self;
        let length = program.rows * program.columns;
        if length == 0 {
            return Ok(());
        }
        let start = |node: NodeId| self.plan.place(node).start;
        let full = |node: NodeId| rest.get(start(node)..start(node) + length);
        let rule = rule.filter(|rule| kernels.optimizers.has(&rule.optimizer));
        if let Some(&Update { ref optimizer, ref scalars, gradient: Some(gradient), theta, ref state }) = rule
        {
            let scalars: Vec<_> = scalars.iter().map(|&scalar| self.view(scalar, rest)).collect();
            let mut outputs = outputs.each_mut().map(Some);
            let mut moved = |moved: &Moved| outputs[moved.result].take();
            let state: Option<Vec<_>> = state.iter().map(&mut moved).collect();
            if let (Some(parameters), Some(mut state)) = (moved(&theta), state) {
                let gradients = &full(gradient);
                let update = DeviceUpdate { scalars: &scalars, parameters, gradients, state: &mut state };
                return kernels.optimizers.update(stream, optimizer, draw.step, update);
            }
        }
        let operand = |node, broadcast| {
            let overwritten = program.results.iter().position(|(_, result)| start(*result) == start(node));
            match (overwritten, broadcast) {
                (Some(result), _) => Read::Overwritten(result),
                (None, Broadcast::Full) => Read::View(full(node)),
                (None, _) => Read::View(self.view(node, rest)),
            }
        };
        kernels.program.run(stream, program, operand, &mut outputs[..program.results.len()], Some(draw.step))
    }

    fn product(
        &self,
        matmul: MatMul,
        operands: [NodeId; 2],
        epilogue: Option<&Program>,
        rest: &Rest<'_>,
        lent: &mut Lent<'_>,
    ) -> Result<(), CudaError> {
        let Self { kernels, plan, .. } = *self;
        let fixed = epilogue.map_or(Some(FixedEpilogue::default()), FixedEpilogue::of);
        let FixedEpilogue { bias, relu, mask } = fixed.unwrap_or_default();
        let (bias, mask) = (bias.map(|node| self.view(node, rest)), mask.map(|node| self.view(node, rest)));
        let done = Epilogue { bias: bias.as_ref(), relu, mask: mask.as_ref(), accumulate: false };
        match plan.products() {
            Products::F32 => {
                let [a, b] = operands.map(|node| self.view(node, rest));
                self.multiply(&kernels.gemm, matmul, operands, [&a, &b], &done, lent)?;
            }
            Products::Bf16 => {
                let copy = |node| rest.get_bf16(plan.place_of_rounded(node), plan.shape(node).size());
                let [a, b] = operands.map(copy);
                self.multiply(&kernels.gemm_bf16, matmul, operands, [&a, &b], &done, lent)?;
            }
        }
        match (fixed, epilogue) {
            (None, Some(program)) => self.interpret(program, rest, &mut lent.outputs[..1]),
            _ => Ok(()),
        }
    }

    fn multiply<T: Factor>(
        &self,
        gemm: &Gemm<T>,
        matmul: MatMul,
        nodes: [NodeId; 2],
        [a, b]: [&CudaView<'_, T>; 2],
        epilogue: &Epilogue<'_>,
        lent: &mut Lent<'_>,
    ) -> Result<(), CudaError> {
        let extents = matmul.extents(self.plan.shape(nodes[0]), self.plan.shape(nodes[1]));
        let product = Product { matmul, extents, a, b };
        gemm.run(self.stream, &product, &mut lent.outputs[0], epilogue, &mut lent.workspace)
    }
}
