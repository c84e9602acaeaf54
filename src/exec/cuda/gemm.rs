//! `kernels/gemm.cu`: matrix products in float32; and what launching them shares with those of bfloat16.
//!
//! One block computes one tile of C. Where C has few tiles, k is split among blocks, whose partial sums
//! go to a workspace and are added by a second kernel. [`Tiling::of`] decides both, by the shape alone.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, DeviceRepr, LaunchArgs, PushKernelArg};

use super::CudaError;
use super::device::{File, Loader};
use super::kernel::Kernel;
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

/// The part of C that one block computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tile {
    /// 128 x 128: most arithmetic for what is read.
    Large,
    /// 64 x 64: more blocks where C is small.
    Small,
}

impl Tile {
    /// Both, in the order of the kernels' table.
    pub const ALL: [Self; 2] = [Self::Large, Self::Small];

    /// Rows, and columns too (TileShape in gemm.cu and gemm_bf16.cu).
    fn extent(self) -> usize {
        match self {
            Self::Large => 128,
            Self::Small => 64,
        }
    }

    /// Threads of a block (TileShape::THREADS in gemm.cu and gemm_bf16.cu).
    fn threads(self) -> u32 {
        match self {
            Self::Large => 256,
            Self::Small => 128,
        }
    }

    fn count(self, extents: Extents) -> usize {
        let Extents { m, n, .. } = extents;
        m.div_ceil(self.extent()).saturating_mul(n.div_ceil(self.extent()))
    }
}

/// How a product is cut into blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tiling {
    /// The tile shape.
    pub tile: Tile,
    /// Into how many stretches k is split, at most.
    pub splits: usize,
}

impl Tiling {
    /// Blocks that keep the larger cards busy (an H100 has 132 multiprocessors). A constant, so that
    /// the order of sums does not depend on the card.
    const FULL: usize = 128;

    /// A stretch of k that is worth a block and its share of the second kernel.
    const SHORTEST: usize = 64;

    /// The tiling for a shape:
    ///
    /// | C in large tiles | C in small tiles | tile | splits |
    /// |---|---|---|---|
    /// | 128 or more | | large | 1 |
    /// | fewer | t | small | 128 / t, at most k / 64, at least 1 |
    pub fn of(extents: Extents) -> Self {
        if Tile::Large.count(extents) >= Self::FULL {
            return Self { tile: Tile::Large, splits: 1 };
        }
        let tiles = Tile::Small.count(extents).max(1);
        let splits = (Self::FULL / tiles).min(extents.k / Self::SHORTEST).max(1);
        Self { tile: Tile::Small, splits }
    }

    /// The length of each stretch of k, whole tiles of `depth`, and how many there are: none is empty.
    fn cut(self, k: usize, depth: usize) -> (usize, usize) {
        let tiles = k.div_ceil(depth).max(1);
        let each = tiles.div_ceil(self.splits.max(1));
        (each.saturating_mul(depth).min(k), tiles.div_ceil(each))
    }
}

/// The kernels of one element type and how to launch them.
pub(super) struct Family {
    /// How much of k a tile holds in shared memory (DEPTH).
    depth: usize,
    /// By tile, and by whether A and B are transposed.
    tiled: [[Kernel; 4]; 2],
    reduce: Kernel,
    reference: Kernel,
}

/// Threads of a block of the other two kernels (REDUCE_THREADS in gemm.cuh, REFERENCE_THREADS in
/// gemm.cuh).
const REDUCE_THREADS: u32 = 256;
const REFERENCE_THREADS: u32 = 256;

/// Neighbours of a row that a thread of the reducing kernel finishes.
const PER_THREAD: usize = 4;

/// A pointer to nothing.
const NULL: u64 = 0;

