//! `kernels/softmax_cross_entropy.cu`: softmax cross-entropy and its gradient, softmax, one-hot.

mod forms;

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};

pub use self::forms::{LongRows, MOST_CLASSES_READ_ONCE};

use self::forms::{FORMS, Form, Limits, REFERENCE, VECTOR, elements};
use super::kernel::Kernel;
use super::kernel::attributes::Attributes;
use super::loader::{File, Loader};
use crate::exec::cuda::CudaError;

/// Threads of a block of `one_hot`, as in the kernel.
const ONE_HOT_THREADS: u32 = 256;

/// Softmax cross-entropy from labels, and what its derivative is made of.
pub struct SoftmaxCrossEntropy {
    /// In the order of [`FORMS`].
    cross_entropy: Vec<Loaded>,
    reference: Loaded,
    one_hot: Kernel,
}

/// A form with its kernel, and the elements of a row that it holds on this device: 0 where it is of no use.
struct Loaded {
    form: &'static Form,
    kernel: Kernel,
    most: usize,
}

impl Loaded {
    fn load(form: &'static Form, file: &File, limits: Limits) -> Result<Self, CudaError> {
        let kernel = file.kernel(form.kernel)?.with_shared_memory(form.most_shared_memory(limits))?;
        Ok(Self { form, kernel, most: form.most(limits) })
    }

    fn launch(
        &self,
        stream: &CudaStream,
        Logits { view, rows, classes }: Logits<'_>,
        (labels, scale): (Option<&CudaView<'_, f32>>, f32),
        loss: Option<&mut CudaViewMut<'_, f32>>,
        gradient: Option<&mut CudaViewMut<'_, f32>>,
    ) -> Result<(), CudaError> {
        let Self { form, kernel, .. } = self;
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
        let blocks = kernel.count(&[rows.div_ceil(form.rows), form.cluster() as usize])?;
        let shared = form.shared_memory(elements(classes));
        let rows = kernel.size("the number of rows", rows)?;
        let classes = kernel.size("the number of classes", classes)?;
        if rows == 0 {
            return Ok(());
        }
        let null = 0_u64;
        let mut arguments = kernel.with(Attributes::cluster(form.cluster()), stream)?;
        arguments.shared_memory(shared);
        arguments.view(view); // const float* logits
        match labels {
            Some(labels) => arguments.view(labels), // const float* labels
            None => arguments.value(&null),
        };
        match loss {
            Some(loss) => arguments.view_mut(loss), // float* loss
            None => arguments.value(&null),
        };
        match gradient {
            Some(gradient) => arguments.view_mut(gradient), // float* gradient
            None => arguments.value(&null),
        };
        arguments.value(&scale); // float scale
        arguments.value(&rows); // int rows
        arguments.value(&classes); // int classes
        // SAFETY: logits and gradient hold (rows, classes), labels and loss (rows) elements, as was
        // checked, or are null, which the kernel allows for all but the logits; it touches no others, and of shared
        // memory what rows of so many elements take. Blocks wait for those of their cluster only, which run together.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], form.threads) }
    }
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

/// The kernels look a few vectors beyond the end of a row, and count in 32 bits.
const MOST_CLASSES: usize = i32::MAX as usize - (1 << 16);

impl SoftmaxCrossEntropy {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file: File = loader.file("softmax_cross_entropy")?;
        let limits = Limits { capability: loader.capability, shared_memory: loader.most_shared_memory()? };
        let load = |form| Loaded::load(form, &file, limits);
        Ok(Self {
            cross_entropy: FORMS.iter().map(load).collect::<Result<_, _>>()?,
            reference: load(&REFERENCE)?,
            one_hot: file.kernel("one_hot")?,
        })
    }

    /// The first of the forms that holds rows of so many classes; one holds rows of any.
    fn of(&self, classes: usize) -> &Loaded {
        let holds = |loaded: &&Loaded| elements(classes) <= loaded.most;
        self.cross_entropy.iter().find(holds).unwrap_or(&self.reference)
    }

    /// `loss[r] = ln Σ_c exp(z[r, c] − max) − (z[r, y[r]] − max)`, and, if asked for,
    /// `gradient[r, c] = (softmax(z[r])[c] − [c = y[r]]) · scale`, (rows, classes).
    ///
    /// Logits are read once, and the gradient is written once; of more than [`MOST_CLASSES_READ_ONCE`]
    /// classes some devices read them twice. A label that is no class number gives NaN in its row.
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
        self.of(logits.classes).launch(stream, logits, (Some(labels), scale), Some(loss), gradient)
    }

    /// The same in a given way, for rows of any length that it holds.
    ///
    /// # Errors
    /// A device without it; rows that it does not hold; as [`SoftmaxCrossEntropy::cross_entropy`].
    pub fn cross_entropy_by(
        &self,
        way: LongRows,
        stream: &CudaStream,
        logits: Logits<'_>,
        (labels, scale): (&CudaView<'_, f32>, f32),
        loss: &mut CudaViewMut<'_, f32>,
        gradient: Option<&mut CudaViewMut<'_, f32>>,
    ) -> Result<(), CudaError> {
        let ways: Vec<&Loaded> = self.cross_entropy.iter().filter(|loaded| loaded.form.is(way)).collect();
        let held = ways.iter().find(|loaded| elements(logits.classes) <= loaded.most);
        let Some(loaded) = held.or(ways.last()) else { return Ok(()) }; // each way is in the table
        let (kernel, classes, most) = (&loaded.kernel, logits.classes, loaded.most);
        match most {
            0 => Err(kernel.refuse(format!("it needs compute capability {}", way.since()))),
            _ if held.is_none() => {
                Err(kernel.refuse(format!("a row of {classes} classes, and this device holds {most}")))
            }
            _ => loaded.launch(stream, logits, (Some(labels), scale), Some(loss), gradient),
        }
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
        self.reference.launch(stream, logits, (Some(labels), scale), Some(loss), gradient)
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
        self.of(logits.classes).launch(stream, logits, (None, 1.0), None, Some(y))
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
