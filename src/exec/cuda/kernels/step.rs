//! Where a training run stands, on the device: `kernels/step.cuh`.

use cudarc::driver::{DeviceRepr, ValidAsZeroBits};

/// What changes from step to step. Kernels read it from device memory, so that a captured graph of one
/// step serves every step.
///
/// A step is [`Optimizers::begin_step`](super::Optimizers::begin_step), then everything else:
///
/// - what is random (dropout masks, shifts) is drawn for the step `number` − 1, which is the number of
///   updates so far, as on the CPU;
/// - the batch is the `number` − 1 − `epoch_start`-th of its epoch, and so are the step's scalars, the learning rate among
///   them;
/// - the update is the `number`-th, from 1.
///
/// The host writes [`StepState::new`] before the first step of an epoch, and where it goes on within one, [`StepState::after`].
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepState {
    /// t: the number of updates begun, the present one among them.
    pub number: u64,
    /// The number of updates before this epoch.
    pub epoch_start: u64,
    /// The number of the first step whose loss was not finite, or [`Self::NONE`]. From that step on,
    /// updates change nothing.
    pub first_not_finite: u64,
}

impl StepState {
    /// No step's number.
    pub const NONE: u64 = u64::MAX;

    /// Between steps, at the beginning of an epoch, after some updates: 0 in a fresh run.
    pub const fn new(updates: u64) -> Self {
        Self { number: updates, epoch_start: updates, first_not_finite: Self::NONE }
    }

    /// The same after so many more steps of the epoch.
    pub const fn after(self, steps: u64) -> Self {
        Self { number: self.number + steps, ..self }
    }
}

impl Default for StepState {
    fn default() -> Self {
        Self::new(0)
    }
}

// SAFETY: numbers alone, for which all bits zero are a value.
unsafe impl ValidAsZeroBits for StepState {}
// SAFETY: the C struct has the same fields in the same order.
unsafe impl DeviceRepr for StepState {}

const _: () = assert!(size_of::<StepState>() == 24, "as kernels/step.cuh has it");
