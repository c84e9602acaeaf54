//! `kernels/elementwise.cu`: the elementwise operations.

use std::sync::LazyLock;

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};

use super::kernel::Kernel;
use super::loader::{File, Loader};
use crate::exec::cuda::CudaError;
use crate::ops::{Binary, Rule, Unary};

/// Threads of a block, elements of one access, and a thread's accesses to each array, as in the kernels.
const THREADS: usize = 256;
const VECTOR: usize = 4;
const VECTORS: usize = 2;

/// From so many blocks on, each thread takes more than one vector: they fill the largest devices (about
/// 150 multiprocessors of 8 blocks).
const MANY_BLOCKS: usize = 1024;

/// The kernels' names, in the order of `ALL`: made of the operations' own, so that an operation without
/// a kernel is found out when the kernels are loaded.
static UNARY: LazyLock<Vec<String>> = LazyLock::new(|| names("unary", Unary::ALL));
static BINARY: LazyLock<Vec<String>> = LazyLock::new(|| names("binary", Binary::ALL));

fn names(arity: &str, operations: &[impl Rule]) -> Vec<String> {
    operations.iter().map(|operation| format!("{arity}_{}", operation.name())).collect()
}

/// The elementwise operations. The values are those of [`Unary::map`] and [`Binary::map`].
pub struct Elementwise {
    /// By position in [`Unary::ALL`], which is the discriminant.
    unary: Vec<Kernel>,
    binary: Vec<Kernel>,
    relu_backward: Kernel,
}

/// How an operand is repeated to (rows, columns).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broadcast {
    /// (rows, columns): not at all.
    Full,
    /// (columns): in every row, as a bias.
    PerColumn,
    /// (rows): along every row.
    PerRow,
    /// One element, everywhere.
    Scalar,
}

/// An operand of a binary operation.
#[derive(Clone, Copy)]
pub struct DeviceOperand<'a> {
    /// Its elements.
    pub view: &'a CudaView<'a, f32>,
    /// How they are repeated.
    pub broadcast: Broadcast,
}

impl Broadcast {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Full, Self::PerColumn, Self::PerRow, Self::Scalar];

    /// The number of elements that an operand of (rows, columns) has.
    pub fn length(self, [rows, columns]: [usize; 2]) -> usize {
        match self {
            Self::Full => rows.saturating_mul(columns),
            Self::PerColumn => columns,
            Self::PerRow => rows,
            Self::Scalar => 1,
        }
    }

    /// How far the next row's and the next column's element are.
    fn strides(self, columns: i32) -> [i32; 2] {
        match self {
            Self::Full => [columns, 1],
            Self::PerColumn => [0, 1],
            Self::PerRow => [1, 0],
            Self::Scalar => [0, 0],
        }
    }
}

impl Elementwise {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("elementwise")?;
        Ok(Self {
            unary: kernels(&file, &UNARY)?,
            binary: kernels(&file, &BINARY)?,
            relu_backward: file.kernel("binary_relu_backward")?,
        })
    }

    /// `y[i] = f(x[i])`.
    ///
    /// # Errors
    /// Lengths that differ or do not fit 32 bits; what the driver reports.
    pub fn unary(
        &self,
        stream: &CudaStream,
        operation: Unary,
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.unary[operation as usize];
        kernel.expect_length("y", y.len(), x.len())?;
        let n = kernel.size("the number of elements", x.len())?;
        if n == 0 {
            return Ok(());
        }
        let mut arguments = kernel.on(stream)?;
        arguments.arg(x); // const float* x
        arguments.arg(y); // float* y
        arguments.arg(&n); // int n
        // SAFETY: both buffers hold n elements, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [blocks(x.len()), 1, 1], THREADS as u32) }
    }

    /// `y[r, c] = f(a at (r, c), b at (r, c))`, where y is (rows, columns) and either operand may be
    /// repeated.
    ///
    /// # Errors
    /// Lengths that disagree or do not fit 32 bits; what the driver reports.
    pub fn binary(
        &self,
        stream: &CudaStream,
        operation: Binary,
        extents: [usize; 2],
        a: DeviceOperand<'_>,
        b: DeviceOperand<'_>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        launch(&self.binary[operation as usize], ["a", "b", "y"], stream, extents, a, b, y)
    }

    /// `dx[i] = dy[i] · step(y[i])`: what flows back through `y = relu(x)`, in one pass.
    ///
    /// # Errors
    /// Lengths that differ or do not fit 32 bits; what the driver reports.
    pub fn relu_backward(
        &self,
        stream: &CudaStream,
        dy: &CudaView<'_, f32>,
        y: &CudaView<'_, f32>,
        dx: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let full = |view| DeviceOperand { view, broadcast: Broadcast::Full };
        launch(&self.relu_backward, ["dy", "y", "dx"], stream, [1, dx.len()], full(dy), full(y), dx)
    }
}

