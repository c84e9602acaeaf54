//! Going through images batch by batch: training for an epoch, or an evaluation.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DriverError};

use super::stage::{Kind, Stage};
use super::{Layout, Worker, name_of};
use crate::data::{Shifts, Split, batches};
use crate::exec::cuda::{CudaError, Device, Multiplying, StepState};
use crate::train::TrainError;
use crate::train::engine::{Ended, Epoch, Job};

/// Events by which the host sees how far an epoch has come.
const MARKS: usize = 33;

/// When it has nothing left to launch, the host looks at the device without a pause for so long, an epoch of a
/// fast card; then it sleeps so long between looks.
const PATIENCE: Duration = Duration::from_millis(5);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Images, and the work on batches of them.
pub(super) struct Phase {
    pub feed: Feed,
    full: Stage,
    /// For the smaller last batch.
    last: Option<Stage>,
    marks: Vec<CudaEvent>,
}

/// What batches are made of and what is counted over them, all of it on the device.
pub(super) struct Feed {
    /// (count, rows, columns) bytes.
    pub images: CudaSlice<u8>,
    /// (count).
    pub labels: CudaSlice<u8>,
    /// Rows and columns of an image.
    pub extents: [usize; 2],
    pub shifts: Option<Shifts>,
    /// Images in a full batch.
    pub batch_size: usize,
    /// (count): which image comes when.
    pub order: CudaSlice<u32>,
    /// Of each step.
    pub learning_rates: CudaSlice<f64>,
    /// One element.
    pub step: CudaSlice<StepState>,
    /// One element: the sum of losses.
    pub loss: CudaSlice<f64>,
    /// The number of hits; in an evaluation (classes, classes) numbers of (label, prediction) pairs.
    pub hits: CudaSlice<u64>,
}

/// What the device counted.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Totals {
    pub state: StepState,
    pub loss: f64,
    pub hits: Vec<u64>,
    /// Images seen.
    pub images: usize,
    pub steps: usize,
}

impl Phase {
    pub fn new(
        job: &Job,
        kind: Kind,
        (split, batch_size): (&Split, usize),
        planning: (Layout, Multiplying<'_>),
        (device, stream): (&Device, &Arc<CudaStream>),
    ) -> Result<Self, TrainError> {
        let failed = |source| TrainError::OnDevice { device: name_of(device), source };
        let batch_size = batch_size.min(split.len()).max(1);
        let full = Stage::new(job, kind, batch_size, planning)?;
        let rest = split.len() % batch_size;
        let last = if rest > 0 { Some(Stage::new(job, kind, rest, planning)?) } else { None };
        let feed = Feed::new(job, kind, (split, batch_size), device, stream).map_err(failed)?;
        let marks = (0..MARKS).map(|_| device.event()).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        Ok(Self { feed, full, last, marks })
    }

    /// The elements that the arena must have.
    pub fn arena(&self) -> usize {
        let last = self.last.as_ref().map_or(0, |stage| stage.plan.arena());
        self.full.plan.arena().max(last)
    }

    pub fn prepare(&mut self, job: &Job, worker: &mut Worker) -> Result<(), CudaError> {
        let Self { feed, full, last, .. } = self;
        [Some(full), last.as_mut()]
            .into_iter()
            .flatten()
            .try_for_each(|stage| stage.prepare(job, worker, feed))
    }

    /// Trains for one epoch.
    pub fn epoch(
        &mut self,
        job: &Job,
        worker: &mut Worker,
        epoch: Epoch<'_>,
        watch: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<(Totals, Ended), CudaError> {
        let steps = batches(epoch.order.len(), self.feed.batch_size).len();
        assert_eq!(epoch.learning_rates.len(), steps, "learning rates for {steps} steps");
        let stream = worker.lanes.main().clone();
        self.feed.begin(&stream, epoch)?;
        worker.device.kernels().optimizers.begin_epoch(&stream, &mut self.feed.step.as_view_mut())?;
        self.go_through(job, worker, epoch.order.len(), watch)
    }

    /// Evaluates all images.
    pub fn evaluation(&mut self, job: &Job, worker: &mut Worker) -> Result<Totals, CudaError> {
        let stream = worker.lanes.main().clone();
        self.feed.set_step(&stream, StepState::new(0))?;
        self.feed.clear(&stream)?;
        let images = self.feed.order.len();
        self.go_through(job, worker, images, &mut |_| true).map(|(totals, _)| totals)
    }

    /// Launches the work on all batches, and waits for its end. The host looks at marks along the way, but
    /// never waits while there is something to launch.
    fn go_through(
        &mut self,
        job: &Job,
        worker: &mut Worker,
        images: usize,
        watch: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<(Totals, Ended), CudaError> {
        let Self { feed, full, last, marks } = self;
        let stream = worker.lanes.main().clone();
        let ranges = batches(images, feed.batch_size);
        let steps = ranges.len();
        // As many marks as there are events, so that one is left for the end.
        let spacing = steps.div_ceil(marks.len() - 1).max(1);
        let mut progress = Progress { marks, pending: VecDeque::with_capacity(MARKS), next: 0, done: 0 };
        let (mut launched, mut seen, mut goes_on) = (0, 0, true);
        for range in ranges {
            let stage = match last {
                Some(last) if last.batch == range.len() => last,
                _ => &mut *full,
            };
            assert_eq!(stage.batch, range.len(), "no plan is made for a batch of so many images");
            stage.launch(job, worker, feed)?;
            (launched, seen) = (launched + 1, seen + range.len());
            if launched % spacing == 0 || launched == steps {
                progress.mark(&stream, launched)?;
                goes_on = watch(progress.look()?);
                if !goes_on {
                    break;
                }
            }
        }
        let idle = Instant::now();
        while progress.is_pending() {
            match idle.elapsed() < PATIENCE {
                true => std::thread::yield_now(),
                false => std::thread::sleep(LOOK_AGAIN),
            }
            watch(progress.look()?);
        }
        let ended = if goes_on || launched == steps { Ended::Whole } else { Ended::Early };
        let totals = feed.totals(&stream, (seen, launched))?;
        Ok((totals, ended))
    }
}

/// How far the device has come, by events that were recorded along the way.
struct Progress<'a> {
    marks: &'a [CudaEvent],
    /// Marks that were not seen to be passed, by their position, with the steps before them.
    pending: VecDeque<(usize, usize)>,
    next: usize,
    done: usize,
}

impl Progress<'_> {
    /// Records a mark behind so many steps, if there is one to spare.
    fn mark(&mut self, stream: &CudaStream, steps: usize) -> Result<(), CudaError> {
        if self.pending.len() < self.marks.len() {
            self.marks[self.next].record(stream).map_err(looking)?;
            self.pending.push_back((self.next, steps));
            self.next = (self.next + 1) % self.marks.len();
        }
        Ok(())
    }

    /// The steps that are done, without waiting for any.
    fn look(&mut self) -> Result<usize, CudaError> {
        while let Some(&(mark, steps)) = self.pending.front() {
            if !self.marks[mark].try_is_complete().map_err(looking)? {
                break;
            }
            self.done = steps;
            self.pending.pop_front();
        }
        Ok(self.done)
    }

    fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }
}

