//! The CPU executor: carries a plan out on the threads of a team.
//!
//! No sum is split between threads, nor does its order depend on how work is cut, so one, two and four threads give the same
//! bits.

mod arena;
mod bf16;
mod buffers;
mod call;
mod elementwise;
mod executor;
mod interpreter;
mod nonzeros;
mod panels;
mod pieces;
mod places;
mod plan;
mod prefetch;
mod product;
mod products;
mod run;
mod scratch;
mod stage;
pub mod team;
mod transpose;
mod vectorized;
mod zeros;

pub use arena::Arena;
pub use bf16::Bf16Unit;
pub use executor::CpuExecutor;
pub use interpreter::Interpreter;
pub use nonzeros::{ListSize, Lists, Nonzeros};
pub use plan::Plan;
pub use products::CpuProducts;
pub use team::Team;
pub use vectorized::vectorized;
