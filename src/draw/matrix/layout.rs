//! Where the parts of a confusion matrix stand, and how they are shaded.

use std::collections::BTreeMap;

use super::super::colour::{Colour, FAINT, INK, MUTED, PALE, SHADED, SHADES};
use super::super::heading::{Heading, MARGIN};
use super::super::svg::{Anchor, Svg, TextStyle, number};
use super::super::text::{self, CAP_HEIGHT, Face};
use super::counts::{ConfusionMatrix, percent, short};

const MIN_WIDTH: f64 = 580.0;
const AXIS_LABEL: TextStyle = TextStyle::new(15.0, INK);
const CLASS: TextStyle = TextStyle::new(14.0, MUTED);
const CAPTION: TextStyle = TextStyle::new(13.0, MUTED);
const CAPTION_LINE: f64 = 18.0;
/// More classes than this have no numbers in their cells.
const MAX_NUMBERED: usize = 26;
const MAX_NUMBER_SIZE: f64 = 16.0;
/// Smaller numbers are shortened (12k) to become legible again.
const MIN_NUMBER_SIZE: f64 = 9.5;
const RECALL_WIDTH: f64 = 74.0;
/// Between the matrix and the recall at its right or the precision below it.
const EDGE_GAP: f64 = 14.0;
/// Rows too low for numbers of this size beside them have bars instead.
const MIN_EDGE_SIZE: f64 = 9.0;
/// Of that size or more, they are made to stand upright in a column.
const MIN_UPRIGHT_SIZE: f64 = 12.0;
/// With so many labels of full size an axis is full.
const MAX_CLASS_LABELS: usize = 16;
const CORRECT: Colour = SHADED[0];
const ERROR: Colour = SHADED[1];
const KEY_WIDTH: f64 = 110.0;
const PRECISION: &str = "precision";
const WIDEST_SHARE: &str = "100.0%";

/// A matrix with everything decided that other parts depend on.
pub(super) struct MatrixLayout<'a> {
    matrix: &'a ConfusionMatrix,
    n: usize,
    /// Side of a cell, and the gap between two.
    cell: f64,
    gap: f64,
    left: f64,
    top: f64,
    width: f64,
    heading: Heading,
    largest_error: f64,
    number_size: f64,
    shortened: bool,
    /// Size of the shares at the edges; `None` if they are bars.
    edge_size: Option<f64>,
}

