//! The card, and how a price is taken: the difference of two times.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cotangent::exec::cuda::{Capability, Device, Latency, Links, allocate};
use cotangent::random::{Purpose, chacha, uniform};
use cudarc::driver::sys::{CUevent_flags, CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaGraph, CudaSlice, CudaStream};

use crate::figures::now;
use crate::opened::{Opened, is_emulated};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Samples whose median is the figure.
const SAMPLES: usize = 11;
/// Steps of the chase that keeps the card busy while the host queues what is timed: some milliseconds.
const DELAY: usize = 40_000;
/// How long the card works before the first figure: clocks come up in fractions of a second.
const WARM_UP: Duration = Duration::from_millis(500);

/// A device with one stream.
pub struct Lab {
    pub device: Device,
    pub stream: Arc<CudaStream>,
    pub multiprocessors: usize,
    /// Bytes of the second-level cache.
    pub cache: usize,
    /// Whether figures are claimed; else everything is done once, and little of it.
    pub measures: bool,
    delay: (Links, CudaSlice<u64>),
}

/// The price of one, as often as it was taken.
pub struct Figure {
    pub samples: Vec<f64>,
    /// The bytes that one moves.
    pub amount: Option<f64>,
    pub began: f64,
    pub ended: f64,
}

impl Lab {
    /// The device that `COTANGENT_BENCH_DEVICE` names.
    pub fn open(measures: bool) -> Outcome<Self> {
        let Opened { device, stream, multiprocessors, cache } = Opened::of_environment()?;
        let links = device.kernels().latency.links(&stream, &[0], 1)?;
        let delay = (links, allocate(&stream, 1)?);
        let mut lab = Self { device, stream, multiprocessors, cache, measures, delay };
        let begin = Instant::now();
        while measures && begin.elapsed() < WARM_UP {
            lab.delay()?;
            lab.stream.synchronize()?;
        }
        Ok(lab)
    }

    /// Keeps the card busy for some milliseconds.
    fn delay(&mut self) -> Outcome<()> {
        let (links, end) = &mut self.delay;
        let steps = if self.measures { DELAY } else { 1 };
        let latency = &self.device.kernels().latency;
        Ok(latency.chase(&self.stream, links, 0, steps, &mut end.as_view_mut())?)
    }

    pub fn kernels(&self) -> &Latency {
        &self.device.kernels().latency
    }

    pub fn is_emulated(&self) -> bool {
        is_emulated(&self.device)
    }

    /// Before clusters and programmatic dependent launch.
    pub fn is_old(&self) -> bool {
        self.device.capability() < Capability { major: 9, minor: 0 }
    }

    /// Few and many, of which a rehearsal does one and two.
    pub fn counts(&self, few: usize, many: usize) -> [usize; 2] {
        if self.measures { [few, many] } else { [1, 2] }
    }

    /// A permutation of one cycle: a chase comes everywhere before it comes back (Sattolo 1986).
    pub fn cycle(&self, length: usize) -> Vec<u32> {
        let mut random = chacha(0, Purpose::Weights, 0);
        let mut next: Vec<u32> = (0..length as u32).collect();
        for last in (1..length).rev() {
            next.swap(last, (uniform(&mut random) * last as f64) as usize % last);
        }
        next
    }

    /// A graph of what is put on the stream.
    pub fn captured(&self, put: impl FnOnce(&Arc<CudaStream>) -> Outcome<()>) -> Outcome<CudaGraph> {
        self.stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED)?;
        let done = put(&self.stream);
        let graph = self.stream.end_capture(CUgraphInstantiate_flags(0));
        done?;
        let graph = graph?.ok_or("nothing was captured")?;
        graph.upload()?;
        Ok(graph)
    }

    /// The price of one, where `put` puts so many of them on the stream: few and many, in turn.
    pub fn figure(
        &mut self,
        [few, many]: [usize; 2],
        amount: Option<f64>,
        mut put: impl FnMut(&Latency, &Arc<CudaStream>, usize) -> Outcome<()>,
    ) -> Outcome<Figure> {
        self.seconds(&mut put, many)?; // the driver loads a kernel when it is first launched
        let began = now();
        let mut samples = Vec::new();
        for _ in 0..if self.measures { SAMPLES } else { 1 } {
            let (less, more) = (self.seconds(&mut put, few)?, self.seconds(&mut put, many)?);
            samples.push((more - less) / (many - few) as f64);
        }
        Ok(Figure { samples, amount, began, ended: now() })
    }

    /// The time by events; the card is busy before.
    fn seconds(
        &mut self,
        put: &mut impl FnMut(&Latency, &Arc<CudaStream>, usize) -> Outcome<()>,
        count: usize,
    ) -> Outcome<f64> {
        self.delay()?;
        let (stream, latency) = (&self.stream, &self.device.kernels().latency);
        let start = stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?;
        put(latency, stream, count)?;
        let end = stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?;
        Ok(f64::from(start.elapsed_ms(&end)?) / 1e3) // which waits for both
    }

    /// The host's time of one, by the clock.
    pub fn host_figure(&mut self, mut put: impl FnMut(&Arc<CudaStream>) -> Outcome<()>) -> Outcome<Figure> {
        put(&self.stream)?;
        let (began, count) = (now(), if self.measures { 200 } else { 1 });
        let mut samples = Vec::new();
        for _ in 0..if self.measures { SAMPLES } else { 1 } {
            self.stream.synchronize()?; // nothing is queued
            let begin = Instant::now();
            for _ in 0..count {
                put(&self.stream)?;
            }
            samples.push(begin.elapsed().as_secs_f64() / f64::from(count));
        }
        self.stream.synchronize()?;
        Ok(Figure { samples, amount: None, began, ended: now() })
    }
}
