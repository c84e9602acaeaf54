//! The rewrite against graphs written by hand (`steps`), against the graph that it rewrites (`graphs`), and in what it
//! decides.

mod graphs;
mod steps;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Input, Rewritten, rewrite};
use crate::autodiff::vjp;
use crate::graph::NodeId;
use crate::ops::{Builder, Function, Op, Var};
use crate::random::{Purpose, chacha};

/// Numbers of a seed.
struct Random(ChaCha8Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(chacha(seed, Purpose::Weights, 0))
    }

    fn below(&mut self, count: usize) -> usize {
        self.0.next_u32() as usize % count
    }

    /// In [-1, 1), exact in float32.
    fn number(&mut self) -> f64 {
        f64::from(self.0.next_u32() as i32 >> 8) / 2f64.powi(23)
    }

    fn numbers(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.number()).collect()
    }
}

/// Rewrites a function of images, in front, and other inputs.
fn rewritten(function: &Function<Vec<NodeId>, Vec<NodeId>>) -> Rewritten {
    let Function { graph, inputs, outputs, stores } = function;
    rewrite(graph, inputs, outputs, stores, (inputs[0], true))
}

fn transposed(rewritten: &Rewritten) -> Vec<bool> {
    rewritten.inputs.iter().map(|input| input.transposed).collect()
}

/// A network that multiplies by matrices in various ways, all 4 by 4, with the gradients stored if it is trained.
fn various(training: bool) -> Function<Vec<NodeId>, Vec<NodeId>> {
    let builder = Builder::new();
    let images = builder.input("images", [4, 4]);
    let names =
        ["as layers do", "transposed first", "not transposed", "first operand", "by a part", "no product"];
    let weights = names.map(|name| builder.input(name, [4, 4]));
    let [a, b, c, d, e, f] = weights;
    let hidden = (images.matmul_nt(a) + f).tanh().matmul(b.t()).tanh().matmul(c).tanh();
    let output = d.matmul_nt(hidden).matmul_nt((e + f).tanh());
    if training {
        let adjoints = vjp((output * output + a * a).sum(), builder.constant(1.0), &weights);
        weights.iter().for_each(|&weight| builder.store(weight - 0.1 * adjoints.get(weight), weight));
    }
    builder.finish([vec![images], weights.to_vec()].concat(), vec![output]).unwrap()
}

#[test]
fn the_first_product_that_reads_a_matrix_decides_in_training_as_in_evaluation() {
    let [training, evaluation] = [true, false].map(|training| transposed(&rewritten(&various(training))));
    assert_eq!(training, [false, true, true, false, false, false, false]);
    assert_eq!(evaluation, training);
}

#[test]
fn images_that_more_than_products_read_stay_as_they_are() {
    type Reader = for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>;
    let readers: [(&str, Reader, bool); 9] = [
        ("a layer", |images, w| images.matmul_nt(w), true),
        ("their transpose", |images, w| images.t().matmul_nt(w), true),
        ("two layers", |images, w| images.matmul_nt(w) + images.t().matmul(w), true),
        ("a layer and relu", |images, w| images.matmul_nt(w) + images.relu(), false),
        ("a sum", |images, w| images.matmul_nt(w) + images.sum_axes(&[0]), false),
        ("the second operand", |images, w| w.matmul(images), false),
        ("both operands", |images, w| images.matmul_nt(images) + w, false),
        ("nothing but what weights stand beside", |images, w| images.sin().matmul_nt(w) + images * w, false),
        ("another shape", |images, w| images.reshape([9]).reshape([3, 3]).matmul(w), false),
    ];
    for (what, reader, expected) in readers {
        let builder = Builder::new();
        let [images, w] = ["images", "w"].map(|name| builder.input(name, [3, 3]));
        let function = builder.finish(vec![images, w], vec![reader(images, w)]).unwrap();
        let found = rewritten(&function);
        assert_eq!(found.sparse.is_some(), expected, "{what}");
        assert!(!found.inputs[0].transposed, "{what}");
    }
    let builder = Builder::new();
    let [images, w] = ["images", "w"].map(|name| builder.input(name, [3, 3]));
    let function = builder.finish(vec![images, w], vec![images.matmul(w), images.t()]).unwrap();
    assert_eq!(rewritten(&function).sparse, None, "an output");
}

#[test]
fn all_that_stands_beside_weights_lies_as_they_do() {
    let builder = Builder::new();
    let [images, w, previous] = ["images", "w", "previous"].map(|name| builder.input(name, [3, 3]));
    let others = ["c", "d", "e"].map(|name| builder.input(name, [3, 3]));
    let [c, d, e] = others;
    // From w to c, back to d, and on to e.
    let sums = [(c * d).sum(), (d * e).sum(), (w * c).sum()];
    let loss = images.matmul_nt(w).tanh().sum();
    // The new gradient is beside w only because the old one is.
    let gradient = vjp(loss, builder.constant(1.0), &[w]).get(w);
    builder.store(0.5 * gradient, previous);
    builder.store(w - previous, w);
    let inputs = [vec![images, w, previous], others.to_vec()].concat();
    let found = rewritten(&builder.finish(inputs, sums.to_vec()).unwrap());
    assert_eq!(transposed(&found), [false, true, true, true, true, true]);
    assert!(!found.graph.iter().any(|(_, node)| matches!(node.op, Op::Layout(_))), "{}", found.graph);
}

#[test]
fn names_stay_with_their_values() {
    let builder = Builder::new();
    let inputs = [("images", vec![5, 4]), ("w", vec![3, 4]), ("bias", vec![3])];
    let [images, w, bias] = inputs.map(|(name, shape)| builder.input(name, shape));
    let layer = (images.matmul(w.t().named("turned")) + bias).named("layer");
    let decayed = (0.9 * w).named("decayed");
    builder.store(decayed, w);
    let function = builder.finish(vec![images, w, bias], vec![layer]).unwrap();
    let Rewritten { graph, inputs, outputs, stores, sparse } = rewritten(&function);
    let background = sparse.map(|sparse| sparse.background);
    let nodes =
        inputs.iter().map(|input| input.node).chain(background).chain(outputs).chain([stores[0].value]);
    let names: Vec<_> = nodes.map(|id| graph.name(id).unwrap()).collect();
    assert_eq!(names, ["images", "w", "bias", "background", "layer", "decayed"]);
    assert_eq!(graph.ids().filter(|&id| graph.name(id).is_some()).count(), names.len());
    assert_eq!(inputs[1], Input { node: stores[0].into, transposed: true });
}
