//! What shows a series: line, markers, band. Each series differs from the others in colour, dash
//! and marker, so that it can be told apart in greyscale.

use super::colour::{BACKGROUND, Colour, SERIES};
use super::svg::{Svg, number};

/// A point of the drawing, or a gap.
pub(super) type Place = Option<(f64, f64)>;

/// Lines of more points are noise to the eye: dashes would dissolve in it.
const DENSE: usize = 200;

/// How a series looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub colour: Colour,
    dash: &'static str,
    width: f64,
    /// Of the line; markers and letters are opaque.
    opacity: f64,
    shape: Shape,
    hollow: bool,
    /// Whether the marker is a ring around that of its twin.
    ring: bool,
}

impl Style {
    /// For a line that another is drawn over, which it may lie exactly on: wide and pale.
    pub fn under_its_twin(self) -> Style {
        Style { dash: "", width: 3.0 * self.width, opacity: 0.4, ..self }
    }

    /// For the line over it: thin and dashed, with rings for markers.
    pub fn over_its_twin(self) -> Style {
        let dash = if self.is_dense() { "" } else { "5 5" };
        Style { dash, width: 0.7 * self.width, hollow: true, ring: true, ..self }
    }

    /// Half the height of its markers.
    pub fn marker_half(self) -> f64 {
        if self.ring { RING * MARKER } else { MARKER }
    }

    fn is_dense(self) -> bool {
        self.width < WIDTH
    }
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
}

/// Of a line that is not dense.
const WIDTH: f64 = 2.25;
/// A ring around a marker is so much larger.
const RING: f64 = 1.75;
/// Half the height of a marker.
pub(super) const MARKER: f64 = 4.5;
/// Between the middles of two ×s at one place.
pub(super) const CROSS_GAP: f64 = 4.0 * MARKER;
/// Length of the piece of line in a legend: every dash pattern is symmetric over it.
pub(super) const SAMPLE: f64 = 35.0;

/// The looks of the series number `index` in a chart whose longest series has `points`. They repeat
/// after eight series, and then only the labels tell two of them apart.
pub(super) fn style(index: usize, points: usize) -> Style {
    use Shape::{Circle, Diamond, Square, Triangle};
    const DASHES: [&str; 4] = ["", "9 4", "2 3.5", "11.5 4.5 3 4.5"];
    Style {
        colour: SERIES[index % SERIES.len()],
        dash: if points > DENSE { "" } else { DASHES[index % 4] },
        width: if points > DENSE { 1.5 } else { WIDTH },
        opacity: 1.0,
        shape: [Circle, Square, Triangle, Diamond][index % 4],
        hollow: index / 4 % 2 == 1,
        ring: false,
    }
}

/// Draws a marker centred at (`x`, `y`).
pub(super) fn marker(svg: &mut Svg, style: Style, x: f64, y: f64) {
    let half = style.marker_half();
    let path = |corners: &[(f64, f64)]| {
        let corners = corners.iter().map(|&(dx, dy)| (x + dx * half, y + dy * half));
        trace(corners) + "Z"
    };
    let outline = match style.shape {
        Shape::Circle => None,
        Shape::Square => Some(path(&[(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)])),
        Shape::Triangle => Some(path(&[(0.0, -1.15), (1.1, 0.8), (-1.1, 0.8)])),
        Shape::Diamond => Some(path(&[(0.0, -1.25), (1.1, 0.0), (0.0, 1.25), (-1.1, 0.0)])),
    };
    let element = match outline {
        None => svg.element("circle").num("cx", x).num("cy", y).num("r", half - 0.2),
        Some(outline) => svg.element("path").attr("d", outline),
    };
    let colour = style.colour.to_string();
    let ground = BACKGROUND.to_string();
    // the rim keeps markers apart where lines cross
    let (fill, stroke, width) = match (style.ring, style.hollow) {
        (true, _) => ("none".to_owned(), colour, 1.4),
        (false, true) => (ground, colour, 1.75),
        (false, false) => (colour, ground, 1.0),
    };
    element.attr("fill", fill).attr("stroke", stroke).num("stroke-width", width).close();
}

/// Draws the line through the places, broken at gaps.
pub(super) fn line(svg: &mut Svg, style: Style, places: &[Place]) {
    let path: String =
        runs(places).filter(|run| run.len() > 1).map(|run| trace(run.iter().flatten().copied())).collect();
    if path.is_empty() {
        return;
    }
    let mut element = svg
        .element("path")
        .attr("d", path)
        .attr("fill", "none")
        .attr("stroke", style.colour.to_string())
        .num("stroke-width", style.width)
        .attr("stroke-linejoin", "round");
    if style.opacity < 1.0 {
        element = element.num("stroke-opacity", style.opacity);
    }
    if !style.dash.is_empty() {
        element = element.attr("stroke-dasharray", style.dash);
    }
    element.close();
}

