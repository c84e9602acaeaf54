//! Tensor maps: what tells the copy engine of capability 9.0 (TMA) how a matrix lies in memory and which boxes of it are
//! copied, so that a kernel names a box by two coordinates.
//!
//! `cuTensorMapEncodeTiled` (CUDA driver API) packs that into 128 bytes, which a kernel takes as
//! `const __grid_constant__ ptx::TensorMap`. They hold the matrix's address, so a map is made once for memory that stays
//! where it is, and [`AttributedLaunch`](super::kernel::attributes::AttributedLaunch) checks that it is given with that
//! memory. The driver answers every mistake with the same "invalid value"; here each has words of its own, first.

use std::fmt;

use cudarc::driver::sys::{
    self, CUdeviceptr, CUtensorMap, CUtensorMapDataType, CUtensorMapFloatOOBfill, CUtensorMapInterleave,
    CUtensorMapL2promotion, CUtensorMapSwizzle,
};
use cudarc::driver::{CudaStream, CudaView, DevicePtr, DeviceRepr};
use half::bf16;

use super::kernel::Kernel;
use crate::exec::cuda::CudaError;
use crate::exec::cuda::driver::require;
use crate::exec::cuda::error::During;

/// The map of a matrix, and what it was made of.
pub(in crate::exec::cuda) struct TensorMap {
    /// At a multiple of 128, which is more than the 64 that the driver and PTX ask for.
    packed: CUtensorMap,
    matrix: Matrix,
}

/// How a matrix lies in memory, and the boxes that are copied; what of a box lies outside is zeros, and is not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::exec::cuda) struct Tiles {
    pub rows: usize,
    pub columns: usize,
    /// Elements from the beginning of a row to that of the next.
    pub stride: usize,
    pub box_rows: u32,
    pub box_columns: u32,
    pub swizzle: Swizzle,
}

/// How a box lies in shared memory: rows one after the other, in which units of 16 bytes change places so that a column
/// of units is spread over all banks (CUDA C++ Programming Guide, "Tensor Memory Access", swizzle modes).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::exec::cuda) enum Swizzle {
    None,
    /// Within 32 bytes, which is then what a row of the box has.
    #[allow(dead_code, reason = "tiles of kernels/hopper have rows of 128 bytes")]
    Bytes32,
    #[allow(dead_code, reason = "as above")]
    Bytes64,
    Bytes128,
}

impl Swizzle {
    /// Bytes of a row of the box; none if it may have any number.
    fn width(self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Bytes32 => Some(32),
            Self::Bytes64 => Some(64),
            Self::Bytes128 => Some(128),
        }
    }

    fn of_driver(self) -> CUtensorMapSwizzle {
        match self {
            Self::None => CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_NONE,
            Self::Bytes32 => CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_32B,
            Self::Bytes64 => CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_64B,
            Self::Bytes128 => CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
        }
    }
}

/// What matrices hold.
pub(in crate::exec::cuda) trait Element: DeviceRepr + sealed::Sealed {
    /// As the driver calls it.
    const TYPE: CUtensorMapDataType;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::bf16 {}
}

impl Element for f32 {
    const TYPE: CUtensorMapDataType = CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
}

impl Element for bf16 {
    const TYPE: CUtensorMapDataType = CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
}

impl TensorMap {
    /// The map of a matrix in this memory, for this kernel, whose name stands in what goes wrong.
    ///
    /// # Errors
    /// What TMA cannot do, by the numbers at fault; a driver older than CUDA 12.0; what the driver reports.
    pub fn new<T: Element>(
        kernel: &Kernel,
        stream: &CudaStream,
        memory: &CudaView<'_, T>,
        tiles: Tiles,
    ) -> Result<Self, CudaError> {
        let matrix = Matrix::in_memory(stream, memory, tiles);
        matrix.check().map_err(|problem| kernel.refuse(format!("{matrix}: {problem}")))?;
        require(&["cuTensorMapEncodeTiled"])?;
        kernel.on(stream)?; // of the kernel's device, or an error
        let mut packed = CUtensorMap { opaque: [0; 16] };
        let extents = [tiles.columns as u64, tiles.rows as u64];
        let strides = [(tiles.stride * size_of::<T>()) as u64];
        let (boxes, steps) = ([tiles.box_columns, tiles.box_rows], [1, 1]);
        // SAFETY: the driver writes the map and reads two extents, one stride, two extents of a box and two steps,
        // which all live during the call; it does not follow the matrix's address.
        let answer = unsafe {
            sys::cuTensorMapEncodeTiled(
                &mut packed,
                T::TYPE,
                2, // extents
                matrix.address as *mut _,
                extents.as_ptr(),
                strides.as_ptr(),
                boxes.as_ptr(),
                steps.as_ptr(),
                CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
                tiles.swizzle.of_driver(),
                // The next box along a row is read next, and what of it a request brings along is a hit then.
                CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE, // zeros
            )
        };
        answer.result().during(|| format!("making the tensor map of {matrix}"))?;
        Ok(Self { packed, matrix })
    }

