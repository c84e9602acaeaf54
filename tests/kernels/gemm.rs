//! Matrix products, each element against float64; the body for bfloat16 too.

pub mod product;

use std::collections::HashMap;
use std::sync::Mutex;

use cotangent::exec::cuda::{CudaError, Epilogue, Factor, Gemm, Product, Tiling, VARIANTS, Variant};
use cotangent::ops::Extents;

use super::support::{Gpu, Run, SCHEDULES, chain, everywhere, gpus, on_real_card, pairwise};
use crate::emulator::{Sanitizer, sanitizer};
use crate::support::{Random, everything};
use product::{Case, EPILOGUES, Numbers, OFFSETS, compare};
pub use product::{Multiplied, TRANSPOSES};

/// Into how many stretches k is split, at most: more than there are tiles along a short k too.
const SPLITS: [usize; 3] = [1, 2, 3];

/// The variants of a number type's kernel, embedded or not.
pub fn variants_of<T: Factor>() -> Vec<&'static Variant> {
    VARIANTS.iter().filter(|variant| variant.kernel == T::FILE).collect()
}

/// The sizes of A's and B's elements. The last has a NaN in A and an infinity in B.
const MAGNITUDES: [(f64, f64); 5] = [(1.0, 1.0), (1e30, 1.0), (1e-30, 1.0), (1e-12, 1e20), (1.0, 1.0)];

/// Extents around the tiles', of which some allow 16-byte accesses and some do not; the last is more tiles
/// than are in a band.
const EXTENTS_OF_C: [usize; 9] = [1, 10, 33, 64, 65, 128, 132, 200, 580];

/// Lengths of the sums: none, parts of a tile, and several tiles, so that each stage of shared memory is
/// overwritten.
const LENGTHS: [usize; 8] = [0, 1, 15, 16, 33, 64, 136, 330];

/// Every variant, transpose, shape, split, epilogue, alignment and magnitude, pairwise: the tiled kernels and the
/// reference against float64, and the tiled ones again for the same bits.
pub fn check_products_of<T: Multiplied>() -> Result<(), String> {
    check_variants_of::<T>(&variants_of::<T>())
}

