//! Training on the CPU: plans, arena and optimizer, put together.
//!
//! The arena begins with what stays from step to step and what all plans share:
//!
//! ```text
//! | parameters | gradients | optimizer state (1 or 2 times) | inputs, outputs and temporaries of a plan |
//! ```
//!
//! Two plans serve an epoch, one for full batches and one for the smaller last batch, and two more
//! the evaluation; the last part of the arena is as large as the largest of them needs.

use rayon::ThreadPool;
use rayon::prelude::*;

use super::{Confusion, Ended, Engine, Epoch, Job, Set, Snapshot, Sums, not_finite_parameter, residents};
use crate::data::{Gather, batches};
use crate::exec::{Arena, Plan, evaluate_with, vectorized};
use crate::graph::NodeId;
use crate::model::{Network, Parameter, Perceptron};
use crate::ops::{Draw, GraphError};
use crate::optim::{Optimizer, Step};
use crate::train::TrainError;

/// Images in one batch of an evaluation.
const EVALUATION_BATCH: usize = 500;

/// Parameters that one task updates: with gradient and state, a share of the second-level cache.
const UPDATE_TASK: usize = 1 << 14;

/// A network in training, step by step.
pub struct Learner {
    model: Perceptron,
    optimizer: Optimizer,
    seed: u64,
    parameter_count: usize,
    reserved: usize,
    training: Stage,
    last_batch: Option<Stage>,
    arena: Arena<f32>,
    /// The number of updates so far.
    step: u64,
}

/// A network of one batch size, planned.
struct Stage {
    batch: usize,
    network: Network,
    plan: Plan,
}

/// The bytes that training, evaluating and saving a network takes at most: a float, as there are
/// networks whose bytes no integer of the machine can count.
///
/// Parameters, gradients and optimizer state; parameters once more where evaluated, and those with the
/// state where saved; and of each activation no more than `VALUES_PER_UNIT` values, as most are fused
/// away or share memory.
pub fn memory(model: &Perceptron, optimizer: &Optimizer, batch_size: usize) -> f64 {
    let parameters: f64 = model.widths.windows(2).map(|pair| pair[1] as f64 * (pair[0] as f64 + 1.0)).sum();
    let units: f64 = model.widths.iter().map(|&width| width as f64).sum();
    let state = optimizer.state_per_parameter() as f64;
    let rows = batch_size as f64 + EVALUATION_BATCH as f64;
    let numbers = parameters * (4.0 + 2.0 * state) + VALUES_PER_UNIT * units * rows;
    numbers * size_of::<f32>() as f64
}

