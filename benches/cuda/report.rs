//! What a time says: rates, ceilings, fractions, and where they are written.

use std::fs::{File, OpenOptions};
use std::io::Write;

use crate::lab::Outcome;

/// The variable that names a file for the figures.
const JSON: &str = "COTANGENT_BENCH_JSON";

/// What a card does at most so many times a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// Bytes through memory.
    Copy,
    /// Operations of float32 multiply-adds.
    Fma,
    /// Operations of bfloat16 products on tensor cores.
    Mma,
}

impl Bound {
    pub fn name(self) -> &'static str {
        match self {
            Self::Copy => "ceiling/copy",
            Self::Fma => "ceiling/fma",
            Self::Mma => "ceiling/mma",
        }
    }

    /// How rates are told, and what one such unit is a second.
    fn unit(self) -> (&'static str, f64) {
        match self {
            Self::Copy => ("GB/s", 1e9),
            Self::Fma | Self::Mma => ("TFLOP/s", 1e12),
        }
    }
}

/// What must be moved and done.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub bytes: u64,
    pub flops: u64,
    /// What bounds the arithmetic.
    pub arithmetic: Bound,
}

impl Work {
    /// Nothing but bytes.
    pub fn of_memory(bytes: usize) -> Self {
        Self { bytes: bytes as u64, flops: 0, arithmetic: Bound::Fma }
    }

    fn amount(self, bound: Bound) -> f64 {
        let amount = if bound == Bound::Copy { self.bytes } else { self.flops };
        amount as f64
    }
}

/// Bytes or operations a second, as far as they are measured.
#[derive(Default)]
pub struct Ceilings([Option<f64>; 3]);

impl Ceilings {
    /// The ceiling is what this work took so long for.
    pub fn set(&mut self, bound: Bound, work: Work, seconds: f64) {
        self.0[bound as usize] = Some(work.amount(bound) / seconds);
    }

    /// The ceiling that binds, and how high it is: under it the work takes longest.
    fn binding(&self, work: Work) -> (Bound, f64) {
        let floor = |(bound, ceiling): (Bound, f64)| work.amount(bound) / ceiling;
        [Bound::Copy, work.arithmetic]
            .into_iter()
            .filter_map(|bound| Some((bound, self.0[bound as usize]?)))
            .max_by(|a, b| floor(*a).total_cmp(&floor(*b)))
            .unwrap_or((Bound::Copy, f64::NAN))
    }
}

/// Where figures go.
pub struct Report {
    /// Whether any are claimed.
    pub measures: bool,
    device: String,
    json: Option<File>,
}

impl Report {
    pub fn new(measures: bool, device: &str) -> Outcome<Self> {
        let json = match std::env::var_os(JSON).filter(|_| measures) {
            None => None,
            Some(path) => {
                let opened = OpenOptions::new().create(true).append(true).open(&path);
                Some(opened.map_err(|error| format!("{JSON}: cannot open {}: {error}", path.display()))?)
            }
        };
        Ok(Self { measures, device: device.to_owned(), json })
    }

    pub fn print(&self, name: &str, work: Work, seconds: f64, ceilings: &Ceilings) -> Outcome<()> {
        let (bound, ceiling) = ceilings.binding(work);
        let (unit, scale) = bound.unit();
        let rate = work.amount(bound) / seconds / scale;
        let (ceiling, fraction) = (ceiling / scale, rate * scale / ceiling);
        println!(
            "{name:<44} {:>12} {rate:>10.2} {unit:<7} {:>5.1}% of {}",
            duration(seconds),
            100.0 * fraction,
            bound.name()
        );
        if let Some(mut json) = self.json.as_ref() {
            let figures = serde_json::json!({
                "name": name, "seconds": seconds, "bytes": work.bytes, "flops": work.flops, "rate": rate,
                "unit": unit, "ceiling": ceiling, "fraction": fraction, "bound": bound.name(),
                "device": self.device,
            });
            writeln!(json, "{figures}")?;
        }
        Ok(())
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 1e-3 { format!("{:.2} us", seconds * 1e6) } else { format!("{:.3} ms", seconds * 1e3) }
}

pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
    (sorted[low] + sorted[high]) / 2.0
}
