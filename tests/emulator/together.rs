//! Blocks and grids that are live together: clusters, cooperative grids, programmatic dependent launch. The mistakes
//! of `planted/cluster.cu` are found, and the driver refuses what a real one refuses.

use cudarc::driver::sys::{CUfunction_attribute, CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode};

use super::place::{self, Attribute, PLANTED, Place, Run, compare, input, report_of};
use super::{Sanitizer, Schedule, emulator};

const BLOCK: usize = 64;

/// Four blocks in two clusters; element i of a block is the neighbour's 63 - i.
fn run_cluster(kernel: &str) -> Result<(), String> {
    let place = Place::new(2, kernel);
    let n = 4 * BLOCK;
    let (from, to) =
        (place.stream.clone_htod(&input(n)).unwrap(), place.stream.clone_htod(&vec![f32::NAN; n]).unwrap());
    place.launch((4, 1, 1), BLOCK, &[Attribute::Cluster(2, 1, 1)], &[&from, &to], n).unwrap();
    compare(&place.result(&to)?, |i| input(n)[((i / BLOCK) ^ 1) * BLOCK + (BLOCK - 1 - i % BLOCK)])
}

/// Four blocks that wait for one another; all elements reversed.
fn run_grid(kernel: &str) -> Result<(), String> {
    let place = Place::new(1, kernel);
    let n = 4 * BLOCK;
    let memory = |values: &[f32]| place.stream.clone_htod(values).unwrap();
    let (from, to, scratch) = (memory(&input(n)), memory(&vec![f32::NAN; n]), memory(&vec![0.0; n + 1]));
    place.launch((4, 1, 1), BLOCK, &[Attribute::Cooperative], &[&from, &to, &scratch], n).unwrap();
    compare(&place.result(&to)?, |i| input(n)[n - 1 - i])
}

/// A graph of five grids in a row, numbered: each doubles, and adds the input so many times.
fn run_dependents(kernel: &str) -> Result<(), String> {
    let place = Place::new(2, kernel);
    let n = 3 * BLOCK;
    let memory = |values: &[f32]| place.stream.clone_htod(values).unwrap();
    let (from, to) = (memory(&input(n)), memory(&vec![0.0; n]));
    place.stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).unwrap();
    for number in 1..=5 {
        place.launch((3, 1, 1), BLOCK, &[Attribute::Overlaps], &[&from, &to], number).unwrap();
    }
    let graph = place.stream.end_capture(CUgraphInstantiate_flags(0)).unwrap().unwrap();
    let _ = graph.launch(); // a fault shows below
    let expected = |i: usize| (1..=5).fold(0.0, |value, number| 2.0 * value + number as f32 * input(n)[i]);
    compare(&place.result(&to)?, expected)
}

const SOUND: [(&str, Run); 4] = [
    ("sound_neighbour", run_cluster),
    ("sound_neighbour_in_rounds", run_cluster),
    ("sound_grid_barrier", run_grid),
    ("sound_dependent", run_dependents),
];

fn findings((kernel, run): (&str, Run)) -> Vec<Result<(), String>> {
    place::findings(kernel, run, 5)
}

#[track_caller]
fn always_found(case: (&str, Run), message: &str) {
    for finding in findings(case) {
        let problem = finding.expect_err(case.0);
        assert!(problem.contains(message), "{}: {problem}", case.0);
    }
}

#[track_caller]
fn sometimes_found(case: (&str, Run), message: &str) {
    let problems: Vec<String> = findings(case).into_iter().filter_map(Result::err).collect();
    assert!(problems.iter().any(|problem| problem.contains(message)), "{}: {problems:?}", case.0);
}

#[test]
fn sound_kernels_pass_under_every_schedule() {
    for case in SOUND {
        for finding in findings(case) {
            assert_eq!(finding, Ok(()), "{}", case.0);
        }
    }
}

#[test]
fn a_neighbour_that_has_not_begun_or_has_ended_is_found() {
    always_found(
        ("planted_neighbour_not_waited_for", run_cluster),
        "has not begun, and its shared memory is read",
    );
    sometimes_found(
        ("planted_block_for_cluster", run_cluster),
        "has not begun, and its shared memory is read",
    );
    sometimes_found(("planted_neighbour_ends", run_cluster), "has ended, and its shared memory is read");
}

#[test]
fn a_neighbours_memory_overwritten_before_it_is_read_is_found() {
    sometimes_found(("planted_neighbour_overwrites", run_cluster), "wrong value");
}

#[test]
fn cluster_barriers_that_not_all_threads_reach_are_found_with_place_and_block() {
    for finding in findings(("planted_block_never_arrives", run_cluster)) {
        let problem = finding.unwrap_err();
        assert!(problem.contains("returned") && problem.contains("barrier.cluster"), "{problem}");
        assert!(problem.contains("cluster.cu:") && problem.contains("[block ("), "{problem}");
    }
    always_found(
        ("planted_arrives_twice", run_cluster),
        "by a thread that has arrived before and not waited",
    );
}

#[test]
fn cluster_barriers_that_a_warp_comes_to_in_halves_are_found() {
    always_found(
        ("planted_arrives_in_halves", run_cluster),
        "divergent warp operations: barrier.cluster.arrive.aligned",
    );
    always_found(
        ("planted_waits_in_halves", run_cluster),
        "divergent warp operations: barrier.cluster.wait.aligned",
    );
}

#[test]
fn a_block_that_the_cluster_has_not_is_found() {
    always_found(("planted_no_such_block", run_cluster), "mapa: block 2 of a cluster of 2");
}

