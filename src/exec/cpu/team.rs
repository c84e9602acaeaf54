//! Threads that carry out a step's many short pieces of work together.
//!
//! A training step is a dozen pieces of work of some ten to a hundred microseconds, each cut into tasks by shape, and all
//! threads must meet after each. Threads of a general pool go to sleep in between, and waking one up can take
//! longer than the work does. Those of a [`Team`] stay awake for a while and sleep only when no work comes.
//!
//! Of each piece every thread has a share of its own, the same from step to step, so that what it reads and writes
//! stays in its cache; whoever is done with its own helps the others.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Elements per task: about ten microseconds of work, many times what handing it out costs.
pub(super) const TASK: usize = 1 << 14;

/// Some threads, the caller's among them. They end with the team.
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// What is done with each task's number.
type Task<'a> = dyn Fn(usize) + Sync + 'a;

/// What the threads of a team share.
struct Shared {
    /// The number of the round, which is one piece of work, from bit 32 on; below it whether the round is [`OPEN`] to
    /// workers, and how many take part.
    state: AtomicU64,
    /// The round's work, which does not change as long as a worker takes part.
    work: Mutex<Work>,
    /// The next task of each thread's share, the caller's first.
    shares: Vec<Share>,
    /// How many workers sleep, and what wakes them up.
    asleep: AtomicUsize,
    bed: (Mutex<()>, Condvar),
    ended: AtomicBool,
    /// What a task panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

#[derive(Clone, Copy)]
struct Work {
    /// Lives on the stack of the thread that hands out the work, which waits until no worker takes part.
    task: *const Task<'static>,
    count: usize,
}

// SAFETY: the task is Sync, so it may be called from any thread.
unsafe impl Send for Work {}

/// Apart from one another in memory, as different threads change them all the time.
#[repr(align(128))]
struct Share(AtomicUsize);

const OPEN: u64 = 1 << 31;
const ROUND: u64 = 1 << 32;
const WORKERS: u64 = OPEN - 1;

/// So often a thread that waits looks before it lets others run in between: less than a tenth of a millisecond.
const LOOKS: usize = 2_000;

/// So long a worker waits for work before it sleeps: longer than anything between two steps takes.
const PATIENCE: Duration = Duration::from_millis(3);

thread_local! {
    /// The team that this thread's pieces of work are for.
    static CURRENT: Cell<Option<*const Shared>> = const { Cell::new(None) };
    /// Tasks that go along with the next piece of work.
    static BESIDE: Cell<Option<Work>> = const { Cell::new(None) };
}

impl Team {
    /// A team of so many threads, the caller's counted: at least one.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let mut team = Self::of_shares(threads.max(1));
        for number in 1..threads {
            let shared = team.shared.clone();
            let worker = thread::Builder::new().name(format!("worker {number}"));
            team.workers.push(worker.spawn(move || shared.work_as(number))?);
        }
        Ok(team)
    }

    /// A team of as many threads as there are processors; of the caller's alone where no others can be started.
    pub fn of_machine() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self::new(threads).unwrap_or_else(|_| Self::of_shares(1))
    }

    fn of_shares(threads: usize) -> Self {
        let shared = Shared {
            state: AtomicU64::new(0),
            work: Mutex::new(Work { task: &|_| {}, count: 0 }),
            shares: (0..threads).map(|_| Share(AtomicUsize::new(0))).collect(),
            asleep: AtomicUsize::new(0),
            bed: Default::default(),
            ended: AtomicBool::new(false),
            panic: Mutex::new(None),
        };
        Self { shared: Arc::new(shared), workers: Vec::new() }
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.shared.shares.len()
    }

    /// Does some work on this thread, whose pieces ([`for_each`]) the whole team carries out.
    pub fn install<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _restored = Set::new(&CURRENT, Some(&raw const *self.shared));
        work()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        self.shared.wake_up();
        for worker in self.workers.drain(..) {
            let _ = worker.join(); // an error would be a panic, and those are passed on by `round`
        }
    }
}

/// The threads of the team that this thread works for.
pub(super) fn threads() -> usize {
    // SAFETY: the team is borrowed for as long as it is the thread's current one.
    CURRENT.get().map_or(1, |team| unsafe { &*team }.shares.len())
}

