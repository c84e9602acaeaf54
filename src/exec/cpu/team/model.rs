//! The protocol under a scheduler that chooses every interleaving: the same source, compiled with the primitives of `shuttle`.
//!
//! A schedule says after each access to an atomic, a lock or a condition who goes on. Many random ones are tried, and as
//! many that change threads seldom and at bad moments (PCT: Burckhardt et al., ASPLOS 2010). Whether a round is done alone is
//! random, which covers whatever `Attendance` decides, and so is whether a wait has lasted long. Memory is sequentially
//! consistent here; the protocol asks for nothing less.
//!
//! That these checks can fail is seen on copies of the protocol with one mistake each, which `build/planted.rs` makes.

mod attendance;
#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "the same source with other primitives; the team's own uses all of it"
)]
#[path = "protocol.rs"]
mod protocol;
mod sync;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::yield_now;
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use attendance::Attendance;

/// A copy of the protocol.
trait Protocol {
    fn new(threads: usize) -> Self;
    fn round(&self, count: usize, task: &(dyn Fn(usize) + Sync));
    fn asleep(&self) -> usize;
}

macro_rules! protocol {
    ($module:ident) => {
        impl Protocol for $module::Team {
            fn new(threads: usize) -> Self {
                Self::new(threads).unwrap()
            }

            fn round(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
                self.shared().round(count, task);
            }

            fn asleep(&self) -> usize {
                self.shared().asleep.load(SeqCst)
            }
        }
    };
}

protocol!(protocol);

/// The copies with mistakes: a module each, and their names with what finds them.
macro_rules! planted {
    ($($mistake:ident)*) => {
        $(
            #[allow(unused, reason = "a mistake may leave something without its use")]
            mod $mistake {
                include!(concat!(env!("OUT_DIR"), "/planted/", stringify!($mistake), ".rs"));
            }
            protocol!($mistake);
        )*

        const PLANTED: &[(&str, fn(usize) -> Result<usize, Found>)] =
            &[$((stringify!($mistake), run::<$mistake::Team>)),*];
    };
}

include!(concat!(env!("OUT_DIR"), "/planted/all.rs"));

/// What a program says is wrong. It panics with that once the team has ended: ending a team while a panic unwinds would hide it.
#[derive(Default)]
struct Verdict(Mutex<Option<String>>);

impl Verdict {
    fn check(&self, holds: bool, what: &str) {
        if !holds {
            self.0.lock().unwrap().get_or_insert_with(|| what.into());
        }
    }
}

/// Every task is done once and within its round, whichever rounds are done alone; then the workers sleep.
///
/// The tasks outlive the team: one that begins too late is found, and reads no freed memory.
fn tasks_are_done_once<P: Protocol>(threads: usize, rounds: usize, count: usize, verdict: &Verdict) {
    Attendance::always(false);
    let now = AtomicUsize::new(usize::MAX);
    let done: Vec<Vec<AtomicUsize>> =
        (0..rounds).map(|_| (0..count).map(|_| AtomicUsize::new(0)).collect()).collect();
    let tasks: Vec<_> = (0..rounds)
        .map(|round| {
            let (now, done) = (&now, &done);
            move |number: usize| {
                verdict.check(now.load(SeqCst) == round, "a task began outside its round");
                yield_now();
                verdict.check(now.load(SeqCst) == round, "a task ended outside its round");
                done[round][number].fetch_add(1, SeqCst);
            }
        })
        .collect();
    let team = P::new(threads);
    for (round, task) in tasks.iter().enumerate() {
        now.store(round, SeqCst);
        team.round(count, task);
        now.store(usize::MAX, SeqCst);
        let once = done[round].iter().all(|times| times.load(SeqCst) == 1);
        verdict.check(once, "not every task was done once at the end of its round");
    }
    while team.asleep() < threads - 1 {
        yield_now();
    }
}

