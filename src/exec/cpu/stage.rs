//! A step on batches of one size, planned for the processor, and the batches that it runs on.

use super::arena::Arena;
use super::bf16::{Packed, Way};
use super::buffers::Buffers;
use super::nonzeros::{ListSize, Lists, Nonzeros};
use super::pieces::pieces_beside;
use super::plan::Plan;
use super::prefetch::prefetch;
use super::products::CpuProducts;
use super::team::TASK;
use super::vectorized;
use super::zeros::{self, Input, Rewritten, Sparse};
use crate::data::Gather;
use crate::exec::Wanted;
use crate::exec::executor::Step;
use crate::graph::NodeId;
use crate::ops::{Draw, Tree};

/// A step on batches of one size, planned.
pub(super) struct Stage {
    pub batch: usize,
    pub plan: Plan,
    pub buffers: Buffers,
    examples: Slot,
    labels: NodeId,
    scalars: Vec<NodeId>,
    losses: NodeId,
    logits: NodeId,
    /// The instructions until all losses are known.
    forwards: usize,
    /// Made at the first batch. Those of the examples come with each batch and go with it.
    pub nonzeros: Vec<Nonzeros<f32>>,
    /// What examples come as if they come packed.
    packed: Option<Packed>,
}

/// How a step takes its examples.
#[derive(Clone, Copy)]
enum Slot {
    /// As they are, in the arena.
    Dense(NodeId),
    /// As products in bfloat16 read them.
    Packed(NodeId),
    /// As what is not zero in how far they are from the background, which is an input of its own.
    Sparse(Sparse),
}

/// Examples and labels, ready for a step.
pub(super) struct Batch {
    pub values: Values,
    background: f32,
    pub labels: Vec<f32>,
}

pub(super) enum Values {
    Dense(Vec<f32>),
    Packed(Packed),
    Sparse(Nonzeros<f32>),
}

impl Batch {
    /// Takes up the examples `indices` as they are at a step, beside some other work.
    pub fn fill<R>(
        &mut self,
        gather: &Gather<'_>,
        step: u64,
        indices: &[u32],
        work: impl FnOnce() -> R,
    ) -> R {
        self.background = gather.background() as f32;
        for (label, &index) in self.labels.iter_mut().zip(indices) {
            *label = gather.label(index);
        }
        match &mut self.values {
            Values::Sparse(nonzeros) => nonzeros.fill_beside(write(gather.deviations(), step, indices), work),
            Values::Packed(packed) => packed.fill_beside(write(*gather, step, indices), work),
            Values::Dense(values) => {
                let row = (values.len() / self.labels.len().max(1)).max(1);
                let write = write(*gather, step, indices);
                let rows = (TASK / row).max(1);
                pieces_beside(
                    values,
                    rows * row,
                    |task, piece| {
                        for (out, position) in piece.chunks_exact_mut(row).zip(task * rows..) {
                            write(position, out);
                        }
                    },
                    work,
                )
            }
        }
    }

    /// The bytes that it holds.
    #[cfg(test)]
    pub fn allocated(&self) -> usize {
        let values = match &self.values {
            Values::Dense(values) => size_of_val(&values[..]),
            Values::Packed(packed) => packed.allocated(),
            Values::Sparse(nonzeros) => nonzeros.allocated(),
        };
        values + size_of_val(&self.labels[..])
    }
}

/// The most elements of the examples that are written before they are packed: as many as stay in the second-level cache.
const MOST_UNPACKED: usize = 1 << 18;

/// So many examples before it is written, an example is asked for: they lie all over memory.
const AHEAD: usize = 4;

/// What writes an example of a batch.
fn write(gather: Gather<'_>, step: u64, indices: &[u32]) -> impl Fn(usize, &mut [f32]) + Sync {
    move |position, image| {
        if let Some(&index) = indices.get(position + AHEAD) {
            let bytes = gather.bytes(index);
            prefetch(bytes.as_ptr(), bytes.len());
        }
        vectorized(
            #[inline(always)]
            || gather.image(step, position, indices[position], image),
        );
    }
}

