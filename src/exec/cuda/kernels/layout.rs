//! `kernels/layout.cu`: moves and repeats values; computes nothing.

mod transpose;

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, DevicePtr, DeviceRepr, PushKernelArg};

use super::kernel::Kernel;
use super::loader::Loader;
use crate::exec::cuda::CudaError;
use crate::graph::Shape;
use crate::ops::{self, Reduction, Rule};
use transpose::{Axis, MAX_AXES, Transpose, VECTOR};

/// Threads of a block, as in the C file.
const THREADS: usize = 256;

/// Fills, repetitions and permutations.
pub struct LayoutKernels {
    fill: Kernel,
    strided_copy: Kernel,
    /// By whether x is read 16 bytes at a time, then by whether y is written so.
    transpose: [[Kernel; 2]; 2],
}

impl LayoutKernels {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("layout")?;
        Ok(Self {
            fill: file.kernel("fill")?,
            strided_copy: file.kernel("strided_copy")?,
            transpose: [
                [file.kernel("transpose_narrow")?, file.kernel("transpose_wide_writes")?],
                [file.kernel("transpose_wide_reads")?, file.kernel("transpose_wide")?],
            ],
        })
    }

    /// `y[i] = value`.
    ///
    /// # Errors
    /// A length that does not fit 32 bits; what the driver reports.
    pub fn fill(
        &self,
        stream: &CudaStream,
        value: f32,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.fill;
        let (blocks, n) = (blocks(y.len()), kernel.size("the number of elements", y.len())?);
        if n == 0 {
            return Ok(());
        }
        let mut arguments = kernel.on(stream)?;
        arguments.arg(&value); // float value
        arguments.arg(y); // float* y
        arguments.arg(&n); // int n
        // SAFETY: y holds n elements, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS as u32) }
    }

    /// Repeats x along `axes` of y, which are ascending; `shape` is y's, and x's is the same without them:
    /// [`Reduction::Broadcast`].
    ///
    /// # Errors
    /// Axes that are not ascending or that y lacks; lengths that disagree with the shapes or do not fit
    /// 32 bits; more than 8 axes after those that can be merged are; what the driver reports.
    pub fn broadcast(
        &self,
        stream: &CudaStream,
        axes: &[usize],
        shape: &[usize],
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let sum = Reduction::Sum { axes: axes.to_vec() }; // its adjoint, which gives x's shape
        let operand = sum
            .shape(&[&Shape::from(shape)])
            .map_err(|problem| self.strided_copy.refuse(format!("broadcast to {shape:?}: {problem}")))?;
        let mut strides = strides(&operand).into_iter();
        let stride = |axis| if axes.contains(&axis) { 0 } else { strides.next().unwrap_or(0) };
        let strides: Vec<usize> = (0..shape.len()).map(stride).collect();
        self.copy(stream, &operand, shape, &strides, x, y)
    }

    /// Axis i of y is axis `permutation[i]` of x, whose shape is `shape`: [`ops::Layout::Transpose`].
    ///
    /// # Errors
    /// A permutation that does not name each axis once; lengths that are not the shape's or do not fit
    /// 32 bits; more than 8 axes after those that can be merged are; what the driver reports.
    pub fn transpose(
        &self,
        stream: &CudaStream,
        permutation: &[usize],
        shape: &[usize],
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let transpose = ops::Layout::Transpose { permutation: permutation.to_vec() };
        let result = transpose
            .shape(&[&Shape::from(shape)])
            .map_err(|problem| self.strided_copy.refuse(format!("transpose of {shape:?}: {problem}")))?;
        let strides = strides(shape);
        let strides: Vec<usize> = permutation.iter().map(|&axis| strides[axis]).collect();
        self.copy(stream, shape, &result, &strides, x, y)
    }

    /// `y[i] = x[sum_d index_d(i) * strides[d]]`, the index over y's shape; all these are within x's shape. By tiles
    /// where that transposes matrices ([`Transpose::of`]).
    fn copy(
        &self,
        stream: &CudaStream,
        shape_of_x: &[usize],
        shape_of_y: &[usize],
        strides: &[usize],
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.strided_copy;
        kernel.expect_length("x", x.len(), kernel.count(shape_of_x)?)?;
        kernel.expect_length("y", y.len(), kernel.count(shape_of_y)?)?;
        let (blocks, n) = (blocks(y.len()), kernel.size("the number of elements", y.len())?);
        if n == 0 {
            return Ok(());
        }
        let axes = merged(shape_of_y.iter().zip(strides).map(|(&extent, &stride)| Axis { extent, stride }));
        if axes.len() > MAX_AXES {
            return Err(kernel.refuse(format!(
                "{shape_of_x:?} to {shape_of_y:?} moves {} axes separately, and {MAX_AXES} are the most; \
                 do it in two steps",
                axes.len()
            )));
        }
        if let Some(transpose) = Transpose::of(&axes) {
            return self.turn(stream, &transpose, x, y);
        }
        let mut sent =
            DeviceAxes { count: axes.len() as u32, extents: [1; MAX_AXES], strides: [0; MAX_AXES] };
        for (d, axis) in axes.iter().rev().enumerate() {
            // No more than elements of y and of x, of which y, which repeats x, has no fewer.
            (sent.extents[d], sent.strides[d]) = (axis.extent as u32, axis.stride as u32);
        }
        let mut arguments = kernel.on(stream)?;
        arguments.arg(x); // const float* x
        arguments.arg(&sent); // Axes axes
        arguments.arg(y); // float* y
        arguments.arg(&n); // int n
        // SAFETY: y holds n elements, x all those that strides reach, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS as u32) }
    }

    /// The copy by tiles; lengths are checked, and counted in 32 bits.
    fn turn(
        &self,
        stream: &CudaStream,
        transpose: &Transpose,
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let [reads, writes] = transpose.is_wide([x.device_ptr(stream).0, y.device_ptr(stream).0]);
        let kernel = &self.transpose[usize::from(reads)][usize::from(writes)];
        let mut arguments = kernel.on(stream)?;
        arguments.arg(x); // const float* x
        arguments.arg(transpose); // Transpose of
        arguments.arg(y); // float* y
        // SAFETY: y holds the elements of its axes, x all those that strides reach, and the kernel touches no others;
        // it makes accesses of 16 bytes only where all of a side's addresses are multiples of that.
        unsafe { kernel.launch(&mut arguments, [transpose.blocks(), 1, 1], THREADS as u32) }
    }
}

