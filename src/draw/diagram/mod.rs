//! The computational graph of a formula: what is computed from what, with the value and the adjoint
//! of every node and the local partial derivative on every edge.
//!
//! Four forms of one graph. [`svg`](Diagram::svg) is the figure of the textbooks, layered from left
//! to right; [`boxes`](Diagram::boxes) is the same in characters, while the terminal is wide enough;
//! [`lifelines`](Diagram::lifelines) is a list with a line per node, which any graph fits;
//! [`dot`](Diagram::dot) leaves the layout to Graphviz.
//!
//! The layout is that of Sugiyama, Tagawa and Toda ("Methods for visual understanding of hierarchical
//! system structures", 1981): `layers.rs` puts nodes into layers, `order.rs` orders each layer so that
//! few edges cross, `place.rs` finds the coordinates; `figure.rs` and `boxes.rs` say what there is to
//! place.

mod boxes;
mod canvas;
mod dot;
mod figure;
mod graph;
mod heights;
mod layers;
mod lifelines;
mod order;
mod place;
#[cfg(test)]
mod samples;
mod straighten;
mod style;
mod svg;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tracing;

use super::png::Drawing;
pub use graph::{Diagram, DiagramEdge, DiagramKind, DiagramLegend, DiagramNode};

impl Diagram {
    /// The figure as an SVG document, layered from left to right.
    pub fn svg(&self) -> String {
        figure::Figure::of(self).svg()
    }

    /// The graph in the language of Graphviz: `dot -Tpdf`.
    pub fn dot(&self) -> String {
        dot::write(self)
    }

    /// The figure in box characters, layered from left to right, without title and edge labels.
    /// `None` if it needs more than `width` columns or a node has more than two operands;
    /// [`lifelines`](Diagram::lifelines) draws any graph.
    ///
    /// `┼` is always a crossing; the other joints always join.
    pub fn boxes(&self, width: usize) -> Option<String> {
        boxes::draw(self, width)
    }

    /// A line per node with a track at the right for each value: `○` where it is computed, `●`
    /// where it is used, `┼` where it only crosses. A value that is used twice in one line has two
    /// dots there. The title is left out, as are the labels of edges.
    ///
    /// Lines stand in the order of the nodes. Where a node would come before one of its operands, it
    /// moves down until it does not.
    pub fn lifelines(&self) -> String {
        lifelines::draw(self)
    }
}

impl Drawing for Diagram {
    fn document(&self) -> String {
        self.svg()
    }

    fn change_texts(&mut self, change: &dyn Fn(&mut String)) {
        std::iter::once(&mut self.title).chain(&mut self.subtitle).for_each(change);
        for DiagramNode { name, definition, value, adjoint, .. } in &mut self.nodes {
            [name, definition, value, adjoint].into_iter().for_each(change);
        }
        self.edges.iter_mut().for_each(|edge| change(&mut edge.label));
    }
}