impl Stage {
    /// Plans a step on so many examples, with so many buffers, whose parameters lie as those of another stage, if there is one.
    pub fn new(
        step: &Step,
        batch: usize,
        buffers: usize,
        like: Option<&Buffers>,
        products: CpuProducts,
    ) -> Self {
        let inputs = step.inputs.clone().leaves();
        let outputs = [step.outputs.losses, step.outputs.logits];
        let Rewritten { graph, inputs, outputs, stores, sparse } = match products {
            CpuProducts::Skipping | CpuProducts::Dense => {
                let skipping = products == CpuProducts::Skipping;
                zeros::rewrite(&step.graph, &inputs, &outputs, &step.stores, (step.inputs.examples, skipping))
            }
            CpuProducts::Bf16(_) => Rewritten::unchanged(&step.graph, &inputs, &outputs, &step.stores),
        };
        let bf16 = products.bf16();
        let mut inputs = inputs.into_iter();
        let inputs =
            step.inputs.clone().map(&mut |node| inputs.next().unwrap_or(Input { node, transposed: false }));
        let lie = |inputs: &[Input]| inputs.iter().map(|input| input.transposed).collect::<Vec<_>>();
        let parameters = lie(&inputs.parameters);
        assert!(inputs.state.iter().all(|state| lie(state) == parameters), "state lies as its parameters do");
        let [losses, logits] = outputs[..] else { unreachable!("as many outputs as were given") };
        let examples = inputs.examples.node;
        let fits = Packed::scratch(batch, graph[examples].shape.size() / batch.max(1)) <= MOST_UNPACKED;
        let given = match sparse {
            Some(sparse) => Some(sparse.deviations),
            None => Some(examples).filter(|_| bf16.is_some() && fits),
        };
        let shapes = inputs.parameters.iter();
        let shapes =
            shapes.map(|input| (graph[input.node].shape.clone(), input.transposed)).collect::<Vec<_>>();
        let mut buffers = Buffers::of(&shapes, buffers, like);
        let lists: Vec<&Vec<Input>> = std::iter::once(&inputs.parameters).chain(&inputs.state).collect();
        let plan = loop {
            let numbered = || lists.iter().enumerate();
            let residents =
                numbered().flat_map(|(buffer, nodes)| buffers.residents(buffer, nodes)).collect::<Vec<_>>();
            let in_panels = lists.iter().flat_map(|nodes| buffers.in_panels(nodes)).collect::<Vec<_>>();
            let wanted = Wanted {
                outputs: &[losses, logits],
                stores: &stores,
                residents: &residents,
                reserved: buffers.reserved(),
            };
            let plan = Plan::laid_out(&graph, wanted, given.as_slice(), &in_panels, bf16);
            // What some instruction takes as rows must lie so, with all that belongs to the parameter.
            let is_misread =
                |&number: &usize| lists.iter().any(|nodes| plan.misread().contains(&nodes[number].node));
            let misread: Vec<usize> = (0..shapes.len()).filter(is_misread).collect();
            if misread.is_empty() {
                break plan;
            }
            assert!(like.is_none(), "passes read the parameters {misread:?} in different ways");
            misread.into_iter().for_each(|number| buffers.lay_in_rows(number));
        };
        let examples = match sparse {
            Some(sparse) => Slot::Sparse(sparse),
            None => plan.packed().map_or(Slot::Dense(examples), |(given, _)| Slot::Packed(given)),
        };
        let forwards = plan.instructions_until(losses);
        let labels = inputs.labels.node;
        let scalars = inputs.scalars.iter().map(|input| input.node).collect();
        Self {
            batch,
            plan,
            buffers,
            examples,
            labels,
            scalars,
            losses,
            logits,
            forwards,
            nonzeros: Vec::new(),
            packed: None,
        }
    }

    /// The scalars of a step.
    pub fn scalars(&self) -> usize {
        self.scalars.len()
    }

    /// Whether it stores anything.
    pub fn stores(&self) -> bool {
        self.plan.instructions().iter().any(|instruction| instruction.stores)
    }

    /// Numbers of an example.
    pub fn features(&self) -> usize {
        let examples = match self.examples {
            Slot::Dense(node) | Slot::Packed(node) => node,
            Slot::Sparse(sparse) => sparse.deviations,
        };
        self.plan.shape(examples).size() / self.batch
    }

    /// The columns of the logits.
    pub fn classes(&self) -> usize {
        self.plan.shape(self.logits)[1]
    }

    /// Room for a batch: one that is not in use, or a new one.
    pub fn batch(&self, spare: &mut Vec<Batch>) -> Batch {
        match spare.iter().position(|batch| batch.labels.len() == self.batch) {
            Some(position) => spare.swap_remove(position),
            None => self.new_batch(),
        }
    }

    fn new_batch(&self) -> Batch {
        let values = match self.examples {
            Slot::Dense(node) => Values::Dense(vec![0.0; self.plan.shape(node).size()]),
            Slot::Packed(_) => Values::Packed(Packed::new(self.batch, self.features(), self.ways())),
            Slot::Sparse(_) => {
                Values::Sparse(self.plan.list_sizes().into_iter().next().map_or_else(nothing, Nonzeros::new))
            }
        };
        Batch { values, background: 0.0, labels: vec![0.0; self.batch] }
    }

    /// The bytes of a batch.
    pub fn batch_bytes(&self) -> usize {
        let values = match self.examples {
            Slot::Dense(node) => self.plan.shape(node).size() * size_of::<f32>(),
            Slot::Packed(_) => Packed::bytes(self.batch, self.features(), self.ways()),
            Slot::Sparse(_) => self.plan.list_sizes().first().map_or(0, |size| size.bytes::<f32>()),
        };
        values + self.batch * size_of::<f32>()
    }

