//! The plans of a run, made before it takes any memory: so what it takes is known, and nothing is estimated.

use super::evaluator::Evaluator;
use super::stage::{Stage, reserved};
use crate::model::Perceptron;
use crate::ops::GraphError;
use crate::optim::Optimizer;
use crate::train::engine::Set;

/// What a run goes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Images in a full batch.
    pub batch_size: usize,
    /// Images that are trained on: at least a batch.
    pub training: usize,
    /// Images that are evaluated.
    pub test: usize,
    /// Images held out, which are evaluated, too.
    pub validation: usize,
}

/// The plans of a run on the processor.
pub struct Plans {
    counts: Counts,
    reserved: usize,
    pub(super) training: Stage,
    /// For the smaller last batch.
    pub(super) last_batch: Option<Stage>,
    pub(super) evaluators: Vec<(Set, Evaluator)>,
}

/// The bytes that a run takes, by what for. They come on top of its images and of the program itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Parameters and the optimizer's state: in the arena, in the plain form, and as a checkpoint that is written.
    pub parameters: usize,
    /// What a training step works with: activations, their gradients, batches of images, what is not zero in them.
    pub training: usize,
    /// What evaluations take beside that.
    pub evaluation: usize,
}

impl Memory {
    /// All together.
    pub fn bytes(&self) -> usize {
        self.parameters + self.training + self.evaluation
    }
}

impl Plans {
    /// Plans training and evaluations.
    ///
    /// # Errors
    /// When the architecture does not hold together.
    pub fn new(model: &Perceptron, optimizer: &Optimizer, counts: Counts) -> Result<Self, GraphError> {
        let reserved = reserved(model, optimizer);
        let training = Stage::training(model, optimizer, counts.batch_size)?;
        let last_batch = match counts.training % counts.batch_size {
            0 => None,
            rest => Some(Stage::training(model, optimizer, rest)?),
        };
        let sets = [(Set::Test, counts.test), (Set::Validation, counts.validation)];
        let evaluators = sets.into_iter().filter(|&(_, count)| count > 0);
        let evaluators = evaluators.map(|(set, count)| Ok((set, Evaluator::new(model, count, reserved)?)));
        let evaluators = evaluators.collect::<Result<_, GraphError>>()?;
        Ok(Self { counts, reserved, training, last_batch, evaluators })
    }

    /// The elements that the arena must have.
    pub fn arena(&self) -> usize {
        let evaluators = self.evaluators.iter().map(|(_, evaluator)| evaluator.arena());
        evaluators.fold(self.training_arena(), usize::max)
    }

    fn training_arena(&self) -> usize {
        let last = self.last_batch.as_ref().map_or(0, |stage| stage.plan.arena());
        self.training.plan.arena().max(last)
    }

    /// The memory that the run takes at most, on `threads` threads.
    pub fn memory(&self, threads: usize) -> Memory {
        let Self { counts, reserved, training, last_batch, evaluators } = self;
        let numbers = |count: usize| count * size_of::<f32>();
        let stages = || std::iter::once(training).chain(last_batch);
        // A batch is filled while the one before is trained on.
        let full_batches = (counts.training / counts.batch_size).min(2);
        let batches = full_batches * training.batch_bytes()
            + last_batch.as_ref().map_or(0, Stage::batch_bytes)
            + numbers(counts.training); // their order
        let scratch = stages().map(Stage::scratch_bytes).fold(0, usize::max);
        let evaluated = || evaluators.iter().flat_map(|(_, evaluator)| evaluator.stages());
        // A thread keeps what it took most.
        let more_scratch = evaluated().map(Stage::scratch_bytes).fold(scratch, usize::max) - scratch;
        Memory {
            parameters: 3 * numbers(*reserved),
            training: numbers(self.training_arena() - reserved)
                + batches
                + stages().map(Stage::bytes).sum::<usize>()
                + threads * scratch,
            evaluation: numbers(self.arena() - self.training_arena())
                + evaluators.iter().map(|(_, evaluator)| evaluator.bytes()).sum::<usize>()
                + threads * more_scratch,
        }
    }
}
