//! Backpropagation through matrices: z = ½‖Y − Wₙ relu(… relu(W₁ X))‖², with value and gradient of every node.
//!
//! [`Problem`] holds the matrices, drawn from a seed or read from a file; [`Backprop`] differentiates with
//! [`crate::autodiff`] and keeps every number; [`Checks`] finds the same gradients in two other ways, [`torch`] asks
//! PyTorch, [`device`] computes in float32 on a card; [`mod@format`] writes what was found for people and for programs.
//!
//! Columns are examples: X is (inputs, columns), Wᵢ (outputs, inputs). ‖·‖ is the Frobenius norm.

mod chain;
mod checks;
pub mod device;
mod error;
pub mod files;
pub mod format;
mod problem;
mod rules;
mod sensitivity;
pub mod torch;

pub use chain::{Backprop, Variable};
pub use checks::{Checks, Deviation, Differences, Found};
pub use error::BackpropError;
pub use problem::{Matrix, Problem};
pub use rules::Notation;
pub use sensitivity::Rounding;

/// The verdict on several things: that one differs, or else that nothing can be told of one, or else that all agree.
fn together(verdicts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let worse = |a: Option<bool>, b: Option<bool>| match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (None, _) | (_, None) => None,
        _ => Some(true),
    };
    verdicts.into_iter().fold(Some(true), worse)
}
