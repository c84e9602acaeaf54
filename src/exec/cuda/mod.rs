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
mod call;
mod capability;
mod capture;
mod device;
pub mod driver;
mod embedded;
mod error;
mod executor;
mod feed;
mod image;
mod kernels;
mod launch;
mod memory;
mod order;
mod places;
mod plan;
mod progress;
mod recognise;
mod schedule;
mod stage;
mod survey;
mod updates;

pub use arena::{DeviceArena, Rest};
pub use capability::Capability;
pub use capture::{Lanes, Launching, PreparedTasks};
pub use device::Device;
pub use embedded::{ARCHITECTURES, NVCC, TOOLKIT};
pub use error::CudaError;
pub use executor::CudaExecutor;
pub use image::KernelImages;
pub use kernels::*;
pub use launch::DeviceDraw;
pub use memory::{allocate, upload};
pub use order::{Access, Order};
pub use plan::{CudaMode, CudaPlan, Products};
pub use survey::{Survey, Surveyed};
