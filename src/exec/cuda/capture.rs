//! Several streams, and the work that is captured from them once and launched as a whole ever after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaEvent, CudaGraph, CudaStream};

use super::error::During;
use super::order::Order;
use super::schedule::{LaneSchedule, MAX_LANES};
use super::{CudaError, Device};

/// How tasks reach the device.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Launching {
    /// Captured once as a CUDA graph, with what may run side by side on parallel branches, and launched as a
    /// whole.
    #[default]
    Graph,
    /// Kernel by kernel, each waited for, so that an error names its culprit.
    Launches,
}

/// The streams of one executor. All work begins and ends on the first of them.
pub struct Lanes {
    streams: Vec<Arc<CudaStream>>,
    launching: Launching,
    /// Whether each launch on the device waits: others launch on it in their own way.
    waits: Arc<AtomicBool>,
}

/// Tasks ready to run, as often as asked.
pub enum PreparedTasks {
    /// To be launched as a whole.
    Graph(CudaGraph),
    /// To be gone through again each time.
    Launches,
}

impl Lanes {
    /// New streams of a device.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn new(device: &Device, launching: Launching) -> Result<Self, CudaError> {
        let streams = (0..MAX_LANES).map(|_| device.stream()).collect::<Result<Vec<_>, _>>()?;
        let lanes = Self { streams, launching, waits: device.waits() };
        lanes.begin();
        Ok(lanes)
    }

    /// From here on each launch waits until its kernel is done, so that an error names its culprit, or none does.
    fn begin(&self) {
        self.waits.store(self.launching == Launching::Launches, Ordering::Relaxed);
    }

    /// The stream on which all work begins and ends.
    pub fn main(&self) -> &Arc<CudaStream> {
        &self.streams[0]
    }

    /// Prepares tasks in an order: `launch(task, stream)` puts a task on a stream. What it puts there must be
    /// the same, and stay valid, for as long as it is run.
    ///
    /// # Errors
    /// What `launch` or the driver reports.
    pub fn prepare(
        &self,
        order: &Order,
        mut launch: impl FnMut(usize, &Arc<CudaStream>) -> Result<(), CudaError>,
    ) -> Result<PreparedTasks, CudaError> {
        self.begin();
        match self.launching {
            Launching::Launches => Ok(PreparedTasks::Launches),
            Launching::Graph => self.capture(order, &mut launch).map(PreparedTasks::Graph),
        }
    }

    fn capture(
        &self,
        order: &Order,
        launch: &mut impl FnMut(usize, &Arc<CudaStream>) -> Result<(), CudaError>,
    ) -> Result<CudaGraph, CudaError> {
        let capturing = || "capturing a CUDA graph".to_owned();
        // Relaxed: the driver may load a kernel at its first launch, which stricter modes forbid.
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        self.main().begin_capture(mode).during(capturing)?;
        let put = self.put(order, launch);
        let graph = self.main().end_capture(CUgraphInstantiate_flags(0));
        put?; // before what followed from it
        let graph = graph.during(capturing)?.ok_or(CudaError::NothingCaptured)?;
        graph.upload().during(capturing)?;
        Ok(graph)
    }

    /// Puts the tasks on the lanes, with the events that keep their order.
    fn put(
        &self,
        order: &Order,
        launch: &mut impl FnMut(usize, &Arc<CudaStream>) -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        let ordering = || "ordering streams by events".to_owned();
        let record = |lane: usize| self.streams[lane].record_event(None).during(ordering);
        let wait = |lane: usize, event: &CudaEvent| self.streams[lane].wait(event).during(ordering);
        let schedule = LaneSchedule::new(order);
        let begin = record(0)?;
        let mut has_begun = [false; MAX_LANES];
        has_begun[0] = true;
        let mut done: Vec<Option<CudaEvent>> = Vec::with_capacity(order.len());
        for (task, slot) in schedule.slots.iter().enumerate() {
            if !std::mem::replace(&mut has_begun[slot.lane], true) {
                wait(slot.lane, &begin)?;
            }
            for event in slot.waits.iter().filter_map(|&other| done[other].as_ref()) {
                wait(slot.lane, event)?;
            }
            launch(task, &self.streams[slot.lane])?;
            done.push(if slot.is_awaited { Some(record(slot.lane)?) } else { None });
        }
        for lane in 1..schedule.last.len() {
            wait(0, &record(lane)?)?;
        }
        Ok(())
    }

    /// Runs prepared tasks once, given the same order and tasks.
    ///
    /// # Errors
    /// What `launch` or the driver reports.
    pub fn run(
        &self,
        prepared: &PreparedTasks,
        order: &Order,
        mut launch: impl FnMut(usize, &Arc<CudaStream>) -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        self.begin();
        match prepared {
            PreparedTasks::Graph(graph) => graph.launch().during(|| "launching a CUDA graph".into()),
            PreparedTasks::Launches => (0..order.len()).try_for_each(|task| launch(task, self.main())),
        }
    }
}
