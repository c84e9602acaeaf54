//! What a trace's page shows, from top to bottom, for every format that is read by eye.

use unicode_width::UnicodeWidthStr;

use super::notation::{Notation, Script};
use crate::document::number::{error, latex_number, rounded};
use crate::document::{Align, Block, MadeRows, Span, math, words};
use crate::scalar::trace::{Summand, Trace, TraceRow};

/// Characters that the columns of tangents may take together.
const TANGENTS: usize = 44;

/// The whole expression is set as a formula up to so many nodes.
const LARGEST_FORMULA: usize = 120;

/// The trace from top to bottom; `drawing` is the graph in box characters, if it is to be shown.
pub fn page(trace: &Trace, notation: Notation, digits: usize, drawing: Option<&str>) -> Vec<Block> {
    with_page(trace, notation, digits, drawing, |page| page.into_iter().map(Block::kept).collect())
}

/// Hands on the same page, with tables whose rows are made while they are written.
pub fn with_page<T>(
    trace: &Trace,
    notation: Notation,
    digits: usize,
    drawing: Option<&str>,
    then: impl FnOnce(Vec<Block<MadeRows<'_>>>) -> T,
) -> T {
    let names = trace.names();
    let writer = Writer { trace, script: notation.with(&names), notation, digits };
    then(writer.blocks(drawing))
}

struct Writer<'t> {
    trace: &'t Trace,
    script: Script<'t>,
    notation: Notation,
    digits: usize,
}

/// A part of the page, whose tables are made of the trace.
type Part<'a> = Block<MadeRows<'a>>;

