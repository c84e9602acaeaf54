//! `kernels/hopper/cluster_sum.cu`, `grid_sum.cu` and `dependent.cu`: blocks and kernels that wait for one another.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut};

use super::extents::extents;
use crate::exec::cuda::CudaError;
use crate::exec::cuda::kernels::kernel::Kernel;
use crate::exec::cuda::kernels::kernel::attributes::Attributes;
use crate::exec::cuda::kernels::loader::File;

/// THREADS in each of the C files.
const THREADS: u32 = 128;

/// Sums of rows, a cluster a row.
pub struct ClusterSum {
    sum: Kernel,
}

impl ClusterSum {
    pub(super) fn of(file: &File) -> Result<Self, CudaError> {
        Ok(Self { sum: file.kernel("cluster_sum")? })
    }

    /// sums (rows) of x (rows, columns), by clusters of `size` blocks: 1 to 8.
    ///
    /// # Errors
    /// Other lengths and sizes, rows that do not fit 32 bits; what the driver reports.
    pub fn run(
        &self,
        stream: &CudaStream,
        [rows, columns]: [usize; 2],
        size: usize,
        x: &CudaView<'_, f32>,
        sums: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.sum;
        if !(1..=8).contains(&size) {
            return Err(kernel.refuse(format!("clusters of {size} blocks; there are those of 1 to 8")));
        }
        kernel.expect_length("x", x.len(), kernel.count(&[rows, columns])?)?;
        kernel.expect_length("sums", sums.len(), rows)?;
        let blocks = kernel.count(&[rows, size])?;
        let [columns] = extents(kernel, [("columns", columns)])?;
        let mut arguments = kernel.with(Attributes::cluster(size as u32), stream)?;
        arguments.view(x); // const float* x
        arguments.view_mut(sums); // float* sums
        arguments.value(&columns); // int columns
        // SAFETY: x holds `columns` elements of the row of each cluster, and there is a sum for it. Blocks wait for
        // those of their cluster, which run together, or the driver refuses the launch.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], THREADS) }
    }
}

/// One sum over all, by blocks that are on the device together.
pub struct GridSum {
    sum: Kernel,
}

impl GridSum {
    pub(super) fn of(file: &File) -> Result<Self, CudaError> {
        Ok(Self { sum: file.kernel("grid_sum")? })
    }

    /// `sum` (1) of x. `partials` and `flags` have an element for each block; the flags are zero before the first call
    /// with that many blocks, and the kernel's own for 2³² - 1 calls.
    ///
    /// # Errors
    /// Other lengths; more blocks than the device holds at once; what the driver reports.
    pub fn run(
        &self,
        stream: &CudaStream,
        x: &CudaView<'_, f32>,
        sum: &mut CudaViewMut<'_, f32>,
        partials: &mut CudaViewMut<'_, f32>,
        flags: &mut CudaViewMut<'_, u32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.sum;
        let (blocks, count) = (flags.len(), x.len() as i64);
        kernel.expect_length("sum", sum.len(), 1)?;
        kernel.expect_length("partials", partials.len(), blocks)?;
        let mut arguments = kernel.with(Attributes { cooperative: true, ..Attributes::NONE }, stream)?;
        arguments.view(x); // const float* x
        arguments.view_mut(sum); // float* sum
        arguments.view_mut(partials); // float* partials
        arguments.view_mut(flags); // unsigned* flags
        arguments.value(&count); // int64_t count
        // SAFETY: one sum, and an element of the others for each block. The first block waits for the others, and the
        // launch is cooperative: all fit the device, or the driver refuses it.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], THREADS) }
    }
}

/// Two kernels of which the second begins before the first has ended.
pub struct Dependent {
    scale: Kernel,
    add: Kernel,
}

impl Dependent {
    pub(super) fn of(file: &File) -> Result<Self, CudaError> {
        Ok(Self { scale: file.kernel("dependent_scale")?, add: file.kernel("dependent_add")? })
    }

    /// y = a x, and then z = y + b w, which loads w before y is there.
    ///
    /// # Errors
    /// Lengths that differ; what the driver reports.
    pub fn scale_and_add(
        &self,
        stream: &CudaStream,
        [a, b]: [f32; 2],
        [x, w]: [&CudaView<'_, f32>; 2],
        y: &mut CudaViewMut<'_, f32>,
        z: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let length = x.len();
        self.scale.expect_length("y", y.len(), length)?;
        self.add.expect_length("w", w.len(), length)?;
        self.add.expect_length("z", z.len(), length)?;
        let (blocks, count) = ([length.div_ceil(THREADS as usize), 1, 1], length as i64);

        let kernel = &self.scale;
        let mut arguments = kernel.with(Attributes::NONE, stream)?;
        arguments.value(&a); // float a
        arguments.view(x); // const float* x
        arguments.view_mut(y); // float* y
        arguments.value(&count); // int64_t count
        // SAFETY: both hold `count` elements. This one waits for what precedes it.
        unsafe { kernel.launch_with(&mut arguments, blocks, THREADS) }?;

        let kernel = &self.add;
        let y = y.as_view();
        let mut arguments = kernel.with(Attributes { overlaps: true, ..Attributes::NONE }, stream)?;
        arguments.value(&b); // float b
        arguments.view(&y); // const float* y
        arguments.view(w); // const float* w
        arguments.view_mut(z); // float* z
        arguments.value(&count); // int64_t count
        // SAFETY: all hold `count` elements. Before it waits it reads w alone, which the kernel that it overlaps with
        // does not write.
        unsafe { kernel.launch_with(&mut arguments, blocks, THREADS) }
    }
}
