//! The graph of the chain, and one pass over it.

use std::ops::Range;

use super::chain::{Backprop, Rounding, Variable};
use super::checks::{GradientChecks, check};
use super::error::BackpropError;
use super::problem::{Matrix, Problem};
use super::sensitivity;
use crate::autodiff::vjp;
use crate::exec::Interpreter;
use crate::ops::{Builder, Draw, Function, Graph, Var};

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
        let checks = GradientChecks::default();
        let mut found =
            Self { variables, checks, graph: Graph::default(), primal, pre_activations, near_kinks };
        found.checks = check(&found, &graph, &mut values);
        drop(values);
        found.graph = graph;
        Ok(found)
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
    let (names, nodes): (Vec<String>, Vec<Var<'_>>) = vars.into_iter().unzip();
    let with_gradients: Vec<_> = nodes.iter().map(|&var| (var, adjoints.of(var))).collect();
    let Function { graph, outputs, .. } = builder.finish(nodes[..inputs].to_vec(), with_gradients)?;
    let variable = |(position, (name, (node, gradient_node)))| Variable {
        name,
        node,
        gradient_node,
        value: Matrix { rows: 0, columns: 0, values: Vec::new() },
        gradient: None,
        is_input: position < inputs,
        rounding: Rounding::default(),
    };
    let variables = names.into_iter().zip(outputs).enumerate().map(variable).collect();
    Ok((graph, variables, primal, pre_activations))
}
