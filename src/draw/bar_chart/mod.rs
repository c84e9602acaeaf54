//! Bar charts of shares: how much of a ceiling each of many things reaches, in groups, one below another.
//!
//! Bars lie, so that their names can be read however long they are and however many there are. All of them
//! begin at 0 on one axis, so that lengths compare; 100% is a dashed line, which a bar may cross. Beside the plot each share
//! stands as a number, and two columns of captions say what it is made of, such as a rate and a time. A diamond on a
//! bar's row is somebody else's share. What lies beyond the axis ends in a tip. `layout.rs` draws.

mod layout;
#[cfg(test)]
mod tests;

use super::png::Drawing;
use layout::Layout;

/// One row of the chart.
#[derive(Clone, Debug, Default)]
pub struct Bar {
    /// What stands at its left; its middle is left out if it is too long.
    pub label: String,
    /// Its length, as a fraction: 1 is 100%. Without one, or if it is not finite or below 0, there is no bar.
    pub share: Option<f64>,
    /// Where on the same row the mark stands, if there is one. Below half a percent it would be on the axis, and is left out.
    pub mark: Option<f64>,
    /// What stands at its right, in columns: `41.2 GB/s`, `12.3 µs`.
    pub captions: [String; 2],
}

/// Bars under a heading of their own.
#[derive(Clone, Debug, Default)]
pub struct BarGroup {
    /// The heading.
    pub name: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// Shares as horizontal bars.
#[derive(Clone, Debug, Default)]
pub struct BarChart {
    /// What the chart shows, in bold.
    pub title: String,
    /// The setting, such as the machine and the date.
    pub subtitle: Option<String>,
    /// Name of the axis, such as `share of the ceiling`.
    pub x_label: String,
    /// What bars and marks stand for, in a legend if there are marks.
    pub names: [String; 2],
    /// What stands above the columns at the right: of shares, and of both captions.
    pub heads: [String; 3],
    /// From top to bottom.
    pub groups: Vec<BarGroup>,
    /// What a reader must know, in sentences below the plot.
    pub notes: Vec<String>,
}

impl BarChart {
    /// The chart as an SVG document, 900 units wide and as high as its bars need.
    pub fn svg(&self) -> String {
        Layout::of(self).svg()
    }

    fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.groups.iter().flat_map(|group| &group.bars)
    }

    fn has_marks(&self) -> bool {
        self.bars().any(|bar| bar.mark().is_some())
    }

    /// What a screen reader says in place of the bars.
    fn description(&self) -> String {
        let mut text = format!("Bar chart of {}.", self.x_label);
        for group in &self.groups {
            for bar in &group.bars {
                text.push_str(&format!(" {} {}: {}", group.name, bar.label, percent(bar.share())));
                if bar.mark().is_some() {
                    text.push_str(&format!(", {} {}", self.names[1], percent(bar.mark())));
                }
                text.push('.');
            }
        }
        for note in &self.notes {
            text.push_str(&format!(" {note}"));
        }
        text
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

impl Bar {
    fn share(&self) -> Option<f64> {
        self.share.filter(|&share| is_drawable(share))
    }

    fn mark(&self) -> Option<f64> {
        self.mark.filter(|&mark| is_drawable(mark))
    }
}

fn is_drawable(share: f64) -> bool {
    (0.0..=1e6).contains(&share)
}

/// As a whole percentage; a dash where there is none.
fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.0}%", 100.0 * share))
}
