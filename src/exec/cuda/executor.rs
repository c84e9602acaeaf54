//! Steps on a CUDA device, which within a pass never waits for the host.
//!
//! Everything that a step needs is on the device: the images as bytes, the pass's order and scalars, the number of the
//! step, the sums. So a step is the same work each time, captured once as a CUDA
//! graph, with the backward pass on parallel branches, and launched as a whole; the pass's smaller last
//! batch has a graph of its own. The host puts a pass's launches on a stream, looks now and then which are done, and
//! reads the sums when all are.
//!
//! The arena begins with what stays from step to step, each part at a multiple of 128 bytes; the rest is a plan's:
//!
//! ```text
//! | parameters | optimizer state (0 or more times) | scalars | inputs, gradients, outputs and temporaries |
//! ```

use std::sync::Arc;

use super::arena::DeviceArena;
use super::capture::Lanes;
use super::device::Device;
use super::error::CudaError;
use super::feed::{Counted, Feed};
use super::kernels::StepState;
use super::plan::{CudaMode, Products};
use super::progress::Marks;
use super::stage::{Buffers, Stage, Worker};
use crate::data::batches;
use crate::exec::executor::{
    Ended, Epoch, Examples, ExecError, Executor, Memory, Pass, PassId, Step, Sums, Totals, Watch, stages,
};

/// Examples in one batch if nobody says how many: as many as in the first pass, between these bounds, if they are worth
/// their memory.
const BATCH: (usize, usize) = (500, 2000);

/// The bytes of the device that such a batch may take, all layers counted: with more, a card is no faster.
const WORTH: usize = 256 << 20;

/// A device at work.
pub struct CudaExecutor {
    worker: Worker,
    products: Products,
    passes: Vec<PreparedPass>,
    /// None before memory is first needed.
    arena: Option<DeviceArena>,
}

/// A pass, planned.
struct PreparedPass {
    /// For full batches, and for what is left.
    stages: Vec<Stage>,
    count: usize,
    /// None before the examples are there.
    loaded: Option<(Feed, Marks)>,
}

impl CudaExecutor {
    /// An executor whose work runs on the device.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn new(device: Arc<Device>, mode: CudaMode) -> Result<Self, CudaError> {
        let lanes = Lanes::new(&device, mode.launching)?;
        Ok(Self {
            worker: Worker { device, lanes },
            products: mode.products,
            passes: Vec::new(),
            arena: None,
        })
    }

    /// How the buffers lie, which is the same for all passes.
    fn buffers(&self) -> Buffers {
        match self.passes.first() {
            Some(pass) => pass.stages[0].buffers,
            None => panic!("no pass was prepared, so there are no buffers"),
        }
    }

    /// The memory of all plans: from here on it stays where it is, so no further pass can be prepared.
    fn arena(&mut self) -> Result<&mut DeviceArena, CudaError> {
        let Self { worker: Worker { device, lanes }, passes, arena, .. } = self;
        match arena {
            Some(arena) => Ok(arena),
            none => {
                let stages = passes.iter().flat_map(|pass| &pass.stages);
                let size = stages.map(|stage| stage.plan.arena()).max().unwrap_or(0);
                Ok(none.insert(DeviceArena::new(device, lanes.main(), size)?))
            }
        }
    }
}

impl Executor for CudaExecutor {
    fn prepare(&mut self, pass: Pass<'_>) -> Result<PassId, ExecError> {
        assert!(self.arena.is_none(), "a pass is prepared before memory is taken");
        let (products, tuning) = (self.products, self.worker.device.tuning());
        let first = self.passes.first().map(|pass| &pass.stages[0]);
        let stage = |step: Step, batch: usize| {
            let buffers = first.map_or(1 + step.inputs.state.len(), |stage| stage.buffers.count);
            Stage::new(step, batch, buffers, pass.seed, products, tuning)
        };
        let bytes = |stage: &Stage| (stage.plan.arena() - stage.buffers.reserved()) * size_of::<f32>();
        let usual = first.map_or(BATCH.0, |stage| stage.batch).clamp(BATCH.0, BATCH.1);
        let stages = stages(pass, usual, WORTH, stage, bytes)?;
        let buffers = first.unwrap_or(&stages[0]).buffers;
        assert!(stages.iter().all(|stage| stage.buffers == buffers), "all passes share parameters and state");
        self.passes.push(PreparedPass { stages, count: pass.count, loaded: None });
        Ok(PassId(self.passes.len() - 1))
    }

