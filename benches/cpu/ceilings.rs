//! What this processor can do at most: multiply-adds from registers, and bytes moved within each level of memory.
//!
//! A ceiling is the best of several times, on as many threads as ask for it, all at once.

use std::fs;
use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cotangent::exec::cpu::team::for_each;
use cotangent::exec::{Team, vectorized};
use cotangent::float::Float;
use pulp::{Simd, WithSimd};

/// The best of several times counts, of work that takes at least so long: short, so that other work of the machine's is not in
/// all of them.
const LENGTH: Duration = Duration::from_millis(1);
/// They take so long together, unless they are the least number of times.
const TOGETHER: Duration = Duration::from_millis(300);
const LEAST_TIMES: usize = 5;

/// Sums that do not wait for one another: a processor starts two vectors a cycle at most and finishes one after four or
/// five, so it needs ten. With two constants they fit sixteen registers.
const CHAINS: usize = 12;

/// A place where operands are, from the nearest to the farthest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    L1,
    L2,
    L3,
    Memory,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::L1, Self::L2, Self::L3, Self::Memory];

    pub fn name(self) -> &'static str {
        ["L1", "L2", "L3", "memory"][self as usize]
    }
}

/// What the system says of the processor.
#[derive(Clone, Debug)]
pub struct Processor {
    pub name: String,
    /// Bytes of the caches; the first two are a core's own. 0 where there is none.
    caches: [usize; 3],
}

impl Processor {
    /// This machine's, as Linux tells. Elsewhere usual sizes are taken.
    pub fn of_machine() -> Self {
        let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let name = name.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
        let caches = caches().unwrap_or([32 << 10, 1 << 20, 16 << 20]);
        Self { name: name.to_owned(), caches }
    }

    /// Where operands of `bytes` together stay from call to call, shared out evenly between the threads.
    pub fn level(&self, bytes: usize, threads: usize) -> Level {
        let [first, second, third] = self.caches;
        match bytes / threads {
            each if each <= first => Level::L1,
            each if each <= second => Level::L2,
            _ if bytes <= third => Level::L3,
            _ => Level::Memory,
        }
    }

    /// The bytes for a thread to move, that stay at the level without filling it.
    pub fn bytes(&self, level: Level, threads: usize) -> usize {
        let [first, second, third] = self.caches;
        match level {
            Level::L1 => first / 2,
            Level::L2 => second / 2,
            Level::L3 => (third / 2 / threads).min(4 * second),
            Level::Memory => (2 * third).clamp(256 << 20, 768 << 20) / threads,
        }
    }
}

/// The sizes of the first core's caches for data.
fn caches() -> Option<[usize; 3]> {
    let mut caches = [0; 3];
    for entry in fs::read_dir("/sys/devices/system/cpu/cpu0/cache").ok()?.flatten() {
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok();
        let (Some(level), Some(kind), Some(size)) = (read("level"), read("type"), read("size")) else {
            continue;
        };
        let kibibytes: Option<usize> = size.trim().strip_suffix('K').and_then(|size| size.parse().ok());
        let level: Option<usize> = level.trim().parse().ok();
        if let (Some(level @ 1..=3), Some(kibibytes)) = (level, kibibytes)
            && kind.trim() != "Instruction"
        {
            caches[level - 1] = kibibytes << 10;
        }
    }
    (caches[0] > 0).then_some(caches)
}

/// On the threads of a team.
#[derive(Clone, Copy, Debug)]
pub struct Ceilings {
    /// Multiplications, each with an addition, a second.
    pub multiply_adds: f64,
    /// Bytes a second, reads and writes both counted, by [`Level`].
    bytes: [f64; 4],
}

impl Ceilings {
    pub fn measure(team: &mut Team, processor: &Processor) -> Self {
        let threads = team.threads();
        let bytes = Level::ALL.map(|level| moved(team, processor.bytes(level, threads)));
        Self { multiply_adds: multiply_adds(team), bytes }
    }

    pub fn bytes(&self, level: Level) -> f64 {
        self.bytes[level as usize]
    }
}

