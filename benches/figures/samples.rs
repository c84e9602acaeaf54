//! How often something is timed, and what the samples say.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A figure is the median of at least this number of samples.
pub const LEAST_SAMPLES: usize = 7;

/// How samples are taken.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    /// How many, at least [`LEAST_SAMPLES`].
    samples: usize,
    /// A sample is the mean over as many calls as take about this time.
    length: Duration,
    /// What is called before the first sample, for caches, page tables and clocks to settle.
    warm_up: Duration,
}

impl Stopwatch {
    /// `samples` samples of about `length` each, after a warm-up of `warm_up`.
    ///
    /// # Panics
    /// When there are less than [`LEAST_SAMPLES`].
    pub fn new(samples: usize, length: Duration, warm_up: Duration) -> Self {
        assert!(samples >= LEAST_SAMPLES, "the median of {samples} samples is no figure");
        Self { samples, length, warm_up }
    }

    pub fn samples(&self) -> usize {
        self.samples
    }

    /// How many calls a sample needs to be long enough. `seconds` does some calls and returns how long each took; it is
    /// asked for more and more of them until the warm-up is over.
    ///
    /// # Errors
    /// Those of `seconds`.
    pub fn calls<E>(&self, mut seconds: impl FnMut(u64) -> Result<f64, E>) -> Result<u64, E> {
        let (mut calls, mut spent) = (1, 0.0);
        loop {
            let each = seconds(calls)?;
            spent += each * calls as f64;
            let enough = (self.length.as_secs_f64() / each.max(1e-10)).ceil().clamp(1.0, 1e9) as u64;
            if spent >= self.warm_up.as_secs_f64() && enough <= 2 * calls {
                return Ok(enough);
            }
            // the first calls are slow: not all at once
            calls = enough.min(8 * calls);
        }
    }

    /// Samples of the seconds that each call takes.
    ///
    /// # Errors
    /// Those of `seconds`, as in [`Self::calls`].
    pub fn take<E>(&self, mut seconds: impl FnMut(u64) -> Result<f64, E>) -> Result<Vec<f64>, E> {
        let calls = self.calls(&mut seconds)?;
        (0..self.samples).map(|_| seconds(calls)).collect()
    }
}

/// The mean seconds of `calls` calls, by the clock.
pub fn seconds_of(calls: u64, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        work();
    }
    start.elapsed().as_secs_f64() / calls as f64
}

/// Unix time, in seconds: when a figure was measured, for logs of the machine.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(f64::NAN, |since| since.as_secs_f64())
}

/// The value in the middle, or the mean of the two there; NaN of none.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count => (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0,
    }
}

/// How far apart the samples lie: (max − min) / median. NaN of none.
pub fn spread(samples: &[f64]) -> f64 {
    let low = samples.iter().copied().fold(f64::INFINITY, f64::min);
    let high = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (high - low) / median(samples)
}
