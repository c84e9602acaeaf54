//! Properties of random programs: derivatives agree in both modes and with differences, fusion
//! changes nothing, float32 rounds and does no more.
//!
//! A failure prints the seed and the program; `random_graph(seed)` builds it again.

use cotangent::autodiff::{gradient, jvp, vjp};
use cotangent::exec::Plan;
use cotangent::exec::instruction::Work;
use cotangent::graph::{NodeId, Shape};
use cotangent::ops::{self, Binary, Builder, Classification, Draw, Graph, Op, Reduction, Rule, Unary, Var};

use crate::support::random_graph::{RandomGraph, random_graph};
use crate::support::*;

const SEEDS: u64 = 400;
const DRAW: Draw = Draw { seed: 3, step: 8 };

/// Runs a property on the programs of all seeds; a failure names the seed and prints the program.
fn for_all_seeds(property: impl Fn(&Differentiated) -> Result<(), String>) {
    for seed in 0..SEEDS {
        let differentiated = Differentiated::of(random_graph(seed), seed);
        if let Err(problem) = property(&differentiated) {
            panic!("seed {seed}: {problem}\n{}", listing(&differentiated.graph));
        }
    }
}

/// A random program with its first and second derivatives along a random direction.
struct Differentiated {
    graph: Graph,
    inputs: Inputs,
    directions: Inputs,
    loss: NodeId,
    slope: NodeId,
    gradient: Vec<NodeId>,
    /// The Hessian times the direction, in two orders of modes.
    curvature: [Vec<NodeId>; 2],
    /// What is zero where a function has its kink, with its tangent.
    kinks: Vec<(NodeId, Option<NodeId>)>,
}

impl Differentiated {
    fn of(program: RandomGraph, seed: u64) -> Self {
        let RandomGraph { graph, mut inputs, variables, loss } = program;
        let mut random = Random::new(!seed);
        let has_kink = |op: &Op| {
            let unary = matches!(op, Op::Unary(Unary::Relu | Unary::Abs | Unary::Step | Unary::Sign));
            unary || matches!(op, Op::Binary(Binary::Max | Binary::Min | Binary::Above))
        };
        let kinked = graph.iter().filter(|(_, node)| has_kink(&node.op));
        let kinked: Vec<Vec<NodeId>> = kinked.map(|(_, node)| node.inputs.clone()).collect();
        let builder = Builder::extend(graph);
        let var = |id: NodeId| builder.var(id);
        let moving: Vec<(Var, Var)> =
            variables.iter().map(|&x| (var(x), builder.input("direction", var(x).shape()))).collect();
        let mut directions = Inputs::new();
        for (x, direction) in &moving {
            let values = random.values(x.shape().size(), -1.0, 1.0);
            directions.push((x.id().unwrap(), values.clone()));
            inputs.push((direction.id().unwrap(), values));
        }
        let wrt: Vec<Var> = moving.iter().map(|(x, _)| *x).collect();
        let zero = |x: Var| builder.constant(0.0).broadcast_to(x.shape());
        let id = |x: Var| x.id().unwrap();
        // Two operands have their kink where they are equal.
        let of_kinks = kinked.iter().map(|inputs| match inputs[..] {
            [a, b] => var(a) - var(b),
            _ => var(inputs[0]),
        });
        let of_kinks: Vec<Var> = of_kinks.collect();
        let tangents = jvp(&of_kinks, &moving);
        let kinks = of_kinks.into_iter().map(id).zip(tangents.into_iter().map(|t| t.map(id))).collect();
        let slope = jvp(&[var(loss)], &moving)[0].unwrap_or(builder.constant(0.0));
        let adjoints = vjp(var(loss), builder.constant(1.0), &wrt);
        let adjoints: Vec<Var> = wrt.iter().map(|&x| adjoints.of(x).unwrap_or_else(|| zero(x))).collect();
        let forward =
            jvp(&adjoints, &moving).into_iter().zip(&wrt).map(|(t, &x)| t.unwrap_or_else(|| zero(x)));
        let along =
            adjoints.iter().zip(&moving).map(|(&adjoint, &(_, direction))| (adjoint * direction).sum());
        let along = along.fold(builder.constant(0.0), |sum, term| sum + term);
        let reverse = wrt.iter().map(|&x| gradient(along, [x])[0]);
        let curvature = [forward.map(id).collect(), reverse.map(id).collect()];
        let (slope, gradient) = (id(slope), adjoints.into_iter().map(id).collect());
        let graph = builder.finish().unwrap();
        Self { graph, inputs, directions, loss, slope, gradient, curvature, kinks }
    }

