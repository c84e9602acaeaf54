//! `kernels/hopper/ring.cu`: a pipeline of copies by the Tensor Memory Accelerator.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut};

use super::extents::{RowsApart, extents};
use crate::exec::cuda::CudaError;
use crate::exec::cuda::kernels::kernel::Kernel;
use crate::exec::cuda::kernels::kernel::attributes::Attributes;
use crate::exec::cuda::kernels::loader::File;
use crate::exec::cuda::kernels::tensor_map::{Swizzle, TensorMap, Tiles};

/// ROWS, COLUMNS and THREADS in the C file.
const ROWS: u32 = 8;
const COLUMNS: u32 = 32;
const THREADS: u32 = 96;

/// Boxes of a matrix on their way through a ring of shared memory.
pub struct Ring {
    scale: Kernel,
}

impl Ring {
    pub(super) fn of(file: &File) -> Result<Self, CudaError> {
        Ok(Self { scale: file.kernel("ring_scale")? })
    }

    /// Y = 2 X, both as `matrix` says, by so many blocks, each of which takes boxes of 8 x 32 in turn.
    ///
    /// # Errors
    /// Matrices that the copy engine cannot address, or that the memory does not hold; what the driver reports.
    pub fn scale(
        &self,
        stream: &CudaStream,
        matrix: RowsApart,
        blocks: usize,
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.scale;
        let RowsApart { rows, columns, stride } = matrix;
        let tiles =
            Tiles { rows, columns, stride, box_rows: ROWS, box_columns: COLUMNS, swizzle: Swizzle::None };
        let x_map = TensorMap::new(kernel, stream, x, tiles)?;
        let y_map = TensorMap::new(kernel, stream, &y.as_view(), tiles)?;
        let boxes = kernel.count(&[rows.div_ceil(ROWS as usize), columns.div_ceil(COLUMNS as usize)])?;
        kernel.size("the number of boxes and blocks", boxes.saturating_add(blocks))?;
        let [rows, columns] = extents(kernel, [("rows", rows), ("columns", columns)])?;
        let mut arguments = kernel.with(Attributes::NONE, stream)?;
        arguments.map(&x_map, x)?; // TensorMap x
        arguments.map_mut(&y_map, y)?; // TensorMap y
        arguments.value(&rows); // int rows
        arguments.value(&columns); // int columns
        // SAFETY: the maps' matrices lie within their memory, and the kernel reaches global memory through them only.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], THREADS) }
    }
}
