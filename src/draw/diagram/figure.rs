//! The arrangement of the textbooks: boxes in columns, curves between them.
//!
//! Columns of nodes and columns of edge labels alternate. Every edge has an item of its own in each
//! column that it passes: its label in the one before its target, elsewhere a bend. As items of a
//! column keep their distance, nothing can overlap; between columns an edge is a curve that begins
//! and ends level, through a column it is a straight line.

use super::super::heading::{Heading, MARGIN};
use super::super::svg::TextStyle;
use super::super::text;
use super::graph::{Diagram, DiagramGraph, DiagramKind, DiagramNode, first_lines};
use super::heights::{Chain, Heights, Piece};
use super::layers::{Layers, index};
use super::style::{
    ADJOINT, ARROW, CAPTION, DEFINITION, LABEL, LABEL_HEIGHT, LINE, MAX_LABEL, MAX_TEXT, NAME, PADDING, SIGN,
    SIGN_GAP, VALUE,
};

const MIN_WIDTH: f64 = 340.0;
const MIN_TEXT: f64 = 44.0;
/// Between columns: the least room for a curve, and the most.
const GAP: (f64, f64) = (24.0, 90.0);

/// A diagram with everything decided: where items stand and how columns are cut.
pub(super) struct Figure<'a> {
    pub diagram: &'a Diagram,
    pub graph: DiagramGraph<'a>,
    /// Columns of nodes (even) and of labels (odd), items from top to bottom.
    pub ranks: Vec<Vec<usize>>,
    /// The column of each item.
    pub rank_of: Vec<usize>,
    /// For each edge its items: the source, one in each column on the way, the target.
    pub paths: Vec<Vec<usize>>,
    /// For each edge, how far below the middle of its target it enters.
    pub ports: Vec<f64>,
    /// Middle of each item.
    pub y: Vec<f64>,
    /// Left end and width of each column.
    pub columns: Vec<(f64, f64)>,
    pub heading: Heading,
    /// Each node's name, and " = " with its definition.
    pub first_lines: Vec<[String; 2]>,
    /// Lines of text in each box.
    pub lines: usize,
    pub size: (f64, f64),
}

