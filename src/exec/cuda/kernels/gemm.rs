//! `kernels/gemm.cu` and `gemm_bf16.cu`: matrix products in float32, and of bfloat16 matrices on tensor cores;
//! `gemm_reduce.cu` and `gemm_reference.cu`, which both share.
//!
//! One block computes one tile of C. Where C has few tiles, k is split among blocks, whose partial sums
//! go to a workspace and are added by a second kernel. [`Tuning::tiling`] decides both. A variant that copies 16 bytes at
//! a time gives way to one that copies any number where an operand does not lie so: the same bits, for every variant
//! adds over rising k, and k is cut as it was to be.

use std::marker::PhantomData;
use std::sync::Arc;

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, DevicePtr, LaunchArgs, PushKernelArg};

use super::factor::Factor;
use super::kernel::Kernel;
use super::loader::Loader;
use super::tuning::{Tiling, Tuning, VARIANTS};
use super::variant::{Use, Variant};
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

impl<T: Factor> Product<'_, T> {
    /// Whether operands whose rows do not run along k can be copied 16 bytes at a time.
    fn is_aligned(&self, stream: &CudaStream) -> bool {
        let Self { matmul, extents, a, b } = *self;
        let begins = |operand: &CudaView<'_, T>, runs_along_k: bool| {
            let (address, _read) = operand.device_ptr(stream);
            runs_along_k || address.is_multiple_of(16)
        };
        has_aligned_rows::<T>(matmul, extents)
            && begins(a, !matmul.transpose_a)
            && begins(b, matmul.transpose_b)
    }
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

/// The ways in which operands are stored, in the order of a variant's kernels.
const TRANSPOSES: [MatMul; 4] = [
    MatMul { transpose_a: false, transpose_b: false },
    MatMul { transpose_a: false, transpose_b: true },
    MatMul { transpose_a: true, transpose_b: false },
    MatMul { transpose_a: true, transpose_b: true },
];

impl Variant {
    /// Threads of a block (TileShape::THREADS in the C file).
    fn threads<T: Factor>(&self) -> u32 {
        (self.rows / self.down * (self.columns / self.across) * T::TOGETHER) as u32
    }
}

/// A variant on the device: its kernels in the order of [`TRANSPOSES`].
struct Loaded {
    variant: &'static Variant,
    kernels: [Kernel; 4],
}

/// Products of matrices of one number type. C is float32.
pub struct Gemm<T> {
    variants: Vec<Loaded>,
    reduce: Kernel,
    reference: Kernel,
    capability: Capability,
    tuning: Arc<Tuning>,
    factor: PhantomData<fn() -> T>,
}

/// Threads of a block of the other two kernels (in gemm_reduce.cu and gemm_reference.cu).
const REDUCE_THREADS: u32 = 256;
const REFERENCE_THREADS: u32 = 256;

/// Neighbours of a row that a thread of the reducing kernel finishes.
const PER_THREAD: usize = 4;

/// A pointer to nothing.
const NULL: u64 = 0;

impl<T: Factor> Gemm<T> {
    pub(super) fn load(loader: &Loader<'_>, tuning: &Arc<Tuning>) -> Result<Self, CudaError> {
        let (embedded, candidates) = (loader.file(T::FILE)?, loader.candidates(T::FILE)?);
        let most_shared = loader.most_shared_memory()?;
        let mut variants = Vec::new();
        for variant in VARIANTS.iter().filter(|variant| variant.kernel == T::FILE) {
            let load = |matmul: MatMul| -> Result<Option<Kernel>, CudaError> {
                let bytes = variant.shared_bytes(matmul.letters());
                if bytes > most_shared {
                    return Ok(None);
                }
                let name = variant.entry(matmul.letters());
                let kernel = match (embedded.find(&name)?, &candidates) {
                    (None, Some(candidates)) => candidates.find(&name)?,
                    (None, None) if variant.role != Use::Candidate => Some(embedded.kernel(name)?),
                    (found, _) => found,
                };
                kernel.map(|kernel| kernel.with_shared_memory(bytes)).transpose()
            };
            let [nn, nt, tn, tt] = TRANSPOSES.map(load);
            if let (Some(nn), Some(nt), Some(tn), Some(tt)) = (nn?, nt?, tn?, tt?) {
                variants.push(Loaded { variant, kernels: [nn, nt, tn, tt] });
            }
        }
        Ok(Self {
            variants,
            reduce: loader.file("gemm_reduce")?.kernel("gemm_reduce")?,
            reference: loader.file("gemm_reference")?.kernel(T::REFERENCE)?,
            capability: loader.capability,
            tuning: tuning.clone(),
            factor: PhantomData,
        })
    }

