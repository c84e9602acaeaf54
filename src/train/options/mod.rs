//! The options of a training run: what may be said, the defaults, and what makes no sense.
//!
//! [`Choices`] holds what somebody said, on the command line or in a configuration file; every field
//! may be missing. [`Options`] holds what holds: defaults filled in, checked. It is written into the
//! run folder, and reading it back as choices gives the same run again.

mod command;
mod init;
mod learning_rates;
mod recipe;
#[cfg(test)]
mod tests;
mod values;

use std::path::{self, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

pub use command::DECIDE_NOTHING;
pub(super) use command::said;
pub use init::Init;
pub use learning_rates::LearningRates;
pub use recipe::Recipe;
pub use values::{Augment, Device, Hidden, OptimizerName, Plan, Precision};
use values::{number, whole_number};

use super::Schedule;
use crate::model::{Activation, Perceptron};
use crate::optim::{Adagrad, Adam, Optimizer, RmsProp, Sgd};

/// What somebody chose for a run; the rest is left to the defaults.
#[derive(Clone, Default, PartialEq, Debug, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[command(allow_negative_numbers = true)]
pub struct Choices {
    /// Learning rate at its peak; where several optimizers run, also one each: adam=0.001,sgd=0.1, or 0.01,sgd=0.1 with a
    /// number for the others [default: adagrad 0.05, rmsprop 0.001, adam 0.002, sgd 0.1]
    #[arg(long, value_name = "X")]
    pub lr: Option<LearningRates>,
    /// Course of the learning rate: constant, linear, cosine or one-cycle [default: one-cycle]
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<Schedule>,
    /// Decoupled weight decay: each step multiplies parameters by 1 - lr * X [default: 0]
    #[arg(long, value_parser = number, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Momentum of sgd [default: 0.9]
    #[arg(long, value_parser = number, value_name = "X", help_heading = "Constants of the optimizers")]
    pub momentum: Option<f64>,
    /// Decay of rmsprop's mean square [default: 0.9]
    #[arg(long, value_parser = number, value_name = "X", help_heading = "Constants of the optimizers")]
    pub rho: Option<f64>,
    /// Decay of adam's mean [default: 0.9]
    #[arg(long, value_parser = number, value_name = "X", help_heading = "Constants of the optimizers")]
    pub beta1: Option<f64>,
    /// Decay of adam's mean square [default: 0.999]
    #[arg(long, value_parser = number, value_name = "X", help_heading = "Constants of the optimizers")]
    pub beta2: Option<f64>,
    /// Epsilon of adagrad [default: 1e-10], rmsprop and adam [default: 1e-8]
    #[arg(long, value_parser = number, value_name = "X", help_heading = "Constants of the optimizers")]
    pub epsilon: Option<f64>,
    /// Passes over the training images [default: 10]
    #[arg(long, value_parser = whole_number::<usize>, value_name = "N")]
    pub epochs: Option<usize>,
    /// Images per step; the last batch of an epoch is smaller, never dropped [default: 128]
    #[arg(long, value_parser = whole_number::<usize>, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Seed of weights, order, dropout, shifts and held-out images [default: 0]
    #[arg(long, value_parser = whole_number::<u64>, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads; their number does not change the result [default: all processors]
    #[arg(long, value_parser = whole_number::<usize>, value_name = "N")]
    pub threads: Option<usize>,
    /// Widths of the hidden layers, or none [default: 512,256]
    #[arg(long, value_name = "WIDTHS")]
    pub hidden: Option<Hidden>,
    /// Nonlinearity between layers: relu, tanh or sigmoid [default: relu]
    #[arg(long, value_name = "NAME")]
    pub activation: Option<Activation>,
    /// Probability with which a hidden unit is dropped in training [default: 0]
    #[arg(long, value_parser = number, value_name = "P")]
    pub dropout: Option<f64>,
    /// Variation of the training images: none, or shifts by up to a pixel [default: shifts]
    #[arg(long, value_name = "NAME")]
    pub augment: Option<Augment>,
    /// Where to compute: auto (CUDA where it works), cpu, cuda or cuda:N [default: auto]
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// Number format of matrix products: f32, or bf16 on CUDA with float32 weights [default: f32]
    #[arg(long, value_name = "NAME")]
    pub precision: Option<Precision>,
    /// How a step reaches a CUDA device: auto, graph (captured once) or launches (one kernel at a
    /// time, to name a culprit) [default: auto]
    #[arg(long, value_name = "NAME")]
    pub plan: Option<Plan>,
    /// Folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    /// t10k-labels-idx1-ubyte, raw or .gz, also by the names of EMNIST and QMNIST [default: MNIST, built in]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Training images held out and evaluated apart, for choices [default: 0]
    #[arg(long, value_parser = whole_number::<usize>, value_name = "N")]
    pub validation: Option<usize>,
    /// Start from the weights of a run, by its folder or its model.safetensors, with its hidden layers, activation and
    /// normalisation of images
    #[arg(long, value_name = "RUN")]
    pub init: Option<Init>,
}

impl Choices {
    /// These choices, and where they say nothing, `others`. A network that these start from takes the place of one that
    /// the others describe.
    pub fn or(self, mut others: Self) -> Self {
        if self.init.is_some() {
            (others.hidden, others.activation) = (None, None);
        }
        let lr = match (self.lr, others.lr) {
            (Some(rates), Some(others)) => Some(rates.or(others)),
            (rates, others) => rates.or(others),
        };
        macro_rules! each {
            ($($field:ident),*) => { Self { lr, $($field: self.$field.or(others.$field)),* } };
        }
        each!(
            schedule,
            weight_decay,
            momentum,
            rho,
            beta1,
            beta2,
            epsilon,
            epochs,
            batch_size,
            seed,
            threads,
            hidden,
            activation,
            dropout,
            augment,
            device,
            precision,
            plan,
            data,
            validation,
            init
        )
    }

    /// These choices without the constants of other optimizers than `opt`, so far as one of `others`
    /// has them: what is left and does not belong to `opt` is a mistake that [`Self::resolve`] finds.
    pub fn without_constants_of(mut self, others: &[OptimizerName], opt: OptimizerName) -> Self {
        for (option, constant) in [
            ("--momentum", &mut self.momentum),
            ("--rho", &mut self.rho),
            ("--beta1", &mut self.beta1),
            ("--beta2", &mut self.beta2),
            ("--epsilon", &mut self.epsilon),
        ] {
            if !opt.has_constant(option) && others.iter().any(|other| other.has_constant(option)) {
                *constant = None;
            }
        }
        self
    }

    /// Fills in the defaults and checks everything that can be checked without the data. Where a run starts from a model,
    /// the defaults of the network are that model's, for which it is read.
    ///
    /// # Errors
    /// The first option whose value makes no sense, and what would.
    pub fn resolve(self, opt: OptimizerName) -> Result<Options, OptionError> {
        let positive = |option, value: usize| match value {
            0 => Err(OptionError::new(option, value, "must be at least 1")),
            _ => Ok(value),
        };
        let within = |option, value: f64, allowed: std::ops::Range<f64>, rule| match allowed.contains(&value)
        {
            true => Ok(value),
            false => Err(OptionError::new(option, value, rule)),
        };
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let rates = self.lr.unwrap_or_default();
        let lr = rates.of(opt).unwrap_or(opt.default_learning_rate());
        // What float32 rounds to zero would train nothing.
        if !(lr.is_finite() && lr >= f64::from(f32::MIN_POSITIVE)) {
            let rule = "must be a positive number of float32, such as 0.001";
            return Err(OptionError::new("--lr", rates.said(opt), rule));
        }
        let weight_decay = self.weight_decay.unwrap_or(0.0);
        if !(weight_decay >= 0.0 && lr * weight_decay < 1.0) {
            return Err(OptionError::new(
                "--weight-decay",
                weight_decay,
                "must be at least 0, and less than 1/lr, lest parameters change their sign at each step",
            ));
        }
        let init = self.init.map(Init::resolved).transpose()?;
        let is_said = self.hidden.is_some() && self.activation.is_some();
        let start = init.as_ref().filter(|_| !is_said).map(Init::model).transpose()?;
        let hidden = self.hidden.unwrap_or_else(|| Hidden::of(start.as_ref()));
        for &width in &hidden.0 {
            positive("--hidden", width)?;
        }
        let epochs = positive("--epochs", self.epochs.unwrap_or(10))?;
        if epochs > MAX_EPOCHS {
            return Err(OptionError::new("--epochs", epochs, format!("must be at most {MAX_EPOCHS}")));
        }
        let seed = self.seed.unwrap_or(0);
        if seed > MAX_SEED {
            let rule = format!("must be at most {MAX_SEED}, the largest number of a TOML file");
            return Err(OptionError::new("--seed", seed, rule));
        }
        let batch_size = positive("--batch-size", self.batch_size.unwrap_or(128))?;
        let threads = positive("--threads", self.threads.unwrap_or_else(cores))?;
        if threads > MAX_THREADS {
            return Err(OptionError::new("--threads", threads, "must be at most 1024"));
        }
        let dropout = within("--dropout", self.dropout.unwrap_or(0.0), 0.0..1.0, "must be in [0, 1)")?;
        let device = self.device.as_deref().unwrap_or("auto");
        let device: Device = device.parse().map_err(|rule| OptionError::new("--device", device, rule))?;
        let precision = self.precision.unwrap_or(Precision::F32);
        let plan = self.plan.unwrap_or(Plan::Auto);
        if precision == Precision::Tf32 {
            return Err(OptionError::new(
                "--precision",
                "tf32",
                "has no kernels yet: use f32, or bf16 on CUDA",
            ));
        }
        if device == Device::Cpu && precision != Precision::F32 {
            let rule = "needs CUDA: the CPU computes in f32";
            return Err(OptionError::new("--precision", precision.name(), rule));
        }
        if device == Device::Cpu && plan != Plan::Auto {
            return Err(OptionError::new("--plan", plan.name(), "is for CUDA: leave it out on the CPU"));
        }
        let data = |folder| {
            whole_path("--data", folder, "name a folder, or leave it out for the MNIST that is built in")
        };
        let mut options = Options {
            opt,
            lr,
            schedule: self.schedule.unwrap_or(Schedule::OneCycle),
            weight_decay,
            momentum: constant("--momentum", self.momentum, opt)?,
            rho: constant("--rho", self.rho, opt)?,
            beta1: constant("--beta1", self.beta1, opt)?,
            beta2: constant("--beta2", self.beta2, opt)?,
            epsilon: constant("--epsilon", self.epsilon, opt)?,
            epochs,
            batch_size,
            seed,
            threads,
            hidden,
            activation: self.activation.unwrap_or(start.map_or(Activation::Relu, |model| model.activation)),
            dropout,
            augment: self.augment.unwrap_or(Augment::Shifts),
            device,
            precision,
            plan,
            data: self.data.map(data).transpose()?,
            validation: self.validation.unwrap_or(0),
            init,
        };
        options.record_constants();
        Ok(options)
    }
}

/// More threads than any processor has cores: a mistyped number.
const MAX_THREADS: usize = 1024;

/// More epochs than any run has: a mistyped number.
const MAX_EPOCHS: usize = 1_000_000_000;

/// `config.toml` must be able to hold it.
const MAX_SEED: u64 = i64::MAX as u64;

/// A constant of an optimizer, which must be in [0, 1) and belong to the optimizer chosen.
fn constant(
    option: &'static str,
    value: Option<f64>,
    opt: OptimizerName,
) -> Result<Option<f64>, OptionError> {
    let Some(value) = value else { return Ok(None) };
    if !opt.has_constant(option) {
        let rule = format!("is no constant of {}: leave it out", opt.name());
        return Err(OptionError::new(option, value, rule));
    }
    // An epsilon that float32 rounds to zero divides zero by zero wherever a gradient has always been zero.
    if option == "--epsilon" && !(f64::from(f32::MIN_POSITIVE)..1.0).contains(&value) {
        return Err(OptionError::new(option, value, "must be in [1.2e-38, 1)"));
    }
    if !(0.0..1.0).contains(&value) {
        return Err(OptionError::new(option, value, "must be in [0, 1)"));
    }
    Ok(Some(value))
}

/// A whole path, so that a run goes on from wherever it is called; `instead` says what to do about none.
fn whole_path(option: &'static str, path: PathBuf, instead: &str) -> Result<PathBuf, OptionError> {
    let refused = |rule: String| OptionError::new(option, path.display(), rule);
    if path.as_os_str().is_empty() {
        return Err(refused(format!("is empty: {instead}")));
    }
    let whole = path::absolute(&path).map_err(|error| refused(format!("has no whole path: {error}")))?;
    match whole.to_str() {
        Some(_) => Ok(whole),
        None => Err(refused(
            "is no UTF-8, so config.toml cannot hold it: rename it, or name it by a symbolic link".into(),
        )),
    }
}

/// An option whose value makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{option} {value}: {rule}")]
pub struct OptionError {
    option: &'static str,
    value: String,
    rule: String,
    /// Whether the option makes sense and what it names cannot be used.
    of_file: bool,
}

impl OptionError {
    pub(super) fn new(option: &'static str, value: impl ToString, rule: impl Into<String>) -> Self {
        Self { option, value: value.to_string(), rule: rule.into(), of_file: false }
    }

    /// Whether it is a file that is at fault, not what was asked.
    pub fn is_of_file(&self) -> bool {
        self.of_file
    }
}

/// Every option of a run as it holds. The fields are [`Choices`]', without gaps.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "documented at the choices")]
pub struct Options {
    pub opt: OptimizerName,
    pub lr: f64,
    pub schedule: Schedule,
    pub weight_decay: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rho: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    pub epochs: usize,
    pub batch_size: usize,
    pub seed: u64,
    pub threads: usize,
    pub hidden: Hidden,
    pub activation: Activation,
    pub dropout: f64,
    pub augment: Augment,
    pub device: Device,
    pub precision: Precision,
    pub plan: Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    pub validation: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
}

impl Options {
    /// The optimizer with its constants.
    pub fn optimizer(&self) -> Optimizer {
        match self.opt {
            OptimizerName::Sgd => {
                let Sgd { momentum } = Sgd::default();
                Optimizer::Sgd(Sgd { momentum: self.momentum.unwrap_or(momentum) })
            }
            OptimizerName::Adagrad => {
                let Adagrad { epsilon } = Adagrad::default();
                Optimizer::Adagrad(Adagrad { epsilon: self.epsilon.unwrap_or(epsilon) })
            }
            OptimizerName::RmsProp => {
                let RmsProp { rho, epsilon } = RmsProp::default();
                Optimizer::RmsProp(RmsProp {
                    rho: self.rho.unwrap_or(rho),
                    epsilon: self.epsilon.unwrap_or(epsilon),
                })
            }
            OptimizerName::Adam => {
                let Adam { beta1, beta2, epsilon } = Adam::default();
                Optimizer::Adam(Adam {
                    beta1: self.beta1.unwrap_or(beta1),
                    beta2: self.beta2.unwrap_or(beta2),
                    epsilon: self.epsilon.unwrap_or(epsilon),
                })
            }
        }
    }

    /// Writes down the optimizer's constants, its defaults too, so that the run's file holds them all.
    fn record_constants(&mut self) {
        match self.optimizer() {
            Optimizer::Sgd(Sgd { momentum }) => self.momentum = Some(momentum),
            Optimizer::Adagrad(Adagrad { epsilon }) => self.epsilon = Some(epsilon),
            Optimizer::RmsProp(RmsProp { rho, epsilon }) => {
                (self.rho, self.epsilon) = (Some(rho), Some(epsilon));
            }
            Optimizer::Adam(Adam { beta1, beta2, epsilon }) => {
                (self.beta1, self.beta2, self.epsilon) = (Some(beta1), Some(beta2), Some(epsilon));
            }
        }
    }

    /// The network for images of `pixels` pixels in `classes` classes.
    pub fn model(&self, pixels: usize, classes: usize) -> Perceptron {
        let widths = std::iter::once(pixels).chain(self.hidden.0.iter().copied()).chain([classes]);
        Perceptron { widths: widths.collect(), activation: self.activation, dropout: self.dropout }
    }

    /// What was decided, as choices: resolving them gives these options again.
    pub fn choices(&self) -> Choices {
        let options = self.clone();
        Choices {
            lr: Some(options.lr.into()),
            schedule: Some(options.schedule),
            weight_decay: Some(options.weight_decay),
            momentum: options.momentum,
            rho: options.rho,
            beta1: options.beta1,
            beta2: options.beta2,
            epsilon: options.epsilon,
            epochs: Some(options.epochs),
            batch_size: Some(options.batch_size),
            seed: Some(options.seed),
            threads: Some(options.threads),
            hidden: Some(options.hidden),
            activation: Some(options.activation),
            dropout: Some(options.dropout),
            augment: Some(options.augment),
            device: Some(options.device.to_string()),
            precision: Some(options.precision),
            plan: Some(options.plan),
            data: options.data,
            validation: Some(options.validation),
            init: options.init,
        }
    }
}
