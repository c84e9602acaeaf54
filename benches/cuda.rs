//! GPU timings: each kernel's time, its rate, and how near that comes to what the card can do.
//!
//! ```sh
//! cargo bench --bench cuda                                  # all, in some minutes
//! cargo bench --bench cuda -- gemm_bf16 softmax             # what has one of these in its name
//! cargo bench --bench cuda -- --list                        # the names
//! cargo bench --bench cuda -- --test                        # everything once at tiny size: no figures
//! cargo bench --bench cuda -- --draw FILE.csv               # the picture of figures that are there, FILE.png, and their table
//! cargo bench --bench cuda -- --profile gemm_bf16/square/4096    # one launch outside of any graph, for ncu
//! ```
//!
//! | variable | |
//! |---|---|
//! | `COTANGENT_BENCH_DEVICE` | the number of the device; 0 if not set |
//! | `COTANGENT_BENCH_OUT` | the folder for `kernels.csv` and `kernels.png`; `target/bench/cuda` if not set |
//! | `COTANGENT_BENCH_JSON` | a file to which an object a line is appended, as soon as it is measured |
//! | `COTANGENT_BENCH_PEER` | who else is measured in turns: `python3 benches/peers/torch_cuda.py`, or, if a path has blanks, a JSON array: `["python3", "my peers/torch_cuda.py"]` |
//! | `COTANGENT_BENCH_PREPARE_SECONDS` | how long the peer may take to start, and to prepare a case; 90 if not set |
//! | `COTANGENT_BENCH_PAIRS_ONLY` | `1`: cases that the peer cannot do are left out, and their number is told; the ceilings are measured all the same |
//!
//! # CUDA
//!
//! First the ceilings are measured, in the same process on the same card, by `kernels/ceiling.cu`: the bytes a
//! second of a copy, reads and writes both counted; the floating-point operations a second of float32
//! multiply-adds, and of bfloat16 products on tensor cores where the card has them. Then each case prints one
//! line: its name, the time of a launch and how far samples lie from it, its rate, and that rate as a share of the
//! ceiling that binds. A case's bytes over the one ceiling and its operations over the other are two times, the
//! longer of which is about the least that a launch can take: the ceiling that gives it binds. Of what is warm
//! (below) no byte needs to come from memory, so only the ceiling of its arithmetic binds, if it has any.
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
//! | `softmax_cross_entropy/rxc`, with the gradient; `.../{cluster,shared,online}`, one way each | 8 r c + 8 r | |
//! | `sgd/n`, `adagrad/n`, `rmsprop/n` | 20 n | |
//! | `adam/n` | 28 n | |
//! | `gather/{plain,shifted}/rxc`, c pixels | 5 r c + 9 r | |
//! | `dropout/n` | 4 n | |
//! | `count_correct/rxc` | 4 r c + 4 r | |
//! | `accumulate_losses/n` | 4 n | |
//! | `convert/{f32_to_bf16,bf16_to_f32}/n` | 6 n | |
//! | `gemm_f32/{forward,weight_gradient,input_gradient}/i-o`, `gemm_f32/square/n` | 4 (m k + k n + m n) | 2 m n k |
//! | `gemm_bf16/{forward,weight_gradient,input_gradient}/i-o`, `gemm_bf16/square/n` | 2 (m k + k n) + 4 m n | 2 m n k |
//! | `training_step/{sgd,adagrad,rmsprop,adam}`, and more (below) | 24 n or (Adam) 32 n of n parameters | 2 m n k of its products |
//! | `mnist_epoch/adam`, `mnist_epoch/adam/shifted` | those of 469 steps | those of 60 000 images |
//!
//! n: elements; r, c: rows and columns, `128x512`; i-o: a layer from i inputs to o outputs, for a batch of 128. In
//! `kernels.csv` the shape of a product is m x n x k.
//!
//! # How times are taken
//!
//! **Launches** are timed by events around replays of a graph of many launches, so that the gaps between launches
//! from the host do not count. Operands are normally distributed with mean 0 and deviation 1; labels, bytes and
//! orders of images are all as likely, optimizer states and losses squares of normal numbers. Each case is measured
//! *cold*: sets of operands rotate, and more than twice the second-level cache is touched between two uses of one.
//! What takes no more than half of that cache is measured *warm* as well, on one set again and again. `cuda/rota.rs`
//! says how. Workspaces for parts of sums are one for all sets, and so always warm. An optimizer's case is a step of it,
//! two kernels: the beginning, which advances the number of steps and computes Adam's corrections, then the
//! update; PyTorch's fused step does both as well.
//!
//! **Training** (784-512-256-10, batch 128, MNIST's own images) is timed by the clock, over whole epochs with all
//! that the host does in them. `training_step/*` is one step's share of an epoch of full batches: `_bf16` multiplies in
//! bfloat16, `batch512` has that batch, `shifted` moves the images, `launches` has no graph but waits for each kernel.
//! `mnist_epoch/*` is an epoch as `cotangent mnist` has it: shuffling, 468 steps and a smaller one, reading the
//! sums. A step meets parameters and states in the cache, so all of these count as warm.
//!
//! A figure is the median of nine samples (of nine with each peer), each at least 10 ms long, after the clocks have
//! come up. Peers are asked in turns: in each round one sample of ours and one of theirs, in random order
//! (`figures/peer.rs` has the protocol). A peer's ratio is that of both medians of the same rounds. `kernels.csv` has the
//! fastest peer whose results have as many bits as ours.
//!
//! A JSON object has `name`, `cache`, `kernel`, `shape`, `precision`, `variant`, `seconds`, `samples` (how many), `spread`
//! ((max - min) / median), `bytes`, `flops`, `rate`, `unit` (`GB/s` or `TFLOP/s`), `ceiling` (in the same unit), `fraction`
//! (rate / ceiling), `bound` (the name of that ceiling), `device` (the card's), `began` and `ended` (Unix time) and
//! `peers`, each with `peer`, `seconds`, `samples`, `spread` and `ours_seconds`, ours in the same rounds. Where no
//! ceiling binds, its fields are null. What is lost with a peer is an object of `name`, `cache`, `peer` and `problem`. A peer
//! that fails after seven samples or more has those in its figure, and the problem beside it.
//!
//! With `--test` the objects have `"rehearsed": true`, neither `seconds` nor `ours_seconds`, no samples, and null where a
//! rate would be: whoever reads them can be held to all other keys, and nobody takes them for figures.
//!
//! `--profile NAME` launches the case once on cold operands, outside of any graph, for tools that look at kernels. The
//! kernels of an optimizer's case are two: the step's beginning, then the update. A training case takes two steps
//! kernel by kernel, the first to warm up.
//!
//! Without a usable GPU the program says why and how to get figures, claims none, and succeeds. With `--test` an emulated
//! device (tests/emulator) does as well:
//!
//! ```sh
//! COTANGENT_BENCH_DEVICE=2 scripts/emulated cargo bench --bench cuda -- --test
//! ```

