//! The times of all variants at one product.

use std::time::Instant;

use cotangent::exec::cuda::{Epilogue, Gemm, Product, Tiling};
use cotangent::ops::{Extents, MatMul};
use cotangent::random::{ChaCha8Rng, Purpose, chacha, permutation};
use serde_json::json;

use crate::figures::{LEAST_SAMPLES, median, now, spread};
use crate::lab::{Lab, Outcome, chain};
use crate::multiplied::Multiplied;
use crate::rota::{Cache, Rota};
use crate::rotation::{Launch, Rotation, Timed};
use crate::tune_products;

/// Blocks of one product, in waves of a card full of them: more splits than these give no more work to anyone.
const MOST_WAVES: usize = 4;
/// A stretch of k that can be worth a block.
const SHORTEST: usize = 32;
/// Launches of one graph: a replay that is not timed goes before each sample.
const LAUNCHES: usize = 64;
/// A sample is as many products as take so long.
const SAMPLE: f64 = 1e-3;
/// What took so many times as long as the fastest in the first round is not timed again.
const HOPELESS: f64 = 1.5;

/// Work of the card before anything is timed, in seconds: the clocks come up.
const WARM_UP: f64 = 0.5;

/// Where products are timed, and until when.
pub struct Search<'a> {
    pub lab: &'a Lab,
    pub rehearses: bool,
    pub end: Option<Instant>,
    warm: bool,
}

/// One way to cut the product, with its launches captured.
struct Candidate<'a> {
    tiling: Tiling,
    rotation: Rotation<'a>,
    times: u64,
    samples: Vec<f64>,
    /// Owns the memory that the rotation works on.
    _launch: Launch,
}

impl<'a> Search<'a> {
    pub fn new(lab: &'a Lab, rehearses: bool, end: Option<Instant>) -> Self {
        Self { lab, rehearses, end, warm: rehearses }
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Prints a line for each variant and split of k; whether there was time for all of it.
    pub fn run<T: Multiplied>(&mut self, asked: &tune_products::Product) -> Outcome<bool> {
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
        let launches = rota.launches.min(LAUNCHES).max(rota.sets);
        let rota = if self.rehearses { Rota::rehearsal(cache) } else { Rota { launches, ..rota } };
        let now_chosen = gemm.tiling(matmul, extents);
        let tilings = self.tilings::<T>(matmul, extents, now_chosen);
        let workspaces: usize = tilings.iter().map(|&tiling| 4 * Gemm::<T>::workspace(tiling, extents)).sum();
        let needed = bytes * (rota.sets * tilings.len()) as u64 + workspaces as u64;
        if let Some(problem) = lab.lacks(needed) {
            tell_problem::<T>(asked, &problem);
            return Ok(true);
        }
        let mut candidates = Vec::new();
        for tiling in tilings {
            if self.is_over() {
                return Ok(false);
            }
            match self.candidate::<T>(asked, tiling, rota) {
                Ok(candidate) => candidates.push(candidate),
                // One that cannot be launched costs only itself, as long as the device still answers.
                Err(error) => {
                    lab.stream.synchronize()?;
                    tell_problem::<T>(asked, &format!("{}: {}", tiling.variant.name(), chain(&*error)));
                }
            }
        }
        let fastest = candidates.iter().map(|candidate| candidate.samples[0]).fold(f64::INFINITY, f64::min);
        candidates.retain(|candidate| {
            candidate.samples[0] <= HOPELESS * fastest || is_same(candidate.tiling, now_chosen, k)
        });
        for candidate in &mut candidates {
            candidate.samples.clear();
        }
        let mut order: Vec<u32> = (0..candidates.len() as u32).collect();
        let mut random: ChaCha8Rng = chacha(0, Purpose::Weights, (m + n + k) as u64);
        for _ in 0..if self.rehearses { 1 } else { LEAST_SAMPLES } {
            permutation(&mut random, &mut order);
            for &number in &order {
                if self.is_over() {
                    return Ok(false);
                }
                let candidate = &mut candidates[number as usize];
                let seconds = candidate.rotation.seconds(candidate.times)?;
                candidate.samples.push(seconds);
            }
        }
        let ended = now();
        for Candidate { tiling, samples, .. } in &candidates {
            let line = json!({
                "tune": T::PRECISION, "transposes": matmul.letters(), "m": m, "n": n, "k": k,
                "variant": tiling.variant.name(), "splits": tiling.splits, "seconds": median(samples),
                "samples": samples.len(), "spread": spread(samples), "cache": cache.name(),
                "chosen_now": is_same(*tiling, now_chosen, k), "began": began, "ended": ended,
            });
            println!("{line}");
        }
        Ok(true)
    }

    /// Captured, and timed for the first time.
    fn candidate<T: Multiplied>(
        &mut self,
        asked: &tune_products::Product,
        tiling: Tiling,
        rota: Rota,
    ) -> Outcome<Candidate<'a>> {
        let mut launch = launch::<T>(self.lab, rota.sets, asked, tiling)?;
        let mut rotation = Rotation::capture(self.lab, &mut launch, rota)?;
        let mut first = rotation.seconds(1)?;
        let mut spent = 0.0;
        while !self.warm && spent < WARM_UP {
            let times = (0.05 / first).ceil() as u64;
            spent += rotation.seconds(times)? * times as f64;
            first = rotation.seconds(1)?;
        }
        self.warm = true;
        // The first has loaded the code; where one is long, that does not show.
        if first < SAMPLE {
            first = rotation.seconds((SAMPLE / first).ceil() as u64)?;
        }
        let times = (SAMPLE / first).ceil().max(1.0) as u64;
        Ok(Candidate { tiling, rotation, times, samples: vec![first], _launch: launch })
    }

    /// Each variant that can compute the product, k in one piece, and halved as long as that gives the card more to do; and today's choice.
    fn tilings<T: Multiplied>(&self, matmul: MatMul, extents: Extents, chosen: Tiling) -> Vec<Tiling> {
        let blocks = MOST_WAVES * self.lab.multiprocessors;
        let mut tilings: Vec<Tiling> = Vec::new();
        let variants = T::kernels(self.lab.kernels()).variants();
        for variant in variants.filter(|variant| Gemm::<T>::suits(variant, matmul, extents)) {
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
        let is_there = T::kernels(self.lab.kernels()).variants().any(|variant| variant == chosen.variant);
        if is_there && !tilings.iter().any(|&other| is_same(other, chosen, extents.k)) {
            tilings.push(chosen);
        }
        tilings
    }
}

/// Whether two ways to cut a sum of this length are one.
fn is_same(a: Tiling, b: Tiling, k: usize) -> bool {
    a.variant == b.variant && a.stretches(k) == b.stretches(k)
}

/// Why a product, or one variant of it, has no time.
fn tell_problem<T: Multiplied>(asked: &tune_products::Product, problem: &str) {
    println!("{}", json!({"name": format!("tune/{} {asked}", T::PRECISION), "problem": problem}));
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
