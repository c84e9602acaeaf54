//! `kernels/optimizers.cu`: the start of a step, and the updates of all parameters by the rules that have a kernel.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, DeviceRepr, PushKernelArg};

use super::kernel::Kernel;
use super::loader::Loader;
use super::step::StepState;
use crate::exec::cuda::CudaError;
use crate::optim::{Optimizer, OptimizerName};

/// Threads of a block, and the elements that a block updates: UPDATE_THREADS and TILE in the C file.
const THREADS: u32 = 256;
const TILE: usize = 2048;
/// Where a tile begins at the last multiple of 16 bytes, so many elements lie before the buffer at most.
const PAST_ALIGNMENT: usize = 3;

/// Steps and their updates.
pub struct Optimizers {
    begin_step: Kernel,
    /// Of the rules that have one, `update_` and the rule's name.
    updates: Vec<(OptimizerName, Kernel)>,
}

/// What an update reads and writes.
pub struct DeviceUpdate<'a, 'b> {
    /// One element each, in the order of [`Optimizer::scalars`].
    pub scalars: &'a [CudaView<'a, f32>],
    /// θ.
    pub parameters: &'a mut CudaViewMut<'b, f32>,
    /// g, as many.
    pub gradients: &'a CudaView<'a, f32>,
    /// Each number of the optimizer's state, as many.
    pub state: &'a mut [&'a mut CudaViewMut<'b, f32>],
}

/// Constant in the C file: c and 1 − c, each rounded once, as the rule's loop on the CPU has them.
#[repr(C)]
struct Constant {
    value: f32,
    rest: f32,
}

// SAFETY: the C struct has the same fields in the same order.
unsafe impl DeviceRepr for Constant {}

impl Optimizers {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("optimizers")?;
        let mut updates = Vec::new();
        for name in OptimizerName::ALL {
            let kernel = file.find(&format!("update_{}", name.family().name))?;
            updates.extend(kernel.map(|kernel| (name, kernel)));
        }
        Ok(Self { begin_step: file.kernel("begin_step")?, updates })
    }

    /// A step begins: it is counted, and its row of `table` (steps of the epoch, scalars) is copied to `scalars`; a step
    /// past them gets NaN. `step` holds one element.
    ///
    /// # Errors
    /// Lengths that are wrong or do not fit 32 bits; what the driver reports.
    pub fn begin_step(
        &self,
        stream: &CudaStream,
        table: &CudaView<'_, f32>,
        scalars: &mut CudaViewMut<'_, f32>,
        step: &mut CudaViewMut<'_, StepState>,
    ) -> Result<(), CudaError> {
        let kernel = &self.begin_step;
        kernel.expect_length("step", step.len(), 1)?;
        let rows = table.len().checked_div(scalars.len()).unwrap_or(0);
        kernel.expect_length("table", table.len(), rows * scalars.len())?;
        let steps = kernel.size("the number of steps", rows)?;
        let count = kernel.size("the number of scalars", scalars.len())?;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(step); // StepState* step
        arguments.arg(table); // const float* table
        arguments.arg(&steps); // int steps
        arguments.arg(&count); // int count
        arguments.arg(scalars); // float* scalars
        // SAFETY: one thread, which touches the one step, the scalars, and of the table's rows one or none.
        unsafe { kernel.launch(&mut arguments, [1, 1, 1], 1) }
    }

    /// Whether a rule has a kernel of its own.
    pub fn has(&self, optimizer: &Optimizer) -> bool {
        self.kernel(optimizer).is_some()
    }

    fn kernel(&self, optimizer: &Optimizer) -> Option<&Kernel> {
        self.updates.iter().find(|(name, _)| *name == optimizer.name()).map(|(_, kernel)| kernel)
    }

    /// One update of all parameters, as [`Optimizer::run`] has it, by a rule that [has](Self::has) a kernel.
    ///
    /// The buffers do not overlap. Any alignment will do; 16-byte accesses are made where all
    /// buffers begin equally far past a multiple of 16 bytes. Nothing changes after a loss that was not
    /// finite ([`StepState::first_not_finite`] of `step`, one element).
    ///
    /// # Errors
    /// Lengths that differ or do not fit 32 bits, scalars or states too few or too many, a rule without a kernel; what the
    /// driver reports.
    pub fn update(
        &self,
        stream: &CudaStream,
        optimizer: &Optimizer,
        step: &CudaView<'_, StepState>,
        update: DeviceUpdate<'_, '_>,
    ) -> Result<(), CudaError> {
        let DeviceUpdate { scalars, parameters, gradients, state } = update;
        let Some(kernel) = self.kernel(optimizer) else {
            return Err(self
                .begin_step
                .refuse(format!("{} has no kernel of its own", optimizer.name().name())));
        };
        let length = parameters.len();
        kernel.expect_length("step", step.len(), 1)?;
        kernel.expect_length("the list of scalars", scalars.len(), optimizer.scalars().len())?;
        kernel.expect_length("the list of states", state.len(), optimizer.states())?;
        for scalar in scalars {
            kernel.expect_length("a scalar", scalar.len(), 1)?;
        }
        kernel.expect_length("gradients", gradients.len(), length)?;
        for state in &*state {
            kernel.expect_length("state", state.len(), length)?;
        }
        let n = kernel.size("the number of parameters", length)?;
        if n == 0 {
            return Ok(());
        }
        let constant = |value: f64| Constant { value: value as f32, rest: (1.0 - value) as f32 };
        let constants: Vec<Constant> = optimizer.constants().into_iter().map(constant).collect();
        let mut arguments = kernel.on(stream)?;
        arguments.arg(step); // const StepState* step
        arguments.arg(&n); // int n
        for scalar in scalars {
            arguments.arg(scalar); // const float* alpha, decay, ...
        }
        arguments.arg(parameters); // float* parameters
        arguments.arg(gradients); // const float* gradients
        for state in state.iter_mut() {
            arguments.arg(&mut **state); // float* velocity, squares or means
        }
        for constant in &constants {
            arguments.arg(constant); // Constant mu, ..., in the order of the rule's fields
        }
        let blocks = (length + PAST_ALIGNMENT).div_ceil(TILE);
        // SAFETY: the buffers hold n elements each and the scalars one, and the kernel touches no others. A kernel with a
        // rule's name takes as many scalars, states and constants as the rule has, in this order.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS) }
    }
}
