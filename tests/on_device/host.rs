//! Within an epoch the host allocates nothing and waits for nothing: the emulated driver counts its calls.

use super::*;
use crate::determinism::usual;

const ALLOCATIONS: [&str; 8] = [
    "cuMemAlloc_v2",
    "cuMemAllocAsync",
    "cuMemFree_v2",
    "cuMemFreeAsync",
    "cuMemHostAlloc",
    "cuStreamCreate",
    "cuEventCreate",
    "cuGraphInstantiateWithFlags",
];

/// Calls that wait for the device. Copies do where the host's memory is not pinned.
const WAITS: [&str; 6] = [
    "cuStreamSynchronize",
    "cuCtxSynchronize",
    "cuEventSynchronize",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoH_v2",
];

fn calls(functions: &[&str]) -> u64 {
    functions.iter().map(|function| emulator().calls(function)).sum()
}

#[test]
fn within_an_epoch_the_host_launches_graphs_and_looks_at_events_and_nothing_else() {
    if on_real_card() {
        return;
    }
    let job = small_network(usual(OptimizerName::Adam), 40);
    let mut engine = on_device(&job, 1, Launching::Graph);
    train(&mut engine, &job, 1, 1e-3); // warm-up
    let order: Vec<u32> = (0..job.data.train.len() as u32).collect();
    emulator().clear_calls();
    let mut within = Vec::new();
    engine
        .epoch(&order, &[1e-3; 41], &mut |_| {
            within.push((calls(&ALLOCATIONS), calls(&WAITS), calls(&["cuGraphLaunch"])));
            true
        })
        .unwrap();
    // Three copies begin the epoch, of its order, its scalars and the number of its first step.
    assert!(within.len() > 10, "{within:?}");
    assert!(within.iter().all(|&(allocations, waits, _)| (allocations, waits) == (0, 3)), "{within:?}");
    assert_eq!(within.last().map(|(_, _, launches)| *launches), Some(41));
    // And three copies and one wait end it.
    assert_eq!((calls(&ALLOCATIONS), calls(&WAITS)), (0, 7));
    assert_eq!((calls(&["cuGraphLaunch"]), calls(&["cuLaunchKernel"])), (41, 0));
    // The counter does count.
    engine.snapshot().unwrap();
    assert!(calls(&WAITS) > 7);
}
