//! Requests of memory are counted as the model says: the kernels of `planted/counts.cu`, whose costs are known.

use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaContext, CudaModule, CudaStream, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

use super::counts::{Access, Count, Space};
use super::{Sanitizer, emulator, in_sanitized_process, sanitizer};

/// The kernels' code, to find lines by their marks.
const SOURCE: &str = include_str!("planted/counts.cu");

/// The numbers of the kernels' input: those of 33 rows of 32, and four more, for which the emulator begins an allocation
/// in the middle of 32 bytes. Hardware does not, and sectors must be counted as there.
const INPUT: usize = 33 * 32 + 4;

struct Card {
    module: Arc<CudaModule>,
    stream: Arc<CudaStream>,
}

impl Card {
    /// The emulated 9.0, the one that is compiled for counting.
    fn new() -> Self {
        let image = Ptx::from_binary(std::fs::read(&emulator().built.image).unwrap());
        let context = CudaContext::new(2).unwrap();
        Self { module: context.load_module(image).unwrap(), stream: context.new_stream().unwrap() }
    }

    /// What a kernel of one warp does, given these integers after its input and output.
    fn counts(&self, kernel: &str, integers: &[i32]) -> Vec<Count> {
        let input = self.stream.clone_htod(&[1.0_f32; INPUT]).unwrap();
        let mut output = self.stream.clone_htod(&[0.0_f32; INPUT]).unwrap();
        let function = self.module.load_function(kernel).unwrap();
        emulator().clear_counts();
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&input).arg(&mut output);
        for integer in integers {
            launch.arg(integer);
        }
        let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (32, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the kernels stay within 33 * 32 numbers.
        unsafe { launch.launch(config) }.unwrap();
        assert_eq!(emulator().take_fault(), None, "{kernel}");
        emulator().counts()
    }

    /// The access of a kernel at the line with this mark: `counted: ...`.
    fn count(&self, kernel: &str, integers: &[i32], mark: &str, space: Space, access: Access) -> Count {
        let mark = format!("// counted: {mark}");
        let line = SOURCE.lines().position(|line| line.ends_with(&mark)).expect(&mark) as u32 + 1;
        let mut counts = self.counts(kernel, integers);
        let text: String = counts.iter().map(|count| format!("\n{count}")).collect();
        counts.retain(|count| count.places[0].line == line && (count.space, count.access) == (space, access));
        assert_eq!(counts.len(), 1, "{kernel}, {mark}, line {line}:{text}");
        counts.remove(0)
    }
}

/// Whether this is a process that counts.
pub fn counts_here() -> bool {
    sanitizer() == Sanitizer::Counts
}

#[test]
fn sectors_follow_from_strides_and_alignment() {
    if !counts_here() {
        return;
    }
    let card = Card::new();
    let sectors = |stride, first| {
        let mark = "sectors of a stride";
        let count = card.count("counts_stride", &[stride, first], mark, Space::Global, Access::Load);
        assert_eq!((count.requests, count.lanes, count.bytes), (1, 32, 4));
        (count.sectors, count.ideal_sectors)
    };
    assert_eq!(sectors(1, 0), (4, 4), "a row");
    assert_eq!(sectors(1, 1), (5, 4), "a row that begins one element late");
    assert_eq!(sectors(2, 0), (8, 4), "every second element");
    assert_eq!(sectors(32, 0), (32, 4), "a column");
    assert_eq!(sectors(0, 0), (1, 1), "one element");
    for access in [Access::Load, Access::Store] {
        let count = card.count("counts_vectors", &[], "sectors of vectors", Space::Global, access);
        assert_eq!((count.requests, count.bytes, count.sectors, count.ideal_sectors), (1, 16, 16, 16));
    }
}

#[test]
fn structures_take_as_many_requests_as_instructions() {
    if !counts_here() {
        return;
    }
    let card = Card::new();
    for access in [Access::Load, Access::Store] {
        let mark = "structures of 12 bytes";
        let count = card.count("counts_structures", &[], mark, Space::Global, access);
        assert_eq!((count.requests, count.bytes, count.sectors, count.ideal_sectors), (3, 4, 3 * 12, 3 * 4));
    }
    let count = card.count("counts_bytes", &[], "four bytes at once", Space::Global, Access::Load);
    assert_eq!((count.requests, count.bytes, count.sectors, count.ideal_sectors), (1, 4, 4, 4));
}

#[test]
fn lanes_that_sit_out_a_turn_are_not_brought_together_with_another_turns() {
    if !counts_here() {
        return;
    }
    let count = Card::new().count("counts_turns", &[], "half warps by turns", Space::Global, Access::Load);
    assert_eq!((count.requests, count.lanes, count.sectors), (4, 64, 16));
    assert_eq!(count.ideal_sectors, 8);
}

#[test]
fn conflicts_follow_from_strides() {
    if !counts_here() {
        return;
    }
    let card = Card::new();
    for (stride, wavefronts) in [(0, 1), (1, 1), (2, 2), (3, 1), (4, 4), (32, 32), (33, 1)] {
        let mark = "words of a stride";
        let count = card.count("counts_shared_stride", &[stride], mark, Space::Shared, Access::Load);
        assert_eq!((count.requests, count.lanes), (1, 32));
        assert_eq!((count.wavefronts, count.conflicts), (wavefronts, wavefronts - 1), "stride {stride}");
        assert_eq!(count.ideal_wavefronts, 1, "stride {stride}");
    }
}

