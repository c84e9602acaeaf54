//! The chain of matrices: its numbers against PyTorch's, its checks against planted mistakes, its pages against each other.

mod golden;
mod printed;
mod random;

use cotangent::backprop::{Backprop, Problem};

fn solved(problem: &Problem) -> Backprop {
    Backprop::of(problem).unwrap_or_else(|error| panic!("{error}"))
}
