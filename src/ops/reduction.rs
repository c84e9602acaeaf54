//! Sum and broadcast: each takes away or puts in whole axes, and each is the other's adjoint.

use super::{At, Draw, Op, Rule, Tensor, Var};
use crate::float::Float;
use crate::graph::Shape;

/// Sum and its adjoint.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reduction {
    /// Sums over the given axes (ascending), which leave the shape.
    Sum {
        /// The axes of the operand that go.
        axes: Vec<usize>,
    },
    /// Repeats the operand along new axes.
    Broadcast {
        /// The axes of the result that are new (ascending).
        axes: Vec<usize>,
        /// The shape of the result.
        shape: Shape,
    },
}

impl Rule for Reduction {
    fn name(&self) -> &'static str {
        match self {
            Self::Sum { .. } => "sum",
            Self::Broadcast { .. } => "broadcast",
        }
    }

    fn arity(&self) -> usize {
        1
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        match self {
            Self::Sum { axes } => without(inputs[0], axes),
            Self::Broadcast { axes, shape } => {
                if without(shape, axes)? != *inputs[0] {
                    return Err(format!("{shape} without its axes {axes:?} is not the operand's shape"));
                }
                Ok(shape.clone())
            }
        }
    }

    fn jvp<'g>(&self, _: usize, tangent: Var<'g>, _: At<'_, 'g>) -> Option<Var<'g>> {
        Some(tangent.builder().apply(Op::Reduction(self.clone()), &[tangent]))
    }

    fn vjp<'g>(&self, _: usize, adjoint: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        Some(match self {
            Self::Sum { axes } => adjoint.broadcast_along(axes, at.inputs[0].shape()),
            Self::Broadcast { axes, .. } => adjoint.sum_axes(axes),
        })
    }

    fn evaluate<T: Float>(&self, inputs: &[Tensor<'_, T>], _: Draw, output: &mut [T]) {
        let operand = inputs[0];
        match self {
            Self::Sum { axes } => {
                output.fill(T::zero());
                for_each_pair(operand.shape, axes, |long, short, run| match run {
                    Run::Along(length) => {
                        for (sum, &x) in output[short..short + length].iter_mut().zip(&operand.data[long..]) {
                            *sum += x;
                        }
                    }
                    Run::Across(length) => {
                        output[short] += sum_in_lanes(&operand.data[long..long + length]);
                    }
                });
            }
            Self::Broadcast { axes, shape } => {
                for_each_pair(shape, axes, |long, short, run| match run {
                    Run::Along(length) => {
                        output[long..long + length].copy_from_slice(&operand.data[short..short + length]);
                    }
                    Run::Across(length) => output[long..long + length].fill(operand.data[short]),
                });
            }
        }
    }
}

/// The shape without the given axes, which must be ascending and within it.
fn without(shape: &Shape, axes: &[usize]) -> Result<Shape, String> {
    let ascending = axes.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || axes.last().is_some_and(|&last| last >= shape.len()) {
        return Err(format!("the axes {axes:?} must be ascending and less than {}", shape.len()));
    }
    let kept = shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    Ok(kept.map(|(_, &extent)| extent).collect::<Vec<_>>().into())
}

/// A stretch of the last axis, as the short side sees it.
enum Run {
    /// The axis is on both sides: elements correspond one to one.
    Along(usize),
    /// The axis is on the long side only: all elements correspond to one.
    Across(usize),
}

/// Walks a shape row by row, in order, with the offset of each row on the long side (all axes) and on
/// the short side (without `axes`).
fn for_each_pair(shape: &Shape, axes: &[usize], mut visit: impl FnMut(usize, usize, Run)) {
    if shape.size() == 0 {
        return;
    }
    let (rows, columns) = shape.rows_and_columns();
    let last_goes = !shape.is_empty() && axes.contains(&(shape.len() - 1));
    for row in 0..rows {
        let (mut rest, mut short, mut stride) = (row, 0, if last_goes { 1 } else { columns });
        for axis in (0..shape.len().saturating_sub(1)).rev() {
            let index = rest % shape[axis];
            rest /= shape[axis];
            if !axes.contains(&axis) {
                short += index * stride;
                stride *= shape[axis];
            }
        }
        let run = if last_goes { Run::Across(columns) } else { Run::Along(columns) };
        visit(row * columns, short, run);
    }
}

