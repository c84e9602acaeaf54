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
use cotangent::ops::{self, Builder, Var};

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
        let inputs: Inputs = operands.iter().map(|x| x.id().unwrap()).zip(values).collect();
        let result = (case.build)(&operands).id().unwrap();
        let graph = builder.finish().unwrap();
        for executor in executors() {
            let found = &(executor.evaluate)(&graph, &inputs, &[result], DRAW)[0];
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
        let (ids, result): (Vec<NodeId>, _) =
            (operands.iter().map(|x| x.id().unwrap()).collect(), result.id().unwrap());
        let graph = builder.finish().unwrap();
        for poisoned in (0..ids.len()).filter(|&k| case.operands[k].0.size() > 0) {
            let mut random = Random::new(3);
            let mut inputs: Inputs = Vec::new();
            for (k, &id) in ids.iter().enumerate() {
                let mut values = draw_values(&mut random, &case.operands[k]);
                if k == poisoned {
                    values[0] = f64::NAN;
                }
                inputs.push((id, values));
            }
            for executor in executors() {
                let found = (executor.evaluate)(&graph, &inputs, &[result], DRAW).concat();
                let reached = found.iter().any(|x| x.is_nan());
                assert!(reached, "operand {poisoned} of {} on {}: {found:?}", case.name, executor.name);
            }
        }
    }
}

/// A case's operation between other nodes, with all its derivatives:
/// `u = 1.25 x`, `y = operation(u)`, `z = 0.3 y² − 1.75 y`, and the loss ⟨w, z⟩.
struct Derivatives {
    graph: ops::Graph,
    inputs: Inputs,
    directions: Inputs,
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
        let (mut inputs, mut directions) = (Inputs::new(), Inputs::new());
        let (mut operands, mut moving) = (Vec::new(), Vec::new());
        for operand in &case.operands {
            let x = builder.input("x", operand.0.clone());
            let values = draw_values(&mut random, operand);
            if let Values::Labels(_) = operand.1 {
                operands.push(x);
                inputs.push((x.id().unwrap(), values));
            } else {
                let tangent = builder.input("tangent", operand.0.clone());
                let direction = random.values(values.len(), -1.0, 1.0);
                operands.push(x * 1.25);
                moving.push((x, tangent));
                inputs.push((x.id().unwrap(), values.iter().map(|u| f64::from((u / 1.25) as f32)).collect()));
                inputs.push((tangent.id().unwrap(), direction.clone()));
                directions.push((x.id().unwrap(), direction));
            }
        }
        let y = (case.build)(&operands);
        let z = 0.3 * (y * y) - 1.75 * y;
        let w = builder.input("w", z.shape());
        let weights = random.values(z.shape().size(), 0.5, 1.5);
        inputs.push((w.id().unwrap(), weights.clone()));

        let wrt: Vec<Var> = moving.iter().map(|(x, _)| *x).collect();
        let found = |var: Option<Var>, what: &str| match var.and_then(|var| var.id()) {
            Some(id) => id,
            None => panic!("{}: no {what}", case.name),
        };
        let tangent = found(jvp(&[z], &moving)[0], "tangent");
        let adjoints = vjp(z, w, &wrt);
        let adjoints: Vec<Var> = wrt.iter().map(|&x| builder.var(found(adjoints.of(x), "adjoint"))).collect();
        let forward_over_reverse = jvp(&adjoints, &moving);
        let products =
            adjoints.iter().zip(&moving).map(|(&adjoint, &(_, tangent))| (adjoint * tangent).sum());
        let along = products.reduce(|sum, product| sum + product).unwrap();
        let reverse_over_reverse = vjp(along, builder.constant(1.0), &wrt);
        let ids = |vars: Vec<Option<Var>>, what| vars.into_iter().map(|var| found(var, what)).collect();
        let (z, adjoints) = (z.id().unwrap(), adjoints.iter().map(|x| x.id().unwrap()).collect());
        let forward_over_reverse = ids(forward_over_reverse, "tangent of the adjoint");
        let reverse_over_reverse =
            ids(wrt.iter().map(|&x| reverse_over_reverse.of(x)).collect(), "adjoint of the adjoint");
        let graph = builder.finish().unwrap();
        ops::check(&graph).unwrap();
        Self {
            graph,
            inputs,
            directions,
            weights,
            z,
            tangent,
            adjoints,
            forward_over_reverse,
            reverse_over_reverse,
        }
    }

    fn evaluate(&self, executor: &Executor, nodes: &[NodeId]) -> Vec<Vec<f64>> {
        (executor.evaluate)(&self.graph, &self.inputs, nodes, DRAW)
    }

    /// The values of some nodes, one after the other, as a curve along the given directions.
    fn slope(&self, nodes: &[NodeId], directions: &Inputs) -> Vec<f64> {
        slope(|t| (ORACLE.evaluate)(&self.graph, &moved(&self.inputs, directions, t), nodes, DRAW).concat())
    }
}

/// The error that differences leave.
const DIFFERENCES: f64 = 1e-8;

#[test]
fn forward_mode_and_reverse_mode_agree_with_each_other_and_with_differences() {
    for case in table().iter().filter(|case| case.smooth) {
        let derivatives = Derivatives::of(case);
        let along = derivatives.slope(&[derivatives.z], &derivatives.directions);
        for executor in executors() {
            let what = |quantity: &str| format!("{} of {} on {}", quantity, case.name, executor.name);
            let rounding = 16.0 * case.roundings as f64 * executor.epsilon;
            let tangent = derivatives.evaluate(&executor, &[derivatives.tangent]).concat();
            let adjoints = derivatives.evaluate(&executor, &derivatives.adjoints);
            let directions: Vec<Vec<f64>> = derivatives.directions.iter().map(|(_, v)| v.clone()).collect();
            let forward: Vec<f64> = derivatives.weights.iter().zip(&tangent).map(|(w, t)| w * t).collect();
            let size: f64 = forward.iter().map(|term| term.abs()).sum();
            let difference = forward.iter().sum::<f64>() - inner_product(&adjoints, &directions);
            assert!(difference.abs() <= rounding * (1.0 + size), "{}: {difference}", what("⟨ȳ, ẏ⟩ − ⟨x̄, ẋ⟩"));
            assert_close(&what("the tangent"), &tangent, &along, DIFFERENCES + rounding);
            for ((x, direction), adjoint) in derivatives.directions.iter().zip(&adjoints) {
                // Coordinate by coordinate; of long vectors the first ones.
                for (i, &adjoint) in adjoint.iter().enumerate().take(24) {
                    let unit = (0..direction.len()).map(|j| f64::from(u8::from(i == j))).collect();
                    let each = derivatives.slope(&[derivatives.z], &vec![(*x, unit)]);
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
        let expected = derivatives.slope(&derivatives.adjoints, &derivatives.directions);
        for executor in executors() {
            let rounding = 64.0 * case.roundings as f64 * executor.epsilon;
            // H ẋ by one, Hᵀ ẋ by the other: their agreement is the Hessian's symmetry.
            for (order, nodes) in [
                ("forward over reverse", &derivatives.forward_over_reverse),
                ("reverse over reverse", &derivatives.reverse_over_reverse),
            ] {
                let found = derivatives.evaluate(&executor, nodes).concat();
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
        builder.finish().unwrap();
    }
}