/// Before and after the activation, the dropout mask, and their gradients.
const VALUES_PER_UNIT: f64 = 6.0;

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
        let parameter_count = model.parameter_count();
        let reserved = (2 + optimizer.state_per_parameter()) * parameter_count;
        let stage = |batch| Stage::training(&model, batch, parameter_count, reserved);
        let training = stage(batch_size)?;
        let last_batch = match examples % batch_size {
            0 => None,
            rest => Some(stage(rest)?),
        };
        let needed = last_batch.as_ref().map_or(0, |stage| stage.plan.arena());
        let mut arena = Arena::new(training.plan.arena().max(needed));
        model.initialize(seed, &mut arena[0..parameter_count]);
        arena[parameter_count..reserved].fill(0.0);
        Ok(Self { model, optimizer, seed, parameter_count, reserved, training, last_batch, arena, step: 0 })
    }

    /// The number of updates so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The flat parameters.
    pub fn parameters(&self) -> &[f32] {
        &self.arena[0..self.parameter_count]
    }

    /// The optimizer's state: one or two times as many numbers as there are parameters.
    pub fn state(&self) -> &[f32] {
        &self.arena[2 * self.parameter_count..self.reserved]
    }

    /// Takes up parameters, state and step number where another run left off.
    ///
    /// # Panics
    /// When the slices are not as long as [`Self::parameters`] and [`Self::state`].
    pub fn restore(&mut self, parameters: &[f32], state: &[f32], step: u64) {
        self.arena[0..self.parameter_count].copy_from_slice(parameters);
        self.arena[2 * self.parameter_count..self.reserved].copy_from_slice(state);
        self.step = step;
    }

    /// One update from the images `indices`, on the rayon pool that the caller is in.
    ///
    /// Nothing is allocated, the product library's own scratch apart.
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
        let stage = match &self.last_batch {
            Some(last) if last.batch == indices.len() => last,
            _ => &self.training,
        };
        assert_eq!(indices.len(), stage.batch, "no plan is made for a batch of so many images");
        let draw = Draw { seed: self.seed, step: self.step };
        let sums = stage.run(&mut self.arena, gather, indices, draw);
        if !sums.loss.is_finite() {
            let place = stage.first_not_finite(&self.model, &self.arena, draw);
            return Err(TrainError::NotFinite { step: self.step + 1, place, learning_rate });
        }
        self.step += 1;
        self.update(Step { number: self.step, learning_rate, weight_decay });
        Ok(sums)
    }

    fn update(&mut self, step: Step) {
        let Self { optimizer, parameter_count: count, reserved, .. } = *self;
        let (parameters, rest) = self.arena.split_at_mut(count);
        let (gradients, rest) = rest.split_at_mut(count);
        let (first, second) = rest[..reserved - 2 * count].split_at_mut(count);
        let tasks = parameters
            .par_chunks_mut(UPDATE_TASK)
            .zip(gradients.par_chunks(UPDATE_TASK))
            .zip(first.par_chunks_mut(UPDATE_TASK));
        if second.is_empty() {
            tasks.for_each(|((theta, g), first)| {
                vectorized(
                    #[inline(always)]
                    || optimizer.update(step, theta, g, first, &mut []),
                );
            });
        } else {
            tasks.zip(second.par_chunks_mut(UPDATE_TASK)).for_each(|(((theta, g), first), second)| {
                vectorized(
                    #[inline(always)]
                    || optimizer.update(step, theta, g, first, second),
                );
            });
        }
    }
}

/// Training on the processor's threads.
pub struct CpuEngine {
    job: Job,
    learner: Learner,
    pool: ThreadPool,
}

impl CpuEngine {
    /// An engine before its first step, whose work runs on the pool.
    ///
    /// # Errors
    /// When the architecture does not hold together.
    pub fn new(job: Job, pool: ThreadPool) -> Result<Self, GraphError> {
        let Job { ref model, optimizer, seed, batch_size, .. } = job;
        let learner = Learner::new(model.clone(), optimizer, seed, job.data.train.len(), batch_size)?;
        Ok(Self { job, learner, pool })
    }
}

impl Engine for CpuEngine {
    fn epoch(
        &mut self,
        epoch: Epoch<'_>,
        watch: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<(Sums, Ended), TrainError> {
        let Self { job, learner, pool } = self;
        let gather = Gather::new(&job.data.train, job.normalisation, job.shifts);
        let ranges = batches(epoch.order.len(), job.batch_size);
        let steps = ranges.len();
        assert_eq!(epoch.learning_rates.len(), steps, "learning rates for {steps} steps");
        // The whole epoch runs inside the pool: handing it over step by step would cost a wake-up each.
        pool.install(|| {
            let mut sums = Sums::default();
            for ((step, range), &rate) in (1..).zip(ranges).zip(epoch.learning_rates) {
                sums += learner.train_step(&gather, &epoch.order[range], rate, job.weight_decay)?;
                if !watch(step) && step < steps {
                    return Ok((sums, Ended::Early));
                }
            }
            Ok((sums, Ended::Whole))
        })
    }

    fn evaluate(&mut self, set: Set) -> Result<(Sums, Confusion), TrainError> {
        let Self { job, learner, pool } = self;
        let classes = job.model.widths[job.model.widths.len() - 1];
        let mut counts = vec![vec![0; classes]; classes];
        let Some(split) = job.split(set) else { return Ok((Sums::default(), counts)) };
        let mut evaluator = Evaluator::new(&job.model, split.len())?;
        let gather = Gather::new(split, job.normalisation, None);
        let sums = pool.install(|| {
            evaluator.run(learner.parameters(), &gather, |image, class, _| {
                counts[usize::from(split.labels[image])][class] += 1;
            })
        });
        Ok((sums, counts))
    }

    fn snapshot(&mut self) -> Result<Snapshot<'_>, TrainError> {
        let Learner { step, .. } = self.learner;
        Ok(Snapshot { parameters: self.learner.parameters(), state: self.learner.state(), step })
    }

