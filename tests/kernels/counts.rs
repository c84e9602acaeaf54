//! What the kernels ask of memory, counted on the emulated 9.0: shared memory without bank conflicts, and no more
//! sectors of global memory than hold the bytes; where it is otherwise, by how much. `emulator/counts.rs` says what is
//! counted and `emulator/counting/` how.
//!
//! The tests run in a process of their own, whose kernels are compiled for it. Its tables have a line for each access:
//!
//! ```sh
//! cargo test --release kernels::counts -- --nocapture
//! ```
//!
//! A kernel more is a function in `launches.rs` and a line in a test here.

mod launches;

use cotangent::data::Shifts;
use cotangent::exec::cuda::{Axes, LaneOrder, Variant};
use half::bf16;

use super::gemm::{Multiplied, TRANSPOSES};
use super::support::{Gpu, Run, on_real_card};
use crate::emulator::counting::{counts_here, in_counting_process};
use crate::emulator::counts::{Access, Count, Space};
use crate::emulator::{Sanitizer, emulator, sanitizer};
use launches::*;

/// What some launches were counted to do.
pub struct Counted {
    what: String,
    counts: Vec<Count>,
}

/// A run on the device that counts; nothing in processes that do not.
fn run() -> Option<Run> {
    thread_local! {
        static GPU: &'static Gpu = Box::leak(Box::new(Gpu::open(2)));
    }
    counts_here().then(|| Run::new(GPU.with(|gpu| *gpu), 0, 1))
}

/// Counts the kernels that this launches, and prints the counts.
#[track_caller]
pub fn counted<T, E: std::fmt::Debug>(what: &str, launches: impl FnOnce() -> Result<T, E>) -> Counted {
    emulator().clear_counts();
    let launched = launches();
    assert_eq!(emulator().take_fault(), None, "{what}");
    launched.unwrap_or_else(|problem| panic!("{what}: {problem:?}"));
    let counted = Counted { what: what.into(), counts: emulator().counts() };
    assert!(!counted.counts.is_empty(), "{what}: nothing was counted");
    println!("{}", counted.table());
    counted
}

impl Counted {
    fn table(&self) -> String {
        self.counts.iter().fold(format!("\n{}", self.what), |table, count| format!("{table}\n  {count}"))
    }

    /// Of some accesses, `measure` is so much for each request; the widest accesses of this kind only, so that the few
    /// elements at the ends of a vector kernel's arrays do not matter.
    #[track_caller]
    fn assert_each(&self, space: Space, access: Access, measure: fn(&Count) -> u64, expected: &[f64]) {
        let of = |count: &&Count| (count.space, count.access) == (space, access);
        let widest = self.counts.iter().filter(of).map(|count| count.bytes).max();
        let found: Vec<f64> = self
            .counts
            .iter()
            .filter(of)
            .filter(|count| Some(count.bytes) == widest)
            .map(|count| measure(count) as f64 / count.requests as f64)
            .collect();
        assert_eq!(found, expected, "{space:?} {access:?}: {}", self.table());
    }

    /// The accesses of 16 bytes alone.
    fn vectors(mut self) -> Self {
        self.counts.retain(|count| count.bytes == 16);
        assert!(!self.counts.is_empty(), "{}: no vectors", self.what);
        self
    }

    /// Global memory moves no sector that holds nothing of a request.
    #[track_caller]
    fn assert_ideal_sectors(&self) -> &Self {
        let ideal = |count: &Count| count.sectors == count.ideal_sectors;
        assert!(self.counts.iter().all(ideal), "sectors beyond the ideal: {}", self.table());
        self
    }

    /// No bank of shared memory is wanted twice by lanes that it serves together.
    #[track_caller]
    fn assert_no_conflicts(&self) -> &Self {
        let clean = |count: &Count| count.conflicts == 0;
        assert!(self.counts.iter().all(clean), "bank conflicts: {}", self.table());
        self
    }
}

/// The variants of a product's kernel that the program embeds.
fn variants<T: Multiplied>(run: &Run) -> Vec<&'static Variant> {
    let variants: Vec<_> = T::kernels(run).variants().collect();
    assert!(!variants.is_empty(), "{}", T::FILE);
    variants
}

