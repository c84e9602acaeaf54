//! The architecture of the trained network, as a drawing and as formulas.

use crate::document::{Span, math, words};
use crate::draw::{Diagram, DiagramEdge, DiagramKind, DiagramLegend, DiagramNode};
use crate::graph::Shape;
use crate::nn::{Equation, LayerFormula, Model, Sequential, perceptron};
use crate::runs::Record;

/// The layers of a network.
pub(super) struct Layers {
    network: Sequential,
    batch: usize,
}

impl Layers {
    /// The layers of a run's network; nothing where the run does not tell how large its images are.
    pub fn of(record: &Record) -> Option<Self> {
        let options = &record.options;
        let network = perceptron(&record.about.widths()?, options.activation, options.dropout);
        Some(Self { network, batch: options.batch_size })
    }

    /// One equation a layer, and the objective.
    pub fn formulas(&self) -> Vec<String> {
        let weights = |(name, shape): &(LayerFormula, Shape)| {
            (shape.len() > 1).then(|| format!(r"{} : {}", name.latex, extents(shape, r" \times ")))
        };
        let line = |Equation { name, value, parameters, .. }: Equation| {
            let weights: Vec<String> = parameters.iter().filter_map(weights).collect();
            format!(r"{} = {}, \qquad {}", name.latex, value.latex, weights.join(r", \quad "))
        };
        let mut lines: Vec<String> = self.network.equations().into_iter().map(line).collect();
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
                self.network.outputs().len(),
                self.network.parameter_count()
            )),
            math("h_{0}"),
            words(format!(
                " of {} normalised pixels; its last layer gives {} logits, and softmax makes them probabilities. The \
                 objective is the mean cross-entropy.",
                self.network.input().size(),
                self.network.classes()
            )),
        ]
    }

    /// The network as a graph on one batch.
    pub fn diagram(&self) -> Diagram {
        let mut nodes = vec![node("h0", "images", DiagramKind::Input)];
        let mut edges = Vec::new();
        let mut before = 0;
        let batch = |shape: &Shape| extents(&[&[self.batch], &shape[..]].concat(), "×");
        for Equation { name, value, parameters, input, .. } in self.network.equations() {
            let weight = nodes.len();
            let (names, shapes): (Vec<String>, Vec<String>) =
                parameters.into_iter().map(|(name, shape)| (name.text, extents(&shape, "×"))).unzip();
            nodes.push(node(&names.join(", "), "", DiagramKind::Input));
            let here = nodes.len();
            nodes.push(node(&name.text, &value.text, DiagramKind::Inner));
            edges.push(DiagramEdge { from: before, to: here, label: batch(&input) });
            edges.push(DiagramEdge { from: weight, to: here, label: shapes.join(", ") });
            before = here;
        }
        let (labels, objective) = (nodes.len(), nodes.len() + 1);
        nodes.push(node("y", "labels", DiagramKind::Input));
        nodes.push(node("J", "mean cross-entropy", DiagramKind::Output));
        let logits = batch(&[self.network.classes()].into());
        edges.push(DiagramEdge { from: before, to: objective, label: logits });
        edges.push(DiagramEdge { from: labels, to: objective, label: self.batch.to_string() });
        Diagram {
            title: format!("The network {}", self.network.outline()),
            subtitle: Some(format!(
                "{} weights and biases, on a batch of {} images",
                self.network.parameter_count(),
                self.batch
            )),
            nodes,
            edges,
            legend: DiagramLegend { edges: "shape", ..DiagramLegend::default() },
        }
    }
}

/// `512×784`
fn extents(shape: &[usize], between: &str) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(between)
}

fn node(name: &str, definition: &str, kind: DiagramKind) -> DiagramNode {
    DiagramNode { name: name.into(), definition: definition.into(), kind, ..DiagramNode::default() }
}
