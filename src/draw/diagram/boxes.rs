//! The figure in box characters.
//!
//! All edges of one value are one net: it leaves its box at the middle line, runs level to a track of
//! its own, up and down on that, and from it level to each user; in the layers between it passes
//! once, for all users to come. What makes this unambiguous is a grid of three rows:
//!
//! - values leave, and pass, on rows ≡ 2 (mod 3);
//! - operands enter one row above or below: on rows ≡ 1 or 0.
//!
//! So level lines of two nets share a row in one case only: a net comes to pass on the row on which
//! another leaves. Then the track of the other must be further left, and tracks are ordered by
//! that; a net that closes a circle of such cases gets two tracks, with a row of its own between
//! (the doglegs of channel routing: Deutsch 1976). Otherwise lines of different nets meet only where
//! a level one crosses an upright one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::canvas::{Canvas, columns, first_lines_in, fit};
use super::graph::{Diagram, DiagramGraph};
use super::heights::{Chain, Heights, Piece};
use super::layers::Layers;

/// Rows of the grid; two boxes are two units apart, anything else one.
const UNIT: usize = 3;
/// Longer texts are cut.
const MAX_TEXT: usize = 32;
/// Columns between boxes where there are no tracks: a short line and an arrow head.
const MIN_GAP: usize = 3;

pub(super) fn draw(diagram: &Diagram, width: usize) -> Option<String> {
    let graph = diagram.graph();
    // most graphs that are too wide are so even without tracks
    let given = Layers::in_given_order(&graph);
    let texts = texts(diagram);
    let widths: Vec<usize> = given.layers.iter().map(|layer| box_width(&texts, layer)).collect();
    let gaps = widths.len().saturating_sub(1);
    if widths.is_empty() {
        return Some(String::new());
    }
    if widths.iter().sum::<usize>() + gaps * MIN_GAP > width {
        return None;
    }
    let nets = Nets::of(&graph, diagram.nodes.len())?;
    let tracks: Vec<Vec<Track>> = (0..gaps).map(|gap| nets.tracks(gap)).collect();
    // airy if there is room
    [2, 1].into_iter().find_map(|pitch| nets.draw(&texts, &widths, &tracks, pitch, width))
}

fn box_width(texts: &[[String; 3]], layer: &[usize]) -> usize {
    let texts = layer.iter().filter_map(|&item| texts.get(item));
    texts.flatten().map(|text| columns(text)).max().unwrap_or(0) + 4
}

/// The lines of each box.
fn texts(diagram: &Diagram) -> Vec<[String; 3]> {
    let lines = first_lines_in(&diagram.nodes, MAX_TEXT);
    let nodes = diagram.nodes.iter().zip(lines);
    nodes.map(|(node, first)| [first, fit(&node.value, MAX_TEXT), fit(&node.adjoint, MAX_TEXT)]).collect()
}

/// Where nets stop: at nodes (their numbers come first), and in layers that they pass.
struct Nets {
    /// Stops of each layer, from top to bottom.
    layers: Vec<Vec<usize>>,
    /// Middle row of each stop.
    row: Vec<usize>,
    /// For each stop the rows that it leads to in the next layer, and whether a node enters there.
    leads_to: Vec<Vec<(usize, bool)>>,
}

/// The upright part of a net in a gap.
struct Track {
    stop: usize,
    /// The row on which the net comes.
    source: usize,
    /// The rows on which it goes on.
    targets: Vec<usize>,
    column: usize,
}

impl Nets {
    /// `None` if a node has more operands than a box has entries.
    fn of(graph: &DiagramGraph, nodes: usize) -> Option<Nets> {
        let layers = Layers::of(graph);
        let place_of = layers.place_of();
        let stop_of = stops(&layers, nodes);
        let keep = |layer: &Vec<usize>| layer.iter().copied().filter(|&item| stop_of[item] == item).collect();
        let ranks: Vec<Vec<usize>> = layers.layers.iter().map(keep).collect();

        let mut entering = vec![Vec::new(); nodes];
        let mut hops = Vec::new();
        for path in &layers.paths {
            let stops: Vec<usize> = path.iter().map(|&item| stop_of[item]).collect();
            hops.extend(stops.windows(2).filter(|hop| hop[1] >= nodes).map(|hop| (hop[0], hop[1])));
            if let [.., last, target] = stops[..] {
                entering[target].push((place_of[last], last));
            }
        }
        hops.sort_unstable();
        hops.dedup();
        entering.iter_mut().for_each(|stops| stops.sort_unstable());
        if entering.iter().any(|stops| stops.len() > 2) {
            return None;
        }
        let entries = |target: usize| entering[target].iter().map(|&(_, stop)| stop).zip([-1_isize, 1]);

        let mut pieces: Vec<Piece> =
            hops.iter().map(|&(from, to)| Piece { from, to, weight: 8.0, port: 0.0 }).collect();
        for to in 0..nodes {
            let piece = |(from, port)| Piece { from, to, weight: 2.0, port: port as f64 / UNIT as f64 };
            pieces.extend(entries(to).map(piece));
        }
        let slots = slots(&ranks, &pieces, layers.items, nodes);
        let row: Vec<usize> = slots.iter().map(|slot| UNIT * slot + 2).collect();
        let mut leads_to = vec![Vec::new(); layers.items];
        for (from, to) in hops {
            leads_to[from].push((row[to], false));
        }
        for (to, &row) in row.iter().enumerate().take(nodes) {
            for (from, port) in entries(to) {
                leads_to[from].push((row.saturating_add_signed(port), true));
            }
        }
        Some(Nets { layers: ranks, row, leads_to })
    }