    /// The variants that this device has: those that the program embeds, and the candidates that
    /// `COTANGENT_CUDA_CANDIDATES` brings, but for what takes more shared memory than there is.
    pub fn variants(&self) -> impl Iterator<Item = &'static Variant> {
        self.variants.iter().map(|loaded| loaded.variant)
    }

    /// Whether a variant can compute such products, if their operands begin at aligned addresses; another would take its
    /// place.
    pub fn suits(variant: &Variant, matmul: MatMul, extents: Extents) -> bool {
        variant.takes_any_alignment() || has_aligned_rows::<T>(matmul, extents)
    }

    /// How [`Gemm::run`] cuts a product.
    pub fn tiling(&self, matmul: MatMul, extents: Extents) -> Tiling {
        self.tuning.tiling::<T>(matmul, extents)
    }

    /// The tiling whose variant computes the product: the one asked for, unless an operand's address or stride is
    /// nothing for it.
    fn possible(&self, stream: &CudaStream, tiling: Tiling, product: &Product<'_, T>) -> Tiling {
        if tiling.variant.takes_any_alignment() || product.is_aligned(stream) {
            return tiling;
        }
        Tiling::of::<T>(product.extents)
    }

    fn tiled(&self, tiling: Tiling, matmul: MatMul) -> Result<&Kernel, CudaError> {
        let loaded = self.variants.iter().find(|loaded| loaded.variant == tiling.variant);
        let place = TRANSPOSES.iter().position(|&transposes| transposes == matmul);
        match (loaded, place) {
            (Some(loaded), Some(place)) => Ok(&loaded.kernels[place]),
            _ => Err(self.reference.refuse(format!(
                "this build does not hold {} {} for this device; scripts/gpu-kit compiles all variants, and \
                 COTANGENT_CUDA_CANDIDATES names the folder",
                T::FILE,
                tiling.variant.name()
            ))),
        }
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

    /// The elements of the workspace that a product needs: more are fine.
    pub fn workspace(tiling: Tiling, extents: Extents) -> usize {
        match tiling.cut(extents.k) {
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
        self.run_with(stream, self.tiling(product.matmul, product.extents), product, c, epilogue, workspace)
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
        let kernel = self.tiled(tiling, product.matmul)?;
        Self::runs_on(self.capability).map_err(|problem| kernel.refuse(problem))?;
        check(kernel, product, c, epilogue)?;
        let needed = Self::workspace(tiling, product.extents);
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
        let (k_per_split, splits) = tiling.cut(extents.k);
        let Tiling { variant, .. } = self.possible(stream, tiling, product);
        let kernel = self.tiled(Tiling { variant, ..tiling }, matmul)?;
        let [m, n, k] = sizes(kernel, extents)?;
        if m == 0 || n == 0 {
            return Ok(());
        }
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
        let (blocks, threads) = ([variant.tiles(extents), 1, splits], variant.threads::<T>());
        // SAFETY: `check` has compared the operands, C (or the workspace: `run_with`) and the epilogue's
        // with the sizes, and the kernel guards every access by them.
        unsafe { kernel.launch(&mut arguments, blocks, threads) }
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
        let (_, splits) = tiling.cut(extents.k);
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

/// Whether all rows of operands begin at multiples of 16 bytes if the first do, where rows do not run along k.
fn has_aligned_rows<T>(matmul: MatMul, extents: Extents) -> bool {
    let fits = |stride: usize| (stride * size_of::<T>()).is_multiple_of(16);
    (!matmul.transpose_a || fits(extents.m)) && (matmul.transpose_b || fits(extents.n))
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
    use half::bf16;

    use super::*;

    #[test]
    fn a_workspace_holds_one_c_for_each_stretch() {
        let workspace = |m, n, k| {
            let extents = Extents { m, n, k };
            Gemm::<f32>::workspace(Tiling::of::<f32>(extents), extents)
        };
        assert_eq!(workspace(128, 512, 784), 7 * 128 * 512, "49 tiles, 7 in each");
        assert_eq!(workspace(512, 784, 128), 0);
        assert_eq!(workspace(0, 4, 0), 0);
    }

    #[test]
    fn shared_memory_holds_all_stages_of_both_tiles() {
        let find = |kernel: &str, name: &str| {
            VARIANTS.iter().find(|v| v.kernel == kernel && v.name() == name).unwrap()
        };
        let large = find("gemm", "128x128x16_8x8_s2_b2");
        assert_eq!(large.threads::<f32>(), 256);
        let kib = TRANSPOSES.map(|matmul| large.shared_bytes(matmul.letters()) / 1024);
        assert_eq!(kib, [36, 40, 32, 36], "rows along k are 20 long");
        let large = find("gemm_bf16", "128x128x32_64x32_s3_b2");
        assert_eq!((large.threads::<bf16>(), large.shared_bytes("nn")), (256, 48 * 1024));
        let ahead = find("gemm", "128x128x8_8x8_s4_b2_z_f2");
        let kib = TRANSPOSES.map(|matmul| ahead.shared_bytes(matmul.letters()) as f64 / 1024.0);
        assert_eq!(kib, [32.5, 33.0, 32.0, 32.5], "rows across k are 132 long where they are transposed");
        // Blocks that a multiprocessor must hold fit an H100's: 227 KiB, and one of each block's own.
        for variant in VARIANTS.iter() {
            let bytes = variant.shared_bytes("nt");
            assert!(variant.blocks * (bytes + 1024) <= 228 * 1024, "{} {}", variant.kernel, variant.name());
            // Threads of a multiprocessor: an H100's, and a Turing's for those that every card takes.
            let threads = match variant.kernel.as_str() {
                "gemm" => variant.threads::<f32>(),
                _ => variant.threads::<bf16>(),
            };
            let most = if variant.role == Use::Candidate { 2048 } else { 1024 };
            assert!(variant.blocks as u32 * threads <= most, "{} {}", variant.kernel, variant.name());
        }
    }
}
