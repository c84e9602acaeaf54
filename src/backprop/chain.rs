//! The graph of the chain, and one pass over it: value and gradient of every node.
//!
//! ```text
//! V1 = W1 X,  V2 = relu(V1),  V3 = W2 V2,  V4 = relu(V3),  V5 = W3 V4,  D = Y − V5,  z = ½‖D‖²
//! ```
//!
//! and so on for other numbers of layers; behind the last weight there is no relu. Nothing is simplified: the nodes
//! are those that the operations' own rules append.

use std::ops::Range;

use super::rules::{Notation, Rules};
use super::sensitivity::{self, Rounding};
use super::{BackpropError, Checks, Matrix, Problem};
use crate::autodiff::vjp;
use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::{Builder, Draw, Graph, Var};

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

/// The chain at a problem's numbers, differentiated.
#[derive(Clone, Debug)]
pub struct Backprop {
    /// X, Y, the weights, then the nodes in evaluation order; z is the last.
    pub variables: Vec<Variable>,
    /// The same gradients in other ways.
    pub checks: Checks,
    /// The chain, and behind it its gradients.
    pub graph: Graph,
    /// Nodes of the chain alone: X to z.
    pub(super) primal: Range<usize>,
    /// What stands before each relu, by position in `variables`: its kink is where that is 0.
    pub(super) pre_activations: Vec<usize>,
    /// For each of these, how many entries are 0 but for rounding.
    near_kinks: Vec<usize>,
}

impl Backprop {
    /// Computes everything, and checks it.
    ///
    /// ```
    /// use cotangent::backprop::{Backprop, Problem};
    ///
    /// let found = Backprop::of(&Problem::random(&[5, 4, 3, 2], 50, 0)?)?;
    /// let v4 = found.variable("V4").unwrap();
    /// assert_eq!(found.rule(v4).unwrap(), "V4.g = W3ᵀ V5.g");
    /// assert_eq!(v4.gradient.as_ref().unwrap().extents(), "3×50");
    /// assert_eq!(found.checks.agree(), Some(true));
    /// # Ok::<(), cotangent::backprop::BackpropError>(())
    /// ```
    ///
    /// # Errors
    /// When a number overflows: the first node where one does is named.
    pub fn of(problem: &Problem) -> Result<Self, BackpropError> {
        let (graph, mut variables, primal, pre_activations) = build(problem)?;
        let mut values = Interpreter::<f64>::new(&graph);
        set_inputs(&mut values, &variables, problem);
        values.run(0..graph.len(), Draw::default());
        for variable in &mut variables {
            let (rows, columns) = graph[variable.node].shape.rows_and_columns();
            let matrix = |node| Matrix { rows, columns, values: values.get(node).to_vec() };
            (variable.value, variable.gradient) = (matrix(variable.node), variable.gradient_node.map(matrix));
        }
        let near_kinks = sensitivity::fill_in(&graph, &mut variables, &pre_activations);
        let overflows = |matrix: &Matrix| matrix.values.iter().any(|x| !x.is_finite());
        if let Some(variable) = variables.iter().find(|variable| overflows(&variable.value)) {
            return Err(BackpropError::Overflow { node: format!("{}.v", variable.name) });
        }
        let backwards = variables.iter().rev();
        if let Some(variable) = backwards.into_iter().find(|v| v.gradient.as_ref().is_some_and(overflows)) {
            return Err(BackpropError::Overflow { node: format!("{}.g", variable.name) });
        }
        let checks = Checks::default();
        let mut found =
            Self { variables, checks, graph: Graph::default(), primal, pre_activations, near_kinks };
        found.checks = Checks::of(&found, &graph, &mut values);
        drop(values);
        found.graph = graph;
        Ok(found)
    }

    /// z = ½‖D‖².
    pub fn value(&self) -> f64 {
        self.variables.last().map_or(f64::NAN, |z| z.value.values[0])
    }

