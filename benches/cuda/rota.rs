//! How a case is launched so that its operands are in the second-level cache, or are not.
//!
//! **Warm**: one set of operands, launched again and again. It must take no more than half of the cache, so that
//! what else is there does not drive it out.
//!
//! **Cold**: sets of operands in rotation, so that between two uses of one set more than twice the cache is
//! touched. Sets of a small operand would be too many for a graph: then fewer rotate, each is launched once a
//! replay, and before each replay, outside of the timed interval, twice the cache is copied.

/// Launches of one graph, at most: capturing and instantiating it takes some milliseconds.
const MOST_LAUNCHES: u64 = 1024;

/// Launches of a graph whose operands are warm: the gap between two replays is about as long as a launch.
const WARM_LAUNCHES: u64 = 256;

/// Bytes that a graph goes through if [`MOST_LAUNCHES`] allows: 0.3 ms and more, so that the gap between two
/// replays is less than a hundredth.
const WORTH_A_REPLAY: u64 = 1 << 30;

/// Copies as large as the cache with which a flush drives all else out of it. One would do; but what the host puts behind
/// them, a graph of [`MOST_LAUNCHES`] nodes, must be there before they end, or the device waits between the flush
/// and the launches. Of a cache of 50 MB each moves 100 MB, so that all of them take 0.8 ms at 3 TB/s.
pub const FLUSHES: usize = 24;

/// Where the operands are when a launch begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cache {
    /// In memory.
    Cold,
    /// In the second-level cache.
    Warm,
}

impl Cache {
    pub const ALL: [Self; 2] = [Self::Cold, Self::Warm];

    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

/// The launches of one graph: launch i works on set i mod `sets`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rota {
    pub sets: usize,
    pub launches: usize,
    /// Whether twice the cache is touched before each replay.
    pub flushes: bool,
}

impl Rota {
    /// For a case whose set of operands takes `set_bytes`, on a device whose second-level cache holds `cache_bytes`; none if
    /// the operands do not fit well enough to be warm.
    pub fn of(cache: Cache, cache_bytes: u64, set_bytes: u64) -> Option<Self> {
        let set_bytes = set_bytes.max(1);
        if cache == Cache::Warm {
            let fits = set_bytes <= cache_bytes / 2;
            return fits.then_some(Self { sets: 1, launches: WARM_LAUNCHES as usize, flushes: false });
        }
        let wanted = 2 * cache_bytes / set_bytes + 1;
        let sets = wanted.min(MOST_LAUNCHES);
        let turns = WORTH_A_REPLAY.div_ceil(sets.saturating_mul(set_bytes)).min(MOST_LAUNCHES / sets).max(1);
        let flushes = wanted > sets;
        let launches = if flushes { sets } else { sets * turns };
        Some(Self { sets: sets as usize, launches: launches as usize, flushes })
    }

    /// What a rehearsal does: two sets, to see that they are told apart, with a flush where they are cold.
    pub fn rehearsal(cache: Cache) -> Self {
        let is_cold = cache == Cache::Cold;
        Self { sets: if is_cold { 2 } else { 1 }, launches: 2, flushes: is_cold }
    }
}
