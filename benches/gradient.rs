//! What a gradient costs: a formula of a million operations, its value alone and its value with the gradient.
//!
//! ```sh
//! cargo bench --bench gradient              # two lines: time, operations a second
//! cargo bench --bench gradient -- --test    # once, and nothing is claimed
//! ```
//!
//! By the cheap gradient principle (Griewank and Walther 2008, section 3.3) the second takes at most five times the first.

#[path = "figures/mod.rs"]
mod figures;

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use cotangent::autodiff::vjp;
use cotangent::exec::Interpreter;
use cotangent::graph::NodeId;
use cotangent::ops::{Builder, Draw, Function, Op, Var};
use figures::{Asked, Mode, Stopwatch, median, seconds_of, spread};

const OPERATIONS: usize = 1_000_000;
const INPUTS: usize = 8;

/// A formula over a few inputs with its gradient, and where the nodes of its value end.
fn formula() -> (Function<Vec<NodeId>, Vec<NodeId>>, usize) {
    let builder = Builder::new();
    let inputs: Vec<Var<'_>> = (0..INPUTS).map(|_| builder.input("x", [])).collect();
    let mut y = inputs[0];
    while builder.graph().len() < OPERATIONS {
        for &x in &inputs {
            y = (y * x + x.sin()) / (2.0 + (y * y));
        }
    }
    let value = builder.graph().len();
    let adjoints = vjp(y, builder.constant(1.0), &inputs);
    let gradient: Vec<Var<'_>> = inputs.iter().map(|&x| adjoints.get(x)).collect();
    (builder.finish(inputs, gradient).expect("all nodes are scalars"), value)
}

fn gradient(measures: bool) {
    let (Function { graph, inputs, .. }, value) = formula();
    let operations =
        |nodes: usize| graph.iter().take(nodes).filter(|(_, node)| !matches!(node.op, Op::Leaf(_))).count();
    let mut values = Interpreter::<f64>::new(&graph);
    for (i, &input) in inputs.iter().enumerate() {
        values.set(input, &[0.3 + 0.1 * i as f64]);
    }
    let watch = Stopwatch::new(21, Duration::from_millis(20), Duration::from_millis(200));
    let mut of_value = f64::NAN;
    for (name, nodes) in [("value", value), ("value and gradient", graph.len())] {
        let mut seconds =
            |calls| Ok::<f64, Infallible>(seconds_of(calls, || values.run(0..nodes, Draw::default())));
        if !measures {
            let Ok(_) = seconds(1);
            println!("{name} runs");
            continue;
        }
        let Ok(samples) = watch.take(seconds);
        let seconds = median(&samples);
        of_value = if of_value.is_nan() { seconds } else { of_value };
        println!(
            "{name:<20} {:>8.2} ms ±{:>2.0}% {:>8.1} million operations/s {:>6.2} times the value",
            1e3 * seconds,
            50.0 * spread(&samples),
            1e-6 * operations(nodes) as f64 / seconds,
            seconds / of_value,
        );
    }
}

fn main() -> ExitCode {
    match Asked::of_command_line() {
        Ok(asked) if asked.mode == Mode::List => println!("gradient"),
        Ok(asked) => gradient(asked.measures()),
        Err(problem) => {
            eprintln!("gradient bench: {problem}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
