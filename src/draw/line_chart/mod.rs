//! Line charts: a few series against the epoch, fit for a paper and for a small window.
//!
//! From the outside in: title, subtitle and perhaps a legend on top; axis labels left and below;
//! at the right a margin for labels at the lines' ends; what is left over in width is the plot.
//! A label at the end of its line is read sooner than a legend, so it is preferred wherever all
//! labels can stand near their lines without touching (`labels.rs`). `frame.rs` draws everything
//! around the lines. Below the plot stand notes: the caller's, and what became of values that the axes have no place
//! for (`notes.rs`).

mod frame;
mod labels;
mod notes;
#[cfg(test)]
mod tests;
mod y_axis;

use std::collections::BTreeSet;

use super::colour::{BACKGROUND, MUTED};
use super::heading::MARGIN;
use super::marks::{self, CROSS_GAP, MARKER, Place, SAMPLE, Style};
use super::png::Drawing;
use super::scale::ScaleKind;
use super::svg::{Anchor, Element, Svg, TextStyle, number};
use super::text::{self, CAP_HEIGHT};
use frame::{Axes, Frame, Header, Plot};
use labels::{EndLabels, Legend};
use notes::Notes;

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
/// Room for all ×s at one place: they stay inside where that is the last of the axis.
const CROSSES: f64 = 44.0;

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
    /// top and bottom as `data-plot`. The mark at the end of a line that breaks off is a point with `end` as y, and
    /// `data-end` says what happened.
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
        let notes = Notes::of(self, room.width);
        let frame = Frame::new(axes, header.bottom(), end_labels.width());

        let height = frame.height() + notes.height();
        Svg::document(room.width, height, &self.title, &self.description(), |svg| {
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
            if let Some(why) = self.why_empty() {
                let Plot { left, right, top, bottom } = frame.plot;
                let style = TextStyle::new(15.0, MUTED).anchored(Anchor::Middle);
                let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
                // on a ground of its own: the lines of the grid run there
                let (width, height) = (text::width(why, style.size, style.face) + 16.0, 2.0 * style.size);
                svg.element("rect")
                    .num("x", x - width / 2.0)
                    .num("y", y - height / 2.0)
                    .num("width", width)
                    .num("height", height)
                    .attr("fill", BACKGROUND.to_string())
                    .close();
                svg.text(x, y + style.size * CAP_HEIGHT / 2.0, style, why);
            }
            notes.draw(svg, frame.height());
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
            let mut group = of_series(svg, i).attr("data-points", places.data(series));
            if let Some(End { word, .. }) = series.breaks_off() {
                group = group.attr("data-end", word);
            }
            group.children(|svg| {
                svg.element("title").text(&series.name);
                let style = self.style(i);
                marks::line(svg, style, &places.levels());
                places.leads().for_each(|(from, to)| marks::lead(svg, style, from, to));
                marks::markers(svg, style, &places.line, &|at| places.is_at_foot(at), first, every);
                for &(x, y) in &places.ends {
                    marks::cross(svg, style, x, y);
                }
            });
        }
    }

    fn style(&self, index: usize) -> Style {
        let longest = self.series.iter().map(|series| series.points.len()).max();
        // colours go to those that are no other's twin, in their order
        let twin_of = |at: usize| self.series.get(at).and_then(|series| series.twin_of);
        let first = twin_of(index).unwrap_or(index);
        let look = marks::style((0..first).filter(|&at| twin_of(at).is_none()).count(), longest.unwrap_or(0));
        let has_twin = self.series.iter().any(|series| series.twin_of == Some(index));
        match (twin_of(index), has_twin) {
            (Some(_), _) => look.over_its_twin(),
            (None, true) => look.under_its_twin(),
            (None, false) => look,
        }
    }

    /// How far the × of a series at `x` is moved, so that those of others at the same place are seen; twins share one.
    fn beside_other_ends(&self, index: usize, x: f64) -> f64 {
        let first_of = |at: usize| self.series[at].twin_of.unwrap_or(at);
        let ends_here = |at: &usize| self.series[*at].ends.iter().any(|end| end.x == x);
        let here: BTreeSet<usize> = (0..self.series.len()).filter(ends_here).map(first_of).collect();
        let before = here.range(..first_of(index)).count();
        (before as f64 - here.len().saturating_sub(1) as f64 / 2.0)
            * CROSS_GAP.min(CROSSES / here.len().max(1) as f64)
    }

    /// Points that have a place, on the y axis or at its foot, with the number of their series.
    fn shown_points(&self) -> impl Iterator<Item = (usize, (f64, f64))> {
        let points = self.series.iter().enumerate();
        let points = points.flat_map(|(i, series)| series.points.iter().map(move |&p| (i, p)));
        points.filter(|(_, point)| self.shows(*point))
    }

    fn shows(&self, (x, y): (f64, f64)) -> bool {
        ScaleKind::Linear.shows(x) && (self.y_scale.shows(y) || self.y_scale.is_below(y))
    }

    /// What the plot says where there are no lines to see.
    fn why_empty(&self) -> Option<&'static str> {
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
    fn y_values(&self) -> Vec<f64> {
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
        for note in notes::all(self) {
            text.push_str(&format!(" {note}"));
        }
        text
    }
}

