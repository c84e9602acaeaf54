//! `kernels/softmax_cross_entropy.cu`: softmax cross-entropy and its gradient, softmax, one-hot.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};

use super::kernel::Kernel;
use super::loader::{File, Loader};
use crate::exec::cuda::CudaError;

/// Elements of one access, threads of a block that holds several rows, and threads of a block of
/// `one_hot`, as in the kernels.
const VECTOR: usize = 4;
const SHARED_BLOCK_THREADS: u32 = 128;
const ONE_HOT_THREADS: u32 = 256;

/// Softmax cross-entropy from labels, and what its derivative is made of.
pub struct SoftmaxCrossEntropy {
    /// In the order of [`FORMS`].
    cross_entropy: Vec<Kernel>,
    reference: Kernel,
    one_hot: Kernel,
}

/// Logits (rows, classes), row-major.
#[derive(Clone, Copy)]
pub struct Logits<'a> {
    /// rows · classes elements.
    pub view: &'a CudaView<'a, f32>,
    /// The number of rows.
    pub rows: usize,
    /// The number of classes, at least one.
    pub classes: usize,
}

/// A kernel that takes rows of up to a certain number of elements.
#[derive(PartialEq, Eq, Debug)]
struct Form {
    kernel: &'static str,
    /// Threads of a block.
    threads: u32,
    /// Rows of a block.
    rows: usize,
    /// The elements of a row that its threads hold in registers, four or more each; if none are held, rows
    /// are of any length and are read twice.
    held: Option<usize>,
}

const FORMS: [Form; 8] = [
    Form::lanes("cross_entropy_32", 8, 32),
    Form::lanes("cross_entropy_128", 32, 128),
    Form::lanes("cross_entropy_512", 32, 512),
    Form::lanes("cross_entropy_1024", 32, 1024),
    Form { kernel: "cross_entropy_4096", threads: 256, rows: 1, held: Some(4096) },
    Form { kernel: "cross_entropy_16384", threads: 512, rows: 1, held: Some(16_384) },
    Form { kernel: "cross_entropy_32768", threads: 1024, rows: 1, held: Some(32_768) },
    Form { kernel: "cross_entropy_online", threads: 512, rows: 1, held: None },
];

/// The plain kernel that the others are held against: one thread a row.
const REFERENCE: Form =
    Form { kernel: "cross_entropy_reference", threads: SHARED_BLOCK_THREADS, rows: 128, held: None };

/// The most classes of which a row is certain to be held in registers, and read only once.
pub const MOST_CLASSES_READ_ONCE: usize = 32_768 - (VECTOR - 1);

/// The kernels look a few vectors beyond the end of a row, and count in 32 bits.
const MOST_CLASSES: usize = i32::MAX as usize - (1 << 16);

impl Form {
    /// A row is held by so many lanes of a warp.
    const fn lanes(kernel: &'static str, lanes: usize, held: usize) -> Self {
        let threads = SHARED_BLOCK_THREADS;
        Self { kernel, threads, rows: threads as usize / lanes, held: Some(held) }
    }

    /// The position in [`FORMS`] of the first that holds rows of so many classes.
    ///
    /// Vectors of four begin at multiples of four elements from the beginning of the matrix. Unless that
    /// is where every row begins, there may be up to three elements before a row in its first vector.
    fn of(classes: usize) -> usize {
        let lead = if classes.is_multiple_of(VECTOR) { 0 } else { VECTOR - 1 };
        let fits = |form: &Form| form.held.is_none_or(|held| classes.saturating_add(lead) <= held);
        FORMS.iter().position(fits).unwrap_or(FORMS.len() - 1)
    }
}