    /// The 128 bytes that a kernel takes.
    pub(super) fn packed(&self) -> &CUtensorMap {
        &self.packed
    }

    /// That this is the memory that the map was made of; else, why not.
    pub(super) fn expect(
        &self,
        kind: CUtensorMapDataType,
        address: CUdeviceptr,
        length: usize,
    ) -> Result<(), String> {
        self.matrix.expect(kind, address, length)
    }
}

/// A matrix in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Matrix {
    kind: CUtensorMapDataType,
    /// Bytes of an element.
    element: usize,
    address: CUdeviceptr,
    /// Elements of the memory that it lies in.
    length: usize,
    tiles: Tiles,
}

/// The largest extent of a matrix, of a box, and what a row's bytes stay below (CUDA driver API,
/// `cuTensorMapEncodeTiled`).
const LARGEST_EXTENT: usize = 1 << 32;
const LARGEST_BOX: u32 = 256;
const LARGEST_STRIDE: usize = 1 << 40;
/// Bytes of which addresses and rows are multiples.
const UNIT: usize = 16;

impl Matrix {
    fn in_memory<T: Element>(stream: &CudaStream, memory: &CudaView<'_, T>, tiles: Tiles) -> Self {
        let address = memory.device_ptr(stream).0;
        Self { kind: T::TYPE, element: size_of::<T>(), address, length: memory.len(), tiles }
    }

    /// That TMA can copy such boxes of it; else, why not.
    fn check(&self) -> Result<(), String> {
        let Tiles { rows, columns, stride, box_rows, box_columns, swizzle } = self.tiles;
        let refuse = |holds: bool, problem: &dyn Fn() -> String| if holds { Ok(()) } else { Err(problem()) };
        for (what, extent) in [("rows", rows), ("columns", columns)] {
            refuse((1..=LARGEST_EXTENT).contains(&extent), &|| {
                format!("{extent} {what} are not between 1 and {LARGEST_EXTENT}")
            })?;
        }
        refuse(self.address.is_multiple_of(UNIT as u64), &|| {
            format!("it begins at {:#x}, not at a multiple of {UNIT}", self.address)
        })?;
        refuse(stride >= columns, &|| format!("rows {stride} elements apart overlap"))?;
        let apart = stride.saturating_mul(self.element);
        refuse(apart.is_multiple_of(UNIT) && apart < LARGEST_STRIDE, &|| {
            format!("rows are {apart} bytes apart, not a multiple of {UNIT} below {LARGEST_STRIDE}")
        })?;
        let needed = (rows - 1).checked_mul(stride).and_then(|before| before.checked_add(columns));
        refuse(needed.is_some_and(|needed| needed <= self.length), &|| {
            format!("the memory holds {} elements, and the rows end beyond them", self.length)
        })?;
        for (what, extent) in [("rows", box_rows), ("columns", box_columns)] {
            refuse((1..=LARGEST_BOX).contains(&extent), &|| {
                format!("{extent} {what} of a box are not between 1 and {LARGEST_BOX}")
            })?;
        }
        let of_row = box_columns as usize * self.element;
        match swizzle.width() {
            None => refuse(of_row.is_multiple_of(UNIT), &|| {
                format!("a row of a box has {of_row} bytes, not a multiple of {UNIT}")
            }),
            Some(width) => refuse(of_row == width, &|| {
                format!("a row of a box has {of_row} bytes, and the swizzle is of {width}")
            }),
        }
    }

