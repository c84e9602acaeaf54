//! What can go wrong between here and the device, each with what to do next.

use crate::errors::with_causes;
use crate::ops::CallError;
use std::borrow::Cow;
use std::path::PathBuf;

use cudarc::driver::DriverError;

use super::capability::{Capability, HOPPER};
use super::embedded::ARCHITECTURES;

/// Why something could not be done on a CUDA device.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// Inputs do not fit the function that was called.
    #[error(transparent)]
    Call(#[from] CallError),

    /// The build found no nvcc.
    #[error("this build holds no CUDA kernels, because it was made without nvcc; {}", self.next_step())]
    NoKernels,

    /// `COTANGENT_CUDA_IMAGE` or `COTANGENT_CUDA_CANDIDATES` names a file that cannot be read.
    #[error("cannot read {}, which {variable} names ({})", .path.display(), self.next_step())]
    Image {
        /// The file.
        path: PathBuf,
        /// What names it, or its folder.
        variable: &'static str,
        /// Why not.
        source: std::io::Error,
    },

    /// A file that one of the two names holds something else.
    #[error(
        "{} is no image of CUDA kernels (a fatbin, a cubin or PTX); {}",
        .path.display(), self.next_step()
    )]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What names it, or its folder.
        variable: &'static str,
    },

    /// There is no driver library.
    #[error(
        "there is no CUDA driver on this machine: its library (libcuda.so, nvcuda.dll) cannot be loaded; {}",
        self.next_step()
    )]
    NoDriver,

    /// A library by the driver's name that is something else, or a driver of long ago.
    #[error("the library that stands for the CUDA driver has no function {function}; {}", self.next_step())]
    NotADriver {
        /// What it lacks.
        function: &'static str,
    },

    /// The driver cannot load the images of a newer toolkit.
    #[error(
        "the driver supports CUDA {}.{}, and the kernels were compiled by CUDA {}.{}; {}",
        .driver.0, .driver.1, .toolkit.0, .toolkit.1, self.next_step()
    )]
    DriverTooOld {
        /// The newest version that the driver supports.
        driver: (i32, i32),
        /// The version that compiled the kernels.
        toolkit: (i32, i32),
    },

    /// No device, or none of that number.
    #[error("there is no CUDA device {ordinal}: the driver sees {count}; {}", self.next_step())]
    NoDevice {
        /// What was asked for, from 0.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },

    /// No image fits the device.
    #[error(
        "device {ordinal} ({name}) has compute capability {capability}, and {}; {}",
        match .file {
            Some(path) => format!("{} has no kernels for it", path.display()),
            None => format!("this build has kernels for {}", ARCHITECTURES.join(", ")),
        },
        self.next_step()
    )]
    NoImage {
        /// The device's number, from 0.
        ordinal: usize,
        /// Its name.
        name: String,
        /// What it is.
        capability: Capability,
        /// The file whose kernels were to be loaded in place of the build's.
        file: Option<PathBuf>,
    },

    /// `COTANGENT_CUDA_TUNING` names a file that is no tuning table.
    #[error("{}, which COTANGENT_CUDA_TUNING names: {problem}; {}", .path.display(), self.next_step())]
    Tuning {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read, or the line that is wrong.
        problem: String,
    },

    /// The device's tensor cores do not multiply bfloat16.
    #[error(
        "products in bf16 need compute capability {needed}, and device {ordinal} ({name}) has {capability}; {}",
        self.next_step()
    )]
    Precision {
        /// The device's number, from 0.
        ordinal: usize,
        /// Its name.
        name: String,
        /// What it is.
        capability: Capability,
        /// The least that will do.
        needed: Capability,
    },

    /// The device's memory does not suffice.
    #[error(
        "the device is out of memory: {asked} bytes were asked for, {free} are free; {}", self.next_step()
    )]
    OutOfMemory {
        /// Bytes asked for.
        asked: usize,
        /// Bytes free.
        free: usize,
    },

    /// A launch whose arguments do not fit together: refused before it reached the device.
    #[error("kernel {kernel}: {problem}")]
    Refused {
        /// The kernel.
        kernel: Cow<'static, str>,
        /// The sizes at fault, and what they should be.
        problem: String,
    },

    /// A kernel failed while it was waited for: only where kernels are [launched one by one](super::Launching::Launches).
    #[error("kernel {kernel}, {blocks:?} blocks of {threads} threads, failed")]
    Fault {
        /// The kernel.
        kernel: Cow<'static, str>,
        /// The grid.
        blocks: (u32, u32, u32),
        /// Threads of a block.
        threads: u32,
        /// What the driver says.
        source: Driver,
    },

    /// A capture that left no graph.
    #[error("the driver captured no graph from the streams; {}", self.next_step())]
    NothingCaptured,

    /// A device that runs the kernels and gets something else than the CPU.
    #[error(
        "it computes wrongly: element {element} of relu(x Wᵀ + b) is {found}, not {expected:.7}, \
         where rounding explains at most {tolerance:.1e}; {}", self.next_step()
    )]
    Wrong {
        /// Where the difference is largest, beside what rounding explains.
        element: usize,
        /// What the device got there.
        found: f32,
        /// What the CPU got there in float64.
        expected: f64,
        /// The most that rounding to float32 makes of it.
        tolerance: f64,
    },

    /// The driver refused a kernel, or reported an earlier kernel's fault.
    #[error("kernel {kernel}, {blocks:?} blocks of {threads} threads")]
    Launch {
        /// The kernel.
        kernel: Cow<'static, str>,
        /// The grid.
        blocks: (u32, u32, u32),
        /// Threads of a block.
        threads: u32,
        /// What the driver says.
        source: Driver,
    },

    /// Anything else that the driver reports.
    #[error("{what}")]
    Driver {
        /// What was being done.
        what: String,
        /// What the driver says.
        source: Driver,
    },
}

