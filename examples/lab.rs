//! Tries a CUDA kernel of your own, without a GPU: `scripts/lab my_gemm.cu --signature gemm`, or
//!
//! ```sh
//! cargo run --release --example lab -- my_gemm.cu --signature gemm
//! ```
//!
//! `docs/lab.md` says what to write and what is checked; `tests/lab/` is the code, beside the emulator that it runs on.

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/emulator/mod.rs"]
mod emulator;
#[cfg(target_os = "linux")]
#[path = "../tests/lab/mod.rs"]
mod lab;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    lab::main(std::env::args_os(), &lab::Again::default())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("the lab runs on Linux: its emulated device is a library for that system");
    ExitCode::from(2)
}