/// A round whose second task only a worker can do, as the first waits for it, is done, though workers fall asleep before it.
fn sleepers_are_woken_up<P: Protocol>(verdict: &Verdict) {
    Attendance::always(true);
    let second: [AtomicUsize; 2] = Default::default();
    let tasks = second.each_ref().map(|second| {
        move |number: usize| match number {
            0 => {
                while second.load(SeqCst) == 0 {
                    yield_now();
                }
            }
            _ => _ = second.fetch_add(1, SeqCst),
        }
    });
    let team = P::new(2);
    for task in &tasks {
        (0..4).for_each(|_| yield_now()); // time to fall asleep in
        team.round(2, task);
    }
    verdict.check(second.iter().all(|times| times.load(SeqCst) == 1), "a task was done twice");
}

/// A panic in any task reaches the caller of its round, and the next round is whole.
fn panics_reach_the_caller<P: Protocol>(verdict: &Verdict) {
    Attendance::always(false);
    let done: [AtomicUsize; 3] = Default::default();
    let bad = |number: usize| {
        yield_now();
        if number == 2 {
            resume_unwind(Box::new("a task panics")); // without a word from the hook
        }
    };
    let good = |number: usize| _ = done[number].fetch_add(1, SeqCst);
    let team = P::new(2);
    let first = catch_unwind(AssertUnwindSafe(|| team.round(3, &bad)));
    verdict.check(first.is_err(), "a panic was lost");
    let second = catch_unwind(AssertUnwindSafe(|| team.round(3, &good)));
    verdict.check(second.is_ok(), "a panic came late");
    verdict.check(done.iter().all(|times| times.load(SeqCst) == 1), "the team did not go on");
}

/// The programs, with each of which a copy of the protocol is run.
fn programs<P: Protocol>() -> [fn(&Verdict); 5] {
    [
        |verdict| tasks_are_done_once::<P>(2, 2, 3, verdict),
        |verdict| tasks_are_done_once::<P>(2, 4, 2, verdict),
        |verdict| tasks_are_done_once::<P>(3, 2, 4, verdict),
        sleepers_are_woken_up::<P>,
        panics_reach_the_caller::<P>,
    ]
}

/// What was wrong, and in which schedule.
#[derive(Debug)]
struct Found {
    schedule: usize,
    what: String,
}

/// Runs each program under so many schedules of each kind, in turns of a hundred at most. Returns how many that were in all.
fn run<P: Protocol>(schedules: usize) -> Result<usize, Found> {
    let begun: &'static AtomicUsize = Box::leak(Box::default()); // as a schedule's closure must own what it has
    for at in (0..schedules).step_by(100) {
        let turn = (schedules - at).min(100);
        for program in programs::<P>() {
            let random = RandomScheduler::new_from_seed(at as u64, turn);
            let few_changes = PctScheduler::new_from_seed(at as u64, 3, turn);
            explore(random, program, begun)
                .and_then(|()| explore(few_changes, program, begun))
                .map_err(|what| Found { schedule: begun.load(SeqCst), what })?;
        }
    }
    Ok(begun.load(SeqCst))
}

fn explore(
    scheduler: impl Scheduler + 'static,
    program: fn(&Verdict),
    begun: &'static AtomicUsize,
) -> Result<(), String> {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(20_000); // a program takes some hundred: more is one that hangs
    config.failure_persistence = FailurePersistence::None;
    let runner = Runner::new(scheduler, config);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runner.run(move || {
            begun.fetch_add(1, SeqCst);
            let verdict = Verdict::default();
            program(&verdict);
            if let Some(what) = verdict.0.into_inner().unwrap() {
                panic!("{what}");
            }
        })
    }));
    ended.map(drop).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into())).unwrap_or_default()
    })
}

/// Whether many schedules are asked for: as for the other large tests.
fn everything() -> bool {
    std::env::var_os("COTANGENT_TEST_ALL").is_some_and(|value| value == "1")
}

#[test]
fn rounds_are_right_in_every_schedule_that_is_tried() {
    let schedules = run::<protocol::Team>(if everything() { 100_000 } else { 3_000 });
    println!("{} schedules", schedules.unwrap());
}

#[test]
fn each_planted_mistake_is_found() {
    let found = PLANTED.iter().map(|(name, run)| (name, run(if everything() { 100_000 } else { 10_000 })));
    let mut missed = Vec::new();
    for (name, found) in found {
        match found {
            Ok(schedules) => missed.push(format!("{name}: not in {schedules} schedules")),
            Err(Found { schedule, what }) => println!("{name}: schedule {schedule}: {what}"),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
