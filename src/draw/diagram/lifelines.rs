//! A list with a line per node, and the life of each value beside it.
//!
//! A value is alive from the line that computes it to the last line that uses it, and takes a track
//! for that time. Afterwards the track is free for another value. Giving each value the first free
//! track needs no more tracks than values are alive at once, the least possible (the left-edge
//! algorithm of Hashimoto and Stevens, 1971).

use super::canvas::{columns, first_lines_in, fit};
use super::graph::{Diagram, DiagramNode};

/// Longer texts are cut.
const MAX_FIRST: usize = 60;
const MAX_NUMBER: usize = 32;

pub(super) fn draw(diagram: &Diagram) -> String {
    let graph = diagram.graph();
    let n = diagram.nodes.len();
    let mut line_of = vec![0; n];
    for (line, &node) in graph.order.iter().enumerate() {
        line_of[node] = line;
    }
    // for each line the nodes whose values it uses, and for each node the last line that uses it
    let mut operands = vec![Vec::new(); n];
    let mut last_use = vec![None; n];
    for edge in &graph.edges {
        let line = line_of[edge.to];
        operands[line].push(edge.from);
        last_use[edge.from] = last_use[edge.from].max(Some(line));
    }
    let track = tracks(&graph.order, &last_use);

    // a value used twice in one line has its second dot behind the first
    let uses = |line: usize, node: usize| operands[line].iter().filter(|&&operand| operand == node).count();
    let most_uses = (0..n).flat_map(|line| operands[line].iter().map(move |&node| (line, node)));
    let most_uses = most_uses.map(|(line, node)| uses(line, node)).max().unwrap_or(1);
    let pitch = most_uses + 1;

    let first = first_lines_in(&diagram.nodes, MAX_FIRST);
    let texts = aligned(graph.order.iter().map(|&node| (&first[node], &diagram.nodes[node])));
    let count = track.iter().flatten().max().map_or(0, |last| last + 1);
    let mut alive: Vec<Option<usize>> = vec![None; count];
    let mut out = String::new();
    for (line, (&node, text)) in graph.order.iter().zip(texts).enumerate() {
        // what stands in each column right of the text
        let mut cells = vec![' '; count * pitch];
        for slot in (0..count).filter(|&slot| alive[slot].is_some()) {
            cells[slot * pitch] = '│';
        }
        for &operand in &operands[line] {
            if let Some(slot) = track[operand] {
                cells[slot * pitch..][..uses(line, operand)].fill('●');
            }
        }
        if let Some(slot) = track[node] {
            cells[slot * pitch] = '○';
            alive[slot] = Some(node);
        }
        let is_joint = |c: &char| matches!(c, '●' | '○');
        let reach = cells.iter().rposition(is_joint).unwrap_or(0);
        for cell in &mut cells[..reach] {
            *cell = match *cell {
                ' ' => '─',
                '│' => '┼',
                joint => joint,
            };
        }
        let link = if cells.iter().any(is_joint) { "──" } else { "  " };
        let tail: String = cells.into_iter().collect();
        out.push_str(format!("{text} {link}{tail}").trim_end());
        out.push('\n');
        for slot in &mut alive {
            *slot = slot.filter(|&value| last_use[value] > Some(line));
        }
    }
    out
}

/// For each node the track of its value: the first that is free when it is computed. A value that
/// nobody uses has none.
fn tracks(order: &[usize], last_use: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut track = vec![None; order.len()];
    // for each track the line from which it is free
    let mut free_from: Vec<usize> = Vec::new();
    for (line, &node) in order.iter().enumerate() {
        let Some(last) = last_use[node] else { continue };
        let slot = free_from.iter().position(|&free| free <= line).unwrap_or(free_from.len());
        if slot == free_from.len() {
            free_from.push(0);
        }
        free_from[slot] = last + 1;
        track[node] = Some(slot);
    }
    track
}

/// The texts of all nodes in aligned columns, all equally wide.
fn aligned<'a>(nodes: impl Iterator<Item = (&'a String, &'a DiagramNode)>) -> Vec<String> {
    let rows = nodes
        .map(|(first, node)| [first.clone(), fit(&node.value, MAX_NUMBER), fit(&node.adjoint, MAX_NUMBER)]);
    let rows: Vec<[String; 3]> = rows.collect();
    let widths = [0, 1, 2].map(|i| rows.iter().map(|row| columns(&row[i])).max().unwrap_or(0));
    let join = |row: &[String; 3]| {
        let cells = row.iter().zip(widths).filter(|(_, width)| *width > 0);
        let padded = cells.map(|(text, width)| format!("{text}{}", " ".repeat(width - columns(text))));
        padded.collect::<Vec<_>>().join("   ")
    };
    rows.iter().map(join).collect()
}
