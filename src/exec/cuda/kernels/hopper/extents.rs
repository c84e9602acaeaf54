//! Extents of matrices, as the kernels of `kernels/hopper/` take them.

use crate::exec::cuda::CudaError;
use crate::exec::cuda::kernels::kernel::Kernel;

/// How a matrix lies in memory. The copy engine wants `stride` elements to be a multiple of 16 bytes, also where rows
/// are shorter: what lies between them is neither read nor written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowsApart {
    /// Rows of the matrix.
    pub rows: usize,
    /// Elements of a row.
    pub columns: usize,
    /// Elements from the beginning of a row to that of the next.
    pub stride: usize,
}

/// Extents as the kernels' `int`, with which they also name the elements of a box: below 2³¹ by much more than a box.
pub(super) fn extents<const N: usize>(
    kernel: &Kernel,
    extents: [(&str, usize); N],
) -> Result<[i32; N], CudaError> {
    const MARGIN: usize = 1024;
    let mut sizes = [0; N];
    for (size, (what, extent)) in sizes.iter_mut().zip(extents) {
        kernel.size(&format!("the number of {what} and {MARGIN}"), extent.saturating_add(MARGIN))?;
        *size = kernel.size(what, extent)?;
    }
    Ok(sizes)
}
