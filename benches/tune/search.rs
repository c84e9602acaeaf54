//! The times of all variants at one product.

use std::time::{SystemTime, UNIX_EPOCH};

use cotangent::exec::cuda::{Epilogue, Gemm, Product, Tiling};
use cotangent::ops::Extents;
use cotangent::random::{ChaCha8Rng, Purpose, chacha, permutation};
use serde_json::json;

use crate::figures::{LEAST_SAMPLES, median, spread};
use crate::lab::{Lab, Outcome};
use crate::multiplied::Multiplied;
use crate::rota::{Cache, Rota};
use crate::rotation::{Launch, Rotation, Timed};
use crate::tune_products;

/// Blocks of one product, in waves of a card full of them: more splits than these give no more work to anyone.
const MOST_WAVES: usize = 4;
/// A stretch of k that can be worth a block.
const SHORTEST: usize = 32;
/// A sample is as many products as take so long.
const SAMPLE: f64 = 1e-3;
/// What took so many times as long as the fastest in the first round is not timed again.
const HOPELESS: f64 = 1.5;

/// Where products are timed.
pub struct Search<'a> {
    pub lab: &'a Lab,
    pub rehearses: bool,
}

/// One way to cut the product, with its launches captured.
struct Candidate<'a> {
    tiling: Tiling,
    rotation: Rotation<'a>,
    times: u64,
    samples: Vec<f64>,
}

impl Search<'_> {
    /// Prints a line for each variant and split of k.
    pub fn run<T: Multiplied>(&mut self, asked: &tune_products::Product) -> Outcome<()> {
        let lab = self.lab;
        let tune_products::Product { matmul, extents } = *asked;
        let Extents { m, n, k } = extents;
        let began = now();
        let gemm = T::kernels(lab.kernels());
        let bytes = (size_of::<T>() * (m * k + k * n) + 4 * m * n) as u64;
        // As a training step meets them: in the cache, where they fit.
        let (cache, rota) = [Cache::Warm, Cache::Cold]
            .into_iter()
            .find_map(|cache| Some((cache, Rota::of(cache, lab.cache, bytes)?)))
            .ok_or("operands that are neither warm nor cold")?;
        let rota = if self.rehearses { Rota::rehearsal(cache) } else { rota };
        let now_chosen = gemm.tiling(matmul, extents);
        let mut candidates = Vec::new();
        let tilings = self.tilings::<T>(extents, now_chosen);
        if let Some(problem) = lab.lacks(bytes * (rota.sets * tilings.len()) as u64) {
            println!(
                "{}",
                json!({"product": asked.to_string(), "precision": T::PRECISION, "problem": problem})
            );
            return Ok(());
        }
        for tiling in tilings {
            let mut launch = launch::<T>(lab, rota.sets, asked, tiling)?;
            let mut rotation = Rotation::capture(lab, &mut launch, rota)?;
            let first =
                if self.rehearses { rotation.seconds(1)?.max(SAMPLE) } else { warmed(&mut rotation)? };
            let times = (SAMPLE / first).ceil() as u64;
            candidates.push((Candidate { tiling, rotation, times, samples: vec![first] }, launch));
        }
        let fastest =
            candidates.iter().map(|(candidate, _)| candidate.samples[0]).fold(f64::INFINITY, f64::min);
        candidates.retain(|(candidate, _)| {
            candidate.samples[0] <= HOPELESS * fastest || is_same(candidate.tiling, now_chosen, k)
        });
        for (candidate, _) in &mut candidates {
            candidate.samples.clear(); // the first brought the clocks up
        }
        let mut order: Vec<u32> = (0..candidates.len() as u32).collect();
        let mut random: ChaCha8Rng = chacha(0, Purpose::Weights, (m + n + k) as u64);
        for _ in 0..if self.rehearses { 1 } else { LEAST_SAMPLES } {
            permutation(&mut random, &mut order);
            for &number in &order {
                let (candidate, _) = &mut candidates[number as usize];
                let seconds = candidate.rotation.seconds(candidate.times)?;
                candidate.samples.push(seconds);
            }
        }
        let ended = now();
        for (Candidate { tiling, samples, .. }, _) in &candidates {
            let line = json!({
                "tune": T::PRECISION, "transposes": matmul.letters(), "m": m, "n": n, "k": k,
                "variant": tiling.variant.name(), "splits": tiling.splits, "seconds": median(samples),
                "samples": samples.len(), "spread": spread(samples), "cache": cache.name(),
                "chosen_now": is_same(*tiling, now_chosen, k), "began": began, "ended": ended,
            });
            println!("{line}");
        }
        Ok(())
    }

    /// Each variant, k in one piece, and halved as long as that gives the card more to do; and today's choice.
    fn tilings<T: Multiplied>(&self, extents: Extents, chosen: Tiling) -> Vec<Tiling> {
        let blocks = MOST_WAVES * self.lab.multiprocessors;
        let mut tilings: Vec<Tiling> = Vec::new();
        for variant in T::kernels(self.lab.kernels()).variants() {
            let tiles = extents.m.div_ceil(variant.rows) * extents.n.div_ceil(variant.columns);
            let most = (blocks / tiles).min(extents.k / SHORTEST).max(1);
            let splits = std::iter::successors(Some(1), |splits| Some(2 * splits)).take_while(|&s| s <= most);
            for splits in splits.chain([most]) {
                let tiling = Tiling { variant, splits };
                if !tilings.iter().any(|&other| is_same(other, tiling, extents.k)) {
                    tilings.push(tiling);
                }
            }
        }
        if !tilings.iter().any(|&other| is_same(other, chosen, extents.k)) {
            tilings.push(chosen);
        }
        tilings
    }
}

/// Whether two ways to cut a sum of this length are one.
fn is_same(a: Tiling, b: Tiling, k: usize) -> bool {
    a.variant == b.variant && a.stretches(k) == b.stretches(k)
}

/// Seconds after the code, the operands and the clocks are there.
fn warmed(rotation: &mut Rotation<'_>) -> Outcome<f64> {
    let first = rotation.seconds(1)?;
    rotation.seconds((SAMPLE / first).ceil() as u64)
}

fn launch<T: Multiplied>(
    lab: &Lab,
    sets: usize,
    asked: &tune_products::Product,
    tiling: Tiling,
) -> Outcome<Launch> {
    let tune_products::Product { matmul, extents } = *asked;
    let Extents { m, n, k } = extents;
    let (a, b) = (lab.normal(sets, m * k, T::of)?, lab.normal(sets, k * n, T::of)?);
    let (mut c, mut workspace) =
        (lab.unset(sets, m * n)?, lab.unset(1, Gemm::<T>::workspace(tiling, extents))?);
    Ok(Box::new(move |lab, set| {
        let product = Product { matmul, extents, a: &a.of(set), b: &b.of(set) };
        let (c, workspace) = (&mut c.of_mut(set), &mut workspace.of_mut(0));
        T::kernels(lab.kernels()).run_with(&lab.stream, tiling, &product, c, &Epilogue::default(), workspace)
    }))
}

/// Unix time, in seconds.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(f64::NAN, |since| since.as_secs_f64())
}
