//! Checks every variant of the products' kernels on a card, and finds which is the fastest for which product.
//!
//! ```sh
//! cargo bench --bench tune -- --check                # each variant against the reference kernel on the card
//! cargo bench --bench tune -- --tune --seconds 60    # each variant's time, product by product
//! COTANGENT_BENCH_DEVICE=2 scripts/emulated cargo bench --bench tune -- --check --test    # a rehearsal
//! ```
//!
//! Without `--check` or `--tune` it does both. It knows the variants that the program embeds, and those in the folder
//! that `COTANGENT_CUDA_CANDIDATES` names; `scripts/gpu-kit` compiles all.
//!
//! Standard output has a JSON object a line:
//!
//! - of a check `check` (the kernel), `variant`, `cases`, `status`: `ok`, or the first difference;
//! - of a time `tune` (the precision), `transposes`, `m`, `n`, `k`, `variant`, `splits`, `seconds` of one product (the
//!   median), `samples`, `spread` ((max − min) / median), `cache`, `chosen_now` (whether the program would take it), and
//!   `began` and `ended`, unix times in seconds;
//! - of what could not be timed `name`, `problem`;
//! - again and again `left`: the products that are not done yet; the last of these lines says for what there was no time.
//!
//! `scripts/gpu-record` makes `kernels/tuning.csv` of these. Exit status 1 if a variant is wrong.

#[path = "figures/mod.rs"]
mod figures;
#[path = "cuda/lab.rs"]
#[allow(dead_code, reason = "the cuda bench needs all of it")]
mod lab;
#[path = "cuda/multiplied.rs"]
mod multiplied;
#[path = "cuda/opened.rs"]
mod opened;
#[path = "cuda/rota.rs"]
#[allow(dead_code, reason = "the cuda bench needs all of it")]
mod rota;
#[path = "cuda/rotation.rs"]
mod rotation;
#[path = "tune/check.rs"]
mod tune_check;
#[path = "tune/products.rs"]
mod tune_products;
#[path = "tune/search.rs"]
mod tune_search;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use cotangent::exec::cuda::Factor;
use half::bf16;

use lab::{Lab, Outcome};
use tune_check::check;
use tune_products::products;
use tune_search::Search;

/// What the command line asks for.
struct Asked {
    checks: bool,
    tunes: bool,
    /// Everything once at tiny sizes: no figure.
    rehearses: bool,
    seconds: f64,
}

impl Asked {
    fn of_command_line() -> Result<Self, String> {
        let mut asked = Self { checks: false, tunes: false, rehearses: false, seconds: f64::INFINITY };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--check" => asked.checks = true,
                "--tune" => asked.tunes = true,
                "--test" => asked.rehearses = true,
                "--bench" => {} // cargo says so
                "--seconds" => {
                    let seconds = arguments.next().and_then(|text| text.parse().ok());
                    asked.seconds = seconds
                        .filter(|seconds| *seconds > 0.0)
                        .ok_or("--seconds takes a number of seconds above 0")?;
                }
                other => {
                    return Err(format!("there is no option {other}: --check, --tune, --seconds S, --test"));
                }
            }
        }
        if !asked.checks && !asked.tunes {
            (asked.checks, asked.tunes) = (true, true);
        }
        Ok(asked)
    }
}

fn main() -> ExitCode {
    let asked = match Asked::of_command_line() {
        Ok(asked) => asked,
        Err(problem) => {
            eprintln!("tune: {problem}");
            return ExitCode::from(2);
        }
    };
    let lab = match Lab::open() {
        Ok(lab) if lab.is_emulated() && !asked.rehearses => {
            let name = lab.device.name();
            eprintln!("SKIPPED tune: {name}, whose times say nothing; --test rehearses");
            return ExitCode::SUCCESS;
        }
        Ok(lab) => lab,
        Err(problem) => {
            eprintln!("SKIPPED tune: {}", lab::chain(&*problem));
            eprintln!(
                "On a machine with an NVIDIA GPU: cargo bench --bench tune, or without Rust there: scripts/gpu-kit \
                 here, then gpu-kit/gpu-check gpu-kit OUT there."
            );
            return ExitCode::SUCCESS;
        }
    };
    match run(&lab, &asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("tune: {}", lab::chain(&*problem));
            ExitCode::FAILURE
        }
    }
}

/// Whether every variant that was checked is right.
fn run(lab: &Lab, asked: &Asked) -> Outcome<bool> {
    let multiplies_bf16 = lab.device.capability() >= bf16::NEEDED;
    let mut right = true;
    if asked.checks {
        right &= check::<f32>(lab, asked.rehearses)?;
        if multiplies_bf16 {
            right &= check::<bf16>(lab, asked.rehearses)?;
        }
    }
    if asked.tunes {
        let end = (asked.seconds < 1e9).then(|| Instant::now() + Duration::from_secs_f64(asked.seconds));
        let mut search = Search::new(lab, asked.rehearses, end);
        let products = products(asked.rehearses);
        let tell_left = |from: usize| {
            let names: Vec<String> = products[from..].iter().map(ToString::to_string).collect();
            println!("{}", serde_json::json!({ "left": names }));
        };
        for (number, product) in products.iter().enumerate() {
            tell_left(number); // what there is no time for, should this program be ended
            if !search.run::<f32>(product)? || multiplies_bf16 && !search.run::<bf16>(product)? {
                return Ok(right);
            }
        }
        tell_left(products.len());
    }
    Ok(right)
}