/// The driver's own words.
#[derive(Debug, thiserror::Error)]
#[error("{}", words(.0))]
pub struct Driver(pub DriverError);

impl From<DriverError> for Driver {
    fn from(error: DriverError) -> Self {
        Self(error)
    }
}

/// "CUDA_ERROR_INVALID_VALUE: invalid argument".
fn words(error: &DriverError) -> String {
    let text = |result: Result<&std::ffi::CStr, DriverError>| {
        result.map_or_else(|_| "unknown".to_owned(), |text| text.to_string_lossy().into_owned())
    };
    match (text(error.error_name()), text(error.error_string())) {
        (name, text) if text.is_empty() => name,
        (name, text) => format!("{name}: {text}"),
    }
}

impl CudaError {
    /// Why a device cannot be used, in a few words.
    pub fn reason(&self) -> String {
        match self {
            Self::NoKernels => "this build holds no CUDA kernels".into(),
            Self::Image { variable, .. } => format!("{variable} names no file that can be read"),
            Self::NotAnImage { variable, .. } => format!("{variable} names a file without kernels"),
            Self::NoDriver => "there is no CUDA driver on this machine".into(),
            Self::NotADriver { .. } => "the CUDA driver's library is no driver".into(),
            Self::DriverTooOld { driver: (major, minor), toolkit } => format!(
                "the driver is too old for the kernels (CUDA {major}.{minor}, not {}.{})",
                toolkit.0, toolkit.1
            ),
            Self::NoDevice { count: 0, .. } => "the driver sees no CUDA device".into(),
            Self::NoDevice { ordinal, count } => format!("there is no device {ordinal}, only {count}"),
            Self::NoImage { name, capability, file: None, .. } => {
                format!("this build has no kernels for {name} (compute capability {capability})")
            }
            Self::OutOfMemory { asked, free } => {
                format!("its memory does not suffice: {asked} bytes were asked for, {free} are free")
            }
            Self::Wrong { found, expected, tolerance, .. } => format!(
                "it computes wrongly: {found} in place of {expected:.7}, where rounding explains {tolerance:.1e}"
            ),
            other => with_causes(other),
        }
    }

