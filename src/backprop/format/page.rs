//! What the page shows, from top to bottom, for every format that is read by eye.

use super::Findings;
use crate::backprop::device::UNIT;
use crate::backprop::{Backprop, Found, Matrix, MatrixNotation, Variable, torch};
use crate::document::number::{error, latex_number, rounded};
use crate::document::{self, Align, Block, Span, math, words};

/// Values, gradients and how well they agree with other ways; `drawing` is the graph in box characters, if it is to
/// be shown.
pub fn page(
    results: &Findings<'_>,
    notation: MatrixNotation,
    digits: usize,
    drawing: Option<&str>,
) -> Vec<Block> {
    let writer = Writer { found: results.found, notation, digits };
    let mut blocks = vec![writer.formula(), writer.origin(results.origin)];
    if let Some(drawing) = drawing {
        blocks.push(Block::Heading("Computational graph".into()));
        blocks.push(Block::Drawing(drawing.into()));
    }
    blocks.push(Block::Heading("Nodes, and the rules of their gradients".into()));
    blocks.push(writer.rules());
    blocks.push(Block::Paragraph(writer.legend()));
    blocks.push(Block::Heading("Values and gradients".into()));
    blocks.extend(results.found.variables.iter().flat_map(|variable| writer.matrices(variable)));
    blocks.extend(agreement(results, notation, digits));
    blocks
}

/// The end of the page alone: how well the gradients agree with those found in other ways.
pub fn agreement(results: &Findings<'_>, notation: MatrixNotation, digits: usize) -> Vec<Block> {
    let writer = Writer { found: results.found, notation, digits };
    let mut blocks = vec![Block::Heading("Checks".into())];
    blocks.extend(writer.checks());
    if let Some(torch) = results.torch {
        blocks.push(Block::Heading(format!("Beside PyTorch {}", torch.version)));
        blocks.extend(writer.torch(torch));
    }
    if let Some(device) = results.device {
        blocks.push(Block::Heading("In float32 on a device".into()));
        blocks.extend(writer.device(device));
    }
    blocks
}

impl Backprop {
    /// The whole chain as one formula: `½‖Y − W3 relu(W2 relu(W1 X))‖²`.
    pub fn formula(&self, notation: MatrixNotation) -> String {
        let weights = self.variables.iter().filter(|v| v.is_input && v.gradient.is_some());
        let chain = weights.enumerate().fold(notation.name("X"), |inner, (layer, weight)| {
            let name = notation.name(&weight.name);
            match (layer, notation) {
                (0, MatrixNotation::Text) => format!("{name} {inner}"),
                (0, MatrixNotation::Latex) => format!(r"{name}\, {inner}"),
                (_, MatrixNotation::Text) => format!("{name} relu({inner})"),
                (_, MatrixNotation::Latex) => format!(r"{name} \operatorname{{relu}}({inner})"),
            }
        });
        match notation {
            MatrixNotation::Text => format!("½‖Y − {chain}‖²"),
            MatrixNotation::Latex => format!(r"\tfrac{{1}}{{2}}\lVert Y - {chain} \rVert^{{2}}"),
        }
    }
}

struct Writer<'w> {
    found: &'w Backprop,
    notation: MatrixNotation,
    digits: usize,
}

