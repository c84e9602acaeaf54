//! A kernel as the typed functions see it: its checks speak its name.

pub(in crate::exec::cuda) mod attributes;

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cudarc::driver::sys::CUfunction_attribute;
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, DriverError, LaunchArgs, LaunchConfig};

use crate::exec::cuda::error::{CudaError, During};

/// A loaded kernel.
pub(in crate::exec::cuda) struct Kernel {
    name: Cow<'static, str>,
    function: CudaFunction,
    /// Bytes of shared memory that a block gets beyond what the kernel declares, if the launch does not say less.
    shared: u32,
    /// Of the device that it was loaded for.
    context: Arc<CudaContext>,
    /// Whether each launch waits for the kernel's end.
    waits: Arc<AtomicBool>,
}

/// A launch on its way: the arguments so far, and the stream.
pub(in crate::exec::cuda) struct Launch<'a> {
    arguments: LaunchArgs<'a>,
    stream: &'a CudaStream,
}

impl<'a> Deref for Launch<'a> {
    type Target = LaunchArgs<'a>;
    fn deref(&self) -> &LaunchArgs<'a> {
        &self.arguments
    }
}

impl<'a> DerefMut for Launch<'a> {
    fn deref_mut(&mut self) -> &mut LaunchArgs<'a> {
        &mut self.arguments
    }
}

/// The largest extents of a grid on every architecture (CUDA C++ Programming Guide, table "Technical
/// specifications per compute capability").
const LARGEST_GRID: [usize; 3] = [i32::MAX as usize, 65_535, 65_535];

impl Kernel {
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        function: CudaFunction,
        context: Arc<CudaContext>,
        waits: Arc<AtomicBool>,
    ) -> Self {
        Self { name: name.into(), function, shared: 0, context, waits }
    }

    /// The same, whose blocks get so many bytes of dynamic shared memory.
    pub fn with_shared_memory(mut self, bytes: usize) -> Result<Self, CudaError> {
        self.shared =
            u32::try_from(bytes).map_err(|_| self.refuse(format!("{bytes} bytes of shared memory")))?;
        // Without asking, it may have 48 KiB less what it declares, which nobody here knows.
        if bytes > 0 {
            let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            let asked = self.function.set_attribute(attribute, bytes as i32);
            asked.during(|| format!("asking for {bytes} bytes of shared memory for {}", self.name))?;
        }
        Ok(self)
    }

    /// An error that names this kernel.
    pub fn refuse(&self, problem: String) -> CudaError {
        CudaError::Refused { kernel: self.name.clone(), problem }
    }

    /// A size as the kernel's `int`.
    pub fn size(&self, what: &str, size: usize) -> Result<i32, CudaError> {
        i32::try_from(size).map_err(|_| {
            self.refuse(format!(
                "{what} is {size}, more than a 32-bit integer holds; cut the work into parts"
            ))
        })
    }

    /// Checks that a buffer holds exactly as many elements as it must.
    pub fn expect_length(&self, buffer: &str, found: usize, expected: usize) -> Result<(), CudaError> {
        if found == expected {
            return Ok(());
        }
        Err(self.refuse(format!("{buffer} holds {found} elements, and the sizes ask for {expected}")))
    }

    /// The product of extents; an error if the machine cannot count so many elements.
    pub fn count(&self, extents: &[usize]) -> Result<usize, CudaError> {
        extents
            .iter()
            .try_fold(1_usize, |product, &extent| product.checked_mul(extent))
            .ok_or_else(|| self.refuse(format!("{extents:?} are more elements than can be counted")))
    }

    /// A launch on a stream of the kernel's device. Arguments are appended in the order of the C parameters.
    pub fn on<'a>(&'a self, stream: &'a CudaStream) -> Result<Launch<'a>, CudaError> {
        if stream.context().cu_ctx() != self.context.cu_ctx() {
            let (own, other) = (self.context.ordinal(), stream.context().ordinal());
            return Err(
                self.refuse(format!("it was loaded for device {own}, and the stream is device {other}'s"))
            );
        }
        Ok(Launch { arguments: stream.launch_builder(&self.function), stream })
    }

    /// Launches `blocks` of `threads` threads (x) each.
    ///
    /// # Safety
    /// The arguments must be those of the C function, in order and type, and its accesses must stay
    /// within the buffers.
    pub unsafe fn launch(
        &self,
        launch: &mut Launch<'_>,
        blocks: [usize; 3],
        threads: u32,
    ) -> Result<(), CudaError> {
        let config = config(self.grid(blocks)?, threads, self.shared);
        // SAFETY: the caller's.
        let launched = unsafe { launch.arguments.launch(config) };
        self.launched(launch.stream, config, launched.map(drop))
    }

    /// The grid as the driver takes it.
    fn grid(&self, blocks: [usize; 3]) -> Result<(u32, u32, u32), CudaError> {
        if blocks.iter().zip(LARGEST_GRID).any(|(&blocks, largest)| blocks == 0 || blocks > largest) {
            return Err(
                self.refuse(format!("a grid of {blocks:?} blocks is not between 1 and {LARGEST_GRID:?}"))
            );
        }
        Ok((blocks[0] as u32, blocks[1] as u32, blocks[2] as u32))
    }

    /// The driver's answer to a launch, with the kernel's name; waits for the kernel's end if each launch does.
    fn launched(
        &self,
        stream: &CudaStream,
        config: LaunchConfig,
        answer: Result<(), DriverError>,
    ) -> Result<(), CudaError> {
        let (kernel, blocks, threads) = (|| self.name.clone(), config.grid_dim, config.block_dim.0);
        answer.map_err(|source| CudaError::Launch {
            kernel: kernel(),
            blocks,
            threads,
            source: source.into(),
        })?;
        if self.waits.load(Ordering::Relaxed) {
            let done = stream.synchronize();
            done.map_err(|source| CudaError::Fault {
                kernel: kernel(),
                blocks,
                threads,
                source: source.into(),
            })?;
        }
        Ok(())
    }
}

/// Blocks of so many threads (x), with so much dynamic shared memory.
fn config(grid_dim: (u32, u32, u32), threads: u32, shared_mem_bytes: u32) -> LaunchConfig {
    LaunchConfig { grid_dim, block_dim: (threads, 1, 1), shared_mem_bytes }
}
