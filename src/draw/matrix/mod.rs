//! The confusion matrix: which classes a model takes for which.
//!
//! A good model's diagonal is a hundred times larger than its errors, and on one scale of shades
//! the errors, which are what the reader came for, would all be white. So the diagonal and the
//! errors have a colour and a scale each, both drawn below the matrix. Shades show shares of the
//! true class, so that rare classes count as much as common ones; the cells hold the counts.
//! `counts.rs` counts, `layout.rs` draws.

mod counts;
mod layout;
#[cfg(test)]
mod tests;

use super::png::Drawing;
pub use counts::ConfusionMatrix;
use layout::MatrixLayout;

impl ConfusionMatrix {
    /// The matrix as an SVG document: true classes down, predicted classes across, recall at the
    /// right, precision below.
    pub fn svg(&self) -> String {
        MatrixLayout::of(self).svg()
    }
}

impl Drawing for ConfusionMatrix {
    fn document(&self) -> String {
        self.svg()
    }

    fn change_texts(&mut self, change: &dyn Fn(&mut String)) {
        std::iter::once(&mut self.title).chain(&mut self.subtitle).for_each(change);
    }
}
