//! The options: a row each. Whoever adds one writes it here and nowhere else; `table.rs` says what a row holds.

use std::path::PathBuf;

use serde::de::MapAccess;

use super::constants::Constants;
use super::error::{OptionError, Refused, whole_path};
use super::init::Init;
use super::learning_rates::{LearningRates, default_rates};
use super::table::{held, options, shown, taken};
use super::values::{
    Augment, DeviceChoice, Every, Hidden, Kernels, LaunchPlan, Precision, number, whole_number,
};
use crate::nn::Activation;
use crate::optim::OptimizerName;
use crate::train::schedule::Schedule;

/// What an option decides of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decides {
    /// What comes out.
    Result,
    /// What comes out, and of that no more than how sums are rounded.
    Rounding,
    /// How it is computed, and nothing of what comes out: that is the same to the bit.
    Nothing,
}

options! {
    /// Learning rate at its peak; where several optimizers run, also one each: adam=0.001,sgd=0.1, or 0.01,sgd=0.1 with a
    /// number for the others
    lr: LearningRates => f64 {
        value: "X",
        take: LearningRates::rate,
        default_of: |opt: OptimizerName| opt.family().learning_rate,
        shown: default_rates(),
    }
    /// Course of the learning rate: constant, linear, cosine or one-cycle
    schedule: Schedule {
        value: "NAME",
        default: Schedule::OneCycle,
    }
    /// Decoupled weight decay: each step multiplies parameters by 1 - lr * X
    weight_decay: f64 {
        value: "X",
        parse: number,
        default: 0.0,
        check: |&decay, options| {
            let rule = "must be at least 0, and less than 1/lr, lest parameters change their sign at each step";
            met(decay >= 0.0 && options.lr * decay < 1.0, decay, rule)
        },
    }
    /// Passes over the training images
    epochs: usize {
        value: "N",
        parse: whole_number::<usize>,
        default: 10,
        check: |&epochs, _| between(1, epochs as u64, 1_000_000_000, ""), // more have no use: a mistyped number
    }
    /// Images per step; the last batch of an epoch is smaller, never dropped
    batch_size: usize {
        value: "N",
        parse: whole_number::<usize>,
        default: 128,
        check: |&size, _| at_least_one(size),
    }
    /// Seed of weights, order, dropout, shifts and held-out images
    seed: u64 {
        value: "N",
        parse: whole_number::<u64>,
        default: 0,
        check: |&seed, _| between(0, seed, i64::MAX as u64, ", the largest number of a TOML file"),
    }
    /// Threads; their number does not change the result
    threads: usize {
        value: "N",
        parse: whole_number::<usize>,
        default: std::thread::available_parallelism().map_or(1, usize::from),
        shown: "all processors",
        check: |&threads, _| between(1, threads as u64, 1024, ""), // no processor has more: a mistyped number
        decides: Decides::Nothing,
    }
    /// Widths of the hidden layers, or none
    hidden: Hidden {
        value: "WIDTHS",
        default: Hidden(vec![512, 256]),
        check: |hidden, _| hidden.0.iter().try_for_each(|&width| at_least_one(width)),
    }
    /// Nonlinearity between layers: relu, tanh or sigmoid
    activation: Activation {
        value: "NAME",
        default: Activation::Relu,
    }
    /// Probability with which a hidden unit is dropped in training
    dropout: f64 {
        value: "P",
        parse: number,
        default: 0.0,
        check: |&dropout, _| met((0.0..1.0).contains(&dropout), dropout, "must be in [0, 1)"),
    }
    /// Variation of the training images: none, or shifts by up to a pixel
    augment: Augment {
        value: "NAME",
        default: Augment::Shifts,
    }
    /// Where to compute: auto (CUDA where it works), cpu, cuda or cuda:N
    device: String => DeviceChoice {
        value: "NAME",
        take: |said: String, _| said.parse::<DeviceChoice>().map_err(|rule| Refused::new(said, rule)),
        default: DeviceChoice::Auto,
        decides: Decides::Rounding, // each kind sums in an order of its own
    }
    /// Number format of matrix products: f32, or bf16 with float32 sums and weights, on CUDA or a processor with AMX or
    /// AVX-512 BF16
    precision: Precision {
        value: "NAME",
        default: Precision::F32,
        check: |&precision, _| met(precision != Precision::Tf32, precision, "has no kernels yet: use f32 or bf16"),
    }
    /// What computes products on the CPU: auto; skipping (leaves out the zeros of images) or dense; for 16 bits amx or
    /// avx512-bf16. Each rounds in its own way, so a run's config.toml holds what auto took
    kernels: Kernels {
        value: "NAME",
        default: Kernels::Auto,
        check: |&kernels, options| {
            let (of, other) = match kernels {
                Kernels::Auto => return Ok(()),
                Kernels::Skipping | Kernels::Dense => (Precision::F32, "amx or avx512-bf16"),
                Kernels::Amx | Kernels::Avx512Bf16 => (Precision::Bf16, "skipping or dense"),
            };
            let rule = format!("is for --precision {}: use auto, {other}", of.name());
            met(options.precision == of, kernels, rule)
        },
        decides: Decides::Rounding,
    }
    /// How a step reaches a CUDA device: auto, graph (captured once) or launches (one kernel at a
    /// time, to name a culprit)
    plan: LaunchPlan {
        value: "NAME",
        default: LaunchPlan::Auto,
        check: |&plan, options| {
            let is_met = options.device != DeviceChoice::Cpu || plan == LaunchPlan::Auto;
            met(is_met, plan, "is for CUDA: leave it out on the CPU")
        },
        decides: Decides::Nothing,
    }
    /// Folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    /// t10k-labels-idx1-ubyte, raw or .gz, also by the names of EMNIST and QMNIST
    data: PathBuf => Option<PathBuf> {
        value: "DIR",
        take: |folder, _| {
            whole_path(folder, "name a folder, or leave it out for the MNIST that is built in").map(Some)
        },
        default: None,
        shown: "MNIST, built in",
    }
    /// Training images held out and evaluated apart, for choices
    validation: usize {
        value: "N",
        parse: whole_number::<usize>,
        default: 0,
    }
    /// Also write a checkpoint within an epoch: every N steps, or every so many seconds, such as 30s
    checkpoint_every: Every => Option<Every> {
        value: "N",
        take: |every, _| Ok(Some(every)),
        default: None,
        shown: "",
        decides: Decides::Nothing,
    }
    /// Start from the weights of a run, by its folder or its model.safetensors, with its hidden layers, activation and
    /// normalisation of images
    init: Init => Option<Init> {
        value: "RUN",
        take: |init: Init, _| init.resolved().map(Some),
        default: None,
        shown: "",
    }
}

/// The help of an option whose default is known by this text, if it has one.
fn help(text: &str, default: &str) -> String {
    let text = text.trim();
    if default.is_empty() { text.into() } else { format!("{text} [default: {default}]") }
}

/// What a row's check says of a value among these options.
fn check<T>(
    value: &T,
    options: &Options,
    check: fn(&T, &Options) -> Result<(), Refused>,
) -> Result<(), Refused> {
    check(value, options)
}

fn refusal(field: &str, refused: Refused) -> OptionError {
    OptionError::of(&field.replace('_', "-"), refused)
}

fn met(is_met: bool, value: impl ToString, rule: impl Into<String>) -> Result<(), Refused> {
    if is_met { Ok(()) } else { Err(Refused::new(value, rule)) }
}

fn at_least_one(value: usize) -> Result<(), Refused> {
    met(value >= 1, value, "must be at least 1")
}

/// Nothing for a number from `least` to `most`; `which` says what the latter is.
fn between(least: u64, value: u64, most: u64, which: &str) -> Result<(), Refused> {
    met(value >= least, value, format!("must be at least {least}"))?;
    met(value <= most, value, format!("must be at most {most}{which}"))
}
