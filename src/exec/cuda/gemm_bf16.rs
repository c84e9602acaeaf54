//! `kernels/gemm_bf16.cu`: matrix products of bfloat16 matrices on tensor cores.

use cudarc::driver::{CudaStream, CudaViewMut};
use half::bf16;

use super::device::Loader;
use super::gemm::Family;
use super::{Capability, CudaError, Epilogue, Product, Tiling};
use crate::ops::Extents;

/// Products of bfloat16 matrices, summed in float32: C is float32.
pub struct GemmBf16 {
    family: Family,
    capability: Capability,
}

/// DEPTH in gemm_bf16.cu.
const DEPTH: usize = 32;

/// The first whose tensor cores multiply bfloat16.
const NEEDED: Capability = Capability { major: 8, minor: 0 };

impl GemmBf16 {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let tiled = [
            ["gemm_bf16_nn_128x128", "gemm_bf16_nt_128x128", "gemm_bf16_tn_128x128", "gemm_bf16_tt_128x128"],
            ["gemm_bf16_nn_64x64", "gemm_bf16_nt_64x64", "gemm_bf16_tn_64x64", "gemm_bf16_tt_64x64"],
        ];
        let file = loader.file("gemm_bf16")?;
        let family = Family::load(&file, DEPTH, tiled, ["gemm_bf16_reduce", "gemm_bf16_reference"])?;
        Ok(Self { family, capability: loader.capability })
    }

    /// The elements of the workspace that [`GemmBf16::run`] needs: more are fine.
    pub fn workspace(extents: Extents) -> usize {
        Self::workspace_with(Tiling::of(extents), extents)
    }

    /// The elements of the workspace that [`GemmBf16::run_with`] needs: more are fine.
    pub fn workspace_with(tiling: Tiling, extents: Extents) -> usize {
        Family::workspace(extents, tiling, DEPTH)
    }

    /// C = epilogue(op(A) op(B)). Each sum is over rising k, sixteen at a time, in stretches if k is
    /// split; the same bits on every run. A sum over no k is 0. What the workspace holds does not
    /// matter, before or after.
    ///
    /// # Errors
    /// A device below compute capability 8.0; lengths that do not follow from the extents, a workspace
    /// that is too small, sizes that do not fit 32 bits; what the driver reports.
    pub fn run(
        &self,
        stream: &CudaStream,
        product: &Product<'_, bf16>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
        workspace: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        self.run_with(stream, Tiling::of(product.extents), product, c, epilogue, workspace)
    }

    /// As [`GemmBf16::run`], cut into blocks as the caller says.
    ///
    /// # Errors
    /// As [`GemmBf16::run`].
    pub fn run_with(
        &self,
        stream: &CudaStream,
        tiling: Tiling,
        product: &Product<'_, bf16>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
        workspace: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        if self.capability < NEEDED {
            return Err(self.family.tiled(tiling.tile, product.matmul).refuse(format!(
                "tensor cores multiply bfloat16 from compute capability {NEEDED} on, and this device has {}; \
                 compute in float32",
                self.capability
            )));
        }
        self.family.run(stream, tiling, product, c, epilogue, workspace)
    }

    /// The same by the plain kernel that the fast ones are held against: one thread an element, no tensor
    /// cores, on every device.
    ///
    /// # Errors
    /// As [`GemmBf16::run`], but for the device.
    pub fn reference(
        &self,
        stream: &CudaStream,
        product: &Product<'_, bf16>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
    ) -> Result<(), CudaError> {
        self.family.reference(stream, product, c, epilogue)
    }
}
