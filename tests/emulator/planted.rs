//! Mistakes that the emulator must find: the kernels of `planted/`, each beside a sound twin.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaModule, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

use super::place::{PLANTED, report_of};
use super::{Sanitizer, Schedule, emulator};

/// What a kernel of n elements in `threads` threads a block computes.
struct Case {
    kernel: &'static str,
    n: usize,
    blocks: u32,
    threads: u32,
    /// Elements that the input begins after a multiple of 16 bytes.
    offset: usize,
    expected: fn(&[f32]) -> Vec<f32>,
}

const fn case(
    kernel: &'static str,
    n: usize,
    blocks: u32,
    threads: u32,
    expected: fn(&[f32]) -> Vec<f32>,
) -> Case {
    Case { kernel, n, blocks, threads, offset: 0, expected }
}

fn doubled(input: &[f32]) -> Vec<f32> {
    input.iter().map(|x| 2.0 * x).collect()
}

fn reversed(input: &[f32], size: usize) -> Vec<f32> {
    input.chunks(size).flat_map(|chunk| chunk.iter().rev().copied()).collect()
}

fn blocks_reversed(input: &[f32]) -> Vec<f32> {
    reversed(input, 64)
}

fn warps_reversed(input: &[f32]) -> Vec<f32> {
    reversed(input, 32)
}

fn neighbours_added(input: &[f32]) -> Vec<f32> {
    (0..input.len()).map(|i| input[i] + input[i ^ 1]).collect()
}

fn distant_added(input: &[f32]) -> Vec<f32> {
    (0..input.len()).map(|i| input[i] + input[i ^ 16]).collect()
}

/// The sound twins of `memory.cu`.
const SOUND_ACCESSES: [Case; 7] = [
    case("sound_vector_tail", 1022, 1, 256, doubled),
    Case { offset: 1, ..case("sound_misaligned", 32, 1, 1, doubled) },
    case("sound_shared_overrun", 64, 1, 64, doubled),
    case("sound_shared_alignment", 64, 1, 64, doubled),
    case("sound_read_past_end", 64, 1, 64, doubled),
    case("sound_unset_shared", 64, 1, 64, doubled),
    case("sound_grid_size", 1000, 4, 256, doubled),
];

/// The sound twins of `order.cu`.
const SOUND_ORDER: [Case; 5] = [
    case("sound_write_then_read", 128, 2, 64, blocks_reversed),
    case("sound_read_then_write", 256, 1, 64, blocks_reversed),
    case("sound_within_a_warp", 64, 1, 64, warps_reversed),
    case("sound_shuffle", 32, 1, 32, neighbours_added),
    case("sound_async_copy", 512, 1, 64, blocks_reversed),
];

/// Runs a case; the first difference, or the fault.
fn run(case: &Case, schedule: Schedule) -> Result<(), String> {
    let emulator = emulator();
    // The path of sm_80, whose cp.async is one.
    let context = CudaContext::new(1).unwrap();
    // SAFETY: one stream.
    unsafe { context.disable_event_tracking() };
    let module =
        context.load_module(Ptx::from_binary(std::fs::read(&emulator.built.image).unwrap())).unwrap();
    let stream = context.new_stream().unwrap();
    emulator.set_schedule(schedule);
    let result = run_on(&module, &stream, case);
    match emulator.take_fault() {
        Some(fault) => Err(fault),
        None => result,
    }
}