impl Family {
    /// `tiled`: the kernels' names by tile, and in the order nn, nt, tn, tt.
    pub fn load(
        file: &File,
        depth: usize,
        tiled: [[&'static str; 4]; 2],
        [reduce, reference]: [&'static str; 2],
    ) -> Result<Self, CudaError> {
        let four = |[nn, nt, tn, tt]: [&'static str; 4]| -> Result<_, CudaError> {
            Ok([file.kernel(nn)?, file.kernel(nt)?, file.kernel(tn)?, file.kernel(tt)?])
        };
        let [large, small] = tiled;
        Ok(Self {
            depth,
            tiled: [four(large)?, four(small)?],
            reduce: file.kernel(reduce)?,
            reference: file.kernel(reference)?,
        })
    }

    pub fn tiled(&self, tile: Tile, matmul: MatMul) -> &Kernel {
        &self.tiled[tile as usize][2 * usize::from(matmul.transpose_a) + usize::from(matmul.transpose_b)]
    }

    /// The elements of the workspace that a product needs.
    pub fn workspace(extents: Extents, tiling: Tiling, depth: usize) -> usize {
        match tiling.cut(extents.k, depth) {
            (_, 1) => 0,
            (_, splits) => splits.saturating_mul(extents.m).saturating_mul(extents.n),
        }
    }

    pub fn run<T: DeviceRepr>(
        &self,
        stream: &CudaStream,
        tiling: Tiling,
        product: &Product<'_, T>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
        workspace: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = self.tiled(tiling.tile, product.matmul);
        check(kernel, product, c, epilogue)?;
        let needed = Self::workspace(product.extents, tiling, self.depth);
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
    fn sum<T: DeviceRepr>(
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
        let (k_per_split, splits) = tiling.cut(extents.k, self.depth);
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
        // SAFETY: `check` has compared the operands, C (or the workspace: `run`) and the epilogue's
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
        let (_, splits) = tiling.cut(extents.k, self.depth);
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
        // SAFETY: the workspace holds as many parts (`run`), C and the epilogue's operands are as long
        // as the sizes say (`check`), and the kernel guards every access by them.
        unsafe { kernel.launch(&mut arguments, blocks, REDUCE_THREADS) }
    }

    pub fn reference<T: DeviceRepr>(
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

/// Products of float32 matrices, in float32 throughout.
pub struct Gemm(Family);

/// DEPTH in gemm.cu.
const DEPTH: usize = 16;

impl Gemm {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let tiled = [
            ["gemm_nn_128x128", "gemm_nt_128x128", "gemm_tn_128x128", "gemm_tt_128x128"],
            ["gemm_nn_64x64", "gemm_nt_64x64", "gemm_tn_64x64", "gemm_tt_64x64"],
        ];
        Ok(Self(Family::load(&loader.file("gemm")?, DEPTH, tiled, ["gemm_reduce", "gemm_reference"])?))
    }

    /// The elements of the workspace that [`Gemm::run`] needs: more are fine.
    pub fn workspace(extents: Extents) -> usize {
        Self::workspace_with(Tiling::of(extents), extents)
    }

    /// The elements of the workspace that [`Gemm::run_with`] needs: more are fine.
    pub fn workspace_with(tiling: Tiling, extents: Extents) -> usize {
        Family::workspace(extents, tiling, DEPTH)
    }

    /// C = epilogue(op(A) op(B)). Each sum is over rising k, in stretches if k is split; the same bits
    /// on every run. A sum over no k is 0. What the workspace holds does not matter, before or after.
    ///
    /// # Errors
    /// Lengths that do not follow from the extents, a workspace that is too small, sizes that do not
    /// fit 32 bits; what the driver reports.
    pub fn run(
        &self,
        stream: &CudaStream,
        product: &Product<'_, f32>,
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
        product: &Product<'_, f32>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
        workspace: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        self.0.run(stream, tiling, product, c, epilogue, workspace)
    }

    /// The same by the plain kernel that the fast ones are held against: one thread an element.
    ///
    /// # Errors
    /// As [`Gemm::run`].
    pub fn reference(
        &self,
        stream: &CudaStream,
        product: &Product<'_, f32>,
        c: &mut CudaViewMut<'_, f32>,
        epilogue: &Epilogue<'_>,
    ) -> Result<(), CudaError> {
        self.0.reference(stream, product, c, epilogue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiling(m: usize, n: usize, k: usize) -> Tiling {
        Tiling::of(Extents { m, n, k })
    }

    #[test]
    fn k_is_split_where_c_is_small_and_the_sums_are_long() {
        let small = |splits| Tiling { tile: Tile::Small, splits };
        // The network 784-512-256-10 at batch 128: forward, to the operands, to the weights.
        assert_eq!(tiling(128, 512, 784), small(8));
        assert_eq!(tiling(128, 256, 512), small(8));
        assert_eq!(tiling(128, 10, 256), small(4));
        assert_eq!(tiling(128, 512, 256), small(4));
        assert_eq!(tiling(128, 256, 10), small(1), "k is short");
        assert_eq!(tiling(512, 784, 128), small(1), "there are 104 tiles");
        assert_eq!(tiling(256, 512, 128), small(2));
        assert_eq!(tiling(10, 256, 128), small(2));
        assert_eq!(tiling(1, 1, 1 << 20), small(128), "no more than fill a card");
    }

    #[test]
    fn large_tiles_are_for_products_that_have_enough_of_them() {
        assert_eq!(tiling(8192, 8192, 8192), Tiling { tile: Tile::Large, splits: 1 });
        assert_eq!(tiling(2048, 1024, 64).tile, Tile::Large, "128 tiles");
        assert_eq!(tiling(2048, 896, 64).tile, Tile::Small, "112 tiles");
    }

    #[test]
    fn no_stretch_of_k_is_empty_and_together_they_are_k() {
        for k in [0, 1, 15, 16, 17, 100, 784, 1000] {
            for splits in [0, 1, 2, 3, 7, 64, 1000] {
                for depth in [16, 32] {
                    let (length, count) = Tiling { tile: Tile::Small, splits }.cut(k, depth);
                    assert!(count >= 1 && count <= splits.max(1), "k {k}, {splits} splits");
                    assert!(count == 1 || length % depth == 0, "k {k}, {splits} splits: {length}");
                    assert!(length * count >= k && length * (count - 1) < k.max(1), "k {k}, {splits} splits");
                }
            }
        }
    }

    #[test]
    fn a_workspace_holds_one_c_for_each_stretch() {
        assert_eq!(Gemm::workspace(Extents { m: 128, n: 512, k: 784 }), 7 * 128 * 512, "49 tiles, 7 in each");
        assert_eq!(Gemm::workspace(Extents { m: 512, n: 784, k: 128 }), 0);
        assert_eq!(Gemm::workspace(Extents { m: 0, n: 4, k: 0 }), 0);
    }
}
