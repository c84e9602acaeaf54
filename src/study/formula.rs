//! The first section: a formula, its graph, both traces and the checks.

use super::found::Study;
use super::parts::{DIGITS, figure, made_here, paragraph, section};
use crate::report::{Content, Part, Section};
use crate::scalar::format::{Notation, diagram, page};

pub(super) fn section_of(study: &Study<'_>) -> Section {
    let trace = study.trace;
    let point: Vec<String> = trace.point.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let command = format!("cotangent trace \"{}\" --at {}", trace.expression, point.join(","));
    let drawing = diagram(trace, Notation::Griewank, DIGITS).svg();
    let caption = "The computational graph: each node with its value and its adjoint, each edge with the local partial \
                   derivative. A node's adjoint is the sum over its edges of the partial times the adjoint at the edge's \
                   end.";
    let mut parts = vec![
        paragraph(
            "Every formula is a graph of elementary operations. Forward mode carries tangents along it, one sweep for \
             each input; reverse mode carries adjoints back, one sweep for all inputs.",
        ),
        figure("formula-graph", Content::Svg(drawing), caption, &made_here(study, &command)),
    ];
    parts.extend(page(trace, Notation::Latex, DIGITS, None).into_iter().map(Part::Block));
    section("formula", "Differentiating a formula", parts)
}
