//! A training step allocates nothing of ours.
//!
//! This program's allocator counts, for each thread by itself, so tests that run beside this one do
//! not disturb it. The crate `gemm` allocates scratch in its products, and from inside the allocator
//! that cannot be told from our own; so the same products are done with bare calls of `gemm`, in the
//! same team, and a step must allocate exactly as often as they do.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use cotangent::data::{Gather, Normalisation};
use cotangent::exec::cpu::team::for_each;
use cotangent::exec::instruction::Work;
use cotangent::exec::{Arena, Plan, Request, Team};
use cotangent::graph::NodeId;
use cotangent::model::{Activation, Form, Perceptron};
use cotangent::ops::{Builder, Draw, Graph, MatMul, Op, Var};
use cotangent::train::engine::cpu::Learner;
use gemm::Parallelism;

use crate::determinism::{images, optimizers};

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

/// The allocations of a team's threads while it does some work: the fewest of several times, since what
/// is set up once for a thread may be set up at any time.
fn allocations(team: &mut Team, mut work: impl FnMut()) -> u64 {
    let mut once = || {
        let before = total(team);
        team.install(&mut work);
        total(team) - before
    };
    once(); // what is set up once: thread-locals, tables
    (0..8).map(|_| once()).min().unwrap_or(0)
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

/// A product of a plan: its operands' shapes tell its extents.
struct Product {
    matmul: MatMul,
    operands: [Vec<usize>; 2],
}

/// The products of a training step that are made by `gemm`: those that leave out zeros are not.
fn products(model: &Perceptron, batch: usize) -> Vec<Product> {
    let network = model.network(batch, Form::Deviations, true).unwrap();
    let outputs: Vec<NodeId> = [&[network.losses, network.logits()][..], &network.gradients].concat();
    let mostly_zero = [network.images];
    let request = Request { outputs: &outputs, mostly_zero: &mostly_zero, ..Default::default() };
    let plan = Plan::of(&network.graph, request);
    let product = |work: &Work| match *work {
        Work::Product { matmul, operands, .. } if plan.zeros_left_out(matmul, operands).is_none() => {
            Some(Product { matmul, operands: operands.map(|node| plan.shape(node).to_vec()) })
        }
        _ => None,
    };
    plan.instructions().iter().filter_map(|instruction| product(&instruction.work)).collect()
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
        let operands: Vec<Var> = self.operands.iter().map(|shape| builder.input("x", &shape[..])).collect();
        let product = builder.apply(Op::MatMul(self.matmul), &operands).id().unwrap();
        let graph: Graph = builder.finish().unwrap();
        Plan::new(&graph, &[product], &[], 0)
    }
}

/// The allocations of one training step with each optimizer.
fn allocations_of_a_step(team: &mut Team, model: &Perceptron, batch: usize) -> Vec<u64> {
    let split = images(batch);
    let gather = Gather::new(&split, Normalisation::of(&split), None);
    let indices: Vec<u32> = (0..batch as u32).collect();
    let of_step = |optimizer| {
        let mut engine = Learner::new(model.clone(), optimizer, 1, batch, batch).unwrap();
        allocations(team, || {
            engine.train_step(&gather, &indices, 1e-3, 0.0).unwrap();
        })
    };
    optimizers().into_iter().map(of_step).collect()
}

fn model(widths: &[usize]) -> Perceptron {
    Perceptron { widths: widths.to_vec(), activation: Activation::Relu, dropout: 0.2 }
}

#[test]
fn a_training_step_allocates_what_bare_calls_of_gemm_do_and_nothing_else() {
    // Small enough that each product is one call of `gemm`.
    let (model, batch) = (model(&[324, 64, 32, 10]), 32);
    let mut team = Team::new(2).unwrap();
    let products = products(&model, batch);
    assert_eq!(products.len(), 3);
    let (a, b, mut c) = (vec![0.5; 1 << 16], vec![0.5; 1 << 16], vec![0.0; 1 << 16]);
    let bare = allocations(&mut team, || products.iter().for_each(|product| product.bare(&a, &b, &mut c)));
    assert!(bare <= 16, "{bare} allocations of gemm: the counter counts others'");
    for step in allocations_of_a_step(&mut team, &model, batch) {
        assert_eq!(step, bare);
    }
}

#[test]
fn a_training_step_of_many_tiles_and_tasks_allocates_what_its_products_do_alone() {
    let (model, batch) = (model(&[324, 200, 130, 10]), 128);
    let mut team = Team::new(2).unwrap();
    let plans: Vec<Plan> = products(&model, batch).iter().map(Product::plan).collect();
    let mut arenas: Vec<Arena<f32>> = plans.iter().map(|plan| Arena::new(plan.arena())).collect();
    let alone = allocations(&mut team, || {
        plans.iter().zip(&mut arenas).for_each(|(plan, arena)| plan.run(arena, Draw::default()));
    });
    for step in allocations_of_a_step(&mut team, &model, batch) {
        assert_eq!(step, alone);
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
