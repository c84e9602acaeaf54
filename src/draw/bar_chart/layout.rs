//! Where the parts of a bar chart go, and how they look.
//!
//! From left to right: labels, the plot, shares, captions. The columns of text are as wide as their widest, labels and groups' names up
//! to a bound; the plot has what is left of the width.

use super::super::colour::{AXIS, BACKGROUND, GRID, INK, MUTED, SERIES};
use super::super::heading::{Heading, MARGIN};
use super::super::scale::{Scale, ScaleKind};
use super::super::svg::{Anchor, Svg, TextStyle, number};
use super::super::text::{self, CAP_HEIGHT};
use super::chart::{Bar, BarChart, percent};

const WIDTH: f64 = 900.0;
const LABEL: TextStyle = TextStyle::new(13.5, INK).anchored(Anchor::End);
const SHARE: TextStyle = TextStyle::new(13.5, INK).anchored(Anchor::End);
const CAPTION: TextStyle = TextStyle::new(12.5, MUTED).anchored(Anchor::End);
const HEAD: TextStyle = TextStyle::new(13.0, MUTED).anchored(Anchor::End);
const GROUP: TextStyle = TextStyle::new(14.5, INK).bold();
const TICK: TextStyle = TextStyle::new(13.0, MUTED).anchored(Anchor::Middle);
const AXIS_LABEL: TextStyle = TextStyle::new(14.0, INK).anchored(Anchor::Middle);
const LEGEND: TextStyle = TextStyle::new(14.0, INK);
const NOTE: TextStyle = TextStyle::new(13.5, MUTED);

/// From one row to the next, and the bar in it.
const ROW: f64 = 22.0;
const BAR: f64 = 13.0;
/// A group's name, with the space above it.
const GROUP_ROW: f64 = 34.0;
const LEGEND_ROW: f64 = 28.0;
/// Above the plot, for the ticks' labels.
const ABOVE: f64 = 24.0;
/// Below the plot: ticks' labels, the axis's name.
const BELOW: f64 = 50.0;
const NOTE_LINE: f64 = 19.0;
/// Between columns.
const GAP: f64 = 10.0;
/// Labels take at most so much.
const WIDEST_LABEL: f64 = 330.0;
/// No axis is longer: one share of ten would leave nothing of all others.
const LARGEST: f64 = 2.0;
/// Half the height of a mark.
const MARK: f64 = 6.0;
/// Shares at which a mark would lie on the axis: it is left out.
const AT_THE_AXIS: f64 = 0.005;
/// Bars, marks.
const COLOURS: [super::super::colour::Colour; 2] = [SERIES[0], SERIES[1]];

/// A chart with a place for everything in it.
pub(super) struct BarLayout<'a> {
    chart: &'a BarChart,
    heading: Heading,
    notes: Vec<String>,
    scale: Scale,
    /// The top of the first group.
    top: f64,
    /// The end of the last.
    bottom: f64,
    /// Where the column of shares ends, and where those of captions do.
    columns: [f64; 3],
}

