//! The CPU executor: carries a plan out on the threads of a team.
//!
//! Work is cut by shape, never by the number of threads, and no sum is split between them, so one,
//! two and four threads give the same bits.

mod arena;
mod elementwise;
mod interpreter;
mod nonzeros;
mod product;
mod scratch;
pub mod team;

pub use arena::Arena;
pub use interpreter::Interpreter;
pub use nonzeros::{Lists, Nonzeros};
pub use team::Team;

use std::ops::Range;

use arena::Rest;
use product::{First, Product, Target, Updated};
use team::{for_each_pair, for_each_piece};

use super::instruction::{Instruction, Work};
use super::{Plan, Update};
use crate::float::Float;
use crate::graph::NodeId;
use crate::ops::{
    Draw, Extents, Graph, MAX_ARITY, MatMul, Op, Reduction, Rule, Tensor, cross_entropy_with_gradient,
};
use crate::optim::{Optimizer, Piece, Step};

/// Runs `work` as compiled for the widest vectors that this processor has (AVX2 or AVX-512 on
/// x86-64), found out at run time: what is inlined into it is compiled once for each. Elementwise
/// code gives the same bits in each, as every element sees the same operations.
#[inline(always)]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Elements per task: about ten microseconds of work, many times what handing it out costs.
const TASK: usize = 1 << 14;

/// One run of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The random numbers.
    pub draw: Draw,
    /// How parameters move: needed where the part that runs moves some.
    pub rule: Option<(Optimizer, Step)>,
}

impl Plan {
    /// Runs every instruction once, on the team that the caller works for.
    ///
    /// The inputs' values stand in their places; afterwards the outputs' stand in theirs.
    ///
    /// # Panics
    /// When the plan has updates, or inputs that are mostly zero.
    pub fn run<T: Float>(&self, arena: &mut Arena<T>, draw: Draw) {
        let given = |id: &NodeId| self.zeros[id.index()].is_some() && !self.has_place(*id);
        assert!(self.updates.is_empty() && !self.graph.ids().any(|id| given(&id)), "see `run_part`");
        let run = Run { draw, rule: None };
        self.run_part(0..self.instructions.len(), arena, &mut self.nonzeros(), run);
    }

    /// Rows, columns and lists of those nodes whose zeros are left out of products: the inputs that are mostly zero
    /// first, in their order.
    pub fn lists(&self) -> Vec<(usize, usize, Lists)> {
        let mut numbered: Vec<(usize, NodeId)> =
            self.graph.ids().filter_map(|id| Some((self.zeros[id.index()]?, id))).collect();
        numbered.sort_unstable();
        let mut lists = vec![Lists::ByRow; numbered.len()];
        for (matmul, operands) in self.products() {
            if let Some(number) = self.zeros_left_out(matmul, operands).filter(|_| matmul.transpose_a) {
                lists[number] = Lists::Both;
            }
        }
        let extents = numbered.into_iter().map(|(_, id)| self.shape(id).rows_and_columns());
        extents.zip(lists).map(|((rows, columns), lists)| (rows, columns, lists)).collect()
    }

    /// Room for what [`Self::lists`] says.
    pub fn nonzeros<T: Float>(&self) -> Vec<Nonzeros<T>> {
        let room = |(rows, columns, lists)| Nonzeros::new(rows, columns, lists);
        self.lists().into_iter().map(room).collect()
    }

    /// The most elements that a thread takes beside the arena while it carries out the plan.
    pub fn scratch(&self) -> usize {
        let of = |instruction: &Instruction| match instruction.work {
            Work::Product { matmul, operands: [a, b], .. } => {
                let extents = matmul.extents(self.shape(a), self.shape(b));
                let leaves_out_zeros = self.zeros_left_out(matmul, [a, b]).is_some();
                let updates = self.update_in_passing(instruction.output).is_some();
                product::scratch(matmul, extents, leaves_out_zeros, updates)
            }
            _ => 0,
        };
        self.instructions.iter().map(of).max().unwrap_or(0)
    }

    /// The matrix products, with their operands.
    fn products(&self) -> impl Iterator<Item = (MatMul, [NodeId; 2])> {
        self.instructions.iter().filter_map(|instruction| match instruction.work {
            Work::Product { matmul, operands, .. } => Some((matmul, operands)),
            _ => None,
        })
    }

