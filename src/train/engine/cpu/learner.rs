//! A network in training, step by step.

use super::evaluator::Evaluator;
use super::not_finite::repeat_not_finite;
use super::plans::{Counts, Plans};
use super::stage::{Batch, Stage, region};
use crate::data::{Gather, batches};
use crate::exec::Arena;
use crate::exec::cpu::Run;
use crate::model::Perceptron;
use crate::ops::{Draw, GraphError};
use crate::optim::{Optimizer, Step};
use crate::train::engine::{Set, Sums};
use crate::train::{Divergence, TrainError};

/// A network in training, step by step.
pub struct Learner {
    model: Perceptron,
    optimizer: Optimizer,
    seed: u64,
    pub(super) training: Stage,
    pub(super) last_batch: Option<Stage>,
    /// Batches that are not in use.
    pub(super) spare: Vec<Batch>,
    pub(super) arena: Arena<f32>,
    /// The number of updates so far.
    step: u64,
}

impl Learner {
    /// A network ready for its first step.
    ///
    /// # Errors
    /// When the architecture does not hold together.
    pub fn new(
        model: Perceptron,
        optimizer: Optimizer,
        seed: u64,
        examples: usize,
        batch_size: usize,
    ) -> Result<Self, GraphError> {
        let counts = Counts { batch_size, training: examples, test: 0, validation: 0 };
        let plans = Plans::new(&model, &optimizer, counts)?;
        Ok(Self::planned(model, optimizer, seed, plans).0)
    }

    /// A network ready for its first step, as it was planned, and the evaluators that its arena has room for.
    pub(super) fn planned(
        model: Perceptron,
        optimizer: Optimizer,
        seed: u64,
        plans: Plans,
    ) -> (Self, Vec<(Set, Evaluator)>) {
        let arena = Arena::new(plans.arena());
        let Plans { training, last_batch, evaluators, .. } = plans;
        let count = model.parameter_count();
        let zeros = vec![0.0; optimizer.state_per_parameter() * count];
        let mut learner =
            Self { model, optimizer, seed, training, last_batch, spare: Vec::new(), arena, step: 0 };
        learner.restore(&learner.model.initial_parameters(seed), &zeros, 0);
        (learner, evaluators)
    }

    /// The number of updates so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The flat parameters.
    pub fn parameters(&self) -> Vec<f32> {
        self.plain(0)
    }

    /// The optimizer's state: one or two times as many numbers as there are parameters.
    pub fn state(&self) -> Vec<f32> {
        (0..self.optimizer.state_per_parameter()).flat_map(|number| self.plain(1 + number)).collect()
    }

    /// The numbers that stand in the arena for each parameter, in the plain form: the parameters themselves,
    /// then what the optimizer keeps.
    fn plain(&self, number: usize) -> Vec<f32> {
        let mut numbers = vec![0.0; self.model.parameter_count()];
        self.write_plain(number, &mut numbers);
        numbers
    }

    pub(super) fn write_plain(&self, number: usize, out: &mut [f32]) {
        let start = number * region(&self.model);
        self.model.transpose(&self.arena[start..start + out.len()], out, false);
    }

    /// Takes up parameters, state and step number where another run left off.
    ///
    /// # Panics
    /// When the slices are not as long as [`Self::parameters`] and [`Self::state`].
    pub fn restore(&mut self, parameters: &[f32], state: &[f32], step: u64) {
        let count = self.model.parameter_count();
        assert_eq!(state.len(), self.optimizer.state_per_parameter() * count);
        let numbers = std::iter::once(parameters).chain(state.chunks_exact(count));
        for (number, plain) in numbers.enumerate() {
            let start = number * region(&self.model);
            self.model.transpose(plain, &mut self.arena[start..start + count], true);
        }
        self.step = step;
    }

    /// The multiplications of a full batch's products: all, and those that a step just did, background and what
    /// ReLU put to zero left out.
    pub fn multiplications(&mut self) -> [u64; 2] {
        let mut batch = self.batch(self.training.batch);
        let Self { training, arena, .. } = self;
        training.take_up(arena, &mut batch);
        let found = training.plan.multiplications(&training.nonzeros);
        training.give_back(&mut batch);
        self.spare.push(batch);
        found
    }

