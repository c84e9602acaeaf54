//! CUDA: the device, the kernels of `kernels/`, and the executor that schedules them.
//!
//! - [`Device::open`] probes the driver, which is loaded at run time, and picks the machine code that
//!   the build embedded; each way in which that fails is an error of its own.
//! - [`Kernels`] holds one group a `.cu` file, and one method a kernel.
//! - [`CudaPlan`] makes a graph's instructions tasks in a partial order and gives every value its place in a
//!   [`DeviceArena`]; [`Lanes`] capture the tasks as a CUDA graph, or launch them one by one.
//!
//! Launches are asynchronous: they are put on a stream and return at once. A fault inside a kernel
//! shows at a later call.

mod arena;
mod capture;
mod device;
mod error;
mod evaluate;
mod image;
mod kernels;
mod launch;
mod plan;
mod schedule;
mod survey;

pub use arena::{DeviceArena, Rest};
pub use capture::{Lanes, Launching, Prepared};
pub use device::{Capability, Device};
pub use error::CudaError;
pub use evaluate::evaluate;
pub use image::{ARCHITECTURES, Images, NVCC, TOOLKIT};
pub use kernels::*;
pub use launch::DeviceDraw;
pub use plan::{CudaPlan, Multiplying, Products};
pub use survey::{Survey, Surveyed};
