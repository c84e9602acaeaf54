//! The second operand, a panel at a time.

use std::ops::Range;

use super::tile::Second;
use crate::exec::cpu::transpose::{Rectangle, transpose};
use crate::float::Float;

/// Bytes of the widest registers: rows of them begin at a multiple.
const ALIGNMENT: usize = 64;

impl<T: Float> Second<'_, T> {
    /// Some rows of one panel's columns, `stride` elements apart; what is beyond the columns, up to the stride, is zero. As they
    /// lie, if they lie so; else copied into `memory`.
    pub(super) fn panel<'m>(
        &'m self,
        rows: Range<usize>,
        columns: Range<usize>,
        memory: &'m mut [T],
        stride: usize,
    ) -> &'m [T] {
        let Self { data, layout, transposed } = *self;
        if transposed {
            // In memory, B's rows are columns.
            let (first, apart) = layout.rectangle(columns.start, &rows);
            let from =
                Rectangle { data: &data[first..], apart, rows: 0..columns.len(), columns: 0..rows.len() };
            transpose(from, memory, stride);
        } else {
            let (first, apart) = layout.rectangle(rows.start, &columns);
            let lies_so = apart == stride && columns.len() == stride;
            if lies_so && data[first..].as_ptr().align_offset(ALIGNMENT) == 0 {
                return &data[first..][..rows.len() * stride];
            }
            for (row, out) in memory.chunks_exact_mut(stride).take(rows.len()).enumerate() {
                out[..columns.len()].copy_from_slice(&data[first + row * apart..][..columns.len()]);
            }
        }
        let panel = &mut memory[..rows.len() * stride];
        if columns.len() < stride {
            panel.chunks_exact_mut(stride).for_each(|row| row[columns.len()..].fill(T::zero()));
        }
        panel
    }
}
