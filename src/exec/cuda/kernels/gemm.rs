//! `kernels/gemm.cu` and `gemm_bf16.cu`: matrix products in float32, and of bfloat16 matrices on tensor cores.
//!
//! One block computes one tile of C. Where C has few tiles, k is split among blocks, whose partial sums
//! go to a workspace and are added by a second kernel. [`Tiling::of`] decides both, by the shape alone.

use std::marker::PhantomData;

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, DeviceRepr, LaunchArgs, PushKernelArg};

use half::bf16;

use super::kernel::Kernel;
use super::{Tile, Tiling};
use crate::exec::cuda::device::Loader;
use crate::exec::cuda::{Capability, CudaError};
use crate::ops::{Extents, MatMul};

/// The operands of C (m, n) = op(A) op(B), all row-major.
#[derive(Clone, Copy)]
pub struct Product<'a, T> {
    /// Which operands are transposed.
    pub matmul: MatMul,
    /// The extents, transposes taken.
    pub extents: Extents,
    /// A, (m, k), or (k, m) if it is transposed.
    pub a: &'a CudaView<'a, T>,
    /// B, (k, n), or (n, k) if it is transposed.
    pub b: &'a CudaView<'a, T>,
}

/// What is done to a product before it is stored, in this order. The default: nothing.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// (n): added to every row.
    pub bias: Option<&'a CudaView<'a, f32>>,
    /// Whether numbers ≤ 0 become 0; NaN stays.
    pub relu: bool,
    /// (m, n): multiplies by 1 where it is > 0, by 0 elsewhere: the derivative of ReLU.
    pub mask: Option<&'a CudaView<'a, f32>>,
    /// Whether the result is added to C. If not, C is not read.
    pub accumulate: bool,
}

