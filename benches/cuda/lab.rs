//! The card: memory with random numbers in it, and the time of a launch.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use cotangent::errors::with_causes as chain;
use cotangent::exec::cuda::{CudaError, Device, Factor, Kernels};
use cotangent::random::{ChaCha8Rng, Purpose, chacha, uniform};
use cudarc::driver::sys::{CUdevice_attribute, CUevent_flags, CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaGraph, CudaSlice, CudaStream, CudaView, CudaViewMut, DeviceRepr, ValidAsZeroBits};
use half::bf16;

use crate::cases::Case;
use crate::report::Bound;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Puts the work on the stream, on one set of operands, which it owns.
pub type Launch = Box<dyn FnMut(&Lab, usize) -> Result<(), CudaError>>;

/// The most sets of operands that one graph rotates through.
const MOST_SETS: u64 = 256;

/// Random numbers are drawn up to this many, then repeated: a prime, so that no rows are alike.
const DRAWN: usize = 1_000_003;

/// What an emulated device does in seconds.
const EMULATED_BYTES: u64 = 16 << 20;
const EMULATED_FLOPS: u64 = 150_000_000;

/// A device with one stream.
pub struct Lab {
    pub device: Device,
    pub stream: Arc<CudaStream>,
    pub multiprocessors: usize,
    /// Bytes of the second-level cache.
    cache: u64,
    /// Operands drawn so far: no two are alike.
    operands: AtomicU64,
}

impl Lab {
    /// The device that `COTANGENT_BENCH_DEVICE` names.
    pub fn open() -> Outcome<Self> {
        let ordinal = std::env::var("COTANGENT_BENCH_DEVICE").unwrap_or_else(|_| "0".into());
        let ordinal =
            ordinal.parse().map_err(|_| format!("COTANGENT_BENCH_DEVICE is {ordinal:?}, no number"))?;
        let device = Device::open(ordinal)?;
        let (stream, multiprocessors) = (device.stream()?, device.multiprocessors()?);
        let cache = stream.context().attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?;
        let cache = u64::try_from(cache).unwrap_or(0);
        Ok(Self { device, stream, multiprocessors, cache, operands: AtomicU64::new(0) })
    }

    pub fn kernels(&self) -> &Kernels {
        self.device.kernels()
    }

    pub fn is_emulated(&self) -> bool {
        self.device.name().starts_with("emulated")
    }

    /// How many sets of operands of so many bytes are twice the cache.
    pub fn sets(&self, bytes: u64) -> usize {
        if self.is_emulated() {
            return 2; // enough to see that sets are told apart
        }
        (2 * self.cache).div_ceil(bytes.max(1)).clamp(1, MOST_SETS) as usize
    }

    /// Why a case cannot run here.
    pub fn obstacle(&self, case: &Case) -> Option<String> {
        let (work, capability) = (case.work, self.device.capability());
        if work.arithmetic == Bound::Mma && capability < bf16::NEEDED {
            return Some(format!("compute capability {capability} has no tensor cores for bfloat16"));
        }
        if self.is_emulated() && (work.bytes > EMULATED_BYTES || work.flops > EMULATED_FLOPS) {
            return Some("too much for an emulated device".into());
        }
        // What the last case has freed is free once its work is done.
        let _ = self.stream.synchronize(); // an error shows again at the next use
        let free = self.stream.context().mem_get_info().map_or(u64::MAX, |(free, _)| free as u64);
        let needed = work.bytes.saturating_mul(self.sets(work.bytes) as u64);
        (needed > free / 10 * 9)
            .then(|| format!("it needs {needed} bytes of device memory, and {free} are free"))
    }

    /// An operand of so many sets, each element drawn by `draw`.
    pub fn drawn<T: DeviceRepr + ValidAsZeroBits>(
        &self,
        sets: usize,
        length: usize,
        mut draw: impl FnMut(&mut ChaCha8Rng) -> T,
    ) -> Outcome<Operand<T>> {
        let mut operand = self.unset(sets, length)?;
        let mut random = chacha(0, Purpose::Weights, self.operands.fetch_add(1, Ordering::Relaxed));
        let memory = &mut operand.memory;
        let values: Vec<T> = (0..memory.len().min(DRAWN)).map(|_| draw(&mut random)).collect();
        self.stream.memcpy_htod(&values, memory)?;
        let mut filled = values.len();
        while filled < memory.len() {
            let (from, mut to) = memory.split_at_mut(filled);
            let count = filled.min(to.len());
            self.stream.memcpy_dtod(&from.slice(..count), &mut to.slice_mut(..count))?;
            filled += count;
        }
        Ok(operand)
    }

    /// Numbers between these bounds.
    pub fn floats(&self, sets: usize, length: usize, [low, high]: [f64; 2]) -> Outcome<Operand<f32>> {
        self.drawn(sets, length, |random| (low + (high - low) * uniform(random)) as f32)
    }

    /// Memory for results of so many sets.
    pub fn unset<T: DeviceRepr + ValidAsZeroBits>(&self, sets: usize, length: usize) -> Outcome<Operand<T>> {
        let stride = length.next_multiple_of(64); // so that all sets begin aligned, bytes too
        Ok(Operand { memory: self.device.allocate(&self.stream, sets * stride)?, stride, length })
    }
}

/// An operand, in several sets.
pub struct Operand<T> {
    memory: CudaSlice<T>,
    /// From one set to the next.
    stride: usize,
    length: usize,
}

impl<T> Operand<T> {
    pub fn of(&self, set: usize) -> CudaView<'_, T> {
        self.memory.slice(set * self.stride..set * self.stride + self.length)
    }

    pub fn of_mut(&mut self, set: usize) -> CudaViewMut<'_, T> {
        self.memory.slice_mut(set * self.stride..set * self.stride + self.length)
    }
}

/// One launch for each set of operands, captured.
pub struct Rotation {
    graph: CudaGraph,
    stream: Arc<CudaStream>,
    sets: usize,
    /// Owns the memory that the graph works on.
    _launch: Launch,
}

impl Rotation {
    pub fn capture(lab: &Lab, case: &Case) -> Outcome<Self> {
        let (stream, sets) = (&lab.stream, lab.sets(case.work.bytes));
        let mut launch = (case.prepare)(lab, sets)?;
        launch(lab, 0)?; // the driver loads code when it is first launched, which no capture allows
        stream.synchronize()?;
        stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
        let launched = (0..sets).try_for_each(|set| launch(lab, set));
        let graph = stream.end_capture(CUgraphInstantiate_flags(0));
        launched?;
        let graph = graph?.ok_or("nothing was captured")?;
        graph.upload()?;
        Ok(Self { graph, stream: stream.clone(), sets, _launch: launch })
    }

    /// The time of one launch, by events around at least so many.
    pub fn seconds(&self, launches: u64) -> Outcome<f64> {
        let replays = launches.div_ceil(self.sets as u64);
        let start = self.stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?;
        for _ in 0..replays {
            self.graph.launch()?;
        }
        let end = self.stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?;
        let milliseconds = f64::from(start.elapsed_ms(&end)?); // which waits for both
        Ok(milliseconds / 1e3 / (replays * self.sets as u64) as f64)
    }
}
