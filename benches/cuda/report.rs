//! What a time says: rates, ceilings, shares, and how they are written.

use serde_json::{Value, json};

use super::figures::{Row, median, spread};
use super::rota::Cache;

/// What a ceiling counts: the card cannot do more of it a second.
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
    pub const ALL: [Self; 3] = [Self::Copy, Self::Fma, Self::Mma];

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
    /// The ceiling is the rate at which this work was done in `seconds`.
    pub fn set(&mut self, bound: Bound, work: Work, seconds: f64) {
        self.0[bound as usize] = Some(work.amount(bound) / seconds);
    }

    /// The ceiling that binds, and how high it is: under it the work takes longest. What finds its operands in the
    /// cache is bound by its arithmetic alone, and by no ceiling that is measured if it has none.
    fn binding(&self, work: Work, cache: Cache) -> Option<(Bound, f64)> {
        let floor = |(bound, ceiling): (Bound, f64)| work.amount(bound) / ceiling;
        [Bound::Copy, work.arithmetic]
            .into_iter()
            .filter(|&bound| work.amount(bound) > 0.0 && (bound != Bound::Copy || cache == Cache::Cold))
            .filter_map(|bound| Some((bound, self.0[bound as usize]?)))
            .max_by(|a, b| floor(*a).total_cmp(&floor(*b)))
    }
}

/// What a case is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Title {
    /// By which it is asked for, and under which its figures are written.
    pub name: String,
    /// The operation.
    pub kernel: String,
    /// Of its operands.
    pub shape: String,
    pub precision: &'static str,
    /// Which of several kernels does it, or how it is launched.
    pub variant: Option<String>,
}

/// Seconds of the same work by a peer, and ours of the same rounds.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerFigure {
    pub peer: String,
    pub theirs: Vec<f64>,
    pub ours: Vec<f64>,
}

impl PeerFigure {
    /// Whether the peer's results are as ours, and not of fewer bits: then it says so in its name.
    fn is_alike(&self) -> bool {
        !self.peer.contains("bfloat16 out")
    }
}

/// A case as measured in one state of the cache.
pub struct Figure<'a> {
    pub title: &'a Title,
    pub cache: Cache,
    pub work: Work,
    /// Seconds, of all rounds.
    pub samples: Vec<f64>,
    pub peers: Vec<PeerFigure>,
    /// Unix times, in seconds.
    pub began: f64,
    pub ended: f64,
}

/// A rate, and what it is held against.
struct Rate {
    rate: f64,
    unit: &'static str,
    /// None where no ceiling is measured.
    bound: Option<(Bound, f64)>,
}

impl Figure<'_> {
    fn rate(&self, ceilings: &Ceilings) -> Rate {
        let bound = ceilings.binding(self.work, self.cache);
        // Without a ceiling it is told in what there is.
        let counted = bound
            .map_or(if self.work.flops > 0 { self.work.arithmetic } else { Bound::Copy }, |(bound, _)| bound);
        let (unit, scale) = counted.unit();
        let rate = self.work.amount(counted) / median(&self.samples) / scale;
        Rate { rate, unit, bound: bound.map(|(bound, ceiling)| (bound, ceiling / scale)) }
    }

    /// The fastest peer that does all that we do.
    fn best_peer(&self) -> Option<(&str, f64)> {
        let alike = self.peers.iter().filter(|peer| peer.is_alike());
        alike.map(|peer| (&peer.peer[..], median(&peer.theirs))).min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// A line of the file that `COTANGENT_BENCH_JSON` names.
    pub fn json(&self, ceilings: &Ceilings, device: &str) -> Value {
        let Rate { rate, unit, bound } = self.rate(ceilings);
        let peers = self.peers.iter().map(|PeerFigure { peer, theirs, ours }| {
            json!({
                "peer": peer, "seconds": median(theirs), "samples": theirs.len(), "spread": spread(theirs),
                "ours_seconds": median(ours),
            })
        });
        json!({
            "name": self.title.name, "cache": self.cache.name(), "kernel": self.title.kernel,
            "shape": self.title.shape, "precision": self.title.precision, "variant": self.title.variant,
            "seconds": median(&self.samples), "samples": self.samples.len(), "spread": spread(&self.samples),
            "bytes": self.work.bytes, "flops": self.work.flops, "rate": rate, "unit": unit,
            "ceiling": bound.map(|(_, ceiling)| ceiling), "fraction": bound.map(|(_, ceiling)| rate / ceiling),
            "bound": bound.map(|(bound, _)| bound.name()), "device": device,
            "began": self.began, "ended": self.ended, "peers": peers.collect::<Vec<_>>(),
        })
    }

    /// The line of a rehearsal, which has no samples: all keys of [`Self::json`] but the times.
    pub fn rehearsed(&self, device: &str) -> Value {
        let mut line = self.json(&Ceilings::default(), device);
        let without = |object: &mut Value, keys: &[&str]| {
            if let Some(object) = object.as_object_mut() {
                keys.iter().for_each(|key| _ = object.remove(*key));
            }
        };
        without(&mut line, &["seconds"]);
        let peers = line["peers"].as_array_mut().into_iter().flatten();
        peers.for_each(|peer| without(peer, &["seconds", "ours_seconds"]));
        line["rehearsed"] = json!(true);
        line
    }

    /// A row of `kernels.csv`.
    pub fn row(&self, ceilings: &Ceilings, device: &str, date: &str) -> Row {
        let Rate { rate, unit, bound } = self.rate(ceilings);
        Row {
            kernel: self.title.kernel.clone(),
            shape: format!("{} {}", self.title.shape, self.cache.name()),
            precision: self.title.precision.into(),
            variant: self.title.variant.clone().unwrap_or_default(),
            microseconds: median(&self.samples) * 1e6,
            rate: Some(rate),
            unit: unit.into(),
            ceiling_share: bound.map(|(_, ceiling)| rate / ceiling),
            peer_microseconds: self.best_peer().map(|(_, seconds)| seconds * 1e6),
            card: device.into(),
            date: date.into(),
        }
    }

    /// A line to read, and one for each peer.
    pub fn text(&self, ceilings: &Ceilings) -> String {
        let Rate { rate, unit, bound } = self.rate(ceilings);
        let share = bound.map_or(String::new(), |(bound, ceiling)| {
            format!("{:>5.1}% of {}", 100.0 * rate / ceiling, bound.name())
        });
        let name = format!("{} {}", self.title.name, self.cache.name());
        let [time, apart] = [duration(median(&self.samples)), percent(spread(&self.samples))];
        let mut text = format!("{name:<48} {time:>12} ±{apart:<4} {rate:>10.2} {unit:<7} {share}");
        for PeerFigure { peer, theirs, ours } in &self.peers {
            let [time, apart] = [duration(median(theirs)), percent(spread(theirs))];
            let ratio = median(ours) / median(theirs);
            text += &format!("\n    {peer:<44} {time:>12} ±{apart:<4} ours takes {ratio:.2} of it");
        }
        text
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 1e-3 { format!("{:.2} us", seconds * 1e6) } else { format!("{:.3} ms", seconds * 1e3) }
}

/// Half of a spread: how far samples lie from the middle.
fn percent(spread: f64) -> String {
    format!("{:.0}%", 50.0 * spread)
}
