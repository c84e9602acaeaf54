//! Which line is which: labels at the lines' ends where they fit, a legend where they do not.

use std::collections::BTreeSet;

use super::super::colour::MUTED;
use super::super::heading::MARGIN;
use super::super::marks::{self, SAMPLE, Style};
use super::super::spread::spread;
use super::super::svg::{Svg, TextStyle};
use super::super::text::{self, CAP_HEIGHT, Face};
use super::chart::{LineChart, Room, Series, of_series};
use super::frame::{Axes, Plot};

const SIZE: f64 = 15.0;
/// Between the baselines of two labels.
const LABEL_GAP: f64 = 20.0;
/// A label further than this from the end of its line belongs into a legend.
const MAX_MOVE: f64 = 2.0 * LABEL_GAP;
/// From the plot's right edge to the text: room for a leader and a marker.
const LEADER: f64 = 40.0;
const MAX_WIDTH: f64 = 170.0;
/// The same in a narrow chart.
const MAX_NARROW_WIDTH: f64 = 70.0;
/// A series that ends before this fraction of the x axis has no end that a label could stand at.
const LAST_PART: f64 = 0.95;
const LEGEND_ROW: f64 = 25.0;
const LEGEND_SPACE: f64 = 26.0;

/// A label in the right margin. Heights count from the plot's top.
struct EndLabel {
    text: String,
    /// The series with its look; `None` for a reference line.
    series: Option<(usize, Style)>,
    /// Where along the x axis the line ends, 0 to 1.
    end_x: f64,
    end_y: f64,
    y: f64,
}

/// The labels at the right of the plot.
pub(super) struct EndLabels {
    labels: Vec<EndLabel>,
    /// The series are not among them.
    pub needs_legend: bool,
}

impl EndLabels {
    pub fn of(chart: &LineChart, axes: &Axes) -> EndLabels {
        let references = || reference_labels(chart, axes);
        let placed = series_labels(chart, axes).and_then(|labels| {
            let all = place(labels.into_iter().chain(references()).collect(), axes.room)?;
            let near = all.iter().all(|label| (label.y - label.end_y).abs() <= MAX_MOVE);
            near.then_some(all)
        });
        if let Some(labels) = placed {
            return EndLabels { labels, needs_legend: false };
        }
        // more references than can stand beside the plot: the first of them
        let fitting = (0..=chart.references.len())
            .rev()
            .find_map(|count| place(references().take(count).collect(), axes.room));
        EndLabels {
            labels: fitting.unwrap_or_default(),
            needs_legend: chart.series.iter().any(|series| !series.name.is_empty()),
        }
    }

    /// How much room they take at the right of the plot.
    pub fn width(&self) -> f64 {
        let widths = self.labels.iter().map(|l| text::width(&l.text, SIZE, Face::Regular));
        widths.reduce(f64::max).map_or(0.0, |widest| self.leader() + widest)
    }

    /// From the plot's edge to the text: much if there are leaders to draw.
    fn leader(&self) -> f64 {
        if self.any_moved() { LEADER } else { 8.0 }
    }

    fn any_moved(&self) -> bool {
        self.labels.iter().any(|label| (label.y - label.end_y).abs() > 3.0)
    }

    pub fn draw(&self, svg: &mut Svg, plot: Plot) {
        for label in &self.labels {
            match label.series {
                Some((index, _)) => of_series(svg, index).children(|svg| self.draw_label(svg, plot, label)),
                None => self.draw_label(svg, plot, label),
            }
        }
    }

    fn draw_label(&self, svg: &mut Svg, plot: Plot, label: &EndLabel) {
        let x = plot.right + self.leader();
        let style = label.series.map(|(_, style)| style);
        let colour = style.map_or(MUTED, |style| style.colour);
        let y = plot.top + label.y;
        if self.any_moved() {
            let start = plot.left + label.end_x * (plot.right - plot.left);
            let half = style.map(Style::marker_half);
            let gap = half.map_or(0.0, |half| half + 3.0);
            let marker = x - 13.0;
            svg.element("line")
                .num("x1", start + gap)
                .num("y1", plot.top + label.end_y)
                .num("x2", marker - half.map_or(-5.0, |half| half + 2.0))
                .num("y2", y)
                .attr("stroke", colour.to_string())
                .num("stroke-opacity", 0.65)
                .close();
            if let Some(style) = style {
                marks::marker(svg, style, marker, y);
            }
        }
        svg.text(x, y + SIZE * CAP_HEIGHT / 2.0, TextStyle::new(SIZE, colour), &label.text);
    }
}

