//! What a bar chart shows.

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
    pub(super) fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.groups.iter().flat_map(|group| &group.bars)
    }

    pub(super) fn has_marks(&self) -> bool {
        self.bars().any(|bar| bar.mark().is_some())
    }

    /// What a screen reader says in place of the bars.
    pub(super) fn description(&self) -> String {
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

impl Bar {
    pub(super) fn share(&self) -> Option<f64> {
        self.share.filter(|&share| is_drawable(share))
    }

    pub(super) fn mark(&self) -> Option<f64> {
        self.mark.filter(|&mark| is_drawable(mark))
    }
}

pub(super) fn is_drawable(share: f64) -> bool {
    (0.0..=1e6).contains(&share)
}

/// As a whole percentage; a dash where there is none.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.0}%", 100.0 * share))
}
