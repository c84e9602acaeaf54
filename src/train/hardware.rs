//! Which processor or CUDA device a run computes on, and why.

use std::sync::Arc;

use super::options::{DeviceChoice as Asked, Kernels, LaunchPlan, Options, Precision};
use super::{TrainError, options::OptionError};
use crate::data::Split;
use crate::exec::cuda::{CudaError, Device, Factor, Launching, Products, driver};
use crate::exec::{Bf16Unit, CpuProducts};

/// What a run computes on.
#[derive(Clone)]
pub enum Hardware {
    /// The processor, and how it computes products; nothing where the images decide.
    Cpu(Option<CpuProducts>),
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
        let on_cpu_as = |why: &str| -> Result<Self, TrainError> {
            Ok(Self { hardware: Hardware::Cpu(cpu_products(options, "")?), why: why.into() })
        };
        match options.device {
            Asked::Cpu => on_cpu_as("as asked for"),
            Asked::Auto if options.kernels != Kernels::Auto => match options.plan {
                LaunchPlan::Auto => on_cpu_as("its kernels were asked for"),
                plan => {
                    let rule = "is for CUDA, and --kernels for the CPU: leave out one of them";
                    Err(OptionError::new("--plan", plan.name(), rule).into())
                }
            },
            Asked::Cuda(_) if options.kernels != Kernels::Auto => {
                let rule = "is for the CPU: leave it out, or use auto, with CUDA";
                Err(OptionError::new("--kernels", options.kernels.name(), rule).into())
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

    /// How the processor computes products with these images, if it is what computes.
    pub(super) fn products(&self, images: &Split) -> Option<CpuProducts> {
        match self.hardware {
            Hardware::Cpu(products) => {
                Some(products.unwrap_or_else(|| CpuProducts::in_float32(images.density())))
            }
            Hardware::Cuda(_) => None,
        }
    }

    /// The same as options name it.
    pub fn kernels(&self, images: &Split) -> Kernels {
        match self.products(images) {
            None => Kernels::Auto,
            Some(CpuProducts::Skipping) => Kernels::Skipping,
            Some(CpuProducts::Dense) => Kernels::Dense,
            Some(CpuProducts::Bf16(unit)) if unit.is_vectors() => Kernels::Avx512Bf16,
            Some(CpuProducts::Bf16(_)) => Kernels::Amx,
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
    if options.plan != LaunchPlan::Auto {
        let rule = format!("needs CUDA, and {no_cuda}; see cotangent doctor");
        return Err(OptionError::new("--plan", options.plan.name(), rule).into());
    }
    let or_else = format!("; CUDA could do it, but {no_cuda}: see cotangent doctor");
    let products = cpu_products(options, &or_else)?;
    Ok(Choice { hardware: Hardware::Cpu(products), why: format!("chosen automatically: {no_cuda}") })
}

/// How the processor computes the products that options ask for; nothing where the images decide. `or_else` is added to what
/// is said where it has no unit for the precision.
fn cpu_products(options: &Options, or_else: &str) -> Result<Option<CpuProducts>, OptionError> {
    let &Options { kernels, precision, .. } = options;
    let unit = |unit: Option<Bf16Unit>, name: &str| {
        let rule =
            format!("this processor, or its system, has no {name}: use auto, which may round in another way");
        unit.map(CpuProducts::Bf16).ok_or_else(|| OptionError::new("--kernels", kernels.name(), rule))
    };
    match (kernels, precision) {
        (Kernels::Skipping, _) => Ok(Some(CpuProducts::Skipping)),
        (Kernels::Dense, _) => Ok(Some(CpuProducts::Dense)),
        (Kernels::Amx, _) => unit(Bf16Unit::tiles(), "AMX").map(Some),
        (Kernels::Avx512Bf16, _) => unit(Bf16Unit::vectors(), "AVX-512 BF16").map(Some),
        (Kernels::Auto, Precision::F32 | Precision::Tf32) => Ok(None),
        (Kernels::Auto, Precision::Bf16) => match Bf16Unit::of_machine() {
            Some(unit) => Ok(Some(CpuProducts::Bf16(unit))),
            None => {
                let rule = format!("this processor has neither AMX nor AVX-512 BF16: use f32{or_else}");
                Err(OptionError::new("--precision", precision.name(), rule))
            }
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