/// One label per named series, at the height of its last point; `None` if a series has no points,
/// or ends where other lines may still run, if there are no lines or if the chart is narrow.
fn series_labels(chart: &LineChart, axes: &Axes) -> Option<Vec<EndLabel>> {
    if axes.single_x || axes.room.is_narrow() {
        return None; // the points stand far from the margin, or there is none
    }
    let named = || chart.series.iter().enumerate().filter(|(_, s)| !s.name.is_empty());
    let cut = |series: &Series| text::elide(&series.name, SIZE, Face::Regular, MAX_WIDTH);
    // a legend has room for names that would be the same here
    let labels: BTreeSet<String> = named().map(|(_, series)| cut(series)).collect();
    let names: BTreeSet<&str> = named().map(|(_, series)| &series.name[..]).collect();
    if labels.len() < names.len() {
        return None;
    }
    named()
        .map(|(i, series)| {
            let points = chart.shown_points().filter(|(of, _)| *of == i);
            let (_, (x, y)) = points.last()?;
            let end_x = axes.x_fraction(x);
            (end_x >= LAST_PART).then_some(())?;
            let end_y = axes.y_scale(0.0, axes.room.plot_height).position(y)?;
            Some(EndLabel { text: cut(series), series: Some((i, chart.style(i))), end_x, end_y, y: end_y })
        })
        .collect()
}

fn reference_labels(chart: &LineChart, axes: &Axes) -> impl Iterator<Item = EndLabel> {
    let scale = axes.y_scale(0.0, axes.room.plot_height);
    let room = if axes.room.is_narrow() { MAX_NARROW_WIDTH } else { MAX_WIDTH };
    chart.references.iter().filter_map(move |reference| {
        let end_y = scale.position(reference.value)?;
        Some(EndLabel {
            text: text::elide(&reference.label, SIZE, Face::Regular, room),
            series: None,
            end_x: 1.0,
            end_y,
            y: end_y,
        })
    })
}

/// Moves labels apart; `None` if the plot is not high enough for all.
fn place(mut labels: Vec<EndLabel>, room: Room) -> Option<Vec<EndLabel>> {
    let ends: Vec<f64> = labels.iter().map(|label| label.end_y).collect();
    let heights = spread(&ends, LABEL_GAP, 0.0, room.plot_height)?;
    for (label, y) in labels.iter_mut().zip(heights) {
        label.y = y;
    }
    Some(labels)
}

/// Rows of line samples with names.
pub(super) struct Legend {
    rows: Vec<Vec<Entry>>,
}

struct Entry {
    x: f64,
    style: Style,
    text: String,
}

impl Legend {
    pub fn of(chart: &LineChart, page: f64) -> Legend {
        let mut rows: Vec<Vec<Entry>> = Vec::new();
        let mut x = page;
        for (i, series) in chart.series.iter().enumerate() {
            let is_empty = !chart.shown_points().any(|(of, _)| of == i);
            let suffix = match series.breaks_off() {
                Some(end) => format!(" ({})", end.word),
                None if is_empty => " (no data)".to_owned(),
                None => String::new(),
            };
            let measured = |text: &str| text::width(text, SIZE, Face::Regular);
            let room = page - 2.0 * MARGIN - SAMPLE - 8.0 - measured(&suffix);
            let text = text::elide(&series.name, SIZE, Face::Regular, room) + &suffix;
            let width = SAMPLE + 8.0 + measured(&text);
            if x + width > page - MARGIN {
                rows.push(Vec::new());
                x = MARGIN;
            }
            if let Some(row) = rows.last_mut() {
                row.push(Entry { x, style: chart.style(i), text });
            }
            x += width + LEGEND_SPACE;
        }
        Legend { rows }
    }

    pub fn height(&self) -> f64 {
        self.rows.len() as f64 * LEGEND_ROW + 6.0
    }

    pub fn draw(&self, svg: &mut Svg, top: f64) {
        for (i, row) in self.rows.iter().enumerate() {
            let y = top + (i as f64 + 0.5) * LEGEND_ROW + 2.0;
            for entry in row {
                marks::sample(svg, entry.style, entry.x, y);
                let style = TextStyle::new(SIZE, entry.style.colour);
                let x = entry.x + SAMPLE + 8.0;
                svg.text(x, y + SIZE * CAP_HEIGHT / 2.0, style, &entry.text);
            }
        }
    }
}
