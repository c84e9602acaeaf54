//! What the protocol is written with: the standard library's. The model has a module like it, of a scheduler's.

pub use std::hint::spin_loop;
pub use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
pub use std::sync::{Arc, Condvar, Mutex, MutexGuard};
pub use std::thread;
pub use std::time::Instant;

/// So often a thread that waits looks before it lets others run in between: less than a tenth of a millisecond.
pub const LOOKS: usize = 2_000;