/// The same of some variants only.
pub fn check_variants_of<T: Multiplied>(variants: &[&'static Variant]) -> Result<(), String> {
    let factors = [
        ("variant", variants.len()),
        ("transposes", TRANSPOSES.len()),
        ("m", EXTENTS_OF_C.len()),
        ("n", EXTENTS_OF_C.len()),
        ("k", LENGTHS.len()),
        ("splits", SPLITS.len()),
        ("epilogue", EPILOGUES.len()),
        ("offsets", OFFSETS.len()),
        ("magnitude", MAGNITUDES.len()),
    ];
    pairwise(&factors, |run, pick| {
        let [variant, transposes, m, n, k, splits, epilogue, offsets, magnitude] = pick[..] else {
            unreachable!()
        };
        let case = Case {
            matmul: TRANSPOSES[transposes],
            extents: Extents { m: EXTENTS_OF_C[m], n: EXTENTS_OF_C[n], k: LENGTHS[k] },
            epilogue: EPILOGUES[epilogue],
            offsets: OFFSETS[offsets],
        };
        check_case::<T>(run, &case, Tiling { variant: variants[variant], splits: SPLITS[splits] }, magnitude)
    })
}

/// One product by the reference and, where the device has the variant, by the tiled kernel.
fn check_case<T: Multiplied>(run: &Run, case: &Case, tiling: Tiling, magnitude: usize) -> Result<(), String> {
    let (extents, mut random) = (case.extents, run.random());
    let mut numbers = Numbers::<T>::draw(&mut random, extents, MAGNITUDES[magnitude]);
    if magnitude + 1 == MAGNITUDES.len() && extents.k > 0 {
        let (at_a, at_b) = (random.below(numbers.a.len()), random.below(numbers.b.len()));
        numbers.a[at_a] = T::of(f64::NAN);
        numbers.b[at_b] = T::of(f64::INFINITY);
    }
    let expected = numbers.expected(case);
    let held = |what: &str, found: &[f32]| {
        compare(found, &expected, extents.n).map_err(|problem| {
            let (name, splits) = (tiling.variant.name(), tiling.splits);
            format!("{what}, {:?}, {extents:?}, {name} split {splits}: {problem}", case.matmul)
        })
    };
    held("reference", &numbers.compute(run, case, None)?)?;
    if !is_there::<T>(run, tiling.variant) {
        return Ok(());
    }
    let found = numbers.compute(run, case, Some(tiling))?;
    held("tiled", &found)?;
    let again = numbers.compute(run, case, Some(tiling))?;
    let differs = found.iter().zip(&again).position(|(x, y)| x.to_bits() != y.to_bits());
    differs.map_or(Ok(()), |at| Err(format!("element {at} is {} once and {} again", found[at], again[at])))
}

/// Whether a device has a variant, and the instructions for it.
fn is_there<T: Multiplied>(run: &Run, variant: &Variant) -> bool {
    run.gpu.device.capability() >= T::NEEDED && T::kernels(run).variants().any(|other| other == variant)
}

/// Every variant on operands that it copies 16 bytes at a time: right, and the same bits under every schedule
/// and on every device that has it.
pub fn check_bits_of<T: Multiplied>() -> Result<(), String> {
    let (variants, extents) = (variants_of::<T>(), Extents { m: 72, n: 136, k: 200 });
    let before: Mutex<HashMap<Vec<usize>, Vec<u32>>> = Mutex::default();
    let numbers = Numbers::<T>::draw(&mut Random::new(7), extents, (1.0, 1.0));
    let factors = [("variant", variants.len()), ("transposes", TRANSPOSES.len()), ("splits", 2)];
    everywhere(&factors, |run, pick| {
        let tiling = Tiling { variant: variants[pick[0]], splits: [1, 3][pick[2]] };
        if !is_there::<T>(run, tiling.variant) {
            return Ok(());
        }
        let case = Case { matmul: TRANSPOSES[pick[1]], extents, epilogue: EPILOGUES[6], offsets: OFFSETS[0] };
        let found = numbers.compute(run, &case, Some(tiling))?;
        compare(&found, &numbers.expected(&case), extents.n)?;
        let bits: Vec<u32> = found.iter().map(|x| x.to_bits()).collect();
        let mut before = before.lock().map_err(|error| error.to_string())?;
        let first = before.entry(pick.to_vec()).or_insert_with(|| bits.clone());
        match first.iter().zip(&bits).position(|(x, y)| x != y) {
            Some(at) => Err(format!(
                "element {at} is {:x}, and was {:x} under other circumstances",
                bits[at], first[at]
            )),
            None => Ok(()),
        }
    })
}

/// Every variant, every transpose and every pair of extents of C; the rest by turns. The count of products.
pub fn check_everything_of<T: Multiplied>() -> Result<usize, String> {
    let mut count = 0;
    for variant in variants_of::<T>() {
        for (t, matmul) in TRANSPOSES.into_iter().enumerate() {
            for (i, m) in EXTENTS_OF_C.into_iter().enumerate() {
                for (j, n) in EXTENTS_OF_C.into_iter().enumerate() {
                    let turn = count + t + 5 * i + 7 * j;
                    let case = Case {
                        matmul,
                        extents: Extents { m, n, k: LENGTHS[turn % LENGTHS.len()] },
                        epilogue: EPILOGUES[turn % EPILOGUES.len()],
                        offsets: OFFSETS[turn % OFFSETS.len()],
                    };
                    let tiling = Tiling { variant, splits: SPLITS[turn % SPLITS.len()] };
                    let run = Run::new(gpus().last().ok_or("no device")?, turn % SCHEDULES, turn as u64);
                    check_case::<T>(&run, &case, tiling, turn % MAGNITUDES.len())?;
                    count += 1;
                }
            }
        }
    }
    Ok(count)
}

pub fn check_products() -> Result<(), String> {
    check_products_of::<f32>()
}

/// Those whose loop stands in `gemm_ahead.cuh`.
pub fn check_products_ahead() -> Result<(), String> {
    check_variants_of::<f32>(&variants_ahead())
}

fn variants_ahead() -> Vec<&'static Variant> {
    variants_of::<f32>().into_iter().filter(|variant| variant.fragments == 2).collect()
}

