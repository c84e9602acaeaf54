//! What a plan does and leaves undone: fused instructions, shared memory, dead nodes.

use cotangent::autodiff::{gradient, vjp};
use cotangent::exec::instruction::{ProgramStep, Work};
use cotangent::exec::{Plan, Wanted};
use cotangent::graph::NodeId;
use cotangent::nn::{self, Activation, Sequential};
use cotangent::ops::{Builder, Function, Op, Reduction, Rule, Tree, Var};
use cotangent::step;

use crate::support::random_graph::random_graph;
use crate::support::steps::{Training, training};

/// The instructions that compute a function's outputs, each as the operations it does: `matmul add relu`.
fn instructions<I, O: Tree<NodeId> + Clone>(function: &Function<I, O>) -> Vec<String> {
    let graph = &function.graph;
    let plan = Plan::new(
        graph,
        Wanted { stores: &function.stores, ..Wanted::outputs(&function.outputs.clone().leaves()) },
    );
    let steps = |steps: &[ProgramStep]| -> Vec<&'static str> {
        let name = |step: &ProgramStep| match step {
            ProgramStep::Unary(unary, _) => unary.name(),
            ProgramStep::Binary(binary, ..) => binary.name(),
        };
        steps.iter().map(name).collect()
    };
    let describe = |work: &Work, output: NodeId| match work {
        Work::Operation => graph[output].op.name().into(),
        Work::Fill(value) => format!("fill {value}"),
        Work::Copy(_) => "copy".into(),
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

/// The instructions for one output of these inputs.
fn instructions_for<const N: usize>(
    inputs: [&[usize]; N],
    build: impl for<'g> Fn([Var<'g>; N]) -> Var<'g>,
) -> Vec<String> {
    let builder = Builder::new();
    let inputs = inputs.map(|shape| builder.input("x", shape));
    instructions(&builder.finish(inputs, build(inputs)).unwrap())
}

fn perceptron(dropout: f64) -> Sequential {
    nn::perceptron(&[7, 6, 5, 3], Activation::Relu, dropout)
}

/// What a step on four images computes before it moves anything.
fn losses_and_gradients(dropout: f64) -> Function<impl Tree<NodeId>, (NodeId, NodeId, Vec<NodeId>)> {
    let Training { graph, inputs, outputs: (losses, layers, gradients), stores } =
        training(&perceptron(dropout), 4).unwrap();
    Function { graph, inputs, outputs: (losses, layers[layers.len() - 1], gradients), stores }
}

#[test]
fn a_linear_layer_with_bias_and_relu_is_one_instruction() {
    let layer = instructions_for([&[4, 7], &[5, 7], &[5]], |[x, w, b]| (x.matmul_nt(w) + b).relu());
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
    let found = builder.finish([x, w, u, adjoint], [v, u].map(|var| found.get(var))).unwrap();
    let found = instructions(&found);
    assert_eq!(found, ["matmul_nt relu", "matmul_tn", "matmul step mul"]);
}

#[test]
fn a_training_step_is_the_fewest_instructions() {
    let mut found = instructions(&losses_and_gradients(0.0));
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
    let found = instructions(&losses_and_gradients(0.5));
    let count = |name: &str| found.iter().filter(|found| *found == name).count();
    // What ReLU leaves is needed before the mask (forwards it is multiplied, backwards it is the
    // kink's side), so it is kept and the product with the mask is a loop of its own.
    assert_eq!([count("dropout_mask"), count("mul")], [2, 2], "{found:?}");
    assert_eq!(count("matmul mul step mul"), 2, "{found:?}");
    assert_eq!(found.len(), 12 + 4, "{found:?}");
}

#[test]
fn the_loss_alone_needs_no_gradient() {
    let found = instructions(&step::evaluation(&perceptron(0.5), 4).unwrap());
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
    let found = instructions(&builder.finish([logits, labels, w], [losses, of_logits]).unwrap());
    assert_eq!(found, ["softmax_cross_entropy", "mul", "softmax", "one_hot", "sub mul"]);
}