/// How far neighbours along each axis are apart, row-major.
fn strides(shape: &[usize]) -> Vec<usize> {
    let inner = |axis| shape[axis + 1..].iter().copied();
    (0..shape.len()).map(|axis| inner(axis).fold(1, usize::saturating_mul)).collect()
}

/// The same copy over as few axes as can be: none of extent 1, and two that follow one another are one
/// where x goes on from the end of one stretch of the inner as within it. At least one.
fn merged(axes: impl Iterator<Item = Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for inner in axes.filter(|axis| axis.extent != 1) {
        match merged.last_mut() {
            Some(outer) if outer.stride == inner.extent * inner.stride => {
                *outer = Axis { extent: outer.extent * inner.extent, stride: inner.stride };
            }
            _ => merged.push(inner),
        }
    }
    if merged.is_empty() {
        merged.push(Axis { extent: 1, stride: 0 });
    }
    merged
}

fn blocks(n: usize) -> usize {
    n.div_ceil(VECTOR).div_ceil(THREADS)
}

/// Axes in the C file: from the last axis to the first.
#[repr(C)]
struct DeviceAxes {
    count: u32,
    extents: [u32; MAX_AXES],
    strides: [u32; MAX_AXES],
}

// SAFETY: the C struct has the same fields in the same order.
unsafe impl DeviceRepr for DeviceAxes {}

const _: () = assert!(size_of::<DeviceAxes>() == 68, "as kernels/layout.cu has it");

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(extents: &[usize], strides: &[usize]) -> Vec<[usize; 2]> {
        let axes = extents.iter().zip(strides).map(|(&extent, &stride)| Axis { extent, stride });
        merged(axes).iter().map(|axis| [axis.extent, axis.stride]).collect()
    }

    #[test]
    fn axes_are_merged_where_a_copy_goes_on_as_before() {
        assert_eq!(axes(&[], &[]), [[1, 0]]);
        assert_eq!(axes(&[1, 1], &[7, 1]), [[1, 0]]);
        assert_eq!(axes(&[2, 3, 4], &[12, 4, 1]), [[24, 1]]);
        assert_eq!(axes(&[2, 3, 4], &[0, 0, 0]), [[24, 0]]);
        assert_eq!(axes(&[2, 3, 4], &[0, 4, 1]), [[2, 0], [12, 1]]);
        assert_eq!(axes(&[2, 3, 4], &[3, 1, 0]), [[6, 1], [4, 0]]);
        assert_eq!(axes(&[4, 1, 3, 2], &[1, 1, 8, 4]), [[4, 1], [6, 4]]);
        assert_eq!(axes(&[3, 2], &[1, 3]), [[3, 1], [2, 3]]);
    }
}