    /// The multiplications of the products: all, and those that were left in the last run, with zeros left out.
    pub fn multiplications<T: Float>(&self, nonzeros: &[Nonzeros<T>]) -> [u64; 2] {
        let mut sums = [0; 2];
        for (matmul, [a, b]) in self.products() {
            let Extents { m, n, k } = matmul.extents(self.shape(a), self.shape(b));
            let left = self.zeros_left_out(matmul, [a, b]).map_or(m * k, |number| nonzeros[number].count());
            sums[0] += (m * n * k) as u64;
            sums[1] += (left * n) as u64;
        }
        sums
    }

    /// Runs some of the instructions, in their order, on the team that the caller works for. `nonzeros` is what
    /// [`Self::nonzeros`] gave, the inputs' filled in.
    ///
    /// # Panics
    /// When the part moves parameters, and the run has no rule, or one with another number of states.
    pub fn run_part<T: Float>(
        &self,
        part: Range<usize>,
        arena: &mut Arena<T>,
        nonzeros: &mut [Nonzeros<T>],
        run: Run,
    ) {
        for instruction in &self.instructions[part.clone()] {
            self.run_instruction(instruction, arena, nonzeros, run);
            for node in instruction.writes() {
                if let Some(number) = self.zeros[node.index()] {
                    nonzeros[number].fill(&arena[self.place(node)]);
                }
            }
        }
        if part.end == self.instructions.len() {
            self.update(arena, run);
        }
    }

    /// Updates from the gradients that are in memory: the others went into their updates in passing.
    fn update<T: Float>(&self, arena: &mut Arena<T>, run: Run) {
        for update in self.updates.iter().filter(|update| self.has_place(update.gradient)) {
            let (optimizer, step) = self.rule(run);
            let (rest, [parameters, first, second]) = arena.lend(self.moved(update, &optimizer));
            let gradients = rest.get(self.place(update.gradient));
            vectorized(
                #[inline(always)]
                || optimizer.update(step, [Piece::new(parameters, gradients, first, second)]),
            );
        }
    }

    fn run_instruction<T: Float>(
        &self,
        instruction: &Instruction,
        arena: &mut Arena<T>,
        nonzeros: &[Nonzeros<T>],
        run: Run,
    ) {
        let output = instruction.output;
        if let Work::CrossEntropy { logits, labels, gradient, scale } = instruction.work {
            let (rest, [losses, gradients]) = arena.lend([self.place(output), self.place(gradient)]);
            let operands = (self.tensor(logits, &rest), self.tensor(labels, &rest));
            return cross_entropy(operands, T::of(scale), losses, gradients);
        }
        if let Some(update) = self.update_in_passing(output) {
            let (optimizer, step) = self.rule(run);
            let (rest, [parameters, first, second]) = arena.lend(self.moved(update, &optimizer));
            let target = Target::Update(Updated { optimizer, step, parameters, first, second });
            return self.run_product(&instruction.work, &rest, nonzeros, target);
        }
        let (rest, [values]) = arena.lend([self.place(output)]);
        match &instruction.work {
            Work::Operation => self.run_operation(output, &rest, run.draw, values),
            Work::Fill(value) => values.fill(T::of(*value)),
            Work::Elementwise(program) => elementwise::run(program, self, &rest, values),
            work @ Work::Product { .. } => self.run_product(work, &rest, nonzeros, Target::Memory(values)),
            Work::CrossEntropy { .. } => {} // above: it writes two values
        }
    }

    fn run_product<T: Float>(
        &self,
        work: &Work,
        rest: &Rest<'_, T>,
        nonzeros: &[Nonzeros<T>],
        target: Target<'_, T>,
    ) {
        let Work::Product { matmul, operands: [a, b], start, epilogue } = work else { return };
        let first = match self.zeros_left_out(*matmul, [*a, *b]) {
            Some(number) => First::Nonzeros(&nonzeros[number]),
            None => First::Dense(self.tensor(*a, rest)),
        };
        let start = start.map(|start| rest.get(self.place(start)));
        let product = Product { matmul: *matmul, a: first, b: self.tensor(*b, rest), start };
        product::run(&product, target, |tile| {
            if let Some(program) = epilogue {
                elementwise::run_tile(program, self, rest, tile);
            }
        });
    }