/// Does every task 0..count, on the threads of the team that this thread works for, and returns when all are done. Within
/// a task, or without a team, one after another on this thread.
pub fn for_each(count: usize, task: impl Fn(usize) + Sync) {
    let Some(team) = CURRENT.get() else { return (0..count).for_each(task) };
    // SAFETY: the team is borrowed for as long as it is the thread's current one.
    let team = unsafe { &*team };
    #[cfg(test)]
    counting::count();
    match BESIDE.take() {
        None => team.round(count, &task),
        Some(Work { task: other, count: others }) => {
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
    let set = Set::new(&BESIDE, Some(Work { task: extended, count }));
    let result = work();
    let left = BESIDE.take();
    drop(set);
    if left.is_some() {
        for_each(count, task); // there was no piece, or no team
    }
    result
}

impl Shared {
    /// One piece of work, on all threads that are awake.
    fn round(&self, count: usize, task: &Task<'_>) {
        if self.shares.len() == 1 || count <= 1 {
            let _within = Set::new(&CURRENT, None);
            return (0..count).for_each(task);
        }
        for (number, share) in self.shares.iter().enumerate() {
            share.0.store(self.share(number, count), SeqCst);
        }
        // SAFETY: only the lifetime changes: no worker takes part any more when this function returns.
        let task: *const Task<'static> = unsafe { std::mem::transmute(std::ptr::from_ref(task)) };
        let work = Work { task, count };
        *locked(&self.work) = work;
        let number = self.state.load(SeqCst) / ROUND + 1;
        self.state.store(number.wrapping_mul(ROUND) | OPEN, SeqCst);
        if self.asleep.load(SeqCst) > 0 {
            self.wake_up();
        }
        self.take_part(0, work);
        self.state.fetch_and(!OPEN, SeqCst);
        wait(|| (self.state.load(SeqCst) & WORKERS == 0).then_some(()), || false);
        if let Some(panic) = locked(&self.panic).take() {
            resume_unwind(panic);
        }
    }

    /// The first task of a thread's share.
    fn share(&self, thread: usize, count: usize) -> usize {
        thread * count / self.shares.len()
    }

    /// Does the tasks of a thread's own share, then what is left of the others'.
    fn take_part(&self, thread: usize, Work { task, count }: Work) {
        let _within = Set::new(&CURRENT, None);
        let threads = self.shares.len();
        let done = catch_unwind(AssertUnwindSafe(|| {
            for other in (thread..threads).chain(0..thread) {
                let end = self.share(other + 1, count);
                loop {
                    let number = self.shares[other].0.fetch_add(1, SeqCst);
                    if number >= end {
                        break;
                    }
                    // SAFETY: the thread that handed out the task waits for this one.
                    unsafe { (*task)(number) };
                }
            }
        }));
        if let Err(panic) = done {
            *locked(&self.panic) = Some(panic);
        }
    }

    /// A worker's life.
    fn work_as(&self, number: usize) {
        let mut seen = 0;
        loop {
            let joined = || {
                let state = self.state.load(SeqCst);
                let is_new = state & OPEN != 0 && state / ROUND != seen;
                let joins = is_new && self.state.compare_exchange(state, state + 1, SeqCst, SeqCst).is_ok();
                joins.then_some(state / ROUND)
            };
            match wait(joined, || self.ended.load(SeqCst) || self.sleep(seen)) {
                Some(round) => seen = round,
                None if self.ended.load(SeqCst) => return,
                None => {
                    // A round that is over cannot be joined any more: the next is what is waited for.
                    let state = self.state.load(SeqCst);
                    if state & OPEN == 0 {
                        seen = state / ROUND;
                    }
                    continue;
                }
            }
            let work = *locked(&self.work);
            self.take_part(number, work);
            self.state.fetch_sub(1, SeqCst);
        }
    }

    /// Sleeps until there is a round that was not seen yet. Returns true: then it is time to look again.
    fn sleep(&self, seen: u64) -> bool {
        let (mutex, condition) = &self.bed;
        let guard = locked(mutex);
        self.asleep.fetch_add(1, SeqCst);
        let nothing = |_: &mut ()| !self.ended.load(SeqCst) && self.state.load(SeqCst) / ROUND == seen;
        drop(condition.wait_while(guard, nothing));
        self.asleep.fetch_sub(1, SeqCst);
        true
    }

    fn wake_up(&self) {
        let _guard = locked(&self.bed.0);
        self.bed.1.notify_all();
    }
}

/// Waits for something, first at work; `tired` is asked after [`PATIENCE`], and ends the wait if it says so.
fn wait<R>(look: impl Fn() -> Option<R>, tired: impl Fn() -> bool) -> Option<R> {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return Some(found);
        }
        std::hint::spin_loop();
    }
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        thread::yield_now();
        if start.elapsed() > PATIENCE && tired() {
            return None;
        }
    }
}

