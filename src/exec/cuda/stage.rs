//! A step on batches of one size: the plan of its graph, and what goes before and beside it, as tasks in a partial order.

use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::CudaStream;

use super::arena::DeviceArena;
use super::capture::{Lanes, PreparedTasks};
use super::device::Device;
use super::error::CudaError;
use super::feed::Feed;
use super::kernels::Tuning;
use super::launch::DeviceDraw;
use super::order::{Access, Order};
use super::places::ALIGNMENT;
use super::plan::{CudaPlan, Products};
use crate::exec::executor::Step;
use crate::exec::{Resident, Wanted};
use crate::graph::NodeId;
use crate::ops::Function;

/// What works: a device and its streams.
pub(super) struct Worker {
    pub device: Arc<Device>,
    pub lanes: Lanes,
}

/// Where the buffers lie in the arena: parameters, then each number of the optimizer's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Buffers {
    /// Elements of each.
    pub size: usize,
    pub count: usize,
}

impl Buffers {
    /// Each begins at a multiple of 128 bytes.
    pub fn place(self, number: usize) -> Range<usize> {
        assert!(number < self.count, "buffer {number} of {}", self.count);
        let start = number * self.size.next_multiple_of(ALIGNMENT);
        start..start + self.size
    }

    /// The elements in front of the arena that are theirs.
    pub fn reserved(self) -> usize {
        self.count * self.size.next_multiple_of(ALIGNMENT)
    }
}

/// The work on a batch of one size.
pub(super) struct Stage {
    pub batch: usize,
    pub buffers: Buffers,
    pub plan: CudaPlan,
    step: Step,
    scalars: Range<usize>,
    seed: u64,
    tasks: Vec<Part>,
    order: Order,
    /// None before it was prepared.
    prepared: Option<PreparedTasks>,
}

/// A part of the work on a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    BeginStep,
    Gather,
    /// A task of the plan.
    Planned(usize),
    /// The step stores nothing if their sum is not finite.
    AddLosses,
    /// Of a step that stores their number, else (label, prediction) pairs.
    CountHits,
}

/// What parts touch beside the values of the plan, numbered behind them.
enum Shared {
    Loss,
    Hits,
}

impl Stage {
    /// A step on so many examples, beside `buffers` buffers, which it uses all or only the parameters of.
    pub fn new(
        step: Step,
        batch: usize,
        buffers: usize,
        seed: u64,
        products: Products,
        tuning: &Tuning,
    ) -> Self {
        let Function { graph, inputs, outputs, stores } = &step;
        let size = |node: &NodeId| graph[*node].shape.size();
        let buffers = Buffers { size: inputs.parameters.iter().map(size).sum(), count: buffers };
        let mut residents = Vec::new();
        let mut place = |nodes: &[NodeId], mut offset: usize| {
            for node in nodes {
                residents.push(Resident { node: *node, offset });
                offset += size(node);
            }
            offset
        };
        for (number, nodes) in [&inputs.parameters].into_iter().chain(&inputs.state).enumerate() {
            place(nodes, buffers.place(number).start);
        }
        let scalars = buffers.reserved()..place(&inputs.scalars, buffers.reserved());
        let outputs = [outputs.losses, outputs.logits];
        let wanted = Wanted { outputs: &outputs, stores, residents: &residents, reserved: scalars.end };
        let plan = CudaPlan::new(graph, wanted, products, tuning);
        let (before, after) = ([Part::BeginStep, Part::Gather], [Part::AddLosses, Part::CountHits]);
        let accesses = |parts: &[Part]| -> Vec<Access> {
            parts.iter().filter_map(|&part| access(part, &plan, &step)).collect()
        };
        let order = plan.order_with(&accesses(&before), &accesses(&after));
        let planned = |tasks: Range<usize>| tasks.map(Part::Planned);
        let (store, end) = (plan.first_store(), plan.accesses().len());
        let tasks =
            before.into_iter().chain(planned(0..store)).chain(after).chain(planned(store..end)).collect();
        Self { batch, buffers, plan, step, scalars, seed, tasks, order, prepared: None }
    }

    /// Whether it stores anything.
    pub fn stores(&self) -> bool {
        !self.step.stores.is_empty()
    }

    /// Scalars of a step.
    pub fn scalars(&self) -> usize {
        self.scalars.len()
    }

    /// Numbers of an example.
    pub fn features(&self) -> usize {
        self.plan.shape(self.step.inputs.examples).size() / self.batch
    }

