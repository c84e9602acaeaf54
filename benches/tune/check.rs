//! Every variant against the reference kernel, on the device.

use cotangent::exec::cuda::{Epilogue, Gemm, Product, Tiling};
use cotangent::ops::{Extents, MatMul};
use serde_json::json;

use crate::lab::{Lab, Outcome, chain};
use crate::multiplied::Multiplied;

/// Shapes that are whole tiles, and shapes that are none; some allow copies of 16 bytes and some do not.
const EXTENTS: [[usize; 3]; 8] = [
    [256, 256, 256],
    [512, 784, 128],
    [128, 512, 784],
    [1, 1, 1],
    [127, 129, 65],
    [200, 333, 100],
    [130, 10, 257],
    [300, 72, 1000],
];
const TINY_EXTENTS: [[usize; 3]; 3] = [[64, 64, 64], [33, 65, 40], [70, 9, 200]];

const SPLITS: [usize; 2] = [1, 3];

/// Prints a line for each variant; whether all are right.
pub fn check<T: Multiplied>(lab: &Lab, rehearses: bool) -> Outcome<bool> {
    let extents: &[[usize; 3]] = if rehearses { &TINY_EXTENTS } else { &EXTENTS };
    let mut right = true;
    let gemm = T::kernels(lab.kernels());
    for variant in gemm.variants() {
        let (mut cases, mut problem) = (0, None);
        for &[m, n, k] in extents {
            for transposes in 0..4 {
                let matmul = MatMul { transpose_a: transposes & 2 != 0, transpose_b: transposes & 1 != 0 };
                for splits in SPLITS {
                    let case =
                        Case { matmul, extents: Extents { m, n, k }, tiling: Tiling { variant, splits } };
                    cases += 1;
                    if problem.is_none() {
                        problem = case.problem::<T>(lab)?;
                    }
                }
            }
        }
        let status = problem.unwrap_or("ok".into());
        right &= status == "ok";
        println!(
            "{}",
            json!({"check": T::FILE, "variant": variant.name(), "cases": cases, "status": status})
        );
    }
    Ok(right)
}

struct Case {
    matmul: MatMul,
    extents: Extents,
    tiling: Tiling,
}

impl Case {
    /// What is wrong with the variant, if something is. That it cannot be launched costs only itself, as long as the
    /// device still answers.
    fn problem<T: Multiplied>(&self, lab: &Lab) -> Outcome<Option<String>> {
        match self.difference::<T>(lab) {
            Ok(difference) => Ok(difference),
            Err(error) => {
                lab.stream.synchronize()?;
                Ok(Some(format!("cannot be launched: {}", chain(&*error))))
            }
        }
    }

    /// How C differs from the reference's, if it does by more than two orders of adding up explain: in the norm, so
    /// that one wrong element of a million still shows. C is NaN before.
    fn difference<T: Multiplied>(&self, lab: &Lab) -> Outcome<Option<String>> {
        let Self { matmul, extents, tiling } = *self;
        let Extents { m, n, k } = extents;
        let gemm = T::kernels(lab.kernels());
        let (a, b) = (lab.normal(1, m * k, T::of)?, lab.normal(1, k * n, T::of)?);
        let mut workspace = lab.unset(1, Gemm::<T>::workspace(tiling, extents))?;
        let (mut found, mut expected) = (lab.unset(1, m * n)?, lab.unset(1, m * n)?);
        for c in [&mut found, &mut expected] {
            lab.kernels().layout.fill(&lab.stream, f32::NAN, &mut c.of_mut(0))?;
        }
        let (a, b) = (a.of(0), b.of(0));
        let (product, plain) = (Product { matmul, extents, a: &a, b: &b }, Epilogue::default());
        gemm.run_with(&lab.stream, tiling, &product, &mut found.of_mut(0), &plain, &mut workspace.of_mut(0))?;
        gemm.reference(&lab.stream, &product, &mut expected.of_mut(0), &plain)?;
        let (found, expected) =
            (lab.stream.clone_dtoh(&found.of(0))?, lab.stream.clone_dtoh(&expected.of(0))?);
        lab.stream.synchronize()?;
        let norm = |values: &mut dyn Iterator<Item = f32>| {
            values.map(|x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
        };
        let apart = norm(&mut found.iter().zip(&expected).map(|(x, y)| x - y));
        let relative = apart / norm(&mut expected.iter().copied());
        // Sums of k numbers in another order, and tensor cores that cut off where others round.
        let explained = 4.0 * f64::from(f32::EPSILON) * (k as f64).sqrt();
        let agree = relative <= explained; // NaN does not
        Ok((!agree).then(|| {
            let splits = tiling.splits;
            format!(
                "{} {m}x{n}x{k} split {splits}: {relative:e} apart from the reference, where {explained:e} is explained",
                matmul.letters()
            )
        }))
    }
}
