//! Graphs carried out on CUDA devices: the emulated ones in turn, or the real card.

use std::cell::Cell;

use cotangent::exec::cuda::{Launching, Products, evaluate};
use cotangent::graph::NodeId;
use cotangent::ops::{Draw, Graph};

use super::{Executor, Inputs};
use crate::kernels::support::{Run, SCHEDULES, chain, gpus, on_real_card};

/// Captured as a CUDA graph, and one kernel at a time.
pub fn executors() -> [Executor; 2] {
    // A card's own functions have errors of up to 4 units in the last place, 8 times half of one (CUDA C++
    // Programming Guide, "Mathematical Functions"); the emulator's are the C library's, under one unit.
    let epsilon = f64::from(f32::EPSILON) / 2.0 * if on_real_card() { 8.0 } else { 1.0 };
    [
        Executor { name: "cuda, captured graph", epsilon, evaluate: captured },
        Executor { name: "cuda, kernel by kernel", epsilon, evaluate: launched },
    ]
}

fn captured(graph: &Graph, inputs: &Inputs, outputs: &[NodeId], draw: Draw) -> Vec<Vec<f64>> {
    on_device(graph, inputs, outputs, draw, Launching::Graph)
}

fn launched(graph: &Graph, inputs: &Inputs, outputs: &[NodeId], draw: Draw) -> Vec<Vec<f64>> {
    on_device(graph, inputs, outputs, draw, Launching::Launches)
}

fn on_device(
    graph: &Graph,
    inputs: &Inputs,
    outputs: &[NodeId],
    draw: Draw,
    launching: Launching,
) -> Vec<Vec<f64>> {
    thread_local! {
        static CALLS: Cell<usize> = const { Cell::new(0) };
    }
    let call = CALLS.replace(CALLS.get() + 1);
    let gpus = gpus();
    let run = Run::new(&gpus[call % gpus.len()], call / gpus.len() % SCHEDULES, call as u64);
    let narrowed: Vec<(NodeId, Vec<f32>)> =
        inputs.iter().map(|(id, values)| (*id, values.iter().map(|&x| x as f32).collect())).collect();
    let inputs: Vec<(NodeId, &[f32])> = narrowed.iter().map(|(id, values)| (*id, &values[..])).collect();
    let found = evaluate(&run.gpu.device, graph, &inputs, outputs, draw, (launching, Products::F32));
    let values = found.unwrap_or_else(|error| panic!("{} on {}", chain(&error), run.gpu.device.name()));
    values.into_iter().map(|values| values.into_iter().map(f64::from).collect()).collect()
}
