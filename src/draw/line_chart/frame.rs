//! What stands around the lines: title, axes, ticks, grid, reference lines.

use super::super::colour::{AXIS, FAINT, GRID, INK, MUTED};
use super::super::heading::{Heading, MARGIN};
use super::super::scale::{Scale, ScaleKind, Tick};
use super::super::svg::{Anchor, Svg, TextStyle};
use super::super::text::{self, CAP_HEIGHT, Face};
use super::chart::{LineChart, Room};
use super::y_axis::{YAxis, YScale};

const AXIS_LABEL: TextStyle = TextStyle::new(15.0, INK).anchored(Anchor::Middle);
const TICK_LABEL: TextStyle = TextStyle::new(14.0, MUTED);
/// Below the plot: tick marks, tick labels, axis label, margin.
const BELOW: f64 = 70.0;

/// The rectangle between the axes.
#[derive(Clone, Copy)]
pub(super) struct Plot {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// What the axes cover, before anything has a place.
pub(super) struct Axes {
    pub room: Room,
    x: (f64, f64),
    y: YAxis,
    /// All points share one x: there are no lines to draw.
    pub single_x: bool,
    integers: bool,
}

impl Axes {
    pub fn of(chart: &LineChart, room: Room) -> Axes {
        // all that there are: the axis runs as far as the series do, whatever became of their values
        let points = || chart.series.iter().flat_map(|series| series.points.iter().map(|(x, _)| *x));
        let ends = || chart.series.iter().flat_map(|series| series.ends.iter().map(|end| end.x));
        let xs = || points().chain(ends()).filter(|&x| ScaleKind::Linear.shows(x));
        let low = xs().fold(f64::INFINITY, f64::min);
        let high = xs().fold(f64::NEG_INFINITY, f64::max);
        let integers = xs().all(|x| x.fract() == 0.0);
        let x = if low > high {
            (0.0, 1.0)
        } else if low == high {
            let half = if integers { 0.5 } else { low.abs() * 0.1 };
            (low - half.max(low.abs() * 1e-9), high + half.max(low.abs() * 1e-9))
        } else {
            let pad = (high - low) * 0.025;
            (low - pad, high + pad)
        };
        Axes { room, x, y: YAxis::of(chart), single_x: low == high, integers }
    }

    /// The y axis of a plot whose top and bottom are given.
    pub fn y_scale(&self, top: f64, bottom: f64) -> YScale {
        self.y.placed(top, bottom)
    }

    /// How much of the x axis lies to the left of `x`, 0 to 1.
    pub fn x_fraction(&self, x: f64) -> f64 {
        (x - self.x.0) / (self.x.1 - self.x.0)
    }
}

/// Axes that have their place.
pub(super) struct Frame {
    pub axes: Axes,
    pub plot: Plot,
}

impl Frame {
    /// The plot begins at `top` and leaves `right` pixels for labels at its right.
    pub fn new(axes: Axes, top: f64, right: f64) -> Frame {
        let labels = axes.y.ticks.iter().filter_map(|tick| tick.label.as_deref());
        let widest = labels.chain(axes.y.foot).map(tick_width).fold(0.0, f64::max);
        let left = MARGIN + AXIS_LABEL.size + 12.0 + widest + 10.0;
        let plot =
            Plot { left, right: axes.room.width - MARGIN - right, top, bottom: top + axes.room.plot_height };
        Frame { axes, plot }
    }

    /// Height of the drawing but for its notes.
    pub fn height(&self) -> f64 {
        self.plot.bottom + BELOW
    }

    pub fn x_scale(&self) -> Scale {
        Scale::new(ScaleKind::Linear, self.axes.x, (self.plot.left, self.plot.right))
    }

    pub fn y_scale(&self) -> YScale {
        self.axes.y_scale(self.plot.top, self.plot.bottom)
    }

    pub fn draw(&self, svg: &mut Svg, chart: &LineChart) {
        let x_ticks = self.x_ticks();
        self.draw_grid(svg, &x_ticks);
        self.draw_ticks(svg, &x_ticks);
        self.draw_axis_labels(svg, chart);
        for reference in &chart.references {
            self.draw_reference(svg, reference.value);
        }
    }

    fn draw_grid(&self, svg: &mut Svg, x_ticks: &[Tick]) {
        let Plot { left, right, top, bottom } = self.plot;
        for x in x_ticks.iter().filter_map(|tick| self.x_scale().position(tick.value)) {
            svg.line((x, top), (x, bottom), FAINT);
        }
        // minor lines first, so that no faint line crosses a labelled one
        for (labelled, colour) in [(false, FAINT), (true, GRID)] {
            let ticks = self.axes.y.ticks.iter().filter(|t| t.label.is_some() == labelled);
            for y in ticks.filter_map(|tick| self.y_scale().position(tick.value)) {
                svg.line((left, y), (right, y), colour);
            }
        }
    }

