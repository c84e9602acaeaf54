//! Whether a round is done alone: as random has it, so whatever the real policy decides has been tried.

use std::cell::Cell;
use std::time::Duration;

use super::sync::{Rng, thread_rng};

thread_local! {
    /// Whether teams are always together, as tasks that wait for one another need it.
    static TOGETHER: Cell<bool> = const { Cell::new(false) };
}

pub struct Attendance {
    together: bool,
}

impl Default for Attendance {
    fn default() -> Self {
        Self { together: TOGETHER.get() }
    }
}

impl Attendance {
    /// Teams that are made from now on are always together, or not.
    pub fn always(together: bool) {
        TOGETHER.set(together);
    }

    pub fn is_alone(&self) -> bool {
        !self.together && thread_rng().gen_bool(0.5)
    }

    #[expect(clippy::unused_self, reason = "the policy's learns from it")]
    pub fn took(&mut self, _time: Duration, _waited: Duration) {}
}
