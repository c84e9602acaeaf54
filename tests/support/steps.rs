//! Training steps: on any executor, and node by node as the plain interpreter has them.

use std::sync::Arc;

use cotangent::autodiff::vjp;
use cotangent::data::{Normalisation, Shifts, Split, batches};
use cotangent::exec::{Epoch, Examples, Executor, Inputs, Interpreter, Pass, PassId, Totals};
use cotangent::float::Float;
use cotangent::graph::NodeId;
use cotangent::nn::Model;
use cotangent::ops::{Builder, Draw, Function, GraphError, Var};
use cotangent::optim::{Optimizer, Piece};
use cotangent::step;

pub const SEED: u64 = 5;
const RATE: f64 = 1e-2;
const DECAY: f64 = 0.1;

/// A model in training as a function of images, labels and parameters: losses, each layer's output, and the gradients of
/// the mean loss.
pub type Training = Function<([NodeId; 2], Vec<NodeId>), (NodeId, Vec<NodeId>, Vec<NodeId>)>;

pub fn training(model: &dyn Model, batch: usize) -> Result<Training, GraphError> {
    let builder = Builder::new();
    let images = builder.input("images", [&[batch], &model.input()[..]].concat());
    let labels = builder.input("labels", [batch]);
    let parameters = model.declare(&builder);
    let layers = model.forward(images, &parameters, true);
    let losses = layers[layers.len() - 1].softmax_cross_entropy(labels);
    let adjoints = vjp(losses.mean(), builder.constant(1.0), &parameters);
    let gradients: Vec<Var<'_>> = parameters.iter().map(|&parameter| adjoints.get(parameter)).collect();
    builder.finish(([images, labels], parameters), (losses, layers, gradients))
}

/// A model that an executor trains on some images.
pub struct Steps<E> {
    pub executor: E,
    pass: PassId,
    model: Arc<dyn Model>,
    optimizer: Optimizer,
    examples: Examples,
    batch: usize,
    updates: u64,
}

impl<E: Executor> Steps<E> {
    /// Before the first step.
    pub fn new(
        mut executor: E,
        model: &Arc<dyn Model>,
        optimizer: Optimizer,
        (split, batch): (&Split, usize),
    ) -> Self {
        let trains = |batch| step::training(&**model, &optimizer, batch);
        let pass = Pass { step: &trains, count: split.len(), batch: Some(batch), seed: SEED };
        let pass = executor.prepare(pass).unwrap();
        let normalisation = Normalisation::of(split);
        let examples =
            Examples { split: Arc::new(split.clone()), normalisation, shifts: Some(Shifts::new(SEED, 1)) };
        executor.load(pass, examples.clone()).unwrap();
        executor.write(0, &model.initial_parameters(SEED)).unwrap();
        for state in 1..=optimizer.states() {
            executor.write(state, &vec![0.0; model.parameter_count()]).unwrap();
        }
        Self { executor, pass, model: model.clone(), optimizer, examples, batch, updates: 0 }
    }

    /// Parameters, then each number of state.
    pub fn buffers(&mut self) -> Vec<Vec<f32>> {
        let mut buffers = vec![vec![0.0; self.model.parameter_count()]; 1 + self.optimizer.states()];
        for (number, buffer) in buffers.iter_mut().enumerate() {
            self.executor.read(number, buffer).unwrap();
        }
        buffers
    }

    pub fn epoch(&mut self, order: &[u32]) -> Totals {
        let steps = batches(order.len(), self.batch).len() as u64;
        let scalars =
            (self.updates..self.updates + steps).flat_map(|before| scalars(&self.optimizer, before));
        self.epoch_with(order, &scalars.collect::<Vec<f64>>())
    }

    /// An epoch with the scalars of its steps.
    pub fn epoch_with(&mut self, order: &[u32], scalars: &[f64]) -> Totals {
        let epoch = Epoch::whole(order, scalars, self.updates);
        self.updates += batches(order.len(), self.batch).len() as u64;
        self.executor.run(self.pass, Some(epoch), &mut |_| true).unwrap()
    }

    /// The same epoch from these buffers, computed node by node: the sum of losses, and the buffers after it.
    pub fn plain_epoch(&self, order: &[u32], mut buffers: Vec<Vec<f32>>) -> (f64, Vec<Vec<f32>>) {
        let (mut sum, gather) = (0.0, self.examples.gather());
        for (before, range) in (self.updates..).zip(batches(order.len(), self.batch)) {
            let indices = &order[range];
            let step = step::training(&*self.model, &self.optimizer, indices.len()).unwrap();
            let Inputs { examples, labels, scalars: rates, parameters, state } = &step.inputs;
            let mut values = Interpreter::<f32>::new(&step.graph);
            let mut batch = (vec![0.0; step.graph[*examples].shape.size()], vec![0.0; indices.len()]);
            gather.batch(before, indices, &mut batch.0, &mut batch.1);
            values.set(*examples, &batch.0);
            values.set(*labels, &batch.1);
            for (&node, rate) in rates.iter().zip(scalars(&self.optimizer, before)) {
                values.set(node, &[rate as f32]);
            }
            let places: Vec<_> = self.model.parameters().iter().map(|parameter| parameter.range()).collect();
            let lists: Vec<&Vec<NodeId>> = std::iter::once(parameters).chain(state).collect();
            for (nodes, buffer) in lists.iter().zip(&buffers) {
                nodes.iter().zip(&places).for_each(|(&node, place)| values.set(node, &buffer[place.clone()]));
            }
            values.run(0..step.graph.len(), Draw { seed: SEED, step: before });
            for (nodes, buffer) in lists.iter().zip(&mut buffers) {
                for (node, place) in nodes.iter().zip(&places) {
                    let store = step.stores.iter().find(|store| store.into == *node).unwrap();
                    buffer[place.clone()].copy_from_slice(values.get(store.value));
                }
            }
            sum += values.get(step.outputs.losses).iter().map(|&loss| f64::from(loss)).sum::<f64>();
        }
        (sum, buffers)
    }
}

/// The scalars of the step after so many updates.
fn scalars(optimizer: &Optimizer, before: u64) -> Vec<f64> {
    optimizer.at(before + 1, RATE, DECAY)
}

/// The circumstances of one update.
#[derive(Clone, Copy)]
pub struct Step {
    /// From 1.
    pub number: u64,
    pub learning_rate: f64,
    pub weight_decay: f64,
}

impl Step {
    /// An update by the rule's compiled loop.
    pub fn update<T: Float>(self, optimizer: &Optimizer, piece: Piece<'_, T>) {
        let Self { number, learning_rate, weight_decay } = self;
        optimizer.run(&optimizer.at::<T>(number, learning_rate, weight_decay), [piece]);
    }
}
