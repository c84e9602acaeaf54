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
use super::capture::{Lanes, Launching};
use super::device::Device;
use super::error::CudaError;
use super::feed::{Counted, Feed};
use super::kernels::StepState;
use super::plan::{CudaMode, Products};
use super::progress::Marks;
use super::stage::{Buffers, Stage, Worker};
use crate::data::batches;
use crate::exec::executor::{
    Ended, Epoch, Examples, ExecError, Executor, Memory, Pass, PassId, Sums, Totals, Watch, rows_worth,
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
}

/// A pass, planned.
struct PreparedPass {
    /// For full batches, and for what is left.
    stages: Vec<Stage>,
    count: usize,
    /// None before the examples are there.
    loaded: Option<(Feed, Marks)>,
}

impl PreparedPass {
    /// Examples in a full batch.
    fn batch(&self) -> usize {
        self.stages[0].batch
    }
}

impl CudaExecutor {
    /// An executor whose work runs on the device.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn new(device: Arc<Device>, mode: CudaMode) -> Result<Self, CudaError> {
        let lanes = Lanes::new(&device)?;
        device.wait_for_each_kernel(mode.launching == Launching::Launches);
        let worker = Worker { device, lanes, launching: mode.launching, arena: None };
        Ok(Self { worker, products: mode.products, passes: Vec::new() })
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
        let Worker { device, lanes, arena, .. } = &mut self.worker;
        if arena.is_none() {
            let stages = self.passes.iter().flat_map(|pass| &pass.stages);
            let size = stages.map(|stage| stage.plan.arena()).max().unwrap_or(0);
            *arena = Some(DeviceArena::new(device, lanes.main(), size)?);
        }
        arena.as_mut().ok_or(CudaError::NothingCaptured)
    }
}

impl Executor for CudaExecutor {
    fn prepare(&mut self, pass: Pass<'_>) -> Result<PassId, ExecError> {
        assert!(self.worker.arena.is_none(), "a pass is prepared before memory is taken");
        let Pass { step, count, seed, batch } = pass;
        let (products, tuning) = (self.products, self.worker.device.tuning());
        let first = self.passes.first();
        let stage = |batch: usize| -> Result<Stage, ExecError> {
            let step = step(batch)?;
            let buffers = first.map_or(1 + step.inputs.state.len(), |pass| pass.stages[0].buffers.count);
            Ok(Stage::new(step, batch, buffers, seed, products, tuning))
        };
        let usual = first.map_or(BATCH.0, PreparedPass::batch).clamp(BATCH.0, BATCH.1);
        let most = batch.unwrap_or(usual).min(count).max(1);
        let mut full = stage(most)?;
        let bytes = (full.plan.arena() - full.buffers.reserved()) * size_of::<f32>();
        let rows = rows_worth(WORTH, bytes, most);
        if batch.is_none() && rows < most {
            full = stage(rows)?;
        }
        let rest = count % full.batch;
        let last = if rest > 0 { Some(stage(rest)?) } else { None };
        let stages: Vec<Stage> = [full].into_iter().chain(last).collect();
        let buffers = first.map_or(&stages[0], |pass| &pass.stages[0]).buffers;
        assert!(stages.iter().all(|stage| stage.buffers == buffers), "all passes share parameters and state");
        self.passes.push(PreparedPass { stages, count, loaded: None });
        Ok(PassId(self.passes.len() - 1))
    }

    /// The buffers, as they are read and as a checkpoint.
    fn memory(&self, _: usize) -> Memory {
        let Buffers { size, count } = self.buffers();
        Memory { parameters: 2 * count * size * size_of::<f32>(), training: 0, evaluation: 0 }
    }

    fn load(&mut self, pass: PassId, examples: Examples) -> Result<(), ExecError> {
        self.arena()?;
        let Self { worker, passes, .. } = self;
        let pass = &mut passes[pass.0];
        let full = &pass.stages[0];
        assert_eq!(examples.split.len(), pass.count, "examples");
        assert_eq!(examples.split.pixels(), full.features(), "pixels of an example");
        let scalars = pass.count.div_ceil(full.batch) * full.scalars();
        let hits = if full.stores() { 1 } else { full.classes() * full.classes() };
        let mut feed = Feed::new(worker.lanes.main(), &examples, full.batch, scalars, hits)?;
        for stage in &mut pass.stages {
            stage.prepare(worker, &mut feed)?;
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
        let Self { worker, passes, .. } = self;
        let PreparedPass { stages, count, loaded: Some((feed, marks)) } = &mut passes[pass.0] else {
            panic!("the pass has no examples")
        };
        let (full, stream) = (&stages[0], worker.lanes.main().clone());
        let ranges = batches(*count, full.batch);
        let steps = ranges.len();
        let scalars = epoch.map_or(0, |epoch| epoch.scalars.len());
        assert_eq!(epoch.map_or(*count, |epoch| epoch.order.len()), *count, "examples in the order");
        assert_eq!(scalars, steps * full.scalars(), "{} scalars for each of {steps} steps", full.scalars());

        feed.begin(&stream, epoch)?;
        let mut progress = marks.of(steps);
        let mut totals = Totals::default();
        for range in ranges {
            stages[usize::from(range.len() < full.batch)].launch(worker, feed)?;
            totals.steps += 1;
            totals.sums.count += range.len();
            if progress.mark(&stream, totals.steps)? && !watch(progress.look()?) && totals.steps < steps {
                totals.ended = Ended::Early;
                break;
            }
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
