//! The checks must be able to fail: with any barrier, fence, arrival or wait of the kernels taken out, one of them does,
//! and so it does with any wait whose number or parity is off by one. The emulator does that as the kernels run, so
//! nothing is compiled anew.
//!
//! With `COTANGENT_TEST_ALL=1` also in each variant of the products' templates by itself.

use std::path::Path;

use cotangent::exec::cuda::Variant;
use half::bf16;

use super::*;
use crate::emulator::emulator;
use crate::support::everything;

type Check = fn() -> Result<(), String>;

/// The checks that run the kernels of each file, those that take least first.
const CHECKS: [(&str, &[Check]); 16] = [
    ("common", &[hopper::sums::check_sums_by_clusters, softmax_cross_entropy::check_cross_entropy]),
    ("gemm", &[gemm::check_products]),
    ("gemm_ahead", &[gemm::check_products_ahead]),
    ("gemm_bf16", &[gemm_bf16::check_products]),
    ("sum", &[sum::check_column_sums, sum::check_row_sums, sum::check_long_row_sums]),
    (
        "softmax_cross_entropy",
        &[
            softmax_cross_entropy::check_cross_entropy,
            softmax_cross_entropy::check_softmax,
            softmax_cross_entropy::check_long_rows,
        ],
    ),
    ("accuracy", &[accuracy::check_correct_predictions_are_counted, accuracy::check_losses_add_up]),
    ("layout", &[layout::check_tiles]),
    ("gather", &[gather::check_batches_are_those_of_the_cpu]),
    (
        "latency",
        &[
            latency::check_overlapping_nodes_wait,
            latency::check_grid_barriers_hold,
            latency::check_cluster_barriers_hold,
            latency::check_chases_through_shared_memory,
            latency::check_chases_through_the_neighbours_memory,
            latency::check_neighbours_words_are_read,
        ],
    ),
    ("hopper/ring", &[hopper::ring::check_copies_through_a_ring]),
    ("hopper/broadcast", &[hopper::broadcast::check_broadcast_additions]),
    ("hopper/cluster_sum", &[hopper::sums::check_sums_by_clusters]),
    ("hopper/grid_sum", &[hopper::sums::check_sums_by_grids]),
    ("hopper/dependent", &[hopper::sums::check_dependent_kernels]),
    ("hopper/tile", &[hopper::tile::check_tf32_tiles, hopper::tile::check_bf16_tiles]),
];

/// What waits or is waited for, and the loads of loops that wait.
const ORDERS: [&str; 17] = [
    "__syncthreads()",
    "__syncwarp(",
    "copy_async_wait<",
    "cluster_arrive(",
    "cluster_wait(",
    "wait_for_prerequisites(",
    "add_release(",
    "load_acquire(",
    "mbarrier_arrive",
    "mbarrier_expect_tx(",
    "mbarrier_wait",
    "mbarrier_try_wait(",
    "fence_mbarrier_init(",
    "fence_proxy_async(",
    "bulk_commit(",
    "bulk_wait",
    "wgmma_",
];

/// Of these the waits that say for what: the groups that may be unfinished, or a phase's parity.
const WAITS_FOR: [&str; 5] =
    ["copy_async_wait<", "mbarrier_wait", "mbarrier_try_wait(", "bulk_wait", "wgmma_wait<"];

/// What begins like one of them and orders nothing.
const OTHERS: [&str; 4] = ["wgmma_descriptor(", "wgmma_bf16", "wgmma_tf32", "wgmma_keep("];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Change {
    TakenOut,
    /// Waits for one group less, or for the other parity.
    OffByOne,
}

/// A line of a kernel, and what is done to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Mutation {
    /// Below `kernels/`.
    file: String,
    line: u32,
    change: Change,
    code: String,
}

impl std::fmt::Display for Mutation {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        let change = if self.change == Change::TakenOut { "taken out" } else { "off by one" };
        write!(out, "{}:{} {change}: {}", self.file, self.line, self.code)
    }
}

