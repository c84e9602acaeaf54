//! `kernels/sum.cu`: sums over axes in a fixed order.

use cudarc::driver::{CudaStream, CudaView, CudaViewMut, PushKernelArg};

use super::kernel::Kernel;
use super::loader::Loader;
use crate::exec::cuda::CudaError;

/// Threads of a block, elements of one access, and lanes of a warp, as in the kernels.
const THREADS: usize = 256;
const VECTOR: usize = 4;
const WARP: usize = 32;

/// Parts are made until there are so many blocks: they fill the largest devices (about 150
/// multiprocessors of 8 blocks), and the order of a sum must not depend on the device at hand.
const ENOUGH_BLOCKS: usize = 1024;

/// The least work that makes a part worth its second pass, as loads of each thread.
const LEAST_LOADS: usize = 8;

/// Rows up to this length are summed by a warp or less: eight loads of each thread.
const SHORT: usize = LEAST_LOADS * VECTOR * WARP;

/// Sums over one run of neighbouring axes, `y[o, i] = Σ_r x[o, r, i]`.
///
/// The order of each sum depends on the shape alone: neither on the device nor on where the buffers lie.
pub struct Sum {
    columns: Kernel,
    short_rows: Kernel,
    long_rows: Kernel,
    reference: Kernel,
}

/// The operand's shape (outer, reduced, inner); the result's is (outer, inner).
///
/// The gradient of a bias (n) from (m, n), column sums, is `{ outer: 1, reduced: m, inner: n }`; row sums
/// are `{ outer: m, reduced: n, inner: 1 }`; the sum of a batch's losses is
/// `{ outer: 1, reduced: batch, inner: 1 }`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Axes {
    /// The product of the axes before those that are summed.
    pub outer: usize,
    /// The product of the axes that are summed.
    pub reduced: usize,
    /// The product of the axes after them.
    pub inner: usize,
}