impl Writer<'_> {
    fn blocks(&self, drawing: Option<&str>) -> Vec<Part<'_>> {
        let mut blocks = vec![Block::Paragraph(self.formula()), Block::Paragraph(self.point())];
        if let Some(drawing) = drawing {
            blocks.push(Block::Heading("Computational graph".into()));
            blocks.push(Block::Drawing(drawing.into()));
        }
        blocks.push(Block::Heading("Forward trace: values and tangents".into()));
        blocks.extend(self.forward());
        blocks.push(Block::Heading("Reverse trace: values upwards".into()));
        blocks.push(self.values());
        blocks.push(Block::Heading("Reverse trace: adjoints downwards".into()));
        blocks.push(self.reverse());
        blocks.push(Block::Heading("Gradient".into()));
        blocks.push(self.gradient());
        blocks.push(Block::Paragraph(self.operations()));
        if let Some(hessian) = &self.trace.hessian {
            blocks.push(Block::Heading("Second derivatives, by forward over reverse mode".into()));
            blocks.extend(self.hessian(hessian));
        }
        blocks.push(Block::Heading("Checks".into()));
        blocks.push(self.differences());
        blocks.extend(self.doubts());
        blocks.push(Block::Paragraph(self.inner_product()));
        if !self.trace.notes.is_empty() {
            blocks.push(Block::Heading("Notes".into()));
            blocks.extend(self.trace.notes.iter().map(|note| Block::Paragraph(vec![words(note.clone())])));
        }
        blocks
    }

    /// A dash stands for a derivative that does not exist and was not asked for; the notes say so.
    fn number(&self, x: f64) -> String {
        if !x.is_finite() {
            return self.notation.none().into();
        }
        let text = rounded(x, self.digits);
        if self.notation == Notation::Latex { latex_number(&text) } else { text }
    }

    fn error(&self, x: f64) -> Span {
        if !x.is_finite() {
            return math(self.notation.none().to_owned());
        }
        let text = error(x);
        math(if self.notation == Notation::Latex { latex_number(&text) } else { text })
    }

    fn cell(&self, x: f64) -> Span {
        math(self.number(x))
    }

    fn name(&self, input: usize) -> String {
        self.script.name(&self.trace.point[input].0)
    }

    fn formula(&self) -> Vec<Span> {
        let whole = match self.trace.whole(LARGEST_FORMULA) {
            Some(expression) => self.script.write(&expression),
            None => self.script.primal(self.trace.rows.last().map_or(0, |row| row.number)),
        };
        vec![math(format!("{} = {whole} = {}", self.script.value(), self.number(self.trace.value())))]
    }

    fn point(&self) -> Vec<Span> {
        if self.trace.point.is_empty() {
            return vec![words("a constant: there are no inputs")];
        }
        let entries = self.trace.point.iter().enumerate();
        let entries: Vec<String> =
            entries.map(|(i, (_, x))| format!("{} = {}", self.name(i), self.number(*x))).collect();
        vec![words("at "), math(entries.join(", "))]
    }

    /// The derivative by an input as an operator.
    fn by(&self, input: usize) -> String {
        let name = self.name(input);
        match self.notation {
            Notation::Griewank => format!("∂/∂{name}"),
            Notation::Plain => format!("d/d({name})"),
            Notation::Latex => format!(r"\frac{{\partial}}{{\partial {name}}}"),
        }
    }

    fn forward(&self) -> Vec<Part<'_>> {
        if let Some(why) = &self.trace.forward_omitted {
            return vec![Block::Paragraph(vec![words(why.clone())])];
        }
        let titles: Vec<Span> = match self.trace.sweeps_each_input() {
            true => (0..self.trace.directions.len()).map(|input| math(self.by(input))).collect(),
            false => self.trace.directions.iter().map(|_| words("tangent")).collect(),
        };
        let mut titles: Vec<Option<Span>> = titles.into_iter().map(Some).collect();
        let room = self.columns_of_numbers();
        let mut blocks = Vec::new();
        if !self.trace.sweeps_each_input()
            && let Some(direction) = self.trace.directions.first()
        {
            let entries = direction.tangents.iter().enumerate();
            let entries: Vec<String> = entries
                .map(|(i, x)| {
                    format!("{} = {}", self.script.tangent(self.trace.rows[i].number), self.number(*x))
                })
                .collect();
            blocks.push(Block::Paragraph(vec![words("direction "), math(entries.join(", "))]));
        }
        let count = self.trace.directions.len();
        for begin in (0..count.max(1)).step_by(room) {
            let shown = begin..count.min(begin + room);
            let mut columns = vec![(words("node"), Align::Left)];
            if begin == 0 {
                columns.extend([
                    (words("definition"), Align::Left),
                    (words("value"), Align::Right),
                    (words("tangent rule"), Align::Long),
                ]);
            }
            columns.extend(shown.clone().filter_map(|k| Some((titles[k].take()?, Align::Right))));
            let row = move |row: &TraceRow| {
                let mut cells = vec![math(self.script.primal(row.number))];
                if begin == 0 {
                    let rule = self.trace.tangent_rule(row).map(|rule| {
                        format!("{} = {}", self.script.tangent(row.number), self.script.write(&rule))
                    });
                    cells.push(math(self.script.write(&self.trace.definition(row))));
                    cells.push(self.cell(row.value));
                    cells.push(math(rule.unwrap_or_else(|| self.script.tangent(row.number))));
                }
                cells.extend(shown.clone().map(|k| self.cell(row.tangents[k])));
                cells
            };
            let rows = move || self.trace.rows.iter().map(row.clone());
            blocks.push(Block::Table { columns, rows: MadeRows::by(rows) });
        }
        blocks
    }

    /// How many columns of numbers, one for each input, a table has.
    fn columns_of_numbers(&self) -> usize {
        let titles = self.trace.point.iter().map(|(name, _)| name.width() + 6);
        (TANGENTS / titles.fold(self.digits + 7, usize::max)).max(1)
    }

    fn values(&self) -> Part<'_> {
        let columns = vec![
            (words("node"), Align::Left),
            (words("definition"), Align::Left),
            (words("value"), Align::Right),
        ];
        let row = |row: &TraceRow| {
            let definition = self.script.write(&self.trace.definition(row));
            vec![math(self.script.primal(row.number)), math(definition), self.cell(row.value)]
        };
        Block::Table { columns, rows: MadeRows::by(move || self.trace.rows.iter().map(row)) }
    }

    /// A line for each contribution, with the sum so far.
    fn reverse(&self) -> Part<'_> {
        let columns = vec![
            (words("contribution"), Align::Left),
            (words("by the partial"), Align::Left),
            (words("numbers"), Align::Left),
            (words("amount"), Align::Right),
            (words("sum"), Align::Right),
        ];
        let rows = move || {
            let last = self.trace.rows.len().saturating_sub(1);
            let rows = self.trace.rows.iter().enumerate().rev();
            rows.flat_map(move |(position, row)| self.contributions(row, position == last))
        };
        Block::Table { columns, rows: MadeRows::by(rows) }
    }

    /// The lines of a row.
    fn contributions(&self, row: &TraceRow, is_output: bool) -> Vec<Vec<Span>> {
        let adjoint = self.script.adjoint(row.number);
        if row.contributions.is_empty() {
            let start = if is_output { "1" } else { "0" };
            let empty = || math(String::new());
            let sum = self.cell(row.adjoint);
            return vec![vec![math(format!("{adjoint} = {start}")), empty(), empty(), empty(), sum]];
        }
        let mut sum = 0.0;
        let line = |part: &Summand| {
            sum += part.amount;
            self.contribution(row, &adjoint, part, sum)
        };
        row.contributions.iter().map(line).collect()
    }

    fn contribution(&self, row: &TraceRow, adjoint: &str, part: &Summand, sum: f64) -> Vec<Span> {
        let (notation, script, from) = (self.notation, self.script, &self.trace.rows[part.from]);
        let times = notation.times();
        let source = script.adjoint(from.number);
        let partial = notation.partial(&script.primal(from.number), &script.primal(row.number));
        let rule = script.write_factor(&self.trace.partial(part));
        let factor = self.number(part.partial);
        let factor = if factor.starts_with('-') { format!("({factor})") } else { factor };
        vec![
            math(format!("{adjoint} {} {source}{times}{partial}", notation.adds())),
            math(format!("= {source}{times}{rule}")),
            math(format!("= {}{times}{factor}", self.number(from.adjoint))),
            math(format!("= {}", self.number(part.amount))),
            self.cell(sum),
        ]
    }

    fn gradient(&self) -> Part<'_> {
        let columns = vec![
            (words("input"), Align::Left),
            (words("adjoint"), Align::Left),
            (words(format!("partial of {}", self.script.names().value())), Align::Right),
        ];
        let row = |input: usize| {
            let row = &self.trace.rows[input];
            let adjoint = format!(
                "{} = {}",
                self.notation.partial(&self.script.value(), &self.name(input)),
                self.script.adjoint(row.number)
            );
            vec![math(self.name(input)), math(adjoint), self.cell(row.adjoint)]
        };
        Block::Table { columns, rows: MadeRows::by(move || (0..self.trace.point.len()).map(row)) }
    }

    fn operations(&self) -> Vec<Span> {
        let (costs, inputs) = (self.trace.costs, self.trace.point.len());
        let (reverse, forward) = (costs.value + costs.reverse, costs.value + inputs * costs.forward);
        if costs.value == 0 {
            return vec![words("There is no operation to count.")];
        }
        let ratio = reverse as f64 / costs.value as f64;
        vec![words(format!(
            "Operations: {} for the value. The value and the whole gradient take {reverse} with one reverse sweep, {ratio:.1} \
             times as many, and {forward} with {inputs} forward sweep{}.",
            costs.value,
            if inputs == 1 { "" } else { "s" },
        ))]
    }

    fn hessian<'a>(&'a self, hessian: &'a [Vec<f64>]) -> Vec<Part<'a>> {
        // This table has no other columns than those of numbers.
        let room = 2 * self.columns_of_numbers() - 1;
        let table = move |begin: usize| {
            let shown = begin..hessian.len().min(begin + room);
            let mut columns = vec![(words(""), Align::Left)];
            columns.extend(shown.clone().map(|input| (math(self.name(input)), Align::Right)));
            let row = move |(input, row): (usize, &Vec<f64>)| {
                let mut cells = vec![math(self.name(input))];
                cells.extend(row[shown.clone()].iter().map(|&x| self.cell(x)));
                cells
            };
            Block::Table { columns, rows: MadeRows::by(move || hessian.iter().enumerate().map(row.clone())) }
        };
        (0..hessian.len()).step_by(room).map(table).collect()
    }

    fn differences(&self) -> Part<'_> {
        let columns = vec![
            (words("input"), Align::Left),
            (words("reverse mode"), Align::Right),
            (words("central difference"), Align::Right),
            (words("error"), Align::Right),
            (words("verdict"), Align::Left),
        ];
        let row = |check: &crate::scalar::Difference| {
            let (central, error) = match (check.central, check.error()) {
                (Some(central), Some(error)) => (self.cell(central), self.error(error)),
                _ => (words("none"), words("")),
            };
            let verdict = match check.agrees() {
                Some(true) => "agrees",
                Some(false) => "DIFFERS",
                None => "cannot tell",
            };
            let input = self.moving(check.input);
            vec![input, self.cell(check.reverse), central, error, words(verdict)]
        };
        Block::Table { columns, rows: MadeRows::by(move || self.trace.checks.differences.iter().map(row)) }
    }

    /// What moves in a check.
    fn moving(&self, input: Option<usize>) -> Span {
        match input {
            Some(input) => math(self.name(input)),
            None if self.trace.sweeps_each_input() => words("all inputs by 1"),
            None => words("the direction"),
        }
    }

    /// Why differences tell nothing: a line for each reason.
    fn doubts(&self) -> Vec<Part<'_>> {
        let mut reasons: Vec<(&str, Vec<Span>)> = Vec::new();
        let checks = &self.trace.checks.differences;
        for (note, input) in checks.iter().filter_map(|check| Some((check.note.as_deref()?, check.input))) {
            match reasons.iter_mut().find(|(reason, _)| *reason == note) {
                Some((_, spans)) => spans.extend([words(", "), self.moving(input)]),
                None => reasons.push((note, vec![words("Cannot tell for "), self.moving(input)])),
            }
        }
        let line = |(note, mut spans): (&str, Vec<Span>)| {
            spans.push(words(format!(": {note}.")));
            Block::Paragraph(spans)
        };
        reasons.into_iter().map(line).collect()
    }

    fn inner_product(&self) -> Vec<Span> {
        let product = self.trace.checks.inner_product;
        let names = self.script.names();
        // Of the value, and of the rows of all inputs.
        let [outputs, inputs] = [names.value(), names.letter()].map(|letter| self.script.pairing(letter));
        vec![
            words("Inner product: forward "),
            math(format!("{outputs} = {}", self.number(product.forward))),
            words(", reverse over inputs "),
            math(format!("{inputs} = {}", self.number(product.reverse))),
            words(", error "),
            self.error(product.error()),
            words(match product.agrees() {
                Some(true) => ": agree.",
                Some(false) => ": DIFFER.",
                None => ": the sums overflow.",
            }),
        ]
    }
}
