//! What an executor is: it goes through examples batch by batch, and carries out a step on each.
//!
//! A step is a graph with stores ([`Step`]); what is stored stays with the executor from step to step, in flat buffers that
//! all its passes share. Around the graph, on every device alike, stand the same few tasks: a batch is gathered, its
//! scalars are put in place, its losses are added up, which decides whether the step may store, and its hits are counted.

use std::ops::AddAssign;
use std::sync::Arc;

use super::cuda::CudaError;
use crate::data::{Gather, Normalisation, Shifts, Split};
use crate::graph::NodeId;
use crate::ops::{Function, GraphError, tree_of_fields};

/// What carries out steps: the processor, or a device.
///
/// Buffer 0 holds the parameters one after another, in the order of the steps' inputs; buffer k the k-th numbers of the
/// optimizer's state. Outside of the executor each has its input's shape, row-major, however the executor keeps it.
pub trait Executor {
    /// Plans going through examples. No memory is taken yet. The first pass has all buffers; others may have the parameters
    /// alone.
    ///
    /// # Errors
    /// When the step cannot be built.
    ///
    /// # Panics
    /// When its parameters or its state are not the first pass's, or the executor has taken memory.
    fn prepare(&mut self, pass: Pass<'_>) -> Result<PassId, ExecError>;

    /// What all passes that were prepared come to take of the host, on so many threads. A device says itself what does not
    /// fit, when it is asked for.
    fn memory(&self, threads: usize) -> Memory;

    /// Gives a pass its examples.
    ///
    /// # Errors
    /// When the memory does not suffice, or a device fails.
    ///
    /// # Panics
    /// When they are fewer, or of another size, than the pass was prepared for.
    fn load(&mut self, pass: PassId, examples: Examples) -> Result<(), ExecError>;

    /// Writes a buffer.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    ///
    /// # Panics
    /// When there is no such buffer, or it has another length.
    fn write(&mut self, buffer: usize, values: &[f32]) -> Result<(), ExecError>;

    /// Reads a buffer.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    ///
    /// # Panics
    /// As [`write`](Self::write).
    fn read(&mut self, buffer: usize, values: &mut [f32]) -> Result<(), ExecError>;

    /// Goes through a pass's examples: in an epoch's order, from where it stands, or, without one, through all in their own.
    /// `watch` is told from time to time how many steps are done; when it returns false, the pass ends before its end.
    ///
    /// A step whose losses' sum is not finite stores nothing, nor do later ones.
    ///
    /// # Errors
    /// When a device fails.
    ///
    /// # Panics
    /// When the pass has no examples, or the epoch another number of steps or of scalars.
    fn run(
        &mut self,
        pass: PassId,
        epoch: Option<Epoch<'_>>,
        watch: &mut Watch<'_>,
    ) -> Result<Totals, ExecError>;
}

/// Is told how many steps are done, and says whether to go on.
pub type Watch<'a> = dyn FnMut(usize) -> bool + Send + 'a;

/// One step on a batch.
pub type Step = Function<Inputs<NodeId>, Outputs<NodeId>>;

/// The inputs of a step.
#[derive(Clone, PartialEq, Debug)]
pub struct Inputs<V> {
    /// (batch, features...), normalised.
    pub examples: V,
    /// (batch), class numbers.
    pub labels: V,
    /// What changes from step to step, [] each.
    pub scalars: Vec<V>,
    /// The parameters.
    pub parameters: Vec<V>,
    /// For each number of the optimizer's state, one input a parameter, of its shape.
    pub state: Vec<Vec<V>>,
}

/// The outputs of a step.
#[derive(Clone, PartialEq, Debug)]
pub struct Outputs<V> {
    /// The loss of each example, (batch).
    pub losses: V,
    /// (batch, classes).
    pub logits: V,
}

/// Going through examples.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The step on a batch of so many examples.
    pub step: &'a dyn Fn(usize) -> Result<Step, GraphError>,
    /// The number of examples that it goes through; there may be more.
    pub count: usize,
    /// Examples in a batch, the last of which is smaller where it must be; without it, as many as are worth their memory.
    pub batch: Option<usize>,
    /// The seed of random numbers.
    pub seed: u64,
}

/// The number of a pass among those of an executor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PassId(pub(super) usize);

/// Examples as a network takes them.
#[derive(Clone, Debug)]
pub struct Examples {
    /// Images as bytes, and labels.
    pub split: Arc<Split>,
    /// What makes bytes numbers.
    pub normalisation: Normalisation,
    /// How images are moved.
    pub shifts: Option<Shifts>,
}