impl Sum {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("sum")?;
        Ok(Self {
            columns: file.kernel("sum_columns")?,
            short_rows: file.kernel("sum_short_rows")?,
            long_rows: file.kernel("sum_long_rows")?,
            reference: file.kernel("sum_reference")?,
        })
    }

    /// The number of elements that `run` needs for the sums of parts: 0 if one pass does it all.
    pub fn workspace(axes: Axes) -> usize {
        let parts = Cut::of(axes).parts();
        if parts > 1 { axes.outer.saturating_mul(parts).saturating_mul(axes.inner) } else { 0 }
    }

    /// `y[o, i] = Σ_r x[o, r, i]`, with float32 sums; zero where there is nothing to add.
    ///
    /// # Errors
    /// Lengths that disagree or extents that do not fit 32 bits; a workspace that holds less than
    /// [`Sum::workspace`] elements; what the driver reports.
    pub fn run(
        &self,
        stream: &CudaStream,
        axes: Axes,
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
        workspace: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let Axes { outer, reduced, inner } = axes;
        let kernel = if inner == 1 { &self.long_rows } else { &self.columns };
        kernel.expect_length("x", x.len(), kernel.count(&[outer, reduced, inner])?)?;
        kernel.expect_length("y", y.len(), kernel.count(&[outer, inner])?)?;
        if y.is_empty() {
            return Ok(());
        }
        let cut = Cut::of(axes);
        if cut.parts() == 1 {
            return self.pass(stream, axes, cut, x, y);
        }
        let needed = Self::workspace(axes);
        let found = workspace.len();
        let Some(mut sums) = workspace.try_slice_mut(..needed) else {
            return Err(kernel.refuse(format!(
                "the workspace holds {found} elements, and the sums of parts need {needed}"
            )));
        };
        self.pass(stream, axes, cut, x, &mut sums)?;
        let axes = Axes { reduced: cut.parts(), ..axes };
        self.pass(stream, axes, Cut::of(axes).whole(axes), &sums.as_view(), y)
    }

    /// The number of elements that `run_over` needs.
    pub fn workspace_over(shape: &[usize], axes: &[usize]) -> usize {
        let passes = passes(shape, axes);
        let between = passes.iter().rev().skip(1).map(|axes| axes.outer.saturating_mul(axes.inner));
        let between = between.fold(0, usize::saturating_add);
        let parts = passes.iter().map(|&axes| Self::workspace(axes)).max().unwrap_or(0);
        between.saturating_add(parts)
    }

    /// Sums x (`shape`) over any axes (ascending), one run of neighbouring ones after another, the last first.
    ///
    /// # Errors
    /// As [`Sum::run`], for a workspace that holds less than [`Sum::workspace_over`] elements.
    pub fn run_over(
        &self,
        stream: &CudaStream,
        (shape, axes): (&[usize], &[usize]),
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
        workspace: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let passes = passes(shape, axes);
        let Some((&last, before)) = passes.split_last() else {
            // Every axis that goes has one element.
            return self.run(stream, Axes { outer: x.len(), reduced: 1, inner: 1 }, x, y, workspace);
        };
        let Some((&first, others)) = before.split_first() else {
            return self.run(stream, last, x, y, workspace);
        };
        let found = workspace.len();
        let needed = Self::workspace_over(shape, axes);
        if found < needed {
            return Err(self.columns.refuse(format!(
                "the workspace holds {found} elements, and the sums over {axes:?} of {shape:?} need {needed}"
            )));
        }
        let (mut sums, mut rest) = workspace.split_at_mut(first.outer * first.inner);
        self.run(stream, first, x, &mut sums, &mut rest)?;
        self.run_in_turn(stream, (others, last), &sums.as_view(), y, &mut rest)
    }

    /// The passes `others` and then `last`, each on what the one before left.
    fn run_in_turn(
        &self,
        stream: &CudaStream,
        (others, last): (&[Axes], Axes),
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
        workspace: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let Some((&next, others)) = others.split_first() else {
            return self.run(stream, last, x, y, workspace);
        };
        let (mut sums, mut rest) = workspace.split_at_mut(next.outer * next.inner);
        self.run(stream, next, x, &mut sums, &mut rest)?;
        self.run_in_turn(stream, (others, last), &sums.as_view(), y, &mut rest)
    }

    /// The same by the plain kernel that the fast ones are held against: one thread a sum.
    ///
    /// # Errors
    /// As [`Sum::run`], but for the workspace.
    pub fn reference(
        &self,
        stream: &CudaStream,
        axes: Axes,
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.reference;
        let Axes { outer, reduced, inner } = axes;
        kernel.expect_length("x", x.len(), kernel.count(&[outer, reduced, inner])?)?;
        kernel.expect_length("y", y.len(), kernel.count(&[outer, inner])?)?;
        if y.is_empty() {
            return Ok(());
        }
        let blocks = y.len().div_ceil(THREADS);
        let sums = kernel.size("the number of sums", y.len())?;
        let reduced = kernel.size("the summed extent", reduced)?;
        let inner = kernel.size("the inner extent", inner)?;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(x); // const float* x
        arguments.arg(y); // float* y
        arguments.arg(&sums); // int sums
        arguments.arg(&reduced); // int reduced
        arguments.arg(&inner); // int inner
        // SAFETY: x and y are as long as the axes say, and the kernel touches no others.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS as u32) }
    }

    /// One launch: y is (outer, parts, inner).
    fn pass(
        &self,
        stream: &CudaStream,
        axes: Axes,
        cut: Cut,
        x: &CudaView<'_, f32>,
        y: &mut CudaViewMut<'_, f32>,
    ) -> Result<(), CudaError> {
        let Axes { outer, reduced, inner } = axes;
        match cut {
            Cut::Columns { lanes, stripes, parts, part_rows } => {
                let kernel = &self.columns;
                let blocks = kernel.count(&[outer, parts, stripes])?;
                let reduced = kernel.size("the length of the sums", reduced)?;
                let inner = kernel.size("the number of columns", inner)?;
                let [lanes, stripes, parts, part_rows] = [
                    kernel.size("the number of lanes", lanes)?,
                    kernel.size("the number of stripes", stripes)?,
                    kernel.size("the number of parts", parts)?,
                    kernel.size("the length of a part", part_rows)?,
                ];
                let mut arguments = kernel.on(stream)?;
                arguments.arg(x); // const float* x
                arguments.arg(y); // float* y
                arguments.arg(&reduced); // int reduced
                arguments.arg(&inner); // int inner
                arguments.arg(&lanes); // int lanes
                arguments.arg(&stripes); // int stripes
                arguments.arg(&parts); // int parts
                arguments.arg(&part_rows); // int part_rows
                // SAFETY: x holds (outer, reduced, inner) and y (outer, parts, inner) elements; stripes
                // cover inner, parts cover reduced, and the kernel touches nothing beyond either.
                unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS as u32) }
            }
            Cut::ShortRows { lanes } => {
                let kernel = &self.short_rows;
                let blocks = outer.div_ceil(THREADS / lanes);
                let rows = kernel.size("the number of rows", outer)?;
                let reduced = kernel.size("the length of the rows", reduced)?;
                let lanes = kernel.size("the number of lanes", lanes)?;
                let mut arguments = kernel.on(stream)?;
                arguments.arg(x); // const float* x
                arguments.arg(y); // float* y
                arguments.arg(&rows); // int rows
                arguments.arg(&reduced); // int reduced
                arguments.arg(&lanes); // int lanes
                // SAFETY: x holds (rows, reduced) and y (rows) elements; the kernel touches no others.
                unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS as u32) }
            }
            Cut::LongRows { parts, part_length } => {
                let kernel = &self.long_rows;
                let blocks = kernel.count(&[outer, parts])?;
                let reduced = kernel.size("the length of the rows", reduced)?;
                let parts = kernel.size("the number of parts", parts)?;
                let part_length = kernel.size("the length of a part", part_length)?;
                let mut arguments = kernel.on(stream)?;
                arguments.arg(x); // const float* x
                arguments.arg(y); // float* y
                arguments.arg(&reduced); // int reduced
                arguments.arg(&parts); // int parts
                arguments.arg(&part_length); // int part_length
                // SAFETY: x holds (outer, reduced) and y (outer, parts) elements; parts cover reduced,
                // and the kernel touches nothing beyond either.
                unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], THREADS as u32) }
            }
        }
    }
}

