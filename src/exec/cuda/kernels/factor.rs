//! The number types whose matrices are multiplied.

use cudarc::driver::DeviceRepr;
use half::bf16;

use crate::exec::cuda::Capability;

/// A number type whose matrices are multiplied: float32, or bfloat16 on tensor cores. Sums are float32.
pub trait Factor: DeviceRepr {
    /// The file of `kernels/`.
    const FILE: &'static str;
    /// The plain kernel, of `gemm_reference.cu`.
    const REFERENCE: &'static str;
    /// The least capable device whose instructions the tiled kernels have.
    const NEEDED: Capability;
    /// Threads that compute the part of a tile that [`Variant::down`](super::Variant::down) and `across` say.
    const TOGETHER: usize;
}

impl Factor for f32 {
    const FILE: &'static str = "gemm";
    const REFERENCE: &'static str = "gemm_reference";
    const NEEDED: Capability = Capability { major: 7, minor: 5 };
    const TOGETHER: usize = 1;
}

impl Factor for bf16 {
    const FILE: &'static str = "gemm_bf16";
    const REFERENCE: &'static str = "gemm_bf16_reference";
    const NEEDED: Capability = Capability { major: 8, minor: 0 };
    const TOGETHER: usize = 32; // a warp
}