impl Examples {
    /// What fills batches with them.
    pub fn gather(&self) -> Gather<'_> {
        Gather::new(&self.split, self.normalisation, self.shifts)
    }
}

/// A pass in an order, with what changes from step to step.
#[derive(Clone, Copy, Debug)]
pub struct Epoch<'a> {
    /// The examples in the order in which they are met.
    pub order: &'a [u32],
    /// Of each step the scalars, in the order of [`Inputs::scalars`].
    pub scalars: &'a [f64],
    /// The number of updates before the epoch.
    pub updates: u64,
    /// What is done of it: the steps after these are made, as if there had been no break.
    pub done: Standing,
    /// The step before which it ends, for now.
    pub until: usize,
}

impl<'a> Epoch<'a> {
    /// All of an epoch.
    pub fn whole(order: &'a [u32], scalars: &'a [f64], updates: u64) -> Self {
        Self { order, scalars, updates, done: Standing::default(), until: usize::MAX }
    }
}

/// How far an epoch has come.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Standing {
    /// The steps that were made.
    pub steps: usize,
    /// Losses and hits over them, added up in their order.
    pub sums: Sums,
}

/// What was counted over a pass, from its beginning.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Totals {
    /// Losses and hits.
    pub sums: Sums,
    /// `[label][predicted]`, in examples, where the step stores nothing.
    pub confusion: Confusion,
    /// Steps made.
    pub steps: usize,
    /// The number of the update, from 1, whose loss was not finite, if one was.
    pub not_finite: Option<u64>,
    /// Whether it came to its end.
    pub ended: Ended,
}

/// `counts[label][predicted]`, in examples.
pub type Confusion = Vec<Vec<u64>>;

/// Whether a pass came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Ended {
    /// After its last step.
    #[default]
    Whole,
    /// When it was asked to, or before the step at which it was to end.
    Early,
}

/// Sums over some examples: the losses, and how many were classified as labelled.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Sums {
    /// Σ loss, in nats.
    pub loss: f64,
    /// The number of correct predictions.
    pub correct: usize,
    /// The number of examples.
    pub count: usize,
}

impl Sums {
    /// The mean loss.
    pub fn objective(&self) -> f64 {
        self.loss / self.count as f64
    }

    /// The share of correct predictions, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.count as f64
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.loss += other.loss;
        self.correct += other.correct;
        self.count += other.count;
    }
}

/// The bytes of the host that an executor takes, by what for. They come on top of its examples and of the program itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// The buffers: where they are used, as they are read, and as a checkpoint that is written.
    pub parameters: usize,
    /// What a step that stores works with: activations, their gradients, batches of images, what is not zero in them.
    pub training: usize,
    /// What steps that store nothing take beside that.
    pub evaluation: usize,
}

impl Memory {
    /// All together.
    pub fn bytes(&self) -> usize {
        self.parameters + self.training + self.evaluation
    }
}

/// Why an executor could not do something.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields hold")]
pub enum ExecError {
    #[error(transparent)]
    Graph(#[from] GraphError),

    #[error(transparent)]
    Cuda(#[from] CudaError),
}

/// The stages of a pass, each made by `stage` of the step on so many examples: for full batches, and for what is left. Where
/// nobody says how many are in a batch, they are `usual`, or as many as take no more bytes than they are worth.
pub(super) fn stages<S>(
    pass: Pass<'_>,
    usual: usize,
    worth: usize,
    stage: impl Fn(Step, usize) -> S,
    bytes: impl Fn(&S) -> usize,
) -> Result<Vec<S>, ExecError> {
    let Pass { step, count, batch, .. } = pass;
    let of = |batch: usize| -> Result<S, ExecError> { Ok(stage(step(batch)?, batch)) };
    let mut rows = batch.unwrap_or(usual).min(count).max(1);
    let mut full = of(rows)?;
    // Not all bytes are the rows', so a smaller stage may still be too large.
    while let fewer = rows_worth(worth, bytes(&full), rows)
        && fewer < rows
        && batch.is_none()
    {
        rows = fewer;
        full = of(rows)?;
    }
    let last = (!count.is_multiple_of(rows)).then(|| of(count % rows)).transpose()?;
    Ok([full].into_iter().chain(last).collect())
}

/// Of `rows` that take so many bytes together, as many as take no more than they are worth: at least one.
fn rows_worth(worth: usize, bytes: usize, rows: usize) -> usize {
    if bytes <= worth { rows } else { (worth / bytes.div_ceil(rows)).max(1) }
}

tree_of_fields!(Inputs { examples, labels, scalars, parameters, state });
tree_of_fields!(Outputs { losses, logits });
