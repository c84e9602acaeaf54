//! The chain with value and gradient of every node. `solve.rs` builds its graph and passes over it.
//!
//! ```text
//! V1 = W1 X,  V2 = relu(V1),  V3 = W2 V2,  V4 = relu(V3),  V5 = W3 V4,  D = Y − V5,  z = ½‖D‖²
//! ```
//!
//! and so on for other numbers of layers; behind the last weight there is no relu. Nothing is simplified: the nodes
//! are those that the operations' own rules append.

use std::ops::Range;

use super::checks::GradientChecks;
use super::problem::Matrix;
use crate::graph::NodeId;
use crate::ops::Graph;

/// A matrix of the chain: data, a weight, a node on the way, or the result.
#[derive(Clone, Debug)]
pub struct Variable {
    /// X, Y, W1, …, V1, …, D or z.
    pub name: String,
    /// Its place in [`Backprop::graph`].
    pub node: NodeId,
    /// The node of its gradient; none for the data.
    pub gradient_node: Option<NodeId>,
    /// Its value; z is (1, 1).
    pub value: Matrix,
    /// The gradient of z by it, of the same shape; none for the data.
    pub gradient: Option<Matrix>,
    /// Whether it is given from outside.
    pub is_input: bool,
    /// How far its numbers may be wrong by rounding.
    pub rounding: Rounding,
}

/// How far the entries of a value and of its gradient may be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rounding {
    /// Of an entry of the value.
    pub value: f64,
    /// Of an entry of the gradient.
    pub gradient: f64,
}

/// The chain at a problem's numbers, differentiated.
#[derive(Clone, Debug)]
pub struct Backprop {
    /// X, Y, the weights, then the nodes in evaluation order; z is the last.
    pub variables: Vec<Variable>,
    /// The same gradients in other ways.
    pub checks: GradientChecks,
    /// The chain, and behind it its gradients.
    pub graph: Graph,
    /// Nodes of the chain alone: X to z.
    pub(super) primal: Range<usize>,
    /// What stands before each relu, by position in `variables`: its kink is where that is 0.
    pub(super) pre_activations: Vec<usize>,
    /// For each of these, how many entries are 0 but for rounding.
    pub(super) near_kinks: Vec<usize>,
}

impl Backprop {
    /// z = ½‖D‖².
    pub fn value(&self) -> f64 {
        self.variables.last().map_or(f64::NAN, |z| z.value.values[0])
    }

    /// The variable of this name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// How many pre-activations are 0 but for rounding: arithmetic in another order may put them on the other side of
    /// relu's kink.
    pub fn near_kinks(&self) -> usize {
        self.near_kinks.iter().sum()
    }

    /// Whether the gradient of a variable passes a relu whose pre-activation is 0 but for rounding.
    pub(super) fn passes_near_kink(&self, variable: &Variable) -> bool {
        let mut near = self.pre_activations.iter().zip(&self.near_kinks).filter(|(_, count)| **count > 0);
        near.any(|(&kink, _)| self.graph.ancestors(&[self.variables[kink].node])[variable.node.index()])
    }

    /// The operands of a variable, each as a position in [`Self::variables`]: an edge of the computational graph each.
    pub fn operands(&self, variable: &Variable) -> Vec<usize> {
        let mut operands = Vec::new();
        if variable.is_input {
            return operands;
        }
        let mut waiting = vec![variable.node];
        while let Some(node) = waiting.pop() {
            let inputs = self.graph[node].inputs.iter().rev();
            for &input in inputs {
                match self.variables.iter().position(|other| other.node == input) {
                    // ½‖D‖² uses D in both factors, and is drawn with one edge.
                    Some(operand) if operands.contains(&operand) => {}
                    Some(operand) => operands.push(operand),
                    None => waiting.push(input),
                }
            }
        }
        operands.reverse();
        operands
    }
}
