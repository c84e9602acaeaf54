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
//! [`Form::Deviations`], so that products leave out background and what ReLU puts to zero; outside this module
//! parameters and state are PyTorch's, weights (out, in). A step's gradients of weights are nowhere in memory: each tile goes into
//! its update as soon as it is computed. While a step runs, the next one's images are gathered.

use super::{Confusion, Ended, Engine, Epoch, Job, Set, Snapshot, Sums, not_finite_parameter, residents};
use crate::data::{Gather, batches};
use crate::exec::cpu::Run;
use crate::exec::{Arena, Nonzeros, Plan, Request, Resident, Team, Update, evaluate_with, vectorized};
use crate::model::{Form, Network, Parameter, Perceptron};
use crate::ops::{Draw, GraphError};
use crate::optim::{Optimizer, Step};
use crate::train::TrainError;

/// Images in one batch of an evaluation.
const EVALUATION_BATCH: usize = 500;

/// The elements from where the parameters begin in the arena to where the optimizer's first numbers of state do, and
/// from there to its second ones: all begin with a cache line.
fn region(model: &Perceptron) -> usize {
    const LINE: usize = 64 / size_of::<f32>();
    model.parameter_count().next_multiple_of(LINE)
}

/// A network in training, step by step.
pub struct Learner {
    model: Perceptron,
    optimizer: Optimizer,
    seed: u64,
    training: Stage,
    last_batch: Option<Stage>,
    /// Batches that are not in use.
    spare: Vec<Batch>,
    arena: Arena<f32>,
    /// The number of updates so far.
    step: u64,
}

/// A network of one batch size, planned.
struct Stage {
    batch: usize,
    network: Network,
    plan: Plan,
    nonzeros: Vec<Nonzeros<f32>>,
}

/// Images and labels, ready for a step.
struct Batch {
    images: Nonzeros<f32>,
    background: f32,
    labels: Vec<f32>,
}

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
        let training = Stage::training(&model, &optimizer, batch_size)?;
        let last_batch = match examples % batch_size {
            0 => None,
            rest => Some(Stage::training(&model, &optimizer, rest)?),
        };
        let needed = last_batch.as_ref().map_or(0, |stage| stage.plan.arena());
        let arena = Arena::new(training.plan.arena().max(needed));
        let count = model.parameter_count();
        let zeros = vec![0.0; optimizer.state_per_parameter() * count];
        let mut learner =
            Self { model, optimizer, seed, training, last_batch, spare: Vec::new(), arena, step: 0 };
        learner.restore(&learner.model.initial_parameters(seed), &zeros, 0);
        Ok(learner)
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

    fn write_plain(&self, number: usize, out: &mut [f32]) {
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
        let Stage { plan, nonzeros, .. } = &mut self.training;
        std::mem::swap(&mut nonzeros[0], &mut batch.images);
        let found = plan.multiplications(nonzeros);
        std::mem::swap(&mut nonzeros[0], &mut batch.images);
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
    fn train_steps(
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

    /// A batch of so many images, not filled.
    fn batch(&mut self, count: usize) -> Batch {
        match self.spare.iter().position(|batch| batch.labels.len() == count) {
            Some(position) => self.spare.swap_remove(position),
            None => Batch::new(count, self.model.widths[0]),
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
        assert_eq!(batch.labels.len(), stage.batch, "no plan is made for a batch of so many images");
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
        Err(TrainError::NotFinite { step: self.step + 1, place, learning_rate })
    }
}

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
        let Self { learner, plain, .. } = self;
        let count = learner.model.parameter_count();
        plain.resize((1 + learner.optimizer.state_per_parameter()) * count, 0.0);
        for (number, out) in plain.chunks_exact_mut(count).enumerate() {
            learner.write_plain(number, out);
        }
        let (parameters, state) = plain.split_at(count);
        Ok(Snapshot { parameters, state, step: learner.step })
    }

    fn restore(&mut self, snapshot: Snapshot<'_>) -> Result<(), TrainError> {
        self.learner.restore(snapshot.parameters, snapshot.state, snapshot.step);
        Ok(())
    }
}

/// Losses and predictions of a network as it stands, without dropout.
pub struct Evaluator {
    model: Perceptron,
    stages: Vec<(Stage, Batch)>,
    arena: Arena<f32>,
    count: usize,
}