    /// How the examples are read if they come packed.
    fn ways(&self) -> &[Way] {
        self.plan.packed().map_or(&[], |(_, ways)| ways)
    }

    /// The sizes of the lists that are the stage's own.
    fn own_list_sizes(&self) -> impl Iterator<Item = ListSize> {
        let of_examples = usize::from(matches!(self.examples, Slot::Sparse(_)));
        self.plan.list_sizes().into_iter().skip(of_examples)
    }

    /// The bytes that the stage takes beside arena, batches and scratch.
    pub fn bytes(&self) -> usize {
        self.own_list_sizes().map(ListSize::bytes::<f32>).sum()
    }

    /// The most bytes that a thread takes while a batch is filled, or a step is made.
    pub fn scratch_bytes(&self) -> usize {
        let filled = match self.examples {
            Slot::Dense(_) => 0,
            Slot::Packed(_) => Packed::scratch(self.batch, self.features()),
            Slot::Sparse(sparse) => {
                Nonzeros::<f32>::scratch(self.batch, self.plan.shape(sparse.deviations)[1])
            }
        };
        filled.max(self.plan.scratch()) * size_of::<f32>()
    }

    /// Runs the step on a batch, and says whether its losses' sum is finite. If it is not, nothing is stored.
    pub fn run(&mut self, arena: &mut Arena<f32>, batch: &mut Batch, scalars: &[f64], draw: Draw) -> bool {
        self.take_up(arena, batch);
        for (&node, &scalar) in self.scalars.iter().zip(scalars) {
            arena[self.plan.place(node)].fill(scalar as f32);
        }
        self.plan.run_part_with(0..self.forwards, arena, &mut self.nonzeros, self.packed.as_ref(), draw);
        let is_finite = self.rows(arena).map(|(_, loss)| f64::from(loss)).sum::<f64>().is_finite();
        if is_finite {
            let rest = self.forwards..self.plan.instructions().len();
            self.plan.run_part_with(rest, arena, &mut self.nonzeros, self.packed.as_ref(), draw);
        }
        self.give_back(batch);
        is_finite
    }

    /// Gives the inputs their values; what is not zero in the examples is the stage's until it is given back.
    fn take_up(&mut self, arena: &mut Arena<f32>, batch: &mut Batch) {
        let sparse = matches!(self.examples, Slot::Sparse(_));
        if self.nonzeros.is_empty() {
            let of_examples = sparse.then(nothing);
            self.nonzeros = of_examples.into_iter().chain(self.own_list_sizes().map(Nonzeros::new)).collect();
        }
        match (&mut batch.values, self.examples) {
            (Values::Dense(values), Slot::Dense(node)) => {
                arena[self.plan.place(node)].copy_from_slice(values)
            }
            (Values::Packed(packed), Slot::Packed(_)) => {
                let empty = || Packed::new(0, 0, &[]);
                std::mem::swap(self.packed.get_or_insert_with(empty), packed);
            }
            (Values::Sparse(nonzeros), Slot::Sparse(sparse)) => {
                std::mem::swap(&mut self.nonzeros[0], nonzeros);
                arena[self.plan.place(sparse.background)].fill(batch.background);
            }
            _ => unreachable!("a batch is made by the stage that takes it up"),
        }
        arena[self.plan.place(self.labels)].copy_from_slice(&batch.labels);
    }

    fn give_back(&mut self, batch: &mut Batch) {
        match (&mut batch.values, &mut self.packed) {
            (Values::Sparse(nonzeros), _) => std::mem::swap(&mut self.nonzeros[0], nonzeros),
            (Values::Packed(packed), Some(own)) => std::mem::swap(own, packed),
            _ => {}
        }
    }

    /// Each example's logits and loss, after a run.
    pub fn rows<'a>(&self, arena: &'a Arena<f32>) -> impl Iterator<Item = (&'a [f32], f32)> {
        let classes = self.classes();
        let logits = arena[self.plan.place(self.logits)].chunks_exact(classes);
        logits.zip(arena[self.plan.place(self.losses)].iter().copied())
    }

    /// The multiplications of a step's products: all, and those that the last step did on this batch, zeros left out.
    pub fn multiplications(&mut self, batch: &mut Batch) -> [u64; 2] {
        let Values::Sparse(nonzeros) = &mut batch.values else {
            return self.plan.multiplications(&self.nonzeros);
        };
        std::mem::swap(&mut self.nonzeros[0], nonzeros);
        let found = self.plan.multiplications(&self.nonzeros);
        self.give_back(batch);
        found
    }
}

/// What stands where a batch's examples come.
fn nothing() -> Nonzeros<f32> {
    Nonzeros::new(ListSize { rows: 0, columns: 0, lists: Lists::ByRow })
}

/// The position of the largest element, the first of equals.
pub(super) fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, x) in row.iter().enumerate() {
        if *x > row[best] {
            best = index;
        }
    }
    best
}
