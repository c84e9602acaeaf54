//! `kernels/latency.cu`: chases end where those of the CPU end, and nobody passes a barrier early.

use cotangent::exec::cuda::{BarrierCheck, Capability, CudaError, Edge, Latency};
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};

use super::support::{Buffer, Run, chain, on_real_card, pairwise};
use crate::emulator::{Sanitizer, sanitizer};

/// And programmatic dependent launch.
fn has_clusters(run: &Run) -> bool {
    run.gpu.device.capability() >= Capability { major: 9, minor: 0 }
}

/// Whether it holds a cluster of so many blocks. More than eight not every card does; the emulated one does.
fn has_room(run: &Run, size: usize) -> bool {
    let at_once = || run.kernels().latency.readers_at_once(run.stream(), size);
    !on_real_card() || size <= 8 || at_once().is_ok_and(|clusters| clusters > 0)
}

/// What a device before 9.0 says of it.
fn expect_refusal(run: &Run, kernel: &str, what: &str, found: Result<(), String>) -> Result<(), String> {
    let capability = run.gpu.device.capability();
    let expected =
        format!("kernel {kernel}: compute capability {capability} has no {what}; 9.0 and newer ones have");
    if found == Err(expected) { Ok(()) } else { Err(format!("{found:?}")) }
}

fn one<T: Copy>(values: Vec<T>) -> T {
    let [value] = values[..] else { panic!("{} values", values.len()) };
    value
}

/// A permutation of one cycle (Sattolo 1986): a chase comes everywhere before it comes back.
fn cycle(run: &Run, length: usize) -> Vec<u32> {
    let mut random = run.random();
    let mut next: Vec<u32> = (0..length as u32).collect();
    for last in (1..length).rev() {
        next.swap(last, random.below(last));
    }
    next
}

fn chased(next: &[u32], start: usize, steps: usize) -> usize {
    (0..steps).fold(start, |at, _| next[at] as usize)
}

/// How a chain of nodes is made.
#[derive(Clone, Copy)]
enum Node {
    Plain,
    Linked(Edge),
}

/// The trail of a graph of so many nodes in a row that has been replayed twice.
fn trail(run: &Run, node: Node, nodes: usize, blocks: usize) -> Result<u32, String> {
    let latency = &run.kernels().latency;
    let stream = run.stream();
    let mut trail = run.upload(&[0_u32], 0)?;
    stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).unwrap();
    let put = (1..=nodes as u32).try_for_each(|number| {
        let mut trail = trail.view_mut();
        match node {
            Node::Plain => latency.node(stream, blocks, Some((&mut trail, number))),
            Node::Linked(edge) => latency.edge(stream, edge, blocks, Some((&mut trail, number))),
        }
    });
    let graph = stream.end_capture(CUgraphInstantiate_flags(0));
    put.map_err(|error| chain(&error))?;
    let graph = graph.map_err(|error| error.to_string())?.ok_or("nothing was captured")?;
    for _ in 0..2 {
        graph.launch().map_err(|error| error.to_string())?;
    }
    Ok(one(run.download(&trail)?))
}

const NODES: [usize; 4] = [1, 2, 5, 20];
const BLOCKS: [usize; 3] = [1, 2, 4];

fn check_nodes(run: &Run, node: Node, pick: &[usize]) -> Result<(), String> {
    let (nodes, blocks) = (NODES[pick[0]], BLOCKS[pick[1]]);
    let expected = (1..=nodes as u32)
        .chain(1..=nodes as u32)
        .fold(0_u32, |trail, node| trail.wrapping_mul(31).wrapping_add(node));
    match trail(run, node, nodes, blocks)? {
        trail if trail == expected => Ok(()),
        trail => {
            Err(format!("{nodes} nodes of {blocks} blocks, twice, left the trail {trail}, not {expected}"))
        }
    }
}

#[test]
fn nodes_in_a_row_follow_one_another() {
    pairwise(&[("nodes", NODES.len()), ("blocks", BLOCKS.len())], |run, pick| {
        check_nodes(run, Node::Plain, pick)
    })
    .unwrap();
}

pub fn check_overlapping_nodes_wait() -> Result<(), String> {
    let edges = [Edge::Programmatic, Edge::Ordinary];
    pairwise(&[("nodes", NODES.len()), ("blocks", BLOCKS.len()), ("edge", edges.len())], |run, pick| {
        let checked = check_nodes(run, Node::Linked(edges[pick[2]]), pick);
        match has_clusters(run) {
            true => checked,
            false => expect_refusal(run, "latency_edge", "programmatic dependent launch", checked),
        }
    })
}

