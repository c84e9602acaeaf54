//! The second section: a chain of matrices, its graph, every value and gradient, and how well they agree.

use super::found::Study;
use super::parts::{DIGITS, figure, made_here, paragraph, section};
use crate::backprop::format::{diagram, page};
use crate::backprop::{MatrixNotation, Variable};
use crate::document::Block;
use crate::report::{Content, Part, Section};

pub(super) fn section_of(study: &Study<'_>) -> Section {
    let results = &study.matrices;
    let drawing = diagram(results, DIGITS).svg();
    let caption = "The computational graph: each node with its definition and the rule of its gradient, each edge with the \
                   shape of what flows along it. X and Y are data and have no gradient.";
    let command = "cotangent backprop --seed 0";
    let mut parts = vec![
        paragraph(
            "The same two modes work on matrices: a product passes its gradient on by two products, relu by a mask. Each \
             rule below is read off the graph that reverse mode made.",
        ),
        figure("matrix-graph", Content::Svg(drawing), caption, &made_here(study, command)),
    ];
    let mut matrices = Vec::new();
    for block in page(results, MatrixNotation::Latex, DIGITS, None) {
        match block {
            Block::Matrix(_) => matrices.push(Part::Block(block)),
            other => {
                parts.extend(folded(study, std::mem::take(&mut matrices)));
                parts.push(Part::Block(other));
            }
        }
    }
    parts.extend(folded(study, matrices));
    if results.torch.is_none() {
        parts.push(paragraph(
            "cotangent backprop --check-torch, or cotangent report --check-torch, puts PyTorch's gradients of the same numbers \
             beside these.",
        ));
    }
    section("matrices", "Backpropagation through matrices", parts)
}

/// The matrices of each variable, value and gradient, folded under its definition.
fn folded(study: &Study<'_>, matrices: Vec<Part>) -> Vec<Part> {
    let found = study.matrices.found;
    let mut matrices = matrices.into_iter().peekable();
    let mut parts = Vec::new();
    let summary = |variable: &Variable| {
        let definition =
            found.definition(variable).map_or(String::new(), |definition| format!(" = {definition}"));
        let what = if variable.gradient.is_some() { "value and gradient" } else { "value" };
        format!("{}{definition}, {}: {what}", variable.name, variable.value.extents())
    };
    for variable in &found.variables {
        let count = 1 + usize::from(variable.gradient.is_some());
        let of_variable: Vec<Part> = matrices.by_ref().take(count).collect();
        if !of_variable.is_empty() {
            parts.push(Part::Details { summary: summary(variable), parts: of_variable });
        }
    }
    parts
}