#[test]
fn elementwise_kernels_move_whole_sectors() {
    let Some(run) = run() else { return };
    let [relu, backward, sum, with_bias] = elementwise(&run);
    for counted in [relu, backward, sum] {
        counted.assert_ideal_sectors();
    }
    // The bias comes one number at a time from the cache, 16 bytes apart: four requests where one would do.
    with_bias.assert_each(Space::Global, Access::Load, |count| count.sectors, &[16.0]);
    let bias: u64 = with_bias.counts.iter().filter(|count| count.bytes == 4).map(|count| count.sectors).sum();
    assert_eq!(bias, 4 * 20 * 256 / 8);
    for counted in conversions(&run) {
        counted.assert_ideal_sectors();
    }
}

#[test]
fn updates_move_whole_sectors() {
    let Some(run) = run() else { return };
    adam(&run).assert_ideal_sectors();
}

#[test]
fn cross_entropy_moves_whole_sectors_where_rows_are_whole_sectors() {
    let Some(run) = run() else { return };
    for classes in [32, 128, 512, 1000, 3000, 33_000, 50_256] {
        // The label's logit, which each row's first thread reads once more, is a sector for itself.
        let counted = cross_entropy(&run, 33, classes);
        counted.assert_no_conflicts();
        counted.vectors().assert_ideal_sectors();
    }
    // Rows of 10 begin anywhere.
    cross_entropy(&run, 33, 10).assert_no_conflicts();
    cross_entropy(&run, 33, 33_001).assert_no_conflicts();
    cross_entropy(&run, 3, 50_257).assert_no_conflicts();
    accuracy(&run, 33, 1000).assert_ideal_sectors().assert_no_conflicts();
    accuracy(&run, 33, 10).assert_no_conflicts();
}

#[test]
fn sums_move_whole_sectors() {
    let Some(run) = run() else { return };
    for (outer, reduced, inner) in [(1, 128, 256), (128, 256, 1), (4, 100, 64)] {
        sum(&run, Axes { outer, reduced, inner }).assert_ideal_sectors().assert_no_conflicts();
    }
    sum(&run, Axes { outer: 1, reduced: 5000, inner: 10 }).assert_no_conflicts();
}

#[test]
fn transposes_move_whole_sectors_on_both_sides() {
    let Some(run) = run() else { return };
    // Both sides 16 bytes at a time, and, where rows do not begin at multiples of that, one, the other, none.
    for shape in [[96, 128], [64, 1000], [1000, 40]] {
        transpose(&run, &[1, 0], &shape).assert_ideal_sectors().assert_no_conflicts();
    }
    for shape in [[97, 128], [96, 127], [97, 127]] {
        transpose(&run, &[1, 0], &shape).assert_no_conflicts();
    }
    transpose(&run, &[2, 0, 1], &[3, 64, 64]).assert_ideal_sectors().assert_no_conflicts();
    // Too narrow for tiles: it reads down columns, and 32 bytes come for each 4.
    let narrow = transpose(&run, &[1, 0], &[96, 8]);
    narrow.assert_each(Space::Global, Access::Store, |count| count.sectors, &[16.0]);
    narrow.assert_each(Space::Global, Access::Load, |count| count.sectors, &[24.0]);
}

#[test]
fn batches_are_written_in_whole_sectors_and_read_by_words() {
    let Some(run) = run() else { return };
    for shifts in [None, Some(Shifts::new(2, 7))] {
        let batch = gather(&run, shifts);
        // Four vectors of a lane, those of an image's second warp among them, some of whose lanes have none.
        let of_vectors = |count: &&Count| count.access == Access::Store && count.bytes == 16;
        let stores: Vec<&Count> = batch.counts.iter().filter(of_vectors).collect();
        assert!(!stores.is_empty() && stores.iter().all(|count| count.sectors == count.ideal_sectors));
        let of_words = |count: &&Count| count.access == Access::Load && count.bytes == 4;
        let words: u64 = batch.counts.iter().filter(of_words).map(|count| count.lanes).sum();
        // Two words for each four pixels of 16 images at most, and what every warp reads once.
        assert!(words <= 2 * 16 * 196 + 32 * 32 * 6, "{words} words: {}", batch.table());
    }
}

