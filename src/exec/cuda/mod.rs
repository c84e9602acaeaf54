//! CUDA: the device, the kernels of `kernels/`, and the executor that schedules them.
//!
//! - [`Device::open`] probes the driver, which is loaded at run time, and picks the machine code that
//!   the build embedded; each way in which that fails is an error of its own.
//! - [`Kernels`] holds one group a `.cu` file, and one method a kernel.
//!
//! Launches are asynchronous: they are put on a stream and return at once. A fault inside a kernel
//! shows at a later call.

mod device;
mod error;
mod image;
mod kernels;

pub use device::{Capability, Device};
pub use error::CudaError;
pub use image::{ARCHITECTURES, Images, NVCC, TOOLKIT};
pub use kernels::*;
