//! What a gradient costs: a formula of a million operations, its value alone and its value with the gradient.
//!
//! ```sh
//! cargo bench --bench gradient
//! ```
//!
//! By the cheap gradient principle (Griewank and Walther 2008, section 3.3) the second takes at most five times the first.

use cotangent::autodiff::vjp;
use cotangent::exec::Interpreter;
use cotangent::graph::NodeId;
use cotangent::ops::{Builder, Draw, Graph, Op, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const OPERATIONS: usize = 1_000_000;
const INPUTS: usize = 8;

/// A formula over a few inputs, and the nodes of the inputs, the value and the gradient.
fn formula() -> (Graph, Vec<NodeId>, usize) {
    let builder = Builder::new();
    let inputs: Vec<Var<'_>> = (0..INPUTS).map(|_| builder.input("x", [])).collect();
    let mut y = inputs[0];
    while builder.graph().len() < OPERATIONS {
        for &x in &inputs {
            y = (y * x + x.sin()) / (2.0 + (y * y));
        }
    }
    let value = builder.graph().len();
    vjp(y, builder.constant(1.0), &inputs);
    let inputs = inputs.iter().filter_map(|x| x.id()).collect();
    (builder.finish().expect("all nodes are scalars"), inputs, value)
}

fn gradient(criterion: &mut Criterion) {
    let (graph, inputs, value) = formula();
    let operations = |nodes: usize| {
        graph.iter().take(nodes).filter(|(_, node)| !matches!(node.op, Op::Leaf(_))).count() as u64
    };
    let mut values = Interpreter::<f64>::new(&graph);
    for (i, &input) in inputs.iter().enumerate() {
        values.set(input, &[0.3 + 0.1 * i as f64]);
    }
    let mut group = criterion.benchmark_group("formula of 10^6 operations");
    group.sample_size(20);
    for (name, nodes) in [("value", value), ("value and gradient", graph.len())] {
        group.throughput(Throughput::Elements(operations(nodes)));
        group.bench_function(name, |bencher| bencher.iter(|| values.run(0..nodes, Draw::default())));
    }
}

criterion_group!(benches, gradient);
criterion_main!(benches);
