//! What trains a network: the processor ([`cpu`]) or a CUDA device ([`cuda`]), behind one trait.
//!
//! An engine is asked for whole epochs and whole evaluations, so that a device need not wait for the host
//! in between; log, checkpoints and model are the same whichever did the work.

pub mod cpu;
pub mod cuda;

use std::ops::AddAssign;
use std::sync::Arc;

use super::TrainError;
use crate::data::{Dataset, Normalisation, Shifts, Split};
use crate::exec::Resident;
use crate::graph::NodeId;
use crate::model::Perceptron;
use crate::optim::Optimizer;

/// Of `rows` that take so many bytes together, as many as take no more than they are worth: at least one.
fn rows_worth(worth: usize, bytes: usize, rows: usize) -> usize {
    if bytes <= worth { rows } else { (worth / bytes.div_ceil(rows)).max(1) }
}

/// What an engine works on.
#[derive(Clone, Debug)]
pub struct Job {
    /// The network's architecture.
    pub model: Perceptron,
    /// How its parameters move.
    pub optimizer: Optimizer,
    /// λ of decoupled weight decay.
    pub weight_decay: f64,
    /// The run's seed.
    pub seed: u64,
    /// Images in a full batch.
    pub batch_size: usize,
    /// Training and test images.
    pub data: Arc<Dataset>,
    /// Training images held out.
    pub validation: Option<Split>,
    /// What makes bytes numbers.
    pub normalisation: Normalisation,
    /// How training images are moved.
    pub shifts: Option<Shifts>,
}

impl Job {
    /// The images of a set.
    pub fn split(&self, set: Set) -> Option<&Split> {
        match set {
            Set::Test => Some(&self.data.test),
            Set::Validation => self.validation.as_ref(),
        }
    }
}

/// Images that are evaluated and not trained on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Set {
    /// The test images.
    Test,
    /// Training images held out; none where there are none.
    Validation,
}

/// One epoch's work.
#[derive(Clone, Copy, Debug)]
pub struct Epoch<'a> {
    /// The training images in the order in which they are met.
    pub order: &'a [u32],
    /// The learning rate of each step.
    pub learning_rates: &'a [f64],
}

/// A network in training.
pub trait Engine {
    /// Trains for one epoch. `watch` is told from time to time how many of its steps are done; when it
    /// returns false, the epoch ends before its end, and so it is returned.
    ///
    /// # Errors
    /// When a loss is not finite: names the step and the layer; that step and later ones updated nothing.
    /// When a device fails.
    ///
    /// # Panics
    /// When the order is cut into other batches than the engine was made for, or the rates are not as many.
    fn epoch(
        &mut self,
        epoch: Epoch<'_>,
        watch: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<(Sums, Ended), TrainError>;

    /// Losses, hits and the confusion matrix of the network as it stands, without dropout. The loss may be
    /// other than finite.
    ///
    /// # Errors
    /// When the memory does not suffice, or a device fails.
    fn evaluate(&mut self, set: Set) -> Result<(Sums, Confusion), TrainError>;

    /// The network and all that is needed to go on with it.
    ///
    /// # Errors
    /// When a device fails.
    fn snapshot(&mut self) -> Result<Snapshot<'_>, TrainError>;

    /// Takes up where another left off.
    ///
    /// # Errors
    /// When a device fails.
    ///
    /// # Panics
    /// When parameters or state are not as many as the snapshot's.
    fn restore(&mut self, snapshot: Snapshot<'_>) -> Result<(), TrainError>;
}

/// Whether an epoch came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// After its last step.
    Whole,
    /// When it was asked to.
    Early,
}

/// Where a network in training stands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Snapshot<'a> {
    /// The flat parameters.
    pub parameters: &'a [f32],
    /// The optimizer's state: one or two times as many numbers as there are parameters.
    pub state: &'a [f32],
    /// The number of updates so far.
    pub step: u64,
}

/// `counts[label][predicted]`, in images.
pub type Confusion = Vec<Vec<u64>>;

/// Sums over some images: the losses, and how many were classified as labelled.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Sums {
    /// Σ loss, in nats.
    pub loss: f64,
    /// The number of correct predictions.
    pub correct: usize,
    /// The number of images.
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

/// The first parameter that holds an infinite number or NaN, for messages.
pub fn not_finite_parameter(model: &Perceptron, flat: &[f32]) -> Option<String> {
    let parameters = model.parameters().into_iter();
    let mut holds = parameters.filter(|p| flat[p.offset..][..p.shape.size()].iter().any(|x| !x.is_finite()));
    holds.next().map(|parameter| format!("the parameter {}", parameter.name))
}

/// Where nodes that stand for the parameters lie, when the flat parameters, or their gradients, begin at `start`.
fn residents(model: &Perceptron, nodes: &[NodeId], start: usize) -> Vec<Resident> {
    let offsets = model.parameters().into_iter().map(|parameter| start + parameter.offset);
    nodes.iter().zip(offsets).map(|(&node, offset)| Resident { node, offset }).collect()
}
