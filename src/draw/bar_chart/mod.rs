//! Bar charts of shares: how much of a ceiling each of many things reaches, in groups, one below another.
//!
//! Bars lie, so that their names can be read however long they are and however many there are. All of them
//! begin at 0 on one axis, so that lengths compare; 100% is a dashed line, which a bar may cross. Beside the plot each share
//! stands as a number, and two columns of captions say what it is made of, such as a rate and a time. A diamond on a
//! bar's row is somebody else's share. What lies beyond the axis ends in a tip. `layout.rs` draws.

mod chart;
mod layout;
#[cfg(test)]
mod tests;

use super::png::Drawing;
pub use chart::{Bar, BarChart, BarGroup};
use layout::BarLayout;

impl BarChart {
    /// The chart as an SVG document, 900 units wide and as high as its bars need.
    pub fn svg(&self) -> String {
        BarLayout::of(self).svg()
    }
}

impl Drawing for BarChart {
    fn document(&self) -> String {
        self.svg()
    }

    fn change_texts(&mut self, change: &dyn Fn(&mut String)) {
        let Self { title, subtitle, x_label, names, heads, groups, notes } = self;
        let texts = [title, x_label].into_iter().chain(subtitle).chain(names).chain(heads).chain(notes);
        texts.for_each(change);
        for BarGroup { name, bars } in groups {
            change(name);
            for Bar { label, captions, .. } in bars {
                std::iter::once(label).chain(captions).for_each(change);
            }
        }
    }
}
