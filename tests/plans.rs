//! What a plan does and leaves undone: fused instructions, shared memory, dead nodes.

use cotangent::autodiff::{gradient, vjp};
use cotangent::exec::Plan;
use cotangent::exec::instruction::{Step, Work};
use cotangent::graph::NodeId;
use cotangent::model::{Activation, Network, Perceptron};
use cotangent::ops::{Builder, Draw, Graph, Op, Reduction, Rule, Var};

use crate::support::ORACLE;
use crate::support::random_graph::random_graph;

/// The instructions that compute some nodes, each as the operations it does: `matmul add relu`.
fn instructions(graph: &Graph, outputs: &[NodeId]) -> Vec<String> {
    let plan = Plan::new(graph, outputs, &[], 0);
    let steps = |steps: &[Step]| -> Vec<&'static str> {
        let name = |step: &Step| match step {
            Step::Unary(unary, _) => unary.name(),
            Step::Binary(binary, ..) => binary.name(),
        };
        steps.iter().map(name).collect()
    };
    let describe = |work: &Work, output: NodeId| match work {
        Work::Operation => graph[output].op.name().into(),
        Work::Fill(value) => format!("fill {value}"),
        Work::Elementwise(program) => steps(&program.steps).join(" "),
        Work::Product { matmul, start, epilogue, .. } => {
            let start = start.map_or(&[][..], |_| &["from row"]);
            let epilogue = epilogue.as_ref().map(|program| steps(&program.steps)).unwrap_or_default();
            [&[matmul.name()][..], start, &epilogue].concat().join(" ")
        }
        Work::CrossEntropy { .. } => "loss and gradient".into(),
    };
    plan.instructions().iter().map(|instruction| describe(&instruction.work, instruction.output)).collect()
}

/// The instructions for one output.
fn instructions_for(build: impl for<'g> Fn(&'g Builder) -> Var<'g>) -> Vec<String> {
    let builder = Builder::new();
    let output = build(&builder).id().unwrap();
    instructions(&builder.finish().unwrap(), &[output])
}

fn perceptron(dropout: f64) -> Perceptron {
    Perceptron { widths: vec![7, 6, 5, 3], activation: Activation::Relu, dropout }
}

/// The outputs of a training step.
fn results(network: &Network) -> Vec<NodeId> {
    [&[network.losses, network.logits()][..], &network.gradients].concat()
}

#[test]
fn a_linear_layer_with_bias_and_relu_is_one_instruction() {
    let layer = instructions_for(|builder| {
        let (x, w, b) = (builder.input("x", [4, 7]), builder.input("w", [5, 7]), builder.input("b", [5]));
        (x.matmul_nt(w) + b).relu()
    });
    assert_eq!(layer, ["matmul_nt from row relu"]);
}

#[test]
fn relus_mask_is_applied_in_the_backward_product() {
    // V̄ = (Ȳ W) · step(relu(V)).
    let builder = Builder::new();
    let (x, w) = (builder.input("x", [4, 7]), builder.input("w", [5, 7]));
    let (u, adjoint) = (builder.input("u", [3, 5]), builder.input("adjoint", [4, 3]));
    let v = x.matmul_nt(w);
    let y = v.relu().matmul_nt(u);
    let found = vjp(y, adjoint, &[v, u]);
    let outputs = [v, u].map(|var| found.of(var).unwrap().id().unwrap());
    let found = instructions(&builder.finish().unwrap(), &outputs);
    assert_eq!(found, ["matmul_nt relu", "matmul_tn", "matmul step mul"]);
}

#[test]
fn a_training_step_is_the_fewest_instructions() {
    let network = perceptron(0.0).training(4).unwrap();
    let mut found = instructions(&network.graph, &results(&network));
    found.sort_unstable();
    let expected = [
        "loss and gradient",
        // Hidden adjoints with ReLU's mask, and no product for the adjoint of the images.
        "matmul step mul",
        "matmul step mul",
        "matmul_nt from row",
        "matmul_nt from row relu",
        "matmul_nt from row relu",
        // Three weights, three biases.
        "matmul_tn",
        "matmul_tn",
        "matmul_tn",
        "sum",
        "sum",
        "sum",
    ];
    assert_eq!(found, expected);
}

