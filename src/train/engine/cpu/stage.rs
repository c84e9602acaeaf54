//! A network of one batch size, planned, and the batches that it runs on.

use crate::data::Gather;
use crate::exec::{Arena, Lists, Nonzeros, Plan, Request, Resident, Update, vectorized};
use crate::model::{Form, Network, Perceptron};
use crate::ops::GraphError;
use crate::optim::Optimizer;
use crate::train::engine::{Sums, residents};

/// The elements from where the parameters begin in the arena to where the optimizer's first numbers of state do, and
/// from there to its second ones: all begin with a cache line.
pub(super) fn region(model: &Perceptron) -> usize {
    const LINE: usize = 64 / size_of::<f32>();
    model.parameter_count().next_multiple_of(LINE)
}

/// The elements in front of the arena that stay from step to step: parameters and the optimizer's state.
pub(super) fn reserved(model: &Perceptron, optimizer: &Optimizer) -> usize {
    (1 + optimizer.state_per_parameter()) * region(model)
}

/// A network of one batch size, planned.
pub(super) struct Stage {
    pub(super) batch: usize,
    pub(super) network: Network,
    pub(super) plan: Plan,
    /// Made at the first batch. Those of the images come with each batch and go with it.
    pub(super) nonzeros: Vec<Nonzeros<f32>>,
}

/// Images and labels, ready for a step.
pub(super) struct Batch {
    pub(super) images: Nonzeros<f32>,
    background: f32,
    pub(super) labels: Vec<f32>,
}

impl Batch {
    /// Takes up the images `indices` as they are at a step.
    pub(super) fn fill(&mut self, gather: &Gather<'_>, step: u64, indices: &[u32]) {
        self.begin(gather, indices);
        self.images.fill_by_rows(write(gather.deviations(), step, indices));
    }

    /// As [`Self::fill`], beside some other work.
    pub(super) fn fill_beside<R>(
        &mut self,
        gather: &Gather<'_>,
        step: u64,
        indices: &[u32],
        work: impl FnOnce() -> R,
    ) -> R {
        self.begin(gather, indices);
        self.images.fill_beside(write(gather.deviations(), step, indices), work)
    }

    /// All but the images.
    fn begin(&mut self, gather: &Gather<'_>, indices: &[u32]) {
        self.background = gather.background() as f32;
        for (label, &index) in self.labels.iter_mut().zip(indices) {
            *label = gather.label(index);
        }
    }
}

/// Room for a list.
fn room((rows, columns, lists): (usize, usize, Lists)) -> Nonzeros<f32> {
    Nonzeros::new(rows, columns, lists)
}

/// What stands where a batch's images come.
fn no_list() -> Nonzeros<f32> {
    Nonzeros::new(0, 0, Lists::ByRow)
}

fn bytes(&(rows, columns, lists): &(usize, usize, Lists)) -> usize {
    Nonzeros::<f32>::bytes(rows, columns, lists)
}

/// What writes an image of a batch.
fn write(gather: Gather<'_>, step: u64, indices: &[u32]) -> impl Fn(usize, &mut [f32]) + Sync {
    move |position, image| {
        vectorized(
            #[inline(always)]
            || gather.image(step, position, indices[position], image),
        );
    }
}

impl Stage {
    pub(super) fn training(
        model: &Perceptron,
        optimizer: &Optimizer,
        batch: usize,
    ) -> Result<Self, GraphError> {
        let network = model.network(batch, Form::Deviations, true)?;
        let region = region(model);
        let states = optimizer.state_per_parameter();
        let places = residents(model, &network.parameters, 0);
        let updates: Vec<Update> = places
            .iter()
            .zip(&network.gradients)
            .map(|(parameter, &gradient)| {
                let state = |number| (number <= states).then_some(parameter.offset + number * region);
                Update { parameter: parameter.node, gradient, state: [state(1), state(2)] }
            })
            .collect();
        Ok(Self::planned(batch, network, &places, reserved(model, optimizer), &updates))
    }

    /// In an arena whose first `reserved` elements stay as they are, the parameters in front.
    pub(super) fn inference(model: &Perceptron, batch: usize, reserved: usize) -> Result<Self, GraphError> {
        let network = model.network(batch, Form::Deviations, false)?;
        let places = residents(model, &network.parameters, 0);
        Ok(Self::planned(batch, network, &places, reserved, &[]))
    }

    fn planned(
        batch: usize,
        network: Network,
        residents: &[Resident],
        reserved: usize,
        updates: &[Update],
    ) -> Self {
        let (outputs, mostly_zero) = ([network.losses, network.logits()], [network.images]);
        let request = Request { outputs: &outputs, residents, reserved, mostly_zero: &mostly_zero, updates };
        let plan = Plan::of(&network.graph, request);
        Self { batch, network, plan, nonzeros: Vec::new() }
    }

    /// Room for a batch.
    pub(super) fn new_batch(&self) -> Batch {
        let images = self.plan.lists().into_iter().next().map_or_else(no_list, room);
        Batch { images, background: 0.0, labels: vec![0.0; self.batch] }
    }

    /// The bytes of a batch.
    pub(super) fn batch_bytes(&self) -> usize {
        let images = self.plan.lists().first().map_or(0, bytes);
        images + self.batch * size_of::<f32>()
    }

    /// The bytes that the stage takes beside arena, batches and scratch.
    pub(super) fn bytes(&self) -> usize {
        self.plan.lists().iter().skip(1).map(bytes).sum()
    }

    /// The most bytes that a thread takes while a batch is filled, or a step is made.
    pub(super) fn scratch_bytes(&self) -> usize {
        let pixels = self.plan.shape(self.network.images)[1];
        let elements = Nonzeros::<f32>::scratch(self.batch, pixels).max(self.plan.scratch());
        elements * size_of::<f32>()
    }

    /// Gives the inputs their values; what is not zero in the images is the stage's until it is given back.
    pub(super) fn take_up(&mut self, arena: &mut Arena<f32>, batch: &mut Batch) {
        if self.nonzeros.is_empty() {
            let others = self.plan.lists().into_iter().skip(1).map(room);
            self.nonzeros = std::iter::once(no_list()).chain(others).collect();
        }
        std::mem::swap(&mut self.nonzeros[0], &mut batch.images);
        arena[self.plan.place(self.network.labels)].copy_from_slice(&batch.labels);
        if let Some(background) = self.network.background {
            arena[self.plan.place(background)].fill(batch.background);
        }
    }

    pub(super) fn give_back(&mut self, batch: &mut Batch) {
        std::mem::swap(&mut self.nonzeros[0], &mut batch.images);
    }

    /// The logits of each image.
    pub(super) fn logits<'a>(&self, arena: &'a Arena<f32>) -> impl Iterator<Item = &'a [f32]> {
        let logits = self.network.logits();
        let classes = self.plan.shape(logits)[1];
        arena[self.plan.place(logits)].chunks_exact(classes)
    }

    /// Sums up the losses and correct predictions.
    pub(super) fn sums(&self, arena: &Arena<f32>) -> Sums {
        let losses = &arena[self.plan.place(self.network.losses)];
        let labels = &arena[self.plan.place(self.network.labels)];
        let rows = self.logits(arena).zip(labels);
        Sums {
            loss: losses.iter().map(|&loss| f64::from(loss)).sum(),
            correct: rows.filter(|(row, label)| largest(row) as f32 == **label).count(),
            count: self.batch,
        }
    }
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
