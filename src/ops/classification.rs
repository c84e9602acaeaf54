//! Softmax, one-hot, and softmax cross-entropy from integer labels.
//!
//! Labels are class numbers 0, 1, ... held in the executor's element type: exact up to 2²⁴ in
//! float32. A label that is no class number gives NaN, never a neighbour's value.

use super::reduction::sum_in_lanes;
use super::{At, Draw, Op, Rule, Tensor, Var};
use crate::float::Float;
use crate::graph::Shape;

/// The operations of a classifier's last layer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Classification {
    /// exp(z) / Σ exp(z) along the last axis.
    Softmax,
    /// Labels (rows) to indicator rows (rows, classes).
    OneHot {
        /// The number of classes.
        classes: usize,
    },
    /// Logits (rows, classes) and labels (rows) to the loss `−ln softmax(z)[label]` of each row.
    ///
    /// The one fused operation that a differentiated graph holds: ln of softmax, node by node,
    /// would lose every digit where a probability underflows.
    SoftmaxCrossEntropy,
}

impl Rule for Classification {
    fn name(&self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::OneHot { .. } => "one_hot",
            Self::SoftmaxCrossEntropy => "softmax_cross_entropy",
        }
    }

    fn arity(&self) -> usize {
        match self {
            Self::Softmax | Self::OneHot { .. } => 1,
            Self::SoftmaxCrossEntropy => 2,
        }
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        match *self {
            Self::Softmax => match inputs[0].last() {
                None | Some(0) => Err("there must be a last axis with at least one class".into()),
                Some(_) => Ok(inputs[0].clone()),
            },
            Self::OneHot { classes } => match inputs[0][..] {
                [rows] if classes > 0 => Ok([rows, classes].into()),
                _ => Err(format!("labels must be a vector and classes at least one, not {classes}")),
            },
            Self::SoftmaxCrossEntropy => match (&inputs[0][..], &inputs[1][..]) {
                (&[rows, classes], &[labels]) if rows == labels && classes > 0 => Ok([rows].into()),
                _ => Err("logits must be (rows, classes) and labels (rows)".into()),
            },
        }
    }

    fn jvp<'g>(&self, k: usize, tangent: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        match (self, k) {
            // J = diag(y) − y yᵀ in each row, symmetric: the same rule in reverse.
            (Self::Softmax, _) => {
                let y = at.output;
                let last = y.shape().len() - 1;
                let row_sums = (tangent * y).sum_axes(&[last]).broadcast_along(&[last], y.shape());
                Some(y * (tangent - row_sums))
            }
            (Self::SoftmaxCrossEntropy, 0) => Some((tangent * softmax_minus_one_hot(at)).sum_axes(&[1])),
            _ => None, // labels are not differentiable
        }
    }

    fn vjp<'g>(&self, k: usize, adjoint: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        match (self, k) {
            (Self::SoftmaxCrossEntropy, 0) => {
                let rows = adjoint.broadcast_along(&[1], at.inputs[0].shape());
                Some(rows * softmax_minus_one_hot(at))
            }
            _ => self.jvp(k, adjoint, at),
        }
    }

    fn evaluate<T: Float>(&self, inputs: &[Tensor<'_, T>], _: Draw, output: &mut [T]) {
        let (_, columns) = inputs[0].shape.rows_and_columns();
        match *self {
            Self::Softmax => {
                for (row, out) in inputs[0].data.chunks_exact(columns).zip(output.chunks_exact_mut(columns)) {
                    softmax(row, out);
                }
            }
            Self::OneHot { classes } => {
                for (&label, out) in inputs[0].data.iter().zip(output.chunks_exact_mut(classes)) {
                    one_hot(label, out);
                }
            }
            Self::SoftmaxCrossEntropy => {
                let rows = inputs[0].data.chunks_exact(columns);
                for ((row, &label), loss) in rows.zip(inputs[1].data).zip(output) {
                    *loss = cross_entropy(row, label);
                }
            }
        }
    }
}

/// The derivative of each row's loss by its logits: softmax(z) − one-hot(label), (rows, classes).
fn softmax_minus_one_hot<'g>(at: At<'_, 'g>) -> Var<'g> {
    let (logits, labels) = (at.inputs[0], at.inputs[1]);
    logits.softmax() - labels.one_hot(logits.shape()[1])
}

