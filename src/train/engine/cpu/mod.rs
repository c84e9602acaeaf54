//! Training on the CPU: plans, arena and optimizer, put together.
//!
//! The arena begins with what stays from step to step and what all plans share:
//!
//! ```text
//! | parameters | optimizer state (1 or 2 times) | inputs, outputs and temporaries of a plan |
//! ```
//!
//! Two plans serve an epoch, one for full batches and one for the smaller last batch, and two more
//! each evaluation; the last part of the arena is as large as the largest of them needs. All are made before any memory is
//! taken, so that [`Plans::memory`] knows what a run takes. The network has the form of
//! [`Form::Deviations`](crate::model::Form::Deviations), so that products leave out background and what ReLU puts to zero; outside this module
//! parameters and state are PyTorch's, weights (out, in). A step's gradients of weights are nowhere in memory: each tile goes into
//! its update as soon as it is computed. While a step runs, the next one's images are gathered.

mod evaluator;
mod learner;
mod not_finite;
mod plans;
mod stage;

pub use evaluator::evaluate;
pub use learner::Learner;
pub(super) use not_finite::repeat_not_finite;
pub use plans::{Counts, Memory, Plans};

use super::{Confusion, Ended, Engine, Epoch, Job, Set, Snapshot, Sums};
use crate::data::{Gather, Split, batches};
use crate::exec::Team;
use crate::ops::GraphError;
use crate::train::TrainError;
use evaluator::Evaluator;

/// Training on the processor's threads.
pub struct CpuEngine {
    job: Job,
    learner: Learner,
    evaluators: Vec<(Set, Evaluator)>,
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
        let counts = Counts {
            batch_size: job.batch_size,
            training: job.data.train.len(),
            test: job.data.test.len(),
            validation: job.validation.as_ref().map_or(0, Split::len),
        };
        let plans = Plans::new(&job.model, &job.optimizer, counts)?;
        Ok(Self::planned(job, plans, team))
    }

    /// The same with the plans made before, for this job.
    pub fn planned(job: Job, plans: Plans, team: Team) -> Self {
        let (learner, evaluators) = Learner::planned(job.model.clone(), job.optimizer, job.seed, plans);
        Self { job, learner, evaluators, team, plain: Default::default() }
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
        let Self { job, learner, evaluators, team, .. } = self;
        let classes = job.model.widths[job.model.widths.len() - 1];
        let mut counts = vec![vec![0; classes]; classes];
        let evaluator = evaluators.iter_mut().find(|(other, _)| *other == set);
        let (Some(split), Some((_, evaluator))) = (job.split(set), evaluator) else {
            return Ok((Sums::default(), counts));
        };
        let gather = Gather::new(split, job.normalisation, None);
        let sums = team.install(|| {
            evaluator.run(&mut learner.arena, &gather, |image, class, _| {
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
mod tests;
