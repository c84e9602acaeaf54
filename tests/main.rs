//! End-to-end and cross-module tests: one program, in modules.

mod allocations;
mod bench_cuda;
mod bench_figures;
mod build_script;
#[cfg(unix)] // signals, a full disk, limits on memory
mod command_line;
mod cpu_steps;
mod determinism;
mod differentiation;
#[cfg(target_os = "linux")]
mod emulator;
mod functions;
mod fuzz_corpora;
#[cfg(target_os = "linux")]
mod kernels;
#[cfg(target_os = "linux")]
mod lab;
mod matrices;
mod network;
#[cfg(target_os = "linux")]
mod on_device;
mod operations;
mod optimizers;
mod plans;
mod products;
mod random_graphs;
mod structure;
mod support;
mod traces;
