//! `kernels/gather.cu`: mini-batches gathered from byte images.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};

use super::StepState;
use super::kernel::Kernel;
use super::loader::Loader;
use crate::data::{Normalisation, Shifts};
use crate::exec::cuda::CudaError;

/// Threads of a block, elements of an access, and the vectors that a warp makes, as in the C file.
const THREADS: u32 = 64;
const VECTOR: usize = 4;
const PART: usize = 32 * 4;
/// Warps of a block.
const WARPS: usize = THREADS as usize / 32;

/// The kernels count pixels and the bytes that they come from in 32 bits, up to twice an image.
const MOST_PIXELS: usize = 1 << 29;

/// Fills mini-batches.
pub struct GatherKernels {
    plain: Kernel,
    shifted: Kernel,
}

/// Labelled images of one size on the device: a [`crate::data::Split`].
pub struct DeviceSplit<'a> {
    /// (count, rows, columns), bytes.
    pub images: CudaView<'a, u8>,
    /// (count), the class of each image.
    pub labels: CudaView<'a, u8>,
    /// Height of an image in pixels.
    pub rows: usize,
    /// Width of an image in pixels.
    pub columns: usize,
}

/// Which images make a batch: those from (step of the epoch) · `batch_size` on in `order`.
pub struct BatchOrder<'a> {
    /// One element.
    pub step: CudaView<'a, StepState>,
    /// The images of the epoch in order.
    pub order: CudaView<'a, u32>,
    /// Images in a full batch.
    pub batch_size: usize,
}

impl GatherKernels {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("gather")?;
        Ok(Self { plain: file.kernel("gather_batch")?, shifted: file.kernel("gather_shifted_batch")? })
    }

    /// Fills the batch of this step: `images` (rows of the batch, pixels) with normalised, perhaps
    /// shifted, pixels and `labels` (rows) with class numbers, the same numbers as
    /// [`crate::data::Gather::batch`] in 32 bits gives. `labels` decides how many rows: as many as
    /// [`BatchOrder::batch_size`], or fewer in the last batch of an epoch.
    ///
    /// Where the order has no image, or names one that does not exist, pixels and label become NaN.
    ///
    /// # Errors
    /// Lengths that disagree, more rows than a full batch has, sizes that do not fit 32 bits, images without pixels
    /// or of more than 2²⁹; what the driver reports.
    pub fn batch(
        &self,
        stream: &CudaStream,
        split: &DeviceSplit<'_>,
        (normalisation, shifts): (Normalisation, Option<Shifts>),
        which: &BatchOrder<'_>,
        images: &mut CudaViewMut<'_, f32>,
        labels: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = if shifts.is_some() { &self.shifted } else { &self.plain };
        let &DeviceSplit { images: ref bytes, labels: ref classes, rows: height, columns: width } = split;
        let pixels = kernel.count(&[height, width])?;
        if pixels == 0 {
            return Err(kernel.refuse(format!("an image of {height} x {width} has no pixels")));
        }
        if pixels > MOST_PIXELS {
            let most = MOST_PIXELS;
            return Err(kernel.refuse(format!("an image of {height} x {width}: {most} pixels are the most")));
        }
        kernel.expect_length("the split's images", bytes.len(), kernel.count(&[classes.len(), pixels])?)?;
        kernel.expect_length("the batch's images", images.len(), kernel.count(&[labels.len(), pixels])?)?;
        kernel.expect_length("step", which.step.len(), 1)?;
        if labels.len() > which.batch_size {
            return Err(kernel.refuse(format!(
                "a batch of {} rows, where a full one has {}",
                labels.len(),
                which.batch_size
            )));
        }
        // A warp makes a part of one image, whose first vector may begin before it.
        let lead = if pixels.is_multiple_of(VECTOR) { 0 } else { VECTOR - 1 };
        let warps = kernel.count(&[labels.len(), (pixels + lead).div_ceil(PART * VECTOR)])?;
        kernel.size("the number of warps", warps)?;
        let count = kernel.size("the number of images", classes.len())?;
        let pixels = kernel.size("the number of pixels", pixels)?;
        let columns = kernel.size("the width", width)?;
        let order_length = kernel.size("the length of the order", which.order.len())?;
        let batch_size = kernel.size("the size of a batch", which.batch_size)?;
        let rows = kernel.size("the number of rows", labels.len())?;
        if rows == 0 {
            return Ok(());
        }
        let (scale, shift) = normalisation.scale_and_shift();
        let (scale, shift) = (scale as f32, shift as f32);
        let largest = shifts.map_or(0, |shifts| i32::from(shifts.pixels()));
        let [key_0, key_1] = shifts.map_or([0; 2], |shifts| shifts.key());
        let mut arguments = kernel.on(stream)?;
        arguments.arg(&which.step); // const StepState* step
        arguments.arg(&which.order); // const uint32_t* order
        arguments.arg(&order_length); // int order_length
        arguments.arg(&batch_size); // int batch_size
        arguments.arg(bytes); // const uint8_t* images
        arguments.arg(classes); // const uint8_t* labels
        arguments.arg(&count); // int count
        arguments.arg(&pixels); // int pixels
        arguments.arg(&scale); // float scale
        arguments.arg(&shift); // float shift
        arguments.arg(images); // float* batch
        arguments.arg(labels); // float* batch_labels
        arguments.arg(&rows); // int rows
        if shifts.is_some() {
            arguments.arg(&columns); // int columns
            arguments.arg(&largest); // int largest
            arguments.arg(&key_0); // uint32_t key_0
            arguments.arg(&key_1); // uint32_t key_1
        }
        let blocks = warps.div_ceil(WARPS);
        // SAFETY: the batch holds rows images of so many pixels and rows labels, the split count of
        // each, the order order_length indices; the kernel checks positions and indices against these,
        // and reads only such whole words as lie in the split.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS) }
    }
}
