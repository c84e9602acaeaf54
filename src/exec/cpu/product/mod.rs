//! Matrix products, cut into tiles by shape, each computed, finished and put away by one thread.
//!
//! A product is [`dense`], or, where the first operand is known to have many zeros, made by [`skipping`] them. Either
//! way a tile's sums start from zero or from a row (a bias), and while it is in cache the epilogue changes it, or, if it is
//! a gradient, moves the parameter whose gradient it is.

mod dense;
mod skipping;
mod tile;

pub(super) use tile::{Consume, First, Product, Target, Tile};

use crate::float::Float;
use crate::ops::{Extents, MatMul};
use tile::Matrix;

/// The most elements of scratch that a thread takes for a product: one that leaves out zeros, or one whose tiles
/// go nowhere.
pub(super) fn scratch(matmul: MatMul, extents: Extents, leaves_out_zeros: bool, stores: bool) -> usize {
    match (leaves_out_zeros, stores) {
        (true, _) => skipping::scratch(matmul.transpose_a, extents.m, extents.n),
        (false, true) => dense::scratch(extents),
        (false, false) => 0,
    }
}

/// Computes the product.
pub(super) fn run<T: Float>(product: &Product<'_, T>, target: Target<'_, &mut [T], T>) {
    let target = match target {
        Target::Memory(memory, epilogue) => Target::Memory(Matrix::new(memory), epilogue),
        Target::Others(others, epilogue) => {
            Target::Others(others.map(|other| other.map(Matrix::new)), epilogue)
        }
    };
    match product.a {
        First::Dense(a) => dense::run(product, a, &target),
        First::Nonzeros(a) => skipping::run(product, a, &target),
    }
}
