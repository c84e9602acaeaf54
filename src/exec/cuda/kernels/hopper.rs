//! `kernels/hopper/`: small kernels, a page each, of what NVIDIA Hopper added. They exist as code for `sm_90a` alone.
//!
//! `docs/ladder.md` says what each shows. Training uses none of them; `tests/kernels/hopper/` holds each against the CPU.

mod extents;
mod multicast;
mod ring;
mod sums;
mod tile;

pub use extents::RowsApart;
pub use multicast::Multicast;
pub use ring::Ring;
pub use sums::{ClusterSum, Dependent, GridSum};
pub use tile::{TileForm, TileOperand, TileProduct};

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
        if broadcast.find("broadcast_add")?.is_none() {
            return Ok(None); // a file in place of what was embedded that holds the other kernels alone
        }
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