    pub fn classes(&self) -> usize {
        self.plan.shape(self.step.outputs.logits).size() / self.batch
    }

    /// Captures the tasks, if that is how they are launched. From here on the memory they work in stays.
    pub fn prepare(
        &mut self,
        Worker { device, lanes }: &Worker,
        arena: &mut DeviceArena,
        feed: &mut Feed,
    ) -> Result<(), CudaError> {
        let put =
            |task: usize, stream: &Arc<CudaStream>| self.put(self.tasks[task], stream, device, arena, feed);
        self.prepared = Some(lanes.prepare(&self.order, put)?);
        Ok(())
    }

    /// Puts the work on one batch, the next of the feed, on the stream.
    ///
    /// # Panics
    /// When it was not prepared.
    pub fn launch(
        &self,
        Worker { device, lanes }: &Worker,
        arena: &mut DeviceArena,
        feed: &mut Feed,
    ) -> Result<(), CudaError> {
        let Some(prepared) = &self.prepared else { panic!("the stage was not prepared") };
        let put =
            |task: usize, stream: &Arc<CudaStream>| self.put(self.tasks[task], stream, device, arena, feed);
        lanes.run(prepared, &self.order, put)
    }

    fn put(
        &self,
        task: Part,
        stream: &Arc<CudaStream>,
        device: &Device,
        arena: &mut DeviceArena,
        feed: &mut Feed,
    ) -> Result<(), CudaError> {
        let (kernels, plan) = (device.kernels(), &self.plan);
        let (inputs, outputs) = (&self.step.inputs, &self.step.outputs);
        match task {
            Part::BeginStep => {
                let (table, mut step) = (feed.table.as_view(), feed.step.as_view_mut());
                let table = table.slice(..table.len() / self.scalars().max(1) * self.scalars());
                let scalars = &mut arena.view_mut(self.scalars.clone());
                kernels.optimizers.begin_step(stream, &table, scalars, &mut step)
            }
            Part::Gather => {
                let (how, places) = ((feed.normalisation, feed.shifts), [inputs.examples, inputs.labels]);
                arena.lend(places.map(|node| plan.place(node)), |_, [mut examples, mut labels]| {
                    let (split, which) = (feed.split(), feed.which());
                    kernels.gather.batch(stream, &split, how, &which, &mut examples, &mut labels)
                })
            }
            Part::Planned(number) => {
                let draw = DeviceDraw { seed: self.seed, step: &feed.step.as_view() };
                plan.launch(kernels, stream, number, arena, draw)
            }
            Part::AddLosses => {
                let losses = arena.view(plan.place(outputs.losses));
                let (mut step, mut loss) = (feed.step.as_view_mut(), feed.loss.as_view_mut());
                kernels.accuracy.accumulate_losses(stream, &losses, &mut step, &mut loss)
            }
            Part::CountHits => {
                let [logits, labels] =
                    [outputs.logits, inputs.labels].map(|node| arena.view(plan.place(node)));
                let (classes, hits) = (self.classes(), &mut feed.hits.as_view_mut());
                match self.stores() {
                    true => kernels.accuracy.count_correct(stream, classes, &logits, &labels, hits),
                    false => kernels.accuracy.count_confusions(stream, classes, &logits, &labels, hits),
                }
            }
        }
    }
}

/// What a part beside the plan's tasks touches.
fn access(part: Part, plan: &CudaPlan, step: &Step) -> Option<Access> {
    let shared = |shared: Shared| plan.values() + shared as usize;
    let values = |nodes: &[NodeId]| nodes.iter().map(|node| node.index()).collect::<Vec<_>>();
    let Function { inputs, outputs, .. } = step;
    // What is changed is read, too.
    Some(match part {
        Part::Planned(_) => return None, // the plan knows
        Part::BeginStep => {
            let written = [values(&inputs.scalars), vec![plan.step()]].concat();
            Access { reads: vec![plan.step()], writes: written }
        }
        Part::Gather => {
            Access { reads: vec![plan.step()], writes: values(&[inputs.examples, inputs.labels]) }
        }
        Part::AddLosses => {
            let changed = vec![plan.step(), shared(Shared::Loss)];
            Access { reads: [values(&[outputs.losses]), changed.clone()].concat(), writes: changed }
        }
        Part::CountHits => {
            let changed = vec![shared(Shared::Hits)];
            Access {
                reads: [values(&[outputs.logits, inputs.labels]), changed.clone()].concat(),
                writes: changed,
            }
        }
    })
}