#[path = "cuda/cases/mod.rs"]
mod cases;
#[path = "figures/mod.rs"]
mod figures;
#[path = "cuda/lab.rs"]
mod lab;
#[path = "cuda/measure.rs"]
mod measure;
#[path = "cuda/multiplied.rs"]
mod multiplied;
#[path = "cuda/opened.rs"]
mod opened;
#[path = "cuda/report.rs"]
mod report;
#[path = "cuda/rota.rs"]
mod rota;
#[path = "cuda/rotation.rs"]
mod rotation;
#[path = "cuda/training.rs"]
mod training;

use std::io::Write;
use std::process::ExitCode;

use cases::{Case, Scale};
use cotangent::exec::cuda::{Factor, Tuning};
use figures::{Asked, Mode};
use half::bf16;
use lab::{Lab, Outcome};
use measure::Bench;
use report::Bound;

/// What to do where there is no card.
const HOW_TO_GET_FIGURES: &str = "\
Figures need an NVIDIA GPU of compute capability 7.5 or more. On a machine that has one:
  with Rust:     cargo bench --bench cuda
  without Rust:  scripts/gpu-kit here, carry target/gpu-kit there, then gpu-kit/gpu-check gpu-kit OUT
Here everything can be rehearsed:
  COTANGENT_BENCH_DEVICE=2 scripts/emulated cargo bench --bench cuda -- --test";

