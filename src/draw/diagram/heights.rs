//! What is to be placed: ranks of items, and the edges that pull at them.

/// A piece of an edge between items of neighbouring ranks; ideally `from` is `port` below `to`.
pub(super) struct Piece {
    pub from: usize,
    pub to: usize,
    pub weight: f64,
    pub port: f64,
}

/// What is to be placed.
pub(super) struct Heights<'a> {
    /// Items of each rank, from top to bottom.
    pub ranks: &'a [Vec<usize>],
    pub pieces: &'a [Piece],
    /// The least distance of two items, the first right above the second.
    pub distance: &'a dyn Fn(usize, usize) -> f64,
    /// The bends of each edge.
    pub chains: &'a [Chain],
    /// How far a node may be moved from its best height to make one edge level.
    pub nudge: f64,
}

/// The bends of an edge, which enters its target `port` below the middle.
pub(super) struct Chain {
    pub source: usize,
    pub bends: Vec<usize>,
    pub target: usize,
    pub port: f64,
}