/// All changes in a folder below `kernels/`, in the order of files and lines.
fn mutations(folder: &str) -> Vec<Mutation> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut mutations = Vec::new();
    for entry in std::fs::read_dir(kernels.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("ptx") || path.is_dir() {
            continue; // which define them; the ladder, which the lab tries
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, code) in (1..).zip(text.lines()) {
            let code = code.split("//").next().unwrap_or("").trim();
            let without = OTHERS.iter().fold(code.to_owned(), |code, other| code.replace(other, ""));
            let has = |names: &[&str]| names.iter().any(|name| without.contains(name));
            let mut push = |change| {
                let file = format!("{folder}{name}");
                mutations.push(Mutation { file, line, change, code: code.to_owned() });
            };
            if has(&ORDERS) {
                push(Change::TakenOut);
            }
            if has(&WAITS_FOR) {
                push(Change::OffByOne);
            }
        }
    }
    mutations.sort();
    mutations
}

/// What the checks say when a line is changed; nothing if they pass.
fn finding(mutation: &Mutation) -> Option<String> {
    let family = mutation.file.split('.').next().unwrap();
    let own: Vec<_> = CHECKS.iter().filter(|(file, _)| *file == family).collect();
    let checks = if own.is_empty() { CHECKS.iter().collect() } else { own };
    finding_of(checks.iter().flat_map(|(_, checks)| checks.iter()).map(|check| check()), mutation)
}

/// The same of some checks, which must be lazy: they run while the line is changed.
fn finding_of(checks: impl Iterator<Item = Result<(), String>>, mutation: &Mutation) -> Option<String> {
    let file = format!("kernels/{}", mutation.file);
    match mutation.change {
        Change::TakenOut => emulator().skip(&file, mutation.line),
        Change::OffByOne => emulator().shift(&file, mutation.line),
    }
    let found = checks.filter_map(Result::err).next();
    let skips = emulator().skips();
    emulator().skip("", 0);
    assert!(skips > 0, "{mutation} is never reached");
    found
}

#[test]
fn no_barrier_arrival_or_wait_can_be_changed_unnoticed() {
    none_unnoticed("", 25);
}

#[test]
fn no_barrier_fence_arrival_or_wait_of_the_kernels_for_hopper_can_be_changed_unnoticed() {
    none_unnoticed("hopper/", 40);
}

/// Tries all changes in a folder, of which there are at least so many.
#[track_caller]
fn none_unnoticed(folder: &str, least: usize) {
    if support::on_real_card() {
        return; // a card cannot skip a line
    }
    let mutations = mutations(folder);
    assert!(mutations.len() >= least, "{mutations:?}");
    let (mut rows, mut unnoticed) = (Vec::new(), Vec::new());
    for mutation in mutations {
        match finding(&mutation) {
            Some(found) => {
                println!("{mutation}\n    {}", found.lines().next().unwrap_or(""));
                rows.push(row(&mutation, &found));
            }
            None => unnoticed.push(mutation.to_string()),
        }
    }
    assert!(unnoticed.is_empty(), "every check passes with any of these:\n{}", unnoticed.join("\n"));

    compare_with_page(folder, &rows);
}

/// Whether the page lists these changes of a folder's kernels; how each is found may differ from one compiler to the next.
fn compare_with_page(folder: &str, rows: &[String]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/mutations.md");
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    let is_own = |row: &&str| row.starts_with("| `hopper/") != folder.is_empty();
    let (own, others): (Vec<&str>, Vec<&str>) =
        written.lines().filter(|line| line.starts_with("| `")).partition(is_own);
    if std::env::var_os("COTANGENT_WRITE_MUTATIONS").is_some() {
        let all =
            if folder.is_empty() { [rows.concat(), lines(&others)] } else { [lines(&others), rows.concat()] };
        return std::fs::write(&page, HEAD.to_owned() + &all.concat()).unwrap();
    }
    let change = |row: &str| row.rsplit_once(" | ").map(|(change, _)| change.to_owned());
    assert!(
        own.iter().map(|row| change(row)).eq(rows.iter().map(|row| change(row))),
        "docs/mutations.md does not list today's kernels: run `COTANGENT_WRITE_MUTATIONS=1 cargo test --release \
         kernels::mutations -- --test-threads=1`"
    );
}