impl<'a> MatrixLayout<'a> {
    pub fn of(matrix: &'a ConfusionMatrix) -> MatrixLayout<'a> {
        let n = matrix.classes();
        let cell = match n {
            0..=6 => 64.0,
            7..=10 => 52.0,
            11..=MAX_NUMBERED => (800.0 / n as f64).floor().clamp(36.0, 52.0),
            _ => (720.0 / n as f64).floor().max(3.0),
        };
        let side = cell * n as f64;
        // the names of the classes, and the heading of the row below them
        let names = AXIS_LABEL.size + 10.0 + text::width("255", CLASS.size, CLASS.face);
        let left = MARGIN + names.max(text::width(PRECISION, CLASS.size, CLASS.face)) + 9.0;
        let width = (left + side + RECALL_WIDTH + MARGIN).max(MIN_WIDTH);
        let mut heading = Heading::new(&matrix.title, matrix.subtitle.as_deref(), width);
        heading.say(&matrix.accuracy_text(), width);

        let errors = cells(n).filter(|(t, p)| t != p).map(|(t, p)| matrix.share(t, p));
        let fitting = |write: fn(u64) -> String| {
            let texts = cells(n).map(|(t, p)| write(matrix.count(t, p)));
            let widest = texts.map(|text| text::width(&text, 1.0, Face::Regular)).fold(0.5, f64::max);
            ((cell - 7.0) / widest).min(MAX_NUMBER_SIZE)
        };
        let (full, shorter) =
            if n <= MAX_NUMBERED { (fitting(|count| count.to_string()), fitting(short)) } else { (0.0, 0.0) };
        let shortened = full < MIN_NUMBER_SIZE && full < shorter;
        MatrixLayout {
            matrix,
            n,
            cell,
            gap: if n <= MAX_NUMBERED { 1.0 } else { 0.0 },
            left,
            // the heading and the class names stand above the matrix
            top: MARGIN + heading.height() + 58.0,
            width,
            heading,
            largest_error: errors.fold(0.0, f64::max),
            number_size: if shortened { shorter } else { full },
            shortened,
            edge_size: edge_size(cell),
        }
    }

    pub fn svg(&self) -> String {
        let caption = text::wrap(&self.caption(), CAPTION.size, CAPTION.face, self.width - 2.0 * MARGIN, 4);
        let key_top = self.top + self.side() + self.precision_height() + 22.0;
        let caption_top = key_top + 34.0;
        let height = caption_top + caption.len() as f64 * CAPTION_LINE + MARGIN - 6.0;
        let (title, description) = (&self.matrix.title, self.matrix.description());
        Svg::document(self.width, height, title, &description, |svg| {
            self.heading.draw(svg);
            self.draw_axes(svg);
            self.draw_cells(svg);
            if self.is_numbered() {
                self.draw_numbers(svg);
            }
            self.draw_recall(svg);
            self.draw_precision(svg);
            self.draw_keys(svg, key_top);
            for (i, line) in caption.iter().enumerate() {
                svg.text(MARGIN, caption_top + (i as f64 + 0.8) * CAPTION_LINE, CAPTION, line);
            }
        })
    }

    fn side(&self) -> f64 {
        self.cell * self.n as f64
    }

    fn is_numbered(&self) -> bool {
        self.n <= MAX_NUMBERED
    }

    fn caption(&self) -> String {
        let mut caption = String::from("Shade: share of the true class");
        if self.largest_error > 0.0 {
            caption.push_str("; errors have a scale of their own");
        }
        caption.push_str(
            ". Recall: share of a true class that is recognised. Precision: share of a predicted class that is right.",
        );
        if self.edge_size.is_none() {
            caption.push_str(" Bars from 0 to 100%.");
        }
        if self.shortened {
            caption.push_str(" Counts are cut: 1.3k is 1300 to 1399.");
        }
        caption
    }

    /// Headings of both axes and the numbers of the classes.
    fn draw_axes(&self, svg: &mut Svg) {
        // two cells are too narrow for the heading: there it begins at the left edge
        let (x, style) = if self.side() < 160.0 {
            (self.left, AXIS_LABEL)
        } else {
            (self.left + self.side() / 2.0, AXIS_LABEL.anchored(Anchor::Middle))
        };
        let heading = if self.side() < 160.0 { "predicted" } else { "predicted class" };
        svg.text(x, self.top - 30.0, style, heading);
        let heading = if self.side() < 100.0 { "true" } else { "true class" };
        svg.text_upwards(
            MARGIN + AXIS_LABEL.size * CAP_HEIGHT,
            self.top + self.side() / 2.0,
            AXIS_LABEL.anchored(Anchor::Middle),
            heading,
        );
        let steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
        // every class, in smaller letters if need be, or else some
        let size = self.edge_size.unwrap_or(CLASS.size).min(CLASS.size);
        let fits = |step: &usize| self.edge_size.is_some() || self.n.div_ceil(*step) <= MAX_CLASS_LABELS;
        let step = steps.into_iter().find(fits).unwrap_or(self.n.max(1));
        let style = TextStyle { size, ..CLASS };
        let widest = self.n.saturating_sub(1).to_string();
        let turned = is_turned(&widest, size, self.cell * step as f64);
        for class in (0..self.n).step_by(step) {
            let middle = (class as f64 + 0.5) * self.cell;
            let label = class.to_string();
            let (x, y) = (self.left + middle, self.top - 8.0);
            if turned {
                svg.text_upwards(x + size * CAP_HEIGHT / 2.0, y, style, &label);
            } else {
                svg.text(x, y, style.anchored(Anchor::Middle), &label);
            }
            let baseline = self.top + middle + size * CAP_HEIGHT / 2.0;
            svg.text(self.left - 8.0, baseline, style.anchored(Anchor::End), &label);
        }
    }

    /// All cells of a shade in one path: a quarter of the size of one element per cell.
    fn draw_cells(&self, svg: &mut Svg) {
        let mut shades: BTreeMap<Colour, String> = BTreeMap::new();
        for (t, p) in cells(self.n) {
            let is_empty = self.matrix.count(t, p) == 0;
            if is_empty && !self.is_numbered() {
                continue; // the ground shows
            }
            let x = self.left + p as f64 * self.cell;
            let y = self.top + t as f64 * self.cell;
            let side = number(self.cell - self.gap);
            let square = format!("M{} {}h{side}v{side}h-{side}z", number(x), number(y));
            shades.entry(self.shade(t, p)).or_default().push_str(&square);
        }
        if !self.is_numbered() {
            let ground = FAINT.to_string();
            let (x, y, side) = (self.left, self.top, self.side());
            rect(svg, (x, y), (side, side)).attr("fill", ground).close();
        }
        for (shade, squares) in shades {
            svg.element("path")
                .attr("d", squares)
                .attr("fill", shade.to_string())
                .attr("shape-rendering", "crispEdges")
                .close();
        }
    }

    fn draw_numbers(&self, svg: &mut Svg) {
        for (t, p) in cells(self.n) {
            let count = self.matrix.count(t, p);
            let text = if self.shortened { short(count) } else { count.to_string() };
            // zeros step back, so that the eye finds the errors
            let fill = if count == 0 { PALE } else { self.shade(t, p).text_on() };
            let style = TextStyle::new(self.number_size, fill).anchored(Anchor::Middle);
            let middle = (self.cell - self.gap) / 2.0;
            let x = self.left + p as f64 * self.cell + middle;
            let y = self.top + t as f64 * self.cell + middle;
            svg.text(x, y + self.number_size * CAP_HEIGHT / 2.0, style, &text);
        }
    }

    /// The column at the right: numbers, or bars where a row is too low for a number.
    fn draw_recall(&self, svg: &mut Svg) {
        if self.n == 0 {
            return;
        }
        let left = self.left + self.side() + EDGE_GAP;
        let right = self.left + self.side() + RECALL_WIDTH - 4.0;
        let (style, baseline) = (AXIS_LABEL.anchored(Anchor::End), self.top - 8.0);
        svg.text(right, baseline, style, "recall");
        let Some(size) = self.edge_size else {
            let bar = |y: f64, recall: f64| {
                let (length, height) = (number(recall * (right - left)), number(self.cell));
                format!("M{} {}h{length}v{height}h-{length}z", number(left), number(y))
            };
            let ground = rect(svg, (left, self.top), (right - left, self.side()));
            ground.attr("fill", FAINT.to_string()).close();
            return self.draw_bars(svg, self.top, &bar, ConfusionMatrix::recall);
        };
        let style = TextStyle::new(size, INK).anchored(Anchor::End);
        for class in 0..self.n {
            let middle = self.top + (class as f64 + 0.5) * self.cell;
            let text = share(self.matrix.recall(class));
            svg.text(right, middle + size * CAP_HEIGHT / 2.0, style, &text);
        }
    }

    /// The room that the row below the matrix takes.
    fn precision_height(&self) -> f64 {
        match self.edge_size {
            _ if self.n == 0 => 0.0,
            None => RECALL_WIDTH - 4.0,
            Some(size) if is_turned(WIDEST_SHARE, size, self.cell) => {
                EDGE_GAP - 4.0 + text::width(WIDEST_SHARE, size, Face::Regular)
            }
            Some(size) => EDGE_GAP + size * CAP_HEIGHT,
        }
    }

    /// The row below: numbers, turned where a column is too narrow, or bars.
    fn draw_precision(&self, svg: &mut Svg) {
        if self.n == 0 {
            return;
        }
        let top = self.top + self.side() + EDGE_GAP;
        let style = TextStyle { fill: INK, ..CLASS }.anchored(Anchor::End);
        svg.text(self.left - 8.0, top + style.size * CAP_HEIGHT, style, PRECISION);
        let Some(size) = self.edge_size else {
            let most = self.precision_height() - EDGE_GAP;
            let bar = |x: f64, precision: f64| {
                let (width, height) = (number(self.cell), number(precision * most));
                format!("M{} {}h{width}v{height}h-{width}z", number(x), number(top))
            };
            rect(svg, (self.left, top), (self.side(), most)).attr("fill", FAINT.to_string()).close();
            return self.draw_bars(svg, self.left, &bar, ConfusionMatrix::precision);
        };
        let style = TextStyle::new(size, INK);
        for class in 0..self.n {
            let middle = self.left + (class as f64 + 0.5) * self.cell;
            let text = share(self.matrix.precision(class));
            if is_turned(WIDEST_SHARE, size, self.cell) {
                // turned letters have their tops at the left, and end where they are nearest to the matrix
                let at = (middle + size * CAP_HEIGHT / 2.0, top - 4.0);
                svg.text_upwards(at.0, at.1, style.anchored(Anchor::End), &text);
            } else {
                svg.text(middle, top + size * CAP_HEIGHT, style.anchored(Anchor::Middle), &text);
            }
        }
    }

    /// A bar for each class that has the share, all in one path; the first begins at `start`.
    fn draw_bars(
        &self,
        svg: &mut Svg,
        start: f64,
        bar: &dyn Fn(f64, f64) -> String,
        share: fn(&ConfusionMatrix, usize) -> Option<f64>,
    ) {
        let bars = (0..self.n)
            .filter_map(|class| Some(bar(start + class as f64 * self.cell, share(self.matrix, class)?)));
        svg.element("path").attr("d", bars.collect::<String>()).attr("fill", CORRECT.to_string()).close();
    }

    /// The two scales of shades.
    fn draw_keys(&self, svg: &mut Svg, top: f64) {
        let x = self.draw_key(svg, MARGIN, top, "correct", CORRECT, 1.0);
        if self.largest_error > 0.0 {
            self.draw_key(svg, x + 30.0, top, "errors", ERROR, self.largest_error);
        }
    }

    /// Returns where the key ends.
    fn draw_key(&self, svg: &mut Svg, x: f64, top: f64, name: &str, colour: Colour, most: f64) -> f64 {
        let baseline = top + 12.0;
        // two digits of it, however small
        let decimals = (1.0 - (most * 100.0).log10().floor()).clamp(0.0, 17.0);
        let highest = percent(most, if most < 1.0 { decimals as usize } else { 0 });
        let mut x = x;
        for (text, style, gap) in [(name, CAPTION.bold(), 10.0), ("0", CAPTION, 6.0)] {
            svg.text(x, baseline, style, text);
            x += text::width(text, style.size, style.face) + gap;
        }
        let steps = 44;
        let step = KEY_WIDTH / f64::from(steps);
        for i in 0..steps {
            let share = (f64::from(i) + 0.5) / f64::from(steps);
            rect(svg, (x + f64::from(i) * step, top), (step + 0.25, 15.0))
                .attr("fill", tint(colour, share).to_string())
                .attr("shape-rendering", "crispEdges")
                .close();
        }
        x += KEY_WIDTH + 6.0;
        svg.text(x, baseline, CAPTION, &highest);
        x + text::width(&highest, CAPTION.size, CAPTION.face)
    }

    fn shade(&self, truth: usize, predicted: usize) -> Colour {
        let share = self.matrix.share(truth, predicted);
        if self.matrix.count(truth, predicted) == 0 {
            FAINT
        } else if truth == predicted {
            tint(CORRECT, share)
        } else {
            tint(ERROR, share / self.largest_error)
        }
    }
}

/// The shade of a share of the scale: lifted a little, so that single errors come into sight, and
/// never white. Shades are few, so that cells of one shade are one path.
fn tint(colour: Colour, share: f64) -> Colour {
    let strength = 0.12 + 0.88 * share.max(0.0).powf(0.7);
    colour.shade((strength * f64::from(SHADES)).round() as u8)
}

/// The size of shares beside rows and columns of cells; `None` if these are too low for letters.
fn edge_size(cell: f64) -> Option<f64> {
    let upright = (cell - 4.0) / text::width(WIDEST_SHARE, 1.0, Face::Regular);
    let size = (cell * 0.72).min(15.0);
    match size >= MIN_EDGE_SIZE {
        true if upright >= MIN_UPRIGHT_SIZE => Some(size.min(upright)),
        true => Some(size),
        false => None,
    }
}

/// Whether texts that are as wide as this one run together where they stand upright in columns.
fn is_turned(widest: &str, size: f64, column: f64) -> bool {
    text::width(widest, size, Face::Regular) > column - 3.9
}

/// A share at an edge of the matrix; a dash if there is none.
fn share(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| percent(share, 1))
}

fn cells(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |t| (0..n).map(move |p| (t, p)))
}

fn rect(svg: &mut Svg, at: (f64, f64), size: (f64, f64)) -> super::super::svg::Element<'_> {
    svg.element("rect").num("x", at.0).num("y", at.1).num("width", size.0).num("height", size.1)
}