fn looking(error: DriverError) -> CudaError {
    CudaError::during("looking how far the device has come", error)
}

impl Feed {
    fn new(
        job: &Job,
        kind: Kind,
        (split, batch_size): (&Split, usize),
        device: &Device,
        stream: &Arc<CudaStream>,
    ) -> Result<Self, CudaError> {
        let count = split.len();
        let order: Vec<u32> = (0..count as u32).collect();
        let (shifts, hits) = match kind {
            Kind::Training => (job.shifts, 1),
            Kind::Evaluation => (None, job.data.classes * job.data.classes),
        };
        Ok(Self {
            images: device.upload(stream, &split.images)?,
            labels: device.upload(stream, &split.labels)?,
            extents: [split.rows, split.columns],
            shifts,
            batch_size,
            order: device.upload(stream, &order)?,
            learning_rates: device.allocate(stream, batches(count, batch_size).len())?,
            step: device.upload(stream, &[StepState::new(0)])?,
            loss: device.allocate(stream, 1)?,
            hits: device.allocate(stream, hits)?,
        })
    }

    pub fn set_step(&mut self, stream: &Arc<CudaStream>, state: StepState) -> Result<(), CudaError> {
        let copied = stream.memcpy_htod(&[state], &mut self.step);
        copied.map_err(|error| CudaError::during("copying the step to the device", error))
    }

    /// Copies an epoch's order and rates to the device.
    fn begin(&mut self, stream: &Arc<CudaStream>, epoch: Epoch<'_>) -> Result<(), CudaError> {
        let copying = |error| CudaError::during("copying an epoch's order to the device", error);
        let Epoch { order, learning_rates } = epoch;
        stream.memcpy_htod(order, &mut self.order.slice_mut(..order.len())).map_err(copying)?;
        let mut rates = self.learning_rates.slice_mut(..learning_rates.len());
        stream.memcpy_htod(learning_rates, &mut rates).map_err(copying)?;
        self.clear(stream)
    }

    /// Sets the sums to zero.
    fn clear(&mut self, stream: &Arc<CudaStream>) -> Result<(), CudaError> {
        let clearing = |error| CudaError::during("clearing sums on the device", error);
        stream.memset_zeros(&mut self.loss).map_err(clearing)?;
        stream.memset_zeros(&mut self.hits).map_err(clearing)
    }

    /// Reads the sums, after all work on the stream.
    fn totals(&self, stream: &Arc<CudaStream>, (images, steps): (usize, usize)) -> Result<Totals, CudaError> {
        let reading = |error| CudaError::during("reading sums from the device", error);
        let (mut state, mut loss, mut hits) = ([StepState::new(0)], [0.0], vec![0; self.hits.len()]);
        stream.memcpy_dtoh(&self.step, &mut state).map_err(reading)?;
        stream.memcpy_dtoh(&self.loss, &mut loss).map_err(reading)?;
        stream.memcpy_dtoh(&self.hits, &mut hits).map_err(reading)?;
        stream.synchronize().map_err(reading)?;
        Ok(Totals { state: state[0], loss: loss[0], hits, images, steps })
    }
}