    /// The axes' lines, over the grid, and their numbers.
    fn draw_ticks(&self, svg: &mut Svg, x_ticks: &[Tick]) {
        let Plot { left, right, bottom, .. } = self.plot;
        self.draw_y_line(svg);
        svg.line((left, bottom), (right, bottom), AXIS);
        let style = TICK_LABEL.anchored(Anchor::End);
        let ticks = self.axes.y.ticks.iter();
        let ticks = ticks.filter_map(|tick| tick.label.as_deref().zip(self.y_scale().position(tick.value)));
        for (label, y) in ticks.chain(self.axes.y.foot.map(|label| (label, bottom))) {
            svg.line((left - 5.0, y), (left, y), AXIS);
            svg.text(left - 9.0, y + style.size * CAP_HEIGHT / 2.0, style, label);
        }
        let style = TICK_LABEL.anchored(Anchor::Middle);
        for tick in x_ticks {
            if let (Some(label), Some(x)) = (&tick.label, self.x_scale().position(tick.value)) {
                svg.line((x, bottom), (x, bottom + 5.0), AXIS);
                svg.text(x, bottom + 21.0, style, label);
            }
        }
    }

    /// The y axis, broken between its decades and the zeros below them.
    fn draw_y_line(&self, svg: &mut Svg) {
        let Plot { left, top, bottom, .. } = self.plot;
        let Some(end) = self.y_scale().broken_at().filter(|_| !self.axes.y.ticks.is_empty()) else {
            return svg.line((left, top), (left, bottom), AXIS);
        };
        let middle = (end + bottom) / 2.0;
        for (from, to, end) in [(top, middle - 3.0, middle - 3.0), (middle + 3.0, bottom, middle + 3.0)] {
            svg.line((left, from), (left, to), AXIS);
            svg.line((left - 5.0, end + 2.5), (left + 5.0, end - 2.5), AXIS);
        }
    }

    /// As many ticks as their labels leave room for, without those whose label would be cut off.
    fn x_ticks(&self) -> Vec<Tick> {
        let scale = self.x_scale();
        let width_of = |tick: &Tick| tick.label.as_deref().map_or(0.0, tick_width);
        let fits = |ticks: &Vec<Tick>| {
            let widest = ticks.iter().map(width_of).fold(0.0, f64::max);
            (widest + 18.0) * ticks.len() as f64 <= self.plot.right - self.plot.left
        };
        let mut ticks = (1..=12)
            .rev()
            .map(|at_most| scale.ticks(at_most, false, self.axes.integers))
            .find(fits)
            .unwrap_or_default();
        ticks.retain(|tick| {
            let half = width_of(tick) / 2.0;
            let inside = |x: f64| x >= half && x <= self.axes.room.width - half;
            scale.position(tick.value).is_some_and(inside)
        });
        ticks
    }

    fn draw_axis_labels(&self, svg: &mut Svg, chart: &LineChart) {
        let Plot { left, right, top, bottom } = self.plot;
        let style = AXIS_LABEL;
        let fitted = |label: &str, room| text::elide(label, style.size, style.face, room);
        let x_label = fitted(&chart.x_label, right - left);
        svg.text((left + right) / 2.0, bottom + 47.0, style, &x_label);
        let y_label = fitted(&chart.y_label, bottom - top + 40.0);
        let baseline = MARGIN + style.size * CAP_HEIGHT;
        svg.text_upwards(baseline, (top + bottom) / 2.0, style, &y_label);
    }

    fn draw_reference(&self, svg: &mut Svg, value: f64) {
        let Some(y) = self.y_scale().position(value) else {
            return;
        };
        svg.element("line")
            .num("x1", self.plot.left)
            .num("y1", y)
            .num("x2", self.plot.right)
            .num("y2", y)
            .attr("stroke", MUTED.to_string())
            .num("stroke-width", 1.25)
            .attr("stroke-dasharray", "5 4")
            .close();
    }
}

fn tick_width(label: &str) -> f64 {
    text::width(label, TICK_LABEL.size, Face::Regular)
}

/// Title and subtitle, and the room that a legend takes below them.
pub(super) struct Header {
    heading: Heading,
    legend_height: f64,
}

impl Header {
    pub fn of(chart: &LineChart, width: f64) -> Header {
        Header { heading: Heading::new(&chart.title, chart.subtitle.as_deref(), width), legend_height: 0.0 }
    }

    pub fn reserve(&mut self, legend_height: f64) {
        self.legend_height = legend_height;
    }

    pub fn legend_top(&self) -> f64 {
        MARGIN + self.heading.height() + 4.0
    }

    /// Where the plot begins.
    pub fn bottom(&self) -> f64 {
        self.legend_top() + self.legend_height + 14.0
    }

    pub fn draw(&self, svg: &mut Svg) {
        self.heading.draw(svg);
    }
}
