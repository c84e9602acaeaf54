//! What can go wrong between here and the device, each with what to do next.

use std::path::PathBuf;

use cudarc::driver::DriverError;

use super::{ARCHITECTURES, Capability};

/// Why something could not be done on a CUDA device.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// The build found no nvcc.
    #[error(
        "this build holds no CUDA kernels, because nvcc was not found when it was made; \
         run scripts/install-nvcc, or set NVCC, and build again"
    )]
    NoKernels,

    /// `COTANGENT_CUDA_IMAGE` names a file that cannot be read.
    #[error("cannot read {}, which COTANGENT_CUDA_IMAGE names; correct or unset the variable", .path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },

    /// `COTANGENT_CUDA_IMAGE` names a file that holds something else.
    #[error(
        "{} is no image of CUDA kernels (a fatbin, a cubin or PTX); \
         correct or unset COTANGENT_CUDA_IMAGE", .path.display()
    )]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },

    /// There is no driver library.
    #[error(
        "no CUDA driver on this machine: its library (libcuda.so, nvcuda.dll) cannot be loaded; install NVIDIA's driver, or run on the CPU"
    )]
    NoDriver,

    /// The driver cannot load the images of a newer toolkit.
    #[error(
        "the driver supports CUDA {}.{}, and the kernels were compiled by CUDA {}.{}; \
         update the driver, or build with an older nvcc", .driver.0, .driver.1, .toolkit.0, .toolkit.1
    )]
    DriverTooOld {
        /// The newest version that the driver supports.
        driver: (i32, i32),
        /// The version that compiled the kernels.
        toolkit: (i32, i32),
    },

    /// No device, or none of that number.
    #[error(
        "there is no CUDA device {ordinal}: the driver sees {count} (CUDA_VISIBLE_DEVICES may hide others)"
    )]
    NoDevice {
        /// What was asked for, from 0.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },

    /// No image fits the device.
    #[error(
        "device {ordinal} ({name}) has compute capability {capability}, and this build has kernels for {}; \
         build again with COTANGENT_CUDA_ARCHS={}, if nvcc knows it (devices below 7.5 are not supported)", ARCHITECTURES.join(", "), .capability.number()
    )]
    NoImage {
        /// The device's number, from 0.
        ordinal: usize,
        /// Its name.
        name: String,
        /// What it is.
        capability: Capability,
    },

    /// The device's memory does not suffice.
    #[error(
        "the device is out of memory: {asked} bytes were asked for, {free} are free; use a smaller batch or network"
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
        kernel: &'static str,
        /// The sizes at fault, and what they should be.
        problem: String,
    },

    /// The driver refused a kernel, or reported an earlier kernel's fault.
    #[error("kernel {kernel}, {blocks:?} blocks of {threads} threads")]
    Launch {
        /// The kernel.
        kernel: &'static str,
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
pub struct Driver(#[from] pub DriverError);

/// "CUDA_ERROR_INVALID_VALUE: invalid argument".
fn words(error: &DriverError) -> String {
    let text = |result: Result<&std::ffi::CStr, DriverError>| {
        result.map_or_else(|_| "unknown".to_owned(), |text| text.to_string_lossy().into_owned())
    };
    format!("{}: {}", text(error.error_name()), text(error.error_string()))
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
