//! The work on one batch: the plan of the network, and what goes before and after it, as tasks in a partial
//! order.

use std::sync::Arc;

use cudarc::driver::CudaStream;

use super::phase::Feed;
use super::{Layout, Worker};
use crate::exec::cuda::{
    BatchOrder, CudaError, CudaPlan, Device, DeviceArena, DeviceDraw, DeviceSplit, Multiplying, Prepared,
};
use crate::exec::order::{Access, Order};
use crate::graph::NodeId;
use crate::model::Network;
use crate::ops::GraphError;
use crate::train::engine::{Job, residents};

/// What a batch is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Training,
    Evaluation,
}

/// The work on a batch of one size.
pub(super) struct Stage {
    pub batch: usize,
    network: Network,
    pub plan: CudaPlan,
    tasks: Vec<Task>,
    order: Order,
    /// None before it was prepared.
    prepared: Option<Prepared>,
}

/// A part of the work on a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Task {
    BeginStep,
    Gather,
    /// A task of the plan.
    Planned(usize),
    AddLosses,
    /// Of training batches only their sum.
    CountHits,
    /// (label, prediction) pairs.
    CountConfusions,
    Update,
}

/// What tasks touch beside the values of the plan, numbered behind them.
enum Shared {
    Loss,
    Hits,
    OptimizerState,
}

