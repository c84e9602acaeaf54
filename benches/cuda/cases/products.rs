//! Matrix products of normally distributed numbers.

use cotangent::exec::cuda::{Epilogue, Gemm, Product, Tiling, Tuning};
use cotangent::ops::{Extents, MatMul};

use super::{Case, Scale};
use crate::multiplied::Multiplied;
use crate::report::{Bound, Title, Work};

/// What bounds the arithmetic of products in this precision.
fn arithmetic(precision: &str) -> Bound {
    if precision == "bf16" { Bound::Mma } else { Bound::Fma }
}

/// The products of a linear layer y = x Wᵀ, for x (batch, inputs) and W (outputs, inputs).
#[derive(Clone, Copy)]
pub enum Layer {
    /// x Wᵀ.
    Forward,
    /// dyᵀ x.
    WeightGradient,
    /// dy W.
    InputGradient,
}

impl Layer {
    pub const ALL: [Self; 3] = [Self::Forward, Self::WeightGradient, Self::InputGradient];
}

/// `widths`: inputs and outputs.
pub fn layer<T: Multiplied>(how: (Scale, &Tuning), part: Layer, batch: usize, widths: &[usize]) -> Case {
    let (inputs, outputs) = (widths[0], widths[1]);
    let (name, transpose_a, transpose_b, [m, n, k]) = match part {
        Layer::Forward => ("forward", false, true, [batch, outputs, inputs]),
        Layer::WeightGradient => ("weight_gradient", true, false, [outputs, inputs, batch]),
        Layer::InputGradient => ("input_gradient", false, false, [batch, inputs, outputs]),
    };
    let matmul = MatMul { transpose_a, transpose_b };
    product::<T>(how, [name, &format!("{inputs}-{outputs}")], matmul, Extents { m, n, k })
}

pub fn square<T: Multiplied>(how: (Scale, &Tuning), n: usize) -> Case {
    let matmul = MatMul { transpose_a: false, transpose_b: false };
    product::<T>(how, ["square", &n.to_string()], matmul, Extents { m: n, n, k: n })
}

/// Which variant of the kernel carries out a product, and into how many stretches it cuts k.
pub fn variant(tiling: Tiling, k: usize) -> String {
    match tiling.stretches(k) {
        1 => tiling.variant.name(),
        stretches => format!("{} split {stretches}", tiling.variant.name()),
    }
}

fn product<T: Multiplied>(
    (scale, tuning): (Scale, &Tuning),
    [part, size]: [&str; 2],
    matmul: MatMul,
    extents: Extents,
) -> Case {
    let Extents { m, n, k } = extents;
    let bytes = size_of::<T>() * (m * k + k * n) + 4 * m * n;
    let work =
        Work { bytes: bytes as u64, flops: (2 * m * n * k) as u64, arithmetic: arithmetic(T::PRECISION) };
    let kernel = format!("gemm_{}/{part}", T::PRECISION);
    let variant = variant(tuning.tiling::<T>(matmul, extents), k);
    let extents = Extents { m: scale.extent(m), n: scale.extent(n), k: scale.extent(k) };
    let case = Case::new(kernel, size, work, move |lab, sets| {
        let Extents { m, n, k } = extents;
        let (a, b) = (lab.normal(sets, m * k, T::of)?, lab.normal(sets, k * n, T::of)?);
        let tiling = T::kernels(lab.kernels()).tiling(matmul, extents);
        let (mut c, mut workspace) =
            (lab.unset(sets, m * n)?, lab.unset(1, Gemm::<T>::workspace(tiling, extents))?);
        Ok(Box::new(move |lab, set| {
            let product = Product { matmul, extents, a: &a.of(set), b: &b.of(set) };
            let (c, workspace) = (&mut c.of_mut(set), &mut workspace.of_mut(0));
            T::kernels(lab.kernels()).run(&lab.stream, &product, c, &Epilogue::default(), workspace)
        }))
    });
    let (shape, variant) = (format!("{m}x{n}x{k}"), Some(variant));
    Case { title: Title { shape, precision: T::PRECISION, variant, ..case.title }, ..case }
}
