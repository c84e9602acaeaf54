//! A plan, carried out instruction by instruction on the threads of a team.

use std::ops::Range;

use super::arena::{Arena, Rest};
use super::bf16::{Packed, Way};
use super::nonzeros::{ListSize, Lists, Nonzeros};
use super::panels::{Layout, PANEL};
use super::pieces::{for_each_pair, for_each_piece, for_each_piece_of};
use super::plan::{Plan, ways};
use super::product::{Factor, Finish, First, Product, Rounded, Second, Target, Tile, Tiles};
use super::team::TASK;
use super::vectorized::vectorized;
use super::{elementwise, product};

use crate::exec::instruction::{Instruction, MOST_RESULTS, Work};
use crate::exec::update::{Moved, Update};
use crate::float::Float;
use crate::graph::NodeId;
use crate::ops::{Draw, Extents, MAX_ARITY, Op, Reduction, Rule, Tensor, cross_entropy_with_gradient};
use crate::optim::Piece;

impl Plan {
    /// Runs every instruction once, on the team that the caller works for.
    ///
    /// The inputs' values stand in their places; afterwards the outputs' stand in theirs.
    ///
    /// # Panics
    /// When it has inputs that are mostly zero.
    pub fn run<T: Float>(&self, arena: &mut Arena<T>, draw: Draw) {
        let given = |id: &NodeId| self.zeros[id.index()].is_some() && !self.has_place(*id);
        assert!(!self.graph.ids().any(|id| given(&id)), "see `run_part`");
        self.run_part(0..self.instructions.len(), arena, &mut self.nonzeros(), draw);
    }

    /// The sizes of the lists of those nodes whose zeros are left out of products: the inputs that are mostly zero first,
    /// in their order.
    pub fn list_sizes(&self) -> Vec<ListSize> {
        let mut numbered: Vec<(usize, NodeId)> =
            self.graph.ids().filter_map(|id| Some((self.zeros[id.index()]?, id))).collect();
        numbered.sort_unstable();
        let mut lists = vec![Lists::ByRow; numbered.len()];
        for instruction in &self.instructions {
            if let Work::Product { matmul, operands, .. } = instruction.work
                && let Some(number) = self.zeros_left_out(matmul, operands).filter(|_| matmul.transpose_a)
            {
                lists[number] = Lists::Both;
            }
        }
        let extents = numbered.into_iter().map(|(_, id)| self.shape(id).rows_and_columns());
        extents.zip(lists).map(|((rows, columns), lists)| ListSize { rows, columns, lists }).collect()
    }

    /// What the nodes of [`Self::list_sizes`] hold: nothing yet.
    pub fn nonzeros<T: Float>(&self) -> Vec<Nonzeros<T>> {
        self.list_sizes().into_iter().map(Nonzeros::new).collect()
    }

    /// The most elements that a thread takes beside the arena while it carries out the plan.
    pub fn scratch(&self) -> usize {
        let of = |instruction: &Instruction| match instruction.work {
            Work::Product { matmul, operands: [a, b], .. } => {
                product::scratch(matmul.extents(self.shape(a), self.shape(b)), self.bf16)
            }
            _ => 0,
        };
        self.instructions.iter().map(of).max().unwrap_or(0)
    }

    /// The multiplications of the products: all, and those that were left in the last run, with zeros left out.
    pub fn multiplications<T: Float>(&self, nonzeros: &[Nonzeros<T>]) -> [u64; 2] {
        let mut sums = [0; 2];
        for (instruction, mask) in self.instructions.iter().zip(&self.masks) {
            let Work::Product { matmul, operands: [a, b], .. } = instruction.work else { continue };
            let Extents { m, n, k } = matmul.extents(self.shape(a), self.shape(b));
            let left = match (mask, self.zeros_left_out(matmul, [a, b])) {
                (Some(mask), _) => {
                    self.zeros[mask.index()].map_or(m * n, |number| nonzeros[number].count()) * k
                }
                (None, Some(number)) => nonzeros[number].count() * n,
                (None, None) => m * k * n,
            };
            sums[0] += (m * n * k) as u64;
            sums[1] += left as u64;
        }
        sums
    }

    /// Runs some of the instructions, in their order, on the team that the caller works for. `nonzeros` is what
    /// [`Self::nonzeros`] gave, the inputs' filled in.
    pub fn run_part<T: Float>(
        &self,
        part: Range<usize>,
        arena: &mut Arena<T>,
        nonzeros: &mut [Nonzeros<T>],
        draw: Draw,
    ) {
        self.run_part_with(part, arena, nonzeros, None, draw);
    }