    fn restore(&mut self, snapshot: Snapshot<'_>) -> Result<(), TrainError> {
        self.learner.restore(snapshot.parameters, snapshot.state, snapshot.step);
        Ok(())
    }
}

/// Losses and predictions of a network as it stands, without dropout.
pub struct Evaluator {
    stages: Vec<Stage>,
    arena: Arena<f32>,
    parameter_count: usize,
    count: usize,
}

impl Evaluator {
    /// An evaluator of `count` images.
    ///
    /// # Errors
    /// When the architecture does not hold together.
    pub fn new(model: &Perceptron, count: usize) -> Result<Self, GraphError> {
        let parameter_count = model.parameter_count();
        let sizes = [EVALUATION_BATCH.min(count), count % EVALUATION_BATCH.min(count).max(1)];
        let stages = sizes
            .into_iter()
            .filter(|&size| size > 0)
            .map(|size| Stage::inference(model, size, parameter_count))
            .collect::<Result<Vec<_>, _>>()?;
        let size = stages.iter().map(|stage| stage.plan.arena()).fold(parameter_count, usize::max);
        Ok(Self { stages, arena: Arena::new(size), parameter_count, count })
    }

    /// Evaluates the images in order; `predicted(image, class, loss)` is told each prediction.
    pub fn run(
        &mut self,
        parameters: &[f32],
        gather: &Gather<'_>,
        mut predicted: impl FnMut(usize, usize, f32),
    ) -> Sums {
        self.arena[0..self.parameter_count].copy_from_slice(parameters);
        let mut total = Sums::default();
        for range in batches(self.count, EVALUATION_BATCH) {
            // The first stage is of full batches, the last of what is left.
            let stage = &self.stages[usize::from(range.len() < self.stages[0].batch)];
            let mut indices = [0; EVALUATION_BATCH];
            for (index, image) in indices.iter_mut().zip(range.clone()) {
                *index = image as u32;
            }
            total += stage.run(&mut self.arena, gather, &indices[..range.len()], Draw::default());
            let logits = stage.plan.place(stage.network.logits());
            let classes = stage.plan.shape(stage.network.logits())[1];
            let losses = &self.arena[stage.plan.place(stage.network.losses)];
            for ((image, row), &loss) in range.zip(self.arena[logits].chunks_exact(classes)).zip(losses) {
                predicted(image, largest(row), loss);
            }
        }
        total
    }
}

impl Stage {
    fn training(
        model: &Perceptron,
        batch: usize,
        parameter_count: usize,
        reserved: usize,
    ) -> Result<Self, GraphError> {
        let network = model.training(batch)?;
        let mut places = residents(model, &network.parameters, 0);
        places.extend(residents(model, &network.gradients, parameter_count));
        let mut outputs = vec![network.losses, network.logits()];
        outputs.extend(&network.gradients);
        let plan = Plan::new(&network.graph, &outputs, &places, reserved);
        Ok(Self { batch, network, plan })
    }

    fn inference(model: &Perceptron, batch: usize, parameter_count: usize) -> Result<Self, GraphError> {
        let network = model.inference(batch)?;
        let places = residents(model, &network.parameters, 0);
        let plan = Plan::new(&network.graph, &[network.losses, network.logits()], &places, parameter_count);
        Ok(Self { batch, network, plan })
    }

