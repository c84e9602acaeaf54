//! How the threads of a team meet: rounds of tasks, each done once, and the caller goes on when no worker is at one.
//!
//! Of each piece of work every thread has a share of its own, the same from step to step, so that what it reads and writes
//! stays in its cache; whoever is done with its own helps the others. So a worker that never comes delays nothing.
//!
//! All that threads share goes through `sync.rs`. Tests compile this file once more, on primitives whose every
//! interleaving a scheduler chooses (`model.rs`).

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;
use std::time::Duration;

use super::attendance::Attendance;
use super::sync::thread::{self, JoinHandle};
use super::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Condvar, Instant, LOOKS, Mutex, MutexGuard, SeqCst, spin_loop,
};

/// Some threads, the caller's among them. They end with the team.
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// What is done with each task's number.
pub(super) type Task<'a> = dyn Fn(usize) + Sync + 'a;

/// What the threads of a team share.
pub(super) struct Shared {
    /// The number of the round, which is one piece of work, from bit 32 on; below it whether the round is [`OPEN`] to
    /// workers, and how many take part.
    state: AtomicU64,
    /// The round's work, which does not change as long as a worker takes part.
    work: Mutex<Work>,
    /// The next task of each thread's share, the caller's first.
    shares: Vec<Share>,
    /// How many workers sleep, and what wakes them up.
    pub(super) asleep: AtomicUsize,
    bed: (Mutex<()>, Condvar),
    ended: AtomicBool,
    /// Whether rounds are worth meeting for. The caller's: no worker asks.
    attendance: Mutex<Attendance>,
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

/// So long a worker waits for work before it sleeps: longer than anything between two steps takes.
const PATIENCE: Duration = Duration::from_millis(3);

impl Team {
    /// A team of so many threads, the caller's counted: at least one.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub fn new(threads: usize) -> io::Result<Self> {
        let mut team = Self::of_shares(threads.max(1));
        for number in 1..threads {
            let shared = team.shared.clone();
            let worker = thread::Builder::new().name(format!("worker {number}"));
            team.workers.push(worker.spawn(move || shared.work_as(number))?);
        }
        Ok(team)
    }

    /// A team of the caller's thread alone.
    pub(super) fn of_one() -> Self {
        Self::of_shares(1)
    }

    fn of_shares(threads: usize) -> Self {
        let shared = Shared {
            state: AtomicU64::new(0),
            work: Mutex::new(Work { task: &|_| {}, count: 0 }),
            shares: (0..threads).map(|_| Share(AtomicUsize::new(0))).collect(),
            asleep: AtomicUsize::new(0),
            bed: (Mutex::new(()), Condvar::new()),
            ended: AtomicBool::new(false),
            attendance: Mutex::default(),
            panic: Mutex::new(None),
        };
        Self { shared: Arc::new(shared), workers: Vec::new() }
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.shared.threads()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
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

impl Shared {
    pub(super) fn threads(&self) -> usize {
        self.shares.len()
    }

    /// One piece of work: every task 0..count once, on all threads that are awake, or, where meeting does not pay, on this one.
    /// Only one thread may call it at a time, and no task may.
    pub(super) fn round(&self, count: usize, task: &Task<'_>) {
        if self.threads() == 1 || count <= 1 {
            return (0..count).for_each(task);
        }
        let mut attendance = locked(&self.attendance);
        let start = Instant::now();
        let waited = if attendance.is_alone() {
            (0..count).for_each(task);
            Duration::ZERO
        } else {
            self.meet(count, task)
        };
        attendance.took(start.elapsed(), waited);
    }

    /// A round of all threads that are awake. Returns how long this one waited for the others at its end.
    fn meet(&self, count: usize, task: &Task<'_>) -> Duration {
        self.deal(count);
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
        let done = Instant::now();
        wait(|| (self.state.load(SeqCst) & WORKERS == 0).then_some(()), || false);
        let panic = locked(&self.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        done.elapsed()
    }

    /// Gives each thread its share of a round's tasks.
    fn deal(&self, count: usize) {
        for (number, share) in self.shares.iter().enumerate() {
            share.0.store(self.share(number, count), SeqCst);
        }
    }

    /// The first task of a thread's share.
    fn share(&self, thread: usize, count: usize) -> usize {
        thread * count / self.threads()
    }

    /// Does the tasks of a thread's own share, then what is left of the others'.
    fn take_part(&self, thread: usize, Work { task, count }: Work) {
        let threads = self.threads();
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
        spin_loop();
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