impl Drawing for LineChart {
    fn document(&self) -> String {
        self.svg()
    }

    fn change_texts(&mut self, change: &dyn Fn(&mut String)) {
        let Self { title, subtitle, x_label, y_label, series, references, notes, .. } = self;
        [title, x_label, y_label].into_iter().chain(subtitle).chain(notes).for_each(change);
        for Series { name, ends, .. } in series {
            change(name);
            for End { word, whose, .. } in ends {
                std::iter::once(word).chain(whose).for_each(change);
            }
        }
        references.iter_mut().for_each(|reference| change(&mut reference.label));
    }
}

impl Series {
    /// The end of the line, if it breaks off.
    fn breaks_off(&self) -> Option<&End> {
        self.ends.iter().find(|end| end.of_line)
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
    /// The line of zeros below a logarithmic axis.
    foot: Option<f64>,
    /// Where the line breaks off.
    end: Place,
    /// The marks of all ends.
    ends: Vec<(f64, f64)>,
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
                |(place, band): (&Place, &(f64, f64))| Some(((*place)?.0, y_scale.band_edge(value(band))?));
            line.iter().zip(bands).map(of).collect()
        };
        let (low, high) = (edge(|band| band.0.min(band.1)), edge(|band| band.0.max(band.1)));
        let beside = |x: f64| if frame.axes.single_x { 0.0 } else { chart.beside_other_ends(index, x) };
        let place_of = |end: &End| Some((x_of(end.x)? + beside(end.x), frame.plot.top));
        let ends = series.ends.iter().filter_map(place_of).collect();
        let end = series.breaks_off().and_then(place_of);
        SeriesPlaces { line, low, high, foot: y_scale.foot, end, ends }
    }

    fn is_at_foot(&self, at: usize) -> bool {
        self.line[at].is_some_and(|(_, y)| Some(y) == self.foot)
    }

    /// The line in pieces that lie on the axis or at its foot, with gaps between.
    fn levels(&self) -> Vec<Place> {
        let mut levels = Vec::with_capacity(self.line.len());
        for (at, &place) in self.line.iter().enumerate() {
            if at > 0 && self.is_at_foot(at) != self.is_at_foot(at - 1) {
                levels.push(None);
            }
            levels.push(place);
        }
        levels
    }

    /// What leads from one piece to the next, and to where the line breaks off: of these lengths the axis says nothing.
    fn leads(&self) -> impl Iterator<Item = ((f64, f64), (f64, f64))> {
        let changes = (1..self.line.len()).filter(|&at| self.is_at_foot(at) != self.is_at_foot(at - 1));
        let between = changes.filter_map(|at| self.line[at - 1].zip(self.line[at]));
        between.chain(self.line.iter().rev().find_map(|place| *place).zip(self.end))
    }

    /// The points that have a place, with it: `x,y,left,top` each.
    fn data(&self, series: &Series) -> String {
        let places =
            series.points.iter().zip(&self.line).filter_map(|(point, place)| Some((point, (*place)?)));
        let points = places.map(|(&(x, y), (left, top))| {
            format!("{},{},{},{}", exact(x), exact(y), number(left), number(top))
        });
        let end = series.breaks_off().zip(self.end);
        let end =
            end.map(|(end, (left, top))| format!("{},end,{},{}", exact(end.x), number(left), number(top)));
        points.chain(end).collect::<Vec<_>>().join(" ")
    }
}
