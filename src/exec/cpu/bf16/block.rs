//! What a micro-kernel does: one block of C, all of k, operands in packed tiles.
//!
//! A block is 2×2 tiles of C. Eight tile registers hold these four sums, two tiles of A and two of B, so each tile that is
//! loaded is multiplied twice: no other shape of eight registers loads less per product.

use half::bf16;

/// Rows and columns of a tile of C; rows of a tile of A, columns of a tile of B.
pub(in crate::exec::cpu) const TILE: usize = 16;
/// The part of k that a tile of A or B covers.
pub(in crate::exec::cpu) const STEP: usize = 32;
/// Elements of a tile of A or B: 1 KiB.
pub(in crate::exec::cpu) const TILE_SIZE: usize = TILE * STEP;
/// Rows and columns of the block of C that a micro-kernel computes.
pub(in crate::exec::cpu) const BLOCK: usize = 2 * TILE;

/// A computation of one block of C.
pub(in crate::exec::cpu) trait MicroKernel {
    /// `c` (32×32) = A (32×k) · B (k×32), each row's sums beginning with `start`'s.
    ///
    /// `a` is two bands of 16 rows and `b` two bands of 16 columns, each tile after tile along k and all equally long.
    ///
    /// # Panics
    /// When they are not.
    fn multiply(&self, a: [&[bf16]; 2], b: [&[bf16]; 2], start: &[f32; BLOCK], c: Window<'_>);
}

/// A block of C where it stands among others: 32 rows of 32 elements, `stride` elements from row to row.
pub(in crate::exec::cpu) struct Window<'a> {
    memory: &'a mut [f32],
    stride: usize,
}

impl<'a> Window<'a> {
    /// The block that begins where the memory does.
    ///
    /// # Panics
    /// When it is not all in there.
    pub fn new(memory: &'a mut [f32], stride: usize) -> Self {
        let size = (BLOCK - 1) * stride + BLOCK;
        assert!(stride >= BLOCK && memory.len() >= size, "a block at stride {stride} in {}", memory.len());
        Self { memory, stride }
    }

    pub(super) fn first(&mut self) -> *mut f32 {
        self.memory.as_mut_ptr()
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.memory[row * self.stride..][..BLOCK]
    }
}

/// The tiles along k that the bands of a block have in common.
pub(super) fn steps(a: [&[bf16]; 2], b: [&[bf16]; 2]) -> usize {
    let size = a[0].len();
    assert!(
        size.is_multiple_of(TILE_SIZE) && [a[1], b[0], b[1]].iter().all(|band| band.len() == size),
        "bands of {:?} and {:?} elements; they take whole tiles of {TILE_SIZE}, equally many",
        a.map(<[bf16]>::len),
        b.map(<[bf16]>::len),
    );
    size / TILE_SIZE
}
