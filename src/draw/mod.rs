//! Drawings: charts of a training run and graphs of formulas, as SVG for the browser and PNG for
//! everything else.
//!
//! A drawing is a value that says what to show ([`LineChart`], [`BarChart`], [`ConfusionMatrix`], [`Diagram`]);
//! its `svg()` decides where everything goes and returns the document, [`picture`] makes a PNG of it. Layout needs to
//! know how wide text is, so one font (DejaVu Sans) is embedded: [`text`] measures with it and [`png()`] draws with
//! it, and neither depends on what the machine has installed. What the font lacks, pictures spell out.
//!
//! Every drawing carries its own opaque background, so that it reads in dark viewers; uses no
//! element ids, so that many can stand in one HTML page; and holds no script and no reference to
//! anything outside itself.
//!
//! The ground floor, for further kinds of drawing: [`svg`] writes well-formed XML, [`text`]
//! measures, shortens and wraps, [`colour`] holds the palette, [`scale`] maps values to positions
//! and chooses ticks, [`spread`](spread::spread) keeps labels apart.

mod bar_chart;
pub mod colour;
mod diagram;
mod heading;
mod line_chart;
mod marks;
mod matrix;
mod png;
pub mod scale;
pub mod spread;
pub mod svg;
#[cfg(test)]
mod testing;
pub mod text;

pub use bar_chart::{Bar, BarChart, BarGroup};
pub use diagram::{Diagram, DiagramEdge, DiagramKind, DiagramLegend, DiagramNode};
pub use line_chart::{End, LineChart, Reference, Series, YFormat};
pub use matrix::ConfusionMatrix;
pub use png::{DrawError, Drawing, grayscale_png, has_drawn, picture, png};
pub use scale::ScaleKind;
