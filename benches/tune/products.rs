//! The products that variants are timed at.

use std::fmt;

use cotangent::ops::{Extents, MatMul};

/// One product.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    pub matmul: MatMul,
    pub extents: Extents,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Extents { m, n, k } = self.extents;
        write!(f, "{} {m}x{n}x{k}", self.matmul.letters())
    }
}

/// Batch sizes, the default first.
const BATCHES: [usize; 3] = [128, 256, 1024];
const WIDTHS: [usize; 4] = [784, 512, 256, 10];
const SQUARES: [usize; 4] = [4096, 2048, 1024, 8192];

/// Those of the default network, then large ones; the default batch size first, for time may run out.
pub fn products(rehearses: bool) -> Vec<Product> {
    let product = |letters: [bool; 2], [m, n, k]: [usize; 3]| Product {
        matmul: MatMul { transpose_a: letters[0], transpose_b: letters[1] },
        extents: Extents { m, n, k },
    };
    if rehearses {
        return vec![product([false, true], [40, 30, 150]), product([true, false], [33, 70, 65])];
    }
    let of_batch = |batch| {
        WIDTHS.windows(2).enumerate().flat_map(move |(layer, widths)| {
            let (inputs, outputs) = (widths[0], widths[1]);
            let forward = product([false, true], [batch, outputs, inputs]);
            let to_weights = product([true, false], [outputs, inputs, batch]);
            let to_inputs = product([false, false], [batch, inputs, outputs]);
            // No gradient is computed of the images.
            [Some(forward), Some(to_weights), (layer > 0).then_some(to_inputs)].into_iter().flatten()
        })
    };
    let squares = SQUARES.map(|n| product([false, false], [n, n, n]));
    let [first, others @ ..] = BATCHES;
    of_batch(first).chain(squares).chain(others.into_iter().flat_map(of_batch)).collect()
}