    /// The variable of this name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// What a variable is computed from, such as `W3 V4`, as text; nothing for what is given.
    pub fn definition(&self, variable: &Variable) -> Option<String> {
        self.definition_in(variable, Notation::Text)
    }

    /// What a variable's gradient is computed from, such as `V4.g = W3ᵀ V5.g`, as text; nothing for the data.
    pub fn rule(&self, variable: &Variable) -> Option<String> {
        self.rule_in(variable, Notation::Text)
    }

    /// As [`Self::definition`], in the notation asked for.
    pub fn definition_in(&self, variable: &Variable, notation: Notation) -> Option<String> {
        let rules = Rules { found: self, notation };
        (!variable.is_input).then(|| rules.expression(variable.node))
    }

    /// As [`Self::rule`], in the notation asked for.
    pub fn rule_in(&self, variable: &Variable, notation: Notation) -> Option<String> {
        let rules = Rules { found: self, notation };
        let gradient = notation.gradient(&variable.name);
        variable.gradient_node.map(|node| format!("{gradient} = {}", rules.expression(node)))
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

/// Gives the inputs their values.
pub(super) fn set_inputs(values: &mut Interpreter<'_, f64>, variables: &[Variable], problem: &Problem) {
    let matrices = [problem.x(), problem.y()].into_iter().chain(problem.weights());
    for (variable, matrix) in variables.iter().zip(matrices) {
        values.set(variable.node, &matrix.values);
    }
}

type Built = (Graph, Vec<Variable>, Range<usize>, Vec<usize>);

fn build(problem: &Problem) -> Result<Built, BackpropError> {
    let builder = Builder::new();
    let input = |name: &str, matrix: &Matrix| builder.input(name, [matrix.rows, matrix.columns]);
    let mut vars: Vec<(String, Var<'_>)> = Vec::new();
    let (x, y) = (input("X", problem.x()), input("Y", problem.y()));
    vars.extend([("X".into(), x), ("Y".into(), y)]);
    for (layer, weight) in (1..).zip(problem.weights()) {
        let name = format!("W{layer}");
        vars.push((name.clone(), input(&name, weight)));
    }
    let inputs = vars.len();
    let weights: Vec<Var<'_>> = vars[2..].iter().map(|&(_, weight)| weight).collect();
    let (mut hidden, mut number, mut pre_activations) = (x, 1, Vec::new());
    for (layer, &weight) in weights.iter().enumerate() {
        hidden = weight.matmul(hidden);
        vars.push((format!("V{number}"), hidden));
        number += 1;
        if layer + 1 < weights.len() {
            pre_activations.push(vars.len() - 1);
            hidden = hidden.relu();
            vars.push((format!("V{number}"), hidden));
            number += 1;
        }
    }
    let d = y - hidden;
    let z = 0.5 * (d * d).sum();
    vars.extend([("D".into(), d), ("z".into(), z)]);
    for (name, var) in &vars {
        var.named(name.as_str());
    }
    let primal = 0..builder.graph().len();
    // The gradient that reverse mode begins with, as a node: z.g = 1.
    let adjoints = vjp(z, builder.constant(1.0), &weights);
    let gradient = |var: Var<'_>| adjoints.of(var).and_then(Var::id);
    let places: Vec<(String, Option<NodeId>, Option<NodeId>)> =
        vars.iter().map(|(name, var)| (name.clone(), var.id(), gradient(*var))).collect();
    let graph = builder.finish()?;
    let variable =
        |(position, (name, node, gradient_node)): (usize, (String, Option<NodeId>, Option<NodeId>))| {
            let empty = Matrix { rows: 0, columns: 0, values: Vec::new() };
            let is_input = position < inputs;
            // Every handle of a graph without a mistake has a node.
            let rounding = Rounding::default();
            node.map(|node| Variable {
                name,
                node,
                gradient_node,
                value: empty,
                gradient: None,
                is_input,
                rounding,
            })
        };
    let variables = places.into_iter().enumerate().filter_map(variable).collect();
    Ok((graph, variables, primal, pre_activations))
}