/// The sums over runs of neighbouring axes that together sum over `axes` (ascending), in the order in which
/// they are done: the last run first. Axes of one element count to neither side.
fn passes(shape: &[usize], axes: &[usize]) -> Vec<Axes> {
    // Runs of neighbours that go or that stay, by the product of their extents.
    let mut runs: Vec<(bool, usize)> = Vec::new();
    for (axis, &extent) in shape.iter().enumerate().filter(|(_, extent)| **extent != 1) {
        let goes = axes.contains(&axis);
        match runs.last_mut() {
            Some((kind, product)) if *kind == goes => *product *= extent,
            _ => runs.push((goes, extent)),
        }
    }
    let mut passes = Vec::new();
    while let Some(position) = runs.iter().rposition(|(goes, _)| *goes) {
        let product = |runs: &[(bool, usize)]| runs.iter().map(|(_, extent)| extent).product();
        let (_, reduced) = runs[position];
        passes.push(Axes {
            outer: product(&runs[..position]),
            reduced,
            inner: product(&runs[position + 1..]),
        });
        runs.remove(position);
    }
    passes
}

/// How a sum is cut into blocks: a function of the shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cut {
    /// A block adds up a part of the rows of a stripe of `4 lanes` columns, in `256 / lanes` groups of
    /// rows.
    Columns { lanes: usize, stripes: usize, parts: usize, part_rows: usize },
    /// `lanes` threads of a warp add up a row.
    ShortRows { lanes: usize },
    /// A block adds up a part of a row.
    LongRows { parts: usize, part_length: usize },
}

impl Cut {
    fn of(axes: Axes) -> Self {
        let Axes { outer, reduced, inner } = axes;
        if inner == 1 && reduced <= SHORT {
            return Self::ShortRows { lanes: reduced.div_ceil(VECTOR).next_power_of_two().min(WARP) };
        }
        if inner == 1 {
            let (parts, part_length) = parts(reduced, LEAST_LOADS * VECTOR * THREADS, outer, VECTOR);
            return Self::LongRows { parts, part_length };
        }
        // A stripe of 8 lanes reads 128 bytes of a row at once. It is narrower if there are fewer columns,
        // and wider if there are too few rows to occupy all groups.
        let widest = inner.div_ceil(VECTOR).next_power_of_two().min(THREADS);
        let mut lanes = widest.min(8);
        while lanes < widest && THREADS / lanes > reduced {
            lanes *= 2;
        }
        let stripes = inner.div_ceil(lanes * VECTOR);
        let (parts, part_rows) =
            parts(reduced, LEAST_LOADS * (THREADS / lanes), outer.saturating_mul(stripes), 1);
        Self::Columns { lanes, stripes, parts, part_rows }
    }

