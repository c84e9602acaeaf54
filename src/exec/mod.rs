//! Running graphs: [`Plan::new`] decides what runs in which order in which buffer, once, before anything
//! runs; an executor carries a plan out, as often as asked, and cuts its work into tasks.

pub mod cpu;
pub mod cuda;
mod executor;
mod fuse;
pub mod heap;
pub mod instruction;
mod update;
mod wanted;

pub use cpu::{
    Arena, Bf16Unit, CpuExecutor, CpuProducts, Interpreter, ListSize, Lists, Nonzeros, Plan, Team, vectorized,
};
pub use executor::{
    Confusion, Ended, Epoch, Examples, ExecError, Executor, Inputs, Memory, Outputs, Pass, PassId, Standing,
    Step, Sums, Totals, Watch,
};
pub use wanted::{Resident, Wanted};
