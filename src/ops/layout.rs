//! Reshape and transpose: the same elements in another order or under other extents.

use super::{At, Draw, Op, Rule, Tensor, Var};
use crate::float::Float;
use crate::graph::Shape;

/// An operation that moves elements and computes nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Layout {
    /// The same elements, in row-major order, under another shape.
    Reshape(Shape),
    /// Axis `i` of the result is axis `permutation[i]` of the operand.
    Transpose {
        /// Each axis of the operand once.
        permutation: Vec<usize>,
    },
}

impl Rule for Layout {
    fn name(&self) -> &'static str {
        match self {
            Self::Reshape(_) => "reshape",
            Self::Transpose { .. } => "transpose",
        }
    }

    fn arity(&self) -> usize {
        1
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let from = inputs[0];
        match self {
            Self::Reshape(to) if to.size() == from.size() => Ok(to.clone()),
            Self::Reshape(to) => Err(format!("{to} has {} elements, not {}", to.size(), from.size())),
            Self::Transpose { permutation } => {
                let mut sorted = permutation.clone();
                sorted.sort_unstable();
                if sorted.iter().copied().ne(0..from.len()) {
                    return Err(format!("{permutation:?} must name each of its {} axes once", from.len()));
                }
                Ok(permutation.iter().map(|&axis| from[axis]).collect::<Vec<_>>().into())
            }
        }
    }

    fn jvp<'g>(&self, _: usize, tangent: Var<'g>, _: At<'_, 'g>) -> Option<Var<'g>> {
        Some(tangent.builder().apply(Op::Layout(self.clone()), &[tangent]))
    }

    fn vjp<'g>(&self, _: usize, adjoint: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        Some(match self {
            Self::Reshape(_) => adjoint.reshape(at.inputs[0].shape()),
            Self::Transpose { permutation } => adjoint.transpose(&inverse(permutation)),
        })
    }

    fn evaluate<T: Float>(&self, inputs: &[Tensor<'_, T>], _: Draw, output: &mut [T]) {
        let Tensor { shape, data } = inputs[0];
        match self {
            Self::Reshape(_) => output.copy_from_slice(data),
            Self::Transpose { permutation } => {
                for (position, out) in output.iter_mut().enumerate() {
                    // Take the position in the result apart, last axis first, and put it together
                    // again with the operand's strides.
                    let (mut rest, mut source) = (position, 0);
                    for &axis in permutation.iter().rev() {
                        let stride: usize = shape[axis + 1..].iter().product();
                        source += rest % shape[axis] * stride;
                        rest /= shape[axis];
                    }
                    *out = data[source];
                }
            }
        }
    }
}

fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; permutation.len()];
    for (to, &from) in permutation.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}

impl<'g> Var<'g> {
    /// The same elements under another shape of the same size.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        if shape == self.shape() {
            return self;
        }
        self.builder().apply(Op::Layout(Layout::Reshape(shape)), &[self])
    }

    /// Axis `i` of the result is axis `permutation[i]` of this value.
    #[track_caller]
    pub fn transpose(self, permutation: &[usize]) -> Var<'g> {
        let transpose = Layout::Transpose { permutation: permutation.to_vec() };
        self.builder().apply(Op::Layout(transpose), &[self])
    }

    /// The transpose of a matrix.
    #[track_caller]
    pub fn t(self) -> Var<'g> {
        self.transpose(&[1, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transpose_moves_each_element_to_its_permuted_place() {
        let shape = Shape::from([2, 3, 4]);
        let data: Vec<f64> = (0..24).map(f64::from).collect();
        let mut output = vec![f64::NAN; 24];
        let rule = Layout::Transpose { permutation: vec![2, 0, 1] };
        assert_eq!(rule.shape(&[&shape]), Ok([4, 2, 3].into()));
        rule.evaluate(&[Tensor { shape: &shape, data: &data }], Draw::default(), &mut output);
        for i in 0..2 {
            for j in 0..3 {
                for k in 0..4 {
                    assert_eq!(output[(k * 2 + i) * 3 + j], data[(i * 3 + j) * 4 + k]);
                }
            }
        }
    }

    #[test]
    fn reshape_to_another_size_and_a_doubled_axis_are_refused() {
        let shape = Shape::from([2, 3]);
        assert_eq!(Layout::Reshape([7].into()).shape(&[&shape]), Err("[7] has 7 elements, not 6".into()));
        assert!(Layout::Transpose { permutation: vec![0, 0] }.shape(&[&shape]).is_err());
    }
}
