//! Products of bfloat16 matrices on tensor cores, each element against float64.

use cotangent::exec::cuda::{Capability, Epilogue, Gemm, Product, Tiling};
use cotangent::ops::Extents;
use half::bf16;

use super::gemm::{Multiplied, TRANSPOSES, check_bits_of, check_products_of, every_product_of, variants_of};
use super::support::{Run, chain, pairwise};

impl Multiplied for bf16 {
    /// Products are exact in float32; tensor cores cut their sums off where others round them.
    const EPSILON: f64 = f32::EPSILON as f64;

    fn of(x: f64) -> Self {
        bf16::from_f64(x)
    }

    fn wide(self) -> f64 {
        self.to_f64()
    }

    fn kernels(run: &Run) -> &Gemm<Self> {
        &run.kernels().gemm_bf16
    }
}

fn has_tensor_cores(run: &Run) -> bool {
    run.gpu.device.capability() >= Capability { major: 8, minor: 0 }
}

pub fn check_products() -> Result<(), String> {
    check_products_of::<bf16>()
}

pub fn check_bits() -> Result<(), String> {
    check_bits_of::<bf16>()
}

#[test]
fn bfloat16_products_agree_with_float64() {
    check_products().unwrap();
}

#[test]
fn bfloat16_products_are_the_same_bits_in_every_order_of_threads() {
    check_bits().unwrap();
}

#[test]
fn every_bfloat16_variant_times_every_transpose_on_every_pair_of_extents() {
    every_product_of::<bf16>();
}

#[test]
fn devices_without_bfloat16_tensor_cores_are_refused_by_capability() {
    pairwise(&[], |run, _| {
        let operand = run.poisoned::<bf16>(1, 0)?;
        let operand = operand.view();
        let (mut c, mut workspace) = (run.poisoned(1, 0)?, run.poisoned(0, 0)?);
        let product = Product {
            matmul: TRANSPOSES[1],
            extents: Extents { m: 1, n: 1, k: 1 },
            a: &operand,
            b: &operand,
        };
        let tiling = Tiling { variant: variants_of::<bf16>()[0], splits: 1 };
        let launched = run.kernels().gemm_bf16.run_with(
            run.stream(),
            tiling,
            &product,
            &mut c.view_mut(),
            &Epilogue::default(),
            &mut workspace.view_mut(),
        );
        match launched {
            Ok(()) => assert!(has_tensor_cores(run)),
            Err(error) => {
                assert!(!has_tensor_cores(run));
                let found = chain(&error);
                assert!(
                    found.contains("gemm_bf16_nt_128x128x32_64x32_s3_b2")
                        && found.contains("8.0 on, and this device has 7.5"),
                    "{found}"
                );
            }
        }
        run.download(&c)?;
        Ok(())
    })
    .unwrap();
}