    /// The tracks between a layer and the next, with their columns from the left.
    fn tracks(&self, gap: usize) -> Vec<Track> {
        let mut waiting = Vec::new();
        for &stop in &self.layers[gap] {
            let source = self.row[stop];
            let targets: Vec<usize> = self.leads_to[stop].iter().map(|&(row, _)| row).collect();
            let side = |keep: fn(&usize, &usize) -> bool| -> Vec<usize> {
                targets.iter().copied().filter(|row| keep(row, &source)).collect()
            };
            let (above, below) = (side(|a, b| a < b), side(|a, b| a > b));
            let goes_on = targets.contains(&source);
            let parts = if goes_on { vec![above, below] } else { vec![[above, below].concat()] };
            // one that goes on and branches to both sides has two tracks: a joint of four arms would
            // look like a crossing
            let parts = parts.into_iter().filter(|targets| !targets.is_empty());
            waiting.extend(parts.map(|targets| Track { stop, source, targets, column: 0 }));
        }
        let mut tracks: Vec<Track> = Vec::new();
        while !waiting.is_empty() {
            let before = |i: usize| waiting.iter().position(|other: &Track| other.must_precede(&waiting[i]));
            if let Some(next) = (0..waiting.len()).find(|&i| before(i).is_none()) {
                tracks.push(waiting.remove(next));
                continue;
            }
            // each waits for another: going back often enough ends inside a circle
            let in_circle = (0..waiting.len()).fold(0, |i, _| before(i).unwrap_or(i));
            let row = free_row(tracks.iter().chain(&waiting), waiting[in_circle].source);
            let track = &mut waiting[in_circle];
            let targets = std::mem::replace(&mut track.targets, vec![row]);
            let rest = Track { stop: track.stop, source: row, targets, column: 0 };
            waiting.push(rest);
        }
        let mut improved = true;
        while improved {
            improved = false;
            for i in 1..tracks.len() {
                let (a, b) = (&tracks[i - 1], &tracks[i]);
                if !a.must_precede(b) && a.crossings_before(b) > b.crossings_before(a) {
                    tracks.swap(i - 1, i);
                    improved = true;
                }
            }
        }
        for i in 0..tracks.len() {
            let (earlier, rest) = tracks.split_at_mut(i);
            let track = &mut rest[0];
            let apart = earlier.iter().filter(|other| other.must_precede(track) || other.overlaps(track));
            track.column = apart.map(|other| other.column + 1).max().unwrap_or(0);
        }
        tracks
    }

    /// The drawing with tracks `pitch` columns apart, if it fits.
    fn draw(
        &self,
        texts: &[[String; 3]],
        widths: &[usize],
        tracks: &[Vec<Track>],
        pitch: usize,
        width: usize,
    ) -> Option<String> {
        // left end of each layer and of the gap behind it
        let mut left = 0;
        let mut ends = Vec::with_capacity(widths.len());
        for (layer, box_width) in widths.iter().enumerate() {
            ends.push((left, left + box_width));
            left += box_width;
            if let Some(tracks) = tracks.get(layer) {
                let last = tracks.iter().map(|track| track.column).max();
                left += last.map_or(MIN_GAP, |last| MIN_GAP + 1 + pitch * last);
            }
        }
        if left > width {
            return None;
        }
        let of_stops = self.layers.iter().flatten().map(|&stop| self.row[stop] + 3);
        let of_tracks = tracks.iter().flatten().map(|track| track.span().1 + 1);
        let rows = of_stops.chain(of_tracks).max().unwrap_or(0);
        let mut canvas = Canvas::new(rows, left);
        for (layer, stops) in self.layers.iter().enumerate() {
            let (left, right) = ends[layer];
            for &stop in stops {
                if let Some(lines) = texts.get(stop) {
                    let lines = lines.each_ref().map(String::as_str);
                    canvas.frame(self.row[stop] - 2, left, right - left, &lines);
                    if !self.leads_to[stop].is_empty() {
                        canvas.write(self.row[stop], right - 1, "├");
                    }
                } else {
                    canvas.level(stop, self.row[stop], left, right - 1);
                }
            }
            if let Some(&(next, _)) = ends.get(layer + 1) {
                self.draw_gap(&mut canvas, stops, &tracks[layer], right..next, pitch);
            }
        }
        canvas.text()
    }

