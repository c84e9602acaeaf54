//! Matrices in panels: the columns in stretches of [`PANEL`], and in each the rows one behind the other.
//!
//! Products read their second operand a panel at a time. Its rows are then neighbours in memory: as rows of the whole matrix they
//! would be a power of two apart as often as not, and push each other out of the cache. Weights are read by every step and
//! are the executor's alone, so they are kept in panels; what changes with each batch is copied into one panel after another.
//!
//! A matrix of at most [`PANEL`] columns lies in panels as it does in rows.

use std::ops::Range;

use crate::exec::instruction::{Instruction, Program, Source, Work};
use crate::graph::NodeId;
use crate::ops::{Graph, Op, Reduction, Store};

/// Columns of a panel: eight registers of AVX-512 in float32.
pub(super) const PANEL: usize = 128;

/// Where the elements of a matrix lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    pub rows: usize,
    pub columns: usize,
    pub in_panels: bool,
}

impl Layout {
    /// A matrix row by row.
    pub fn in_rows((rows, columns): (usize, usize)) -> Self {
        Self { rows, columns, in_panels: false }
    }

    /// The columns that a column lies among: its panel's, or all.
    pub fn stretch(&self, column: usize) -> Range<usize> {
        match self.in_panels {
            true => column / PANEL * PANEL..self.columns.min((column / PANEL + 1) * PANEL),
            false => 0..self.columns,
        }
    }

    /// Where a rectangle from this row on begins, and how far its rows are apart.
    ///
    /// # Panics
    /// When its columns are not all in one panel.
    pub fn rectangle(&self, row: usize, columns: &Range<usize>) -> (usize, usize) {
        let stretch = self.stretch(columns.start);
        assert!(columns.end <= stretch.end, "columns {columns:?} of a matrix of {self:?}");
        (stretch.start * self.rows + row * stretch.len() + columns.start - stretch.start, stretch.len())
    }
}

/// The inputs in panels that an instruction would take as rows, or store rows into, or an output shows.
pub(super) fn misread(
    graph: &Graph,
    instructions: &[Instruction],
    outputs: &[NodeId],
    stores: &[Store],
    in_panels: &[bool],
) -> Vec<NodeId> {
    let mut misread: Vec<NodeId> = outputs.to_vec();
    for instruction in instructions {
        match &instruction.work {
            Work::Operation => match graph[instruction.output].op {
                Op::Reduction(Reduction::Sum { ref axes }) if axes[..] == [0] => {}
                _ => misread.extend(instruction.reads(graph)),
            },
            Work::Product { operands: [a, _], epilogue, .. } => {
                misread.push(*a);
                if let Some(program) = epilogue {
                    // A tile tells rows from columns, so both layouts may meet in it; but an old value is read where
                    // the new one is written, and all of those lie alike.
                    let overwritten = |node: &NodeId| {
                        program
                            .results
                            .iter()
                            .any(|&(_, value)| stores.contains(&Store { value, into: *node }))
                    };
                    misread.extend(elements(program).filter(|node| !overwritten(node)));
                    misread.extend(unlike(program.results.iter().map(|(_, node)| *node), in_panels));
                }
            }
            Work::Elementwise(program) => {
                let all: Vec<NodeId> =
                    elements(program).chain(program.results.iter().map(|(_, node)| *node)).collect();
                misread.extend(if program.rows == 1 { unlike(all.into_iter(), in_panels) } else { all });
            }
            Work::Fill(_) | Work::Copy(_) | Work::CrossEntropy { .. } => {
                misread.extend(instruction.reads(graph).into_iter().chain(instruction.writes()));
            }
        }
    }
    misread.retain(|node| in_panels[node.index()]);
    let input = |node| stores.iter().find(|store| store.value == node).map_or(node, |store| store.into);
    misread.into_iter().map(input).collect()
}

/// The nodes of a program's size that it reads.
fn elements(program: &Program) -> impl Iterator<Item = NodeId> + Clone {
    program.steps.iter().flat_map(|step| step.sources()).filter_map(|source| match source {
        Source::Full(node) => Some(node),
        Source::Register(_) | Source::PerColumn(_) => None,
    })
}

/// All of these, unless all lie in panels.
fn unlike(nodes: impl Iterator<Item = NodeId> + Clone, in_panels: &[bool]) -> Vec<NodeId> {
    let alike = nodes.clone().all(|node| in_panels[node.index()]);
    if alike { Vec::new() } else { nodes.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rectangles_of_a_matrix_in_panels_are_its_elements_once_each() {
        let (rows, columns) = (3, 2 * PANEL + 5);
        let layout = Layout { rows, columns, in_panels: true };
        let mut seen = vec![0; rows * columns];
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            seen[layout.rectangle(row, &(column..column + 1)).0] += 1;
        }
        assert!(seen.iter().all(|&times| times == 1));
        assert_eq!(layout.rectangle(2, &(PANEL + 1..2 * PANEL)), (3 * PANEL + 2 * PANEL + 1, PANEL));
        assert_eq!(layout.rectangle(1, &(2 * PANEL..columns)), (6 * PANEL + 5, 5));
        let rows = Layout::in_rows((3, columns));
        assert_eq!(rows.rectangle(2, &(7..columns)), (2 * columns + 7, columns));
    }
}
