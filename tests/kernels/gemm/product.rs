//! One product: its numbers, what must come of it in float64, and what comes of it on a device.

use cotangent::exec::cuda::{Epilogue, Factor, Gemm, Product, Tiling};
use cotangent::ops::{Draw, Extents, MatMul, Rule, Tensor};

use super::super::support::{Run, chain};
use crate::support::{Random, shape};

/// A number type with its products.
pub trait Multiplied: Factor + Copy + Default {
    /// The relative error of one addition of its products.
    const EPSILON: f64;
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    fn kernels(run: &Run) -> &Gemm<Self>;
}

impl Multiplied for f32 {
    const EPSILON: f64 = f32::EPSILON as f64 / 2.0;

    fn of(x: f64) -> Self {
        x as f32
    }

    fn wide(self) -> f64 {
        self.into()
    }

    fn kernels(run: &Run) -> &Gemm<Self> {
        &run.kernels().gemm
    }
}

pub const TRANSPOSES: [MatMul; 4] = [
    MatMul { transpose_a: false, transpose_b: false },
    MatMul { transpose_a: false, transpose_b: true },
    MatMul { transpose_a: true, transpose_b: false },
    MatMul { transpose_a: true, transpose_b: true },
];

/// Which steps of the epilogue there are: bias, ReLU, mask, accumulation.
pub const EPILOGUES: [[bool; 4]; 7] = [
    [false, false, false, false],
    [true, false, false, false],
    [true, true, false, false],
    [false, false, true, false],
    [false, false, false, true],
    [false, true, true, true],
    [true, true, true, true],
];

/// By how many elements A, B, C (and the workspace), and the epilogue's operands miss an aligned address.
pub const OFFSETS: [[usize; 4]; 6] =
    [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [3, 2, 1, 2]];

/// One product: what is multiplied, and where the operands lie.
#[derive(Clone, Copy)]
pub struct Case {
    pub matmul: MatMul,
    pub extents: Extents,
    pub epilogue: [bool; 4],
    pub offsets: [usize; 4],
}

/// The numbers of a case, row-major and as stored.
pub struct Numbers<T> {
    pub a: Vec<T>,
    pub b: Vec<T>,
    pub bias: Vec<f32>,
    pub mask: Vec<f32>,
    pub c: Vec<f32>,
}

impl<T: Multiplied> Numbers<T> {
    pub fn draw(random: &mut Random, Extents { m, n, k }: Extents, (of_a, of_b): (f64, f64)) -> Self {
        let mut scaled = |count: usize, scale: f64| -> Vec<f64> {
            random.values(count, -1.0, 1.0).into_iter().map(|x| x * scale).collect()
        };
        let narrow = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect();
        let a = scaled(m * k, of_a).into_iter().map(T::of).collect();
        let b = scaled(k * n, of_b).into_iter().map(T::of).collect();
        let bias = narrow(scaled(n, of_a * of_b));
        let c = narrow(scaled(m * n, of_a * of_b));
        let mask = (0..m * n).map(|_| random.pick(&[-1.0, -0.0, 0.0, 1e-40, 0.5, 3.0, f32::NAN])).collect();
        Self { a, b, bias, mask, c }
    }

    /// Each element of C in float64, and by how much float32 may miss it: one rounding for each addition,
    /// of a number that is at most the sum of the absolute values.
    pub fn expected(&self, case: &Case) -> Vec<(f64, f64)> {
        let Case { extents: Extents { n, k, .. }, epilogue: [bias, relu, mask, accumulate], .. } = *case;
        let wide = |values: &[T]| values.iter().map(|x| x.wide()).collect::<Vec<f64>>();
        let (a, b) = (wide(&self.a), wide(&self.b));
        let sums = product(case, &a, &b);
        let absolute = |values: Vec<f64>| values.into_iter().map(f64::abs).collect::<Vec<f64>>();
        let sizes = product(case, &absolute(a), &absolute(b));
        sums.into_iter()
            .zip(sizes)
            .enumerate()
            .map(|(at, (mut x, mut size))| {
                if bias {
                    let bias = f64::from(self.bias[at % n]);
                    (x, size) = (x + bias, size + bias.abs());
                }
                if relu && x <= 0.0 {
                    x = 0.0;
                }
                if mask {
                    x *= if self.mask[at] > 0.0 { 1.0 } else { 0.0 };
                }
                if accumulate {
                    let c = f64::from(self.c[at]);
                    (x, size) = (x + c, size + c.abs());
                }
                let roundings = (k + 8) as f64;
                (x, roundings * (T::EPSILON * size + f64::from(f32::MIN_POSITIVE)))
            })
            .collect()
    }

    /// C from the device: by a tiling, or by the reference.
    pub fn compute(&self, run: &Run, case: &Case, tiling: Option<Tiling>) -> Result<Vec<f32>, String> {
        let Case { matmul, extents, epilogue: [bias, relu, mask, accumulate], offsets } = *case;
        let (a, b) = (run.upload(&self.a, offsets[0])?, run.upload(&self.b, offsets[1])?);
        let (a, b) = (a.view(), b.view());
        let for_bias = run.upload(&self.bias, offsets[3])?;
        let for_mask = run.upload(&self.mask, offsets[3])?;
        let (for_bias, for_mask) = (for_bias.view(), for_mask.view());
        let mut c = match accumulate {
            true => run.upload(&self.c, offsets[2])?,
            false => run.poisoned(self.c.len(), offsets[2])?,
        };
        let product = Product { matmul, extents, a: &a, b: &b };
        let epilogue =
            Epilogue { bias: bias.then_some(&for_bias), relu, mask: mask.then_some(&for_mask), accumulate };
        let (kernels, stream) = (T::kernels(run), run.stream());
        let launched = match tiling {
            Some(tiling) => {
                let mut workspace = run.poisoned(Gemm::<T>::workspace(tiling, extents), offsets[2])?;
                let workspace = &mut workspace.view_mut();
                kernels.run_with(stream, tiling, &product, &mut c.view_mut(), &epilogue, workspace)
            }
            None => kernels.reference(stream, &product, &mut c.view_mut(), &epilogue),
        };
        launched.map_err(|error| chain(&error))?;
        run.download(&c)
    }
}

/// The product in float64, by the graph's own rule.
fn product(case: &Case, a: &[f64], b: &[f64]) -> Vec<f64> {
    let Case { matmul, extents: Extents { m, n, k }, .. } = *case;
    let of_a = shape(&if matmul.transpose_a { [k, m] } else { [m, k] });
    let of_b = shape(&if matmul.transpose_b { [n, k] } else { [k, n] });
    let mut c = vec![f64::NAN; m * n];
    let operands = [Tensor { shape: &of_a, data: a }, Tensor { shape: &of_b, data: b }];
    matmul.evaluate(&operands, Draw::default(), &mut c);
    c
}

pub fn compare(found: &[f32], expected: &[(f64, f64)], n: usize) -> Result<(), String> {
    for (at, (&found, &(expected, tolerance))) in found.iter().zip(expected).enumerate() {
        let found = f64::from(found);
        let agree = match expected {
            x if x.is_nan() => found.is_nan(),
            x if x.is_infinite() => found == x,
            x => (found - x).abs() <= tolerance,
        };
        if !agree {
            let (row, column) = (at / n, at % n);
            return Err(format!("C[{row}, {column}] is {found}, not {expected} ± {tolerance:e}"));
        }
    }
    Ok(())
}