pub fn check_bits() -> Result<(), String> {
    check_bits_of::<f32>()
}

#[test]
fn products_agree_with_float64() {
    check_products().unwrap();
}

#[test]
fn products_are_the_same_bits_in_every_order_of_threads() {
    check_bits().unwrap();
}

/// Every product of [`check_everything_of`], where all is to be tested: half an hour.
pub fn every_product_of<T: Multiplied>() {
    if !everything() {
        return;
    }
    let products = check_everything_of::<T>().unwrap();
    println!("{products} products by {}", T::FILE);
    assert_eq!(products, variants_of::<T>().len() * TRANSPOSES.len() * EXTENTS_OF_C.len().pow(2));
}

#[test]
fn every_variant_times_every_transpose_on_every_pair_of_extents() {
    every_product_of::<f32>();
}

#[test]
fn the_emulated_9_0_has_every_variant_and_older_ones_those_that_fit_their_shared_memory() {
    if on_real_card() || sanitizer() != Sanitizer::None && !everything() {
        return; // which have those that the program embeds, and a card the candidates that were brought
    }
    let missing = |gpu: &Gpu| {
        let (f32s, bf16s) = (gpu.device.kernels().gemm.variants(), gpu.device.kernels().gemm_bf16.variants());
        let there: Vec<_> = f32s.chain(bf16s).collect();
        VARIANTS.iter().filter(|variant| !there.contains(variant)).count()
    };
    let [turing, ampere, hopper] = gpus() else { panic!("three devices are emulated") };
    assert_eq!(missing(hopper), 0);
    assert_eq!(missing(ampere), 0, "all take less than 163 KiB");
    assert!(missing(turing) > 0, "some take more than 64 KiB");
}

/// A variant that copies 16 bytes at a time, where an operand does not lie so: another takes its place.
#[test]
fn operands_at_any_address_give_the_same_bits() {
    let ahead = variants_ahead();
    assert!(ahead.iter().all(|variant| !variant.takes_any_alignment()));
    let factors = [("variant", ahead.len()), ("transposes", TRANSPOSES.len()), ("splits", SPLITS.len())];
    pairwise(&factors, |run, pick| {
        let tiling = Tiling { variant: ahead[pick[0]], splits: SPLITS[pick[2]] };
        if !is_there::<f32>(run, tiling.variant) {
            return Ok(());
        }
        let extents = Extents { m: 68, n: 72, k: 100 };
        let numbers = Numbers::<f32>::draw(&mut run.random(), extents, (1.0, 1.0));
        let bits = |offsets: [usize; 4]| -> Result<Vec<u32>, String> {
            let case = Case { matmul: TRANSPOSES[pick[1]], extents, epilogue: EPILOGUES[0], offsets };
            Ok(numbers.compute(run, &case, Some(tiling))?.iter().map(|x| x.to_bits()).collect())
        };
        let aligned = bits(OFFSETS[0])?;
        for offsets in &OFFSETS[1..] {
            if bits(*offsets)? != aligned {
                return Err(format!("{} at {offsets:?} gives other bits", tiling.variant.name()));
            }
        }
        Ok(())
    })
    .unwrap();
}

