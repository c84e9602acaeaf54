//! The same bits: twice, in every order that a captured graph allows, kernel by kernel.

use std::collections::BTreeSet;

use cotangent::exec::Wanted;
use cotangent::exec::cuda::{
    CudaPlan, DeviceArena, DeviceDraw, Lanes, Launching, Order, Products, StepState, upload,
};
use cotangent::graph::NodeId;
use cotangent::ops::{Builder, Function};
use cotangent::step;

use super::*;
use crate::determinism::{optimizers, usual};

pub fn schedules() -> impl Iterator<Item = Schedule> {
    let random = (0..8).map(Schedule::Random);
    [Schedule::FirstInFirstOut, Schedule::LastInFirstOut].into_iter().chain(random)
}

#[test]
fn training_gives_the_same_bits_twice_in_every_order_and_kernel_by_kernel() {
    for (number, optimizer) in optimizers().into_iter().enumerate() {
        let job = small_network(optimizer, 2);
        let run = |schedule, launching| {
            set_schedule(schedule);
            let mut engine = on_device(&job, number, launching);
            let objectives = train(&mut engine, &job, 2, 1e-3);
            let (counts, trained) = (engine.evaluate(Set::Test).unwrap(), bits(&mut engine));
            (objectives.map_bits(), counts, trained)
        };
        let expected = run(Schedule::FirstInFirstOut, Launching::Launches);
        assert_eq!(expected.2.1, 6);
        for schedule in schedules() {
            assert!(run(schedule, Launching::Graph) == expected, "{schedule:?}, {}", optimizer.formula(0.0));
        }
    }
}

trait MapBits {
    fn map_bits(self) -> Vec<u64>;
}

impl MapBits for Vec<f64> {
    fn map_bits(self) -> Vec<u64> {
        self.into_iter().map(f64::to_bits).collect()
    }
}

/// Two chains from one input, which only their end brings together: sums keep their steps apart.
fn two_chains() -> Function<NodeId, NodeId> {
    let builder = Builder::new();
    let x = builder.input("x", [40, 30]);
    let chain = |factor: f64| {
        let mut y = x;
        for _ in 0..4 {
            let of_rows = y.sum_axes(&[1]).broadcast_along(&[1], [40, 30]);
            y = (y * factor + of_rows * 0.01).tanh();
        }
        y
    };
    let (left, right) = (chain(0.9), chain(-0.7));
    builder.finish(x, left + right).unwrap()
}

/// The output's bits under many schedules, with places for this order and captured by that.
fn results(function: &Function<NodeId, NodeId>, plan: &CudaPlan, order: &Order) -> BTreeSet<Vec<u32>> {
    let (x, output) = (function.inputs, function.outputs);
    let device = device(1);
    let lanes = Lanes::new(&device, Launching::Graph).unwrap();
    let stream = lanes.main();
    let mut arena = DeviceArena::new(&device, stream, plan.arena()).unwrap();
    let step = upload(stream, &[StepState::new(1)]).unwrap();
    let step = step.as_view();
    let draw = DeviceDraw { seed: 0, step: &step };
    let size = function.graph[x].shape.size();
    let values: Vec<f32> = (0..size).map(|i| (i as f32 * 0.37).sin()).collect();
    arena.upload(stream, plan.place(x), &values).unwrap();
    let mut launch = |task: usize, stream: &_| plan.launch(device.kernels(), stream, task, &mut arena, draw);
    let prepared = lanes.prepare(order, &mut launch).unwrap();
    let mut found = BTreeSet::new();
    for schedule in schedules() {
        // What an earlier run has left must not stand in for what this one forgets.
        let mut whole = arena.view_mut(0..plan.arena());
        device.kernels().layout.fill(stream, f32::NAN, &mut whole).unwrap();
        arena.upload(stream, plan.place(x), &values).unwrap();
        set_schedule(schedule);
        lanes.run(&prepared, order, |_, _| unreachable!("it was captured")).unwrap();
        let mut result = vec![0.0; size];
        arena.download(stream, plan.place(output), &mut result).unwrap();
        found.insert(result.into_iter().map(f32::to_bits).collect());
    }
    found
}

#[test]
fn branches_have_memory_of_their_own_and_a_planted_sharing_is_found() {
    let chains = two_chains();
    let branching =
        CudaPlan::new(&chains.graph, Wanted::outputs(&[chains.outputs]), Products::F32, device(1).tuning());
    let right = results(&chains, &branching, branching.order());
    assert_eq!(right.len(), 1);
    // Places for one task after another, while the chains run side by side.
    let in_sequence = CudaPlan::in_sequence(
        &chains.graph,
        Wanted::outputs(&[chains.outputs]),
        Products::F32,
        device(1).tuning(),
    );
    assert!(in_sequence.arena() < branching.arena());
    assert!(results(&chains, &in_sequence, in_sequence.order()) == right);
    if !on_real_card() {
        let side_by_side = Order::new(in_sequence.accesses());
        let found = results(&chains, &in_sequence, &side_by_side);
        assert!(found.len() > 1, "the chains overwrote each other, and nobody noticed");
    }
}

#[test]
fn a_forgotten_dependency_is_found() {
    if on_real_card() {
        return;
    }
    let chains = two_chains();
    let plan =
        CudaPlan::new(&chains.graph, Wanted::outputs(&[chains.outputs]), Products::F32, device(1).tuning());
    let right = results(&chains, &plan, plan.order());
    for forgetful in 0..plan.accesses().len() {
        let mut accesses = plan.accesses().to_vec();
        let reads_an_input = accesses[forgetful].reads == [chains.inputs.index()];
        accesses[forgetful].reads.clear();
        let found = results(&chains, &plan, &Order::new(&accesses));
        assert!(reads_an_input || found != right, "task {forgetful}");
    }
}

#[test]
fn a_training_step_has_parallel_branches() {
    let job = real_network(usual(OptimizerName::Adam), [128, 1], 0.0);
    let step = step::training(&*job.model, &job.optimizer, 128).unwrap();
    let outputs = [step.outputs.losses, step.outputs.logits];
    let wanted = Wanted { stores: &step.stores, ..Wanted::outputs(&outputs) };
    let plan = CudaPlan::new(&step.graph, wanted, Products::F32, device(1).tuning());
    let order = plan.order();
    let last = order.len() - 1;
    let side_by_side = |a: usize, b: usize| !order.precedes(a, b) && !order.precedes(b, a);
    let pairs = (0..=last).flat_map(|b| (0..b).map(move |a| (a, b)));
    // The gradients of weights and biases of three layers, and the way down: 3 + 3 + 2 tasks after the loss.
    assert!(pairs.filter(|&(a, b)| side_by_side(a, b)).count() >= 15, "{order:?}");
}