    fn parts(self) -> usize {
        match self {
            Self::Columns { parts, .. } | Self::LongRows { parts, .. } => parts,
            Self::ShortRows { .. } => 1,
        }
    }

    /// The same in one part.
    fn whole(self, axes: Axes) -> Self {
        match self {
            Self::Columns { lanes, stripes, .. } => {
                Self::Columns { lanes, stripes, parts: 1, part_rows: axes.reduced }
            }
            Self::LongRows { .. } => Self::LongRows { parts: 1, part_length: axes.reduced },
            Self::ShortRows { .. } => self,
        }
    }
}

/// Cuts `length` into parts of at least `least` (but for the last), so that `blocks` for each part are
/// enough blocks: the number of parts and the length of all but the last, a multiple of `multiple`.
fn parts(length: usize, least: usize, blocks: usize, multiple: usize) -> (usize, usize) {
    let wanted = length.div_ceil(least).min(ENOUGH_BLOCKS.div_ceil(blocks.max(1))).max(1);
    let part = length.div_ceil(wanted).checked_next_multiple_of(multiple).unwrap_or(length);
    (length.div_ceil(part.max(1)).max(1), part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_gradients_and_losses_take_one_pass() {
        let bias = Axes { outer: 1, reduced: 128, inner: 512 };
        assert_eq!(Cut::of(bias), Cut::Columns { lanes: 8, stripes: 16, parts: 1, part_rows: 128 });
        assert_eq!(Sum::workspace(bias), 0);
        let losses = Axes { outer: 1, reduced: 128, inner: 1 };
        assert_eq!(Cut::of(losses), Cut::ShortRows { lanes: 32 });
        assert_eq!(Sum::workspace(losses), 0);
    }

    #[test]
    fn long_sums_are_cut_into_parts() {
        let columns = Axes { outer: 1, reduced: 60_000, inner: 784 };
        assert_eq!(Cut::of(columns), Cut::Columns { lanes: 8, stripes: 25, parts: 41, part_rows: 1464 });
        assert_eq!(Sum::workspace(columns), 41 * 784);
        let all = Axes { outer: 1, reduced: 1 << 24, inner: 1 };
        assert_eq!(Cut::of(all), Cut::LongRows { parts: 1024, part_length: 1 << 14 });
        let many_rows = Axes { outer: 5000, reduced: 5000, inner: 1 };
        assert_eq!(Cut::of(many_rows), Cut::LongRows { parts: 1, part_length: 5000 });
        assert_eq!(Sum::workspace(many_rows), 0);
    }

    #[test]
    fn parts_and_stripes_cover_every_element() {
        for reduced in [0, 1, 3, 8, 31, 33, 1000, 1025, 8193, 100_003] {
            for (outer, inner) in [(1, 1), (3, 1), (1, 2), (7, 10), (2, 33), (1, 512), (1, 5000), (2000, 3)] {
                let axes = Axes { outer, reduced, inner };
                match Cut::of(axes) {
                    Cut::Columns { lanes, stripes, parts, part_rows } => {
                        assert!(
                            THREADS.is_multiple_of(lanes) && stripes * lanes * VECTOR >= inner,
                            "{axes:?}"
                        );
                        assert!(
                            parts * part_rows >= reduced && (parts - 1) * part_rows <= reduced,
                            "{axes:?}"
                        );
                    }
                    Cut::ShortRows { lanes } => assert!(lanes.is_power_of_two() && lanes <= WARP, "{axes:?}"),
                    Cut::LongRows { parts, part_length } => {
                        assert!(part_length % VECTOR == 0, "{axes:?}");
                        assert!(
                            parts * part_length >= reduced && (parts - 1) * part_length < reduced,
                            "{axes:?}"
                        );
                    }
                }
            }
        }
    }
}
