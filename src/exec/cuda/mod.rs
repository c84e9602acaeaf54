//! CUDA: the device, the kernels of `kernels/`, and one typed function to launch each.
//!
//! - [`Device::open`] probes the driver, which is loaded at run time, and picks the machine code that
//!   the build embedded; each way in which that fails is an error of its own.
//! - [`Kernels`] holds one group a `.cu` file, and one method a kernel: it checks lengths and sizes,
//!   computes the launch shape and holds the kernel's only `unsafe`. What is passed stands beside the
//!   name of the C parameter.
//!
//! Launches are asynchronous: they are put on a stream and return at once. A fault inside a kernel
//! shows at a later call.

mod accuracy;
mod convert;
mod device;
mod dropout;
mod elementwise;
mod error;
mod gather;
mod gemm;
mod image;
mod kernel;
mod optimizers;
mod softmax_cross_entropy;
mod step;
mod sum;
mod tiling;

pub use accuracy::Accuracy;
pub use convert::Convert;
pub use device::{Capability, Device, Kernels};
pub use dropout::Dropout;
pub use elementwise::{Broadcast, Elementwise, Operand};
pub use error::CudaError;
pub use gather::{BatchOrder, DeviceSplit, Gather};
pub use gemm::{Epilogue, Factor, Gemm, Product};
pub use image::{ARCHITECTURES, Images, NVCC, TOOLKIT};
pub use optimizers::Optimizers;
pub use softmax_cross_entropy::{Logits, MOST_CLASSES_READ_ONCE, SoftmaxCrossEntropy};
pub use step::StepState;
pub use sum::{Axes, Sum};
pub use tiling::{Tile, Tiling};