impl<'a> BarLayout<'a> {
    pub fn of(chart: &'a BarChart) -> Self {
        let heading = Heading::new(&chart.title, chart.subtitle.as_deref(), WIDTH);
        let note = |note: &String| text::wrap(note, NOTE.size, NOTE.face, WIDTH - 2.0 * MARGIN, 4);
        let notes = chart.notes.iter().flat_map(note).collect();
        let legend = if chart.has_marks() { LEGEND_ROW } else { 0.0 };
        let top = MARGIN + heading.height() + legend + ABOVE;
        let group = |bars: usize| GROUP_ROW + bars as f64 * ROW;
        let bottom = top + chart.groups.iter().map(|g| group(g.bars.len())).sum::<f64>() + 8.0;

        let widest = |style: TextStyle, texts: &mut dyn Iterator<Item = String>| {
            texts.map(|text| text::width(&text, style.size, style.face)).fold(0.0, f64::max)
        };
        let labels = widest(LABEL, &mut chart.bars().map(|bar| bar.label.clone()));
        let names = widest(GROUP, &mut chart.groups.iter().map(|group| group.name.clone()));
        let labels = labels.max(names).min(WIDEST_LABEL);
        let head = |at: usize| widest(HEAD, &mut chart.heads.iter().skip(at).take(1).cloned());
        let caption = |at: usize| {
            head(at + 1).max(widest(CAPTION, &mut chart.bars().map(|bar| bar.captions[at].clone())))
        };
        // from the right to the left, each as wide as it must be
        let before = |end: f64, width: f64| if width > 0.0 { end - width - 1.5 * GAP } else { end };
        let second = WIDTH - MARGIN;
        let first = before(second, caption(1));
        let shares = before(first, caption(0));
        let widest_share = head(0).max(widest(SHARE, &mut chart.bars().map(|bar| percent(bar.share()))));
        // the label of the last tick, in the middle of which the plot ends, stands beside the head
        let right = shares - widest_share - GAP - text::width("100%", TICK.size, TICK.face) / 2.0;
        let all = chart.bars().flat_map(|bar| bar.share().into_iter().chain(bar.mark()));
        let most = all.fold(1.0, f64::max).min(LARGEST);
        let end = if most > 1.0 { most * 1.02 } else { 1.0 };
        let scale = Scale::new(ScaleKind::Linear, (0.0, end), (MARGIN + labels + GAP, right));
        Self { chart, heading, notes, scale, top, bottom, columns: [shares, first, second] }
    }

    pub fn svg(&self) -> String {
        let height = self.bottom + BELOW + self.notes.len() as f64 * NOTE_LINE + MARGIN / 2.0;
        Svg::document(WIDTH, height, &self.chart.title, &self.chart.description(), |svg| {
            self.heading.draw(svg);
            if self.chart.has_marks() {
                self.draw_legend(svg);
            }
            self.draw_axis(svg);
            self.draw_groups(svg);
            let mut y = self.bottom + BELOW + NOTE.size * CAP_HEIGHT;
            for note in &self.notes {
                svg.text(MARGIN, y, NOTE, note);
                y += NOTE_LINE;
            }
        })
    }

    fn draw_legend(&self, svg: &mut Svg) {
        let y = MARGIN + self.heading.height() + LEGEND_ROW / 2.0;
        let mut x = MARGIN;
        for (index, name) in self.chart.names.iter().enumerate() {
            let sample = if index == 0 { 26.0 } else { 2.0 * MARK };
            match index {
                0 => bar(svg, (x, y), sample, false),
                _ => mark(svg, (x + MARK, y), false),
            }
            let room = WIDTH / 2.0 - sample - 40.0;
            let name = text::elide(name, LEGEND.size, LEGEND.face, room);
            svg.text(x + sample + 8.0, middle(y, LEGEND), LEGEND, &name);
            x += sample + 8.0 + text::width(&name, LEGEND.size, LEGEND.face) + 28.0;
        }
    }

    /// The axis at both ends: a chart may be higher than a screen.
    fn draw_axis(&self, svg: &mut Svg) {
        let (left, right) = (self.scale.lowest(), self.scale.highest());
        for tick in self.scale.ticks(8, true, false) {
            let (Some(x), Some(label)) = (self.scale.position(tick.value), tick.label) else { continue };
            svg.line((x, self.top), (x, self.bottom), if tick.value == 0.0 { AXIS } else { GRID });
            svg.text(x, self.top - 8.0, TICK, &label);
            svg.text(x, self.bottom + 18.0, TICK, &label);
        }
        for (end, head) in self.columns.into_iter().zip(&self.chart.heads) {
            svg.text(end, self.top - 8.0, HEAD, head);
        }
        if let Some(x) = self.scale.position(1.0) {
            svg.element("line")
                .num("x1", x)
                .num("y1", self.top)
                .num("x2", x)
                .num("y2", self.bottom)
                .attr("stroke", MUTED.to_string())
                .num("stroke-width", 1.25)
                .attr("stroke-dasharray", "5 4")
                .close();
        }
        let label = text::elide(&self.chart.x_label, AXIS_LABEL.size, AXIS_LABEL.face, WIDTH - 2.0 * MARGIN);
        // in the middle of the plot, unless that would push it over an edge
        let half = text::width(&label, AXIS_LABEL.size, AXIS_LABEL.face) / 2.0;
        let x = ((left + right) / 2.0).clamp(MARGIN + half, (WIDTH - MARGIN - half).max(MARGIN + half));
        svg.text(x, self.bottom + 39.0, AXIS_LABEL, &label);
    }