    fn evaluate(&self, executor: &Executor, nodes: &[NodeId]) -> Vec<Vec<f64>> {
        (executor.evaluate)(&self.graph, &self.inputs, nodes, DRAW)
    }

    fn difference(&self, nodes: &[NodeId]) -> Vec<f64> {
        slope(|t| {
            (ORACLE.evaluate)(&self.graph, &moved(&self.inputs, &self.directions, t), nodes, DRAW).concat()
        })
    }

    /// Whether the differences step over a kink: an operand of relu or abs that comes to zero, operands of max that come together.
    fn near_a_kink(&self) -> bool {
        self.kinks.iter().any(|&(operand, tangent)| {
            let Some(tangent) = tangent else { return false };
            let values = self.evaluate(&ORACLE, &[operand, tangent]);
            values[0].iter().zip(&values[1]).any(|(u, du)| *du != 0.0 && u.abs() <= 4.0 * STEP * du.abs())
        })
    }

    /// Everything that somebody could ask for, apart.
    fn results(&self) -> Vec<NodeId> {
        let [forward, reverse] = &self.curvature;
        [&[self.loss, self.slope][..], &self.gradient, forward, reverse].concat()
    }
}

#[test]
fn random_graphs_and_their_derivatives_pass_the_shape_check() {
    for_all_seeds(|program| ops::check(&program.graph).map_err(|error| error.to_string()));
}

#[test]
fn random_graphs_use_every_operation() {
    let mut names: Vec<&str> = (0..SEEDS)
        .flat_map(|seed| random_graph(seed).graph.iter().map(|(_, node)| node.op.name()).collect::<Vec<_>>())
        .collect();
    names.sort_unstable();
    names.dedup();
    let others = [
        "input",
        "constant",
        "add",
        "sub",
        "mul",
        "div",
        "pow",
        "max",
        "min",
        "above",
        "hypot",
        "atan2",
        "direction",
        "inversion",
        "power_below",
        "power_below2",
        "power_log",
        "xlogy",
        "sum",
        "broadcast",
        "reshape",
        "transpose",
        "matmul",
        "matmul_nt",
        "matmul_tn",
        "matmul_tt",
        "softmax",
        "one_hot",
        "softmax_cross_entropy",
        "dropout_mask",
    ];
    let mut all: Vec<&str> = Unary::ALL.iter().map(|unary| unary.name()).chain(others).collect();
    all.sort_unstable();
    assert_eq!(names, all);
}

#[test]
fn both_modes_agree_with_each_other_and_with_differences_on_random_graphs() {
    let skipped = std::cell::Cell::new(0);
    for_all_seeds(|program| {
        let directions: Vec<Vec<f64>> = program.directions.iter().map(|(_, values)| values.clone()).collect();
        let slope = program.evaluate(&ORACLE, &[program.slope]).concat();
        let gradient = program.evaluate(&ORACLE, &program.gradient);
        compare("⟨x̄, ẋ⟩ against ż", &[inner_product(&gradient, &directions)], &slope, 1e-11)?;
        let [forward, reverse] =
            program.curvature.each_ref().map(|nodes| program.evaluate(&ORACLE, nodes).concat());
        compare("H ẋ in two orders of modes", &forward, &reverse, 1e-11)?;
        if program.near_a_kink() {
            skipped.set(skipped.get() + 1);
            return Ok(());
        }
        compare("ż against differences", &slope, &program.difference(&[program.loss]), 1e-8)?;
        compare("H ẋ against differences", &forward, &program.difference(&program.gradient), 1e-7)
    });
    assert!(skipped.get() < SEEDS / 10, "{} of {SEEDS} graphs stood near a kink", skipped.get());
}

#[test]
fn fusion_changes_no_value() {
    for_all_seeds(|program| {
        let results = program.results();
        // Every node an output: nothing is fused, nothing shares memory.
        let everything: Vec<NodeId> = program.graph.ids().collect();
        let plan = Plan::new(&program.graph, &results, &[], 0);
        let rounds_otherwise =
            |work: &Work| matches!(work, Work::CrossEntropy { .. } | Work::Product { start: Some(_), .. });
        let same_arithmetic =
            !plan.instructions().iter().any(|instruction| rounds_otherwise(&instruction.work));
        for executor in executors() {
            let plain = program.evaluate(&executor, &everything);
            for (&node, fused) in results.iter().zip(program.evaluate(&executor, &results)) {
                let plain = &plain[node.index()];
                let what = format!("node {} on {}", node.index(), executor.name);
                // The fused loss and gradient, and sums that start from a bias, round otherwise.
                let tolerance = if same_arithmetic { 0.0 } else { 1e4 * executor.epsilon };
                compare(&what, &fused, plain, tolerance)?;
            }
        }
        Ok(())
    });
}

