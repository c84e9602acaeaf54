//! The checks must be able to fail: with any barrier, `__syncwarp` or other wait of the kernels taken
//! out, one of them does. The emulator skips the line as the kernels run, so nothing is compiled anew.
//!
//! With `COTANGENT_TEST_ALL=1` also in each variant of the products' templates by itself.

use std::path::Path;

use cotangent::exec::cuda::Variant;
use half::bf16;

use super::*;
use crate::emulator::emulator;
use crate::support::everything;

type Check = fn() -> Result<(), String>;

/// The checks that run the kernels of each file.
const CHECKS: [(&str, &[Check]); 9] = [
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
];

/// What waits, and the loads of loops that do.
const WAITS: [&str; 6] = [
    "__syncthreads()",
    "__syncwarp(",
    "copy_async_wait<",
    "cluster_wait(",
    "wait_for_prerequisites(",
    "load_acquire(",
];

/// File and line of everything that waits.
fn waits() -> Vec<(String, u32)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut waits = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "ptx.cuh" || path.is_dir() {
            continue; // which defines them; the ladder, which the lab tries
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, code) in (1..).zip(text.lines()) {
            let code = code.split("//").next().unwrap_or("");
            if WAITS.iter().any(|wait| code.contains(wait)) {
                waits.push((name.clone(), line));
            }
        }
    }
    waits.sort();
    waits
}

/// What the checks say when a line is skipped; nothing if they pass.
fn finding(file: &str, line: u32) -> Option<String> {
    let stem = file.split('.').next().unwrap();
    let (own, others): (Vec<_>, Vec<_>) = CHECKS.iter().partition(|(family, _)| *family == stem);
    let checks = own.into_iter().chain(others).flat_map(|(_, checks)| checks.iter());
    finding_of(checks.map(|check| check()), file, line)
}

/// The same of some checks, which must be lazy: they run while the line is skipped.
fn finding_of(checks: impl Iterator<Item = Result<(), String>>, file: &str, line: u32) -> Option<String> {
    emulator().skip(&format!("kernels/{file}"), line);
    let found = checks.filter_map(Result::err).next();
    let skips = emulator().skips();
    emulator().skip("", 0);
    assert!(skips > 0, "{file}:{line} is never reached");
    found
}

#[test]
fn no_barrier_or_wait_can_be_taken_out_unnoticed() {
    if support::on_real_card() {
        return; // a card cannot skip a line
    }
    let waits = waits();
    assert!(waits.len() >= 7, "{waits:?}");
    for (file, line) in waits {
        let found = finding(&file, line);
        assert!(found.is_some(), "{file}:{line} can be taken out, and every check passes");
        println!("{file}:{line}: {}", found.unwrap());
    }
}

#[test]
fn no_variant_of_a_product_does_without_any_of_its_barriers_and_waits() {
    if support::on_real_card() || !everything() {
        return;
    }
    let of_products: Vec<_> = waits().into_iter().filter(|(file, _)| file.starts_with("gemm")).collect();
    assert!(of_products.len() >= 6, "{of_products:?}");
    let mut count = 0;
    let mut try_all = |variant: &Variant, check: &dyn Fn() -> Result<(), String>| {
        let name = format!("{} {}", variant.kernel, variant.name());
        let loop_stands_in = if variant.fragments == 2 { "gemm_ahead.cuh" } else { "gemm.cuh" };
        for (file, line) in of_products.iter().filter(|(file, _)| file == loop_stands_in) {
            let found = finding_of(std::iter::once_with(check), file, *line);
            assert!(found.is_some(), "{file}:{line} can be taken out of {name}, and its check passes");
            count += 1;
        }
    };
    for variant in gemm::variants_of::<f32>() {
        try_all(variant, &|| gemm::check_variants_of::<f32>(&[variant]));
    }
    for variant in gemm::variants_of::<bf16>() {
        try_all(variant, &|| gemm::check_variants_of::<bf16>(&[variant]));
    }
    println!("{count} pairs of a variant and a barrier or wait");
}