fn main() -> ExitCode {
    let asked = match Asked::of_command_line() {
        Ok(asked) => asked,
        Err(problem) => {
            eprintln!("cuda benches: {problem}");
            return ExitCode::from(2);
        }
    };
    let scale = if asked.mode == Mode::Rehearse { Scale::Tiny } else { Scale::Full };
    if asked.mode == Mode::List {
        let mut names: Vec<String> = Bound::ALL.map(|bound| bound.name().into()).into();
        names.extend(cases::all(scale, &Tuning::default()).into_iter().map(|case| case.title.name));
        let _ = writeln!(std::io::stdout(), "{}", names.join("\n")); // a reader may have seen enough
        return ExitCode::SUCCESS;
    }
    if let Mode::Draw(csv) = &asked.mode {
        return match figures::draw_again(csv, measure::TITLE, measure::PEER, &[measure::NOTE.to_owned()]) {
            Ok(table) => {
                print!("{table}");
                ExitCode::SUCCESS
            }
            Err(problem) => {
                eprintln!("cuda benches: {problem}");
                ExitCode::FAILURE
            }
        };
    }
    let lab = match Lab::open() {
        Ok(lab) if lab.is_emulated() && asked.measures() => {
            let name = lab.device.name();
            println!("SKIPPED cuda benches: {name}, whose times say nothing; -- --test rehearses them");
            return ExitCode::SUCCESS;
        }
        Ok(lab) => lab,
        Err(problem) => {
            println!("SKIPPED cuda benches: {}\n{HOW_TO_GET_FIGURES}", lab::chain(&*problem));
            // A profiler that is to see a launch must not believe that there was one.
            return if matches!(asked.mode, Mode::Profile(_)) {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    println!("{}, compute capability {}", lab.device.name(), lab.device.capability());
    let done = match &asked.mode {
        Mode::Profile(name) => profile(&lab, name),
        _ => measure_all(lab, &asked, scale),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("cuda benches: {}", lab::chain(&*problem));
            ExitCode::FAILURE
        }
    }
}

/// The ceilings, without which no share is known, then what was asked for.
fn measure_all(lab: Lab, asked: &Asked, scale: Scale) -> Outcome<()> {
    let (ceilings, capability) = (cases::ceilings(&lab), lab.device.capability());
    let skips = |case: &Case| {
        let skips = case.work.arithmetic == Bound::Mma && capability < bf16::NEEDED;
        if skips {
            println!(
                "SKIPPED {}: compute capability {capability} has no tensor cores for bfloat16",
                case.title.name
            );
        }
        let is_newer = capability < case.since;
        if is_newer {
            println!(
                "SKIPPED {}: compute capability {capability}, and it needs {}",
                case.title.name, case.since
            );
        }
        skips || is_newer
    };
    let tuning = lab.device.tuning().clone();
    let mut bench = Bench::new(lab, scale)?;
    for ceiling in &ceilings {
        let (_, case) = ceiling;
        let is_wanted = asked.wants(&case.title.name);
        if (is_wanted || asked.measures()) && !skips(case) {
            trust(case, bench.ceiling(ceiling, is_wanted))?;
        }
    }
    for case in cases::all(scale, &tuning).iter().filter(|case| asked.wants(&case.title.name)) {
        if !skips(case) {
            trust(case, bench.case(case))?;
        }
    }
    bench.finish()
}

fn profile(lab: &Lab, name: &str) -> Outcome<()> {
    let ceilings = cases::ceilings(lab).map(|(_, case)| case);
    let scale = if lab.is_emulated() { Scale::Tiny } else { Scale::Full };
    let case = ceilings
        .into_iter()
        .chain(cases::all(scale, lab.device.tuning()))
        .find(|case| case.title.name == name);
    let case = case.ok_or_else(|| format!("there is no case {name:?}; --list prints their names"))?;
    trust(&case, measure::profile(lab, &case))
}

/// What came out, or an end to all, for after an error of the driver no figure that follows could be trusted.
fn trust<T>(case: &Case, outcome: Outcome<T>) -> Outcome<T> {
    outcome.map_err(|problem| format!("{}: {}", case.title.name, lab::chain(&*problem)).into())
}
