//! What there is to show.

use crate::backprop::{Backprop, device, torch};

/// All that was found of a problem.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'r> {
    /// Values, gradients and checks.
    pub found: &'r Backprop,
    /// Where the matrices are from: `entries standard normal, seed 0`.
    pub origin: &'r str,
    /// PyTorch's results beside ours.
    pub torch: Option<&'r torch::TorchComparison>,
    /// Float32 on a device beside float64.
    pub device: Option<&'r device::DeviceComparison>,
}
