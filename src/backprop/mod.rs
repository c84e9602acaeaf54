//! Backpropagation through matrices: z = ½‖Y − Wₙ relu(… relu(W₁ X))‖², with value and gradient of every node.
//!
//! [`Problem`] holds the matrices, drawn from a seed or read from a file; [`Backprop`] differentiates with
//! [`crate::autodiff`] and keeps every number; [`GradientChecks`] finds the same gradients in two other ways, [`torch`] asks
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
mod solve;
pub mod torch;
mod verdict;

pub use chain::{Backprop, Rounding, Variable};
pub use checks::{Deviation, Differences, Found, GradientChecks};
pub use error::BackpropError;
pub use problem::{Matrix, Problem};
pub use rules::MatrixNotation;
