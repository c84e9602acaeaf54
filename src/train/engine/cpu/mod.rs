//! Training on the CPU: plans, arena and optimizer, put together.
//!
//! The arena begins with what stays from step to step and what all plans share:
//!
//! ```text
//! | parameters | optimizer state (1 or 2 times) | inputs, outputs and temporaries of a plan |
//! ```
//!
//! Two plans serve an epoch, one for full batches and one for the smaller last batch, and two more
//! the evaluation; the last part of the arena is as large as the largest of them needs. The network has the form of
//! [`Form::Deviations`](crate::model::Form::Deviations), so that products leave out background and what ReLU puts to zero; outside this module
//! parameters and state are PyTorch's, weights (out, in). A step's gradients of weights are nowhere in memory: each tile goes into
//! its update as soon as it is computed. While a step runs, the next one's images are gathered.

mod evaluator;
mod learner;
mod not_finite;
mod stage;

pub use evaluator::Evaluator;
pub use learner::Learner;
pub(super) use not_finite::repeat_not_finite;

use super::{Confusion, Ended, Engine, Epoch, Job, Set, Snapshot, Sums};
use crate::data::{Gather, batches};
use crate::exec::Team;
use crate::model::Perceptron;
use crate::ops::GraphError;
use crate::optim::Optimizer;
use crate::train::TrainError;
use evaluator::EVALUATION_BATCH;

/// The bytes that training, evaluating and saving a network takes at most: a float, as there are
/// networks whose bytes no integer of the machine can count.
///
/// Parameters and optimizer state, in the arena, in the plain form, and once more as a checkpoint is written; or
/// parameters twice more where evaluated; and of each activation no more than `VALUES_PER_UNIT` values, as most are
/// fused away or share memory.
pub fn memory(model: &Perceptron, optimizer: &Optimizer, batch_size: usize) -> f64 {
    let parameters: f64 = model.widths.windows(2).map(|pair| pair[1] as f64 * (pair[0] as f64 + 1.0)).sum();
    let units: f64 = model.widths.iter().map(|&width| width as f64).sum();
    let state = optimizer.state_per_parameter() as f64;
    let rows = batch_size as f64 + EVALUATION_BATCH as f64;
    let copies = f64::max(3.0 + 3.0 * state, 4.0 + 2.0 * state);
    let numbers = parameters * copies + VALUES_PER_UNIT * (units + LISTS) * (rows + LISTS);
    numbers * size_of::<f32>() as f64
}

/// Before and after the activation, the dropout mask, and their gradients; and four in each of the lists of what is not
/// zero, of which there are three for images.
const VALUES_PER_UNIT: f64 = 18.0;

/// Lists of what is not zero are made for so many rows and columns at a time, begun or whole.
const LISTS: f64 = 64.0;

/// Training on the processor's threads.
pub struct CpuEngine {
    job: Job,
    learner: Learner,
    team: Team,
    /// Parameters, then state, as last asked for, in the plain form.
    plain: Vec<f32>,
}

impl CpuEngine {
    /// An engine before its first step, whose work runs on the team.
    ///
    /// # Errors
    /// When the architecture does not hold together.
    pub fn new(job: Job, team: Team) -> Result<Self, GraphError> {
        let Job { ref model, optimizer, seed, batch_size, .. } = job;
        let learner = Learner::new(model.clone(), optimizer, seed, job.data.train.len(), batch_size)?;
        Ok(Self { job, learner, team, plain: Default::default() })
    }
}

impl Engine for CpuEngine {
    fn epoch(
        &mut self,
        epoch: Epoch<'_>,
        watch: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<(Sums, Ended), TrainError> {
        let Self { job, learner, team, .. } = self;
        let gather = Gather::new(&job.data.train, job.normalisation, job.shifts);
        let steps = batches(epoch.order.len(), job.batch_size).len();
        let Epoch { order, learning_rates } = epoch;
        assert_eq!(learning_rates.len(), steps, "learning rates for {steps} steps");
        team.install(|| {
            let (mut sums, mut ended) = (Sums::default(), Ended::Whole);
            learner.train_steps(&gather, order, learning_rates, job.weight_decay, |step, of_step| {
                sums += of_step;
                if !watch(step) && step < steps {
                    ended = Ended::Early;
                }
                ended == Ended::Whole
            })?;
            Ok((sums, ended))
        })
    }

    fn evaluate(&mut self, set: Set) -> Result<(Sums, Confusion), TrainError> {
        let Self { job, learner, team, .. } = self;
        let classes = job.model.widths[job.model.widths.len() - 1];
        let mut counts = vec![vec![0; classes]; classes];
        let Some(split) = job.split(set) else { return Ok((Sums::default(), counts)) };
        let mut evaluator = Evaluator::new(&job.model, split.len())?;
        let gather = Gather::new(split, job.normalisation, None);
        let parameters = learner.parameters();
        let sums = team.install(|| {
            evaluator.run(&parameters, &gather, |image, class, _| {
                counts[usize::from(split.labels[image])][class] += 1;
            })
        });
        Ok((sums, counts))
    }

    fn snapshot(&mut self) -> Result<Snapshot<'_>, TrainError> {
        let Self { job, learner, plain, .. } = self;
        let count = job.model.parameter_count();
        plain.resize((1 + job.optimizer.state_per_parameter()) * count, 0.0);
        for (number, out) in plain.chunks_exact_mut(count).enumerate() {
            learner.write_plain(number, out);
        }
        let (parameters, state) = plain.split_at(count);
        Ok(Snapshot { parameters, state, step: learner.step() })
    }

    fn restore(&mut self, snapshot: Snapshot<'_>) -> Result<(), TrainError> {
        self.learner.restore(snapshot.parameters, snapshot.state, snapshot.step);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Nonzeros;
    use crate::model::Activation;
    use crate::optim::{Adam, Sgd};

    #[test]
    fn the_memory_counted_is_enough_for_the_arenas_and_not_absurdly_more() {
        for (hidden, batch, dropout) in [(vec![], 7, 0.0), (vec![64, 32], 128, 0.5), (vec![9; 12], 1000, 0.1)]
        {
            for optimizer in [Optimizer::Adam(Adam::default()), Optimizer::Sgd(Sgd::default())] {
                let widths = std::iter::once(144).chain(hidden.iter().copied()).chain([10]).collect();
                let model = Perceptron { widths, activation: Activation::Sigmoid, dropout };
                let counted = memory(&model, &optimizer, batch);
                let engine = Learner::new(model.clone(), optimizer, 0, 5 * batch, batch).unwrap();
                let evaluator = Evaluator::new(&model, 10_000).unwrap();
                let saved = engine.parameters().len() + engine.state().len();
                let numbers = engine.arena.len() + (evaluator.arena.len() + saved).max(2 * saved);
                let stages =
                    std::iter::once(&engine.training).chain(evaluator.stages.iter().map(|(stage, _)| stage));
                let lists: usize = stages.flat_map(|stage| &stage.nonzeros).map(Nonzeros::bytes).sum();
                let batches = 2 * engine.training.nonzeros[0].bytes() + evaluator.stages[0].1.images.bytes();
                let actual = (4 * numbers + lists + batches) as f64;
                assert!(counted >= actual, "{hidden:?}: {counted} counted, {actual} needed");
                assert!(counted <= 6.0 * actual, "{hidden:?}: {counted} counted, {actual} needed");
            }
        }
    }
}
