//! GPU timings: each kernel's time, its rate, and how near that comes to what the card can do.
//!
//! ```sh
//! cargo bench --bench cuda                                  # all, in about a minute
//! cargo bench --bench cuda -- gemm_bf16                     # what matches
//! COTANGENT_BENCH_JSON=cuda.jsonl cargo bench --bench cuda  # and an object a line, appended to the file
//! ```
//!
//! # CUDA
//!
//! First the ceilings are measured, in the same process on the same card, by `kernels/ceiling.cu`: the bytes a
//! second of a copy, reads and writes both counted; the floating-point operations a second of float32
//! multiply-adds, and of bfloat16 products on tensor cores where the card has them. Then each case prints one
//! line: its name, the time of a launch, its rate, and that rate as a fraction of the ceiling that binds. A
//! case's bytes over the one ceiling and its operations over the other are two times, the longer of which
//! is about the least that a launch can take: the ceiling that gives it binds.
//!
//! Bytes and operations are those that the work must move or do, whatever the kernel does: each input read
//! once, each result written once. Arithmetic is counted for products alone; memory binds everything else.
//!
//! | names | bytes | FLOPs |
//! |---|---|---|
//! | `ceiling/copy` | 8 n | |
//! | `ceiling/fma` | 8 n | 2 n rounds |
//! | `ceiling/mma` | 4096 warps | 32768 warps rounds |
//! | `unary/{relu,exp,tanh}/n` | 8 n | |
//! | `binary/{add,mul}/n`, `relu_backward/n` | 12 n | |
//! | `binary/add_per_column/rxc` | 8 r c + 4 c | |
//! | `program/mul_add_tanh/n`, three operations fused | 12 n | |
//! | `fill/n` | 4 n | |
//! | `transpose/rxc`, `softmax/rxc` | 8 r c | |
//! | `one_hot/rxc`, `count_confusions/rxc` | 4 r c + 4 r | |
//! | `sum/columns/rxc` | 4 r c + 4 c | |
//! | `sum/rows/rxc` | 4 r c + 4 r | |
//! | `sum/all/n` | 4 n + 4 | |
//! | `softmax_cross_entropy/rxc`, with the gradient | 8 r c + 8 r | |
//! | `sgd/n`, `adagrad/n`, `rmsprop/n` | 20 n | |
//! | `adam/n` | 28 n | |
//! | `gather/{plain,shifted}/rxc`, c pixels | 5 r c + 9 r | |
//! | `dropout/n` | 4 n | |
//! | `count_correct/rxc` | 4 r c + 4 r | |
//! | `accumulate_losses/n` | 4 n | |
//! | `convert/{f32_to_bf16,bf16_to_f32}/n` | 6 n | |
//! | `gemm_f32/{forward,weight_gradient,input_gradient}/i-o`, `gemm_f32/square/n` | 4 (m k + k n + m n) | 2 m n k |
//! | `gemm_bf16/{forward,weight_gradient,input_gradient}/i-o`, `gemm_bf16/square/n` | 2 (m k + k n) + 4 m n | 2 m n k |
//! | `training_step/{sgd,adagrad,rmsprop,adam}`, `training_step/adam_bf16` | 24 n or (Adam) 32 n of n parameters | 2 m n k of its products |
//!
//! n: elements; r, c: rows and columns, `128x512`; i-o: a layer from i inputs to o outputs, for a batch of 128.
//!
//! A time is taken by events around replays of a graph, so that the gaps between launches from the host do not
//! count. The graph launches the case once on each of several sets of random operands: as many as are
//! together twice the second-level cache, but at most 256. What is smaller than that stays in the cache, and
//! is bound by the latency of a launch rather than by any ceiling. The figure is the median of ten samples.
//!
//! A training step (784-512-256-10, batch 128, shifted images) is timed by the clock instead, over whole epochs
//! with all that the host does in them.
//!
//! A JSON object has `name`, `seconds`, `bytes`, `flops`, `rate`, `unit` (`GB/s` or `TFLOP/s`), `ceiling` (in
//! the same unit), `fraction` (rate / ceiling), `bound` (the name of that ceiling) and `device` (the card's).
//!
//! Without a usable GPU the program prints one line that says why, and succeeds. `COTANGENT_BENCH_DEVICE` is the
//! number of the device, 0 if not set. With `--test` everything runs once and no figure is claimed; an emulated
//! device (tests/emulator) does that much, but for the large cases:
//!
//! ```sh
//! COTANGENT_BENCH_DEVICE=2 scripts/emulated cargo bench --bench cuda -- --test
//! ```

