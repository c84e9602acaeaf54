//! What a line chart shows, and which of its values have a place.

use crate::draw::scale::ScaleKind;
use crate::draw::svg::{Element, Svg};

/// One line of a chart.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// What the legend or the label at its end says.
    pub name: String,
    /// (x, y) in drawing order. A point that has no place (not finite, or negative on a logarithmic axis) leaves a gap,
    /// and a note says so; 0 on a logarithmic axis is marked at its foot.
    pub points: Vec<(f64, f64)>,
    /// (low, high) at each point, such as minimum and maximum over seeds. Where `low` has no
    /// place on a logarithmic axis, the band reaches to the axis.
    pub band: Option<Vec<(f64, f64)>>,
    /// Where the line breaks off, if it does, and where runs ended that it does not show.
    pub ends: Vec<End>,
    /// The number of the series that this one is to agree with: both share a colour and a kind of marker, and look such
    /// that both are seen where one lies on the other.
    pub twin_of: Option<usize>,
}

/// The end of a run whose values left the axis: a × at the top of the plot, which a note explains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct End {
    /// Where on the x axis.
    pub x: f64,
    /// What happened, as it follows the series' name: `diverged`.
    pub word: String,
    /// To which of the series' runs, if it has several: `seeds 1, 4`.
    pub whose: Option<String>,
    /// The line leads to the mark; otherwise the run is not part of the line.
    pub of_line: bool,
}

/// A horizontal line that the series are compared with, such as 98% accuracy.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    /// Where it lies on the y axis.
    pub value: f64,
    /// What is written at its end.
    pub label: String,
}

/// How y values are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum YFormat {
    /// As they are.
    #[default]
    Number,
    /// As percentages: 0.98 is 98%.
    Percent,
}

/// One or more series over a common x axis. Up to eight look different even without colour.
#[derive(Clone, Debug, Default)]
pub struct LineChart {
    /// What the chart shows, in bold.
    pub title: String,
    /// The setting, such as `784-512-256-10, batch 128, seed 0`.
    pub subtitle: Option<String>,
    /// Name of the x axis, such as `epoch`.
    pub x_label: String,
    /// Name of the y axis with its unit, such as `objective: mean training loss (nats)`.
    pub y_label: String,
    /// Linear or logarithmic.
    pub y_scale: ScaleKind,
    /// Whether a linear y axis begins at 0, so that heights compare as the values do.
    pub y_from_zero: bool,
    /// Numbers or percentages.
    pub y_format: YFormat,
    /// The lines, in the order of the legend.
    pub series: Vec<Series>,
    /// Horizontal lines for comparison.
    pub references: Vec<Reference>,
    /// What a reader must know, in sentences below the plot.
    pub notes: Vec<String>,
}

/// Width of the drawing if nobody asks for another.
pub(super) const WIDTH: f64 = 760.0;
/// Less than this leaves no room for labels beside the plot.
pub(super) const NARROW: f64 = 600.0;
const PLOT_HEIGHT: f64 = 340.0;
/// The room that a chart has.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub width: f64,
    pub plot_height: f64,
}

impl Room {
    pub(super) fn of_width(width: f64) -> Room {
        Room { width, plot_height: PLOT_HEIGHT.min(0.7 * width) }
    }

    pub(super) fn is_narrow(self) -> bool {
        self.width < NARROW
    }
}

impl LineChart {
    /// Points that have a place, on the y axis or at its foot, with the number of their series.
    pub(super) fn shown_points(&self) -> impl Iterator<Item = (usize, (f64, f64))> {
        let points = self.series.iter().enumerate();
        let points = points.flat_map(|(i, series)| series.points.iter().map(move |&p| (i, p)));
        points.filter(|(_, point)| self.shows(*point))
    }

    pub(super) fn shows(&self, (x, y): (f64, f64)) -> bool {
        ScaleKind::Linear.shows(x) && (self.y_scale.shows(y) || self.y_scale.is_below(y))
    }

    /// What the plot says where there are no lines to see.
    pub(super) fn why_empty(&self) -> Option<&'static str> {
        let all = |is_so: &dyn Fn(f64) -> bool| self.shown_points().all(|(_, (_, y))| is_so(y));
        let is_marked = self.series.iter().any(|series| !series.ends.is_empty());
        match self.shown_points().next() {
            None if is_marked => None,
            None => Some("no data"),
            Some(_) if !all(&|y| self.y_scale.is_below(y)) => None,
            Some(_) if all(&|y| y == 0.0) => Some("every value is 0"),
            Some(_) => Some("no value is above 10⁻³⁰⁰"),
        }
    }

    /// All that the y axis must cover.
    pub(super) fn y_values(&self) -> Vec<f64> {
        let bands = self.series.iter().flat_map(|series| {
            let bands = series.band.iter().flatten();
            let shown = series.points.iter().zip(bands);
            shown.filter(|(point, _)| self.shows(**point))
        });
        let mut values: Vec<f64> = self.shown_points().map(|(_, (_, y))| y).collect();
        values.extend(bands.flat_map(|(_, &(low, high))| [low, high]));
        values.extend(self.references.iter().map(|reference| reference.value));
        values.extend((self.y_from_zero && self.y_scale == ScaleKind::Linear).then_some(0.0));
        values
    }
}

impl Series {
    /// The end of the line, if it breaks off.
    pub(super) fn breaks_off(&self) -> Option<&End> {
        self.ends.iter().find(|end| end.of_line)
    }
}

/// A group that can be shown and hidden with its series.
pub(super) fn of_series(svg: &mut Svg, index: usize) -> Element<'_> {
    svg.element("g").attr("data-series", index.to_string())
}

/// All digits of a value, short.
pub(super) fn exact(value: f64) -> String {
    if value == 0.0 || (1e-4..1e6).contains(&value.abs()) { format!("{value}") } else { format!("{value:e}") }
}