    fn expect(&self, kind: CUtensorMapDataType, address: CUdeviceptr, length: usize) -> Result<(), String> {
        if (kind, address, length) == (self.kind, self.address, self.length) {
            return Ok(());
        }
        Err(format!(
            "{self}, lies in {} elements at {:#x}, and the memory given for it is {length} elements{} at {address:#x}",
            self.length,
            self.address,
            if kind == self.kind { "" } else { " of another type" },
        ))
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tiles { rows, columns, stride, box_rows, box_columns, .. } = self.tiles;
        let element = self.element;
        write!(
            f,
            "a matrix of {rows} x {columns} elements of {element} bytes, rows {stride} apart, in boxes of \
             {box_rows} x {box_columns}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TILES: Tiles = Tiles {
        rows: 100,
        columns: 30,
        stride: 32,
        box_rows: 8,
        box_columns: 32,
        swizzle: Swizzle::Bytes128,
    };

    /// 100 x 30 float32, of which the last row ends with the memory.
    fn matrix(tiles: Tiles) -> Matrix {
        Matrix { kind: f32::TYPE, element: 4, address: 0x7000, length: 99 * 32 + 30, tiles }
    }

    fn refused(matrix: Matrix, words: &str) {
        let problem = matrix.check().unwrap_err();
        assert!(problem.contains(words), "{words:?} is not in {problem:?}");
    }

    #[test]
    fn what_tma_copies_passes() {
        let passes = |matrix: Matrix| matrix.check().unwrap_or_else(|problem| panic!("{matrix}: {problem}"));
        passes(matrix(TILES));
        passes(matrix(Tiles { box_columns: 16, swizzle: Swizzle::Bytes64, ..TILES }));
        passes(matrix(Tiles { box_columns: 8, swizzle: Swizzle::Bytes32, ..TILES }));
        passes(matrix(Tiles { box_columns: 256, box_rows: 256, swizzle: Swizzle::None, ..TILES }));
        passes(matrix(Tiles {
            rows: 1,
            columns: 1,
            stride: 4,
            box_rows: 1,
            box_columns: 4,
            swizzle: Swizzle::None,
        }));
        let halves = Tiles { columns: 64, stride: 72, box_columns: 64, ..TILES };
        passes(Matrix { kind: bf16::TYPE, element: 2, length: 99 * 72 + 64, ..matrix(halves) });
        passes(Matrix {
            length: usize::MAX,
            ..matrix(Tiles { rows: 1 << 32, columns: 1 << 32, stride: 1 << 32, ..TILES })
        });
    }

    #[test]
    fn a_matrix_that_tma_cannot_address_is_refused_with_its_numbers() {
        refused(matrix(Tiles { rows: 0, ..TILES }), "0 rows are not between 1 and 4294967296");
        refused(matrix(Tiles { columns: 0, ..TILES }), "0 columns are not between 1");
        refused(matrix(Tiles { rows: (1 << 32) + 1, ..TILES }), "4294967297 rows are not between");
        refused(Matrix { address: 0x7008, ..matrix(TILES) }, "begins at 0x7008, not at a multiple of 16");
        refused(matrix(Tiles { stride: 28, ..TILES }), "rows 28 elements apart overlap");
        refused(matrix(Tiles { stride: 30, ..TILES }), "rows are 120 bytes apart, not a multiple of 16");
        let far = Matrix { length: usize::MAX, ..matrix(Tiles { stride: 1 << 38, ..TILES }) };
        refused(far, "rows are 1099511627776 bytes apart, not a multiple of 16 below 1099511627776");
        refused(matrix(Tiles { stride: usize::MAX, ..TILES }), "bytes apart");
        refused(Matrix { length: 99 * 32 + 29, ..matrix(TILES) }, "the memory holds 3197 elements");
        let endless = Tiles { rows: 1 << 32, stride: 1 << 34, ..TILES };
        refused(Matrix { length: usize::MAX, ..matrix(endless) }, "the rows end beyond them");
    }

    #[test]
    fn a_box_that_tma_cannot_copy_is_refused_with_its_numbers() {
        refused(matrix(Tiles { box_rows: 0, ..TILES }), "0 rows of a box are not between 1 and 256");
        refused(matrix(Tiles { box_rows: 257, ..TILES }), "257 rows of a box");
        refused(matrix(Tiles { box_columns: 257, swizzle: Swizzle::None, ..TILES }), "257 columns of a box");
        let odd = Tiles { box_columns: 6, swizzle: Swizzle::None, ..TILES };
        refused(matrix(odd), "a row of a box has 24 bytes, not a multiple of 16");
        for (swizzle, width) in [(Swizzle::Bytes32, 32), (Swizzle::Bytes64, 64), (Swizzle::Bytes128, 128)] {
            let tiles = Tiles { box_columns: 4, swizzle, ..TILES };
            refused(matrix(tiles), &format!("a row of a box has 16 bytes, and the swizzle is of {width}"));
        }
    }

    #[test]
    fn memory_other_than_the_maps_own_is_named_with_both_places() {
        let matrix = matrix(TILES);
        matrix.expect(f32::TYPE, 0x7000, 3198).unwrap();
        let problem = matrix.expect(f32::TYPE, 0x9000, 3198).unwrap_err();
        let expected = "a matrix of 100 x 30 elements of 4 bytes, rows 32 apart, in boxes of 8 x 32, lies in 3198 \
                        elements at 0x7000, and the memory given for it is 3198 elements at 0x9000";
        assert_eq!(problem, expected);
        assert!(matrix.expect(f32::TYPE, 0x7000, 3197).unwrap_err().contains("is 3197 elements at 0x7000"));
        let problem = matrix.expect(bf16::TYPE, 0x7000, 3198).unwrap_err();
        assert!(problem.contains("3198 elements of another type at 0x7000"), "{problem}");
    }

    #[test]
    fn the_bytes_lie_as_kernels_and_driver_ask() {
        assert_eq!(size_of::<CUtensorMap>(), 128);
        assert!(align_of::<TensorMap>() >= 64);
    }
}
