//! Which processor or CUDA device a run computes on, and why.

use std::sync::Arc;

use super::options::{DeviceChoice as Asked, LaunchPlan, Options, Precision};
use super::{TrainError, options::OptionError};
use crate::exec::Bf16Unit;
use crate::exec::cuda::{CudaError, Device, Factor, Launching, Products, driver};

/// What a run computes on.
#[derive(Clone)]
pub enum Hardware {
    /// The processor, and what computes its products if they are in bfloat16.
    Cpu(Option<Bf16Unit>),
    /// An open CUDA device.
    Cuda(Arc<Device>),
}

/// The hardware for a run, and why it was taken.
#[derive(Clone)]
pub struct Choice {
    /// What was taken.
    pub hardware: Hardware,
    /// Why, in a few words.
    pub why: String,
}

impl Choice {
    /// Finds the hardware for what the options ask.
    ///
    /// `auto` takes the first CUDA device that works, and where none does the processor, if the options can
    /// be met there.
    ///
    /// # Errors
    /// When a device that was asked for cannot be used: never something else instead.
    pub fn of(options: &Options) -> Result<Self, TrainError> {
        let open = |ordinal: usize| {
            let device = Device::open(ordinal)?;
            check_precision(&device, options.precision)?;
            Ok(Hardware::Cuda(Arc::new(device)))
        };
        match options.device {
            Asked::Cpu => {
                let refused =
                    |lacks: String| OptionError::new("--precision", options.precision.name(), lacks);
                let bf16 = bf16_unit(options.precision).map_err(refused)?;
                Ok(Self { hardware: Hardware::Cpu(bf16), why: "as asked for".into() })
            }
            Asked::Cuda(ordinal) => match open(ordinal) {
                Ok(hardware) => Ok(Self { hardware, why: "as asked for".into() }),
                Err(source) => Err(TrainError::Unusable { asked: options.device.to_string(), source }),
            },
            Asked::Auto => match first(open) {
                Ok(hardware) => Ok(Self { hardware, why: "chosen automatically".into() }),
                Err(error) => on_cpu(options, &error),
            },
        }
    }

    /// The device as options name it.
    pub fn device(&self) -> Asked {
        match &self.hardware {
            Hardware::Cpu(_) => Asked::Cpu,
            Hardware::Cuda(device) => Asked::Cuda(device.ordinal()),
        }
    }
}

/// The first device that opens; if none does, why the first did not.
pub fn first<T>(open: impl Fn(usize) -> Result<T, CudaError>) -> Result<T, CudaError> {
    let first = match open(0) {
        Err(error) => error,
        opened => return opened,
    };
    let others = 1..driver::count().unwrap_or(0);
    others.into_iter().find_map(|ordinal| open(ordinal).ok()).ok_or(first)
}

/// The processor, where nobody asked for a device, if it can do what the options ask.
fn on_cpu(options: &Options, why_not: &CudaError) -> Result<Choice, TrainError> {
    let no_cuda = why_not.reason();
    let refused = |option, value: &str, rule| Err(OptionError::new(option, value, rule).into());
    if options.plan != LaunchPlan::Auto {
        let rule = format!("needs CUDA, and {no_cuda}; see cotangent doctor");
        return refused("--plan", options.plan.name(), rule);
    }
    match bf16_unit(options.precision) {
        Ok(bf16) => {
            let why = format!("chosen automatically: {no_cuda}");
            Ok(Choice { hardware: Hardware::Cpu(bf16), why })
        }
        Err(lacks) => {
            let rule = format!("{lacks}; CUDA could do it, but {no_cuda}: see cotangent doctor");
            refused("--precision", options.precision.name(), rule)
        }
    }
}

/// What computes a precision's products on the processor, if they are in bfloat16; or what is missing.
fn bf16_unit(precision: Precision) -> Result<Option<Bf16Unit>, String> {
    match precision {
        Precision::F32 | Precision::Tf32 => Ok(None),
        Precision::Bf16 => match Bf16Unit::of_machine() {
            Some(unit) => Ok(Some(unit)),
            None => Err("this processor has neither AMX nor AVX-512 BF16: use f32".into()),
        },
    }
}

fn check_precision(device: &Device, precision: Precision) -> Result<(), CudaError> {
    let needed = half::bf16::NEEDED;
    if precision == Precision::Bf16 && device.capability() < needed {
        let (name, capability) = (device.name().to_owned(), device.capability());
        return Err(CudaError::Precision { ordinal: device.ordinal(), name, capability, needed });
    }
    Ok(())
}

/// How products are computed in a precision.
pub(super) fn products(precision: Precision) -> Products {
    match precision {
        Precision::Bf16 => Products::Bf16,
        Precision::F32 | Precision::Tf32 => Products::F32,
    }
}

/// How a step reaches the device.
pub(super) fn launching(plan: LaunchPlan) -> Launching {
    match plan {
        LaunchPlan::Auto | LaunchPlan::Graph => Launching::Graph,
        LaunchPlan::Launches => Launching::Launches,
    }
}