impl Evaluator {
    /// An evaluator of `count` images.
    ///
    /// # Errors
    /// When the architecture does not hold together.
    pub fn new(model: &Perceptron, count: usize) -> Result<Self, GraphError> {
        let sizes = [EVALUATION_BATCH.min(count), count % EVALUATION_BATCH.min(count).max(1)];
        let stages = sizes
            .into_iter()
            .filter(|&size| size > 0)
            .map(|size| Ok((Stage::inference(model, size)?, Batch::new(size, model.widths[0]))))
            .collect::<Result<Vec<_>, GraphError>>()?;
        let needed = stages.iter().map(|(stage, _)| stage.plan.arena());
        let arena = Arena::new(needed.fold(model.parameter_count(), usize::max));
        Ok(Self { model: model.clone(), stages, arena, count })
    }

    /// Evaluates the images in order; `predicted(image, class, loss)` is told each prediction.
    pub fn run(
        &mut self,
        parameters: &[f32],
        gather: &Gather<'_>,
        mut predicted: impl FnMut(usize, usize, f32),
    ) -> Sums {
        let Self { model, stages, arena, count } = self;
        model.transpose(parameters, &mut arena[0..model.parameter_count()], true);
        let mut total = Sums::default();
        let full = stages.first().map_or(0, |(stage, _)| stage.batch);
        for range in batches(*count, EVALUATION_BATCH) {
            // The first stage is of full batches, the last of what is left.
            let (stage, batch) = &mut stages[usize::from(range.len() < full)];
            let mut indices = [0; EVALUATION_BATCH];
            for (index, image) in indices.iter_mut().zip(range.clone()) {
                *index = image as u32;
            }
            batch.fill(gather, 0, &indices[..range.len()]);
            stage.take_up(arena, batch);
            let run = Run { draw: Draw::default(), rule: None };
            stage.plan.run_part(0..stage.plan.instructions().len(), arena, &mut stage.nonzeros, run);
            stage.give_back(batch);
            total += stage.sums(arena);
            let losses = &arena[stage.plan.place(stage.network.losses)];
            for ((image, row), &loss) in range.zip(stage.logits(arena)).zip(losses) {
                predicted(image, largest(row), loss);
            }
        }
        total
    }
}

impl Batch {
    fn new(count: usize, pixels: usize) -> Self {
        Self { images: Nonzeros::new(count, pixels), background: 0.0, labels: vec![0.0; count] }
    }

    /// Takes up the images `indices` as they are at a step.
    fn fill(&mut self, gather: &Gather<'_>, step: u64, indices: &[u32]) {
        self.begin(gather, indices);
        self.images.fill_by_rows(write(gather.deviations(), step, indices));
    }

    /// As [`Self::fill`], beside some other work.
    fn fill_beside<R>(
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
    fn training(model: &Perceptron, optimizer: &Optimizer, batch: usize) -> Result<Self, GraphError> {
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
        Ok(Self::planned(batch, network, &places, (1 + states) * region, &updates))
    }

    fn inference(model: &Perceptron, batch: usize) -> Result<Self, GraphError> {
        let network = model.network(batch, Form::Deviations, false)?;
        let places = residents(model, &network.parameters, 0);
        Ok(Self::planned(batch, network, &places, model.parameter_count(), &[]))
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
        let nonzeros = plan.nonzeros();
        Self { batch, network, plan, nonzeros }
    }

    /// Gives the inputs their values; what is not zero in the images is the stage's until it is given back.
    fn take_up(&mut self, arena: &mut Arena<f32>, batch: &mut Batch) {
        std::mem::swap(&mut self.nonzeros[0], &mut batch.images);
        arena[self.plan.place(self.network.labels)].copy_from_slice(&batch.labels);
        if let Some(background) = self.network.background {
            arena[self.plan.place(background)].fill(batch.background);
        }
    }

    fn give_back(&mut self, batch: &mut Batch) {
        std::mem::swap(&mut self.nonzeros[0], &mut batch.images);
    }

    /// The logits of each image.
    fn logits<'a>(&self, arena: &'a Arena<f32>) -> impl Iterator<Item = &'a [f32]> {
        let logits = self.network.logits();
        let classes = self.plan.shape(logits)[1];
        arena[self.plan.place(logits)].chunks_exact(classes)
    }

    /// Sums up the losses and correct predictions.
    fn sums(&self, arena: &Arena<f32>) -> Sums {
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

/// Where the loss of a step stopped being finite: the step is repeated, in the plain form, from the flat parameters as
/// they were. `indices` is its batch, `draw` has the number of updates before it.
pub(super) fn repeat_not_finite(
    model: &Perceptron,
    gather: &Gather<'_>,
    parameters: &[f32],
    indices: &[u32],
    draw: Draw,
) -> Result<String, GraphError> {
    let network = model.training(indices.len())?;
    let (mut images, mut labels) = (vec![0.0; indices.len() * model.widths[0]], vec![0.0; indices.len()]);
    gather.batch(draw.step, indices, &mut images, &mut labels);
    Ok(first_not_finite(model, &network, parameters, (&images, &labels), draw))
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