/// The content, whoever panicked meanwhile: nothing here is left half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread's cell set for a while, also when the work panics.
struct Set<T: Copy + 'static> {
    cell: &'static thread::LocalKey<Cell<T>>,
    before: T,
}

impl<T: Copy> Set<T> {
    fn new(cell: &'static thread::LocalKey<Cell<T>>, value: T) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once_whatever_the_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            let mut team = Team::new(threads).unwrap();
            assert_eq!(team.threads(), threads);
            team.install(|| {
                for count in [0, 1, 2, 7, 100] {
                    for _ in 0..200 {
                        let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                        for_each(count, |number| {
                            done[number].fetch_add(1, SeqCst);
                        });
                        assert!(
                            done.iter().all(|times| times.load(SeqCst) == 1),
                            "{threads} threads, {count}"
                        );
                    }
                }
            });
        }
    }

    #[test]
    fn workers_that_fell_asleep_come_back() {
        let mut team = Team::new(2).unwrap();
        team.install(|| {
            for _ in 0..3 {
                wait(|| (team_of(|shared| shared.asleep.load(SeqCst)) == 1).then_some(()), || false);
                // The first task waits for the second, which only the other thread can do.
                let second = AtomicBool::new(false);
                for_each(2, |number| match number {
                    0 => drop(wait(|| second.load(SeqCst).then_some(()), || false)),
                    _ => second.store(true, SeqCst),
                });
            }
        });
    }

    #[test]
    fn a_worker_that_missed_a_round_sleeps_too() {
        let mut team = Team::new(2).unwrap();
        let asleep = |shared: &Shared| (shared.asleep.load(SeqCst) == 1).then_some(());
        team.install(|| {
            team_of(|shared| wait(|| asleep(shared), || false));
            // A round that was opened and is over.
            team_of(|shared| {
                shared.state.fetch_add(ROUND, SeqCst);
                shared.wake_up();
                thread::sleep(2 * PATIENCE);
                wait(|| asleep(shared), || false);
            });
        });
    }

    fn team_of<R>(look: impl Fn(&Shared) -> R) -> R {
        // SAFETY: called within `install`, which borrows the team.
        look(unsafe { &*CURRENT.get().unwrap() })
    }

    #[test]
    fn work_within_a_task_and_work_without_a_team_is_done_by_the_thread_itself() {
        let sum = AtomicUsize::new(0);
        let work = || {
            for_each(3, |i| {
                let me = thread::current().id();
                for_each(4, |j| {
                    assert_eq!(thread::current().id(), me);
                    sum.fetch_add(10 * i + j, SeqCst);
                });
            });
        };
        work();
        Team::new(3).unwrap().install(work);
        assert_eq!(sum.into_inner(), 2 * (3 * 6 + 4 * 30));
    }

    #[test]
    fn what_is_done_beside_is_done_once_with_a_piece_or_without_one() {
        for (threads, pieces) in [(1, 0), (1, 2), (2, 0), (2, 2), (4, 1)] {
            let done = AtomicUsize::new(0);
            let add = |x: usize| {
                done.fetch_add(x, SeqCst);
            };
            let task = |number: usize| add(1 << (8 * number));
            let work = || {
                let result = beside(3, &task, || {
                    (0..pieces).for_each(|_| for_each(5, |_| add(1 << 32)));
                    7
                });
                assert_eq!(result, 7);
            };
            Team::new(threads).unwrap().install(work);
            assert_eq!(
                done.into_inner(),
                0x01_01_01 + ((5 * pieces) << 32),
                "{threads} threads, {pieces} pieces"
            );
        }
    }

    #[test]
    fn a_panic_in_a_task_reaches_the_caller_and_the_team_goes_on() {
        let mut team = Team::new(2).unwrap();
        for bad in [0, 99] {
            let work = || for_each(100, |number| assert_ne!(number, bad));
            assert!(catch_unwind(AssertUnwindSafe(|| team.install(work))).is_err());
        }
        let count = AtomicUsize::new(0);
        team.install(|| {
            for_each(10, |_| {
                count.fetch_add(1, SeqCst);
            });
        });
        assert_eq!(count.into_inner(), 10);
    }
}
