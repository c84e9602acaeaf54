//! End-to-end and cross-module tests: one program, in modules.

mod allocations;
#[cfg(unix)] // signals, a full disk, limits on memory
mod command_line;
mod determinism;
mod differentiation;
mod network;
mod operations;
mod optimizers;
mod plans;
mod products;
mod random_graphs;
mod support;