#[test]
fn loops_that_wait_for_what_never_comes_end_in_a_fault_with_the_line() {
    let case = ("planted_block_does_not_count", run_grid as Run);
    always_found(case, "deadlock: every thread that can run waits in a loop");
    always_found(case, "cluster.cu:");
}

#[test]
fn a_dependent_grid_that_does_not_wait_is_found() {
    sometimes_found(("planted_dependent_does_not_wait", run_dependents), "wrong value");
}

#[test]
fn launches_that_the_device_cannot_carry_out_are_refused() {
    let n = 4 * BLOCK;
    let refused = |device: usize, grid: (u32, u32, u32), threads: usize, attributes: &[Attribute]| {
        let place = Place::new(device, "sound_grid_size");
        let memory = place.stream.clone_htod(&input(n)).unwrap();
        place.launch(grid, threads, attributes, &[&memory, &memory], n)
    };
    let clusters = |x, y, z| [Attribute::Cluster(x, y, z)];
    let wrong_size = Err(CUresult::CUDA_ERROR_INVALID_CLUSTER_SIZE);
    assert_eq!(refused(2, (4, 2, 1), BLOCK, &clusters(2, 2, 1)), Ok(()));
    assert_eq!(refused(2, (4, 1, 1), BLOCK, &clusters(3, 1, 1)), wrong_size, "not a divisor of the grid");
    assert_eq!(refused(2, (4, 1, 1), BLOCK, &clusters(1, 2, 1)), wrong_size);
    assert_eq!(refused(2, (4, 1, 1), BLOCK, &clusters(0, 1, 1)), wrong_size);
    assert_eq!(refused(2, (8, 1, 1), BLOCK, &clusters(8, 1, 1)), Ok(()));
    assert_eq!(refused(2, (16, 1, 1), BLOCK, &clusters(16, 1, 1)), wrong_size, "not asked for");
    for device in [0, 1] {
        let unsupported = Err(CUresult::CUDA_ERROR_NOT_SUPPORTED);
        assert_eq!(refused(device, (4, 1, 1), BLOCK, &clusters(2, 1, 1)), unsupported);
        assert_eq!(refused(device, (4, 1, 1), BLOCK, &[Attribute::Overlaps]), unsupported);
        assert_eq!(refused(device, (4, 1, 1), BLOCK, &clusters(1, 1, 1)), Ok(()));
    }
    // Four multiprocessors of 1024 threads, or of 2048.
    let too_large = Err(CUresult::CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
    for (device, blocks) in [(0, 8), (1, 16)] {
        assert_eq!(refused(device, (blocks, 1, 1), 512, &[Attribute::Cooperative]), Ok(()));
        assert_eq!(refused(device, (blocks + 1, 1, 1), 512, &[Attribute::Cooperative]), too_large);
    }
    assert_eq!(refused(2, (1, 1, 1), BLOCK, &[Attribute::Unknown]), Err(CUresult::CUDA_ERROR_NOT_SUPPORTED));
}

#[test]
fn clusters_of_sixteen_must_be_asked_for() {
    let place = Place::new(2, "sound_grid_size");
    let memory = place.stream.clone_htod(&input(16 * BLOCK)).unwrap();
    let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED;
    place.function.set_attribute(attribute, 1).unwrap();
    let clusters = |size| [Attribute::Cluster(size, 1, 1)];
    let launch = |size| place.launch((size, 1, 1), BLOCK, &clusters(size), &[&memory, &memory], 16 * BLOCK);
    assert_eq!(launch(16), Ok(()));
    assert_eq!(launch(32), Err(CUresult::CUDA_ERROR_INVALID_CLUSTER_SIZE));
}

/// The mistakes that ThreadSanitizer must find, whether a schedule happens to show them or not.
const RACES: [(&str, Run); 3] = [
    ("planted_neighbour_overwrites", run_cluster),
    ("planted_barrier_without_release", run_grid),
    ("planted_dependent_does_not_wait", run_dependents),
];

/// Runs the kernel that COTANGENT_PLANTED names, in a process of its own: see below.
#[test]
fn one_planted_kernel_in_its_own_process() {
    let Ok(wanted) = std::env::var(PLANTED) else { return };
    for (kernel, run) in RACES.into_iter().chain(SOUND).filter(|(kernel, _)| *kernel == wanted) {
        for schedule in [Schedule::FirstInFirstOut, Schedule::LastInFirstOut] {
            emulator().set_schedule(schedule);
            let _ = run(kernel);
        }
        println!("ran {wanted}");
    }
}

/// The test that runs it.
const ONE: &str = "emulator::together::one_planted_kernel_in_its_own_process";

#[test]
fn thread_sanitizer_finds_races_of_blocks_and_grids_and_names_the_file() {
    for (kernel, _) in RACES {
        let report = report_of(Sanitizer::Thread, ONE, kernel);
        assert!(report.contains("WARNING: ThreadSanitizer: data race"), "{kernel}: {report}");
        assert!(report.contains("cluster.cu:"), "{kernel}: {report}");
    }
    for (kernel, _) in SOUND {
        let report = report_of(Sanitizer::Thread, ONE, kernel);
        assert!(report.contains("ran ") && !report.contains("WARNING"), "{kernel}: {report}");
    }
}

#[test]
fn address_sanitizer_lets_sound_kernels_pass() {
    for (kernel, _) in SOUND {
        let report = report_of(Sanitizer::Address, ONE, kernel);
        assert!(report.contains("ran ") && !report.contains("ERROR"), "{kernel}: {report}");
    }
}
