//! The matrix product, with either operand transposed: closed under differentiation.

use super::{At, Draw, Op, Rule, Tensor, Var};
use crate::float::Float;
use crate::graph::Shape;

/// `C = op(A) op(B)`, where op transposes if the flag says so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct MatMul {
    /// Whether A (k, m) stands for Aᵀ (m, k).
    pub transpose_a: bool,
    /// Whether B (n, k) stands for Bᵀ (k, n).
    pub transpose_b: bool,
}

/// The extents of a product: C (m, n) = A (m, k) · B (k, n), transposes taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extents {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// The length of the sums.
    pub k: usize,
}

impl MatMul {
    /// How A and B are stored: `n` as they are multiplied, `t` transposed.
    pub fn letters(self) -> &'static str {
        match (self.transpose_a, self.transpose_b) {
            (false, false) => "nn",
            (false, true) => "nt",
            (true, false) => "tn",
            (true, true) => "tt",
        }
    }

    /// The extents of the product of two matrices that [`Rule::shape`] accepts.
    pub fn extents(self, a: &Shape, b: &Shape) -> Extents {
        let (m, k) = if self.transpose_a { (a[1], a[0]) } else { (a[0], a[1]) };
        let n = if self.transpose_b { b[0] } else { b[1] };
        Extents { m, n, k }
    }
}

impl Rule for MatMul {
    fn name(&self) -> &'static str {
        match (self.transpose_a, self.transpose_b) {
            (false, false) => "matmul",
            (false, true) => "matmul_nt",
            (true, false) => "matmul_tn",
            (true, true) => "matmul_tt",
        }
    }

    fn arity(&self) -> usize {
        2
    }

    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        let (a, b) = (inputs[0], inputs[1]);
        if a.len() != 2 || b.len() != 2 {
            return Err("both operands must be matrices".into());
        }
        let Extents { m, n, k } = self.extents(a, b);
        let k_of_b = if self.transpose_b { b[1] } else { b[0] };
        if k != k_of_b {
            return Err(format!("the sums would run over {k} elements of A and {k_of_b} of B"));
        }
        Ok([m, n].into())
    }

    fn jvp<'g>(&self, k: usize, tangent: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        Some(match k {
            0 => self.of(tangent, at.inputs[1]),
            _ => self.of(at.inputs[0], tangent),
        })
    }

    /// For C = A B: Ā = C̄ Bᵀ and B̄ = Aᵀ C̄; for a transposed operand, the transpose of that.
    fn vjp<'g>(&self, k: usize, adjoint: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        let (a, b) = (at.inputs[0], at.inputs[1]);
        let Self { transpose_a: ta, transpose_b: tb } = *self;
        let product = |transpose_a, transpose_b, x, y| Self { transpose_a, transpose_b }.of(x, y);
        Some(match (k, ta, tb) {
            (0, false, tb) => product(false, !tb, adjoint, b),
            (0, true, tb) => product(tb, true, b, adjoint),
            (_, ta, false) => product(!ta, false, a, adjoint),
            (_, ta, true) => product(true, ta, adjoint, a),
        })
    }

    /// The plain triple loop: the reference that fast products are held against.
    fn evaluate<T: Float>(&self, inputs: &[Tensor<'_, T>], _: Draw, output: &mut [T]) {
        let (a, b) = (inputs[0], inputs[1]);
        let Extents { m, n, k } = self.extents(a.shape, b.shape);
        let at_a = |i: usize, l: usize| a.data[if self.transpose_a { l * m + i } else { i * k + l }];
        let at_b = |l: usize, j: usize| b.data[if self.transpose_b { j * k + l } else { l * n + j }];
        for i in 0..m {
            for j in 0..n {
                output[i * n + j] = (0..k).map(|l| at_a(i, l) * at_b(l, j)).sum();
            }
        }
    }
}

impl MatMul {
    #[track_caller]
    fn of<'g>(self, a: Var<'g>, b: Var<'g>) -> Var<'g> {
        a.builder().apply(Op::MatMul(self), &[a, b])
    }
}

impl<'g> Var<'g> {
    /// The product A B of A (m, k) and B (k, n).
    #[track_caller]
    pub fn matmul(self, b: Var<'g>) -> Var<'g> {
        MatMul { transpose_a: false, transpose_b: false }.of(self, b)
    }

    /// The product A Bᵀ of A (m, k) and B (n, k).
    #[track_caller]
    pub fn matmul_nt(self, b: Var<'g>) -> Var<'g> {
        MatMul { transpose_a: false, transpose_b: true }.of(self, b)
    }

    /// The product Aᵀ B of A (k, m) and B (k, n).
    #[track_caller]
    pub fn matmul_tn(self, b: Var<'g>) -> Var<'g> {
        MatMul { transpose_a: true, transpose_b: false }.of(self, b)
    }

    /// The product Aᵀ Bᵀ of A (k, m) and B (n, k).
    #[track_caller]
    pub fn matmul_tt(self, b: Var<'g>) -> Var<'g> {
        MatMul { transpose_a: true, transpose_b: true }.of(self, b)
    }
}
