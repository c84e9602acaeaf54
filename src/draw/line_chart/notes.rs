//! Sentences below the plot: the caller's, and before them what became of values that the axes have no place for.

use super::super::colour::MUTED;
use super::super::heading::MARGIN;
use super::super::scale::ScaleKind;
use super::super::svg::{Svg, TextStyle};
use super::super::text;
use super::chart::{End, LineChart, Series, exact};

const STYLE: TextStyle = TextStyle::new(13.0, MUTED);
const LINE: f64 = 18.0;
/// Of one note; the rest is cut.
const MAX_LINES: usize = 6;
/// More stretches than this are summed up.
const MAX_STRETCHES: usize = 4;

/// Which points a note is about.
type Chosen<'a> = &'a dyn Fn((f64, f64)) -> bool;

/// The notes, broken into lines.
pub(super) struct Notes {
    lines: Vec<String>,
}

impl Notes {
    pub fn of(chart: &LineChart, width: f64) -> Notes {
        let room = width - 2.0 * MARGIN;
        let lines = all(chart);
        let lines = lines.iter().flat_map(|note| text::wrap(note, STYLE.size, STYLE.face, room, MAX_LINES));
        Notes { lines: lines.collect() }
    }

    pub fn height(&self) -> f64 {
        self.lines.len() as f64 * LINE
    }

    pub fn draw(&self, svg: &mut Svg, top: f64) {
        for (i, line) in self.lines.iter().enumerate() {
            svg.text(MARGIN, top + (i as f64 + 0.25) * LINE, STYLE, line);
        }
    }
}

/// All notes, in order.
pub(super) fn all(chart: &LineChart) -> Vec<String> {
    let zeros = at_foot(chart);
    let ends = ends(chart);
    zeros.into_iter().chain(ends).chain(left_out(chart)).chain(chart.notes.iter().cloned()).collect()
}

/// What is marked at the foot of a logarithmic axis.
fn at_foot(chart: &LineChart) -> Option<String> {
    let is_below = |(x, y): (f64, f64)| ScaleKind::Linear.shows(x) && chart.y_scale.is_below(y);
    let lines = places(chart, &is_below);
    // where the line itself is not there
    let lows: Vec<Vec<(f64, f64)>> = chart.series.iter().map(|series| lows(chart, series)).collect();
    let of_bands = described(chart, lows.iter().map(|lows| &lows[..]), &is_below);
    let of_bands = of_bands.map(|places| format!("the low end of the band of {places}"));
    let marked: Vec<String> = lines.into_iter().chain(of_bands).collect();
    if marked.is_empty() {
        return None;
    }
    let points = chart.shown_points().map(|(_, (_, y))| y);
    let all_zero =
        points.chain(lows.iter().flatten().map(|(_, y)| *y)).all(|y| y == 0.0 || !chart.y_scale.is_below(y));
    let what = if all_zero { "0 has" } else { "0 and what is below 10⁻³⁰⁰ have" };
    Some(format!("{what} no place on a logarithmic axis: marked at its foot, {}.", marked.join("; ")))
}

/// The low end of a band at each point that has a place on the axis.
fn lows(chart: &LineChart, series: &Series) -> Vec<(f64, f64)> {
    let bands = series.band.iter().flatten();
    let of_points = series.points.iter().zip(bands).map(|(&(x, y), band)| {
        let low = if chart.y_scale.shows(y) { band.0.min(band.1) } else { f64::NAN };
        (x, low)
    });
    of_points.collect()
}

/// What the marks at the ends say: which lines break off and which runs ended, and where.
fn ends(chart: &LineChart) -> Option<String> {
    let of_series = chart.series.iter().filter_map(|series| {
        let first = series.ends.first()?;
        let ends = series.ends.iter().map(|End { x, whose, .. }| match whose {
            Some(whose) => format!("{} ({whose})", exact(*x)),
            None => exact(*x),
        });
        let ends: Vec<String> = ends.collect();
        Some(format!("{} {} at {}", series.name, first.word, label(chart, &ends.join(", "))))
    });
    let ends: Vec<String> = of_series.collect();
    (!ends.is_empty()).then(|| format!("×: {}.", ends.join("; ")))
}

/// Which points are not in the drawing, and why.
fn left_out(chart: &LineChart) -> Option<String> {
    let is_negative = |y: f64| chart.y_scale == ScaleKind::Log && y < 0.0;
    let reasons: [(&str, Chosen<'_>); 4] = [
        ("not a number", &|(x, y)| x.is_nan() || y.is_nan()),
        ("infinite", &|(x, y)| !(x.is_nan() || y.is_nan()) && (x.is_infinite() || y.is_infinite())),
        ("negative, so without a logarithm", &|(x, y)| x.is_finite() && y.is_finite() && is_negative(y)),
        ("too large to draw", &|(x, y)| {
            x.is_finite() && y.is_finite() && !is_negative(y) && !chart.shows((x, y))
        }),
    ];
    let found = reasons.into_iter().filter_map(|(why, is_so)| {
        let places = places(chart, is_so)?;
        Some(format!("{places} ({why})"))
    });
    let found: Vec<String> = found.collect();
    (!found.is_empty()).then(|| format!("Left out: {}.", found.join("; ")))
}

/// Which points of which series: `training at epoch 12 to 60; test at epoch 14`.
fn places(chart: &LineChart, chosen: Chosen<'_>) -> Option<String> {
    described(chart, chart.series.iter().map(|series| &series.points[..]), chosen)
}

/// The same of other points, those of each series.
fn described<'p>(
    chart: &LineChart,
    points: impl Iterator<Item = &'p [(f64, f64)]>,
    chosen: Chosen<'_>,
) -> Option<String> {
    let of_series = chart.series.iter().zip(points).filter_map(|(series, points)| {
        let stretches = stretches(points, chosen);
        let (first, last) = (stretches.first()?, stretches.last()?);
        let place = if stretches.len() <= MAX_STRETCHES {
            let named = stretches.iter().map(|&(from, to, _)| match from == to {
                true => exact(from),
                false => format!("{} to {}", exact(from), exact(to)),
            });
            label(chart, &named.collect::<Vec<_>>().join(", "))
        } else {
            let count: usize = stretches.iter().map(|(.., count)| count).sum();
            let between = format!("{} to {}", exact(first.0), exact(last.1));
            format!("{count} of {} points from {}", series.points.len(), label(chart, &between))
        };
        Some(match &series.name[..] {
            "" => format!("at {place}"),
            name => format!("{name} at {place}"),
        })
    });
    let all: Vec<String> = of_series.collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Where on the x axis, by its name.
fn label(chart: &LineChart, xs: &str) -> String {
    if chart.x_label.is_empty() { xs.to_owned() } else { format!("{} {xs}", chart.x_label) }
}

/// Points in a row that are chosen: x of the first and the last, and how many they are.
fn stretches(points: &[(f64, f64)], chosen: Chosen<'_>) -> Vec<(f64, f64, usize)> {
    let runs = points.chunk_by(|a, b| chosen(*a) == chosen(*b)).filter(|run| chosen(run[0]));
    runs.map(|run| (run[0].0, run[run.len() - 1].0, run.len())).collect()
}
