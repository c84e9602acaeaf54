//! `kernels/ceiling.cu`: how fast a card copies and computes, against which `benches/cuda.rs` holds the others.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};
use half::bf16;

use super::Gemm;
use super::kernel::Kernel;
use super::loader::Loader;
use crate::exec::cuda::CudaError;

/// Threads of a block, and the elements that one copies or applies its additions to: CEILING_THREADS,
/// COPY_TILE and CEILING_THREADS CHAINS in the C file.
const THREADS: u32 = 256;
const COPY_TILE: usize = 4096;
const FMA_TILE: usize = 2048;

/// Threads of a block that multiplies matrices, and its warps: MMA_THREADS and MMA_WARPS in the C file.
const MMA_THREADS: u32 = 128;
const MMA_WARPS: usize = 4;
/// A is (32, 16), B (16, 32): EXTENT and DEPTH in the C file.
const EXTENT: usize = 32;
const DEPTH: usize = 16;

/// Copies and arithmetic that compute nothing of use.
pub struct Ceiling {
    copy: Kernel,
    fma: Kernel,
    mma: Kernel,
    multiplies_bf16: Result<(), String>,
}

impl Ceiling {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("ceiling")?;
        Ok(Self {
            copy: file.kernel("ceiling_copy")?,
            fma: file.kernel("ceiling_fma")?,
            mma: file.kernel("ceiling_mma")?,
            multiplies_bf16: Gemm::<bf16>::runs_on(loader.capability),
        })
    }

    /// `y[i] = x[i]`: 8 bytes an element through memory.
    ///
    /// # Errors
    /// Lengths that differ or do not fit 32 bits; what the driver reports.
    pub fn copy(
        &self,
        stream: &CudaStream,
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.copy;
        kernel.expect_length("y", y.len(), x.len())?;
        let n = kernel.size("the number of elements", x.len())?;
        if n == 0 {
            return Ok(());
        }
        let mut arguments = kernel.on(stream)?;
        arguments.arg(x); // const float* x
        arguments.arg(y); // float* y
        arguments.arg(&n); // int n
        // SAFETY: both buffers hold n elements, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [x.len().div_ceil(COPY_TILE), 1, 1], THREADS) }
    }

    /// `y[i]` = `x[i]` after `rounds` times `z = a z + b`, each rounded once. The floating-point operations
    /// of this launch: two an element and round.
    ///
    /// # Errors
    /// Lengths that differ, sizes that do not fit 32 bits; what the driver reports.
    pub fn fma(
        &self,
        stream: &CudaStream,
        [a, b]: [f32; 2],
        rounds: usize,
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<u64, CudaError> {
        let kernel = &self.fma;
        kernel.expect_length("y", y.len(), x.len())?;
        let n = kernel.size("the number of elements", x.len())?;
        let operations = kernel.count(&[2, x.len(), rounds])? as u64;
        let rounds = kernel.size("the number of rounds", rounds)?;
        if n == 0 {
            return Ok(0);
        }
        let mut arguments = kernel.on(stream)?;
        arguments.arg(x); // const float* x
        arguments.arg(y); // float* y
        arguments.arg(&n); // int n
        arguments.arg(&a); // float a
        arguments.arg(&b); // float b
        arguments.arg(&rounds); // int rounds
        let blocks = x.len().div_ceil(FMA_TILE);
        // SAFETY: both buffers hold n elements, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS) }?;
        Ok(operations)
    }

    /// Each (32, 32) of `c` = the sum of `rounds` times A B, for A (32, 16) and B (16, 32), all row-major, on
    /// tensor cores: a warp for each. The floating-point operations of this launch: 32768 a warp and round.
    ///
    /// # Errors
    /// A device whose tensor cores do not multiply bfloat16; other lengths, sizes that do not fit 32 bits;
    /// what the driver reports.
    pub fn mma(
        &self,
        stream: &CudaStream,
        rounds: usize,
        a: &CudaView<'_, bf16>,
        b: &CudaView<'_, bf16>,
        c: &mut CudaViewMut<'_, f32>,
    ) -> Result<u64, CudaError> {
        let kernel = &self.mma;
        if let Err(problem) = &self.multiplies_bf16 {
            return Err(kernel.refuse(problem.clone()));
        }
        kernel.expect_length("A", a.len(), EXTENT * DEPTH)?;
        kernel.expect_length("B", b.len(), DEPTH * EXTENT)?;
        let count = c.len() / (EXTENT * EXTENT);
        kernel.expect_length("C", c.len(), count * EXTENT * EXTENT)?;
        let operations = kernel.count(&[2, EXTENT, EXTENT, DEPTH, count, rounds])? as u64;
        let warps = kernel.size("the number of warps", count)?;
        let rounds = kernel.size("the number of rounds", rounds)?;
        if warps == 0 {
            return Ok(0);
        }
        let mut arguments = kernel.on(stream)?;
        arguments.arg(a); // const uint16_t* a
        arguments.arg(b); // const uint16_t* b
        arguments.arg(c); // float* c
        arguments.arg(&warps); // int warps
        arguments.arg(&rounds); // int rounds
        let blocks = count.div_ceil(MMA_WARPS);
        // SAFETY: A, B and C are as long as they must be for so many warps, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], MMA_THREADS) }?;
        Ok(operations)
    }
}