#[test]
fn padding_takes_the_conflicts_out_of_a_transpose() {
    if !counts_here() {
        return;
    }
    let card = Card::new();
    for (kernel, conflicts) in [("counts_transpose_unpadded", 32 * 31), ("counts_transpose_padded", 0)] {
        let count = card.count(kernel, &[], "a tile's columns", Space::Shared, Access::Load);
        assert_eq!(
            (count.requests, count.wavefronts, count.conflicts),
            (32, 32 + conflicts, conflicts),
            "{kernel}"
        );
        for count in card.counts(kernel, &[]) {
            assert_eq!(count.sectors, count.ideal_sectors, "{kernel}: {count}");
            assert!(count.access == Access::Load || count.conflicts == 0, "{kernel}: {count}");
        }
    }
}

#[test]
fn vectors_go_by_quarters_that_are_merged_where_neighbours_agree() {
    if !counts_here() {
        return;
    }
    let card = Card::new();
    let wavefronts = |kernel, mark| {
        let count = card.count(kernel, &[], mark, Space::Shared, Access::Load);
        assert_eq!((count.requests, count.bytes, count.conflicts), (1, 16, 0), "{kernel} {mark}");
        assert_eq!(count.ideal_wavefronts, 1);
        count.wavefronts
    };
    assert_eq!(wavefronts("counts_operands_in_rows", "A"), 2);
    assert_eq!(wavefronts("counts_operands_in_rows", "B"), 4);
    assert_eq!(wavefronts("counts_operands_in_z_order", "A"), 2);
    assert_eq!(wavefronts("counts_operands_in_z_order", "B"), 2);
    let costs = |stride, mark| {
        let count = card.count("counts_shared_vectors", &[stride], mark, Space::Shared, Access::Load);
        (count.wavefronts, count.conflicts, count.ideal_wavefronts)
    };
    assert_eq!(costs(0, "fours"), (2, 0, 1), "all the same: each half at once");
    assert_eq!(costs(1, "fours"), (4, 0, 4), "one after the other");
    assert_eq!(costs(2, "fours"), (8, 4, 4), "a quarter's eight lanes share half of the banks");
    assert_eq!(costs(8, "fours"), (32, 28, 4), "all in four banks");
    assert_eq!(costs(0, "twos"), (1, 0, 1));
    assert_eq!(costs(1, "twos"), (2, 0, 2));
    assert_eq!(costs(4, "twos"), (8, 6, 2), "a half's sixteen lanes share a quarter of the banks");
}

#[test]
fn copies_and_matrices_are_counted_where_they_are_asked_for() {
    if !counts_here() {
        return;
    }
    let (card, kernel) = (Card::new(), "counts_copies_and_matrices");
    for (stride, conflicts) in [(4, 0), (8, 4), (20, 0), (32, 28)] {
        let stored = card.count(kernel, &[stride], "copies", Space::Shared, Access::Store);
        assert_eq!((stored.requests, stored.lanes, stored.bytes), (1, 32, 16));
        assert_eq!((stored.wavefronts, stored.conflicts), (4 + conflicts, conflicts), "stride {stride}");
        let read = card.count(kernel, &[stride], "copies", Space::Global, Access::Load);
        assert_eq!((read.requests, read.lanes, read.sectors, read.ideal_sectors), (1, 16, 8, 8));
        let matrices = card.count(kernel, &[stride], "matrices", Space::Shared, Access::Matrices);
        assert_eq!(
            (matrices.requests, matrices.wavefronts, matrices.conflicts),
            (1, 4 + conflicts, conflicts)
        );
        assert_eq!(card.counts(kernel, &[stride]).len(), 4, "and nothing else but the store to `out`");
    }
    let matrices = card.count(kernel, &[0], "matrices", Space::Shared, Access::Matrices);
    assert_eq!((matrices.wavefronts, matrices.ideal_wavefronts), (4, 1), "matrices are never merged");
    let mark = "copies by turns";
    let read = card.count("counts_copies_by_turns", &[2], mark, Space::Global, Access::Load);
    assert_eq!((read.requests, read.lanes, read.sectors), (2, 48, 3 + 5));
    let atomics = card.count("counts_atomics", &[], "atomics", Space::Global, Access::Atomic);
    assert_eq!((atomics.requests, atomics.sectors), (1, 4));
}

/// The tests above in a process whose kernels are compiled to be counted.
#[test]
fn counts_are_exact_in_a_process_that_counts() {
    if sanitizer() != Sanitizer::None {
        return;
    }
    let report = in_counting_process(&["emulator::counting::"]);
    assert!(report.passed >= 8, "{} passed: {}", report.passed, report.text);
}

/// How the tests of that name went in a process that counts.
pub struct Report {
    pub passed: usize,
    pub text: String,
}

/// Runs tests there; they must pass.
#[track_caller]
pub fn in_counting_process(arguments: &[&str]) -> Report {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(()); // so that the first compiles and the second finds it done
    let mut command = in_sanitized_process(Sanitizer::Counts);
    command.args(arguments).arg("--test-threads=2");
    let output = {
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        command.output().unwrap()
    };
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    let result = text.lines().find_map(|line| line.strip_prefix("test result: ok. "));
    let passed = result.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or(0);
    Report { passed, text }
}