/// Of a tile in shared memory, the wavefronts of 128 bytes that copying 512 bytes into it takes beyond four.
///
/// Where rows of a tile run along k, they are 20 words apart, and the two rows that a quarter of a warp copies share
/// four of the banks.
const CONFLICTS_OF_COPIES_ALONG_K: f64 = 4.0;

/// Wavefronts of a four of A and of a four of B. Of A neighbouring lanes read the same, so that quarters of the warp are
/// merged; of B they do in z-order alone, neighbours but one.
fn of_reads(variant: &Variant) -> [f64; 2] {
    match variant.lanes {
        LaneOrder::Z => [2.0, 2.0],
        _ => [2.0, 4.0],
    }
}

#[test]
fn products_in_float32_read_shared_memory_without_conflicts() {
    let Some(run) = run() else { return };
    let (plain, ahead): (Vec<_>, Vec<_>) = variants::<f32>(&run).into_iter().partition(|v| v.fragments == 1);
    for &variant in &plain {
        for matmul in TRANSPOSES {
            let product = product::<f32>(&run, variant, matmul, 0);
            product.assert_ideal_sectors();
            let conflicts = |count: &Count| count.conflicts;
            product.assert_each(Space::Shared, Access::Load, conflicts, &[0.0, 0.0]);
            product.assert_each(Space::Shared, Access::Load, |count| count.wavefronts, &of_reads(variant));
            let of_copies = [!matmul.transpose_a, matmul.transpose_b]
                .map(|along_k| if along_k { CONFLICTS_OF_COPIES_ALONG_K } else { 0.0 });
            product.assert_each(Space::Shared, Access::Store, conflicts, &of_copies);
        }
    }
    // Those that read ahead transpose as they copy, and conflict nowhere.
    for variant in ahead {
        for matmul in TRANSPOSES {
            let product = product::<f32>(&run, variant, matmul, 0);
            product.assert_ideal_sectors().assert_no_conflicts();
            // Each before the loop, and in it.
            let [a, b] = of_reads(variant);
            product.assert_each(Space::Shared, Access::Load, |count| count.wavefronts, &[a, a, b, b]);
        }
    }
    split_product(&run, plain[0]).assert_ideal_sectors();
}

#[test]
fn products_in_bfloat16_use_shared_memory_without_conflicts() {
    let Some(run) = run() else { return };
    for variant in variants::<bf16>(&run) {
        for matmul in TRANSPOSES {
            let product = product::<bf16>(&run, variant, matmul, 0);
            product.assert_ideal_sectors().assert_no_conflicts();
            product.assert_each(Space::Shared, Access::Matrices, |count| count.wavefronts, &[4.0, 4.0]);
        }
    }
}

#[test]
fn products_off_aligned_addresses_read_shared_memory_without_conflicts() {
    let Some(run) = run() else { return };
    for variant in variants::<f32>(&run) {
        let product = product::<f32>(&run, variant, TRANSPOSES[0], 1);
        product.assert_each(Space::Shared, Access::Load, |count| count.conflicts, &[0.0, 0.0]);
    }
}

/// `cp.async` too, which copies late in some orders and at once in others.
#[test]
fn counts_are_the_same_in_every_order_of_threads() {
    let Some(run) = run() else { return };
    let variant = variants::<bf16>(&run)[0];
    let [first, last, random] = [0, 1, 2].map(|schedule| {
        let run = Run::new(run.gpu, schedule, 1);
        let counts =
            [product::<bf16>(&run, variant, TRANSPOSES[1], 0).counts, cross_entropy(&run, 33, 10).counts];
        counts.concat()
    });
    assert_eq!(first, last);
    assert_eq!(first, random);
}

/// The tests above in a process whose kernels are compiled to be counted; its tables are this test's output.
#[test]
fn kernels_are_counted_in_a_process_of_their_own() {
    if on_real_card() || sanitizer() != Sanitizer::None {
        return;
    }
    let report = in_counting_process(&["kernels::counts::", "--nocapture"]);
    println!("{}", report.text);
    assert!(report.passed >= 10, "{} passed: {}", report.passed, report.text);
}
