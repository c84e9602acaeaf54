//! Every operation, on every executor: its value against a plain computation, its derivatives against
//! each other and against differences, first and second order.
//!
//! An operation is a [`Case`] of the table; the bodies know none. Derivatives are taken with the
//! operation in the middle of a graph, between factors other than one, so that a rule that forgets
//! what flows in, or what flows out, fails.

mod derivatives;
mod table;

use cotangent::autodiff::{jvp, vjp};
use cotangent::graph::NodeId;
use cotangent::ops::{self, Builder, Function, Graph, Tree, Var};

use crate::support::*;
use table::{Case, DRAW, Values, draw_values, table};

#[test]
fn every_operation_computes_what_its_definition_says() {
    for case in table() {
        let mut random = Random::new(1);
        let values: Vec<Vec<f64>> =
            case.operands.iter().map(|operand| draw_values(&mut random, operand)).collect();
        let exact = (case.plain)(&values);
        let builder = Builder::new();
        let operands: Vec<Var> =
            case.operands.iter().map(|(shape, _)| builder.input("x", shape.clone())).collect();
        let function = builder.finish(operands.clone(), (case.build)(&operands)).unwrap();
        for executor in executors() {
            let found = executor.call_with(&function, views(&values), DRAW);
            assert_eq!(found.len(), exact.len(), "{} on {}", case.name, executor.name);
            for (position, (found, exact)) in found.iter().zip(&exact).enumerate() {
                let tolerance = case.roundings as f64 * executor.epsilon * exact.magnitude;
                assert!(
                    (found - exact.value).abs() <= tolerance,
                    "{} on {}: element {position} is {found}, not {}",
                    case.name,
                    executor.name,
                    exact.value
                );
            }
        }
    }
}

#[test]
fn nan_in_an_operand_reaches_the_result_of_every_operation() {
    for case in table() {
        let builder = Builder::new();
        let operands: Vec<Var> =
            case.operands.iter().map(|(shape, _)| builder.input("x", shape.clone())).collect();
        let result = (case.build)(&operands);
        let is_step = ["Step", "Sign", "Above"].iter().any(|name| case.name.starts_with(name)); // a number, whatever the operand
        if is_step || result.shape().size() == 0 {
            continue;
        }
        let function = builder.finish(operands, result).unwrap();
        for poisoned in (0..case.operands.len()).filter(|&k| case.operands[k].0.size() > 0) {
            let mut random = Random::new(3);
            let mut values: Vec<Vec<f64>> =
                case.operands.iter().map(|operand| draw_values(&mut random, operand)).collect();
            values[poisoned][0] = f64::NAN;
            for executor in executors() {
                let found = executor.call_with(&function, views(&values), DRAW);
                let reached = found.iter().any(|x| x.is_nan());
                assert!(reached, "operand {poisoned} of {} on {}: {found:?}", case.name, executor.name);
            }
        }
    }
}

/// A case's operation between other nodes, with all its derivatives:
/// `u = 1.25 x`, `y = operation(u)`, `z = 0.3 y² − 1.75 y`, and the loss ⟨w, z⟩.
struct Derivatives {
    graph: Graph,
    /// Each operand with its tangent, if it can move; and w.
    inputs: (Vec<(NodeId, Option<NodeId>)>, NodeId),
    values: Vec<(Vec<f64>, Option<Vec<f64>>)>,
    weights: Vec<f64>,
    z: NodeId,
    /// ż, forward.
    tangent: NodeId,
    /// x̄, reverse.
    adjoints: Vec<NodeId>,
    /// The loss's Hessian times ẋ: the tangent of x̄.
    forward_over_reverse: Vec<NodeId>,
    /// The same as the gradient of ⟨x̄, ẋ⟩.
    reverse_over_reverse: Vec<NodeId>,
}

