//! Values and gradients as a page to be read, as CSV and JSON for programs, with numbers in full, and as a drawing.

mod csv;
mod diagram;
mod json;
mod page;

pub use csv::csv;
pub use diagram::{diagram, diagram_in_characters};
pub use json::json;
pub use page::{agreement, page};

use super::{Backprop, device, torch};

/// What there is to show.
#[derive(Clone, Copy, Debug)]
pub struct Results<'r> {
    /// Values, gradients and checks.
    pub found: &'r Backprop,
    /// Where the matrices are from: `entries standard normal, seed 0`.
    pub origin: &'r str,
    /// PyTorch's results beside ours.
    pub torch: Option<&'r torch::Comparison>,
    /// Float32 on a device beside float64.
    pub device: Option<&'r device::Comparison>,
}
