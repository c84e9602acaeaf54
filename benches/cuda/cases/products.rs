//! Matrix products of normally distributed numbers.

use cotangent::exec::cuda::{Epilogue, Factor, Gemm, Kernels, Product, Tile, Tiling};
use cotangent::ops::{Extents, MatMul};
use cudarc::driver::ValidAsZeroBits;
use half::bf16;

use super::{Case, Scale};
use crate::report::{Bound, Title, Work};

/// A number type whose products are timed.
pub trait Multiplied: Factor + ValidAsZeroBits + Sized + 'static {
    const PRECISION: &'static str;
    const ARITHMETIC: Bound;
    fn kernels(all: &Kernels) -> &Gemm<Self>;
    fn of(x: f32) -> Self;
}

impl Multiplied for f32 {
    const PRECISION: &'static str = "f32";
    const ARITHMETIC: Bound = Bound::Fma;

    fn kernels(all: &Kernels) -> &Gemm<Self> {
        &all.gemm
    }

    fn of(x: f32) -> Self {
        x
    }
}

impl Multiplied for bf16 {
    const PRECISION: &'static str = "bf16";
    const ARITHMETIC: Bound = Bound::Mma;

    fn kernels(all: &Kernels) -> &Gemm<Self> {
        &all.gemm_bf16
    }

    fn of(x: f32) -> Self {
        bf16::from_f32(x)
    }
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
pub fn layer<T: Multiplied>(scale: Scale, part: Layer, batch: usize, widths: &[usize]) -> Case {
    let (inputs, outputs) = (widths[0], widths[1]);
    let (name, transpose_a, transpose_b, [m, n, k]) = match part {
        Layer::Forward => ("forward", false, true, [batch, outputs, inputs]),
        Layer::WeightGradient => ("weight_gradient", true, false, [outputs, inputs, batch]),
        Layer::InputGradient => ("input_gradient", false, false, [batch, inputs, outputs]),
    };
    let matmul = MatMul { transpose_a, transpose_b };
    product::<T>(scale, [name, &format!("{inputs}-{outputs}")], matmul, Extents { m, n, k })
}

pub fn square<T: Multiplied>(scale: Scale, n: usize) -> Case {
    let matmul = MatMul { transpose_a: false, transpose_b: false };
    product::<T>(scale, ["square", &n.to_string()], matmul, Extents { m: n, n, k: n })
}

/// Which kernel carries out a product, and into how many stretches it cuts k.
fn variant<T: Multiplied>(extents: Extents) -> String {
    let tile = match Tiling::of(extents).tile {
        Tile::Large => "128x128",
        Tile::Small => "64x64",
    };
    match Gemm::<T>::workspace(extents) / (extents.m * extents.n) {
        0 => tile.into(),
        splits => format!("{tile} split {splits}"),
    }
}

fn product<T: Multiplied>(scale: Scale, [part, size]: [&str; 2], matmul: MatMul, extents: Extents) -> Case {
    let Extents { m, n, k } = extents;
    let bytes = size_of::<T>() * (m * k + k * n) + 4 * m * n;
    let work = Work { bytes: bytes as u64, flops: (2 * m * n * k) as u64, arithmetic: T::ARITHMETIC };
    let kernel = format!("gemm_{}/{part}", T::PRECISION);
    let variant = variant::<T>(extents);
    let extents = Extents { m: scale.extent(m), n: scale.extent(n), k: scale.extent(k) };
    let case = Case::new(kernel, size, work, move |lab, sets| {
        let Extents { m, n, k } = extents;
        let (a, b) = (lab.normal(sets, m * k, T::of)?, lab.normal(sets, k * n, T::of)?);
        let (mut c, mut workspace) = (lab.unset(sets, m * n)?, lab.unset(1, Gemm::<T>::workspace(extents))?);
        Ok(Box::new(move |lab, set| {
            let product = Product { matmul, extents, a: &a.of(set), b: &b.of(set) };
            let (c, workspace) = (&mut c.of_mut(set), &mut workspace.of_mut(0));
            T::kernels(lab.kernels()).run(&lab.stream, &product, c, &Epilogue::default(), workspace)
        }))
    });
    let (shape, variant) = (format!("{m}x{n}x{k}"), Some(variant));
    Case { title: Title { shape, precision: T::PRECISION, variant, ..case.title }, ..case }
}
