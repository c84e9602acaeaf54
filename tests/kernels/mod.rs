//! Every kernel against float64 on the CPU.

mod accuracy;
pub mod candidates;
mod ceiling;
mod convert;
mod counts;
mod dropout;
mod elementwise;
mod gather;
mod gemm;
mod gemm_bf16;
mod hopper;
mod latency;
mod layout;
mod mutations;
mod optimizers;
mod program;
mod sanitized;
mod softmax_cross_entropy;
mod step;
mod sum;
pub mod support;
mod wrappers;
