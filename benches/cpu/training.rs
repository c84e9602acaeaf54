//! Training one step at a time.

use cotangent::data::{Dataset, Normalisation};
use cotangent::exec::{CpuExecutor, Epoch, Examples, Executor, Pass, PassId, Team};
use cotangent::nn::Model;
use cotangent::optim::{Adam, Optimizer};
use cotangent::step;

/// A network that Adam trains, batch after batch of a data set.
pub struct Training {
    executor: CpuExecutor,
    pass: PassId,
    optimizer: Optimizer,
    parameters: usize,
    order: Vec<u32>,
    batch: usize,
    updates: u64,
}

impl Training {
    pub fn new<M: Model>(team: Team, model: &M, data: &Dataset, batch: usize) -> Self {
        let optimizer = Optimizer::Adam(Adam::default());
        let mut executor = CpuExecutor::new(team);
        let trains = |batch| step::training(model, &optimizer, batch);
        // An epoch of one batch, each time of others of the images.
        let pass = Pass { step: &trains, count: batch, batch: Some(batch), seed: 0 };
        let pass = executor.prepare(pass).expect("the network holds together");
        let (split, normalisation) = (data.train.clone(), Normalisation::of(&data.train));
        let order = (0..split.len() as u32).collect();
        let on_cpu = "the processor does not fail";
        executor.load(pass, Examples { split, normalisation, shifts: None }).expect(on_cpu);
        let parameters = model.parameter_count();
        executor.write(0, &model.initial_parameters(0)).expect(on_cpu);
        for state in 1..=optimizer.states() {
            executor.write(state, &vec![0.0; parameters]).expect(on_cpu);
        }
        Self { executor, pass, optimizer, parameters, order, batch, updates: 0 }
    }

    /// Gather, forwards, backwards, update.
    pub fn step(&mut self) {
        let scalars = self.optimizer.at::<f64>(self.updates + 1, 1e-3, 0.0);
        let epoch = Epoch::whole(&self.order[..self.batch], &scalars, self.updates);
        let totals =
            self.executor.run(self.pass, Some(epoch), &mut |_| true).expect("the processor does not fail");
        assert_eq!(totals.not_finite, None, "the loss of a step");
        self.order.rotate_left(self.batch);
        self.updates += 1;
    }

    pub fn parameters(&mut self) -> Vec<f32> {
        let mut parameters = vec![0.0; self.parameters];
        self.executor.read(0, &mut parameters).expect("the processor does not fail");
        parameters
    }

    /// The multiplications of the products: all, and those that the last step did, zeros left out.
    pub fn multiplications(&mut self) -> [u64; 2] {
        self.executor.multiplications(self.pass)
    }
}