    fn draw_groups(&self, svg: &mut Svg) {
        let mut y = self.top;
        for group in &self.chart.groups {
            let name = text::elide(&group.name, GROUP.size, GROUP.face, self.scale.lowest() - GAP - MARGIN);
            svg.text(MARGIN, y + GROUP_ROW - 9.0, GROUP, &name);
            y += GROUP_ROW;
            for bar in &group.bars {
                self.draw_row(svg, bar, y + ROW / 2.0);
                y += ROW;
            }
        }
    }

    fn draw_row(&self, svg: &mut Svg, row: &Bar, y: f64) {
        let left = self.scale.lowest();
        let label = text::elide(&row.label, LABEL.size, LABEL.face, left - GAP - MARGIN);
        svg.text(left - GAP, middle(y, LABEL), LABEL, &label);
        let place = |share: f64| Some((self.scale.position(share)?, share > LARGEST));
        if let Some((x, is_beyond)) = row.share().and_then(place) {
            bar(svg, (left, y), x - left, is_beyond);
        }
        if let Some((x, is_beyond)) = row.mark().filter(|&mark| mark >= AT_THE_AXIS).and_then(place) {
            mark(svg, (x, y), is_beyond);
        }
        let [shares, captions @ ..] = self.columns;
        svg.text(shares, middle(y, SHARE), SHARE, &percent(row.share()));
        for (end, caption) in captions.into_iter().zip(&row.captions) {
            svg.text(end, middle(y, CAPTION), CAPTION, caption);
        }
    }
}

/// The baseline of a text in the middle of a row.
fn middle(y: f64, style: TextStyle) -> f64 {
    y + style.size * CAP_HEIGHT / 2.0
}

/// A bar from `start`, the middle of its left edge; with a tip if it goes on.
fn bar(svg: &mut Svg, start: (f64, f64), length: f64, goes_on: bool) {
    let (x, y) = start;
    let (end, half) = (x + length, BAR / 2.0);
    let shoulder = if goes_on { end - half } else { end };
    let corners = [(x, y - half), (shoulder, y - half), (end, y), (shoulder, y + half), (x, y + half)];
    svg.element("path").attr("d", outline(&corners)).attr("fill", COLOURS[0].to_string()).close();
}

/// A mark: a diamond, or a triangle that points to where its place would be.
fn mark(svg: &mut Svg, (x, y): (f64, f64), is_beyond: bool) {
    let corners = match is_beyond {
        false => vec![(x, y - MARK), (x + MARK, y), (x, y + MARK), (x - MARK, y)],
        true => vec![(x - MARK, y - MARK), (x + 0.6 * MARK, y), (x - MARK, y + MARK)],
    };
    svg.element("path")
        .attr("d", outline(&corners))
        .attr("fill", COLOURS[1].to_string())
        .attr("stroke", BACKGROUND.to_string())
        .num("stroke-width", 1.5)
        .close();
}

fn outline(corners: &[(f64, f64)]) -> String {
    let corners = corners.iter().map(|&(x, y)| format!("{} {}", number(x), number(y)));
    format!("M{}Z", corners.collect::<Vec<_>>().join("L"))
}