#[test]
fn dropout_costs_a_mask_and_a_loop_forwards_and_nothing_backwards() {
    let network = perceptron(0.5).training(4).unwrap();
    let found = instructions(&network.graph, &results(&network));
    let count = |name: &str| found.iter().filter(|found| *found == name).count();
    // What ReLU leaves is needed before the mask (forwards it is multiplied, backwards it is the
    // kink's side), so it is kept and the product with the mask is a loop of its own.
    assert_eq!([count("dropout_mask"), count("mul")], [2, 2], "{found:?}");
    assert_eq!(count("matmul mul step mul"), 2, "{found:?}");
    assert_eq!(found.len(), 12 + 4, "{found:?}");
}

#[test]
fn the_loss_alone_needs_no_gradient() {
    let network = perceptron(0.5).inference(4).unwrap();
    let found = instructions(&network.graph, &[network.losses, network.logits()]);
    assert_eq!(
        found,
        ["matmul_nt from row relu", "matmul_nt from row relu", "matmul_nt from row", "softmax_cross_entropy"]
    );
}

#[test]
fn a_gradient_that_is_not_the_plain_one_is_not_taken_for_it() {
    // Each row's loss has a weight of its own; the fused instruction knows one scale for all.
    let builder = Builder::new();
    let (logits, labels, w) =
        (builder.input("z", [4, 3]), builder.input("labels", [4]), builder.input("w", [4]));
    let losses = logits.softmax_cross_entropy(labels);
    let [of_logits] = gradient((losses * w).sum(), [logits]);
    let outputs = [losses.id().unwrap(), of_logits.id().unwrap()];
    let found = instructions(&builder.finish().unwrap(), &outputs);
    assert_eq!(found, ["softmax_cross_entropy", "mul", "softmax", "one_hot", "sub mul"]);
}

#[test]
fn broadcasts_and_constants_cost_no_instruction() {
    let found = instructions_for(|builder| {
        let (x, row) = (builder.input("x", [4, 5]), builder.input("row", [5]));
        let (number, column) = (builder.input("number", []), builder.input("column", [4]));
        let rows = column.broadcast_along(&[1], [4, 5]);
        let two = builder.constant(3.0) - 1.0;
        ((2.0 * x + row) * rows - number) / (two * 0.5)
    });
    assert_eq!(found, ["mul add mul sub div"]);
}

#[test]
fn a_constant_that_somebody_asks_for_is_filled_in() {
    assert_eq!(instructions_for(|builder| builder.constant(3.0).broadcast_to([4]) * 2.0), ["fill 6"]);
    let product = instructions_for(|builder| {
        builder.input("x", [2, 3]).matmul(builder.constant(1.0).broadcast_to([3, 4]))
    });
    assert_eq!(product, ["fill 1", "matmul"]);
}

#[test]
fn constants_that_compare_in_odd_ways_are_told_apart() {
    // NaN is not equal to itself; 0 and −0 are equal, but not what is divided by them.
    let builder = Builder::new();
    let x = builder.input("x", [2]);
    let outputs = [x + f64::NAN, (x / 0.0).sigmoid() - (x / -0.0).sigmoid()].map(|y| y.id().unwrap());
    let x = x.id().unwrap();
    let graph = builder.finish().unwrap();
    let found = (ORACLE.evaluate)(&graph, &vec![(x, vec![1.0, 2.0])], &outputs, Draw::default());
    assert!(found[0].iter().all(|x| x.is_nan()), "{found:?}");
    assert_eq!(found[1], [1.0; 2]);
}

#[test]
fn a_broadcast_along_no_axis_is_read_as_it_is() {
    let builder = Builder::new();
    let mut outputs = Vec::new();
    let mut inputs = Vec::new();
    for extents in [&[][..], &[2], &[2, 1]] {
        let x = builder.input("x", extents);
        let broadcast = Reduction::Broadcast { axes: Vec::new(), shape: extents.into() };
        outputs.push((builder.apply(Op::Reduction(broadcast), &[x]) * 3.0).id().unwrap());
        inputs.push((x.id().unwrap(), vec![2.0; x.shape().size()]));
    }
    let graph = builder.finish().unwrap();
    let found = (ORACLE.evaluate)(&graph, &inputs, &outputs, Draw::default());
    assert_eq!(found, [vec![6.0], vec![6.0; 2], vec![6.0; 2]]);
}

