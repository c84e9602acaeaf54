//! What the protocol is written with, of `shuttle`'s.

use std::time::Duration;

pub use shuttle::hint::spin_loop;
pub use shuttle::rand::{Rng, thread_rng};
pub use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
pub use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard};
pub use shuttle::thread;

/// A thread that waits looks once for sure, then random says how often.
pub const LOOKS: usize = 1;

/// A point in time since which nothing or an hour has passed, as random has it.
pub struct Instant;

impl Instant {
    pub fn now() -> Self {
        Self
    }

    pub fn elapsed(&self) -> Duration {
        if thread_rng().gen_bool(0.5) { Duration::from_secs(3600) } else { Duration::ZERO }
    }
}
