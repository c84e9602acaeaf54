use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

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
                    assert!(done.iter().all(|times| times.load(SeqCst) == 1), "{threads} threads, {count}");
                }
            }
        });
    }
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

#[test]
fn workers_that_fell_asleep_come_back() {
    for _ in 0..3 {
        let mut team = Team::new(2).unwrap(); // which has no reason yet to leave its worker out
        until_asleep(&team);
        // The first task waits for the second, which only the other thread can do.
        let second = AtomicBool::new(false);
        team.install(|| {
            for_each(2, |number| match number {
                0 => until(|| second.load(SeqCst)),
                _ => second.store(true, SeqCst),
            });
        });
    }
}

#[test]
fn a_worker_that_missed_a_round_sleeps_too() {
    let mut team = Team::new(2).unwrap();
    for _ in 0..3 {
        until_asleep(&team);
        team.install(|| for_each(2, |_| {})); // over before a sleeper is up
    }
    until_asleep(&team);
}

fn until_asleep(team: &Team) {
    until(|| team.shared().asleep.load(SeqCst) == team.threads() - 1);
}

fn until(reached: impl Fn() -> bool) {
    while !reached() {
        thread::yield_now();
    }
}