/// One row of softmax, stable: the row's maximum is taken off first.
pub fn softmax<T: Float>(row: &[T], output: &mut [T]) {
    let max = maximum(row);
    for (out, &z) in output.iter_mut().zip(row) {
        *out = (z - max).exponential();
    }
    let sum = sum_in_lanes(output);
    for out in output {
        *out = *out / sum;
    }
}

/// One row's loss: `ln Σ exp(z − max) − (z[label] − max)`.
pub fn cross_entropy<T: Float>(row: &[T], label: T) -> T {
    let max = maximum(row);
    let sum: T = row.iter().map(|&z| (z - max).exponential()).sum();
    match class_of(label, row.len()) {
        Some(class) => sum.ln() - (row[class] - max),
        None => T::nan(),
    }
}

/// One row's loss, and `scale` · (softmax(row) − one-hot(label)) into `gradient`.
#[inline(always)]
pub fn cross_entropy_with_gradient<T: Float>(row: &[T], label: T, scale: T, gradient: &mut [T]) -> T {
    let max = maximum(row);
    for (out, &z) in gradient.iter_mut().zip(row) {
        *out = (z - max).exponential();
    }
    let sum = sum_in_lanes(gradient);
    let factor = scale / sum;
    for out in gradient.iter_mut() {
        *out *= factor;
    }
    match class_of(label, row.len()) {
        Some(class) => {
            gradient[class] -= scale;
            sum.ln() - (row[class] - max)
        }
        None => {
            gradient.fill(T::nan());
            T::nan()
        }
    }
}

/// One row of indicators.
pub fn one_hot<T: Float>(label: T, output: &mut [T]) {
    match class_of(label, output.len()) {
        Some(class) => {
            output.fill(T::zero());
            output[class] = T::one();
        }
        None => output.fill(T::nan()),
    }
}

fn class_of<T: Float>(label: T, classes: usize) -> Option<usize> {
    label.to_usize().filter(|&class| class < classes && T::of(class as f64) == label)
}

/// The largest element; NaN where there is one, so that it is not lost on the way to the loss.
#[inline(always)]
fn maximum<T: Float>(row: &[T]) -> T {
    row.iter().fold(T::neg_infinity(), |max, &z| if z > max || z.is_nan() { z } else { max })
}

impl<'g> Var<'g> {
    /// exp(z) / Σ exp(z) along the last axis.
    #[track_caller]
    pub fn softmax(self) -> Var<'g> {
        self.builder().apply(Op::Classification(Classification::Softmax), &[self])
    }

    /// Labels (rows) to indicator rows (rows, classes).
    #[track_caller]
    pub fn one_hot(self, classes: usize) -> Var<'g> {
        self.builder().apply(Op::Classification(Classification::OneHot { classes }), &[self])
    }

    /// The loss `−ln softmax(z)[label]` of each row of logits (rows, classes), given labels (rows).
    #[track_caller]
    pub fn softmax_cross_entropy(self, labels: Var<'g>) -> Var<'g> {
        self.builder().apply(Op::Classification(Classification::SoftmaxCrossEntropy), &[self, labels])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_huge_logits_is_exact_and_finite() {
        assert_eq!(cross_entropy(&[1000.0, 0.0], 0.0), 0.0);
        assert_eq!(cross_entropy(&[1000.0, 0.0], 1.0), 1000.0);
        assert_eq!(cross_entropy(&[-1000.0_f32; 2], 1.0), std::f32::consts::LN_2);
    }

    #[test]
    fn a_label_that_is_no_class_gives_nan() {
        for label in [-1.0, 0.5, 2.0, f64::NAN, f64::INFINITY] {
            assert!(cross_entropy(&[0.0, 0.0], label).is_nan(), "label {label}");
            let mut row = [0.0; 2];
            one_hot(label, &mut row);
            assert!(row.iter().all(|x| x.is_nan()), "label {label}");
        }
    }

    #[test]
    fn nan_and_infinite_logits_reach_the_loss() {
        assert!(cross_entropy(&[0.0, f64::NAN], 0.0).is_nan());
        assert!(cross_entropy(&[f64::NAN, 0.0], 1.0).is_nan());
        assert!(cross_entropy(&[f64::INFINITY, 0.0], 0.0).is_nan());
    }

    #[test]
    fn softmax_rows_sum_to_one() {
        let mut out = [0.0; 3];
        softmax(&[1.0, 2.0, 3.0], &mut out);
        assert!((out.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!((out[2] / out[1] - 1f64.exp()).abs() < 1e-15);
    }
}