#[test]
fn overlapping_nodes_follow_one_another() {
    check_overlapping_nodes_wait().unwrap();
}

const ROUNDS: [usize; 5] = [0, 1, 2, 3, 7];

fn pass_grid_barrier(
    run: &Run,
    blocks: usize,
    rounds: usize,
    check: Option<BarrierCheck<'_, '_>>,
) -> Result<(), String> {
    let mut arrived = run.poisoned::<u32>(1, 0)?;
    run.kernels()
        .latency
        .grid_barrier(run.stream(), blocks, rounds, &mut arrived.view_mut(), check)
        .map_err(|error| chain(&error))?;
    let arrivals = one(run.download(&arrived)?) as usize;
    if arrivals != blocks * rounds {
        return Err(format!("{blocks} blocks, {rounds} rounds: {arrivals} arrivals"));
    }
    Ok(())
}

pub fn check_grid_barriers_hold() -> Result<(), String> {
    const BLOCKS: [usize; 4] = [1, 2, 4, 11];
    pairwise(&[("blocks", BLOCKS.len()), ("rounds", ROUNDS.len())], |run, pick| {
        let (blocks, rounds) = (BLOCKS[pick[0]], ROUNDS[pick[1]]);
        let (mut stamps, mut early) = (run.poisoned::<u32>(256 * blocks, 0)?, run.poisoned::<u32>(1, 0)?);
        let check = BarrierCheck { stamps: &mut stamps.view_mut(), early: &mut early.view_mut() };
        pass_grid_barrier(run, blocks, rounds, Some(check))?;
        match one(run.download(&early)?) {
            0 => Ok(()),
            early => {
                Err(format!("{blocks} blocks, {rounds} rounds: {early} times a block was not there yet"))
            }
        }
    })
}

#[test]
fn nobody_passes_a_grid_barrier_early() {
    check_grid_barriers_hold().unwrap();
}

/// Clusters, and blocks of each.
const CLUSTERS: [usize; 3] = [1, 2, 3];
const SIZES: [usize; 5] = [1, 2, 4, 8, 16];

pub fn check_cluster_barriers_hold() -> Result<(), String> {
    let factors = [("clusters", CLUSTERS.len()), ("size", SIZES.len()), ("rounds", ROUNDS.len())];
    pairwise(&factors, |run, pick| {
        let (clusters, size, rounds) = (CLUSTERS[pick[0]], SIZES[pick[1]], ROUNDS[pick[2]]);
        if has_clusters(run) && !has_room(run, size) {
            return Ok(());
        }
        let mut early = run.poisoned::<u32>(1, 0)?;
        let launched = run
            .kernels()
            .latency
            .cluster_barrier(run.stream(), [clusters, size], rounds, Some(&mut early.view_mut()))
            .map_err(|error| chain(&error));
        if !has_clusters(run) {
            return expect_refusal(run, "latency_cluster_barrier", "clusters", launched);
        }
        launched?;
        match one(run.download(&early)?) {
            0 => Ok(()),
            early => Err(format!("{clusters} clusters of {size}, {rounds} rounds: {early} times too early")),
        }
    })
}

#[test]
fn nobody_passes_a_cluster_barrier_early() {
    check_cluster_barriers_hold().unwrap();
}

/// As they are timed: without a place for what a check finds, none is made.
#[test]
fn barriers_that_are_not_checked_write_nothing_but_arrivals() {
    pairwise(&[], |run, _| {
        if has_clusters(run) {
            let latency = &run.kernels().latency;
            latency.cluster_barrier(run.stream(), [2, 4], 3, None).map_err(|error| chain(&error))?;
            run.stream().synchronize().map_err(|error| error.to_string())?; // a fault shows
        }
        pass_grid_barrier(run, 4, 3, None)
    })
    .unwrap();
}

const STEPS: [usize; 6] = [0, 1, 7, 8, 9, 1000];

#[test]
fn chases_through_global_memory_end_where_those_of_the_cpu_do() {
    const LENGTHS: [usize; 4] = [1, 2, 33, 1000];
    const STRIDES: [usize; 3] = [1, 3, 16];
    let factors = [("links", LENGTHS.len()), ("stride", STRIDES.len()), ("steps", STEPS.len()), ("start", 3)];
    pairwise(&factors, |run, pick| {
        let (length, stride, steps) = (LENGTHS[pick[0]], STRIDES[pick[1]], STEPS[pick[2]]);
        let start = [0, length / 2, length - 1][pick[3]];
        let next = cycle(run, length);
        let latency = &run.kernels().latency;
        let mut end = run.poisoned::<u64>(1, 0)?;
        let links = latency.links(run.stream(), &next, stride).map_err(|error| chain(&error))?;
        latency
            .chase(run.stream(), &links, start, steps, &mut end.view_mut())
            .map_err(|error| chain(&error))?;
        let found = links.number(one(run.download(&end)?)).map_err(|error| chain(&error))?;
        let expected = chased(&next, start, steps);
        if found == expected {
            return Ok(());
        }
        Err(format!("{steps} steps over {length} links {stride} words apart end at {found}, not {expected}"))
    })
    .unwrap();
}