/// As a run cuts them, products of the network: where nothing was measured, k is split in the first three.
#[test]
fn products_of_the_network_agree_with_float64() {
    let shapes = [(0, 128, 10, 256), (1, 32, 64, 784), (2, 10, 256, 128), (0, 128, 256, 10)];
    pairwise(&[("shape", shapes.len())], |run, pick| {
        let (transposes, m, n, k) = shapes[pick[0]];
        let extents = Extents { m, n, k };
        let case =
            Case { matmul: TRANSPOSES[transposes], extents, epilogue: EPILOGUES[2], offsets: OFFSETS[0] };
        let numbers = Numbers::<f32>::draw(&mut run.random(), extents, (1.0, 1.0));
        let (a, b, bias) =
            (run.upload(&numbers.a, 0)?, run.upload(&numbers.b, 0)?, run.upload(&numbers.bias, 0)?);
        let (a, b, bias) = (a.view(), b.view(), bias.view());
        let mut c = run.poisoned(m * n, 0)?;
        let gemm = &run.kernels().gemm;
        let tiling = gemm.tiling(case.matmul, extents);
        let mut workspace = run.poisoned(Gemm::<f32>::workspace(tiling, extents), 0)?;
        let product = Product { matmul: case.matmul, extents, a: &a, b: &b };
        let epilogue = Epilogue { bias: Some(&bias), relu: true, ..Epilogue::default() };
        gemm.run(run.stream(), &product, &mut c.view_mut(), &epilogue, &mut workspace.view_mut())
            .map_err(|error| chain(&error))?;
        compare(&run.download(&c)?, &numbers.expected(&case), n)
    })
    .unwrap();
}

/// What comes of operands, C and a workspace of these lengths.
fn outcome(run: &Run, extents: Extents, [a, b, c, workspace]: [usize; 4]) -> Result<String, String> {
    let (a, b) = (run.poisoned::<f32>(a, 0)?, run.poisoned::<f32>(b, 0)?);
    let (a, b) = (a.view(), b.view());
    let (mut c, mut workspace) = (run.poisoned(c, 0)?, run.poisoned(workspace, 0)?);
    let product = Product { matmul: TRANSPOSES[0], extents, a: &a, b: &b };
    let epilogue = Epilogue::default();
    let gemm = &run.kernels().gemm;
    let tiled = gemm.run(run.stream(), &product, &mut c.view_mut(), &epilogue, &mut workspace.view_mut());
    let reference = gemm.reference(run.stream(), &product, &mut c.view_mut(), &epilogue);
    run.download(&c)?;
    let words =
        |outcome: Result<(), CudaError>| outcome.map_or_else(|error| chain(&error), |()| "fine".into());
    Ok(format!("{}; {}", words(tiled), words(reference)))
}

#[test]
fn products_without_elements_are_no_launch() {
    pairwise(&[], |run, _| {
        for extents in
            [Extents { m: 0, n: 3, k: 2 }, Extents { m: 3, n: 0, k: 2 }, Extents { m: 0, n: 0, k: 0 }]
        {
            let Extents { m, n, k } = extents;
            assert_eq!(outcome(run, extents, [m * k, k * n, 0, 0])?, "fine; fine");
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn products_of_lengths_that_disagree_are_refused_by_name() {
    pairwise(&[], |run, _| {
        let extents = Extents { m: 2, n: 3, k: 5 };
        let refused = |lengths| outcome(run, extents, lengths);
        let a = "A holds 11 elements, and the sizes ask for 10";
        assert_eq!(
            refused([11, 15, 6, 0])?,
            format!("kernel gemm_nn_64x64x16_8x4_s2_b4: {a}; kernel gemm_reference: {a}")
        );
        assert!(refused([10, 14, 6, 0])?.contains("B holds 14 elements, and the sizes ask for 15"));
        assert!(refused([10, 15, 7, 0])?.contains("C holds 7 elements, and the sizes ask for 6"));
        let split = Extents { m: 2, n: 3, k: 256 };
        assert_eq!(
            outcome(run, split, [512, 768, 6, 23])?,
            "kernel gemm_nn_64x64x16_8x4_s2_b4: the workspace holds 23 elements, and the sizes ask for 24; fine"
        );
        let huge = Extents { m: 1 << 31, n: 0, k: 0 };
        assert!(outcome(run, huge, [0; 4])?.contains("m is 2147483648, more than a 32-bit integer holds"));
        Ok(())
    })
    .unwrap();
}