    fn run_operation<T: Float>(&self, node: NodeId, rest: &Rest<'_, T>, draw: Draw, output: &mut [T]) {
        let node = &self.graph[node];
        let empty = Tensor { shape: &node.shape, data: &[] };
        let mut inputs = [empty; MAX_ARITY];
        for (tensor, &input) in inputs.iter_mut().zip(&node.inputs) {
            *tensor = self.tensor(input, rest);
        }
        match &node.op {
            Op::DropoutMask(mask) => for_each_piece(output, TASK, |task, piece| {
                vectorized(
                    #[inline(always)]
                    || mask.fill(draw, (task * TASK) as u64, piece),
                );
            }),
            Op::Reduction(Reduction::Sum { axes }) if inputs[0].shape.len() == 2 && axes[..] == [0] => {
                sum_of_rows(inputs[0], output);
            }
            op => op.evaluate(&inputs[..node.inputs.len()], draw, output),
        }
    }

    /// The rule of a run.
    ///
    /// # Panics
    /// When there is none, as [`Self::run_part`] says.
    fn rule(&self, run: Run) -> (Optimizer, Step) {
        match run.rule {
            Some(rule) => rule,
            None => panic!("this part of the plan moves parameters, and its run has no rule for that"),
        }
    }

    /// The places that an update writes to: the parameter and the optimizer's state.
    fn moved(&self, update: &Update, optimizer: &Optimizer) -> [Range<usize>; 3] {
        let states = update.state.iter().flatten().count();
        assert_eq!(
            states,
            optimizer.state_per_parameter(),
            "numbers of state for {}",
            optimizer.formula(0.0)
        );
        let parameter = self.place(update.parameter);
        let state = update.state.map(|start| start.map_or(0..0, |start| start..start + parameter.len()));
        let [first, second] = state;
        [parameter, first, second]
    }

    fn tensor<'a, T>(&'a self, node: NodeId, rest: &Rest<'a, T>) -> Tensor<'a, T> {
        Tensor { shape: self.shape(node), data: rest.get(self.place(node)) }
    }
}

/// Each row's loss and its gradient.
fn cross_entropy<T: Float>(
    (logits, labels): (Tensor<'_, T>, Tensor<'_, T>),
    scale: T,
    losses: &mut [T],
    gradients: &mut [T],
) {
    let (_, classes) = logits.shape.rows_and_columns();
    let rows = (TASK / CLASS_WORK / classes).max(1);
    for_each_pair(losses, rows, gradients, rows * classes, |task, losses, gradients| {
        let logits = logits.data[task * rows * classes..].chunks_exact(classes);
        let inputs = logits.zip(&labels.data[task * rows..]);
        let outputs = losses.iter_mut().zip(gradients.chunks_exact_mut(classes));
        vectorized(
            #[inline(always)]
            || {
                for ((row, &label), (loss, gradient)) in inputs.zip(outputs) {
                    *loss = cross_entropy_with_gradient(row, label, scale, gradient);
                }
            },
        );
    });
}

/// A class of a row costs as much as so many elements of elementwise work: an exponential.
const CLASS_WORK: usize = 16;

/// Columns that one task sums up: a few cache lines of each row.
const SUM_COLUMNS: usize = 128;

/// The sum of a matrix's rows, each column from the first row to the last.
fn sum_of_rows<T: Float>(matrix: Tensor<'_, T>, output: &mut [T]) {
    let columns = output.len().max(1);
    for_each_piece(output, SUM_COLUMNS, |task, sums| {
        vectorized(
            #[inline(always)]
            || {
                sums.fill(T::zero());
                for row in matrix.data.chunks_exact(columns) {
                    for (sum, &x) in sums.iter_mut().zip(&row[task * SUM_COLUMNS..]) {
                        *sum += x;
                    }
                }
            },
        );
    });
}

/// Runs a graph once and returns the values of `outputs`: the plain way, for small programs.
///
/// In products whose first operand is what relu or step left, its zeros are left out: zero times infinity, which is NaN
/// elsewhere, adds nothing there.
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