pub fn check_chases_through_shared_memory() -> Result<(), String> {
    pairwise(&[("steps", STEPS.len())], |run, pick| {
        let steps = STEPS[pick[0]];
        let next = cycle(run, Latency::LINKS);
        let latency = &run.kernels().latency;
        let table = latency.table(run.stream(), &next).map_err(|error| chain(&error))?;
        let mut end = run.poisoned::<u32>(1, 0)?;
        latency
            .shared_chase(run.stream(), &table, steps, &mut end.view_mut())
            .map_err(|error| chain(&error))?;
        let (found, expected) = (one(run.download(&end)?) as usize, chased(&next, 0, steps));
        if found == expected { Ok(()) } else { Err(format!("{steps} steps end at {found}, not {expected}")) }
    })
}

#[test]
fn chases_through_shared_memory_end_where_those_of_the_cpu_do() {
    check_chases_through_shared_memory().unwrap();
}

pub fn check_chases_through_the_neighbours_memory() -> Result<(), String> {
    let factors = [("clusters", CLUSTERS.len()), ("size", SIZES.len()), ("steps", STEPS.len())];
    pairwise(&factors, |run, pick| {
        let (clusters, size, steps) = (CLUSTERS[pick[0]], SIZES[pick[1]], STEPS[pick[2]]);
        if has_clusters(run) && !has_room(run, size) {
            return Ok(());
        }
        let next = cycle(run, Latency::LINKS);
        let latency = &run.kernels().latency;
        let table = latency.table(run.stream(), &next).map_err(|error| chain(&error))?;
        let mut ends: Buffer<u32> = run.poisoned(clusters * size, 0)?;
        let launched = latency
            .cluster_chase(run.stream(), [clusters, size], &table, steps, &mut ends.view_mut())
            .map_err(|error| chain(&error));
        if !has_clusters(run) {
            return expect_refusal(run, "latency_cluster_chase", "clusters", launched);
        }
        launched?;
        for (block, found) in run.download(&ends)?.into_iter().enumerate() {
            let expected = chased(&next, block % Latency::LINKS, steps);
            if found as usize != expected {
                return Err(format!(
                    "{clusters} clusters of {size}: {steps} steps of block {block} end at {found}, not {expected}"
                ));
            }
        }
        Ok(())
    })
}

#[test]
fn chases_through_the_neighbours_memory_end_where_those_of_the_cpu_do() {
    check_chases_through_the_neighbours_memory().unwrap();
}

pub fn check_neighbours_words_are_read() -> Result<(), String> {
    const ROUNDS: [usize; 4] = [0, 1, 2, 3];
    // ThreadSanitizer has room for some thousand threads, and a block has 512.
    let sizes = if sanitizer() == Sanitizer::Thread { 3 } else { SIZES.len() };
    let factors = [("clusters", CLUSTERS.len()), ("size", sizes), ("rounds", ROUNDS.len())];
    pairwise(&factors, |run, pick| {
        let (clusters, size, rounds) = (CLUSTERS[pick[0]], SIZES[pick[1]], ROUNDS[pick[2]]);
        if has_clusters(run) && !has_room(run, size) {
            return Ok(());
        }
        let blocks = clusters * size;
        let latency = &run.kernels().latency;
        let mut sums = run.poisoned::<u32>(blocks * Latency::READ_THREADS, 0)?;
        let launched = latency
            .cluster_read(run.stream(), [clusters, size], rounds, &mut sums.view_mut())
            .map_err(|error| chain(&error));
        if !has_clusters(run) {
            return expect_refusal(run, "latency_cluster_read", "clusters", launched.map(drop));
        }
        let bytes = launched?;
        if bytes != (blocks * rounds * Latency::READ_BYTES) as u64 {
            return Err(format!("{blocks} blocks, {rounds} rounds: {bytes} bytes"));
        }
        let words = Latency::READ_BYTES / 4;
        for (position, found) in run.download(&sums)?.into_iter().enumerate() {
            let (block, thread) = (position / Latency::READ_THREADS, position % Latency::READ_THREADS);
            let neighbour = block / size * size + (block + 1) % size;
            let sum: u32 = (0..words)
                .filter(|word| word / 4 % Latency::READ_THREADS == thread)
                .map(|word| (neighbour * words + word) as u32)
                .fold(0, u32::wrapping_add);
            if found != sum.wrapping_mul(rounds as u32) {
                return Err(format!(
                    "{clusters} clusters of {size}: thread {thread} of block {block} read {found}"
                ));
            }
        }
        Ok(())
    })
}

