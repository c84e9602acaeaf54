//! Running graphs: [`Plan::new`] decides what runs in which order in which buffer, once, before anything
//! runs; an executor carries a plan out, as often as asked, and cuts its work into tasks by shape.

pub mod cpu;
pub mod cuda;
mod fuse;
pub mod instruction;
pub mod order;
mod place;
mod plan;

pub use cpu::{Arena, Interpreter, Lists, Nonzeros, Team, evaluate, evaluate_with, vectorized};
pub use place::Resident;
pub use plan::{Plan, Request, Update};
