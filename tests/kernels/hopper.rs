//! `kernels/hopper/`: each page against the CPU, in several sizes with ragged edges, under every schedule.

pub mod broadcast;
pub mod ring;
pub mod sums;
pub mod tile;

use cotangent::exec::cuda::RowsApart;

/// Rows, columns and the elements from row to row: less than a box, a box, more, all edges ragged.
const MATRICES: [RowsApart; 6] = [
    RowsApart { rows: 1, columns: 1, stride: 4 },
    RowsApart { rows: 8, columns: 32, stride: 32 },
    RowsApart { rows: 9, columns: 33, stride: 36 },
    RowsApart { rows: 30, columns: 100, stride: 100 },
    RowsApart { rows: 17, columns: 64, stride: 72 },
    RowsApart { rows: 40, columns: 31, stride: 32 },
];

/// Elements of the memory of a matrix, which ends with its last row.
fn length(matrix: RowsApart) -> usize {
    (matrix.rows - 1) * matrix.stride + matrix.columns
}

/// Memory of a matrix: `of` (row, column) in it, and between its rows `between`.
fn spread<T: Copy>(matrix: RowsApart, between: T, mut of: impl FnMut(usize, usize) -> T) -> Vec<T> {
    let element = |i: usize| match (i / matrix.stride, i % matrix.stride) {
        (row, column) if column < matrix.columns => of(row, column),
        _ => between,
    };
    (0..length(matrix)).map(element).collect()
}

/// Whether the memory holds these numbers, bit for bit: also that nobody has written between rows.
fn same(found: &[f32], expected: &[f32], matrix: RowsApart) -> Result<(), String> {
    match (0..expected.len()).find(|&i| found[i].to_bits() != expected[i].to_bits()) {
        Some(i) => Err(format!(
            "{matrix:?}: element ({}, {}) is {:e}, not {:e}",
            i / matrix.stride,
            i % matrix.stride,
            found[i],
            expected[i]
        )),
        None => Ok(()),
    }
}

/// As [`super::support::Run::poisoned`] leaves it.
const POISON: f32 = f32::from_bits(u32::MAX);