/// A number type whose matrices are multiplied: float32, or bfloat16 on tensor cores. Sums are float32.
pub trait Factor: DeviceRepr {
    /// The file of `kernels/`.
    const FILE: &'static str;
    /// How much of k a tile holds in shared memory (DEPTH in that file).
    const DEPTH: usize;
    /// The kernels by tile, and in the order nn, nt, tn, tt of A and B.
    const TILED: [[&'static str; 4]; 2];
    /// The kernel that adds the parts of sums, and the plain one.
    const REDUCE_AND_REFERENCE: [&'static str; 2];
    /// The least capable device whose instructions the tiled kernels have.
    const NEEDED: Capability;
}

impl Factor for f32 {
    const FILE: &'static str = "gemm";
    const DEPTH: usize = 16;
    const TILED: [[&'static str; 4]; 2] = [
        ["gemm_nn_128x128", "gemm_nt_128x128", "gemm_tn_128x128", "gemm_tt_128x128"],
        ["gemm_nn_64x64", "gemm_nt_64x64", "gemm_tn_64x64", "gemm_tt_64x64"],
    ];
    const REDUCE_AND_REFERENCE: [&'static str; 2] = ["gemm_reduce", "gemm_reference"];
    const NEEDED: Capability = Capability { major: 7, minor: 5 };
}

impl Factor for bf16 {
    const FILE: &'static str = "gemm_bf16";
    const DEPTH: usize = 32;
    const TILED: [[&'static str; 4]; 2] = [
        ["gemm_bf16_nn_128x128", "gemm_bf16_nt_128x128", "gemm_bf16_tn_128x128", "gemm_bf16_tt_128x128"],
        ["gemm_bf16_nn_64x64", "gemm_bf16_nt_64x64", "gemm_bf16_tn_64x64", "gemm_bf16_tt_64x64"],
    ];
    const REDUCE_AND_REFERENCE: [&'static str; 2] = ["gemm_bf16_reduce", "gemm_bf16_reference"];
    const NEEDED: Capability = Capability { major: 8, minor: 0 };
}

/// Products of matrices of one number type. C is float32.
pub struct Gemm<T> {
    /// By tile, and by whether A and B are transposed.
    tiled: [[Kernel; 4]; 2],
    reduce: Kernel,
    reference: Kernel,
    capability: Capability,
    factor: PhantomData<fn() -> T>,
}

/// Threads of a block of the other two kernels (REDUCE_THREADS in gemm.cuh, REFERENCE_THREADS in
/// gemm.cuh).
const REDUCE_THREADS: u32 = 256;
const REFERENCE_THREADS: u32 = 256;

/// Neighbours of a row that a thread of the reducing kernel finishes.
const PER_THREAD: usize = 4;

/// A pointer to nothing.
const NULL: u64 = 0;

impl<T: Factor> Gemm<T> {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file(T::FILE)?;
        let four = |[nn, nt, tn, tt]: [&'static str; 4]| -> Result<_, CudaError> {
            Ok([file.kernel(nn)?, file.kernel(nt)?, file.kernel(tn)?, file.kernel(tt)?])
        };
        let [large, small] = T::TILED;
        let [reduce, reference] = T::REDUCE_AND_REFERENCE;
        Ok(Self {
            tiled: [four(large)?, four(small)?],
            reduce: file.kernel(reduce)?,
            reference: file.kernel(reference)?,
            capability: loader.capability,
            factor: PhantomData,
        })
    }

    fn tiled(&self, tile: Tile, matmul: MatMul) -> &Kernel {
        &self.tiled[tile as usize][2 * usize::from(matmul.transpose_a) + usize::from(matmul.transpose_b)]
    }

    /// Whether a device of this capability has the instructions; if not, what it lacks.
    pub(super) fn runs_on(capability: Capability) -> Result<(), String> {
        if capability >= T::NEEDED {
            return Ok(());
        }
        Err(format!(
            "tensor cores multiply bfloat16 from compute capability {} on, and this device has {capability}; \
             compute in float32",
            T::NEEDED
        ))
    }

    /// The elements of the workspace that [`Gemm::run`] needs: more are fine.
    pub fn workspace(extents: Extents) -> usize {
        Self::workspace_with(Tiling::of(extents), extents)
    }

    /// The elements of the workspace that [`Gemm::run_with`] needs: more are fine.
    pub fn workspace_with(tiling: Tiling, extents: Extents) -> usize {
        match tiling.cut(extents.k, T::DEPTH) {
            (_, 1) => 0,
            (_, splits) => splits.saturating_mul(extents.m).saturating_mul(extents.n),
        }
    }

    /// C = epilogue(op(A) op(B)). Each sum is over rising k (of bfloat16, sixteen at a time), in stretches if
    /// k is split; the same bits on every run. A sum over no k is 0. What the workspace holds does not
    /// matter, before or after.
    ///
    /// # Errors
    /// A device whose tensor cores do not multiply bfloat16; lengths that do not follow from the extents, a
    /// workspace that is too small, sizes that do not fit 32 bits; what the driver reports.
    pub fn run(
        &self,
        stream: &CudaStream,
        product: &Product<'_, T>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
        workspace: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        self.run_with(stream, Tiling::of(product.extents), product, c, epilogue, workspace)
    }

    /// As [`Gemm::run`], cut into blocks as the caller says.
    ///
    /// # Errors
    /// As [`Gemm::run`].
    pub fn run_with(
        &self,
        stream: &CudaStream,
        tiling: Tiling,
        product: &Product<'_, T>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
        workspace: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = self.tiled(tiling.tile, product.matmul);
        Self::runs_on(self.capability).map_err(|problem| kernel.refuse(problem))?;
        check(kernel, product, c, epilogue)?;
        let needed = Self::workspace_with(tiling, product.extents);
        if workspace.len() < needed {
            return Err(kernel.refuse(format!(
                "the workspace holds {} elements, and the sizes ask for {needed}",
                workspace.len()
            )));
        }
        if needed == 0 {
            return self.sum(stream, tiling, product, c, epilogue);
        }
        self.sum(stream, tiling, product, workspace, &Epilogue::default())?;
        self.add_parts(stream, tiling, product.extents, &workspace.as_view(), c, epilogue)
    }

    /// C, or the parts of its sums if k is split.
    fn sum(
        &self,
        stream: &CudaStream,
        tiling: Tiling,
        product: &Product<'_, T>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
    ) -> Result<(), CudaError> {
        let Product { matmul, extents, a, b } = *product;
        let kernel = self.tiled(tiling.tile, matmul);
        let [m, n, k] = sizes(kernel, extents)?;
        if m == 0 || n == 0 {
            return Ok(());
        }
        let (k_per_split, splits) = tiling.cut(extents.k, T::DEPTH);
        let k_per_split = kernel.size("a stretch of k", k_per_split)?;
        let flags = epilogue.flags();
        let mut arguments = kernel.on(stream)?;
        arguments.arg(a); // const T* a
        arguments.arg(b); // const T* b
        arguments.arg(c); // float* c
        arguments.arg(&m); // int m
        arguments.arg(&n); // int n
        arguments.arg(&k); // int k
        arguments.arg(&k_per_split); // int k_per_split
        epilogue.push(&mut arguments, &flags);
        let blocks = [tiling.tile.count(extents), 1, splits];
        // SAFETY: `check` has compared the operands, C (or the workspace: `run_with`) and the epilogue's
        // with the sizes, and the kernel guards every access by them.
        unsafe { kernel.launch(&mut arguments, blocks, tiling.tile.threads()) }
    }

    /// C from the parts of its sums.
    fn add_parts(
        &self,
        stream: &CudaStream,
        tiling: Tiling,
        extents: Extents,
        parts: &CudaView<'_, f32>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
    ) -> Result<(), CudaError> {
        let kernel = &self.reduce;
        let [m, n, _] = sizes(kernel, extents)?;
        let (_, splits) = tiling.cut(extents.k, T::DEPTH);
        let splits = kernel.size("the number of parts", splits)?;
        let flags = epilogue.flags();
        let mut arguments = kernel.on(stream)?;
        let threads = kernel.count(&[extents.m, extents.n.div_ceil(PER_THREAD)])?;
        arguments.arg(parts); // const float* parts
        arguments.arg(c); // float* c
        arguments.arg(&m); // int m
        arguments.arg(&n); // int n
        arguments.arg(&splits); // int splits
        epilogue.push(&mut arguments, &flags);
        let blocks = [threads.div_ceil(REDUCE_THREADS as usize), 1, 1];
        // SAFETY: the workspace holds as many parts (`run_with`), C and the epilogue's operands are as long
        // as the sizes say (`check`), and the kernel guards every access by them.
        unsafe { kernel.launch(&mut arguments, blocks, REDUCE_THREADS) }
    }

    /// The same by the plain kernel that the fast ones are held against: one thread an element, no tensor
    /// cores, on every device.
    ///
    /// # Errors
    /// As [`Gemm::run`], but for the device and the workspace.
    pub fn reference(
        &self,
        stream: &CudaStream,
        product: &Product<'_, T>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
    ) -> Result<(), CudaError> {
        let kernel = &self.reference;
        check(kernel, product, c, epilogue)?;
        let Product { matmul, extents, a, b } = *product;
        let [m, n, k] = sizes(kernel, extents)?;
        if c.is_empty() {
            return Ok(());
        }
        let blocks = [c.len().div_ceil(REFERENCE_THREADS as usize), 1, 1];
        let transposes = [i32::from(matmul.transpose_a), i32::from(matmul.transpose_b)];
        let flags = epilogue.flags();
        let mut arguments = kernel.on(stream)?;
        arguments.arg(a); // const T* a
        arguments.arg(b); // const T* b
        arguments.arg(c); // float* c
        arguments.arg(&m); // int m
        arguments.arg(&n); // int n
        arguments.arg(&k); // int k
        arguments.arg(&transposes[0]); // int transpose_a
        arguments.arg(&transposes[1]); // int transpose_b
        epilogue.push(&mut arguments, &flags);
        // SAFETY: `check` has compared all lengths with the sizes, and the kernel guards every access.
        unsafe { kernel.launch(&mut arguments, blocks, REFERENCE_THREADS) }
    }
}

impl Epilogue<'_> {
    fn flags(&self) -> [i32; 2] {
        [i32::from(self.relu), i32::from(self.accumulate)]
    }

    /// Appends the arguments that all kernels end with.
    fn push<'a>(&'a self, arguments: &mut LaunchArgs<'a>, [relu, accumulate]: &'a [i32; 2]) {
        match self.bias {
            Some(bias) => arguments.arg(bias), // const float* bias
            None => arguments.arg(&NULL),
        };
        match self.mask {
            Some(mask) => arguments.arg(mask), // const float* mask
            None => arguments.arg(&NULL),
        };
        arguments.arg(relu); // int relu
        arguments.arg(accumulate); // int accumulate
    }
}

fn sizes(kernel: &Kernel, Extents { m, n, k }: Extents) -> Result<[i32; 3], CudaError> {
    Ok([kernel.size("m", m)?, kernel.size("n", n)?, kernel.size("k", k)?])
}

/// Checks every length but the workspace's.
fn check<T>(
    kernel: &Kernel,
    product: &Product<'_, T>,
    c: &CudaViewMut<'_, f32>,
    epilogue: &Epilogue<'_>,
) -> Result<(), CudaError> {
    let Extents { m, n, k } = product.extents;
    sizes(kernel, product.extents)?;
    kernel.expect_length("A", product.a.len(), kernel.count(&[m, k])?)?;
    kernel.expect_length("B", product.b.len(), kernel.count(&[k, n])?)?;
    kernel.expect_length("C", c.len(), kernel.count(&[m, n])?)?;
    if let Some(bias) = epilogue.bias {
        kernel.expect_length("the bias", bias.len(), n)?;
    }
    if let Some(mask) = epilogue.mask {
        kernel.expect_length("the mask", mask.len(), kernel.count(&[m, n])?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_holds_one_c_for_each_stretch() {
        assert_eq!(
            Gemm::<f32>::workspace(Extents { m: 128, n: 512, k: 784 }),
            7 * 128 * 512,
            "49 tiles, 7 in each"
        );
        assert_eq!(Gemm::<f32>::workspace(Extents { m: 512, n: 784, k: 128 }), 0);
        assert_eq!(Gemm::<f32>::workspace(Extents { m: 0, n: 4, k: 0 }), 0);
    }
}