    /// The buffers, as they are read and as a checkpoint.
    fn memory(&self, _: usize) -> Memory {
        let Buffers { size, count } = self.buffers();
        Memory { parameters: 2 * count * size * size_of::<f32>(), training: 0, evaluation: 0 }
    }

    fn load(&mut self, pass: PassId, examples: Examples) -> Result<(), ExecError> {
        self.arena()?;
        let Self { worker, passes, arena: Some(arena), .. } = self else { unreachable!("it was taken") };
        let pass = &mut passes[pass.0];
        let full = &pass.stages[0];
        assert!(examples.split.len() >= pass.count, "{} examples of {}", examples.split.len(), pass.count);
        assert_eq!(examples.split.pixels(), full.features(), "pixels of an example");
        let scalars = pass.count.div_ceil(full.batch) * full.scalars();
        let hits = if full.stores() { 1 } else { full.classes() * full.classes() };
        pass.loaded = None; // and with it the memory that was captured
        let mut feed = Feed::new(worker.lanes.main(), &examples, full.batch, scalars, hits)?;
        for stage in &mut pass.stages {
            stage.prepare(worker, arena, &mut feed)?;
        }
        pass.loaded = Some((feed, Marks::new(&worker.device)?));
        Ok(())
    }

    fn write(&mut self, buffer: usize, values: &[f32]) -> Result<(), ExecError> {
        let (place, stream) = (self.buffers().place(buffer), self.worker.lanes.main().clone());
        Ok(self.arena()?.upload(&stream, place, values)?)
    }

    fn read(&mut self, buffer: usize, values: &mut [f32]) -> Result<(), ExecError> {
        let (place, stream) = (self.buffers().place(buffer), self.worker.lanes.main().clone());
        Ok(self.arena()?.download(&stream, place, values)?)
    }

    /// Launches the work on all batches, and waits for its end. The host looks at marks along the way, but
    /// never waits while there is something to launch.
    fn run(
        &mut self,
        pass: PassId,
        epoch: Option<Epoch<'_>>,
        watch: &mut Watch<'_>,
    ) -> Result<Totals, ExecError> {
        let Self { worker, passes, arena, .. } = self;
        let (PreparedPass { stages, count, loaded: Some((feed, marks)) }, Some(arena)) =
            (&mut passes[pass.0], arena)
        else {
            panic!("the pass has no examples")
        };
        let (full, stream) = (&stages[0], worker.lanes.main().clone());
        let ranges = batches(*count, full.batch);
        let steps = ranges.len();
        let scalars = epoch.map_or(0, |epoch| epoch.scalars.len());
        assert_eq!(epoch.map_or(*count, |epoch| epoch.order.len()), *count, "examples in the order");
        assert_eq!(scalars, steps * full.scalars(), "{} scalars for each of {steps} steps", full.scalars());

        feed.begin(&stream, *count, epoch)?;
        let Epoch { done, until, .. } = epoch.unwrap_or(Epoch::whole(&[], &[], 0));
        let until = until.min(steps);
        let mut progress = marks.of(done.steps..until);
        let mut totals = Totals { steps: done.steps, sums: done.sums, ..Totals::default() };
        for range in ranges.take(until).skip(done.steps) {
            stages[usize::from(range.len() < full.batch)].launch(worker, arena, feed)?;
            totals.steps += 1;
            totals.sums.count += range.len();
            if progress.mark(&stream, totals.steps)? && !watch(progress.look()?) {
                break;
            }
        }
        if totals.steps < steps {
            totals.ended = Ended::Early;
        }
        progress.finish(|done| {
            watch(done);
        })?;

        let Counted { state, loss, hits } = feed.counted(&stream)?;
        if full.stores() {
            totals.not_finite = Some(state.first_not_finite).filter(|&number| number != StepState::NONE);
            totals.sums.correct = hits.iter().sum::<u64>() as usize;
        } else {
            let classes = full.classes();
            totals.confusion = hits.chunks(classes).map(<[u64]>::to_vec).collect();
            totals.sums.correct = (0..classes).map(|class| totals.confusion[class][class] as usize).sum();
        }
        totals.sums = Sums { loss, ..totals.sums };
        Ok(totals)
    }
}