#[test]
fn broadcasts_and_constants_cost_no_instruction() {
    let found = instructions_for([&[4, 5], &[5], &[], &[4]], |[x, row, number, column]| {
        let rows = column.broadcast_along(&[1], [4, 5]);
        let two = x.builder().constant(3.0) - 1.0;
        ((2.0 * x + row) * rows - number) / (two * 0.5)
    });
    assert_eq!(found, ["mul add mul sub div"]);
}

#[test]
fn a_constant_that_somebody_asks_for_is_filled_in() {
    let builder = Builder::new();
    let six = builder.finish((), builder.constant(3.0).broadcast_to([4]) * 2.0).unwrap();
    assert_eq!(instructions(&six), ["fill 6"]);
    let product = instructions_for([&[2, 3]], |[x]| x.matmul(x.builder().constant(1.0).broadcast_to([3, 4])));
    assert_eq!(product, ["fill 1", "matmul"]);
}

#[test]
fn constants_that_compare_in_odd_ways_are_told_apart() {
    // NaN is not equal to itself; 0 and −0 are equal, but not what is divided by them.
    let builder = Builder::new();
    let x = builder.input("x", [2]);
    let outputs = [x + f64::NAN, (x / 0.0).sigmoid() - (x / -0.0).sigmoid()];
    let found = builder.finish(x, outputs).unwrap().call(&[1.0, 2.0]).unwrap();
    assert!(found[0].iter().all(|x: &f64| x.is_nan()), "{found:?}");
    assert_eq!(found[1], [1.0; 2]);
}

#[test]
fn a_broadcast_along_no_axis_is_read_as_it_is() {
    let builder = Builder::new();
    let inputs = [&[][..], &[2], &[2, 1]].map(|extents| builder.input("x", extents));
    let outputs = inputs.map(|x| {
        let broadcast = Reduction::Broadcast { axes: Vec::new(), shape: x.shape() };
        builder.apply(Op::Reduction(broadcast), &[x]) * 3.0
    });
    let found = builder.finish(inputs, outputs).unwrap().call([&[2.0], &[2.0; 2], &[2.0; 2]]).unwrap();
    assert_eq!(found, [vec![6.0], vec![6.0; 2], vec![6.0; 2]]);
}

#[test]
fn what_two_instructions_need_is_computed_once_and_kept() {
    let found = instructions_for([&[4, 5], &[5, 4]], |[x, w]| {
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
    assert_eq!(instructions(&builder.finish(x, wanted).unwrap()), ["sin"]);
}

#[test]
fn long_chains_are_cut_before_registers_run_out() {
    // A tree of 32 inputs under elementwise operations: more values than a program has registers.
    let found = instructions_for([&[5]; 32], |inputs| {
        let mut layer: Vec<Var> = inputs.iter().zip(2..).map(|(&x, i)| x * f64::from(i)).collect();
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
    let network = training(&nn::perceptron(&[20; 12], Activation::Relu, 0.0), 32).unwrap();
    let (losses, layers, gradients) = network.outputs;
    let outputs = [&[losses, layers[layers.len() - 1]][..], &gradients].concat();
    let plan = Plan::new(&network.graph, Wanted::outputs(&outputs));
    let lasting = network.graph.iter().filter(|(id, node)| node.op.arity() == 0 || outputs.contains(id));
    let lasting: usize = lasting.map(|(_, node)| node.shape.size().next_multiple_of(16)).sum();
    let layer = 32 * 20;
    // The ten hidden layers are kept for the way back; on it, adjoints and layers take turns.
    assert!(plan.arena() <= lasting + 13 * layer, "{} elements, {lasting} of them to stay", plan.arena());
}

#[test]
fn no_instruction_reads_memory_that_another_value_has_taken() {
    for seed in 0..300 {
        let builder = Builder::new();
        let program = random_graph(&builder, seed);
        let mut outputs = vec![program.loss];
        outputs.extend(program.variables.iter().map(|&(x, _)| gradient(program.loss, [x])[0]));
        let inputs: Vec<Var> = program.variables.iter().chain(&program.labels).map(|&(x, _)| x).collect();
        let Function { graph, inputs, outputs, .. } = builder.finish(inputs, outputs).unwrap();
        let plan = Plan::new(&graph, Wanted::outputs(&outputs));
        let mut owners: Vec<Option<NodeId>> = vec![None; plan.arena()];
        for &input in &inputs {
            owners[plan.place(input)].fill(Some(input));
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