impl Writer<'_> {
    fn formula(&self) -> Block {
        let value = self.number(self.found.value());
        Block::Paragraph(vec![math(format!("z = {} = {value}", self.found.formula(self.notation)))])
    }

    fn origin(&self, origin: &str) -> Block {
        let inputs = self.found.variables.iter().filter(|variable| variable.is_input);
        let mut spans = Vec::new();
        for variable in inputs {
            spans.push(words(if spans.is_empty() { "with " } else { ", " }));
            spans.push(math(self.notation.name(&variable.name)));
            spans.push(words(format!(" {}", variable.value.extents())));
        }
        spans.push(words(format!(": {origin}")));
        Block::Paragraph(spans)
    }

    fn number(&self, x: f64) -> String {
        self.written(rounded(x, self.digits))
    }

    fn written(&self, text: String) -> String {
        if self.notation == MatrixNotation::Latex { latex_number(&text) } else { text }
    }

    fn error(&self, x: f64) -> Span {
        math(self.written(error(x)))
    }

    fn name(&self, variable: usize) -> Span {
        math(self.notation.name(&self.found.variables[variable].name))
    }

    fn rules(&self) -> Block {
        let columns = vec![
            (words("node"), Align::Left),
            (words("shape"), Align::Left),
            (words("value"), Align::Left),
            (words("gradient"), Align::Left),
        ];
        let row = |variable: &Variable| {
            let definition = self.found.definition_in(variable, self.notation);
            vec![
                math(self.notation.name(&variable.name)),
                words(variable.value.extents()),
                definition.map_or_else(|| words("given"), math),
                self.found.rule_in(variable, self.notation).map_or_else(|| words(""), math),
            ]
        };
        Block::Table { columns, rows: self.found.variables.iter().map(row).collect() }
    }

    fn legend(&self) -> Vec<Span> {
        let [hadamard, bracket, kink] = match self.notation {
            MatrixNotation::Text => ["⊙", "[·]", "relu′(0) = 0"],
            MatrixNotation::Latex => [r"\odot", r"[\,\cdot\,]", r"\operatorname{relu}'(0) = 0"],
        };
        vec![
            math(hadamard),
            words(" multiplies entry by entry; "),
            math(bracket),
            words(" is 1 where it holds, else 0, so that "),
            math(kink),
            words("."),
        ]
    }

    fn matrices(&self, variable: &Variable) -> Vec<Block> {
        let matrix = |name: String, matrix: &Matrix| {
            let cells = matrix.values.iter().map(|&x| self.number(x)).collect();
            Block::Matrix(document::MatrixBlock { name, columns: matrix.columns, cells })
        };
        let gradient = variable.gradient.as_ref();
        [matrix(self.notation.value(&variable.name), &variable.value)]
            .into_iter()
            .chain(gradient.map(|gradient| matrix(self.notation.gradient(&variable.name), gradient)))
            .collect()
    }

    fn checks(&self) -> Vec<Block> {
        let checks = &self.found.checks;
        let columns = vec![
            (words("gradient"), Align::Left),
            (words("forward mode"), Align::Right),
            (words("differences"), Align::Right),
            (words("compared"), Align::Right),
            (words("not compared"), Align::Right),
            (words("verdict"), Align::Left),
        ];
        let row = |found: &Found| {
            let of = found.differences;
            let unit = if of.in_directions { " directions" } else { "" };
            vec![
                math(self.notation.gradient(&self.found.variables[found.variable].name)),
                found.forward_mode.map_or_else(|| words("not checked"), |found| self.error(found.error)),
                if of.compared > 0 { self.error(of.deviation.error) } else { words("none") },
                words(format!("{}{unit}", of.compared)),
                words(of.not_compared.to_string()),
                words(match (found.agrees(), found.forward_mode) {
                    (Some(true), _) => "agrees",
                    (Some(false), _) => "DIFFERS",
                    (None, Some(_)) => "forward mode agrees",
                    (None, None) => "cannot tell",
                }),
            ]
        };
        let (forward, differences) = checks.largest();
        let how = "Errors are relative to the gradient: of forward mode, in three random directions, to the absolute values of \
                   the products that it is there, of central differences to its largest entry. Not compared are entries at \
                   a kink of relu, which have no difference on both sides, and those whose difference rounding hides.";
        let unchecked = checks.found.iter().filter(|found| found.forward_mode.is_none()).count();
        let or_none = |error: Option<f64>| error.map_or_else(|| words("none"), |error| self.error(error));
        let largest = vec![
            words("Largest error: forward mode "),
            or_none(forward),
            words(", central differences "),
            or_none(differences),
            words(if checks.agree() == Some(false) { ". They DIFFER." } else { "." }),
        ];
        let mut blocks = vec![
            Block::Table { columns, rows: checks.found.iter().map(row).collect() },
            Block::Paragraph(largest),
            Block::Paragraph(vec![words(how)]),
        ];
        if unchecked > 0 {
            let text = format!(
                "Not checked: {unchecked} of {}. The checks take some seconds at most, and tell nothing where rounding hides \
                 a gradient or products overflow or underflow.",
                checks.found.len()
            );
            blocks.push(Block::Paragraph(vec![words(text)]));
        }
        blocks
    }

    fn torch(&self, torch: &torch::TorchComparison) -> Vec<Block> {
        let columns = vec![
            (words("node"), Align::Left),
            (words("value: difference"), Align::Right),
            (words("gradient: difference"), Align::Right),
            (words("largest gradient"), Align::Right),
            (words("verdict"), Align::Left),
        ];
        let row = |line: &torch::TorchLine| {
            vec![
                self.name(line.variable),
                self.error(line.value),
                line.gradient.map_or_else(|| words(""), |gradient| self.error(gradient)),
                line.gradient.map_or_else(|| words(""), |_| math(self.number(line.largest))),
                words(match line.agrees {
                    Some(true) => "agrees",
                    Some(false) => "DIFFERS",
                    None => "cannot tell",
                }),
            ]
        };
        let largest = vec![
            words(
                "The largest absolute differences of autograd's numbers to ours, both in float64. Of all gradients: ",
            ),
            self.error(torch.largest()),
            words(". They agree where none is more than rounding explains."),
        ];
        let mut blocks = vec![
            Block::Table { columns, rows: torch.lines.iter().map(row).collect() },
            Block::Paragraph(largest),
        ];
        if torch.agrees().is_none() {
            let text = format!(
                "Nothing can be told where rounding may move much, where products overflow or underflow, and of gradients \
                 behind one of the {} pre-activations that are 0 but for rounding: PyTorch, which adds in another order, may \
                 have them on the other side of relu's kink.",
                self.found.near_kinks()
            );
            blocks.push(Block::Paragraph(vec![words(text)]));
        }
        blocks
    }

    fn device(&self, device: &crate::backprop::device::DeviceComparison) -> Vec<Block> {
        let columns = vec![
            (words("node"), Align::Left),
            (words("value: difference"), Align::Right),
            (words("relative"), Align::Right),
            (words("gradient: difference"), Align::Right),
            (words("relative"), Align::Right),
        ];
        let relative = |difference: f64, largest: f64| match largest {
            0.0 => words(""),
            _ => self.error(difference / largest),
        };
        let row = |line: &crate::backprop::device::DeviceLine| {
            vec![
                self.name(line.variable),
                self.error(line.value),
                relative(line.value, line.largest_value),
                line.gradient.map_or_else(|| words(""), |gradient| self.error(gradient)),
                line.gradient.map_or_else(|| words(""), |gradient| relative(gradient, line.largest_gradient)),
            ]
        };
        let how = vec![
            words(format!(
                "Computed on {}. The largest absolute differences to float64, and relative to the largest entry: float32 rounds by ",
                device.device
            )),
            self.error(UNIT),
            words(" of a number at each operation."),
        ];
        vec![Block::Table { columns, rows: device.lines.iter().map(row).collect() }, Block::Paragraph(how)]
    }
}
