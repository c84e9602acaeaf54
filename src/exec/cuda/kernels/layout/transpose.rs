//! Which permutations are transposes of matrices, and how the kernels cut those into tiles.

use cudarc::driver::DeviceRepr;

/// An axis of a copy's result, and how far its neighbours are apart in what is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Axis {
    pub extent: usize,
    pub stride: usize,
}

/// The most axes, the elements of an access, and the rows and columns of a tile, as in the C file.
pub(super) const MAX_AXES: usize = 8;
pub(super) const VECTOR: usize = 4;
const TILE: usize = 64;
const MAX_BATCH_AXES: usize = MAX_AXES - 2;

/// The rows and columns that a matrix has at least, to be transposed by tiles, and its elements. Of a shorter one a tile
/// would leave three quarters of its threads idle, while a strided copy rereads at most the 64 bytes of a line of 16, from
/// cache; of a smaller one a block would have less than 4 KiB in flight, and a strided copy finds it in cache as a whole.
const SHORTEST: usize = 16;
const SMALLEST: usize = 1024;

/// Transpose in the C file: a batch of matrices x (rows, columns), whose rows' elements are neighbours, to y (columns,
/// rows), whose rows' are. Batch axes from the last to the first.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Transpose {
    rows: u32,
    columns: u32,
    x_stride: u32,
    y_stride: u32,
    batch_axes: u32,
    extents: [u32; MAX_BATCH_AXES],
    x_strides: [u32; MAX_BATCH_AXES],
    y_strides: [u32; MAX_BATCH_AXES],
}

// SAFETY: the C struct has the same fields in the same order.
unsafe impl DeviceRepr for Transpose {}

const _: () = assert!(size_of::<Transpose>() == 92, "as kernels/layout.cu has it");

impl Transpose {
    /// The copy of y's `axes` (merged, at most [`MAX_AXES`]) as a transpose, if it is one: y's last axis is not the one
    /// along which x's elements are neighbours, both are long enough, and nothing is repeated.
    pub fn of(axes: &[Axis]) -> Option<Self> {
        let (last, outer) = axes.split_last()?;
        let turned = outer.iter().position(|axis| axis.stride == 1)?;
        let (shortest, elements) =
            (last.extent.min(outer[turned].extent), last.extent * outer[turned].extent);
        if shortest < SHORTEST || elements < SMALLEST || axes.iter().any(|axis| axis.stride == 0) {
            return None;
        }
        let y_stride = |axis: usize| axes[axis + 1..].iter().map(|axis| axis.extent as u32).product::<u32>();
        let mut transpose = Self {
            rows: last.extent as u32,
            columns: outer[turned].extent as u32,
            x_stride: last.stride as u32,
            y_stride: y_stride(turned),
            batch_axes: 0,
            extents: [1; MAX_BATCH_AXES],
            x_strides: [0; MAX_BATCH_AXES],
            y_strides: [0; MAX_BATCH_AXES],
        };
        for (axis, of) in outer.iter().enumerate().rev().filter(|&(axis, _)| axis != turned) {
            let batch = transpose.batch_axes as usize;
            transpose.extents[batch] = of.extent as u32;
            (transpose.x_strides[batch], transpose.y_strides[batch]) = (of.stride as u32, y_stride(axis));
            transpose.batch_axes += 1;
        }
        Some(transpose)
    }

    /// A block a tile.
    pub fn blocks(&self) -> usize {
        let tiles = |extent: u32| (extent as usize).div_ceil(TILE);
        let batch: usize = self.extents.iter().map(|&extent| extent as usize).product();
        tiles(self.rows) * tiles(self.columns) * batch
    }

    /// Whether x, which begins at this address, can be read 16 bytes at a time, and y written so: every row begins at
    /// a multiple of that and has as many.
    pub fn is_wide(&self, [x, y]: [u64; 2]) -> [bool; 2] {
        let wide = |address: u64, extent: u32, stride: u32, strides: &[u32]| {
            let vector = VECTOR as u32;
            let elements = [extent, stride].into_iter().chain(strides.iter().copied());
            address.is_multiple_of(4 * VECTOR as u64)
                && elements.into_iter().all(|n| n.is_multiple_of(vector))
        };
        [
            wide(x, self.columns, self.x_stride, &self.x_strides),
            wide(y, self.rows, self.y_stride, &self.y_strides),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(extents: &[usize], strides: &[usize]) -> Vec<Axis> {
        extents.iter().zip(strides).map(|(&extent, &stride)| Axis { extent, stride }).collect()
    }

    #[test]
    fn permutations_that_turn_two_long_axes_are_transposes() {
        let is = |extents: &[usize], strides: &[usize]| Transpose::of(&axes(extents, strides)).is_some();
        assert!(is(&[16, 64], &[1, 16]) && is(&[64, 16], &[1, 64]) && is(&[300, 40], &[1, 300]));
        assert!(is(&[5, 40, 30], &[1200, 1, 40]) && is(&[40, 5, 30], &[1, 1200, 40]));
        // Short on either side, or small; the same neighbours in both; repeated along an axis.
        assert!(!is(&[15, 1000], &[1, 15]) && !is(&[1000, 15], &[1, 1000]) && !is(&[31, 33], &[1, 31]));
        assert!(!is(&[100, 100], &[100, 1]) && !is(&[64], &[1]) && !is(&[20, 5, 30], &[30, 600, 1]));
        assert!(!is(&[4, 64, 64], &[0, 1, 64]) && !is(&[64, 64], &[1, 0]) && !is(&[1], &[0]));
    }

    #[test]
    fn a_batch_of_matrices_keeps_its_axes_and_a_block_has_a_tile() {
        // x (3, 70, 5, 20) to y (20, 3, 5, 70).
        let transpose = Transpose::of(&axes(&[20, 3, 5, 70], &[1, 7000, 20, 100])).unwrap();
        assert_eq!((transpose.rows, transpose.columns), (70, 20));
        assert_eq!((transpose.x_stride, transpose.y_stride, transpose.batch_axes), (100, 1050, 2));
        assert_eq!(transpose.extents[..3], [5, 3, 1]);
        assert_eq!((&transpose.x_strides[..2], &transpose.y_strides[..2]), (&[20, 7000][..], &[70, 350][..]));
        assert_eq!(transpose.blocks(), 2 * 3 * 5);
    }

    #[test]
    fn accesses_are_wide_where_every_row_begins_at_a_multiple_of_16_bytes() {
        let wide = |rows, columns, addresses| {
            Transpose::of(&axes(&[columns, rows], &[1, columns])).unwrap().is_wide(addresses)
        };
        assert_eq!(wide(32, 40, [256, 512]), [true, true]);
        assert_eq!(wide(32, 40, [260, 512]), [false, true]);
        assert_eq!(wide(32, 40, [256, 520]), [true, false]);
        assert_eq!(wide(33, 40, [256, 512]), [true, false]);
        assert_eq!(wide(32, 42, [256, 512]), [false, true]);
    }
}
