//! How a matrix product is cut into blocks: decided by its shape alone, so that the order of sums, and with
//! it every bit, is the same on every card.

use crate::ops::Extents;

/// The part of C that one block computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tile {
    /// 128 x 128: most arithmetic for what is read.
    Large,
    /// 64 x 64: more blocks where C is small.
    Small,
}

impl Tile {
    /// Both, in the order of the kernels' table.
    pub const ALL: [Self; 2] = [Self::Large, Self::Small];

    /// Rows, and columns too (TileShape in gemm.cu and gemm_bf16.cu).
    pub(super) fn extent(self) -> usize {
        match self {
            Self::Large => 128,
            Self::Small => 64,
        }
    }

    /// Threads of a block (TileShape::THREADS in gemm.cu and gemm_bf16.cu).
    pub(super) fn threads(self) -> u32 {
        match self {
            Self::Large => 256,
            Self::Small => 128,
        }
    }

    pub(super) fn count(self, extents: Extents) -> usize {
        let Extents { m, n, .. } = extents;
        m.div_ceil(self.extent()).saturating_mul(n.div_ceil(self.extent()))
    }
}

/// How a product is cut into blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tiling {
    /// The tile shape.
    pub tile: Tile,
    /// Into how many stretches k is split, at most.
    pub splits: usize,
}

impl Tiling {
    /// Blocks that keep the larger cards busy (an H100 has 132 multiprocessors). A constant, so that
    /// the order of sums does not depend on the card.
    const FULL: usize = 128;

    /// A stretch of k that is worth a block and its share of the second kernel.
    const SHORTEST: usize = 64;

    /// The tiling for a shape:
    ///
    /// | C in large tiles | C in small tiles | tile | splits |
    /// |---|---|---|---|
    /// | 128 or more | | large | 1 |
    /// | fewer | t | small | 128 / t, at most k / 64, at least 1 |
    pub fn of(extents: Extents) -> Self {
        if Tile::Large.count(extents) >= Self::FULL {
            return Self { tile: Tile::Large, splits: 1 };
        }
        let tiles = Tile::Small.count(extents).max(1);
        let splits = (Self::FULL / tiles).min(extents.k / Self::SHORTEST).max(1);
        Self { tile: Tile::Small, splits }
    }

    /// The length of each stretch of k, whole tiles of `depth`, and how many there are: none is empty.
    pub(super) fn cut(self, k: usize, depth: usize) -> (usize, usize) {
        let tiles = k.div_ceil(depth).max(1);
        let each = tiles.div_ceil(self.splits.max(1));
        (each.saturating_mul(depth).min(k), tiles.div_ceil(each))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiling(m: usize, n: usize, k: usize) -> Tiling {
        Tiling::of(Extents { m, n, k })
    }

    #[test]
    fn k_is_split_where_c_is_small_and_the_sums_are_long() {
        let small = |splits| Tiling { tile: Tile::Small, splits };
        // The network 784-512-256-10 at batch 128: forward, to the operands, to the weights.
        assert_eq!(tiling(128, 512, 784), small(8));
        assert_eq!(tiling(128, 256, 512), small(8));
        assert_eq!(tiling(128, 10, 256), small(4));
        assert_eq!(tiling(128, 512, 256), small(4));
        assert_eq!(tiling(128, 256, 10), small(1), "k is short");
        assert_eq!(tiling(512, 784, 128), small(1), "there are 104 tiles");
        assert_eq!(tiling(256, 512, 128), small(2));
        assert_eq!(tiling(10, 256, 128), small(2));
        assert_eq!(tiling(1, 1, 1 << 20), small(128), "no more than fill a card");
    }

    #[test]
    fn large_tiles_are_for_products_that_have_enough_of_them() {
        assert_eq!(tiling(8192, 8192, 8192), Tiling { tile: Tile::Large, splits: 1 });
        assert_eq!(tiling(2048, 1024, 64).tile, Tile::Large, "128 tiles");
        assert_eq!(tiling(2048, 896, 64).tile, Tile::Small, "112 tiles");
    }

    #[test]
    fn no_stretch_of_k_is_empty_and_together_they_are_k() {
        for k in [0, 1, 15, 16, 17, 100, 784, 1000] {
            for splits in [0, 1, 2, 3, 7, 64, 1000] {
                for depth in [16, 32] {
                    let (length, count) = Tiling { tile: Tile::Small, splits }.cut(k, depth);
                    assert!(count >= 1 && count <= splits.max(1), "k {k}, {splits} splits");
                    assert!(count == 1 || length % depth == 0, "k {k}, {splits} splits: {length}");
                    assert!(length * count >= k && length * (count - 1) < k.max(1), "k {k}, {splits} splits");
                }
            }
        }
    }
}