    /// The same with the input that [`Self::packed`] names.
    pub(super) fn run_part_with<T: Float>(
        &self,
        part: Range<usize>,
        arena: &mut Arena<T>,
        nonzeros: &mut [Nonzeros<T>],
        packed: Option<&Packed>,
        draw: Draw,
    ) {
        for number in part {
            self.run_instruction(number, arena, nonzeros, packed, draw);
            for node in self.instructions[number].writes() {
                if let Some(number) = self.zeros[node.index()] {
                    nonzeros[number].fill(&arena[self.place(node)]);
                }
            }
        }
    }

    fn run_instruction<T: Float>(
        &self,
        number: usize,
        arena: &mut Arena<T>,
        nonzeros: &[Nonzeros<T>],
        packed: Option<&Packed>,
        draw: Draw,
    ) {
        let Instruction { work, output, stores } = &self.instructions[number];
        if let Work::CrossEntropy { logits, labels, gradient, scale } = *work {
            let (rest, [losses, gradients]) = arena.lend([self.place(*output), self.place(gradient)]);
            let operands = (self.tensor(logits, &rest), self.tensor(labels, &rest));
            return cross_entropy(operands, T::of(scale), losses, gradients);
        }
        let mut places: [Range<usize>; MOST_RESULTS + 1] = Default::default();
        for (place, node) in places.iter_mut().zip(self.instructions[number].writes()) {
            *place = self.place(node);
        }
        places[MOST_RESULTS] = self.workspace.clone();
        let (rest, [results @ .., workspace]) = arena.lend(places);
        let update = self.updates[number].as_ref();
        match work {
            Work::Operation => self.run_operation(*output, &rest, draw, first(results)),
            Work::Fill(value) => first(results).fill(T::of(*value)),
            Work::Copy(node) => first(results).copy_from_slice(rest.get(self.place(*node))),
            Work::Elementwise(program) => match update {
                Some(update) => self.update(update, &rest, results),
                None => elementwise::BoundProgram { program, plan: self, rest: &rest, stores: *stores }
                    .run(results),
            },
            Work::Product { epilogue, .. } => {
                let finish: &Finish<'_, T> = &|tile, results| match (update, epilogue) {
                    (Some(update), _) => self.update_tile(update, &rest, tile, results),
                    (None, Some(program)) => {
                        elementwise::BoundProgram { program, plan: self, rest: &rest, stores: *stores }
                            .run_tile(tile, results);
                    }
                    (None, None) => copy_tile(tile, results),
                };
                let in_panels = self.in_panels[output.index()];
                let target = Target { matrices: some(results), in_panels, finish };
                self.run_product(number, &rest, nonzeros, packed, workspace, target);
            }
            Work::CrossEntropy { .. } => {} // above
        }
    }

    /// Computes the matrix product of an instruction.
    fn run_product<T: Float>(
        &self,
        number: usize,
        rest: &Rest<'_, T>,
        nonzeros: &[Nonzeros<T>],
        packed: Option<&Packed>,
        workspace: &mut [T],
        target: Target<'_, &mut [T], T>,
    ) {
        let Work::Product { matmul, operands: [a, b], start, .. } = self.instructions[number].work else {
            unreachable!("the instruction is a product");
        };
        let start = start.map(|start| rest.get(self.place(start)));
        if let Some(unit) = self.bf16 {
            let factor = |node, way: Way| match packed {
                Some(packed) if !self.has_place(node) => Factor::Packed(packed.bands(way)),
                _ => Factor::new(self.tensor(node, rest), way),
            };
            let [first, second] = ways(matmul);
            let extents = matmul.extents(self.shape(a), self.shape(b));
            let product = Rounded { unit, extents, operands: [factor(a, first), factor(b, second)], start };
            return product.run(workspace, target);
        }
        let mask = self.masks[number].and_then(|mask| self.zeros[mask.index()]);
        let first = match self.zeros_left_out(matmul, [a, b]).filter(|_| mask.is_none()) {
            Some(number) => First::Nonzeros(&nonzeros[number]),
            None => First::Dense(self.tensor(a, rest)),
        };
        let second =
            Second { data: rest.get(self.place(b)), layout: self.layout(b), transposed: matmul.transpose_b };
        let only = mask.map(|mask| &nonzeros[mask]);
        product::run(&Product { matmul, a: first, b: second, start, only }, target);
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
                sum_of_rows(inputs[0].data, self.layout(node.inputs[0]), output);
            }
            op => op.evaluate(&inputs[..node.inputs.len()], draw, output),
        }
    }

    /// Carries out an optimizer's rule.
    fn update<T: Float>(&self, update: &Update, rest: &Rest<'_, T>, results: elementwise::Results<'_, T>) {
        let scalars = self.scalars(update, rest);
        let gradients = update.gradient.map_or(&[][..], |gradient| rest.get(self.place(gradient)));
        for_each_piece_of(update.moved(results), TASK, |task, [parameters, first, second]| {
            let gradients = &gradients[task * TASK..][..parameters.len()];
            vectorized(
                #[inline(always)]
                || {
                    update.optimizer.run(
                        &scalars[..update.scalars.len()],
                        [Piece::new(parameters, gradients, first, second)],
                    )
                },
            );
        });
    }

    /// The same for a tile of the product that is the gradient.
    fn update_tile<T: Float>(
        &self,
        update: &Update,
        rest: &Rest<'_, T>,
        gradients: Tile<'_, T>,
        results: Tiles<'_, T>,
    ) {
        let scalars = self.scalars(update, rest);
        let mut moved = update.moved(results).map(|tile| tile.map(Tile::into_rows));
        let pieces = gradients.into_rows().map(|gradients| {
            let [parameters, first, second] = moved.each_mut().map(|rows| match rows {
                Some(rows) => rows.next().unwrap_or_default(),
                None => Default::default(),
            });
            Piece::new(parameters, gradients, first, second)
        });
        vectorized(
            #[inline(always)]
            || update.optimizer.run(&scalars[..update.scalars.len()], pieces),
        );
    }

    /// The values of a rule's scalars, and zeros behind them.
    fn scalars<T: Float>(&self, update: &Update, rest: &Rest<'_, T>) -> [T; MOST_SCALARS] {
        let mut scalars = [T::zero(); MOST_SCALARS];
        for (value, &node) in scalars.iter_mut().zip(&update.scalars) {
            *value = rest.get(self.place(node))[0];
        }
        scalars
    }

    fn tensor<'a, T>(&'a self, node: NodeId, rest: &Rest<'a, T>) -> Tensor<'a, T> {
        Tensor { shape: self.shape(node), data: rest.get(self.place(node)) }
    }
}

