//! A training step allocates nothing of ours.
//!
//! This program's allocator counts, for each thread by itself, so tests that run beside this one do
//! not disturb it. The crate `gemm` allocates scratch in its products, and from inside the allocator
//! that cannot be told from our own; so the same products are done with bare calls of `gemm`, in the
//! same team, and a step must allocate exactly as often as they do.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use cotangent::exec::cpu::team::for_each;
use cotangent::exec::{Arena, CpuExecutor, Plan, Team, Wanted};
use cotangent::nn::{Activation, Model, perceptron};
use cotangent::ops::{Builder, Draw, MatMul, Op, Var};
use gemm::Parallelism;

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

/// A product: its operands' shapes tell its extents.
struct Product {
    matmul: MatMul,
    operands: [[usize; 2]; 2],
}

/// The products of a training step that are made by `gemm`: those of the last layer, whose ten columns are too few to leave
/// zeros out of. Weights lie (in, out).
fn products(hidden: usize, batch: usize) -> [Product; 3] {
    let product = |transpose_a, transpose_b, operands| Product {
        matmul: MatMul { transpose_a, transpose_b },
        operands,
    };
    let (layer, weights, adjoint) = ([batch, hidden], [hidden, 10], [batch, 10]);
    [
        product(false, false, [layer, weights]),
        product(true, false, [layer, adjoint]),
        product(false, true, [adjoint, weights]),
    ]
}

impl Product {
    /// (m, n, k).
    fn extents(&self) -> [usize; 3] {
        let [a, b] = &self.operands;
        let (m, k) = if self.matmul.transpose_a { (a[1], a[0]) } else { (a[0], a[1]) };
        [m, if self.matmul.transpose_b { b[0] } else { b[1] }, k]
    }

    /// One call of `gemm` and nothing else, into memory that is there.
    fn bare(&self, a: &[f32], b: &[f32], c: &mut [f32]) {
        let [m, n, k] = self.extents();
        assert!(a.len() >= m * k && b.len() >= k * n && c.len() >= m * n);
        let (a_row, a_column) = if self.matmul.transpose_a { (1, m) } else { (k, 1) };
        let (b_row, b_column) = if self.matmul.transpose_b { (1, k) } else { (n, 1) };
        // SAFETY: the lengths were checked, and the strides are those of row-major matrices.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                1,
                n as isize,
                false,
                a.as_ptr(),
                a_column as isize,
                a_row as isize,
                b.as_ptr(),
                b_column as isize,
                b_row as isize,
                0.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }

    /// The product as a graph of its own, planned.
    fn plan(&self) -> Plan {
        let builder = Builder::new();
        let operands: Vec<Var> = self.operands.iter().map(|shape| builder.input("x", *shape)).collect();
        let product = builder.apply(Op::MatMul(self.matmul), &operands);
        let function = builder.finish(operands, product).unwrap();
        Plan::new(&function.graph, Wanted::outputs(&[function.outputs]))
    }
}

/// The allocations of three training steps on two threads with each optimizer: of an epoch of four, less those of an epoch
/// of one.
fn allocations_of_three_steps(widths: &[usize], batch: usize) -> Vec<u64> {
    let model: Arc<dyn Model> = Arc::new(perceptron(widths, Activation::Relu, 0.2));
    let of_epoch = |optimizer, count: usize| {
        let split = images(count);
        let order: Vec<u32> = (0..count as u32).collect();
        let executor = CpuExecutor::new(Team::new(2).unwrap());
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
fn a_training_step_allocates_what_bare_calls_of_gemm_do_and_nothing_else() {
    // Small enough that each product is one call of `gemm`.
    let batch = 32;
    let products = products(32, batch);
    let (a, b, mut c) = (vec![0.5; 1 << 16], vec![0.5; 1 << 16], vec![0.0; 1 << 16]);
    let mut team = Team::new(2).unwrap();
    let bare = allocations(&mut team, || products.iter().for_each(|product| product.bare(&a, &b, &mut c)));
    assert!(bare <= 16, "{bare} allocations of gemm: the counter counts others'");
    for steps in allocations_of_three_steps(&[324, 64, 32, 10], batch) {
        assert_eq!(steps, 3 * bare);
    }
}

#[test]
fn a_training_step_of_many_tiles_and_tasks_allocates_what_its_products_do_alone() {
    let batch = 128;
    let mut team = Team::new(2).unwrap();
    let plans = products(130, batch).map(|product| product.plan());
    let mut arenas: Vec<Arena<f32>> = plans.iter().map(|plan| Arena::new(plan.arena())).collect();
    let alone = allocations(&mut team, || {
        plans.iter().zip(&mut arenas).for_each(|(plan, arena)| plan.run(arena, Draw::default()));
    });
    for steps in allocations_of_three_steps(&[324, 200, 130, 10], batch) {
        assert_eq!(steps, 3 * alone);
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