/// The shortest of several times that all threads take for the same work at once, in seconds: `work` is told the thread
/// and how often it is to be done.
fn shortest(team: &mut Team, work: impl Fn(usize, usize) + Sync) -> f64 {
    let threads = team.threads();
    let mut seconds = |repeats: usize| {
        let start = Instant::now();
        team.install(|| for_each(threads, |thread| work(thread, repeats)));
        start.elapsed().as_secs_f64() / repeats as f64
    };
    let mut repeats = 1;
    while seconds(repeats) * (repeats as f64) < LENGTH.as_secs_f64() {
        repeats *= 2;
    }
    let start = Instant::now();
    let goes_on = |times: &usize| *times < LEAST_TIMES || start.elapsed() < TOGETHER;
    (0..).take_while(goes_on).map(|_| seconds(repeats)).fold(f64::INFINITY, f64::min)
}

/// float32 multiplications, each with an addition, a second, in vectors of the greatest width there is, nothing but registers
/// in use.
pub fn multiply_adds(team: &mut Team) -> f64 {
    const ROUNDS: usize = 10_000;
    let lanes = pulp::Arch::new().dispatch(Chains { rounds: 1 });
    let seconds = shortest(team, |_, repeats| {
        black_box(pulp::Arch::new().dispatch(Chains { rounds: black_box(repeats * ROUNDS) }));
    });
    (team.threads() * lanes * CHAINS * ROUNDS) as f64 / seconds
}

/// Rounds of one multiply-add in each chain. Returns the numbers in a vector.
struct Chains {
    rounds: usize,
}

impl WithSimd for Chains {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        // x → x/2 + 1 goes to 2: no number becomes so small that it would be slow
        let (half, one) = (black_box(0.5_f32).splat(simd), black_box(1.0_f32).splat(simd));
        let mut sums = [one; CHAINS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = f32::multiply_add(simd, *sum, half, one);
            }
        }
        black_box(sums);
        size_of::<S::f32s>() / size_of::<f32>()
    }
}

/// Bytes read and written a second when each thread moves within `bytes` of its own: the best of the library's copy, of a
/// loop from one array to another, and of one in place, as updates are. Which is fastest differs from level to level.
pub fn moved(team: &mut Team, bytes: usize) -> f64 {
    const LINE: usize = 64 / size_of::<f32>();
    let length = (bytes / size_of::<f32>()).next_multiple_of(2 * LINE);
    let arrays: Vec<Mutex<Vec<f32>>> =
        (0..team.threads()).map(|_| Mutex::new(vec![1.0; length + LINE])).collect();
    let mut rate = |moves: fn(&mut [f32]), share: f64| {
        let seconds = shortest(team, |thread, repeats| {
            let Ok(mut array) = arrays[thread].lock() else { return };
            let start = array.as_ptr().align_offset(64).min(LINE);
            let array = &mut array[start..start + length];
            for _ in 0..repeats {
                moves(black_box(&mut *array));
            }
        });
        arrays.len() as f64 * share * (length * size_of::<f32>()) as f64 / seconds
    };
    let copies = [
        rate(
            |array| {
                let (from, to) = array.split_at_mut(array.len() / 2);
                to.copy_from_slice(from);
            },
            1.0,
        ),
        rate(
            |array| {
                let (from, to) = array.split_at_mut(array.len() / 2);
                let factor = black_box(1.0);
                vectorized(
                    #[inline(always)]
                    || to.iter_mut().zip(&*from).for_each(|(to, from)| *to = from * factor),
                );
            },
            1.0,
        ),
        // each element both read and written
        rate(
            |array| {
                let factor = black_box(1.0);
                vectorized(
                    #[inline(always)]
                    || array.iter_mut().for_each(|x| *x *= factor),
                );
            },
            2.0,
        ),
    ];
    copies.into_iter().fold(0.0, f64::max)
}

/// Multiplications, each with an addition, a second, that the crate `gemm` reaches with large square matrices.
pub fn products(team: &mut Team) -> f64 {
    const SIDE: usize = 1024;
    let operand = vec![0.5_f32; SIDE * SIDE];
    let seconds = shortest(team, |_, repeats| {
        let mut product = vec![0.0_f32; SIDE * SIDE];
        let side = SIDE as isize;
        for _ in 0..repeats {
            // SAFETY: all three are square matrices of this side, row-major.
            unsafe {
                gemm::gemm(
                    SIDE,
                    SIDE,
                    SIDE,
                    product.as_mut_ptr(),
                    1,
                    side,
                    false,
                    operand.as_ptr(),
                    1,
                    side,
                    operand.as_ptr(),
                    1,
                    side,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
        black_box(product);
    });
    (team.threads() * SIDE * SIDE * SIDE) as f64 / seconds
}