impl Derivatives {
    fn of(case: &Case) -> Self {
        let mut random = Random::new(2);
        let builder = Builder::new();
        let (mut inputs, mut values, mut operands) = (Vec::new(), Vec::new(), Vec::new());
        for operand in &case.operands {
            let x = builder.input("x", operand.0.clone());
            let drawn = draw_values(&mut random, operand);
            if let Values::Labels(_) = operand.1 {
                operands.push(x);
                inputs.push((x, None));
                values.push((drawn, None));
            } else {
                let direction = random.values(drawn.len(), -1.0, 1.0);
                operands.push(x * 1.25);
                inputs.push((x, Some(builder.input("tangent", operand.0.clone()))));
                values.push((drawn.iter().map(|u| f64::from((u / 1.25) as f32)).collect(), Some(direction)));
            }
        }
        let y = (case.build)(&operands);
        let z = 0.3 * (y * y) - 1.75 * y;
        let w = builder.input("w", z.shape());
        let weights = random.values(z.shape().size(), 0.5, 1.5);

        let moving: Vec<(Var, Var)> =
            inputs.iter().filter_map(|&(x, tangent): &(Var, Option<Var>)| Some((x, tangent?))).collect();
        let wrt: Vec<Var> = moving.iter().map(|(x, _)| *x).collect();
        let all = |tangents: Option<Vec<_>>| tangents.unwrap_or_else(|| panic!("{}: no tangent", case.name));
        let tangent = all(jvp(&[z], &moving).into_iter().collect());
        let adjoints = vjp(z, w, &wrt);
        let adjoints: Vec<Var> = wrt.iter().map(|&x| adjoints.get(x)).collect();
        let forward_over_reverse = all(jvp(&adjoints, &moving).into_iter().collect());
        let products =
            adjoints.iter().zip(&moving).map(|(&adjoint, &(_, tangent))| (adjoint * tangent).sum());
        let along = products.reduce(|sum, product| sum + product).unwrap();
        let adjoints_of_adjoints = vjp(along, builder.constant(1.0), &wrt);
        let reverse_over_reverse: Vec<Var> = wrt.iter().map(|&x| adjoints_of_adjoints.get(x)).collect();
        let outputs = (z, tangent[0], adjoints, forward_over_reverse, reverse_over_reverse);
        let function = builder.finish((inputs, w), outputs).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let Function { graph, inputs, outputs, .. } = function;
        ops::check(&graph).unwrap();
        let (z, tangent, adjoints, forward_over_reverse, reverse_over_reverse) = outputs;
        Self {
            graph,
            inputs,
            values,
            weights,
            z,
            tangent,
            adjoints,
            forward_over_reverse,
            reverse_over_reverse,
        }
    }

    /// The values of some nodes, with other operands than those drawn.
    fn at<O>(
        &self,
        operands: Vec<(&[f64], Option<&[f64]>)>,
        executor: &Executor,
        nodes: O,
    ) -> O::With<Vec<f64>>
    where
        O: Tree<NodeId> + Clone,
    {
        let (graph, inputs) = (self.graph.clone(), self.inputs.clone());
        let function = Function { graph, inputs, outputs: nodes, stores: Vec::new() };
        executor.call_with(&function, (operands, &self.weights), DRAW)
    }

    fn evaluate<O: Tree<NodeId> + Clone>(&self, executor: &Executor, nodes: O) -> O::With<Vec<f64>> {
        let operands = self.values.iter().map(|(x, tangent)| (&x[..], tangent.as_deref())).collect();
        self.at(operands, executor, nodes)
    }

    /// The directions of the operands that move, in their order.
    fn directions(&self) -> Vec<Vec<f64>> {
        self.values.iter().filter_map(|(_, direction)| direction.clone()).collect()
    }

    /// How some nodes change, one after the other, as the operands that move go in the given directions.
    fn slope(&self, nodes: &[NodeId], directions: &[Vec<f64>]) -> Vec<f64> {
        slope(|t| {
            let mut directions = directions.iter();
            let mut step = |(x, tangent): &(Vec<f64>, Option<Vec<f64>>)| match tangent {
                Some(_) => moved(x, directions.next().unwrap(), t),
                None => x.clone(),
            };
            let there: Vec<Vec<f64>> = self.values.iter().map(&mut step).collect();
            let operands =
                there.iter().zip(&self.values).map(|(x, (_, tangent))| (&x[..], tangent.as_deref()));
            self.at(operands.collect(), &ORACLE, nodes.to_vec()).concat()
        })
    }
}

