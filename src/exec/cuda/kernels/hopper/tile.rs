//! `kernels/hopper/tile.cu`: products by a warpgroup's tensor-core instruction.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut};
use half::bf16;

use super::extents::extents;
use crate::exec::cuda::CudaError;
use crate::exec::cuda::kernels::kernel::Kernel;
use crate::exec::cuda::kernels::kernel::attributes::Attributes;
use crate::exec::cuda::kernels::loader::File;
use crate::exec::cuda::kernels::tensor_map::{Element, Swizzle, TensorMap, Tiles};

/// WARPGROUP, OF_CONSUMER and WIDTH in the C file.
const WARPGROUP: u32 = 128;
const OF_CONSUMER: u32 = 64;
const WIDTH: u32 = 128;

/// C (m, n) = A B, float32 sums, a block a tile.
pub struct TileProduct {
    along: Kernel,
    pair: Kernel,
    across: Kernel,
    registers: Kernel,
    tf32: Kernel,
}

/// How a product of bfloat16 operands is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TileForm {
    /// A (m, k), B (n, k); a block computes 64 x 64.
    Along,
    /// The same, but two warpgroups of a block compute 128 x 32.
    Pair,
    /// A (k, m), B (k, n); a block computes 64 x 64.
    Across,
    /// As [`Self::Along`], with A on its way through registers.
    Registers,
}

/// An operand: its memory, and the elements from the beginning of a row to that of the next, a multiple of 16 bytes.
#[derive(Clone, Copy)]
pub struct TileOperand<'a, 'b, T> {
    /// Where it lies.
    pub memory: &'a CudaView<'b, T>,
    /// From row to row.
    pub stride: usize,
}

/// How a kernel cuts its work.
struct Cut {
    consumers: u32,
    columns: u32,
    /// Whether operands lie along k.
    along: bool,
}

impl TileProduct {
    pub(super) fn of(file: &File) -> Result<Self, CudaError> {
        Ok(Self {
            along: file.kernel("tile_bf16")?,
            pair: file.kernel("tile_bf16_pair")?,
            across: file.kernel("tile_bf16_mn")?,
            registers: file.kernel("tile_bf16_registers")?,
            tf32: file.kernel("tile_tf32")?,
        })
    }

    /// C (m, n) = A B of bfloat16 operands, which lie as `form` says; k is at least 1.
    ///
    /// # Errors
    /// Operands that the copy engine cannot address, or that their memory does not hold; another length of C; what
    /// the driver reports.
    pub fn bf16(
        &self,
        stream: &CudaStream,
        form: TileForm,
        sizes: [usize; 3],
        a: TileOperand<'_, '_, bf16>,
        b: TileOperand<'_, '_, bf16>,
        c: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let (kernel, consumers, columns) = match form {
            TileForm::Along => (&self.along, 1, 64),
            TileForm::Pair => (&self.pair, 2, 32),
            TileForm::Across => (&self.across, 1, 64),
            TileForm::Registers => (&self.registers, 1, 64),
        };
        let cut = Cut { consumers, columns, along: form != TileForm::Across };
        product(kernel, &cut, stream, sizes, [a, b], c)
    }

    /// C (m, n) = A (m, k) B (n, k)ᵀ of float32 operands whose lowest 13 bits are ignored; k is at least 1.
    ///
    /// # Errors
    /// As [`Self::bf16`].
    pub fn tf32(
        &self,
        stream: &CudaStream,
        sizes: [usize; 3],
        a: TileOperand<'_, '_, f32>,
        b: TileOperand<'_, '_, f32>,
        c: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        product(&self.tf32, &Cut { consumers: 1, columns: 64, along: true }, stream, sizes, [a, b], c)
    }
}

fn product<T: Element>(
    kernel: &Kernel,
    cut: &Cut,
    stream: &CudaStream,
    [m, n, k]: [usize; 3],
    [a, b]: [TileOperand<'_, '_, T>; 2],
    c: &mut CudaViewMut<'_, f32>,
) -> Result<(), CudaError> {
    kernel.expect_length("c", c.len(), kernel.count(&[m, n])?)?;
    // A box is 128 bytes along an operand's rows, and as many of its rows as a block needs.
    let width = WIDTH / size_of::<T>() as u32;
    let rows_of_block = cut.consumers * OF_CONSUMER;
    let tiles = |extent: usize, of_block: u32, stride: usize| {
        let (rows, columns, box_rows) = if cut.along { (extent, k, of_block) } else { (k, extent, width) };
        Tiles { rows, columns, stride, box_rows, box_columns: width, swizzle: Swizzle::Bytes128 }
    };
    let a_map = TensorMap::new(kernel, stream, a.memory, tiles(m, rows_of_block, a.stride))?;
    let b_map = TensorMap::new(kernel, stream, b.memory, tiles(n, cut.columns, b.stride))?;
    let [rows, columns, depth] = extents(kernel, [("m", m), ("n", n), ("k", k)])?;
    let mut arguments = kernel.with(Attributes::NONE, stream)?;
    arguments.map(&a_map, a.memory)?; // TensorMap a
    arguments.map(&b_map, b.memory)?; // TensorMap b
    arguments.view_mut(c); // float* c
    arguments.value(&rows); // int m
    arguments.value(&columns); // int n
    arguments.value(&depth); // int k
    let blocks = [n.div_ceil(cut.columns as usize), m.div_ceil(rows_of_block as usize), 1];
    // SAFETY: the maps' matrices lie within their memory; C holds m x n, and nothing beyond is stored.
    unsafe { kernel.launch_with(&mut arguments, blocks, (cut.consumers + 1) * WARPGROUP) }
}
