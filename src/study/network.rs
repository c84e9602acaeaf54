//! The architecture of the trained network, as a drawing and as formulas.

use crate::document::{Span, math, words};
use crate::draw::{Diagram, DiagramEdge, DiagramKind, DiagramLegend, DiagramNode};
use crate::train::Record;

/// The layers of a network: widths from the images to the classes.
pub(super) struct Layers {
    widths: Vec<usize>,
    activation: &'static str,
    batch: usize,
    parameters: usize,
}

impl Layers {
    /// The layers of a run's network; nothing where the run does not tell how large its images are.
    pub fn of(record: &Record) -> Option<Self> {
        let widths = record.setting.split(',').next()?;
        let widths: Vec<usize> = widths.split('-').map(|width| width.parse().ok()).collect::<Option<_>>()?;
        let options = &record.options;
        let of_layer = |pair: &[usize]| pair[0].checked_add(1)?.checked_mul(pair[1]);
        let parameters = widths.windows(2).try_fold(0_usize, |sum, pair| sum.checked_add(of_layer(pair)?))?;
        let (activation, batch) = (options.activation.name(), options.batch_size);
        (widths.len() >= 2).then_some(Self { widths, activation, batch, parameters })
    }

    fn last(&self) -> usize {
        self.widths.len() - 1
    }

    /// One equation a layer, and the objective.
    pub fn formulas(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (layer, pair) in (1..).zip(self.widths.windows(2)) {
            let affine = format!("h_{{{}}} W_{{{layer}}}^{{\\mathsf{{T}}}} + b_{{{layer}}}", layer - 1);
            let value = match layer == self.last() {
                true => format!("z = {affine}"),
                false => {
                    format!(r"h_{{{layer}}} = \operatorname{{{}}}\left({affine}\right)", self.activation)
                }
            };
            lines.push(format!(r"{value}, \qquad W_{{{layer}}} : {} \times {}", pair[1], pair[0]));
        }
        lines.push(format!(
            r"J = -\frac{{1}}{{B}} \sum_{{i=1}}^{{B}} \ln p_{{i, y_i}}, \qquad p_{{i,c}} = \frac{{\exp z_{{i,c}}}}{{\sum_{{k}} \exp z_{{i,k}}}}, \qquad B = {}",
            self.batch
        ));
        lines
    }

    /// What the network is, in a sentence.
    pub fn sentence(&self) -> Vec<Span> {
        vec![
            words(format!(
                "A network of {} layers with {} weights and biases reads an image as a row ",
                self.last(),
                self.parameters
            )),
            math("h_{0}"),
            words(format!(
                " of {} normalised pixels; its last layer gives {} logits, and softmax makes them probabilities. The \
                 objective is the mean cross-entropy.",
                self.widths[0],
                self.widths[self.last()]
            )),
        ]
    }

    /// The network as a graph on one batch.
    pub fn diagram(&self) -> Diagram {
        let mut nodes = vec![node("h0", "images", DiagramKind::Input)];
        let mut edges = Vec::new();
        let mut before = 0;
        let batch = |width: usize| format!("{}×{width}", self.batch);
        for (layer, pair) in (1..).zip(self.widths.windows(2)) {
            let weight = nodes.len();
            nodes.push(node(&format!("W{layer}, b{layer}"), "", DiagramKind::Input));
            let affine = format!("h{} W{layer}ᵀ + b{layer}", layer - 1);
            let here = nodes.len();
            let (name, definition) = match layer == self.last() {
                true => ("z".to_owned(), affine),
                false => (format!("h{layer}"), format!("{}({affine})", self.activation)),
            };
            nodes.push(node(&name, &definition, DiagramKind::Inner));
            edges.push(DiagramEdge { from: before, to: here, label: batch(pair[0]) });
            edges.push(DiagramEdge {
                from: weight,
                to: here,
                label: format!("{}×{}, {}", pair[1], pair[0], pair[1]),
            });
            before = here;
        }
        let (labels, objective) = (nodes.len(), nodes.len() + 1);
        nodes.push(node("y", "labels", DiagramKind::Input));
        nodes.push(node("J", "mean cross-entropy", DiagramKind::Output));
        edges.push(DiagramEdge { from: before, to: objective, label: batch(self.widths[self.last()]) });
        edges.push(DiagramEdge { from: labels, to: objective, label: self.batch.to_string() });
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        Diagram {
            title: format!("The network {}", widths.join("-")),
            subtitle: Some(format!(
                "{} weights and biases, on a batch of {} images",
                self.parameters, self.batch
            )),
            nodes,
            edges,
            legend: DiagramLegend { edges: "shape", ..DiagramLegend::default() },
        }
    }
}

fn node(name: &str, definition: &str, kind: DiagramKind) -> DiagramNode {
    DiagramNode { name: name.into(), definition: definition.into(), kind, ..DiagramNode::default() }
}