impl<'a> Figure<'a> {
    pub fn of(diagram: &'a Diagram) -> Figure<'a> {
        let graph = diagram.graph();
        let (ranks, paths, items) = with_label_ranks(Layers::of(&graph));
        let has = |text: fn(&DiagramNode) -> &String| {
            usize::from(diagram.nodes.iter().any(|node| !text(node).is_empty()))
        };
        let mut figure = Figure {
            diagram,
            graph,
            rank_of: index(&ranks, items, |rank, _| rank),
            ranks,
            paths,
            ports: Vec::new(),
            y: Vec::new(),
            columns: Vec::new(),
            heading: Heading::default(),
            first_lines: first_lines(
                &diagram.nodes,
                MAX_TEXT,
                [&|text| width_of(NAME, text), &|text| width_of(DEFINITION, text)],
                [&|text, room| elided(NAME, text, room), &|text, room| elided(DEFINITION, text, room)],
            ),
            lines: 1 + has(|node| &node.value) + has(|node| &node.adjoint),
            size: (0.0, 0.0),
        };
        figure.ports = figure.spread_ports();
        figure.y = figure.place(items);
        figure.columns = figure.cut_columns();

        let content = figure.columns.last().map_or(0.0, |(left, width)| left + width);
        let width = content.max(figure.caption_width()).max(MIN_WIDTH) + 2.0 * MARGIN;
        figure.heading = Heading::new(&diagram.title, diagram.subtitle.as_deref(), width);

        // from relative places to the page: a narrow figure stands in the middle of it
        let end = |sign: f64| {
            let ends = (0..items).map(|item| sign * figure.y[item] + figure.height_of(item) / 2.0);
            ends.reduce(f64::max).unwrap_or(0.0)
        };
        let (above, below) = (end(-1.0), end(1.0));
        let top = MARGIN + figure.heading.height() + 14.0 + above;
        let left = (width - content) / 2.0;
        figure.y.iter_mut().for_each(|y| *y += top);
        figure.columns.iter_mut().for_each(|column| column.0 += left);
        figure.size = (width, top + below + 24.0 + CAPTION.size + MARGIN);
        figure
    }

    pub fn box_height(&self) -> f64 {
        self.lines as f64 * LINE + 13.0
    }

    /// The room that an item needs.
    fn height_of(&self, item: usize) -> f64 {
        if item < self.diagram.nodes.len() { self.box_height() } else { 0.0 }
    }

    /// Several edges into one node enter it one below the other, in the order of their labels.
    fn spread_ports(&self) -> Vec<f64> {
        let mut entering = vec![Vec::new(); self.diagram.nodes.len()];
        let place = index(&self.ranks, self.rank_of.len(), |_, place| place);
        for (edge, path) in self.paths.iter().enumerate() {
            if let [.., label, target] = path[..] {
                entering[target].push((place[label], edge));
            }
        }
        let mut ports = vec![0.0; self.paths.len()];
        for edges in &mut entering {
            edges.sort_unstable();
            let between = edges.len().saturating_sub(1) as f64;
            let step = if between > 0.0 { ((self.box_height() - 20.0) / between).min(26.0) } else { 0.0 };
            for (i, &(_, edge)) in edges.iter().enumerate() {
                ports[edge] = (i as f64 - between / 2.0) * step;
            }
        }
        ports
    }

    fn place(&self, items: usize) -> Vec<f64> {
        let mut is_label = vec![false; items];
        let mut pieces = Vec::new();
        let mut chains = Vec::new();
        for (path, &port) in self.paths.iter().zip(&self.ports) {
            let [source, bends @ .., target] = &path[..] else { continue };
            if let Some(&label) = bends.last() {
                is_label[label] = true;
            }
            for step in path.windows(2) {
                let is_end = step[0] == *source || step[1] == *target;
                let weight = if is_end { 2.0 } else { 8.0 };
                let port = if step[1] == *target { port } else { 0.0 };
                pieces.push(Piece { from: step[0], to: step[1], weight, port });
            }
            chains.push(Chain { source: *source, bends: bends.to_vec(), target: *target, port });
        }
        let nodes = self.diagram.nodes.len();
        let distance = |a: usize, b: usize| {
            let half = |item: usize| match item {
                item if item < nodes => self.box_height() / 2.0,
                item if is_label[item] => LABEL_HEIGHT / 2.0,
                _ => 0.0,
            };
            let clear = if a < nodes && b < nodes { 22.0 } else { 13.0 };
            let clear = if is_label[a] && is_label[b] { 5.0 } else { clear };
            half(a) + half(b) + clear
        };
        Heights { ranks: &self.ranks, pieces: &pieces, distance: &distance, chains: &chains, nudge: 12.0 }
            .place(items)
    }

    /// A column is as wide as its widest item; the steeper the edges between two, the more room.
    fn cut_columns(&self) -> Vec<(f64, f64)> {
        let mut widths = vec![0.0_f64; self.ranks.len()];
        let mut steepest = vec![0.0_f64; self.ranks.len()];
        let nodes = self.diagram.nodes.len();
        for (rank, items) in self.ranks.iter().enumerate() {
            for &node in items.iter().filter(|&&item| item < nodes) {
                widths[rank] = widths[rank].max(self.text_width(node) + 2.0 * PADDING);
            }
        }
        for (edge, path) in self.paths.iter().enumerate() {
            for step in path.windows(2) {
                let port = if step[1] < nodes { self.ports[edge] } else { 0.0 };
                let rise = (self.y[step[0]] - self.y[step[1]] - port).abs();
                let rank = self.rank_of[step[0]];
                steepest[rank] = steepest[rank].max(rise);
            }
            if let [.., label, _] = path[..] {
                let width = text::width(&self.label(edge), LABEL.size, LABEL.face) + 8.0;
                widths[self.rank_of[label]] = widths[self.rank_of[label]].max(width);
            }
        }
        let mut left = 0.0;
        let mut columns = Vec::with_capacity(widths.len());
        for (rank, width) in widths.into_iter().enumerate() {
            columns.push((left, width));
            // half of the columns end at a box, with an arrow head
            let arrow = if rank % 2 == 1 { ARROW } else { 0.0 };
            left += width + (0.3 * steepest[rank]).clamp(GAP.0, GAP.1) + arrow;
        }
        columns
    }

    fn text_width(&self, node: usize) -> f64 {
        let [name, definition] = &self.first_lines[node];
        let node = &self.diagram.nodes[node];
        let lines = [(&node.value, VALUE), (&node.adjoint, ADJOINT)];
        let widths = lines.map(|(text, style)| text::width(text, style.size, style.face).min(MAX_TEXT));
        let first = width_of(NAME, name) + width_of(DEFINITION, definition);
        widths.into_iter().fold(first, f64::max).max(MIN_TEXT)
    }

    pub fn label(&self, edge: usize) -> String {
        text::elide(&self.graph.edges[edge].label, LABEL.size, LABEL.face, MAX_LABEL)
    }

    /// What grounds and colours mean, as far as they occur: (the sign's ground, text, its style).
    pub fn caption(&self) -> Vec<(Option<DiagramKind>, String, TextStyle)> {
        let Diagram { nodes, legend, .. } = self.diagram;
        let kinds = [
            (DiagramKind::Input, "input"),
            (DiagramKind::Inner, "operation"),
            (DiagramKind::Output, "output"),
        ];
        let kinds = kinds.into_iter().filter(|(kind, _)| nodes.iter().any(|node| node.kind == *kind));
        let mut parts: Vec<_> = kinds.map(|(kind, name)| (Some(kind), name.to_owned(), CAPTION)).collect();
        if nodes.iter().any(|node| !node.value.is_empty()) {
            parts.push((None, "value".into(), TextStyle { fill: VALUE.fill, ..CAPTION }));
        }
        if nodes.iter().any(|node| !node.adjoint.is_empty()) {
            parts.push((None, legend.adjoint.into(), TextStyle { fill: ADJOINT.fill, ..CAPTION }));
        }
        if self.graph.edges.iter().any(|edge| !edge.label.is_empty()) {
            parts.push((None, format!("on edges: {}", legend.edges), CAPTION));
        }
        parts
    }

    pub fn caption_width(&self) -> f64 {
        let width = |text: &str| text::width(text, CAPTION.size, CAPTION.face) + SIGN_GAP;
        let parts = self.caption();
        let parts = parts.iter().map(|(sign, text, _)| width(text) + sign.map_or(0.0, |_| SIGN));
        parts.sum::<f64>() - SIGN_GAP
    }
}

fn width_of(style: TextStyle, text: &str) -> f64 {
    text::width(text, style.size, style.face)
}

fn elided(style: TextStyle, text: &str, room: f64) -> String {
    text::elide(text, style.size, style.face, room)
}

/// Columns for labels between those of the nodes. In these, items stand in the order of what they lead
/// to: edges then cross only before the labels, and from its label each runs clear to its arrow.
///
/// That adds no crossings: an item of such a column has one neighbour at either side, so two edges that
/// keep their order from layer to layer keep it in between, and two that change it do so once.
fn with_label_ranks(layers: Layers) -> (Vec<Vec<usize>>, Vec<Vec<usize>>, usize) {
    let (layer_of, place) = (layers.layer_of(), layers.place_of());
    let mut items = layers.items;
    let mut between = vec![Vec::new(); layers.layers.len()];
    let mut paths = Vec::with_capacity(layers.paths.len());
    for path in &layers.paths {
        let mut longer = vec![path[0]];
        for step in path.windows(2) {
            between[layer_of[step[0]]].push((place[step[1]], place[step[0]], items));
            longer.extend([items, step[1]]);
            items += 1;
        }
        paths.push(longer);
    }
    let mut ranks = Vec::with_capacity(2 * layers.layers.len());
    for (layer, mut labels) in layers.layers.into_iter().zip(between) {
        labels.sort_unstable();
        ranks.push(layer);
        ranks.push(labels.into_iter().map(|(_, _, item)| item).collect());
    }
    ranks.pop(); // nothing follows the last layer
    (ranks, paths, items)
}