    /// One update from the images `indices`, on the team that the caller works for.
    ///
    /// After the first step of a size nothing is allocated, the product library's own scratch apart.
    ///
    /// # Errors
    /// When the loss is not finite: names the step and the layer. Nothing was updated then.
    ///
    /// # Panics
    /// When there are as many images neither as in a full batch nor as in the last one.
    pub fn train_step(
        &mut self,
        gather: &Gather<'_>,
        indices: &[u32],
        learning_rate: f64,
        weight_decay: f64,
    ) -> Result<Sums, TrainError> {
        let mut batch = self.batch(indices.len());
        batch.fill(gather, self.step, indices);
        let sums = self.train(&mut batch, gather, indices, learning_rate, weight_decay);
        self.spare.push(batch);
        sums
    }

    /// Updates from batches of the images of `order`, as [`Self::train_step`] does, each batch being filled while the
    /// one before is trained on. Goes on as long as `watch(step, sums)` says, which is told of each step.
    pub(super) fn train_steps(
        &mut self,
        gather: &Gather<'_>,
        order: &[u32],
        learning_rates: &[f64],
        weight_decay: f64,
        mut watch: impl FnMut(usize, Sums) -> bool,
    ) -> Result<(), TrainError> {
        let mut ranges = batches(order.len(), self.training.batch);
        let Some(first) = ranges.next() else { return Ok(()) };
        let mut indices = &order[first];
        let mut batch = self.batch(indices.len());
        batch.fill(gather, self.step, indices);
        for (number, &rate) in learning_rates.iter().enumerate() {
            let following = ranges.next().map(|range| &order[range]);
            let mut next = following.map(|indices| (self.batch(indices.len()), indices));
            let step = self.step + 1;
            let mut train = || self.train(&mut batch, gather, indices, rate, weight_decay);
            let sums = match &mut next {
                Some((next, indices)) => next.fill_beside(gather, step, indices, train),
                None => train(),
            };
            self.spare.push(batch);
            let goes_on = watch(number + 1, sums?);
            match next {
                Some((filled, its_indices)) if goes_on => (batch, indices) = (filled, its_indices),
                left => {
                    self.spare.extend(left.map(|(batch, _)| batch));
                    break;
                }
            }
        }
        Ok(())
    }

    /// A batch of `count` images, not filled.
    fn batch(&mut self, count: usize) -> Batch {
        match self.spare.iter().position(|batch| batch.labels.len() == count) {
            Some(position) => self.spare.swap_remove(position),
            None => self.stage(count).new_batch(),
        }
    }

    /// The plan for a batch of `count` images.
    ///
    /// # Panics
    /// When there is none.
    fn stage(&mut self, count: usize) -> &mut Stage {
        let stages = std::iter::once(&mut self.training).chain(&mut self.last_batch);
        match stages.into_iter().find(|stage| stage.batch == count) {
            Some(stage) => stage,
            None => panic!("no plan is made for a batch of {count} images"),
        }
    }

    fn train(
        &mut self,
        batch: &mut Batch,
        gather: &Gather<'_>,
        indices: &[u32],
        learning_rate: f64,
        weight_decay: f64,
    ) -> Result<Sums, TrainError> {
        let stage = match &mut self.last_batch {
            Some(last) if last.batch == batch.labels.len() => last,
            _ => &mut self.training,
        };
        let draw = Draw { seed: self.seed, step: self.step };
        stage.take_up(&mut self.arena, batch);
        let forwards = stage.plan.instructions_until(stage.network.losses);
        let run = Run { draw, rule: None };
        stage.plan.run_part(0..forwards, &mut self.arena, &mut stage.nonzeros, run);
        let sums = stage.sums(&self.arena);
        if sums.loss.is_finite() {
            self.step += 1;
            let step = Step { number: self.step, learning_rate, weight_decay };
            let run = Run { draw, rule: Some((self.optimizer, step)) };
            let rest = forwards..stage.plan.instructions().len();
            stage.plan.run_part(rest, &mut self.arena, &mut stage.nonzeros, run);
        }
        stage.give_back(batch);
        if sums.loss.is_finite() {
            return Ok(sums);
        }
        let parameters = self.plain(0);
        let place = repeat_not_finite(&self.model, gather, &parameters, indices, draw)?;
        Err(TrainError::NotFinite(Divergence { step: self.step + 1, place, learning_rate }))
    }
}
