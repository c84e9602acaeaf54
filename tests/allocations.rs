//! A training step allocates nothing.
//!
//! This program's allocator counts, for each thread by itself, so tests that run beside this one do
//! not disturb it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cotangent::exec::cpu::team::for_each;
use cotangent::exec::{Bf16Unit, CpuExecutor, CpuProducts, Team};
use cotangent::nn::{Activation, Model, perceptron};

use crate::determinism::{images, optimizers};
use crate::support::steps::Steps;

struct Counting;

thread_local! {
    /// The allocations of this thread. Needs no allocation itself: constant, and nothing to drop.
    static COUNT: AtomicU64 = const { AtomicU64::new(0) };
}

fn count_one() {
    COUNT.with(|count| count.fetch_add(1, SeqCst));
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

/// Where the threads of a team count.
struct Counters(Vec<*const AtomicU64>);

impl Counters {
    /// Each thread names its own as it works. It may be left out of a round where the machine is busy, so this takes as
    /// many rounds as it takes for all to have come.
    fn of(team: &mut Team) -> Self {
        let (threads, found) = (team.threads(), Mutex::new(BTreeSet::new()));
        let began = Instant::now();
        while found.lock().unwrap().len() < threads {
            assert!(began.elapsed() < Duration::from_secs(60), "a thread of the team never works");
            team.install(|| {
                for_each(threads, |_| {
                    found.lock().unwrap().insert(COUNT.with(|count| std::ptr::from_ref(count) as usize));
                    std::thread::sleep(Duration::from_millis(1)); // time for the others
                });
            });
        }
        Self(found.into_inner().unwrap().into_iter().map(|address| address as *const AtomicU64).collect())
    }

    /// All that the threads allocated so far. The team lives.
    fn total(&self, _team: &Team) -> u64 {
        // SAFETY: a thread's counter lives as long as the thread, and the threads as long as their team.
        self.0.iter().map(|&count| unsafe { &*count }.load(SeqCst)).sum()
    }
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
        let counters = Counters::of(steps.executor.team());
        let mut once = || {
            let before = counters.total(steps.executor.team());
            steps.epoch_with(&order, &scalars);
            counters.total(steps.executor.team()) - before
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
    let counters = Counters::of(&mut team);
    let found = fewest(|| {
        let before = counters.total(&team);
        team.install(|| {
            for_each(2, |_| allocate());
            allocate();
        });
        counters.total(&team) - before
    });
    assert_eq!(found, 3);
}
