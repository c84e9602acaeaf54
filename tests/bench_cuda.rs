//! What `benches/cuda` does without a card: how operands rotate, and what times say.

#[path = "../benches/cuda/report.rs"]
#[allow(dead_code, reason = "the bench needs the rest")]
mod report;
#[path = "../benches/cuda/rota.rs"]
#[allow(dead_code, reason = "the bench needs the rest")]
mod rota;

use crate::bench_figures::figures;
use report::{Bound, Ceilings, Figure, PeerFigure, Title, Work};
use rota::Cache::{Cold, Warm};
use rota::Rota;

/// An H100's.
const CACHE: u64 = 50 << 20;

/// Bytes of a set, and of a graph: sets, launches, whether the cache is flushed. `tests/gpu_check` holds PyTorch's side
/// against this table.
#[rustfmt::skip]
const ROTAS: [(rota::Cache, u64, (usize, usize, bool)); 8] = [
    (Cold, 1, (1024, 1024, true)),
    (Cold, 512, (1024, 1024, true)),
    (Cold, 102400, (1024, 1024, true)),
    (Cold, 102501, (1023, 1023, false)),
    (Cold, 1048576, (101, 1010, false)),
    (Cold, 52428800, (3, 21, false)),
    (Cold, 104857601, (1, 11, false)),
    (Cold, 4294967296, (1, 1, false)),
];

#[test]
fn cold_operands_come_again_after_more_than_twice_the_cache() {
    for (cache, bytes, (sets, launches, flushes)) in ROTAS {
        let rota = Rota::of(cache, CACHE, bytes).unwrap();
        assert_eq!(rota, Rota { sets, launches, flushes }, "{bytes} bytes");
        // What the flush copies is twice the cache by itself; with it, no set is met twice in a replay.
        assert!(sets as u64 * bytes > 2 * CACHE || (flushes && launches == sets), "{bytes} bytes");
        assert!(launches % sets == 0 && launches <= 1024);
    }
}

#[test]
fn what_is_warm_fills_half_of_the_cache_at_most() {
    let warm = Some(Rota { sets: 1, launches: 256, flushes: false });
    assert_eq!(Rota::of(Warm, CACHE, 1), warm);
    assert_eq!(Rota::of(Warm, CACHE, 25 << 20), warm);
    assert_eq!(Rota::of(Warm, CACHE, (25 << 20) + 1), None);
}

fn title() -> Title {
    Title {
        name: "gemm_bf16/square/1024".into(),
        kernel: "gemm_bf16/square".into(),
        shape: "1024x1024x1024".into(),
        precision: "bf16",
        variant: Some("64x64 split 2".into()),
    }
}

/// A copy at 2 TB/s and tensor cores at 500 TFLOP/s.
fn ceilings() -> Ceilings {
    let mut ceilings = Ceilings::default();
    ceilings.set(Bound::Copy, Work::of_memory(2_000_000), 1e-6);
    ceilings.set(Bound::Mma, Work { bytes: 1, flops: 500_000_000, arithmetic: Bound::Mma }, 1e-6);
    ceilings
}

/// At the least 4 µs of traffic, and 5 µs of arithmetic.
const WORK: Work = Work { bytes: 8_000_000, flops: 2_500_000_000, arithmetic: Bound::Mma };

/// Seconds of peers: about 2, 8 and 4 µs, whose halves are numbers without rounding.
const PEERS: [f64; 3] = [1.0 / 524_288.0, 1.0 / 131_072.0, 1.0 / 262_144.0];

/// Ours takes 10 µs.
fn figure(title: &Title, cache: rota::Cache, work: Work) -> Figure<'_> {
    let samples = vec![10e-6, 9e-6, 12e-6];
    let peer = |peer: &str, seconds: f64| PeerFigure {
        peer: peer.into(),
        theirs: vec![seconds, 1.5 * seconds, 0.5 * seconds],
        ours: vec![11e-6, 9e-6, 12e-6],
    };
    let peers = vec![
        peer("cuBLAS, bfloat16 out", PEERS[0]),
        peer("PyTorch", PEERS[1]),
        peer("cuBLAS, float32 out", PEERS[2]),
    ];
    Figure { title, cache, work, samples, peers, began: 1000.25, ended: 1001.5 }
}

/// To the last digits but two.
fn close(value: impl Into<Option<f64>>, expected: f64) -> bool {
    value.into().is_some_and(|value| (value / expected - 1.0).abs() < 1e-14)
}

#[test]
fn a_line_has_all_that_is_known_of_a_figure() {
    let title = title();
    let line = figure(&title, Cold, WORK).json(&ceilings(), "a card");
    let expected = serde_json::json!({
        "name": "gemm_bf16/square/1024", "cache": "cold", "kernel": "gemm_bf16/square",
        "shape": "1024x1024x1024", "precision": "bf16", "variant": "64x64 split 2", "seconds": 10e-6, "samples": 3,
        "spread": line["spread"], "bytes": 8_000_000, "flops": 2_500_000_000_u64, "rate": line["rate"],
        "unit": "TFLOP/s", "ceiling": line["ceiling"], "fraction": line["fraction"], "bound": "ceiling/mma",
        "device": "a card", "began": 1000.25, "ended": 1001.5, "peers": [
            {"peer": "cuBLAS, bfloat16 out", "seconds": PEERS[0], "samples": 3, "spread": 1.0, "ours_seconds": 11e-6},
            {"peer": "PyTorch", "seconds": PEERS[1], "samples": 3, "spread": 1.0, "ours_seconds": 11e-6},
            {"peer": "cuBLAS, float32 out", "seconds": PEERS[2], "samples": 3, "spread": 1.0, "ours_seconds": 11e-6},
        ],
    });
    assert_eq!(line, expected);
    assert!(close(line["spread"].as_f64(), 0.3) && close(line["fraction"].as_f64(), 0.5), "{line}");
    assert!(close(line["rate"].as_f64(), 250.0) && close(line["ceiling"].as_f64(), 500.0), "{line}");
}