#[path = "cuda/cases.rs"]
mod cases;
#[path = "cuda/lab.rs"]
mod lab;
#[path = "cuda/report.rs"]
mod report;
#[path = "cuda/training.rs"]
mod training;

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use cases::{
    Case, Layer, accumulate_losses, add_per_column, bf16_to_f32, binary, count_confusions, count_correct,
    cross_entropy, dropout, f32_to_bf16, fill, gather, layer, one_hot, program, relu_backward, softmax,
    square, sum_all, sum_columns, sum_rows, transpose, unary, update,
};
use cotangent::exec::cuda::{Factor, Products};
use cotangent::ops::{Binary, Unary};
use cotangent::optim::{Adagrad, Adam, Optimizer, RmsProp, Sgd};
use criterion::{Criterion, criterion_group};
use half::bf16;
use lab::{Lab, Outcome, Rotation};
use report::{Ceilings, Report, Work};
use training::Training;

const BATCH: usize = 128;
const WIDTHS: [usize; 4] = [784, 512, 256, 10];
/// Parameters of the network with these widths.
const PARAMETERS: usize = 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10;
/// The widest layer's activations, and what is far larger than any cache.
const SMALL: usize = BATCH * 512;
const LARGE: usize = 1 << 26;

fn elementwise(criterion: &mut Criterion) {
    for operation in [Unary::Relu, Unary::Exp, Unary::Tanh] {
        run(criterion, [SMALL, LARGE].map(|n| unary(operation, n)));
    }
    for operation in [Binary::Add, Binary::Mul] {
        run(criterion, [SMALL, LARGE].map(|n| binary(operation, n)));
    }
    run(criterion, [[BATCH, 512], [8192, 8192]].map(add_per_column));
    run(criterion, [SMALL, LARGE].map(relu_backward));
    run(criterion, [SMALL, LARGE].map(program));
    run(criterion, [SMALL, LARGE].map(fill));
    run(criterion, [[BATCH, 512], [8192, 8192]].map(transpose));
}

fn sums(criterion: &mut Criterion) {
    run(criterion, [[BATCH, 10], [BATCH, 512], [60_000, 784], [8192, 8192]].map(sum_columns));
    run(criterion, [[BATCH, 10], [8192, 1024], [1024, 65_536]].map(sum_rows));
    run(criterion, [BATCH, LARGE].map(sum_all));
}

fn loss(criterion: &mut Criterion) {
    let sizes = [[BATCH, 10], [BATCH, 1000], [8192, 1024], [8192, 32_000], [8192, 50_257]];
    run(criterion, sizes.map(cross_entropy));
    run(criterion, [[BATCH, 10], [8192, 1024]].map(softmax));
    run(criterion, [[BATCH, 10], [8192, 1024]].map(one_hot));
}

