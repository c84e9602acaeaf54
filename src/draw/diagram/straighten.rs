//! The last touch to the coordinates: least squares leave many small kinks, which a draughtsman would
//! not draw.
//!
//! The bends of an edge move onto as few level lines as have room between their neighbours, and a node
//! moves a little where that makes one of its edges level.

use super::heights::Heights;

/// Times that all edges are levelled: each line that moves may make room for others.
const ROUNDS: usize = 3;

pub(super) fn straighten(heights: &Heights, y: &mut [f64]) {
    let room = Room::of(heights, y.len());
    for _ in 0..ROUNDS {
        room.level_bends(y);
    }
    room.nudge_nodes(y);
    room.level_bends(y);
}

/// The room that items have between those above and below them.
struct Room<'a> {
    heights: &'a Heights<'a>,
    above: Vec<Option<usize>>,
    below: Vec<Option<usize>>,
}

impl Room<'_> {
    fn of<'a>(heights: &'a Heights, items: usize) -> Room<'a> {
        let mut room = Room { heights, above: vec![None; items], below: vec![None; items] };
        for pair in heights.ranks.iter().flat_map(|rank| rank.windows(2)) {
            room.below[pair[0]] = Some(pair[1]);
            room.above[pair[1]] = Some(pair[0]);
        }
        room
    }

    /// The least and the greatest height at which an item keeps its distances.
    fn around(&self, item: usize, y: &[f64]) -> (f64, f64) {
        let distance = self.heights.distance;
        let low = self.above[item].map(|above| y[above] + distance(above, item));
        let high = self.below[item].map(|below| y[below] - distance(item, below));
        (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY))
    }

    /// How many of the first `bends` have room on one line, and the least and greatest height of it.
    fn run(&self, bends: &[usize], y: &[f64]) -> (usize, f64, f64) {
        let mut run = (0, f64::NEG_INFINITY, f64::INFINITY);
        for &bend in bends {
            let (low, high) = self.around(bend, y);
            let (low, high) = (run.1.max(low), run.2.min(high));
            // the first has room where it is
            if low > high && run.0 > 0 {
                break;
            }
            run = (run.0 + 1, low, high);
        }
        run
    }

    fn level_bends(&self, y: &mut [f64]) {
        let chains = self.heights.chains.iter();
        for chain in chains.clone().chain(chains.rev()) {
            let (mut before, mut rest) = (y[chain.source], chain.bends.as_slice());
            while !rest.is_empty() {
                let (length, low, high) = self.run(rest, y);
                let (run, tail) = rest.split_at(length);
                // in line with what comes after or before, it needs one curve less
                let after = if tail.is_empty() { y[chain.target] + chain.port } else { before };
                let level = [after, before].into_iter().find(|end| (low..=high).contains(end));
                let mean = run.iter().map(|&bend| y[bend]).sum::<f64>() / length as f64;
                let line = level.unwrap_or(mean).max(low).min(high);
                run.iter().for_each(|&bend| y[bend] = line);
                (before, rest) = (line, tail);
            }
        }
    }

    /// Moves each node by the least that makes one of its pieces level, if that is not far; a node
    /// with a level piece stays.
    fn nudge_nodes(&self, y: &mut [f64]) {
        let mut nudges = vec![f64::INFINITY; y.len()];
        for piece in self.heights.pieces {
            let drop = y[piece.to] + piece.port - y[piece.from];
            for (item, nudge) in [(piece.from, drop), (piece.to, -drop)] {
                if nudge.abs() < nudges[item].abs() {
                    nudges[item] = nudge;
                }
            }
        }
        for node in self.heights.chains.iter().flat_map(|chain| [chain.source, chain.target]) {
            // once for each node, though it ends several chains
            let nudge = std::mem::replace(&mut nudges[node], f64::INFINITY);
            let (low, high) = self.around(node, y);
            if nudge.abs() <= self.heights.nudge && (low..=high).contains(&(y[node] + nudge)) {
                y[node] += nudge;
            }
        }
    }
}
