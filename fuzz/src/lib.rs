//! What is fuzzed: everything that reads what the project did not write itself, and training on shapes that nobody
//! would choose.
//!
//! Each module is one target: `run` takes bytes, has the library read them, and asserts what must hold of whatever came out.
//! An error is a fine answer; a panic, a hang, or memory that grows with a claim instead of with the input is a bug.
//! `fuzz_targets/` hands these functions to libFuzzer, and `tests/fuzz_corpora.rs` replays the corpora through the very same ones
//! on stable Rust.

pub mod config;
pub mod formula;
pub mod idx;
pub mod metrics;
pub mod record;
mod scratch;
pub mod study;
pub mod tensors;
pub mod train;

/// Reads inputs of one kind.
pub type Target = fn(&[u8]);

/// Every target with its name, which is that of its corpus and its dictionary, too.
pub const TARGETS: [(&str, Target); 8] = [
    ("config", config::run),
    ("formula", formula::run),
    ("idx", idx::run),
    ("metrics", metrics::run),
    ("record", record::run),
    ("study", study::run),
    ("tensors", tensors::run),
    ("train", train::run),
];