    /// What to do about it; part of the message of all but the driver's own errors.
    pub fn next_step(&self) -> String {
        let text = match self {
            Self::NoKernels => "run scripts/install-nvcc, or set NVCC, and build again",
            Self::Image { variable, .. } | Self::NotAnImage { variable, .. } => {
                return format!("correct or unset {variable}");
            }
            Self::NoImage { file: Some(_), .. } => "correct or unset COTANGENT_CUDA_IMAGE",
            Self::Tuning { .. } => "correct or unset COTANGENT_CUDA_TUNING",
            Self::NoDriver => "install NVIDIA's driver, or run on the CPU",
            Self::NotADriver { .. } => {
                "install NVIDIA's driver, or take what hides it away from where libraries are looked for"
            }
            Self::DriverTooOld { driver, .. } => {
                return format!("update NVIDIA's driver, or build with nvcc {}.x or older", driver.0);
            }
            Self::NoDevice { count: 0, .. } => {
                "look whether nvidia-smi lists a card, and whether CUDA_VISIBLE_DEVICES hides it, or run on the CPU"
            }
            Self::NoDevice { count, .. } => {
                let others = if *count > 1 { format!(" to cuda:{}", count - 1) } else { String::new() };
                return format!("take cuda:0{others} (CUDA_VISIBLE_DEVICES may hide others)");
            }
            Self::NoImage { capability, .. } if *capability < Capability::OLDEST => {
                return format!(
                    "run on the CPU, or on a card of compute capability {} or newer",
                    Capability::OLDEST
                );
            }
            Self::NoImage { capability, .. } => {
                let hopper = if capability.runs(HOPPER) { ",90a" } else { "" };
                return format!(
                    "build again with COTANGENT_CUDA_ARCHS={}{hopper}, if nvcc knows it",
                    capability.number()
                );
            }
            Self::Precision { .. } => "use --precision f32, or another device",
            Self::OutOfMemory { .. } => {
                "use a smaller batch or network, or see who holds the memory (nvidia-smi)"
            }
            Self::NothingCaptured => "use --plan launches, and update the driver",
            Self::Refused { .. } => "use a smaller batch or network",
            Self::Call(_) => "give the inputs that the function names",
            Self::Fault { .. } | Self::Launch { .. } => {
                "see with compute-sanitizer where it goes wrong, and report it as a bug; or use --device cpu"
            }
            Self::Wrong { .. } | Self::Driver { .. } => {
                "update NVIDIA's driver, look for hardware errors with nvidia-smi -q, \
                 or use another device or --device cpu"
            }
        };
        text.into()
    }
}

/// Says what was being done when the driver failed.
pub(super) trait During<T> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, CudaError>;
}

impl<T> During<T> for Result<T, DriverError> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, CudaError> {
        self.map_err(|error| CudaError::Driver { what: what(), source: error.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_no_image_fits_is_refused_with_what_to_build() {
        let capability = Capability { major: 6, minor: 1 };
        let refusal = |capability, file: Option<&str>| {
            CudaError::NoImage { ordinal: 0, name: "A Card".into(), capability, file: file.map(Into::into) }
                .to_string()
        };
        let error = refusal(capability, None);
        assert!(error.starts_with("device 0 (A Card) has compute capability 6.1, and this build"), "{error}");
        assert!(error.contains("run on the CPU, or on a card of compute capability 7.5 or newer"), "{error}");
        let error = refusal(Capability { major: 8, minor: 7 }, None);
        assert!(error.contains("build again with COTANGENT_CUDA_ARCHS=87"), "{error}");
        let error = refusal(Capability { major: 9, minor: 0 }, None);
        assert!(error.contains("build again with COTANGENT_CUDA_ARCHS=90,90a"), "{error}");
        let error = refusal(capability, Some("mine.fatbin"));
        assert!(error.contains("mine.fatbin has no kernels for it; correct or unset"), "{error}");
    }
}
