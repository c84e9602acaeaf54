//! A training step allocates nothing.
//!
//! This program's allocator counts, for each thread by itself, so tests that run beside this one do
//! not disturb it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use cotangent::exec::cpu::team::for_each;
use cotangent::exec::{Bf16Unit, CpuExecutor, CpuProducts, Team};
use cotangent::nn::{Activation, Model, perceptron};

use crate::determinism::{images, optimizers};
use crate::support::steps::Steps;

struct Counting;

thread_local! {
    /// The allocations of this thread. Needs no allocation itself: constant, and nothing to drop.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count_one() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_one();
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        unsafe { System.realloc(memory, layout, size) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The fewest allocations of several times, since what is set up once for a thread may be set up at any time.
fn fewest(mut once: impl FnMut() -> u64) -> u64 {
    once(); // what is set up once: thread-locals, tables
    (0..8).map(|_| once()).min().unwrap_or(0)
}

/// The allocations of a team's threads while it does some work.
fn allocations(team: &mut Team, mut work: impl FnMut()) -> u64 {
    fewest(|| {
        let before = total(team);
        team.install(&mut work);
        total(team) - before
    })
}

/// All that the team's threads allocated so far: each has one task, as it waits for the others in it.
fn total(team: &mut Team) -> u64 {
    let (threads, sum, met) = (team.threads(), AtomicU64::new(0), AtomicUsize::new(0));
    team.install(|| {
        for_each(threads, |_| {
            sum.fetch_add(COUNT.get(), SeqCst);
            met.fetch_add(1, SeqCst);
            while met.load(SeqCst) < threads {
                std::thread::yield_now();
            }
        });
    });
    sum.into_inner()
}

/// The allocations of three training steps on two threads with each optimizer: of an epoch of four, less those of an epoch
/// of one.
fn allocations_of_three_steps(widths: &[usize], batch: usize, products: CpuProducts) -> Vec<u64> {
    let model: Arc<dyn Model> = Arc::new(perceptron(widths, Activation::Relu, 0.2));
    let of_epoch = |optimizer, count: usize| {
        let split = images(count);
        let order: Vec<u32> = (0..count as u32).collect();
        let executor = CpuExecutor::new(Team::new(2).unwrap()).with_products(products);
        let mut steps = Steps::new(executor, &model, optimizer, (&split, batch));
        let scalars = optimizer.at::<f64>(1, 1e-3, 0.0).repeat(count / batch);
        let mut once = || {
            let before = total(steps.executor.team());
            steps.epoch_with(&order, &scalars);
            total(steps.executor.team()) - before
        };
        fewest(&mut once)
    };
    let optimizers = optimizers().into_iter();
    optimizers.map(|optimizer| of_epoch(optimizer, 4 * batch) - of_epoch(optimizer, batch)).collect()
}

#[test]
fn a_training_step_allocates_nothing() {
    // One tile and one task each; many; products that leave out zeros, elements, and neither.
    let (small, large) = (&[324, 64, 32, 10][..], &[324, 200, 144, 10][..]);
    let bf16 = CpuProducts::Bf16(Bf16Unit::of_machine().unwrap_or(Bf16Unit::tile_model()));
    for (widths, batch, products) in [
        (small, 32, CpuProducts::Skipping),
        (large, 128, CpuProducts::Skipping),
        (small, 32, CpuProducts::Dense),
        (small, 32, bf16),
    ] {
        let steps = allocations_of_three_steps(widths, batch, products);
        for (steps, optimizer) in steps.into_iter().zip(optimizers()) {
            assert_eq!(steps, 0, "{widths:?}, {products:?}, {}", optimizer.name());
        }
    }
}

#[test]
fn the_counter_counts_every_thread_of_the_team() {
    let mut team = Team::new(2).unwrap();
    let allocate = || drop(std::hint::black_box(vec![1_u8; 100]));
    let found = allocations(&mut team, || {
        for_each(2, |_| allocate());
        allocate();
    });
    assert_eq!(found, 3);
}
