//! Threads that carry out a step's many short pieces of work together.
//!
//! A training step is a dozen pieces of work of some ten to a hundred microseconds, each cut into tasks by shape, and all
//! threads must meet after each. Threads of a general pool go to sleep in between, and waking one up can take
//! longer than the work does. Those of a [`Team`] stay awake for a while and sleep only when no work comes.
//!
//! How they meet is in `protocol.rs`, and when it does not pay in `attendance.rs`; here is who their work is for.

mod attendance;
#[cfg(test)]
mod model;
mod protocol;
mod sync;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::thread::{self, LocalKey};

pub use protocol::Team;
use protocol::{Shared, Task};

/// Elements per task: about ten microseconds of work, many times what handing it out costs.
pub(super) const TASK: usize = 1 << 14;

thread_local! {
    /// The team that this thread's pieces of work are for.
    static CURRENT: Cell<Option<*const Shared>> = const { Cell::new(None) };
    /// Tasks that go along with the next piece of work.
    static BESIDE: Cell<Option<Beside>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Beside {
    task: *const Task<'static>,
    count: usize,
}

impl Team {
    /// A team of as many threads as there are processors; of the caller's alone where no others can be started.
    pub fn of_machine() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self::new(threads).unwrap_or_else(|_| Self::of_one())
    }

    /// Does some work on this thread, whose pieces ([`for_each`]) the whole team carries out.
    pub fn install<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _restored = Set::new(&CURRENT, Some(&raw const *self.shared()));
        work()
    }
}

/// The threads of the team that this thread works for.
pub(super) fn threads() -> usize {
    // SAFETY: the team is borrowed for as long as it is the thread's current one.
    CURRENT.get().map_or(1, |team| unsafe { &*team }.threads())
}

/// Does every task 0..count, on the threads of the team that this thread works for, and returns when all are done. Within
/// a task, or without a team, one after another on this thread.
pub fn for_each(count: usize, task: impl Fn(usize) + Sync) {
    let Some(team) = CURRENT.get() else { return (0..count).for_each(task) };
    // SAFETY: the team is borrowed for as long as it is the thread's current one.
    let team = unsafe { &*team };
    let _within = Set::new(&CURRENT, None);
    #[cfg(test)]
    counting::count();
    match BESIDE.take() {
        None => team.round(count, &task),
        Some(Beside { task: other, count: others }) => {
            // SAFETY: `beside` borrows it until its tasks are done.
            let other = unsafe { &*other };
            team.round(count + others, &|number| match number.checked_sub(count) {
                None => task(number),
                Some(number) => other(number),
            });
        }
    }
}

/// Does some work on this thread, and the tasks 0..count beside its next piece that goes to the team.
pub(super) fn beside<R>(count: usize, task: &Task<'_>, work: impl FnOnce() -> R) -> R {
    // SAFETY: only the lifetime changes: the task is called in this function only, and in pieces of work that end in it.
    let extended: *const Task<'static> = unsafe { std::mem::transmute(std::ptr::from_ref(task)) };
    let set = Set::new(&BESIDE, Some(Beside { task: extended, count }));
    let result = work();
    let left = BESIDE.take();
    drop(set);
    if left.is_some() {
        for_each(count, task); // there was no piece, or no team
    }
    result
}

/// A thread's cell set for a while, also when the work panics.
struct Set<T: Copy + 'static> {
    cell: &'static LocalKey<Cell<T>>,
    before: T,
}

impl<T: Copy> Set<T> {
    fn new(cell: &'static LocalKey<Cell<T>>, value: T) -> Self {
        Self { cell, before: cell.replace(value) }
    }
}

impl<T: Copy> Drop for Set<T> {
    fn drop(&mut self) {
        self.cell.set(self.before);
    }
}

#[cfg(test)]
pub(super) mod counting {
    use std::cell::Cell;

    thread_local! {
        static ROUNDS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        ROUNDS.set(ROUNDS.get() + 1);
    }

    /// How often this thread met its team during some work.
    pub fn rounds(work: impl FnOnce()) -> usize {
        let before = ROUNDS.get();
        work();
        ROUNDS.get() - before
    }
}
