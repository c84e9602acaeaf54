//! The number types whose products are timed.

use cotangent::exec::cuda::{Factor, Gemm, Kernels};
use cudarc::driver::ValidAsZeroBits;
use half::bf16;

/// One of them, with its kernels.
pub trait Multiplied: Factor + ValidAsZeroBits + Sized + 'static {
    /// As figures call it.
    const PRECISION: &'static str;
    fn kernels(all: &Kernels) -> &Gemm<Self>;
    fn of(x: f32) -> Self;
}

impl Multiplied for f32 {
    const PRECISION: &'static str = "f32";

    fn kernels(all: &Kernels) -> &Gemm<Self> {
        &all.gemm
    }

    fn of(x: f32) -> Self {
        x
    }
}

impl Multiplied for bf16 {
    const PRECISION: &'static str = "bf16";

    fn kernels(all: &Kernels) -> &Gemm<Self> {
        &all.gemm_bf16
    }

    fn of(x: f32) -> Self {
        bf16::from_f32(x)
    }
}
