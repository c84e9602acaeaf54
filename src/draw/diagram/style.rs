//! Sizes, letters and colours of the figure.

use super::graph::DiagramKind;
use crate::draw::colour::{AXIS, BOX_GROUNDS, BOX_OUTLINES, Colour, INK, MUTED, Mixture, SERIES};
use crate::draw::svg::TextStyle;

pub(super) const NAME: TextStyle = TextStyle::new(14.5, INK).bold();
pub(super) const DEFINITION: TextStyle = TextStyle::new(14.5, INK);
pub(super) const VALUE: TextStyle = TextStyle::new(13.5, SERIES[0]);
pub(super) const ADJOINT: TextStyle = TextStyle::new(13.5, SERIES[1]);
pub(super) const LABEL: TextStyle = TextStyle::new(12.5, MUTED);
pub(super) const CAPTION: TextStyle = TextStyle::new(13.0, MUTED);
pub(super) const LINE: f64 = 19.5;
pub(super) const PADDING: f64 = 11.0;
/// Longer texts are elided.
pub(super) const MAX_TEXT: f64 = 200.0;
pub(super) const MAX_LABEL: f64 = 110.0;
pub(super) const LABEL_HEIGHT: f64 = 18.0;
pub(super) const EDGE: Colour = AXIS;
/// A sign of the caption with the gap behind it, and the gap between two entries.
pub(super) const SIGN: f64 = 25.0;
pub(super) const SIGN_GAP: f64 = 22.0;
pub(super) const ARROW: f64 = 9.0;

/// What the box of a node is filled with.
pub(super) fn ground(kind: DiagramKind) -> Mixture {
    let [input, inner, output] = BOX_GROUNDS;
    match kind {
        DiagramKind::Input => input,
        DiagramKind::Inner => inner,
        DiagramKind::Output => output,
    }
}

pub(super) fn outline(kind: DiagramKind) -> Colour {
    let [input, output] = BOX_OUTLINES;
    match kind {
        DiagramKind::Input => input.light(),
        DiagramKind::Inner => AXIS,
        DiagramKind::Output => output.light(),
    }
}
