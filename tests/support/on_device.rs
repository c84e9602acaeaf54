//! Graphs carried out on CUDA devices: the emulated ones in turn, or the real card.

use std::cell::Cell;

use cotangent::exec::cuda::{CudaMode, Launching};
use cotangent::ops::Draw;

use super::{Executor, Flat, views};
use crate::kernels::support::{Run, SCHEDULES, chain, gpus, on_real_card};

/// Captured as a CUDA graph, and one kernel at a time.
pub fn executors() -> [Executor; 2] {
    // A card's own functions have errors of up to 4 units in the last place, 8 times half of one (CUDA C++
    // Programming Guide, "Mathematical Functions"); the emulator's are the C library's, under one unit.
    let epsilon = f64::from(f32::EPSILON) / 2.0 * if on_real_card() { 8.0 } else { 1.0 };
    [
        Executor { name: "cuda, captured graph", epsilon, run: captured },
        Executor { name: "cuda, kernel by kernel", epsilon, run: launched },
    ]
}

fn captured(function: &Flat, inputs: &[&[f64]], draw: Draw) -> Vec<Vec<f64>> {
    on_device(function, inputs, draw, Launching::Graph)
}

fn launched(function: &Flat, inputs: &[&[f64]], draw: Draw) -> Vec<Vec<f64>> {
    on_device(function, inputs, draw, Launching::Launches)
}

fn on_device(function: &Flat, inputs: &[&[f64]], draw: Draw, launching: Launching) -> Vec<Vec<f64>> {
    thread_local! {
        static CALLS: Cell<usize> = const { Cell::new(0) };
    }
    let call = CALLS.replace(CALLS.get() + 1);
    let gpus = gpus();
    let run = Run::new(&gpus[call % gpus.len()], call / gpus.len() % SCHEDULES, call as u64);
    let narrowed: Vec<Vec<f32>> =
        inputs.iter().map(|values| values.iter().map(|&x| x as f32).collect()).collect();
    let found =
        run.gpu.device.call(function, views(&narrowed), draw, CudaMode { launching, ..CudaMode::default() });
    let values = found.unwrap_or_else(|error| panic!("{} on {}", chain(&error), run.gpu.device.name()));
    values.into_iter().map(|values| values.into_iter().map(f64::from).collect()).collect()
}