/// A sum in an order that is fixed by the length alone: sixteen interleaved partial sums, folded
/// pairwise. It runs at vector speed, and its error grows with n/16 instead of n.
#[inline(always)]
pub(super) fn sum_in_lanes<T: Float>(data: &[T]) -> T {
    const LANES: usize = 16;
    let mut lanes = [T::zero(); LANES];
    let (chunks, rest) = data.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += x;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

impl<'g> Var<'g> {
    /// The sum of all elements: a scalar.
    #[track_caller]
    pub fn sum(self) -> Var<'g> {
        let axes: Vec<usize> = (0..self.shape().len()).collect();
        self.sum_axes(&axes)
    }

    /// The sum over the given axes (ascending, from 0), which leave the shape.
    #[track_caller]
    pub fn sum_axes(self, axes: &[usize]) -> Var<'g> {
        if axes.is_empty() {
            return self;
        }
        self.builder().apply(Op::Reduction(Reduction::Sum { axes: axes.to_vec() }), &[self])
    }

    /// The mean of all elements: a scalar.
    #[track_caller]
    pub fn mean(self) -> Var<'g> {
        self.sum() * (1.0 / self.shape().size() as f64)
    }

    /// The mean over the given axes (ascending, from 0), which leave the shape.
    #[track_caller]
    pub fn mean_axes(self, axes: &[usize]) -> Var<'g> {
        let shape = self.shape();
        let count: usize = axes.iter().filter_map(|&axis| shape.get(axis)).product();
        self.sum_axes(axes) * (1.0 / count as f64)
    }

    /// Repeats the elements along `axes` of the result, which has the given shape.
    #[track_caller]
    pub fn broadcast_along(self, axes: &[usize], shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        if axes.is_empty() && shape == self.shape() {
            return self;
        }
        self.builder().apply(Op::Reduction(Reduction::Broadcast { axes: axes.to_vec(), shape }), &[self])
    }

    /// Repeats the elements to fill `shape`, by NumPy's rule: shapes are aligned at their last axes,
    /// and an axis of extent 1, or a missing one, is repeated.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        match repeated_axes(&self.shape(), &shape) {
            Some((axes, kept)) => self.reshape(kept).broadcast_along(&axes, shape),
            None => self.broadcast_along(&[], shape), // whose rule names both shapes
        }
    }

    /// Two operands brought to one shape, where one broadcasts to the other or both to a third.
    #[track_caller]
    pub(super) fn broadcast_with(self, other: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (a, b) = (self.shape(), other.shape());
        if a == b {
            return (self, other);
        }
        let rank = a.len().max(b.len());
        let extent = |shape: &Shape, axis: usize| match (axis + shape.len()).checked_sub(rank) {
            Some(own) => shape[own],
            None => 1,
        };
        let common: Vec<usize> = (0..rank)
            .map(|axis| match (extent(&a, axis), extent(&b, axis)) {
                (1, b) => b,
                (a, _) => a,
            })
            .collect();
        let common = Shape::from(common);
        if repeated_axes(&a, &common).is_none() || repeated_axes(&b, &common).is_none() {
            return (self, other); // for the operation's own rule to refuse
        }
        (self.broadcast_to(common.clone()), other.broadcast_to(common))
    }
}

/// The axes of `to` along which `from` is repeated, and the extents that it keeps; nothing if it does not
/// broadcast to it.
fn repeated_axes(from: &Shape, to: &Shape) -> Option<(Vec<usize>, Vec<usize>)> {
    let missing = to.len().checked_sub(from.len())?;
    let is_new = |axis: usize| axis < missing || (from[axis - missing] == 1 && to[axis] != 1);
    let (new, kept): (Vec<usize>, Vec<usize>) = (0..to.len()).partition(|&axis| is_new(axis));
    let matches = kept.iter().all(|&axis| from[axis - missing] == to[axis]);
    matches.then(|| (new, kept.into_iter().map(|axis| to[axis]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(data: &[f64], shape: impl Into<Shape>, axes: &[usize], size: usize) -> Vec<f64> {
        let shape = shape.into();
        let mut output = vec![f64::NAN; size];
        let rule = Reduction::Sum { axes: axes.to_vec() };
        rule.evaluate(&[Tensor { shape: &shape, data }], Draw::default(), &mut output);
        output
    }

    #[test]
    fn sums_over_any_set_of_axes() {
        let data: Vec<f64> = (1..=6).map(f64::from).collect();
        assert_eq!(sum(&data, [2, 3], &[0], 3), [5.0, 7.0, 9.0]);
        assert_eq!(sum(&data, [2, 3], &[1], 2), [6.0, 15.0]);
        assert_eq!(sum(&data, [2, 3], &[0, 1], 1), [21.0]);
        assert_eq!(sum(&data, [1, 2, 3], &[0, 2], 2), [6.0, 15.0]);
        assert_eq!(sum(&data, [3, 1, 2], &[0], 2), [9.0, 12.0]);
    }

    #[test]
    fn the_sum_of_nothing_is_zero() {
        assert_eq!(sum(&[], [0, 3], &[0], 3), [0.0, 0.0, 0.0]);
        assert_eq!(sum(&[], [2, 0], &[1], 2), [0.0, 0.0]);
    }

    #[test]
    fn summing_in_lanes_takes_every_element_once() {
        for length in [0, 1, 15, 16, 17, 100] {
            let data: Vec<f64> = (0..length).map(f64::from).collect();
            assert_eq!(sum_in_lanes(&data), f64::from(length * (length - 1) / 2), "{length} elements");
        }
    }

    #[test]
    fn a_shape_that_is_no_broadcast_is_a_mistake() {
        for to in [vec![4], vec![], vec![3, 4]] {
            let builder = crate::ops::Builder::new();
            let _ = builder.input("x", [3]).broadcast_to(to.clone());
            let error = builder.finish((), ()).unwrap_err().to_string();
            assert!(error.starts_with("broadcast of [3]") && error.contains(&format!("{to:?}")), "{error}");
        }
    }

    #[test]
    fn axes_outside_the_shape_are_refused() {
        let shape = Shape::from([2, 3]);
        assert!(Reduction::Sum { axes: vec![2] }.shape(&[&shape]).is_err());
        assert!(Reduction::Sum { axes: vec![1, 0] }.shape(&[&shape]).is_err());
        let wrong = Reduction::Broadcast { axes: vec![0], shape: [4, 5].into() };
        assert!(wrong.shape(&[&Shape::from([3])]).is_err());
    }
}
