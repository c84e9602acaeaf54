//! One typed function for each kernel of the folder `kernels/`, in a file named as the kernel's.
//!
//! It checks lengths and sizes, computes the launch shape and holds the kernel's only `unsafe`. What is
//! passed stands beside the name of the C parameter.

mod accuracy;
mod ceiling;
mod convert;
mod dropout;
mod elementwise;
mod factor;
mod gather;
mod gemm;
mod hopper;
mod kernel;
mod latency;
mod layout;
mod loader;
mod optimizers;
mod program;
mod softmax_cross_entropy;
mod step;
mod sum;
mod tensor_map;
mod tuning;
mod variant;

pub use accuracy::Accuracy;
pub use ceiling::Ceiling;
pub use convert::Convert;
pub use dropout::DropoutKernels;
pub use elementwise::{Broadcast, DeviceOperand, Elementwise};
pub use factor::Factor;
pub use gather::{BatchOrder, DeviceSplit, GatherKernels};
pub use gemm::{Epilogue, Gemm, Product};
pub use hopper::{
    ClusterSum, Dependent, GridSum, Hopper, Multicast, Ring, RowsApart, TileForm, TileOperand, TileProduct,
};
pub use latency::chases::{Links, Table};
pub use latency::{BarrierCheck, Edge, Latency};
pub use layout::LayoutKernels;
pub use optimizers::{DeviceUpdate, Optimizers};
pub use program::{Programs, Read};
pub use softmax_cross_entropy::{Logits, LongRows, MOST_CLASSES_READ_ONCE, SoftmaxCrossEntropy};
pub use step::StepState;
pub use sum::{Axes, Sum};
pub use tuning::{Tiling, Tuning, VARIANTS};
pub use variant::{LaneOrder, Tuned, Use, Variant, header};

pub(in crate::exec::cuda) use loader::Loader;

use std::sync::Arc;

use half::bf16;

use super::error::CudaError;

/// All kernels, by the file of `kernels/` that they stand in.
#[allow(missing_docs, reason = "each is documented at its type")]
pub struct Kernels {
    pub accuracy: Accuracy,
    pub ceiling: Ceiling,
    pub convert: Convert,
    pub dropout: DropoutKernels,
    pub elementwise: Elementwise,
    pub gather: GatherKernels,
    pub gemm: Gemm<f32>,
    pub gemm_bf16: Gemm<bf16>,
    /// On a device of capability 9.0, where the build has code for `sm_90a`.
    pub hopper: Option<Hopper>,
    pub latency: Latency,
    pub layout: LayoutKernels,
    pub optimizers: Optimizers,
    pub program: Programs,
    pub softmax_cross_entropy: SoftmaxCrossEntropy,
    pub sum: Sum,
}

impl Kernels {
    pub(super) fn load(loader: &Loader<'_>, tuning: &Arc<Tuning>) -> Result<Self, CudaError> {
        Ok(Self {
            accuracy: Accuracy::load(loader)?,
            ceiling: Ceiling::load(loader)?,
            convert: Convert::load(loader)?,
            dropout: DropoutKernels::load(loader)?,
            elementwise: Elementwise::load(loader)?,
            gather: GatherKernels::load(loader)?,
            gemm: Gemm::load(loader, tuning)?,
            gemm_bf16: Gemm::load(loader, tuning)?,
            hopper: Hopper::load(loader)?,
            latency: Latency::load(loader)?,
            layout: LayoutKernels::load(loader)?,
            optimizers: Optimizers::load(loader)?,
            program: Programs::load(loader)?,
            softmax_cross_entropy: SoftmaxCrossEntropy::load(loader)?,
            sum: Sum::load(loader)?,
        })
    }
}
