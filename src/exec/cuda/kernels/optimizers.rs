//! `kernels/optimizers.cu`: the start of a step, and the updates of all parameters.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};

use super::StepState;
use super::kernel::Kernel;
use crate::exec::cuda::CudaError;
use crate::exec::cuda::device::Loader;
use crate::optim::{Adagrad, Adam, Optimizer, RmsProp, Sgd};

/// Threads of a block, and the elements that a block updates: UPDATE_THREADS and TILE in the C file.
const THREADS: u32 = 256;
const TILE: usize = 2048;
/// Where a tile begins at the last multiple of 16 bytes, so many elements lie before the buffer at most.
const PAST_ALIGNMENT: usize = 3;

/// Steps and their updates.
pub struct Optimizers {
    begin_epoch: Kernel,
    begin_step: Kernel,
    sgd: Kernel,
    adagrad: Kernel,
    rmsprop: Kernel,
    adam: Kernel,
}

impl Optimizers {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("optimizers")?;
        Ok(Self {
            begin_epoch: file.kernel("begin_epoch")?,
            begin_step: file.kernel("begin_step")?,
            sgd: file.kernel("update_sgd")?,
            adagrad: file.kernel("update_adagrad")?,
            rmsprop: file.kernel("update_rmsprop")?,
            adam: file.kernel("update_adam")?,
        })
    }

    /// An epoch begins: the updates so far are those before it. `step` holds one element.
    ///
    /// # Errors
    /// Another length; what the driver reports.
    pub fn begin_epoch(
        &self,
        stream: &CudaStream,
        step: &mut CudaViewMut<'_, StepState>,
    ) -> Result<(), CudaError> {
        let kernel = &self.begin_epoch;
        kernel.expect_length("step", step.len(), 1)?;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(step); // StepState* step
        // SAFETY: one thread, which touches the one element.
        unsafe { kernel.launch(&mut arguments, [1, 1, 1], 1) }
    }

    /// A step begins: its number, and in 64 bits the learning rate, the decay and Adam's corrections.
    ///
    /// `learning_rates` are those of the epoch's steps; a step past them gets NaN. `step` holds one element.
    ///
    /// # Errors
    /// Lengths that are wrong or do not fit 32 bits; what the driver reports.
    pub fn begin_step(
        &self,
        stream: &CudaStream,
        optimizer: &Optimizer,
        weight_decay: f64,
        learning_rates: &CudaView<'_, f64>,
        step: &mut CudaViewMut<'_, StepState>,
    ) -> Result<(), CudaError> {
        let kernel = &self.begin_step;
        kernel.expect_length("step", step.len(), 1)?;
        let count = kernel.size("the number of learning rates", learning_rates.len())?;
        // Others do not use the corrections: with zeros they are 1.
        let (beta1, beta2) = match optimizer {
            Optimizer::Adam(adam) => (adam.beta1, adam.beta2),
            _ => (0.0, 0.0),
        };
        let mut arguments = kernel.on(stream)?;
        arguments.arg(step); // StepState* step
        arguments.arg(learning_rates); // const double* learning_rates
        arguments.arg(&count); // int count
        arguments.arg(&weight_decay); // double weight_decay
        arguments.arg(&beta1); // double beta1
        arguments.arg(&beta2); // double beta2
        // SAFETY: one thread, which touches the one step, and of the count learning rates one or none.
        unsafe { kernel.launch(&mut arguments, [1, 1, 1], 1) }
    }

    /// One update of all parameters, as [`Optimizer::update`] has it, with the rates of `step` (one element).
    ///
    /// `parameters`, `gradients`, the state `first` and, for an optimizer with two of them, `second` are
    /// of one length and do not overlap. Any alignment will do; 16-byte accesses are made where all
    /// buffers begin equally far past a multiple of 16 bytes. Nothing changes after a loss that was not
    /// finite ([`StepState::first_not_finite`]).
    ///
    /// # Errors
    /// Lengths that differ or do not fit 32 bits, a second state too few or too many; what the driver
    /// reports.
    #[allow(
        clippy::too_many_arguments,
        reason = "the operands of an update, in the order of `Optimizer::update`"
    )]
    pub fn update(
        &self,
        stream: &CudaStream,
        optimizer: &Optimizer,
        step: &CudaView<'_, StepState>,
        parameters: &mut CudaViewMut<'_, f32>,
        gradients: &CudaView<'_, f32>,
        first: &mut CudaViewMut<'_, f32>,
        second: Option<&mut CudaViewMut<'_, f32>>,
    ) -> Result<(), CudaError> {
        let kernel = match optimizer {
            Optimizer::Sgd(_) => &self.sgd,
            Optimizer::Adagrad(_) => &self.adagrad,
            Optimizer::RmsProp(_) => &self.rmsprop,
            Optimizer::Adam(_) => &self.adam,
        };
        let length = parameters.len();
        kernel.expect_length("step", step.len(), 1)?;
        kernel.expect_length("gradients", gradients.len(), length)?;
        kernel.expect_length("first", first.len(), length)?;
        let seconds = if optimizer.state_per_parameter() == 2 { length } else { 0 };
        kernel.expect_length("second", second.as_ref().map_or(0, |second| second.len()), seconds)?;
        let n = kernel.size("the number of parameters", length)?;
        if n == 0 {
            return Ok(());
        }
        let constants = Constants::of(optimizer);
        let mut arguments = kernel.on(stream)?;
        arguments.arg(step); // const StepState* step
        arguments.arg(parameters); // float* parameters
        arguments.arg(gradients); // const float* gradients
        arguments.arg(first); // float* velocity, squares or means
        if let Some(second) = second.filter(|_| optimizer.state_per_parameter() == 2) {
            arguments.arg(second); // float* squares
        }
        arguments.arg(&n); // int n
        for constant in constants.as_slice() {
            arguments.arg(constant); // float, in the order that Constants documents
        }
        let blocks = (length + PAST_ALIGNMENT).div_ceil(TILE);
        // SAFETY: the buffers hold n elements each, and the kernel touches no others; the constants are as
        // many as the kernel of this optimizer takes, and the second state is there exactly for Adam's.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS) }
    }
}

/// A rule's constants as its kernel takes them, rounded as [`Optimizer::update`] rounds them.
struct Constants {
    values: [f32; 5],
    count: usize,
}

impl Constants {
    fn of(optimizer: &Optimizer) -> Self {
        match *optimizer {
            // float mu
            Optimizer::Sgd(Sgd { momentum }) => Self::new([momentum]),
            // float epsilon
            Optimizer::Adagrad(Adagrad { epsilon }) => Self::new([epsilon]),
            // float rho, float rest, float epsilon
            Optimizer::RmsProp(RmsProp { rho, epsilon }) => Self::new([rho, 1.0 - rho, epsilon]),
            // float beta1, float rest1, float beta2, float rest2, float epsilon
            Optimizer::Adam(Adam { beta1, beta2, epsilon }) => {
                Self::new([beta1, 1.0 - beta1, beta2, 1.0 - beta2, epsilon])
            }
        }
    }

    fn new<const N: usize>(constants: [f64; N]) -> Self {
        let mut values = [0.0; 5];
        for (value, constant) in values.iter_mut().zip(constants) {
            *value = constant as f32;
        }
        Self { values, count: N }
    }

    fn as_slice(&self) -> &[f32] {
        &self.values[..self.count]
    }
}