/// The error that differences leave.
const DIFFERENCES: f64 = 1e-8;

#[test]
fn forward_mode_and_reverse_mode_agree_with_each_other_and_with_differences() {
    for case in table().iter().filter(|case| case.smooth) {
        let derivatives = Derivatives::of(case);
        let directions = derivatives.directions();
        let along = derivatives.slope(&[derivatives.z], &directions);
        for executor in executors() {
            let what = |quantity: &str| format!("{} of {} on {}", quantity, case.name, executor.name);
            let rounding = 16.0 * case.roundings as f64 * executor.epsilon;
            let tangent = derivatives.evaluate(&executor, derivatives.tangent);
            let adjoints = derivatives.evaluate(&executor, derivatives.adjoints.clone());
            let forward: Vec<f64> = derivatives.weights.iter().zip(&tangent).map(|(w, t)| w * t).collect();
            let size: f64 = forward.iter().map(|term| term.abs()).sum();
            let difference = forward.iter().sum::<f64>() - inner_product(&adjoints, &directions);
            assert!(difference.abs() <= rounding * (1.0 + size), "{}: {difference}", what("⟨ȳ, ẏ⟩ − ⟨x̄, ẋ⟩"));
            assert_close(&what("the tangent"), &tangent, &along, DIFFERENCES + rounding);
            for (k, adjoint) in adjoints.iter().enumerate() {
                // Coordinate by coordinate; of long vectors the first ones.
                for (i, &adjoint) in adjoint.iter().enumerate().take(24) {
                    let mut unit: Vec<Vec<f64>> = directions.iter().map(|d| vec![0.0; d.len()]).collect();
                    unit[k][i] = 1.0;
                    let each = derivatives.slope(&[derivatives.z], &unit);
                    let expected: f64 = each.iter().zip(&derivatives.weights).map(|(dz, w)| dz * w).sum();
                    let tolerance = (DIFFERENCES + rounding) * (1.0 + size);
                    assert_close(&what("the adjoint"), &[adjoint], &[expected], tolerance);
                }
            }
        }
    }
}

#[test]
fn the_hessian_is_the_same_in_every_order_of_modes_and_by_differences_of_the_gradient() {
    for case in table().iter().filter(|case| case.smooth) {
        let derivatives = Derivatives::of(case);
        let directions = derivatives.directions();
        let expected = derivatives.slope(&derivatives.adjoints, &directions);
        for executor in executors() {
            let rounding = 64.0 * case.roundings as f64 * executor.epsilon;
            // H ẋ by one, Hᵀ ẋ by the other: their agreement is the Hessian's symmetry.
            for (order, nodes) in [
                ("forward over reverse", &derivatives.forward_over_reverse),
                ("reverse over reverse", &derivatives.reverse_over_reverse),
            ] {
                let found = derivatives.evaluate(&executor, nodes.clone()).concat();
                let what = format!("{order} of {} on {}", case.name, executor.name);
                assert_close(&what, &found, &expected, DIFFERENCES + rounding);
            }
        }
    }
}

#[test]
fn what_has_no_derivative_gives_no_tangent_and_no_adjoint() {
    for case in table().iter().filter(|case| !case.smooth) {
        let builder = Builder::new();
        let operands: Vec<Var> =
            case.operands.iter().map(|(shape, _)| builder.input("x", shape.clone())).collect();
        let y = (case.build)(&operands);
        let moving: Vec<(Var, Var)> = operands.iter().map(|&x| (x, x)).collect();
        assert!(jvp(&[y], &moving)[0].is_none(), "{}", case.name);
        assert!(operands.iter().all(|&x| vjp(y, y, &operands).of(x).is_none()), "{}", case.name);
        builder.finish(operands, y).unwrap();
    }
}