/// Draws a thin dotted line to a place beside the scale.
pub(super) fn lead(svg: &mut Svg, style: Style, from: (f64, f64), to: (f64, f64)) {
    svg.element("path")
        .attr("d", trace([from, to].into_iter()))
        .attr("fill", "none")
        .attr("stroke", style.colour.to_string())
        .num("stroke-width", 1.25)
        .attr("stroke-dasharray", "1.5 3")
        .close();
}

/// Draws an × in the colour of a series: bold, or long and thin over that of its twin.
pub(super) fn cross(svg: &mut Svg, style: Style, x: f64, y: f64) {
    let (arm, strokes) = match style.ring {
        true => (1.9 * MARKER, vec![(BACKGROUND, 3.2), (style.colour, 1.4)]),
        false => (1.2 * MARKER, vec![(style.colour, if style.opacity < 1.0 { 5.0 } else { 2.5 })]),
    };
    let path = [arm, -arm].map(|dy| trace([(x - arm, y - dy), (x + arm, y + dy)].into_iter())).concat();
    for (colour, width) in strokes {
        svg.element("path")
            .attr("d", &path)
            .attr("stroke", colour.to_string())
            .num("stroke-width", width)
            .close();
    }
}

/// Draws markers where a row of places begins and at every `every`-th place, counted from `first`, but none of these just
/// behind another. A place that has none of its kind before and behind it has one always: there is no line to see.
/// Places beside the scale are a kind of their own: their markers are open, and the first of a row of them has one always.
pub(super) fn markers(
    svg: &mut Svg,
    style: Style,
    places: &[Place],
    is_beside: &dyn Fn(usize) -> bool,
    first: usize,
    every: usize,
) {
    let has_kin = |i: usize, other: Option<usize>| {
        other.is_some_and(|other| {
            places.get(other).is_some_and(Option::is_some) && is_beside(other) == is_beside(i)
        })
    };
    // the last marker of either kind
    let mut last = [None; 2];
    for (i, place) in places.iter().enumerate() {
        let Some((x, y)) = *place else { continue };
        let last = &mut last[usize::from(is_beside(i))];
        let is_apart = last.is_none_or(|last| 2 * (i - last) >= every);
        let chosen = i >= first && (i - first).is_multiple_of(every);
        let (begins, ends) = (!has_kin(i, i.checked_sub(1)), !has_kin(i, Some(i + 1)));
        if is_apart && (chosen || begins) || begins && (ends || is_beside(i)) {
            *last = Some(i);
            let hollow = style.hollow || is_beside(i);
            marker(svg, Style { hollow, ..style }, x, y);
        }
    }
}

/// Draws the band from `low` to `high`: an area, or an error bar where a place stands alone.
pub(super) fn band(svg: &mut Svg, style: Style, low: &[Place], high: &[Place]) {
    // a place counts only where both edges exist
    let edge = |edge: &[Place], other: &[Place]| -> Vec<Place> {
        edge.iter().zip(other).map(|(e, o)| o.and(*e)).collect()
    };
    let (low, high) = (edge(low, high), edge(high, low));
    for (low, high) in runs(&low).zip(runs(&high)) {
        let upper = high.iter().flatten().copied();
        let lower = low.iter().rev().flatten().copied();
        if low.len() > 1 {
            svg.element("path")
                .attr("d", trace(upper.chain(lower)) + "Z")
                .attr("fill", style.colour.to_string())
                .attr("fill-opacity", "0.16")
                .close();
        } else if let (Some((x, top)), Some((_, bottom))) = (high[0], low[0]) {
            let stem = trace([(x, top), (x, bottom)].into_iter());
            let caps = [top, bottom].map(|y| trace([(x - 6.0, y), (x + 6.0, y)].into_iter()));
            svg.element("path")
                .attr("d", stem + &caps.concat())
                .attr("stroke", style.colour.to_string())
                .num("stroke-width", 1.5)
                .close();
        }
    }
}

/// Draws what stands for the series in a legend: a piece of its line and its marker.
pub(super) fn sample(svg: &mut Svg, style: Style, x: f64, y: f64) {
    line(svg, style, &[Some((x, y)), Some((x + SAMPLE, y))]);
    marker(svg, style, x + SAMPLE / 2.0, y);
}

