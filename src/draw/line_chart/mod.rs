//! Line charts: a few series against the epoch, fit for a paper and for a small window.
//!
//! From the outside in: title, subtitle and perhaps a legend on top; axis labels left and below;
//! at the right a margin for labels at the lines' ends; what is left over in width is the plot.
//! A label at the end of its line is read sooner than a legend, so it is preferred wherever all
//! labels can stand near their lines without touching (`labels.rs`). `frame.rs` draws everything
//! around the lines.

mod frame;
mod labels;
#[cfg(test)]
mod tests;

use super::colour::MUTED;
use super::heading::MARGIN;
use super::marks::{self, MARKER, Place, SAMPLE, Style};
use super::scale::{Scale, ScaleKind};
use super::svg::{Anchor, Element, Svg, TextStyle, number};
use frame::{Axes, Frame, Header, Plot};
use labels::{EndLabels, Legend};

/// One line of a chart.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// What the legend or the label at its end says.
    pub name: String,
    /// (x, y) in drawing order. A point that has no place (not finite, or not positive on a
    /// logarithmic axis) leaves a gap.
    pub points: Vec<(f64, f64)>,
    /// (low, high) at each point, such as minimum and maximum over seeds. Where `low` has no
    /// place on a logarithmic axis, the band reaches to the axis.
    pub band: Option<Vec<(f64, f64)>>,
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
}

/// Width of the drawing if nobody asks for another.
const WIDTH: f64 = 760.0;
/// Less than this leaves no room for labels beside the plot.
const NARROW: f64 = 600.0;
const PLOT_HEIGHT: f64 = 340.0;
/// More points than this, and markers stand only at some of them.
const MANY_POINTS: usize = 40;
/// About so many markers are left then.
const SPARSE_MARKERS: usize = 10;
/// Distance between series that share a single x, which would hide each other.
const DODGE: f64 = 44.0;

/// The room that a chart has.
#[derive(Clone, Copy)]
struct Room {
    width: f64,
    plot_height: f64,
}

impl Room {
    fn of_width(width: f64) -> Room {
        Room { width, plot_height: PLOT_HEIGHT.min(0.7 * width) }
    }

    fn is_narrow(self) -> bool {
        self.width < NARROW
    }
}

impl LineChart {
    /// The chart as an SVG document, 760 units wide and about 480 high.
    pub fn svg(&self) -> String {
        self.drawn(Room::of_width(WIDTH), true)
    }

    /// The chart for a page that has room for so many units and says itself which line is which: it shows
    /// [`keys`](LineChart::keys). Every group of a series has its number as `data-series`, the group of its line
    /// its points as `data-points`, each as x, y and the place of both in the drawing; the group of all has the plot's
    /// top and bottom as `data-plot`.
    pub fn svg_of_width(&self, width: f64) -> String {
        self.drawn(Room::of_width(width), false)
    }

    /// For each series the piece of line that stands for it in a legend, as an SVG document.
    pub fn keys(&self) -> Vec<String> {
        let height = 4.0 * MARKER;
        let key =
            |i| Svg::ornament(SAMPLE, height, |svg| marks::sample(svg, self.style(i), 0.0, height / 2.0));
        (0..self.series.len()).map(key).collect()
    }

    fn drawn(&self, room: Room, with_legend: bool) -> String {
        let axes = Axes::of(self, room);
        let mut header = Header::of(self, room.width);
        let end_labels = EndLabels::of(self, &axes);
        let legend = (with_legend && end_labels.needs_legend).then(|| Legend::of(self, room.width));
        header.reserve(legend.as_ref().map_or(0.0, Legend::height));
        let frame = Frame::new(axes, header.bottom(), end_labels.width());

        Svg::document(room.width, frame.height(), &self.title, &self.description(), |svg| {
            header.draw(svg);
            if let Some(legend) = &legend {
                legend.draw(svg, header.legend_top());
            }
            frame.draw(svg, self);
            // what a script draws over the lines it adds to their group
            let Plot { top, bottom, .. } = frame.plot;
            let group = svg.element("g").attr("data-plot", format!("{},{}", number(top), number(bottom)));
            group.children(|svg| self.draw_series(svg, &frame));
            end_labels.draw(svg, frame.plot);
            if self.shown_points().next().is_none() {
                let Plot { left, right, top, bottom } = frame.plot;
                let style = TextStyle::new(15.0, MUTED).anchored(Anchor::Middle);
                svg.text((left + right) / 2.0, (top + bottom) / 2.0, style, "no data");
            }
        })
    }