#[test]
fn what_two_instructions_need_is_computed_once_and_kept() {
    let found = instructions_for(|builder| {
        let (x, w) = (builder.input("x", [4, 5]), builder.input("w", [5, 4]));
        let y = x.sin();
        let product = y.matmul(w);
        product.exp() * product.sum() + y.sum()
    });
    assert_eq!(found, ["sin", "matmul", "sum", "sum", "exp mul add"]);
}

#[test]
fn nodes_that_no_output_needs_are_left_out() {
    let builder = Builder::new();
    let x = builder.input("x", [4]);
    let wanted = x.sin();
    let _unwanted = wanted.exp().sum() * x.softmax().sum();
    let id = wanted.id().unwrap();
    assert_eq!(instructions(&builder.finish().unwrap(), &[id]), ["sin"]);
}

#[test]
fn long_chains_are_cut_before_registers_run_out() {
    // A tree of 32 inputs under elementwise operations: more values than a program has registers.
    let found = instructions_for(|builder| {
        let mut layer: Vec<Var> = (0..32).map(|i| builder.input("x", [5]) * f64::from(i + 2)).collect();
        while layer.len() > 1 {
            layer = layer.chunks(2).map(|pair| pair[0].sin() - pair[1].exp()).collect();
        }
        layer[0]
    });
    assert!(found.len() > 1 && found.len() < 20, "{found:?}");
    let steps: usize = found.iter().map(|instruction| instruction.split(' ').count()).sum();
    assert_eq!(steps, 32 + 31 * 3, "every operation once");
}

#[test]
fn values_that_live_at_different_times_share_memory() {
    let network = perceptron(0.0);
    let network = Perceptron { widths: vec![20; 12], ..network }.training(32).unwrap();
    let outputs = results(&network);
    let plan = Plan::new(&network.graph, &outputs, &[], 0);
    let lasting = network.graph.iter().filter(|(id, node)| node.op.arity() == 0 || outputs.contains(id));
    let lasting: usize = lasting.map(|(_, node)| node.shape.size().next_multiple_of(16)).sum();
    let layer = 32 * 20;
    // The ten hidden layers are kept for the way back; on it, adjoints and layers take turns.
    assert!(plan.arena() <= lasting + 13 * layer, "{} elements, {lasting} of them to stay", plan.arena());
}

#[test]
fn no_instruction_reads_memory_that_another_value_has_taken() {
    for seed in 0..300 {
        let program = random_graph(seed);
        let builder = Builder::extend(program.graph);
        let mut outputs = vec![program.loss];
        for &x in &program.variables {
            let [of_x] = gradient(builder.var(program.loss), [builder.var(x)]);
            outputs.push(of_x.id().unwrap());
        }
        let graph = builder.finish().unwrap();
        let plan = Plan::new(&graph, &outputs, &[], 0);
        let mut owners: Vec<Option<NodeId>> = vec![None; plan.arena()];
        for (input, _) in &program.inputs {
            owners[plan.place(*input)].fill(Some(*input));
        }
        for instruction in plan.instructions() {
            let writes: Vec<NodeId> = instruction.writes().collect();
            for node in instruction.reads(&graph) {
                let intact = owners[plan.place(node)].iter().all(|owner| *owner == Some(node));
                assert!(intact, "seed {seed}: {:?} reads {node:?} after it was overwritten", writes[0]);
            }
            for &node in &writes {
                owners[plan.place(node)].fill(Some(node));
            }
            for node in instruction.reads(&graph).into_iter().chain(writes) {
                let intact = owners[plan.place(node)].iter().all(|owner| *owner == Some(node));
                assert!(
                    intact,
                    "seed {seed}: an instruction writes over {node:?}, its own operand or result"
                );
            }
        }
        for &output in &outputs {
            let intact = owners[plan.place(output)].iter().all(|owner| *owner == Some(output));
            assert!(intact, "seed {seed}: the output {output:?} was overwritten");
        }
    }
}