impl Stage {
    pub fn new(
        job: &Job,
        kind: Kind,
        batch: usize,
        (layout, multiplying): (Layout, Multiplying<'_>),
    ) -> Result<Self, GraphError> {
        let model = &job.model;
        let network = match kind {
            Kind::Training => model.training(batch)?,
            Kind::Evaluation => model.inference(batch)?,
        };
        let mut places = residents(model, &network.parameters, layout.parameters().start);
        places.extend(residents(model, &network.gradients, layout.gradients().start));
        let outputs = [&[network.losses, network.logits()][..], &network.gradients].concat();
        let plan = CudaPlan::new(&network.graph, &outputs, &places, layout.reserved(), multiplying);
        let before = [Task::BeginStep, Task::Gather];
        let after: &[Task] = match kind {
            Kind::Training => &[Task::AddLosses, Task::CountHits, Task::Update],
            Kind::Evaluation => &[Task::AddLosses, Task::CountConfusions],
        };
        let accesses = |tasks: &[Task]| {
            tasks.iter().filter_map(|&task| access(task, &plan, &network)).collect::<Vec<_>>()
        };
        let order = plan.order_with(&accesses(&before), &accesses(after));
        let planned = (0..plan.accesses().len()).map(Task::Planned);
        let tasks = before.into_iter().chain(planned).chain(after.iter().copied()).collect();
        Ok(Self { batch, network, order, plan, tasks, prepared: None })
    }

    /// Captures the tasks, if that is how they are launched. From here on the memory they work in stays.
    pub fn prepare(&mut self, job: &Job, worker: &mut Worker, feed: &mut Feed) -> Result<(), CudaError> {
        let Worker { device, lanes, launching, layout, arena } = worker;
        let put = |task: usize, stream: &Arc<CudaStream>| {
            self.put(self.tasks[task], stream, (job, device, *layout), arena, feed)
        };
        self.prepared = Some(lanes.prepare(*launching, &self.order, put)?);
        Ok(())
    }

    /// Puts the work on one batch, the next of the feed, on the stream.
    pub fn launch(&self, job: &Job, worker: &mut Worker, feed: &mut Feed) -> Result<(), CudaError> {
        let Worker { device, lanes, layout, arena, .. } = worker;
        let put = |task: usize, stream: &Arc<CudaStream>| {
            self.put(self.tasks[task], stream, (job, device, *layout), arena, feed)
        };
        match &self.prepared {
            Some(prepared) => lanes.run(prepared, &self.order, put),
            None => Err(CudaError::NothingCaptured),
        }
    }

    fn put(
        &self,
        task: Task,
        stream: &Arc<CudaStream>,
        (job, device, layout): (&Job, &Device, Layout),
        arena: &mut DeviceArena,
        feed: &mut Feed,
    ) -> Result<(), CudaError> {
        let kernels = device.kernels();
        let Self { network, plan, .. } = self;
        let classes = job.data.classes;
        match task {
            Task::BeginStep => kernels.optimizers.begin_step(
                stream,
                &job.optimizer,
                job.weight_decay,
                &feed.learning_rates.as_view(),
                &mut feed.step.as_view_mut(),
            ),
            Task::Gather => {
                let split = DeviceSplit {
                    images: feed.images.as_view(),
                    labels: feed.labels.as_view(),
                    rows: feed.extents[0],
                    columns: feed.extents[1],
                };
                let which = BatchOrder {
                    step: feed.step.as_view(),
                    order: feed.order.as_view(),
                    batch_size: feed.batch_size,
                };
                let (images, labels) = (plan.place(network.images), plan.place(network.labels));
                arena.lend([images, labels, 0..0], |_, [mut images, mut labels, _]| {
                    let how = (job.normalisation, feed.shifts);
                    kernels.gather.batch(stream, &split, how, &which, &mut images, &mut labels)
                })
            }
            Task::Planned(number) => {
                let draw = DeviceDraw { seed: job.seed, step: &feed.step.as_view() };
                plan.launch(kernels, stream, number, arena, draw)
            }
            Task::AddLosses => {
                let losses = arena.view(plan.place(network.losses));
                let (mut step, mut loss) = (feed.step.as_view_mut(), feed.loss.as_view_mut());
                kernels.accuracy.accumulate_losses(stream, &losses, &mut step, &mut loss)
            }
            Task::CountHits => {
                let (logits, labels) = (plan.place(network.logits()), plan.place(network.labels));
                let (logits, labels) = (arena.view(logits), arena.view(labels));
                let hits = &mut feed.hits.as_view_mut();
                kernels.accuracy.count_correct(stream, classes, &logits, &labels, hits)
            }
            Task::CountConfusions => {
                let (logits, labels) = (plan.place(network.logits()), plan.place(network.labels));
                let (logits, labels) = (arena.view(logits), arena.view(labels));
                let hits = &mut feed.hits.as_view_mut();
                kernels.accuracy.count_confusions(stream, classes, &logits, &labels, hits)
            }
            Task::Update => {
                let [first, second] = layout.states();
                let has_second = !second.is_empty();
                arena.lend(
                    [layout.parameters(), first, second],
                    |rest, [mut theta, mut first, mut second]| {
                        let gradients = rest.get(layout.gradients());
                        let second = has_second.then_some(&mut second);
                        let step = feed.step.as_view();
                        kernels.optimizers.update(
                            stream,
                            &job.optimizer,
                            &step,
                            &mut theta,
                            &gradients,
                            &mut first,
                            second,
                        )
                    },
                )
            }
        }
    }
}

/// What a task beside the plan's touches.
fn access(task: Task, plan: &CudaPlan, network: &Network) -> Option<Access> {
    let shared = |shared: Shared| plan.values() + shared as usize;
    let values = |nodes: &[NodeId]| nodes.iter().map(|node| node.index()).collect::<Vec<_>>();
    let step = plan.step();
    // What is written is changed, and so read, but for a batch.
    let (read, written) = match task {
        Task::Planned(_) => return None, // the plan knows
        Task::BeginStep => (vec![], vec![step]),
        Task::Gather => {
            return Some(Access { reads: vec![step], writes: values(&[network.images, network.labels]) });
        }
        Task::AddLosses => (values(&[network.losses]), vec![step, shared(Shared::Loss)]),
        Task::CountHits | Task::CountConfusions => {
            (values(&[network.logits(), network.labels]), vec![shared(Shared::Hits)])
        }
        Task::Update => {
            let written = [values(&network.parameters), vec![shared(Shared::OptimizerState)]].concat();
            ([values(&network.gradients), vec![step]].concat(), written)
        }
    };
    Some(Access { reads: [read, written.clone()].concat(), writes: written })
}