    /// The nets from the stops of a layer to the next, in the columns between.
    fn draw_gap(
        &self,
        canvas: &mut Canvas,
        stops: &[usize],
        tracks: &[Track],
        gap: Range<usize>,
        pitch: usize,
    ) {
        let column_of = |track: &Track| gap.start + 1 + pitch * track.column;
        for track in tracks {
            let column = column_of(track);
            let (top, bottom) = track.span();
            canvas.upright(track.stop, column, top, bottom);
            if !tracks.iter().any(|other| other.feeds(track)) {
                canvas.level_to(track.stop, track.source, gap.start, column);
            }
            if let Some(second) = tracks.iter().find(|other| track.feeds(other)) {
                canvas.level_between(track.stop, second.source, column, column_of(second));
                continue;
            }
            for &row in &track.targets {
                canvas.level_from(track.stop, row, column, gap.end - 1);
            }
        }
        for &stop in stops {
            for &(row, enters) in &self.leads_to[stop] {
                if row == self.row[stop] {
                    canvas.level(stop, row, gap.start, gap.end - 1);
                }
                if enters {
                    canvas.write(row, gap.end - 1, "►");
                }
            }
        }
    }
}

impl Track {
    fn span(&self) -> (usize, usize) {
        self.targets
            .iter()
            .fold((self.source, self.source), |(top, bottom), &row| (top.min(row), bottom.max(row)))
    }

    /// Whether the other must be further right: it goes on, on the row on which this one comes, or
    /// comes from this one.
    fn must_precede(&self, other: &Track) -> bool {
        if self.stop == other.stop { self.feeds(other) } else { other.targets.contains(&self.source) }
    }

    /// Whether the other is the second track of this net's dogleg.
    fn feeds(&self, other: &Track) -> bool {
        self.stop == other.stop && self.targets.contains(&other.source)
    }

    fn overlaps(&self, other: &Track) -> bool {
        let (a, b) = (self.span(), other.span());
        a.0 <= b.1 && b.0 <= a.1
    }

    /// How often the two cross if this one is left of the other.
    fn crossings_before(&self, other: &Track) -> usize {
        let inside = |row: usize, (top, bottom): (usize, usize)| usize::from(top < row && row < bottom);
        let going_on: usize = self.targets.iter().map(|&row| inside(row, other.span())).sum();
        inside(other.source, self.span()) + going_on
    }
}

/// For each item the stop that stands for it: of the dummies of one value in one layer the first, for
/// other items themselves.
fn stops(layers: &Layers, nodes: usize) -> Vec<usize> {
    let mut source = vec![0; layers.items];
    for path in &layers.paths {
        path[1..].iter().filter(|&&item| item >= nodes).for_each(|&dummy| source[dummy] = path[0]);
    }
    let mut stop_of: Vec<usize> = (0..layers.items).collect();
    for layer in &layers.layers {
        let mut first = BTreeMap::new();
        for &dummy in layer.iter().filter(|&&item| item >= nodes) {
            stop_of[dummy] = *first.entry(source[dummy]).or_insert(dummy);
        }
    }
    stop_of
}

/// The row nearest to a given one on which no net comes or goes on.
fn free_row<'a>(tracks: impl Iterator<Item = &'a Track>, near: usize) -> usize {
    let taken: BTreeSet<usize> =
        tracks.flat_map(|track| track.targets.iter().copied().chain([track.source])).collect();
    let is_free = |row: &usize| !taken.contains(row);
    (1..).flat_map(|away| [near.saturating_sub(away), near + away]).find(is_free).unwrap_or(near)
}

/// The place of each stop in units of the grid, from the top.
fn slots(ranks: &[Vec<usize>], pieces: &[Piece], items: usize, nodes: usize) -> Vec<usize> {
    let units = |a: usize, b: usize| if a < nodes && b < nodes { 2 } else { 1 };
    let distance = |a: usize, b: usize| units(a, b) as f64;
    let chains = chains(pieces, nodes, items);
    let y = Heights { ranks, pieces, distance: &distance, chains: &chains, nudge: 0.5 }.place(items);
    let top = ranks.iter().filter_map(|rank| rank.first()).map(|&item| y[item]).fold(f64::INFINITY, f64::min);
    let mut slot = vec![0; items];
    for rank in ranks {
        let mut above: Option<usize> = None;
        for &item in rank {
            let least = above.map_or(0, |above| slot[above] + units(above, item));
            // rounding keeps whole distances, but for the last bit
            slot[item] = ((y[item] - top).round().max(0.0) as usize).max(least);
            above = Some(item);
        }
    }
    slot
}

/// The stops that each value passes, to be put on one line: the value's own if there is room. Users
/// branch off anywhere, so there is no line of theirs to prefer.
fn chains(pieces: &[Piece], nodes: usize, items: usize) -> Vec<Chain> {
    let mut next = vec![None; items];
    for piece in pieces.iter().filter(|piece| piece.to >= nodes) {
        next[piece.from] = Some(piece.to);
    }
    let passes = |source: usize| std::iter::successors(next[source], |&stop| next[stop]).collect();
    (0..nodes).map(|source| Chain { source, bends: passes(source), target: source, port: 0.0 }).collect()
}