/// Readers of a rehearsal's lines meet all keys that figures have, and no time.
#[test]
fn a_rehearsal_has_the_keys_of_a_figure_without_its_times() {
    let title = title();
    let real = figure(&title, Cold, WORK).json(&ceilings(), "a card");
    let peers = PEERS.map(|_| PeerFigure { peer: "PyTorch".into(), theirs: vec![], ours: vec![] }).into();
    let rehearsal = Figure { samples: vec![], peers, ..figure(&title, Cold, WORK) };
    let line = rehearsal.rehearsed("a card");
    let keys = |line: &serde_json::Value| -> Vec<String> {
        line.as_object().unwrap().keys().cloned().collect() // in order of the alphabet
    };
    let without = |line, times: &[&str]| -> Vec<String> {
        keys(line).into_iter().filter(|key| !times.contains(&&key[..])).collect()
    };
    let mut expected = without(&real, &["seconds"]);
    expected.push("rehearsed".into());
    expected.sort();
    let mut found = keys(&line);
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(line["rehearsed"], true);
    assert_eq!(keys(&line["peers"][0]), without(&real["peers"][0], &["seconds", "ours_seconds"]));
    for none in ["rate", "fraction", "spread", "ceiling", "bound"] {
        assert_eq!(line[none], serde_json::Value::Null, "{none}");
    }
    let same =
        ["name", "cache", "kernel", "shape", "precision", "variant", "bytes", "flops", "unit", "device"];
    assert!(same.iter().all(|key| line[key] == real[key]), "{line}");
}

#[test]
fn a_row_says_the_state_of_the_cache_and_the_fastest_peer_with_results_as_ours() {
    let title = title();
    let row = figure(&title, Cold, WORK).row(&ceilings(), "a card", "2026-01-01");
    assert_eq!((&row.kernel[..], &row.shape[..]), ("gemm_bf16/square", "1024x1024x1024 cold"));
    assert_eq!((&row.precision[..], &row.variant[..]), ("bf16", "64x64 split 2"));
    assert_eq!((&row.card[..], &row.date[..], &row.unit[..]), ("a card", "2026-01-01", "TFLOP/s"));
    assert!(close(row.microseconds, 10.0) && close(row.peer_microseconds, 1e6 * PEERS[2]), "{row:?}");
    assert!(close(row.rate, 250.0) && close(row.ceiling_share, 0.5), "{row:?}");
}

#[test]
fn the_ceiling_that_binds_is_the_one_that_asks_for_more_time() {
    let title = title();
    let of = |cache, work| {
        let line = figure(&title, cache, work).json(&ceilings(), "a card");
        (line["bound"].clone(), line["unit"].clone(), line["fraction"].as_f64(), line["rate"].as_f64())
    };
    // 6 µs of traffic, 5 of arithmetic.
    let (bound, unit, fraction, rate) = of(Cold, Work { bytes: 12_000_000, ..WORK });
    assert_eq!((bound, unit), ("ceiling/copy".into(), "GB/s".into()));
    assert!(close(fraction, 0.6) && close(rate, 1200.0), "{fraction:?} {rate:?}");
    // The same from the cache: memory binds nothing.
    let (bound, _, fraction, _) = of(Warm, Work { bytes: 12_000_000, ..WORK });
    assert_eq!(bound, "ceiling/mma");
    assert!(close(fraction, 0.5), "{fraction:?}");
    let (bound, unit, fraction, rate) = of(Warm, Work::of_memory(12_000_000));
    assert_eq!((bound, unit, fraction), (serde_json::Value::Null, "GB/s".into(), None));
    assert!(close(rate, 1200.0), "{rate:?}");
    // float32 arithmetic has no ceiling here, and is counted all the same.
    let (bound, unit, fraction, rate) = of(Warm, Work { arithmetic: Bound::Fma, ..WORK });
    assert_eq!((bound, unit, fraction), (serde_json::Value::Null, "TFLOP/s".into(), None));
    assert!(close(rate, 250.0), "{rate:?}");
}

#[test]
fn peers_stand_below_a_figure_with_the_ratio_of_the_same_rounds() {
    let title = title();
    let text = figure(&title, Cold, WORK).text(&ceilings());
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let ours = "gemm_bf16/square/1024 cold 10.00 us ±15% 250.00 TFLOP/s 50.0% of ceiling/mma";
    assert_eq!(lines[0].join(" "), ours);
    assert_eq!(lines[3].join(" "), "cuBLAS, float32 out 3.81 us ±50% ours takes 2.88 of it");
    assert_eq!(lines.len(), 4);
}
