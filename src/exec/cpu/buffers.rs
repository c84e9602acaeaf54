//! Where parameters and their optimizer's state lie in the arena, and how they get in and out.
//!
//! Outside, a buffer is the parameters one after another, as PyTorch has them. Here each begins with a cache line, weights lie
//! transposed ([`zeros`](super::zeros)), and in panels ([`panels`](super::panels)) where every instruction can read them so; for
//! products in bfloat16, in rows.

use std::ops::Range;

use super::panels::PANEL;
use super::transpose::{Rectangle, transpose};
use super::zeros::Input;
use crate::exec::Resident;
use crate::graph::{NodeId, Shape};

/// Where the buffers lie in the arena, and how the parameters lie in them.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Buffers {
    parameters: Vec<ParameterPlace>,
    /// Elements of a buffer.
    size: usize,
    /// How many there are: the parameters and the numbers of state.
    pub count: usize,
}

/// A parameter in a buffer.
#[derive(Clone, PartialEq, Debug)]
struct ParameterPlace {
    /// Outside, where parameters follow one another.
    place: Range<usize>,
    /// Its first element in the arena's buffer: each parameter begins with a cache line.
    start: usize,
    /// Its rows and columns outside, if it lies transposed in the arena.
    transposed: Option<[usize; 2]>,
    /// Whether its transpose lies in panels.
    in_panels: bool,
}

/// Elements of a cache line.
const LINE: usize = 64 / size_of::<f32>();

impl Buffers {
    /// Of these parameters: shapes in the arena, and whether they lie transposed. Which lie in panels is as in other buffers, if there
    /// are some; else all that can.
    pub fn of(parameters: &[(Shape, bool)], count: usize, like: Option<&Self>) -> Self {
        let (mut size, mut start) = (0, 0);
        let places = parameters.iter().enumerate().map(|(number, (shape, transposed))| {
            let place = ParameterPlace {
                place: size..size + shape.size(),
                start,
                // Transposed here, so rows are outside's columns.
                transposed: transposed.then(|| [shape[1], shape[0]]),
                in_panels: match like {
                    Some(like) => like.parameters[number].in_panels,
                    None => *transposed && shape[1] > PANEL,
                },
            };
            size = place.place.end;
            start += shape.size().next_multiple_of(LINE);
            place
        });
        let parameters = places.collect();
        Self { parameters, size, count }
    }

    /// Has a parameter lie in rows, with all of its state.
    pub fn lay_in_rows(&mut self, parameter: usize) {
        self.parameters[parameter].in_panels = false;
    }

    /// From where a buffer begins in the arena to where the next does.
    fn stride(&self) -> usize {
        self.parameters.last().map_or(0, |last| last.start + last.place.len().next_multiple_of(LINE))
    }

    /// The place of a buffer in the arena.
    pub fn place(&self, buffer: usize) -> Range<usize> {
        assert!(buffer < self.count, "buffer {buffer} of {}", self.count);
        buffer * self.stride()..(buffer + 1) * self.stride()
    }

    /// The elements in front of the arena that are theirs.
    pub fn reserved(&self) -> usize {
        self.count * self.stride()
    }

    /// Where the nodes of some parameters, or of their state, lie that are a buffer's.
    pub fn residents<'a>(&'a self, buffer: usize, nodes: &'a [Input]) -> impl Iterator<Item = Resident> + 'a {
        let start = self.place(buffer).start;
        let parameters = nodes.iter().zip(&self.parameters);
        parameters
            .map(move |(input, parameter)| Resident { node: input.node, offset: start + parameter.start })
    }

    /// Which of the parameters' nodes, or of those of their state, lie in panels.
    pub fn in_panels<'a>(&'a self, nodes: &'a [Input]) -> impl Iterator<Item = NodeId> + 'a {
        let parameters = nodes.iter().zip(&self.parameters);
        parameters.filter(|(_, parameter)| parameter.in_panels).map(|(input, _)| input.node)
    }

    /// Copies a buffer from the arena to the outside.
    pub fn copy_out(&self, from: &[f32], to: &mut [f32]) {
        assert_eq!(to.len(), self.size, "numbers of a buffer");
        for parameter in &self.parameters {
            let (from, to) = (&from[parameter.start..], &mut to[parameter.place.clone()]);
            parameter.for_each_panel(|panel, [rows, columns]| match parameter.transposed {
                Some(_) => {
                    transpose(Rectangle::of(&from[panel.clone()], [columns, rows]), &mut to[panel], columns)
                }
                None => to[panel.clone()].copy_from_slice(&from[panel]),
            });
        }
    }

    /// Copies a buffer from the outside to the arena.
    pub fn copy_in(&self, from: &[f32], to: &mut [f32]) {
        assert_eq!(from.len(), self.size, "numbers of a buffer");
        for parameter in &self.parameters {
            let (from, to) = (&from[parameter.place.clone()], &mut to[parameter.start..]);
            parameter.for_each_panel(|panel, [rows, columns]| match parameter.transposed {
                Some(_) => {
                    transpose(Rectangle::of(&from[panel.clone()], [rows, columns]), &mut to[panel], rows)
                }
                None => to[panel.clone()].copy_from_slice(&from[panel]),
            });
        }
    }
}

impl ParameterPlace {
    /// Calls `work` for each panel's elements, with its rows and columns outside. A panel of the transpose is some rows outside,
    /// so they are the same stretch of the parameter in both places.
    fn for_each_panel(&self, mut work: impl FnMut(Range<usize>, [usize; 2])) {
        let Some([rows, columns]) = self.transposed else {
            return work(0..self.place.len(), [1, self.place.len()]);
        };
        let height = if self.in_panels { PANEL } else { rows.max(1) };
        for first in (0..rows).step_by(height) {
            let last = rows.min(first + height);
            work(first * columns..last * columns, [last - first, columns]);
        }
    }
}