    /// Bands lie below all lines, lines below all markers.
    fn draw_series(&self, svg: &mut Svg, frame: &Frame) {
        let drawn: Vec<SeriesPlaces> =
            (0..self.series.len()).map(|i| SeriesPlaces::of(self, i, frame)).collect();
        for (i, places) in drawn.iter().enumerate().filter(|(_, places)| !places.low.is_empty()) {
            of_series(svg, i).children(|svg| marks::band(svg, self.style(i), &places.low, &places.high));
        }
        for (i, (series, places)) in self.series.iter().zip(&drawn).enumerate() {
            let every = if series.points.len() <= MANY_POINTS {
                1
            } else {
                series.points.len().div_ceil(SPARSE_MARKERS)
            };
            // staggered, so that markers of neighbouring lines do not coincide
            let first = i * every / self.series.len() % every;
            of_series(svg, i).attr("data-points", places.data(series)).children(|svg| {
                svg.element("title").text(&series.name);
                marks::line(svg, self.style(i), &places.line);
                marks::markers(svg, self.style(i), &places.line, first, every);
            });
        }
    }

    fn style(&self, index: usize) -> Style {
        let longest = self.series.iter().map(|series| series.points.len()).max();
        marks::style(index, longest.unwrap_or(0))
    }

    /// Points that have a place on both axes, with the number of their series.
    fn shown_points(&self) -> impl Iterator<Item = (usize, (f64, f64))> {
        let points = self.series.iter().enumerate();
        let points = points.flat_map(|(i, series)| series.points.iter().map(move |&p| (i, p)));
        points.filter(|(_, (x, y))| ScaleKind::Linear.shows(*x) && self.y_scale.shows(*y))
    }

    /// All that the y axis must cover.
    fn y_values(&self) -> Vec<f64> {
        let bands = self.series.iter().flat_map(|series| {
            let bands = series.band.iter().flatten();
            let shown = series.points.iter().zip(bands);
            shown.filter(|((x, y), _)| ScaleKind::Linear.shows(*x) && self.y_scale.shows(*y))
        });
        let mut values: Vec<f64> = self.shown_points().map(|(_, (_, y))| y).collect();
        values.extend(bands.flat_map(|(_, &(low, high))| [low, high]));
        values.extend(self.references.iter().map(|reference| reference.value));
        values.extend(self.y_from_zero.then_some(0.0)); // a logarithmic axis does not show it
        values
    }

    /// What a screen reader says in place of the lines.
    fn description(&self) -> String {
        let mut text = format!("Line chart of {} against {}.", self.y_label, self.x_label);
        for (i, series) in self.series.iter().enumerate() {
            let mut points = self.shown_points().filter(|(of, _)| *of == i).map(|(_, p)| p);
            let summary = match (points.next(), points.last()) {
                (None, _) => "no data".to_owned(),
                (Some((x, y)), None) => format!("{} at {}", exact(y), exact(x)),
                (Some((_, first)), Some((_, last))) => {
                    format!("from {} to {} in {} points", exact(first), exact(last), series.points.len())
                }
            };
            text.push_str(&format!(" {}: {summary}.", series.name));
        }
        text
    }
}

/// A group that can be shown and hidden with its series.
fn of_series(svg: &mut Svg, index: usize) -> Element<'_> {
    svg.element("g").attr("data-series", index.to_string())
}

/// All digits of a value, short.
fn exact(value: f64) -> String {
    if value == 0.0 || (1e-4..1e6).contains(&value.abs()) { format!("{value}") } else { format!("{value:e}") }
}

/// Where the points of one series lie in the drawing.
struct SeriesPlaces {
    line: Vec<Place>,
    low: Vec<Place>,
    high: Vec<Place>,
}

impl SeriesPlaces {
    fn of(chart: &LineChart, index: usize, frame: &Frame) -> SeriesPlaces {
        let series = &chart.series[index];
        let dodge = if frame.axes.single_x {
            (index as f64 - (chart.series.len() - 1) as f64 / 2.0)
                * DODGE.min(400.0 / chart.series.len() as f64)
        } else {
            0.0
        };
        let (x_scale, y_scale) = (frame.x_scale(), frame.y_scale());
        let x_of = |x: f64| Some(x_scale.position(x)? + dodge);
        let line: Vec<Place> =
            series.points.iter().map(|&(x, y)| Some((x_of(x)?, y_scale.position(y)?))).collect();

        let edge = |value: fn(&(f64, f64)) -> f64| -> Vec<Place> {
            let bands = series.band.iter().flatten();
            let of =
                |(place, band): (&Place, &(f64, f64))| Some(((*place)?.0, band_edge(&y_scale, value(band))?));
            line.iter().zip(bands).map(of).collect()
        };
        let (low, high) = (edge(|band| band.0.min(band.1)), edge(|band| band.0.max(band.1)));
        SeriesPlaces { line, low, high }
    }

    /// The points that have a place, with it: `x,y,left,top` each.
    fn data(&self, series: &Series) -> String {
        let places =
            series.points.iter().zip(&self.line).filter_map(|(point, place)| Some((point, (*place)?)));
        let points = places.map(|(&(x, y), (left, top))| {
            format!("{},{},{},{}", exact(x), exact(y), number(left), number(top))
        });
        points.collect::<Vec<_>>().join(" ")
    }
}

/// A band may reach to zero, which a logarithmic axis does not: it is held to the axis.
fn band_edge(scale: &Scale, value: f64) -> Option<f64> {
    if value.is_nan() {
        return None;
    }
    Some(scale.position(value).unwrap_or_else(|| scale.lowest()))
}