#[test]
fn float32_is_float64_rounded_at_every_node() {
    // Each node is held against float64 on the same float32 operands, so that errors do not add up
    // and the tolerance is that of one operation.
    for single in &executors()[1..] {
        for_all_seeds(|program| rounds_and_does_no_more(program, single));
    }
}

fn rounds_and_does_no_more(program: &Differentiated, single: &Executor) -> Result<(), String> {
    let oracle = &ORACLE;
    let everything: Vec<NodeId> = program.graph.ids().collect();
    let values = program.evaluate(single, &everything);
    for (id, node) in program.graph.iter().filter(|(_, node)| !node.inputs.is_empty()) {
        let operands: Vec<&Vec<f64>> = node.inputs.iter().map(|operand| &values[operand.index()]).collect();
        let shapes: Vec<&Shape> = node.inputs.iter().map(|&operand| &program.graph[operand].shape).collect();
        let exact = alone(oracle, &node.op, &shapes, &operands);
        let magnitudes = magnitudes(oracle, &node.op, &shapes, &operands, &exact);
        let roundings = 8 + terms(&node.op, &shapes);
        for (position, &found) in values[id.index()].iter().enumerate() {
            let (exact, magnitude) = (exact[position], magnitudes[position]);
            let tolerance = roundings as f64 * single.epsilon * magnitude + f64::from(f32::MIN_POSITIVE);
            let agree = (found - exact).abs() <= tolerance;
            if !agree {
                let place = format!("element {position} of node {} on {}", id.index(), single.name);
                return Err(format!("{place} is {found}, not {exact}"));
            }
        }
    }
    Ok(())
}

/// One operation by itself.
fn alone(executor: &Executor, op: &Op, shapes: &[&Shape], operands: &[&Vec<f64>]) -> Vec<f64> {
    let builder = Builder::new();
    let inputs: Vec<Var> = shapes.iter().map(|&shape| builder.input("x", shape.clone())).collect();
    let result = builder.apply(op.clone(), &inputs).id().unwrap();
    let inputs = inputs.iter().map(|x| x.id().unwrap()).zip(operands.iter().map(|&x| x.clone())).collect();
    (executor.evaluate)(&builder.finish().unwrap(), &inputs, &[result], DRAW).concat()
}

/// What the rounding errors of each element are relative to: where terms may cancel, the sum of their
/// absolute values.
fn magnitudes(
    executor: &Executor,
    op: &Op,
    shapes: &[&Shape],
    operands: &[&Vec<f64>],
    exact: &[f64],
) -> Vec<f64> {
    let absolute: Vec<Vec<f64>> = operands.iter().map(|x| x.iter().map(|x| x.abs()).collect()).collect();
    let absolute: Vec<&Vec<f64>> = absolute.iter().collect();
    // In a softmax the error of z − max is relative to the logits, and becomes a factor; in a
    // cross-entropy it is added.
    let logits = absolute[0].iter().fold(1.0, |largest: f64, z| largest.max(*z));
    match op {
        Op::Reduction(Reduction::Sum { .. }) | Op::MatMul(_) => alone(executor, op, shapes, &absolute),
        Op::Binary(Binary::Add | Binary::Sub) => alone(executor, &Op::Binary(Binary::Add), shapes, &absolute),
        Op::Classification(Classification::Softmax) => exact.iter().map(|x| x * 2.0 * logits).collect(),
        Op::Classification(Classification::SoftmaxCrossEntropy) => vec![4.0 * logits; exact.len()],
        _ => exact.iter().map(|x| x.abs()).collect(),
    }
}

/// The length of an operation's sums.
fn terms(op: &Op, shapes: &[&Shape]) -> usize {
    match op {
        Op::Reduction(Reduction::Sum { axes }) => axes.iter().map(|&axis| shapes[0][axis]).product(),
        Op::MatMul(matmul) => matmul.extents(shapes[0], shapes[1]).k,
        Op::Classification(_) => shapes[0].rows_and_columns().1,
        _ => 1,
    }
}