/// More than any rule has.
const MOST_SCALARS: usize = 8;

impl Update {
    /// What is moved, of the results in a program's order: the parameters and up to two numbers of state.
    fn moved<R: Default>(&self, results: [R; MOST_RESULTS]) -> [R; 3] {
        let mut results = results;
        let mut take =
            |moved: Option<&Moved>| moved.map_or_else(R::default, |m| std::mem::take(&mut results[m.result]));
        [take(Some(&self.theta)), take(self.state.first()), take(self.state.get(1))]
    }
}

/// Results, none of them empty.
fn some<T>(results: elementwise::Results<'_, T>) -> [Option<&mut [T]>; MOST_RESULTS] {
    results.map(|result| (!result.is_empty()).then_some(result))
}

/// A tile as it is.
fn copy_tile<T: Float>(tile: Tile<'_, T>, [result, ..]: Tiles<'_, T>) {
    let rows = result.into_iter().flat_map(Tile::into_rows);
    rows.zip(tile.into_rows()).for_each(|(result, row)| result.copy_from_slice(row));
}

/// The first result, where there is one alone.
fn first<T>([result, ..]: [&mut [T]; MOST_RESULTS]) -> &mut [T] {
    result
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

/// The sum of a matrix's rows, each column from the first row to the last; a task sums up a panel's columns.
fn sum_of_rows<T: Float>(matrix: &[T], layout: Layout, output: &mut [T]) {
    for_each_piece(output, PANEL, |task, sums| {
        let columns = task * PANEL..task * PANEL + sums.len();
        vectorized(
            #[inline(always)]
            || {
                sums.fill(T::zero());
                for row in 0..layout.rows {
                    let (first, _) = layout.rectangle(row, &columns);
                    for (sum, &x) in sums.iter_mut().zip(&matrix[first..]) {
                        *sum += x;
                    }
                }
            },
        );
    });
}