fn lines(rows: &[&str]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

const HEAD: &str = "\
# Each barrier, fence, arrival and wait, taken out or off by one

Written by `COTANGENT_WRITE_MUTATIONS=1 cargo test --release kernels::mutations -- --test-threads=1`; without the variable the
tests hold this page against the kernels. The emulator changes one line of a kernel as it runs; the kernel's checks run until one fails, under several schedules,
sizes and seeds. The last column says how it failed: by a fault of [the emulator](../tests/emulator/README.md), or by wrong
numbers. \"Off by one\" is a wait for the other phase of a barrier, or for one group less.

| file | line | change | found by |
|---|---|---|---|
";

/// A row of the page.
fn row(mutation: &Mutation, found: &str) -> String {
    let Mutation { file, change, code, .. } = mutation;
    let change = if *change == Change::TakenOut { "taken out" } else { "off by one" };
    let code = code.replace('|', "\\|");
    format!("| `{file}` | `{code}` | {change} | {} |\n", how(found))
}

/// What a check's message says in short. What is no fault is a comparison that failed.
fn how(found: &str) -> &'static str {
    const FAULTS: [(&str, &str); 15] = [
        ("deadlock:", "deadlock"),
        ("is not initialised", "fault: barrier not initialised"),
        ("more arrivals than", "fault: more arrivals than the barrier expects"),
        ("two phases behind", "fault: a waiter two phases behind"),
        ("lands after its barrier's phase", "fault: a copy lands after its phase"),
        ("without fence.mbarrier_init", "fault: barrier not fenced"),
        ("without fence.proxy.async", "fault: bytes not fenced for TMA or wgmma"),
        ("without wgmma.fence", "fault: accumulators not fenced"),
        ("of A were changed", "fault: fragments changed under way"),
        ("still reads these fragments", "fault: fragments still read"),
        ("ends while", "fault: an end with work under way"),
        ("divergent", "fault: threads wait in different places"),
        ("has not begun", "fault: a block that has not begun"),
        ("ended", "fault: a block that has ended"),
        ("barrier.cluster", "fault: cluster barrier"),
    ];
    FAULTS.iter().find(|(words, _)| found.contains(words)).map_or("wrong numbers", |(_, how)| how)
}

#[test]
fn no_variant_of_a_product_does_without_any_of_its_barriers_and_waits() {
    if support::on_real_card() || !everything() {
        return;
    }
    let of_products: Vec<_> =
        mutations("").into_iter().filter(|mutation| mutation.file.starts_with("gemm")).collect();
    assert!(of_products.len() >= 6, "{of_products:?}");
    let mut count = 0;
    let mut try_all = |variant: &Variant, check: &dyn Fn() -> Result<(), String>| {
        let name = format!("{} {}", variant.kernel, variant.name());
        let loop_stands_in = if variant.fragments == 2 { "gemm_ahead.cuh" } else { "gemm.cuh" };
        for mutation in of_products.iter().filter(|mutation| mutation.file == loop_stands_in) {
            let found = finding_of(std::iter::once_with(check), mutation);
            assert!(found.is_some(), "{mutation}: the check of {name} passes");
            count += 1;
        }
    };
    for variant in gemm::variants_of::<f32>() {
        try_all(variant, &|| gemm::check_variants_of::<f32>(&[variant]));
    }
    for variant in gemm::variants_of::<bf16>() {
        try_all(variant, &|| gemm::check_variants_of::<bf16>(&[variant]));
    }
    println!("{count} pairs of a variant and a change");
}