fn rules() -> [(&'static str, Optimizer); 4] {
    [
        ("sgd", Optimizer::Sgd(Sgd::default())),
        ("adagrad", Optimizer::Adagrad(Adagrad::default())),
        ("rmsprop", Optimizer::RmsProp(RmsProp::default())),
        ("adam", Optimizer::Adam(Adam::default())),
    ]
}

fn optimizers(criterion: &mut Criterion) {
    for (name, rule) in rules() {
        run(criterion, [PARAMETERS, 100_000_000].map(|n| update(name, rule, n)));
    }
}

fn batches(criterion: &mut Criterion) {
    for shifts in [None, Some(1)] {
        run(criterion, [BATCH, 8192].map(|rows| gather(shifts, rows)));
    }
    run(criterion, [SMALL, LARGE].map(dropout));
    run(criterion, [[BATCH, 10], [8192, 1024]].map(count_correct));
    run(criterion, [[2000, 10], [8192, 1024]].map(count_confusions));
    run(criterion, [BATCH, 8192].map(accumulate_losses));
}

fn conversions(criterion: &mut Criterion) {
    run(criterion, [PARAMETERS, LARGE].map(f32_to_bf16));
    run(criterion, [PARAMETERS, LARGE].map(bf16_to_f32));
}

fn products(criterion: &mut Criterion) {
    const SQUARES: [usize; 4] = [1024, 2048, 4096, 8192];
    for widths in WIDTHS.windows(2) {
        run(criterion, Layer::ALL.map(|part| layer::<f32>(part, BATCH, widths)));
    }
    run(criterion, SQUARES.map(square::<f32>));
    for widths in WIDTHS.windows(2) {
        run(criterion, Layer::ALL.map(|part| layer::<bf16>(part, BATCH, widths)));
    }
    run(criterion, SQUARES.map(square::<bf16>));
}

fn training_steps(criterion: &mut Criterion) {
    let Some(Bench { lab, .. }) = BENCH.get() else { return };
    let in_float32 = rules().map(|(name, rule)| (name.to_owned(), rule, Products::F32));
    let in_bfloat16 = ("adam_bf16".to_owned(), Optimizer::Adam(Adam::default()), Products::Bf16);
    for (name, rule, products) in in_float32.into_iter().chain([in_bfloat16]) {
        let name = format!("training_step/{name}");
        if products == Products::Bf16 && lab.device.capability() < bf16::NEEDED {
            println!("SKIPPED {name}: compute capability {}", lab.device.capability());
            continue;
        }
        time(criterion, &name, training::work(&rule, products), || {
            let mut training = Training::new(lab, rule, products)?;
            Ok(move |steps| training.seconds(steps))
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .nresamples(10_000);
    targets = training_steps, products, optimizers, loss, elementwise, sums, batches, conversions
}

/// Samples whose median is the figure.
const SAMPLES: usize = 10;

/// What all cases share.
struct Bench {
    lab: Lab,
    ceilings: Ceilings,
    report: Report,
}

static BENCH: OnceLock<Bench> = OnceLock::new();

fn main() -> ExitCode {
    // As criterion reads the command line: `cargo bench` passes --bench, and all else is a rehearsal.
    let is_given = |flag: &str| std::env::args().any(|argument| argument == flag);
    let measures = is_given("--bench") && !is_given("--test") && !is_given("--list");
    let lab = match Lab::open() {
        Ok(lab) if lab.is_emulated() && measures => {
            let name = lab.device.name();
            println!("SKIPPED cuda benches: {name}, whose times say nothing; -- --test rehearses them");
            return ExitCode::SUCCESS;
        }
        Ok(lab) => lab,
        Err(problem) => {
            println!("SKIPPED cuda benches: {}", lab::chain(&*problem));
            return ExitCode::SUCCESS;
        }
    };
    match prepare(lab, measures) {
        Ok(bench) => BENCH.get_or_init(|| bench),
        Err(problem) => {
            eprintln!("cuda benches: {}", lab::chain(&*problem));
            return ExitCode::FAILURE;
        }
    };
    benches();
    Criterion::default().configure_from_args().final_summary();
    ExitCode::SUCCESS
}

/// Measures the ceilings that the device has.
fn prepare(lab: Lab, measures: bool) -> Outcome<Bench> {
    let report = Report::new(measures, lab.device.name())?;
    println!("{}, compute capability {}", lab.device.name(), lab.device.capability());
    let mut ceilings = Ceilings::default();
    for (bound, case) in cases::ceilings(&lab) {
        if is_skipped(&lab, &case) {
            continue;
        }
        let rotation = Rotation::capture(&lab, &case)?;
        let first = rotation.seconds(1)?;
        if measures {
            // Fifty milliseconds a sample; the first few bring the clocks up.
            let launches = (0.05 / first).ceil() as u64;
            let samples =
                (0..SAMPLES + 5).map(|_| rotation.seconds(launches)).collect::<Outcome<Vec<f64>>>()?;
            let seconds = report::median(&samples[5..]);
            ceilings.set(bound, case.work, seconds);
            report.print(&case.name, case.work, seconds, &ceilings)?;
        }
    }
    Ok(Bench { lab, ceilings, report })
}

/// Whether a case cannot run on this device, and then says why.
fn is_skipped(lab: &Lab, case: &Case) -> bool {
    match lab.obstacle(case) {
        Some(obstacle) => {
            println!("SKIPPED {}: {obstacle}", case.name);
            true
        }
        None => false,
    }
}

/// Times the cases, or runs each once.
fn run(criterion: &mut Criterion, cases: impl IntoIterator<Item = Case>) {
    let Some(Bench { lab, .. }) = BENCH.get() else { return };
    for case in cases {
        if !is_skipped(lab, &case) {
            time(criterion, &case.name, case.work, || {
                let rotation = Rotation::capture(lab, &case)?;
                Ok(move |launches| rotation.seconds(launches))
            });
        }
    }
}

/// Times some work, or does it once: `prepare` gives a function from a number of times to the seconds of each.
fn time<Seconds: FnMut(u64) -> Outcome<f64>>(
    criterion: &mut Criterion,
    name: &str,
    work: Work,
    prepare: impl Fn() -> Outcome<Seconds>,
) {
    let Some(Bench { ceilings, report, .. }) = BENCH.get() else { return };
    let (mut prepared, mut samples) = (None, Vec::new());
    criterion.bench_function(name, |bencher| {
        // Not before criterion asks for it: the case may be filtered out.
        let seconds = prepared.get_or_insert_with(|| trust(name, prepare()));
        bencher.iter_custom(|iterations| {
            let seconds = trust(name, seconds(iterations));
            samples.push(seconds);
            Duration::from_secs_f64(seconds * iterations as f64)
        });
    });
    drop(prepared); // the memory is the next case's
    if report.measures && !samples.is_empty() {
        // The last ones are criterion's samples; before them it warmed up.
        let seconds = report::median(&samples[samples.len().saturating_sub(SAMPLES)..]);
        trust(name, report.print(name, work, seconds, ceilings));
    }
}

/// What came out, or an end to all: after an error of the driver, no figure that follows could be trusted.
fn trust<T>(name: &str, outcome: Outcome<T>) -> T {
    outcome.unwrap_or_else(|problem| panic!("{name}: {}", lab::chain(&*problem)))
}
