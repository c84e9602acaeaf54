//! Coordinates, the third step of the layout: how far down each item stands.
//!
//! Edges should be short and straight: minimise Σ weight·(difference of heights)² over all pieces of
//! edges, while each rank keeps its order and its distances. One rank at a time, with the others
//! held, this is an isotonic regression and has an exact solution, [`settle`]; ranks take turns.
//! Pieces between two bends weigh more than those at nodes, as in Gansner et al. ("A technique for
//! drawing directed graphs", 1993), so that long edges bend where they begin or end. Last,
//! `straighten.rs` removes the small kinks that are left.

use super::heights::Heights;
use super::straighten::straighten;

/// Turns of all ranks, there and back.
const TURNS: usize = 24;
/// Large graphs get fewer: visits of pieces.
const VISITS: usize = 30_000_000;

/// For each item what pulls it at one side: (item, weight, height that it should be below that).
type Neighbours = Vec<Vec<(usize, f64, f64)>>;

impl Heights<'_> {
    /// The height of each of `items` items, downwards from an arbitrary origin.
    pub fn place(&self, items: usize) -> Vec<f64> {
        let (mut before, mut after) = (vec![Vec::new(); items], vec![Vec::new(); items]);
        for piece in self.pieces {
            before[piece.to].push((piece.from, piece.weight, -piece.port));
            after[piece.from].push((piece.to, piece.weight, piece.port));
        }
        let mut y = vec![0.0; items];
        for rank in self.ranks {
            self.settle_rank(rank, &mut y, &[]);
        }
        let turns = (VISITS / (4 * self.pieces.len() + 1)).clamp(3, TURNS);
        for turn in 0..turns {
            // first each rank follows one side, which carries heights far; then both sides
            let (rightwards, leftwards): (&[&_], &[&_]) = if turn < turns / 3 {
                (&[&before], &[&after])
            } else {
                (&[&before, &after], &[&before, &after])
            };
            for rank in self.ranks {
                self.settle_rank(rank, &mut y, rightwards);
            }
            for rank in self.ranks.iter().rev() {
                self.settle_rank(rank, &mut y, leftwards);
            }
        }
        straighten(self, &mut y);
        y
    }

    /// Moves a rank to where its neighbours pull it.
    fn settle_rank(&self, rank: &[usize], y: &mut [f64], sides: &[&Neighbours]) {
        let pull = |&item: &usize| {
            let near = sides.iter().flat_map(|side| &side[item]);
            let (sum, weight) = near.fold((0.0, 0.0), |(sum, total), &(other, weight, port)| {
                (sum + weight * (y[other] + port), total + weight)
            });
            // with nothing to follow it stays, but yields to all others
            if weight > 0.0 { (sum / weight, weight) } else { (y[item], 1e-3) }
        };
        let pulls: Vec<_> = rank.iter().map(pull).collect();
        let distances: Vec<_> = rank.windows(2).map(|pair| (self.distance)(pair[0], pair[1])).collect();
        for (&item, height) in rank.iter().zip(settle(&pulls, &distances)) {
            y[item] = height;
        }
    }
}

/// The heights nearest to those wanted that keep their distances: minimises Σ weight·(move)² over
/// the (wanted height, weight) in their order, each at least `distances[i]` above the next.
///
/// With the distances before it taken from each height, "at least so far apart" becomes "not
/// decreasing". Pooling adjacent violators solves that exactly (Barlow et al. 1972): neighbours in
/// the wrong order become one pool at their weighted mean.
fn settle(wanted: &[(f64, f64)], distances: &[f64]) -> Vec<f64> {
    let shifts = std::iter::once(&0.0).chain(distances).scan(0.0, |sum, distance| {
        *sum += distance;
        Some(*sum)
    });
    let shifts: Vec<f64> = shifts.take(wanted.len()).collect();
    // pools: (mean, weight, members)
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (&(height, weight), shift) in wanted.iter().zip(&shifts) {
        let mut pool = (height - shift, weight, 1);
        while let Some(&(mean, total, members)) = pools.last() {
            if mean <= pool.0 {
                break;
            }
            pools.pop();
            let both = total + pool.1;
            pool = ((mean * total + pool.0 * pool.1) / both, both, members + pool.2);
        }
        pools.push(pool);
    }
    let means = pools.iter().flat_map(|&(mean, _, members)| std::iter::repeat_n(mean, members));
    means.zip(shifts).map(|(mean, shift)| mean + shift).collect()
}

#[cfg(test)]
mod tests {
    use super::super::heights::{Chain, Piece};
    use super::super::order::Random;
    use super::*;

    /// A solution is the best if no feasible small change of a run of heights improves it: the
    /// problem is convex, and such changes generate all feasible ones.
    #[test]
    fn settled_heights_are_the_nearest_that_keep_their_distances() {
        let mut random = Random(3);
        for _ in 0..200 {
            let n = 1 + random.below(7);
            let wanted: Vec<_> =
                (0..n).map(|_| (random.below(50) as f64, 1.0 + random.below(5) as f64)).collect();
            let distances: Vec<_> = (1..n).map(|_| random.below(15) as f64).collect();
            let settled = settle(&wanted, &distances);
            let keeps = |y: &[f64]| y.windows(2).zip(&distances).all(|(p, d)| p[1] - p[0] >= d - 1e-9);
            let cost =
                |y: &[f64]| -> f64 { y.iter().zip(&wanted).map(|(y, w)| w.1 * (y - w.0).powi(2)).sum() };
            assert!(keeps(&settled), "{settled:?} {distances:?}");
            for (first, last) in (0..n).flat_map(|i| (i..n).map(move |j| (i, j))) {
                for step in [1e-3, -1e-3] {
                    let mut moved = settled.clone();
                    moved[first..=last].iter_mut().for_each(|y| *y += step);
                    if keeps(&moved) {
                        assert!(cost(&moved) > cost(&settled) - 1e-9, "{wanted:?} {settled:?} {moved:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_edge_is_straight_beside_a_short_one() {
        // two edges: 0 to 4 over bends 2 and 3, and 1 to 5 next to it
        let ranks = [vec![0, 1], vec![2], vec![3], vec![4]];
        let piece = |from, to, weight| Piece { from, to, weight, port: 0.0 };
        let pieces = [piece(0, 2, 2.0), piece(2, 3, 8.0), piece(3, 4, 2.0)];
        let chains = [Chain { source: 0, bends: vec![2, 3], target: 4, port: 0.0 }];
        let distance = |_, _| 10.0;
        let y = Heights { ranks: &ranks, pieces: &pieces, distance: &distance, chains: &chains, nudge: 0.0 }
            .place(5);
        assert!((y[0] - y[2]).abs() < 1e-9 && (y[2] - y[3]).abs() < 1e-9, "{y:?}");
        assert!(y[1] - y[0] >= 10.0);
    }
}
