//! `kernels/accuracy.cu`: what a batch adds to the sums of an epoch.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};

use super::StepState;
use super::kernel::Kernel;
use super::loader::Loader;
use crate::exec::cuda::CudaError;

/// Threads of a block, and the rows that one counts, a warp each: COUNT_THREADS and COUNT_WARPS in the C file.
const COUNT_THREADS: u32 = 256;
const COUNT_ROWS: usize = 8;
/// Threads of the one block that adds losses: LOSS_THREADS in the C file.
const LOSS_THREADS: u32 = 256;

/// Sums over an epoch: correct predictions, confusions and losses.
pub struct Accuracy {
    count_correct: Kernel,
    count_confusions: Kernel,
    accumulate_losses: Kernel,
}

impl Accuracy {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("accuracy")?;
        Ok(Self {
            count_correct: file.kernel("count_correct")?,
            count_confusions: file.kernel("count_confusions")?,
            accumulate_losses: file.kernel("accumulate_losses")?,
        })
    }

    /// Adds to `correct` (one element) the number of rows of `logits` (rows, classes) whose largest
    /// element stands where `labels` (rows) says. The largest is the first of equals; a NaN is never
    /// the largest, but for one in the first place, which always is.
    ///
    /// # Errors
    /// Lengths that disagree or do not fit 32 bits, no classes; what the driver reports.
    pub fn count_correct(
        &self,
        stream: &CudaStream,
        classes: usize,
        logits: &CudaView<'_, f32>,
        labels: &CudaView<'_, f32>,
        correct: &mut CudaViewMut<'_, u64>,
    ) -> Result<(), CudaError> {
        self.count_correct.expect_length("correct", correct.len(), 1)?;
        count(&self.count_correct, stream, classes, logits, labels, correct)
    }

    /// Adds to each of `counts` (classes, classes) the number of rows of `logits` (rows, classes) whose
    /// class in `labels` (rows) is the row of `counts`, and whose largest element, as in
    /// [`Self::count_correct`], stands where the column is. A label that is no class number counts nowhere.
    ///
    /// # Errors
    /// Lengths that disagree or do not fit 32 bits, no classes; what the driver reports.
    pub fn count_confusions(
        &self,
        stream: &CudaStream,
        classes: usize,
        logits: &CudaView<'_, f32>,
        labels: &CudaView<'_, f32>,
        counts: &mut CudaViewMut<'_, u64>,
    ) -> Result<(), CudaError> {
        let kernel = &self.count_confusions;
        kernel.expect_length("counts", counts.len(), kernel.count(&[classes, classes])?)?;
        count(kernel, stream, classes, logits, labels, counts)
    }

    /// Adds the sum of a batch's `losses` to `total` (one element), in 64 bits and in an order that the
    /// length alone decides. If the sum is not finite, [`StepState::first_not_finite`] of `step` (one
    /// element) becomes this step's number, unless it names an earlier one.
    ///
    /// A step's update must come after this, so that nothing is updated by such a loss.
    ///
    /// # Errors
    /// Lengths that are wrong or do not fit 32 bits; what the driver reports.
    pub fn accumulate_losses(
        &self,
        stream: &CudaStream,
        losses: &CudaView<'_, f32>,
        step: &mut CudaViewMut<'_, StepState>,
        total: &mut CudaViewMut<'_, f64>,
    ) -> Result<(), CudaError> {
        let kernel = &self.accumulate_losses;
        kernel.expect_length("step", step.len(), 1)?;
        kernel.expect_length("total", total.len(), 1)?;
        let n = kernel.size("the number of losses", losses.len())?;
        if n == 0 {
            return Ok(());
        }
        let mut arguments = kernel.on(stream)?;
        arguments.arg(losses); // const float* losses
        arguments.arg(&n); // int n
        arguments.arg(step); // StepState* step
        arguments.arg(total); // double* total
        // SAFETY: there are n losses, one step and one total, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [1, 1, 1], LOSS_THREADS) }
    }
}

/// Launches one of the kernels that count; `counts` has been checked.
fn count(
    kernel: &Kernel,
    stream: &CudaStream,
    classes: usize,
    logits: &CudaView<'_, f32>,
    labels: &CudaView<'_, f32>,
    counts: &mut CudaViewMut<'_, u64>,
) -> Result<(), CudaError> {
    kernel.expect_length("logits", logits.len(), kernel.count(&[labels.len(), classes])?)?;
    if classes == 0 {
        return Err(kernel.refuse("there are no classes to choose from".into()));
    }
    let rows = kernel.size("the number of rows", labels.len())?;
    let columns = kernel.size("the number of classes", classes)?;
    if rows == 0 {
        return Ok(());
    }
    let mut arguments = kernel.on(stream)?;
    arguments.arg(logits); // const float* logits
    arguments.arg(labels); // const float* labels
    arguments.arg(counts); // unsigned long long* correct or counts
    arguments.arg(&rows); // int rows
    arguments.arg(&columns); // int classes
    // SAFETY: the lengths are those that rows and classes ask for, one of each count that the kernel can
    // name, and it touches no others.
    unsafe { kernel.launch(&mut arguments, [labels.len().div_ceil(COUNT_ROWS), 1, 1], COUNT_THREADS) }
}
