//! Properties of random programs: derivatives agree in both modes and with differences, fusion
//! changes nothing, float32 rounds and does no more.
//!
//! A failure prints the seed and the program; `random_graph(seed)` builds it again.

use cotangent::autodiff::{gradient, jvp, vjp};
use cotangent::exec::instruction::Work;
use cotangent::exec::{Plan, Wanted};
use cotangent::graph::{NodeId, Shape};
use cotangent::ops::{
    self, Binary, Builder, Classification, Draw, Function, Graph, Op, Reduction, Rule, Tree, Unary, Var,
};

use crate::support::random_graph::{RandomGraph, random_graph};
use crate::support::*;

const SEEDS: u64 = 400;
const DRAW: Draw = Draw { seed: 3, step: 8 };

/// Runs a property on the programs of all seeds; a failure names the seed and prints the program.
fn for_all_seeds(property: impl Fn(&Differentiated) -> Result<(), String>) {
    for seed in 0..SEEDS {
        let differentiated = Differentiated::of(seed);
        if let Err(problem) = property(&differentiated) {
            panic!("seed {seed}: {problem}\n{}", listing(&differentiated.graph));
        }
    }
}

/// A random program with its first and second derivatives along a random direction.
struct Differentiated {
    graph: Graph,
    /// Each variable with its direction; and the labels.
    inputs: (Vec<(NodeId, NodeId)>, Vec<NodeId>),
    variables: Vec<Vec<f64>>,
    directions: Vec<Vec<f64>>,
    labels: Vec<Vec<f64>>,
    loss: NodeId,
    slope: NodeId,
    gradient: Vec<NodeId>,
    /// The Hessian times the direction, in two orders of modes.
    curvature: [Vec<NodeId>; 2],
    /// What is zero where a function has its kink, with its tangent.
    kinks: Vec<(NodeId, Option<NodeId>)>,
}

impl Differentiated {
    fn of(seed: u64) -> Self {
        let builder = Builder::new();
        let RandomGraph { variables, labels, loss } = random_graph(&builder, seed);
        let mut random = Random::new(!seed);
        let has_kink = |op: &Op| {
            let unary = matches!(op, Op::Unary(Unary::Relu | Unary::Abs | Unary::Step | Unary::Sign));
            unary || matches!(op, Op::Binary(Binary::Max | Binary::Min | Binary::Above))
        };
        let kinked = builder.graph().clone();
        let kinked = kinked.iter().filter(|(_, node)| has_kink(&node.op));
        // Two operands have their kink where they are equal.
        let of_kinks = kinked.map(|(_, node)| match node.inputs[..] {
            [a, b] => builder.var(a) - builder.var(b),
            _ => builder.var(node.inputs[0]),
        });
        let of_kinks: Vec<Var> = of_kinks.collect();
        let (wrt, variables): (Vec<Var>, Vec<_>) = variables.into_iter().unzip();
        let (labels, their_values): (Vec<Var>, Vec<_>) = labels.into_iter().unzip();
        let moving: Vec<(Var, Var)> =
            wrt.iter().map(|&x| (x, builder.input("direction", x.shape()))).collect();
        let directions = wrt.iter().map(|x| random.values(x.shape().size(), -1.0, 1.0)).collect();
        let zero = |x: Var| builder.constant(0.0).broadcast_to(x.shape());
        let tangents = jvp(&of_kinks, &moving);
        let kinks: Vec<(Var, Option<Var>)> = of_kinks.into_iter().zip(tangents).collect();
        let slope = jvp(&[loss], &moving)[0].unwrap_or(builder.constant(0.0));
        let adjoints = vjp(loss, builder.constant(1.0), &wrt);
        let of_variables: Vec<Var> = wrt.iter().map(|&x| adjoints.of(x).unwrap_or_else(|| zero(x))).collect();
        let forward = jvp(&of_variables, &moving).into_iter().zip(&wrt);
        let forward: Vec<Var> = forward.map(|(t, &x)| t.unwrap_or_else(|| zero(x))).collect();
        let along =
            of_variables.iter().zip(&moving).map(|(&adjoint, &(_, direction))| (adjoint * direction).sum());
        let along = along.fold(builder.constant(0.0), |sum, term| sum + term);
        let reverse: Vec<Var> = wrt.iter().map(|&x| gradient(along, [x])[0]).collect();
        let outputs = (loss, slope, of_variables, [forward, reverse], kinks);
        let Function { graph, inputs, outputs, .. } = builder.finish((moving, labels), outputs).unwrap();
        let (loss, slope, gradient, curvature, kinks) = outputs;
        let labels = their_values;
        Self { graph, inputs, variables, directions, labels, loss, slope, gradient, curvature, kinks }
    }

    /// The values of some nodes, with these of the variables.
    fn at<O>(&self, variables: &[Vec<f64>], executor: &Executor, nodes: O) -> O::With<Vec<f64>>
    where
        O: Tree<NodeId> + Clone,
    {
        let moving = views(variables).into_iter().zip(views(&self.directions)).collect();
        let (graph, inputs) = (self.graph.clone(), self.inputs.clone());
        let function = Function { graph, inputs, outputs: nodes, stores: Vec::new() };
        executor.call_with(&function, (moving, views(&self.labels)), DRAW)
    }

    fn evaluate<O: Tree<NodeId> + Clone>(&self, executor: &Executor, nodes: O) -> O::With<Vec<f64>> {
        self.at(&self.variables, executor, nodes)
    }

    fn difference(&self, nodes: &[NodeId]) -> Vec<f64> {
        slope(|t| {
            let along = self.variables.iter().zip(&self.directions);
            let there: Vec<Vec<f64>> = along.map(|(x, direction)| moved(x, direction, t)).collect();
            self.at(&there, &ORACLE, nodes.to_vec()).concat()
        })
    }

    /// Whether the differences step over a kink: an operand of relu or abs that comes to zero, operands of max that come together.
    fn near_a_kink(&self) -> bool {
        self.evaluate(&ORACLE, self.kinks.clone()).iter().any(|(operand, tangent)| {
            let steps = operand.iter().zip(tangent.iter().flatten());
            steps.into_iter().any(|(u, du)| *du != 0.0 && u.abs() <= 4.0 * STEP * du.abs())
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
        .flat_map(|seed| {
            let builder = Builder::new();
            random_graph(&builder, seed);
            builder.graph().iter().map(|(_, node)| node.op.name()).collect::<Vec<_>>()
        })
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
        let slope = program.evaluate(&ORACLE, program.slope);
        let gradient = program.evaluate(&ORACLE, program.gradient.clone());
        compare("⟨x̄, ẋ⟩ against ż", &[inner_product(&gradient, &program.directions)], &slope, 1e-11)?;
        let [forward, reverse] =
            program.curvature.clone().map(|nodes| program.evaluate(&ORACLE, nodes).concat());
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
        let plan = Plan::new(&program.graph, Wanted::outputs(&results));
        let rounds_otherwise =
            |work: &Work| matches!(work, Work::CrossEntropy { .. } | Work::Product { start: Some(_), .. });
        let same_arithmetic =
            !plan.instructions().iter().any(|instruction| rounds_otherwise(&instruction.work));
        for executor in executors() {
            let plain = program.evaluate(&executor, everything.clone());
            for (&node, fused) in results.iter().zip(program.evaluate(&executor, results.clone())) {
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
    let values = program.evaluate(single, everything);
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
    let result = builder.apply(op.clone(), &inputs);
    let function = builder.finish(inputs, result).unwrap();
    executor.call_with(&function, operands.iter().map(|x| &x[..]).collect(), DRAW)
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