fn runs(places: &[Place]) -> impl Iterator<Item = &[Place]> {
    places.split(Option::is_none).filter(|run| !run.is_empty())
}

fn trace(points: impl Iterator<Item = (f64, f64)>) -> String {
    points
        .enumerate()
        .map(|(i, (x, y))| {
            let command = if i == 0 { 'M' } else { 'L' };
            format!("{command}{} {}", number(x), number(y))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(draw: impl FnOnce(&mut Svg)) -> String {
        Svg::document(100.0, 100.0, "", "", draw)
    }

    #[test]
    fn a_gap_breaks_the_line() {
        let places = [Some((1.0, 1.0)), Some((2.0, 2.0)), None, Some((4.0, 4.0)), Some((5.0, 5.0))];
        let svg = drawn(|svg| line(svg, style(0, 10), &places));
        assert!(svg.contains("d=\"M1 1L2 2M4 4L5 5\""), "{svg}");
    }

    #[test]
    fn a_place_between_gaps_has_a_marker_though_markers_are_sparse() {
        let places = [Some((1.0, 1.0)), Some((2.0, 2.0)), None, Some((44.0, 4.0)), None];
        let svg = drawn(|svg| markers(svg, style(0, 10), &places, &|_| false, 0, 1000));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("cx=\"44\""), "{svg}");
    }

    #[test]
    fn places_beside_the_scale_have_open_markers_and_so_has_a_line_between_them() {
        let places: Vec<Place> = (0..7).map(|i| Some((f64::from(i), 1.0))).collect();
        let is_beside = |i: usize| [1, 3, 4, 5].contains(&i);
        let svg = drawn(|svg| markers(svg, style(0, 10), &places, &is_beside, 1000, 1000));
        let open = format!("fill=\"{BACKGROUND}\" stroke=\"{}\"", SERIES[0]);
        for (i, is_open) in [(0, false), (1, true), (2, false), (3, true), (6, false)] {
            let circle = svg.split("<circle").find(|text| text.starts_with(&format!(" cx=\"{i}\"")));
            assert_eq!(circle.map(|text| text.contains(&open)), Some(is_open), "{i} in {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 5);
    }

    #[test]
    fn sparse_markers_begin_with_the_line_and_none_is_just_behind_another() {
        let places: Vec<Place> = (0..60).map(|i| Some((10.0 * f64::from(i), 1.0))).collect();
        let marked = |first: usize, zeros: usize| -> Vec<usize> {
            let svg = drawn(|svg| markers(svg, style(0, 60), &places, &|i| i >= zeros, first, 6));
            let at = svg.split("cx=\"").skip(1);
            at.map(|rest| rest.split('"').next().unwrap().parse::<usize>().unwrap() / 10).collect()
        };
        for (first, zeros) in [(0, 60), (4, 60), (2, 11), (3, 14), (5, 16)] {
            let found = marked(first, zeros);
            assert!(found[0] == 0 && found.contains(&zeros.min(54 + first)), "{first} {zeros}: {found:?}");
            for kind in [0..zeros, zeros..60] {
                let found: Vec<usize> = found.iter().copied().filter(|at| kind.contains(at)).collect();
                assert!(found.windows(2).all(|pair| pair[1] - pair[0] >= 3), "{first} {zeros}: {found:?}");
            }
        }
    }

    #[test]
    fn a_band_at_a_single_place_is_an_error_bar() {
        let svg = drawn(|svg| band(svg, style(0, 10), &[Some((50.0, 80.0))], &[Some((50.0, 20.0))]));
        assert!(svg.contains("M50 20L50 80M44 20L56 20M44 80L56 80"), "{svg}");
    }

    #[test]
    fn a_band_is_broken_where_either_edge_is_missing() {
        let low = [Some((1.0, 9.0)), Some((2.0, 9.0)), None, Some((4.0, 9.0)), Some((5.0, 9.0))];
        let high = low.map(|_| Some((0.0, 1.0)));
        let svg = drawn(|svg| band(svg, style(0, 10), &low, &high));
        assert_eq!(svg.matches("<path").count(), 2);
    }

    #[test]
    fn eight_series_look_different_without_colour() {
        let looks: std::collections::HashSet<_> = (0..8)
            .map(|i| format!("{} {:?} {}", style(i, 10).dash, style(i, 10).shape, style(i, 10).hollow))
            .collect();
        assert_eq!(looks.len(), 8);
    }

    #[test]
    fn a_dense_line_is_thin_and_unbroken() {
        for i in 0..4 {
            assert_eq!(style(i, 1000).dash, "");
            assert!(style(i, 1000).width < style(i, 10).width);
        }
    }
}