    /// Fills the inputs, runs the plan, and sums up the losses and correct predictions.
    fn run(&self, arena: &mut Arena<f32>, gather: &Gather<'_>, indices: &[u32], draw: Draw) -> Sums {
        let pixels = self.plan.shape(self.network.images)[1];
        arena[self.plan.place(self.network.images)]
            .par_chunks_exact_mut(pixels)
            .zip(indices)
            .enumerate()
            .for_each(|(position, (image, &index))| {
                vectorized(
                    #[inline(always)]
                    || gather.image(draw.step, position, index, image),
                );
            });
        for (label, &index) in arena[self.plan.place(self.network.labels)].iter_mut().zip(indices) {
            *label = gather.label(index);
        }
        self.plan.run(arena, draw);
        let losses = &arena[self.plan.place(self.network.losses)];
        let labels = &arena[self.plan.place(self.network.labels)];
        let classes = self.plan.shape(self.network.logits())[1];
        let logits = arena[self.plan.place(self.network.logits())].chunks_exact(classes);
        Sums {
            loss: losses.iter().map(|&loss| f64::from(loss)).sum(),
            correct: logits.zip(labels).filter(|(row, label)| largest(row) as f32 == **label).count(),
            count: indices.len(),
        }
    }

    fn first_not_finite(&self, model: &Perceptron, arena: &Arena<f32>, draw: Draw) -> String {
        let place = |node: NodeId| &arena[self.plan.place(node)];
        let batch = (place(self.network.images), place(self.network.labels));
        first_not_finite(model, &self.network, &arena[0..model.parameter_count()], batch, draw)
    }
}

/// Looks for the place where a loss stopped being finite: a parameter, or a layer's output.
fn first_not_finite(
    model: &Perceptron,
    network: &Network,
    parameters: &[f32],
    (images, labels): (&[f32], &[f32]),
    draw: Draw,
) -> String {
    if let Some(parameter) = not_finite_parameter(model, parameters) {
        return parameter;
    }
    // Temporaries share memory, so the layers are computed once more, each in a place of its own.
    let flat = |parameter: Parameter| &parameters[parameter.offset..][..parameter.shape.size()];
    let values = model.parameters().into_iter().map(flat);
    let mut inputs = vec![(network.images, images), (network.labels, labels)];
    inputs.extend(network.parameters.iter().copied().zip(values));
    let values = evaluate_with(&network.graph, &inputs, &network.layers, draw);
    match values.iter().position(|layer| layer.iter().any(|x| !x.is_finite())) {
        Some(layer) => format!("the output of layer {}", layer + 1),
        None => "the loss".into(),
    }
}

/// Where the loss of a step, trained elsewhere, stopped being finite: the step is repeated here from the
/// parameters as they were. `indices` is its batch, `step` the number of updates before it.
pub(super) fn repeat_not_finite(
    job: &Job,
    parameters: &[f32],
    indices: &[u32],
    step: u64,
) -> Result<String, GraphError> {
    let network = job.model.training(indices.len())?;
    let (mut images, mut labels) = (vec![0.0; indices.len() * job.model.widths[0]], vec![0.0; indices.len()]);
    Gather::new(&job.data.train, job.normalisation, job.shifts).batch(
        step,
        indices,
        &mut images,
        &mut labels,
    );
    let draw = Draw { seed: job.seed, step };
    Ok(first_not_finite(&job.model, &network, parameters, (&images, &labels), draw))
}

/// The position of the largest element, the first of equals.
fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, x) in row.iter().enumerate() {
        if *x > row[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
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
                let numbers = engine.arena.len() + evaluator.arena.len() + saved;
                let actual = 4.0 * numbers as f64;
                assert!(counted >= actual, "{hidden:?}: {counted} counted, {actual} needed");
                assert!(counted <= 6.0 * actual, "{hidden:?}: {counted} counted, {actual} needed");
            }
        }
    }
}