impl SoftmaxCrossEntropy {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file: File = loader.file("softmax_cross_entropy")?;
        Ok(Self {
            cross_entropy: FORMS.iter().map(|form| file.kernel(form.kernel)).collect::<Result<_, _>>()?,
            reference: file.kernel(REFERENCE.kernel)?,
            one_hot: file.kernel("one_hot")?,
        })
    }

    /// `loss[r] = ln Σ_c exp(z[r, c] − max) − (z[r, y[r]] − max)`, and, if asked for,
    /// `gradient[r, c] = (softmax(z[r])[c] − [c = y[r]]) · scale`, (rows, classes).
    ///
    /// Logits are read once, and the gradient is written once; of more than [`MOST_CLASSES_READ_ONCE`]
    /// classes they are read twice. A label that is no class number gives NaN in its row.
    ///
    /// # Errors
    /// Lengths that disagree, no classes, sizes that do not fit 32 bits; what the driver reports.
    pub fn cross_entropy(
        &self,
        stream: &CudaStream,
        logits: Logits<'_>,
        labels: &CudaView<'_, f32>,
        scale: f32,
        loss: &mut CudaViewMut<'_, f32>,
        gradient: Option<&mut CudaViewMut<'_, f32>>,
    ) -> Result<(), CudaError> {
        let position = Form::of(logits.classes);
        let form = (&FORMS[position], &self.cross_entropy[position]);
        Self::launch(form, stream, logits, (Some(labels), scale), Some(loss), gradient)
    }

    /// The same by the plain kernel that the fast ones are held against.
    ///
    /// # Errors
    /// As [`SoftmaxCrossEntropy::cross_entropy`].
    pub fn reference(
        &self,
        stream: &CudaStream,
        logits: Logits<'_>,
        labels: &CudaView<'_, f32>,
        scale: f32,
        loss: &mut CudaViewMut<'_, f32>,
        gradient: Option<&mut CudaViewMut<'_, f32>>,
    ) -> Result<(), CudaError> {
        let form = (&REFERENCE, &self.reference);
        Self::launch(form, stream, logits, (Some(labels), scale), Some(loss), gradient)
    }

    /// `y[r, c] = exp(z[r, c]) / Σ_k exp(z[r, k])`, (rows, classes).
    ///
    /// # Errors
    /// Lengths that disagree, no classes, sizes that do not fit 32 bits; what the driver reports.
    pub fn softmax(
        &self,
        stream: &CudaStream,
        logits: Logits<'_>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let position = Form::of(logits.classes);
        let form = (&FORMS[position], &self.cross_entropy[position]);
        Self::launch(form, stream, logits, (None, 1.0), None, Some(y))
    }

    fn launch(
        (form, kernel): (&Form, &Kernel),
        stream: &CudaStream,
        Logits { view, rows, classes }: Logits<'_>,
        (labels, scale): (Option<&CudaView<'_, f32>>, f32),
        loss: Option<&mut CudaViewMut<'_, f32>>,
        gradient: Option<&mut CudaViewMut<'_, f32>>,
    ) -> Result<(), CudaError> {
        if let Some(labels) = labels {
            kernel.expect_length("labels", labels.len(), rows)?;
        }
        if let Some(loss) = &loss {
            kernel.expect_length("loss", loss.len(), rows)?;
        }
        let count = kernel.count(&[rows, classes])?;
        if classes == 0 || classes > MOST_CLASSES {
            return Err(kernel.refuse(format!("{classes} classes are not between 1 and {MOST_CLASSES}")));
        }
        kernel.expect_length("logits", view.len(), count)?;
        if let Some(gradient) = &gradient {
            kernel.expect_length("gradient", gradient.len(), count)?;
        }
        let blocks = rows.div_ceil(form.rows);
        let rows = kernel.size("the number of rows", rows)?;
        let classes = kernel.size("the number of classes", classes)?;
        if rows == 0 {
            return Ok(());
        }
        let null = 0_u64;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(view); // const float* logits
        match labels {
            Some(labels) => arguments.arg(labels), // const float* labels
            None => arguments.arg(&null),
        };
        match loss {
            Some(loss) => arguments.arg(loss), // float* loss
            None => arguments.arg(&null),
        };
        match gradient {
            Some(gradient) => arguments.arg(gradient), // float* gradient
            None => arguments.arg(&null),
        };
        arguments.arg(&scale); // float scale
        arguments.arg(&rows); // int rows
        arguments.arg(&classes); // int classes
        // SAFETY: logits and gradient hold (rows, classes), labels and loss (rows) elements, as was
        // checked, or are null, which the kernel allows for all but the logits; it touches no others.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], form.threads) }
    }

    /// `y[r, c] = [c = label[r]]`, (rows, classes), NaN in the row of a label that is no class number.
    ///
    /// # Errors
    /// Lengths that disagree, no classes, sizes that do not fit 32 bits; what the driver reports.
    pub fn one_hot(
        &self,
        stream: &CudaStream,
        labels: &CudaView<'_, f32>,
        classes: usize,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.one_hot;
        let count = kernel.count(&[labels.len(), classes])?;
        if classes == 0 {
            return Err(kernel.refuse("there must be at least one class".into()));
        }
        kernel.expect_length("y", y.len(), count)?;
        let n = kernel.size("the number of elements", count)?;
        if n == 0 {
            return Ok(());
        }
        let classes = kernel.size("the number of classes", classes)?;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(labels); // const float* labels
        arguments.arg(y); // float* y
        arguments.arg(&classes); // int classes
        arguments.arg(&n); // int n
        let blocks = count.div_ceil(ONE_HOT_THREADS as usize * VECTOR);
        // SAFETY: y holds n = rows · classes elements and labels as many as rows; the kernel touches no
        // others.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], ONE_HOT_THREADS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_take_the_smallest_form_that_holds_them() {
        let form = |classes| FORMS[Form::of(classes)].kernel;
        assert_eq!([1, 2, 10, 29, 32].map(form), ["cross_entropy_32"; 5]);
        assert_eq!([30, 31, 33, 125, 128].map(form), ["cross_entropy_128"; 5]);
        assert_eq!([126, 127, 129, 509, 512].map(form), ["cross_entropy_512"; 5]);
        assert_eq!([510, 1000, 1021, 1024].map(form), ["cross_entropy_1024"; 4]);
        assert_eq!([1022, 1025, 3000, 4096].map(form), ["cross_entropy_4096"; 4]);
        assert_eq!([4095, 10_000, 16_384].map(form), ["cross_entropy_16384"; 3]);
        assert_eq!([16_382, MOST_CLASSES_READ_ONCE, 32_768].map(form), ["cross_entropy_32768"; 3]);
        assert_eq!([MOST_CLASSES_READ_ONCE + 1, 50_257, usize::MAX].map(form), ["cross_entropy_online"; 3]);
    }
}