fn run_on(module: &Arc<CudaModule>, stream: &Arc<CudaStream>, case: &Case) -> Result<(), String> {
    let say = |error: cudarc::driver::DriverError| error.to_string();
    let count = case.n.max(32);
    let values: Vec<f32> = (0..count).map(|i| i as f32 + 0.25).collect();
    let memory = stream.clone_htod(&[vec![0.0; case.offset], values.clone()].concat()).map_err(say)?;
    let input = memory.slice(case.offset..);
    let mut output = stream.clone_htod(&vec![f32::NAN; count]).map_err(say)?;
    let function = module.load_function(case.kernel).map_err(say)?;
    let n = case.n as i32;
    let config =
        LaunchConfig { grid_dim: (case.blocks, 1, 1), block_dim: (case.threads, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the emulator is there to find what these kernels do wrong.
    unsafe { stream.launch_builder(&function).arg(&input).arg(&mut output).arg(&n).launch(config) }
        .map_err(say)?;
    let found = stream.clone_dtoh(&output).map_err(say)?;
    let expected = (case.expected)(&values[..if case.n == 0 { count } else { case.n }]);
    let wrong = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    wrong.map_or(Ok(()), |at| Err(format!("wrong value at {at}: {}, not {}", found[at], expected[at])))
}

/// What each schedule finds: first in first out, last in first out, five random ones.
fn findings(case: &Case) -> Vec<Result<(), String>> {
    let random = (0..5).map(Schedule::Random);
    [Schedule::FirstInFirstOut, Schedule::LastInFirstOut]
        .into_iter()
        .chain(random)
        .map(|s| run(case, s))
        .collect()
}

/// Under every schedule.
#[track_caller]
fn always_found(case: &Case, message: &str) {
    for finding in findings(case) {
        let problem = finding.expect_err(case.kernel);
        assert!(problem.contains(message), "{}: {problem}", case.kernel);
    }
}

/// Under one schedule at least.
#[track_caller]
fn sometimes_found(case: &Case, message: &str) {
    let problems: Vec<String> = findings(case).into_iter().filter_map(Result::err).collect();
    assert!(problems.iter().any(|problem| problem.contains(message)), "{}: {problems:?}", case.kernel);
}

#[test]
fn sound_kernels_pass_under_every_schedule() {
    for case in SOUND_ACCESSES.iter().chain(&SOUND_ORDER) {
        for finding in findings(case) {
            assert_eq!(finding, Ok(()), "{}", case.kernel);
        }
    }
}

#[test]
fn accesses_outside_their_memory_are_found() {
    always_found(
        &case("planted_vector_tail", 1022, 1, 256, doubled),
        "past the end of an allocation of 4088",
    );
    always_found(&case("planted_read_past_end", 64, 1, 64, doubled), "illegal address");
    always_found(&case("planted_shared_overrun", 64, 1, 64, doubled), "past the end of 'values'");
}

#[test]
fn misaligned_vectors_are_found() {
    always_found(&Case { offset: 1, ..case("planted_misaligned", 32, 1, 1, doubled) }, "misaligned access");
    always_found(&case("planted_shared_alignment", 64, 1, 64, doubled), "misaligned access");
}

#[test]
fn elements_that_nobody_wrote_are_found() {
    always_found(&case("planted_unset_shared", 64, 1, 64, doubled), "NaN");
    always_found(&case("sound_grid_size", 1000, 3, 256, doubled), "wrong value at 768: NaN");
}

#[test]
fn shared_memory_over_the_limit_is_found() {
    always_found(
        &case("planted_too_much_shared", 64, 1, 64, doubled),
        "static shared memory over 49152 bytes with 'rest'",
    );
}

#[test]
fn missing_barriers_are_found() {
    sometimes_found(&case("planted_write_then_read", 128, 2, 64, blocks_reversed), "NaN");
    sometimes_found(&case("planted_read_then_write", 256, 1, 64, blocks_reversed), "wrong value");
    sometimes_found(&case("planted_warp_for_block", 128, 2, 64, blocks_reversed), "NaN");
    sometimes_found(&case("planted_within_a_warp", 64, 1, 64, warps_reversed), "NaN");
}

#[test]
fn barriers_that_not_all_threads_reach_are_found() {
    always_found(&case("planted_divergent_barrier", 64, 1, 64, blocks_reversed), "divergent barriers");
    let problem = "returned";
    always_found(&case("planted_barrier_after_return", 64, 1, 64, blocks_reversed), problem);
}

#[test]
fn shuffles_that_not_all_lanes_reach_are_found() {
    always_found(&case("planted_divergent_shuffle", 32, 1, 32, neighbours_added), "__shfl_xor_sync");
    always_found(&case("planted_wrong_mask", 32, 1, 32, neighbours_added), "lacks the calling lane");
    always_found(&case("planted_shuffle_from_absent", 32, 1, 32, distant_added), "NaN");
}

#[test]
fn waits_for_copies_that_come_too_late_are_found() {
    sometimes_found(&case("planted_wait_one_short", 512, 1, 64, blocks_reversed), "wrong value");
    sometimes_found(&case("planted_buffer_reused", 512, 1, 64, blocks_reversed), "wrong value");
}

/// The mistakes that ThreadSanitizer must find, whether a schedule happens to show them or not.
const RACES: [(&str, u32, usize); 6] = [
    ("planted_write_then_read", 2, 128),
    ("planted_read_then_write", 1, 256),
    ("planted_warp_for_block", 2, 128),
    ("planted_within_a_warp", 1, 64),
    ("planted_buffer_reused", 1, 512),
    ("planted_race_of_blocks", 3, 1),
];

/// Runs the kernel that COTANGENT_PLANTED names, in a process of its own: see below.
#[test]
fn one_planted_kernel_in_its_own_process() {
    let Ok(wanted) = std::env::var(PLANTED) else { return };
    let racy = RACES.iter().map(|&(kernel, blocks, n)| case(kernel, n, blocks, 64, blocks_reversed));
    let outside = case("planted_vector_tail", 1022, 1, 256, doubled);
    let shared = case("planted_shared_overrun", 64, 1, 64, doubled);
    let unaligned = Case { offset: 1, ..case("planted_misaligned", 32, 1, 1, doubled) };
    for case in racy
        .chain([outside, shared, unaligned])
        .chain(SOUND_ACCESSES)
        .chain(SOUND_ORDER)
        .filter(|case| case.kernel == wanted)
    {
        let _ = run(&case, Schedule::FirstInFirstOut);
        let _ = run(&case, Schedule::LastInFirstOut); // in which cp.async copies at once
        println!("ran {wanted}");
    }
}

/// The test that runs it.
const ONE: &str = "emulator::planted::one_planted_kernel_in_its_own_process";

#[test]
fn thread_sanitizer_finds_races_and_names_both_lines() {
    for (kernel, _, _) in RACES {
        let report = report_of(Sanitizer::Thread, ONE, kernel);
        assert!(report.contains("WARNING: ThreadSanitizer: data race"), "{kernel}: {report}");
        assert!(report.matches("order.cu:").count() >= 2, "{kernel}: {report}");
    }
    for case in SOUND_ORDER {
        let report = report_of(Sanitizer::Thread, ONE, case.kernel);
        assert!(report.contains("ran ") && !report.contains("WARNING"), "{}: {report}", case.kernel);
    }
}

#[test]
fn address_sanitizer_finds_accesses_outside_and_misaligned_ones_and_names_the_line() {
    for kernel in ["planted_vector_tail", "planted_shared_overrun"] {
        let report = report_of(Sanitizer::Address, ONE, kernel);
        assert!(
            report.contains("ERROR: AddressSanitizer") || report.contains("runtime error"),
            "{kernel}: {report}"
        );
        assert!(report.contains("memory.cu:") && !report.contains("ran "), "{kernel}: {report}");
    }
    let report = report_of(Sanitizer::Address, ONE, "planted_misaligned");
    assert!(report.contains("runtime error") && report.contains("misaligned"), "{report}");
    for case in SOUND_ACCESSES {
        let report = report_of(Sanitizer::Address, ONE, case.kernel);
        assert!(report.contains("ran ") && !report.contains("ERROR"), "{}: {report}", case.kernel);
    }
}
