//! Products of matrices in bfloat16, with float32 sums, on the unit that a processor has for them.
//!
//! Both operands are [packed](pack) into tiles of 1 KiB, rounded on the way. A [`MicroKernel`] computes a block of 32×32 sums
//! over all of k: the tile unit ([`tiles`]) of Intel's processors, [`vectors`] of AVX512_BF16, or a [`model`] of either
//! in plain Rust, which gives the same bits.

mod block;
mod model;
mod pack;
#[cfg(test)]
mod tests;
mod tiles;
mod vectors;

pub(super) use block::{BLOCK, MicroKernel, TILE, Window};
pub(super) use pack::{Operand, Packed, Way, band_size};

use model::{TileModel, VectorModel};

/// What computes products in bfloat16. Each kind sums in an order of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bf16Unit(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Tiles(tiles::Unit),
    Vectors(vectors::Vectors),
    TileModel,
    VectorModel,
}

impl Bf16Unit {
    /// The fastest that this processor has, and the system permits; none where it has none.
    pub fn of_machine() -> Option<Self> {
        Self::tiles().or_else(Self::vectors)
    }

    /// AMX: Intel's tile unit.
    pub fn tiles() -> Option<Self> {
        tiles::Unit::get().map(Kind::Tiles).map(Self)
    }

    /// AVX512_BF16.
    pub fn vectors() -> Option<Self> {
        vectors::Vectors::get().map(Kind::Vectors).map(Self)
    }

    /// What the tile unit computes, to the bit, on any processor; for tests, as it is slow.
    pub fn tile_model() -> Self {
        Self(Kind::TileModel)
    }

    /// What AVX512_BF16 computes, to the bit, on any processor; for tests, as it is slow.
    pub fn vector_model() -> Self {
        Self(Kind::VectorModel)
    }

    /// Whether it is AVX512_BF16, not AMX.
    pub fn is_vectors(self) -> bool {
        matches!(self.0, Kind::Vectors(_) | Kind::VectorModel)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Tiles(_) => "AMX",
            Kind::Vectors(_) => "AVX-512 BF16",
            Kind::TileModel => "model of AMX",
            Kind::VectorModel => "model of AVX-512 BF16",
        }
    }

    /// Has `work` use the unit on this thread.
    pub(super) fn with<R>(self, work: impl FnOnce(&dyn MicroKernel) -> R) -> R {
        match self.0 {
            Kind::Tiles(unit) => work(&unit.configure()),
            Kind::Vectors(vectors) => work(&vectors),
            Kind::TileModel => work(&TileModel),
            Kind::VectorModel => work(&VectorModel),
        }
    }
}