fn kernels(file: &File, names: &'static [String]) -> Result<Vec<Kernel>, CudaError> {
    names.iter().map(|name| file.kernel(name)).collect()
}

/// `names`: what the caller calls a, b and y.
fn launch(
    kernel: &Kernel,
    names: [&str; 3],
    stream: &CudaStream,
    extents: [usize; 2],
    a: DeviceOperand<'_>,
    b: DeviceOperand<'_>,
    y: &mut CudaViewMut<'_, f32>,
) -> Result<(), CudaError> {
    let count = kernel.count(&extents)?;
    kernel.expect_length(names[0], a.view.len(), a.broadcast.length(extents))?;
    kernel.expect_length(names[1], b.view.len(), b.broadcast.length(extents))?;
    kernel.expect_length(names[2], y.len(), count)?;
    let n = kernel.size("the number of elements", count)?;
    if n == 0 {
        return Ok(());
    }
    let columns = kernel.size("the number of columns", extents[1])?;
    let [a_row_stride, a_column_stride] = a.broadcast.strides(columns);
    let [b_row_stride, b_column_stride] = b.broadcast.strides(columns);
    let mut arguments = kernel.on(stream)?;
    arguments.arg(a.view); // const float* a
    arguments.arg(&a_row_stride); // int a_row_stride
    arguments.arg(&a_column_stride); // int a_column_stride
    arguments.arg(b.view); // const float* b
    arguments.arg(&b_row_stride); // int b_row_stride
    arguments.arg(&b_column_stride); // int b_column_stride
    arguments.arg(y); // float* y
    arguments.arg(&columns); // int columns
    arguments.arg(&n); // int n
    // SAFETY: y holds n elements and the operands as many as their strides reach; the kernel touches no
    // others.
    unsafe { kernel.launch(&mut arguments, [blocks(count), 1, 1], THREADS as u32) }
}

/// One vector for each thread while that makes no more than [`MANY_BLOCKS`], then up to [`VECTORS`].
fn blocks(n: usize) -> usize {
    let vectors = n.div_ceil(VECTOR);
    let most = vectors.div_ceil(THREADS);
    most.min(MANY_BLOCKS).max(vectors.div_ceil(THREADS * VECTORS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operations_discriminant_is_its_position() {
        for (position, &operation) in Unary::ALL.iter().enumerate() {
            assert_eq!(operation as usize, position, "{operation:?}");
        }
        for (position, &operation) in Binary::ALL.iter().enumerate() {
            assert_eq!(operation as usize, position, "{operation:?}");
        }
        assert_eq!(UNARY[Unary::Neg as usize], "unary_negate");
        assert_eq!(BINARY[Binary::Pow as usize], "binary_pow");
    }

    #[test]
    fn a_grid_has_a_thread_for_every_two_vectors_at_least() {
        for n in [1, 1024, 1025, 1 << 20, (1 << 20) + 1, (1 << 21) + 1, i32::MAX as usize] {
            let threads = blocks(n) * THREADS;
            assert!(threads * VECTORS * VECTOR >= n, "{n}");
            assert!(threads <= 1 << 29, "{n}");
        }
        assert_eq!([1, 1024, 1025, 1 << 20, 1 << 21, 1 << 22].map(blocks), [1, 1, 2, 1024, 1024, 2048]);
    }
}