#[test]
fn each_block_reads_all_words_of_its_neighbour() {
    check_neighbours_words_are_read().unwrap();
}

#[test]
fn atomic_additions_count_to_the_number_of_steps() {
    pairwise(&[("steps", STEPS.len())], |run, pick| {
        let steps = STEPS[pick[0]];
        let (mut count, mut last) = (run.poisoned::<u32>(1, 0)?, run.poisoned::<u32>(1, 0)?);
        let latency = &run.kernels().latency;
        latency
            .atomic(run.stream(), steps, &mut count.view_mut(), &mut last.view_mut())
            .map_err(|error| chain(&error))?;
        let found = [one(run.download(&count)?), one(run.download(&last)?)].map(|word| word as usize);
        if found == [steps, steps.saturating_sub(1)] {
            Ok(())
        } else {
            Err(format!("{steps} steps: {found:?}"))
        }
    })
    .unwrap();
}

#[test]
fn what_does_not_fit_the_device_or_the_kernels_is_refused() {
    pairwise(&[], |run, _| {
        let latency = &run.kernels().latency;
        let (stream, device) = (run.stream(), &run.gpu.device);
        let (mut word, mut two) = (run.poisoned::<u32>(1, 0)?, run.poisoned::<u32>(2, 0)?);
        let refusal = |result: Result<(), CudaError>| chain(&result.unwrap_err());

        let long = latency.node(stream, 1, Some((&mut two.view_mut(), 1)));
        assert_eq!(refusal(long), "kernel latency_node: trail holds 2 elements, and the sizes ask for 1");
        let none = latency.grid_barrier(stream, 0, 1, &mut word.view_mut(), None);
        assert!(refusal(none).contains("a grid of [0, 1, 1] blocks is not between 1 and"));
        let many = latency.grid_barrier(stream, 1 << 20, 1 << 20, &mut word.view_mut(), None);
        assert!(refusal(many).contains("the number of arrivals is 1099511627776, more than"));
        // No card holds a million blocks at once, nor this one 100,000.
        let large = refusal(latency.grid_barrier(stream, 100_000, 1, &mut word.view_mut(), None));
        assert!(large.contains("CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE"), "{large}");

        let leads_outside = latency.links(stream, &[1, 2], 1).err().unwrap();
        let expected = "kernel latency_chase: link 1 of 2 leads to 2, and the last one is 1";
        assert_eq!(chain(&leads_outside), expected);
        assert!(latency.links(stream, &[], 1).is_err() && latency.links(stream, &[0], 0).is_err());
        let links = latency.links(stream, &[0, 1], 3).unwrap();
        assert!(links.number(0).is_err());
        let mut end = run.poisoned::<u64>(1, 0)?;
        let nowhere = refusal(latency.chase(stream, &links, 2, 1, &mut end.view_mut()));
        assert_eq!(nowhere, "kernel latency_chase: there is no link 2 among 2");
        assert!(latency.table(stream, &[0; 7]).is_err());
        let mut outside = vec![0; Latency::LINKS];
        outside[5] = Latency::LINKS as u32;
        assert!(latency.table(stream, &outside).is_err());

        if has_clusters(run) {
            let unknown = latency.cluster_barrier(stream, [1, 17], 1, None).unwrap_err();
            let problem = chain(&unknown);
            let is_expected = match on_real_card() {
                true => matches!(unknown, CudaError::Launch { .. }), // drivers differ in why
                false => problem.contains("CUDA_ERROR_INVALID_CLUSTER_SIZE"),
            };
            assert!(is_expected, "{problem}");
            let none = refusal(latency.cluster_barrier(stream, [1, 0], 1, None));
            assert!(none.contains("a grid of [0, 1, 1] blocks"), "{none}");
            for size in [2, 4, 8] {
                let at_once = latency.readers_at_once(stream, size).map_err(|error| chain(&error))?;
                assert!(at_once > 0 && at_once * size <= 4 * device.multiprocessors().unwrap(), "{at_once}");
            }
        } else {
            let refused = latency.readers_at_once(stream, 2).map(drop).map_err(|error| chain(&error));
            expect_refusal(run, "latency_cluster_read", "clusters", refused)?;
        }
        Ok(())
    })
    .unwrap();
}
