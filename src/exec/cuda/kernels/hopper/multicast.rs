//! `kernels/hopper/broadcast.cu`: what the blocks of a cluster all need is fetched once.

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
const THREADS: u32 = 64;

/// A matrix that every block of a cluster adds to its own.
pub struct Multicast {
    add: Kernel,
}

impl Multicast {
    pub(super) fn of(file: &File) -> Result<Self, CudaError> {
        Ok(Self { add: file.kernel("broadcast_add")? })
    }

    /// The rows from the beginning of a block's Y to that of the next.
    pub fn part(rows: usize) -> usize {
        rows.next_multiple_of(ROWS as usize)
    }

    /// Y_b += M for each block b of clusters of `size` blocks: 1, 2, 4 or 8. M as `matrix` says; Y has
    /// `size` [`Self::part`] rows, `columns` of them `stride` apart as M's, of which the first `rows` of each part are
    /// Y_b. To the rest of a part zeros are added.
    ///
    /// # Errors
    /// Other sizes; matrices that the copy engine cannot address, or that the memory does not hold; a device without
    /// clusters; what the driver reports.
    pub fn add(
        &self,
        stream: &CudaStream,
        matrix: RowsApart,
        [clusters, size]: [usize; 2],
        m: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.add;
        if ![1, 2, 4, 8].contains(&size) {
            return Err(kernel.refuse(format!("clusters of {size} blocks; there are those of 1, 2, 4 and 8")));
        }
        let RowsApart { rows, columns, stride } = matrix;
        let size = size as u32;
        let tiles = |rows, box_rows| Tiles {
            rows,
            columns,
            stride,
            box_rows,
            box_columns: COLUMNS,
            swizzle: Swizzle::None,
        };
        let of_all = kernel.count(&[size as usize, Self::part(rows)])?;
        let m_map = TensorMap::new(kernel, stream, m, tiles(rows, ROWS / size))?;
        let y_map = TensorMap::new(kernel, stream, &y.as_view(), tiles(of_all, ROWS))?;
        let boxes = kernel.count(&[rows.div_ceil(ROWS as usize), columns.div_ceil(COLUMNS as usize)])?;
        kernel.size("the number of boxes and clusters", boxes.saturating_add(clusters))?;
        let [rows, columns, _] =
            extents(kernel, [("rows", rows), ("columns", columns), ("rows of all parts", of_all)])?;
        let blocks = kernel.count(&[clusters, size as usize])?;
        let mut arguments = kernel.with(Attributes::cluster(size), stream)?;
        arguments.map(&m_map, m)?; // TensorMap m
        arguments.map_mut(&y_map, y)?; // TensorMap y
        arguments.value(&rows); // int rows
        arguments.value(&columns); // int columns
        // SAFETY: the maps' matrices lie within their memory, and the kernel reaches global memory through them only.
        // Blocks wait for those of their cluster, which run together, or the driver refuses the launch.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], THREADS) }
    }
}
