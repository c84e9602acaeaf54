//! `kernels/hopper/`: small kernels, a page each, of what NVIDIA Hopper added. They exist as code for `sm_90a` alone.
//!
//! `docs/ladder.md` says what each shows. Training uses none of them; `tests/kernels/hopper/` holds each against the CPU.

mod multicast;
mod ring;
mod sums;
mod tile;

pub use multicast::Multicast;
pub use ring::Ring;
pub use sums::{ClusterSum, Dependent, GridSum};
pub use tile::{TileForm, TileOperand, TileProduct};

use super::kernel::Kernel;
use super::loader::Loader;
use crate::exec::cuda::CudaError;

/// The kernels of `kernels/hopper/`, by file.
#[allow(missing_docs, reason = "each is documented at its type")]
pub struct Hopper {
    pub broadcast: Multicast,
    pub cluster_sum: ClusterSum,
    pub dependent: Dependent,
    pub grid_sum: GridSum,
    pub ring: Ring,
    pub tile: TileProduct,
}

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

impl Hopper {
    /// None on a device that runs no code for `sm_90a`, and where the build embedded none.
    pub(super) fn load(loader: &Loader<'_>) -> Result<Option<Self>, CudaError> {
        let [Some(broadcast), Some(cluster_sum), Some(dependent), Some(grid_sum), Some(ring), Some(tile)] = [
            loader.hopper("broadcast")?,
            loader.hopper("cluster_sum")?,
            loader.hopper("dependent")?,
            loader.hopper("grid_sum")?,
            loader.hopper("ring")?,
            loader.hopper("tile")?,
        ] else {
            return Ok(None);
        };
        Ok(Some(Self {
            broadcast: Multicast::of(&broadcast)?,
            cluster_sum: ClusterSum::of(&cluster_sum)?,
            dependent: Dependent::of(&dependent)?,
            grid_sum: GridSum::of(&grid_sum)?,
            ring: Ring::of(&ring)?,
            tile: TileProduct::of(&tile)?,
        }))
    }
}

/// Extents as the kernels' `int`, with which they also name the elements of a box: below 2³¹ by much more than a box.
fn extents<const N: usize>(kernel: &Kernel, extents: [(&str, usize); N]) -> Result<[i32; N], CudaError> {
    const MARGIN: usize = 1024;
    let mut sizes = [0; N];
    for (size, (what, extent)) in sizes.iter_mut().zip(extents) {
        kernel.size(&format!("the number of {what} and {MARGIN}"), extent.saturating_add(MARGIN))?;
        *size = kernel.size(what, extent)?;
    }
    Ok(sizes)
}
