//! Line charts: a few series against the epoch, fit for a paper and for a small window.
//!
//! From the outside in: title, subtitle and perhaps a legend on top; axis labels left and below;
//! at the right a margin for labels at the lines' ends; what is left over in width is the plot.
//! A label at the end of its line is read sooner than a legend, so it is preferred wherever all
//! labels can stand near their lines without touching (`labels.rs`). `frame.rs` draws everything
//! around the lines. Below the plot stand notes: the caller's, and what became of values that the axes have no place
//! for (`notes.rs`).

mod chart;
mod frame;
mod labels;
mod notes;
#[cfg(test)]
mod tests;
mod y_axis;

use std::collections::BTreeSet;

use super::colour::{BACKGROUND, MUTED};
use super::marks::{self, CROSS_GAP, MARKER, Place, SAMPLE, Style};
use super::png::Drawing;
use super::svg::{Anchor, Svg, TextStyle, number};
use super::text::{self, CAP_HEIGHT};
pub use chart::{End, LineChart, Reference, Series, YFormat};
use chart::{Room, WIDTH, exact, of_series};
use frame::{Axes, Frame, Header, Plot};
use labels::{EndLabels, Legend};
use notes::Notes;

/// More points than this, and markers stand only at some of them.
const MANY_POINTS: usize = 40;
/// About so many markers are left then.
const SPARSE_MARKERS: usize = 10;
/// Distance between series that share a single x, which would hide each other.
const DODGE: f64 = 44.0;
/// Room for all ×s at one place: they stay inside where that is the last of the axis.
const CROSSES: f64 = 44.0;

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
