//! How far the device has come: the host looks at events that were recorded along the way, and never waits for one
//! while there is something to launch.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use cudarc::driver::{CudaEvent, CudaStream};

use super::device::Device;
use super::error::{CudaError, During};

/// Events by which the host sees how far a pass has come.
const MARKS: usize = 33;

/// When it has nothing left to launch, the host looks at the device without a pause for so long, an epoch of a
/// fast card; then it sleeps so long between looks.
const PATIENCE: Duration = Duration::from_millis(5);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The events.
pub(super) struct Marks(Vec<CudaEvent>);

/// How far the device has come in a pass.
pub(super) struct Progress<'a> {
    marks: &'a [CudaEvent],
    /// The step before which the pass ends, and how many are from one mark to the next.
    until: usize,
    spacing: usize,
    /// Marks that were not seen to be passed, by their position, with the steps before them.
    pending: VecDeque<(usize, usize)>,
    next: usize,
    done: usize,
}

impl Marks {
    pub fn new(device: &Device) -> Result<Self, CudaError> {
        (0..MARKS).map(|_| device.event()).collect::<Result<_, _>>().map(Self)
    }

    /// Of a pass that makes these steps.
    pub fn of(&self, steps: Range<usize>) -> Progress<'_> {
        // As many marks as there are events, so that one is left for the end.
        let spacing = steps.len().div_ceil(self.0.len() - 1).max(1);
        let pending = VecDeque::with_capacity(MARKS);
        Progress { marks: &self.0, until: steps.end, spacing, pending, next: 0, done: steps.start }
    }
}

impl Progress<'_> {
    /// So many steps are launched: whether it is time to look, and then a mark stands behind them, if there is one to
    /// spare.
    pub fn mark(&mut self, stream: &CudaStream, launched: usize) -> Result<bool, CudaError> {
        if !launched.is_multiple_of(self.spacing) && launched != self.until {
            return Ok(false);
        }
        if self.pending.len() < self.marks.len() {
            self.marks[self.next].record(stream).during(looking)?;
            self.pending.push_back((self.next, launched));
            self.next = (self.next + 1) % self.marks.len();
        }
        Ok(true)
    }

    /// The steps that are done, without waiting for any.
    pub fn look(&mut self) -> Result<usize, CudaError> {
        while let Some(&(mark, steps)) = self.pending.front() {
            if !self.marks[mark].try_is_complete().during(looking)? {
                break;
            }
            self.done = steps;
            self.pending.pop_front();
        }
        Ok(self.done)
    }

    /// Looks until all marks are passed; `done` is told the steps that are done at each look.
    pub fn finish(&mut self, mut done: impl FnMut(usize)) -> Result<(), CudaError> {
        let idle = Instant::now();
        while !self.pending.is_empty() {
            match idle.elapsed() < PATIENCE {
                true => std::thread::yield_now(),
                false => std::thread::sleep(LOOK_AGAIN),
            }
            done(self.look()?);
        }
        Ok(())
    }
}

fn looking() -> String {
    "looking how far the device has come".into()
}
