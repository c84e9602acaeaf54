//! `kernels/hopper/cluster_sum.cu`, `grid_sum.cu` and `dependent.cu`.
//!
//! Their numbers are small integers, of which float32 holds every sum, in whatever order.

use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};

use super::super::support::{chain, pairwise_on_hopper};
use crate::support::Random;

fn integers(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.below(1000) as f32 - 500.0).collect()
}

fn sum(values: &[f32]) -> f32 {
    values.iter().map(|&x| f64::from(x)).sum::<f64>() as f32
}

fn equal(found: &[f32], expected: &[f32]) -> Result<(), String> {
    match (0..expected.len()).find(|&i| found[i] != expected[i]) {
        Some(i) => Err(format!("number {i} of {} is {}, not {}", expected.len(), found[i], expected[i])),
        None => Ok(()),
    }
}

pub fn check_sums_by_clusters() -> Result<(), String> {
    const ROWS: [usize; 3] = [1, 2, 5];
    const COLUMNS: [usize; 5] = [1, 7, 128, 1000, 3001];
    const SIZES: [usize; 4] = [1, 2, 3, 8];
    let factors = [("rows", ROWS.len()), ("columns", COLUMNS.len()), ("size", SIZES.len())];
    pairwise_on_hopper(&factors, |run, hopper, pick| {
        let (rows, columns, size) = (ROWS[pick[0]], COLUMNS[pick[1]], SIZES[pick[2]]);
        let x = integers(&mut run.random(), rows * columns);
        let expected: Vec<f32> = x.chunks(columns).map(sum).collect();
        let (x, mut sums) = (run.upload(&x, 1)?, run.poisoned(rows, 0)?);
        hopper
            .cluster_sum
            .run(run.stream(), [rows, columns], size, &x.view(), &mut sums.view_mut())
            .map_err(|error| chain(&error))?;
        let compared = equal(&run.download(&sums)?, &expected);
        compared.map_err(|problem| format!("{rows} x {columns} by clusters of {size}: {problem}"))
    })
}

pub fn check_sums_by_grids() -> Result<(), String> {
    const COUNTS: [usize; 4] = [1, 100, 129, 3000];
    const BLOCKS: [usize; 4] = [1, 2, 3, 8];
    pairwise_on_hopper(&[("count", COUNTS.len()), ("blocks", BLOCKS.len())], |run, hopper, pick| {
        let (count, blocks) = (COUNTS[pick[0]], BLOCKS[pick[1]]);
        let mut random = run.random();
        let (mut partials, mut flags) = (run.poisoned(blocks, 0)?, run.upload(&vec![0_u32; blocks], 0)?);
        for call in 0..3 {
            let x = integers(&mut random, count);
            let expected = sum(&x);
            let (x, mut found) = (run.upload(&x, 1)?, run.poisoned(1, 0)?);
            hopper
                .grid_sum
                .run(
                    run.stream(),
                    &x.view(),
                    &mut found.view_mut(),
                    &mut partials.view_mut(),
                    &mut flags.view_mut(),
                )
                .map_err(|error| chain(&error))?;
            let compared = equal(&run.download(&found)?, &[expected]);
            compared.map_err(|problem| format!("{count} by {blocks} blocks, call {call}: {problem}"))?;
        }
        Ok(())
    })
}

/// Captured, because only in a graph does the emulated device begin a kernel before the one that it depends on has ended.
pub fn check_dependent_kernels() -> Result<(), String> {
    const COUNTS: [usize; 4] = [1, 128, 129, 1000];
    pairwise_on_hopper(&[("count", COUNTS.len())], |run, hopper, pick| {
        let count = COUNTS[pick[0]];
        let (a, b) = (3.0, -2.0);
        let mut random = run.random();
        let (x, w) = (integers(&mut random, count), integers(&mut random, count));
        let expected: Vec<f32> = x.iter().zip(&w).map(|(x, w)| a * x + b * w).collect();
        let (x, w) = (run.upload(&x, 1)?, run.upload(&w, 2)?);
        let (mut y, mut z) = (run.poisoned(count, 3)?, run.poisoned(count, 0)?);
        let stream = run.stream();
        stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).unwrap();
        let put = hopper.dependent.scale_and_add(
            stream,
            [a, b],
            [&x.view(), &w.view()],
            &mut y.view_mut(),
            &mut z.view_mut(),
        );
        let graph = stream.end_capture(CUgraphInstantiate_flags(0));
        put.map_err(|error| chain(&error))?;
        let graph = graph.map_err(|error| error.to_string())?.ok_or("nothing was captured")?;
        graph.launch().map_err(|error| error.to_string())?;
        equal(&run.download(&z)?, &expected).map_err(|problem| format!("{count}: {problem}"))
    })
}

#[test]
fn clusters_add_up_rows() {
    check_sums_by_clusters().unwrap();
}

#[test]
fn a_grid_adds_up_everything_and_does_so_again() {
    check_sums_by_grids().unwrap();
}

#[test]
fn a_dependent_kernel_waits_for_what_it_needs() {
    check_dependent_kernels().unwrap();
}
