//! The device under test, and operands on it.

use std::cell::{Cell, OnceCell, RefCell};
use std::error::Error;
use std::sync::Arc;

pub use cotangent::errors::with_causes as chain;
use cotangent::exec::cuda::{Device, Kernels, allocate};
use cotangent::random::{ChaCha8Rng, Purpose, chacha, standard_normal_pair};
use cudarc::driver::{CudaSlice, CudaStream, CudaView, CudaViewMut, DeviceRepr, ValidAsZeroBits};

use crate::rota::FLUSHES;

use crate::opened::{Opened, is_emulated};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Random numbers are drawn up to this many, then repeated: a prime, so that no rows are alike.
const DRAWN: usize = 1_000_003;

/// How much further on among the normal numbers each operand begins than the last: the golden ratio's share of
/// [`DRAWN`], so that no two of a thousand operands begin near each other.
const APART: usize = 618_035;

/// A device with one stream.
pub struct Lab {
    pub device: Device,
    pub stream: Arc<CudaStream>,
    pub multiprocessors: usize,
    /// Bytes of the second-level cache.
    pub cache: u64,
    /// Operands drawn so far: no two are alike.
    operands: Cell<usize>,
    /// Standard normal numbers, which take longer to draw than all else to prepare.
    normal: OnceCell<Vec<f32>>,
    /// Source and target of the copies that flush the cache.
    flushing: RefCell<Option<[Operand<f32>; 2]>>,
}

impl Lab {
    /// The device that `COTANGENT_BENCH_DEVICE` names.
    pub fn open() -> Outcome<Self> {
        let Opened { device, stream, multiprocessors, cache } = Opened::of_environment()?;
        let cache = cache as u64;
        let (operands, normal, flushing) = (Cell::new(0), OnceCell::new(), RefCell::new(None));
        Ok(Self { device, stream, multiprocessors, cache, operands, normal, flushing })
    }

    pub fn kernels(&self) -> &Kernels {
        self.device.kernels()
    }

    pub fn is_emulated(&self) -> bool {
        is_emulated(&self.device)
    }

    /// Why the device has no room for `bytes`, if it has none.
    pub fn lacks(&self, bytes: u64) -> Option<String> {
        // What the last case has freed is free once its work is done.
        let _ = self.stream.synchronize(); // an error shows again at the next use
        let free = self.stream.context().mem_get_info().map_or(u64::MAX, |(free, _)| free as u64);
        (bytes > free / 10 * 9)
            .then(|| format!("it needs {bytes} bytes of device memory, and {free} are free"))
    }

    /// An operand in `sets` sets of `length` elements, each element drawn by `draw`.
    pub fn drawn<T: DeviceRepr + ValidAsZeroBits>(
        &self,
        sets: usize,
        length: usize,
        mut draw: impl FnMut(&mut ChaCha8Rng) -> T,
    ) -> Outcome<Operand<T>> {
        let mut operand = self.unset(sets, length)?;
        let mut random = chacha(0, Purpose::Weights, self.next_operand() as u64);
        let values: Vec<T> = (0..operand.memory.len().min(DRAWN)).map(|_| draw(&mut random)).collect();
        operand.repeat(&self.stream, &values)?;
        Ok(operand)
    }

    /// An operand in `sets` sets of `length` elements, each element made by `of` of a number that is normally distributed,
    /// with mean 0 and deviation 1.
    pub fn normal<T: DeviceRepr + ValidAsZeroBits>(
        &self,
        sets: usize,
        length: usize,
        of: impl Fn(f32) -> T,
    ) -> Outcome<Operand<T>> {
        let mut operand = self.unset(sets, length)?;
        let normal = self.normal.get_or_init(|| {
            let mut random = chacha(0, Purpose::Weights, u64::MAX);
            let pairs = (0..DRAWN.div_ceil(2)).flat_map(|_| standard_normal_pair(&mut random));
            pairs.take(DRAWN).map(|x| x as f32).collect()
        });
        let (before, after) = normal.split_at(self.next_operand() * APART % DRAWN);
        let values: Vec<T> = after.iter().chain(before).take(operand.memory.len()).map(|&x| of(x)).collect();
        operand.repeat(&self.stream, &values)?;
        Ok(operand)
    }

    /// float32 numbers, normally distributed.
    pub fn floats(&self, sets: usize, length: usize) -> Outcome<Operand<f32>> {
        self.normal(sets, length, |x| x)
    }

    /// Memory for results: `length` elements for each of `sets` sets.
    pub fn unset<T: DeviceRepr + ValidAsZeroBits>(&self, sets: usize, length: usize) -> Outcome<Operand<T>> {
        let stride = length.next_multiple_of(64); // so that all sets begin aligned, bytes too
        Ok(Operand { memory: allocate(&self.stream, sets * stride)?, stride, length })
    }

    /// Puts [`FLUSHES`] copies on the stream, which drive all else out of the cache.
    pub fn flush(&self) -> Outcome<()> {
        let mut flushing = self.flushing.borrow_mut();
        let (length, times) = if self.is_emulated() { (64, 1) } else { (self.cache as usize / 4, FLUSHES) };
        if flushing.is_none() {
            *flushing = Some([self.floats(1, length)?, self.unset(1, length)?]);
        }
        if let Some([from, to]) = &mut *flushing {
            for _ in 0..times {
                self.kernels().ceiling.copy(&self.stream, &from.of(0), &mut to.of_mut(0))?;
            }
        }
        Ok(())
    }

    fn next_operand(&self) -> usize {
        self.operands.replace(self.operands.get() + 1)
    }
}

/// An operand, in several sets.
pub struct Operand<T> {
    memory: CudaSlice<T>,
    /// From one set to the next.
    stride: usize,
    length: usize,
}

impl<T: DeviceRepr> Operand<T> {
    /// Fills the memory with these values, over and over.
    fn repeat(&mut self, stream: &Arc<CudaStream>, values: &[T]) -> Outcome<()> {
        let memory = &mut self.memory;
        stream.memcpy_htod(values, memory)?;
        let mut filled = values.len();
        while filled < memory.len() {
            let (from, mut to) = memory.split_at_mut(filled);
            let count = filled.min(to.len());
            stream.memcpy_dtod(&from.slice(..count), &mut to.slice_mut(..count))?;
            filled += count;
        }
        Ok(())
    }
}

impl<T> Operand<T> {
    pub fn of(&self, set: usize) -> CudaView<'_, T> {
        self.memory.slice(set * self.stride..set * self.stride + self.length)
    }

    pub fn of_mut(&mut self, set: usize) -> CudaViewMut<'_, T> {
        self.memory.slice_mut(set * self.stride..set * self.stride + self.length)
    }
}
