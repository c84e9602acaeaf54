//! `kernels/dropout.cu`: dropout masks from Philox.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};

use super::StepState;
use super::kernel::Kernel;
use super::loader::Loader;
use crate::exec::cuda::CudaError;
use crate::ops::DropoutMask;
use crate::random::{Philox, Purpose};

/// Threads of a block, and the elements that a thread writes: DROPOUT_THREADS and PER_BLOCK in the C file.
const THREADS: u32 = 256;
const PER_THREAD: usize = 4;

/// Masks of inverted dropout.
pub struct DropoutKernels {
    mask: Kernel,
}

impl DropoutKernels {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("dropout")?;
        Ok(Self { mask: file.kernel("dropout_mask")? })
    }

    /// The whole mask of `rule` under `seed` for the step that `step` (one element) stands in: the same
    /// numbers as [`DropoutMask::fill`] in 32 bits gives for the updates so far.
    ///
    /// # Errors
    /// Lengths that are wrong or do not fit 32 bits; what the driver reports.
    pub fn mask(
        &self,
        stream: &CudaStream,
        rule: &DropoutMask,
        seed: u64,
        step: &CudaView<'_, StepState>,
        mask: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.mask;
        kernel.expect_length("step", step.len(), 1)?;
        kernel.expect_length("mask", mask.len(), rule.shape.size())?;
        let n = kernel.size("the number of elements", mask.len())?;
        if n == 0 {
            return Ok(());
        }
        let blocks = mask.len().div_ceil(THREADS as usize * PER_THREAD);
        let [key_0, key_1] = Philox::new(seed, Purpose::Dropout, rule.stream).key();
        let probability = rule.probability.get();
        let threshold = (probability * 2_f64.powi(32)) as u32;
        let kept = (1.0 / (1.0 - probability)) as f32;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(step); // const StepState* step
        arguments.arg(mask); // float* mask
        arguments.arg(&n); // int n
        arguments.arg(&key_0); // uint32_t key_0
        arguments.arg(&key_1); // uint32_t key_1
        arguments.arg(&threshold); // uint32_t threshold
        arguments.arg(&kept); // float kept
        // SAFETY: the mask holds n elements, and the kernel touches no others, and the one step.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS) }
    }
}
