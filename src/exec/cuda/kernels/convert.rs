//! `kernels/convert.cu`: float32 to bfloat16 and back.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};
use half::bf16;

use super::kernel::Kernel;
use super::loader::Loader;
use crate::exec::cuda::CudaError;

/// Threads of a block, and the elements that a thread converts.
const THREADS: u32 = 256;
const PER_THREAD: usize = 4;

/// Conversions between number types.
pub struct Convert {
    f32_to_bf16: Kernel,
    bf16_to_f32: Kernel,
}

impl Convert {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("convert")?;
        Ok(Self {
            f32_to_bf16: file.kernel("convert_f32_to_bf16")?,
            bf16_to_f32: file.kernel("convert_bf16_to_f32")?,
        })
    }

    /// `y[i]` = `x[i]`, rounded to the nearest bfloat16, ties to even.
    ///
    /// # Errors
    /// Lengths that differ or do not fit 32 bits; what the driver reports.
    pub fn f32_to_bf16(
        &self,
        stream: &CudaStream,
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, bf16>,
    ) -> Result<(), CudaError> {
        let kernel = &self.f32_to_bf16;
        kernel.expect_length("y", y.len(), x.len())?;
        let n = kernel.size("the number of elements", x.len())?;
        if n == 0 {
            return Ok(());
        }
        let mut arguments = kernel.on(stream)?;
        arguments.arg(x); // const float* x
        arguments.arg(y); // __nv_bfloat16* y
        arguments.arg(&n); // int n
        // SAFETY: both buffers hold n elements, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [blocks(x.len()), 1, 1], THREADS) }
    }

    /// `x[i]` = `y[i]`, exactly.
    ///
    /// # Errors
    /// Lengths that differ or do not fit 32 bits; what the driver reports.
    pub fn bf16_to_f32(
        &self,
        stream: &CudaStream,
        y: &CudaView<'_, bf16>,
        x: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.bf16_to_f32;
        kernel.expect_length("x", x.len(), y.len())?;
        let n = kernel.size("the number of elements", y.len())?;
        if n == 0 {
            return Ok(());
        }
        let mut arguments = kernel.on(stream)?;
        arguments.arg(y); // const __nv_bfloat16* y
        arguments.arg(x); // float* x
        arguments.arg(&n); // int n
        // SAFETY: both buffers hold n elements, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [blocks(y.len()), 1, 1], THREADS) }
    }
}

fn blocks(n: usize) -> usize {
    n.div_ceil(THREADS as usize * PER_THREAD)
}
