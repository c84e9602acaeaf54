//! Where kernels run in tests, and how the cases are chosen.
//!
//! A check is a function of a [`Run`] (device, schedule, seed) and of one level of each of its own
//! factors. [`pairwise`] runs enough combinations that every two levels of every two factors meet.

use std::sync::Arc;

pub use cotangent::errors::with_causes as chain;
use cotangent::exec::cuda::{Device, Hopper, KernelImages, Kernels};
use cudarc::driver::{CudaSlice, CudaStream, CudaView, CudaViewMut, DeviceRepr, DriverError};

use crate::emulator::{Sanitizer, Schedule, emulator, sanitizer};
use crate::support::Random;

/// Extents around the sizes of warps and tiles.
pub const RAGGED: [usize; 8] = [1, 3, 31, 33, 64, 127, 129, 300];

/// The schedules that an emulated device runs under; random ones take the run's seed.
pub const SCHEDULES: usize = 3;
/// The seeds of inputs and of random schedules.
const SEEDS: usize = 5;

/// One device: an emulated one of compute capability 7.5, 8.0 or 9.0, or the real card.
pub struct Gpu {
    pub device: Device,
    pub stream: Arc<CudaStream>,
    emulated: bool,
}

/// Whether the tests run on the real card: `COTANGENT_TEST_DEVICE=cuda`.
pub fn on_real_card() -> bool {
    match std::env::var("COTANGENT_TEST_DEVICE").as_deref() {
        Err(_) | Ok("" | "emulator") => false,
        Ok("cuda") => true,
        Ok(other) => panic!("COTANGENT_TEST_DEVICE is {other:?}, not cuda or emulator"),
    }
}

/// The devices that the kernels are tested on: each thread's own, so that a fault on one, which cudarc
/// remembers in its context, is no other test's.
pub fn gpus() -> &'static [Gpu] {
    thread_local! {
        static GPUS: &'static [Gpu] = Vec::leak(open_gpus());
    }
    GPUS.with(|gpus| *gpus)
}

fn open_gpus() -> Vec<Gpu> {
    if on_real_card() { vec![Gpu::open(0)] } else { (0..3).map(Gpu::open).collect() }
}

impl Gpu {
    /// The emulated one of this number, or the real card.
    pub fn open(ordinal: usize) -> Self {
        let device = opened(ordinal);
        let stream = device.stream().unwrap();
        Self { device, stream, emulated: !on_real_card() }
    }
}

/// A device newly opened: the emulated one of this number, or the real card.
pub fn opened(ordinal: usize) -> Device {
    let images = match on_real_card() {
        true => KernelImages::find().unwrap(),
        false => KernelImages::file(emulator().built.image.clone()).unwrap(),
    };
    let device = Device::open_with(ordinal, &images).unwrap_or_else(|error| panic!("{}", chain(&error)));
    let name = device.name();
    let is_card = !name.starts_with("emulated");
    assert!(is_card == on_real_card(), "{name} is no card: the emulator is loaded already");
    device
}

/// The circumstances of one check.
pub struct Run {
    pub gpu: &'static Gpu,
    pub seed: u64,
}

/// Device memory that begins some elements after an aligned address.
pub struct Buffer<T> {
    memory: CudaSlice<T>,
    offset: usize,
    length: usize,
}

impl<T> Buffer<T> {
    pub fn view(&self) -> CudaView<'_, T> {
        self.memory.slice(self.offset..self.offset + self.length)
    }

    pub fn view_mut(&mut self) -> CudaViewMut<'_, T> {
        self.memory.slice_mut(self.offset..self.offset + self.length)
    }
}

impl Run {
    /// On a device, under a schedule (of [`SCHEDULES`]), with a seed.
    pub fn new(gpu: &'static Gpu, schedule: usize, seed: u64) -> Self {
        if gpu.emulated {
            emulator().set_schedule(match schedule {
                0 => Schedule::FirstInFirstOut,
                1 => Schedule::LastInFirstOut,
                _ => Schedule::Random(seed),
            });
        }
        Self { gpu, seed }
    }

    pub fn kernels(&self) -> &'static Kernels {
        self.gpu.device.kernels()
    }

    pub fn stream(&self) -> &'static Arc<CudaStream> {
        &self.gpu.stream
    }

    /// Random numbers of this run's seed.
    pub fn random(&self) -> Random {
        Random::new(self.seed)
    }

    /// Device memory with these values, `offset` elements off an aligned address: 0 is aligned.
    pub fn upload<T: DeviceRepr + Clone>(&self, values: &[T], offset: usize) -> Result<Buffer<T>, String> {
        let mut buffer = self.poisoned(values.len(), offset)?;
        if !values.is_empty() {
            self.explain(self.gpu.stream.memcpy_htod(values, &mut buffer.view_mut()))?;
        }
        Ok(buffer)
    }

    /// Device memory of `length` elements whose bytes are all 0xFF: NaN in floats.
    pub fn poisoned<T: DeviceRepr>(&self, length: usize, offset: usize) -> Result<Buffer<T>, String> {
        let stream = &self.gpu.stream;
        // SAFETY: every byte is set before anything reads it.
        let mut memory = self.explain(unsafe { stream.alloc::<T>((offset + length).max(1)) })?;
        let bytes = memory.num_bytes();
        {
            // SAFETY: as many bytes as the memory has.
            let mut bytes = unsafe { memory.transmute_mut::<u8>(bytes) }.ok_or("no view of the bytes")?;
            self.explain(stream.memcpy_htod(&vec![0xFF_u8; bytes.len()], &mut bytes))?;
        }
        Ok(Buffer { memory, offset, length })
    }

    /// The buffer's values after all work on the stream; an error if a kernel failed.
    pub fn download<T: DeviceRepr + Default + Clone>(&self, buffer: &Buffer<T>) -> Result<Vec<T>, String> {
        let mut values = vec![T::default(); buffer.length];
        if buffer.length > 0 {
            self.explain(self.gpu.stream.memcpy_dtoh(&buffer.view(), &mut values))?;
        }
        self.explain(self.gpu.stream.synchronize())?;
        Ok(values)
    }

    fn explain<T>(&self, result: Result<T, DriverError>) -> Result<T, String> {
        result.map_err(|error| error.to_string())
    }
}

/// Of the combinations, every so many are run: `COTANGENT_TEST_EVERY`, 1 where it is not set. For tools that make
/// kernels slow, such as compute-sanitizer; what is left no longer holds every pair of levels.
fn every() -> usize {
    match std::env::var("COTANGENT_TEST_EVERY") {
        Ok(value) if !value.is_empty() => match value.parse::<usize>() {
            Ok(every) if every > 0 => every,
            _ => panic!("COTANGENT_TEST_EVERY is {value:?}, not a number from 1 on"),
        },
        _ => 1,
    }
}

/// Runs `check` on combinations of levels, one of each factor, such that every pair of levels of every
/// two factors occurs, devices, schedules and seeds among them. The first failure, described.
///
/// Under sanitizers, and with `COTANGENT_TEST_EVERY`, it runs some of the combinations only.
pub fn pairwise(
    factors: &[(&str, usize)],
    check: impl Fn(&Run, &[usize]) -> Result<(), String>,
) -> Result<(), String> {
    pairwise_among(&gpus().iter().collect::<Vec<_>>(), factors, check)
}

/// As [`pairwise`], on the devices alone that have the kernels of `kernels/hopper/`. A card may have none of them; the
/// emulated device of 9.0 has.
pub fn pairwise_on_hopper(
    factors: &[(&str, usize)],
    check: impl Fn(&Run, &Hopper, &[usize]) -> Result<(), String>,
) -> Result<(), String> {
    let having: Vec<&Gpu> = gpus().iter().filter(|gpu| gpu.device.kernels().hopper.is_some()).collect();
    assert!(!having.is_empty() || on_real_card(), "no emulated device has the kernels of kernels/hopper");
    if having.is_empty() {
        return Ok(());
    }
    pairwise_among(&having, factors, |run, pick| {
        let hopper = run.kernels().hopper.as_ref().ok_or("a device lost its kernels")?;
        check(run, hopper, pick)
    })
}

fn pairwise_among(
    gpus: &[&'static Gpu],
    factors: &[(&str, usize)],
    check: impl Fn(&Run, &[usize]) -> Result<(), String>,
) -> Result<(), String> {
    let schedules = if gpus[0].emulated { SCHEDULES } else { 1 };
    let circumstances = [("device", gpus.len()), ("schedule", schedules), ("seed", SEEDS)];
    let all = [&circumstances, factors].concat();
    for pick in sample(&all) {
        let run = Run::new(gpus[pick[0]], pick[1], pick[2] as u64);
        check(&run, &pick[3..]).map_err(|problem| described(&run, problem, &all, &pick))?;
    }
    Ok(())
}

/// As [`pairwise`], but each combination of the factors on every device and under every schedule.
pub fn everywhere(
    factors: &[(&str, usize)],
    check: impl Fn(&Run, &[usize]) -> Result<(), String>,
) -> Result<(), String> {
    let gpus = gpus();
    let schedules = if gpus[0].emulated { SCHEDULES } else { 1 };
    for pick in sample(factors) {
        for (device, gpu) in gpus.iter().enumerate() {
            for schedule in 0..schedules {
                let run = Run::new(gpu, schedule, 0);
                check(&run, &pick).map_err(|problem| {
                    let problem = format!("device {device}, schedule {schedule}: {problem}");
                    described(&run, problem, factors, &pick)
                })?;
            }
        }
    }
    Ok(())
}

/// Combinations of levels, fewer of them under sanitizers, whose kernels are slow.
fn sample(factors: &[(&str, usize)]) -> impl Iterator<Item = Vec<usize>> {
    let levels: Vec<usize> = factors.iter().map(|&(_, levels)| levels).collect();
    let stride = match sanitizer() {
        Sanitizer::None => 1,
        Sanitizer::Address => 3,
        Sanitizer::Thread => 7,
        Sanitizer::Counts => 1, // whose checks are chosen one by one
    };
    combinations(&levels).into_iter().step_by(stride * every())
}

/// A failure with the fault behind it and the levels that led to it. A fault stays until it is forgotten; others
/// on this thread must not suffer from it.
fn described(run: &Run, problem: String, factors: &[(&str, usize)], pick: &[usize]) -> String {
    let fault = if run.gpu.emulated { emulator().take_fault() } else { None };
    let _ = run.stream().context().check_err(); // which also forgets it
    let fault = fault.map_or(String::new(), |fault| format!(": {fault}"));
    let case: Vec<String> =
        factors.iter().zip(pick).map(|((name, _), level)| format!("{name} {level}")).collect();
    format!("{problem}{fault} ({})", case.join(", "))
}

/// Combinations that hold every pair of levels of every two factors: greedily, each combination is
/// built around a pair that is missing and takes the levels that cover most others.
fn combinations(levels: &[usize]) -> Vec<Vec<usize>> {
    let count = levels.len();
    let mut missing: std::collections::BTreeSet<(usize, usize, usize, usize)> = (0..count)
        .flat_map(|a| (a + 1..count).map(move |b| (a, b)))
        .flat_map(|(a, b)| (0..levels[a]).flat_map(move |i| (0..levels[b]).map(move |j| (a, i, b, j))))
        .collect();
    let mut all = Vec::new();
    while let Some(&(a, i, b, j)) = missing.first() {
        let mut pick: Vec<Option<usize>> = vec![None; count];
        (pick[a], pick[b]) = (Some(i), Some(j));
        for factor in 0..count {
            if pick[factor].is_some() {
                continue;
            }
            let covered = |level: usize| {
                let pairs = pick.iter().enumerate().filter_map(|(other, chosen)| {
                    chosen.map(|chosen| {
                        if other < factor {
                            (other, chosen, factor, level)
                        } else {
                            (factor, level, other, chosen)
                        }
                    })
                });
                pairs.filter(|pair| missing.contains(pair)).count()
            };
            // Where nothing is to be gained, the levels take turns.
            let start = all.len();
            pick[factor] = (0..levels[factor])
                .map(|turn| (start + turn) % levels[factor])
                .rev()
                .max_by_key(|&level| covered(level));
        }
        let pick: Vec<usize> = pick.into_iter().map(|level| level.unwrap_or(0)).collect();
        for a in 0..count {
            for b in a + 1..count {
                missing.remove(&(a, pick[a], b, pick[b]));
            }
        }
        all.push(pick);
    }
    all
}

#[test]
fn combinations_hold_every_pair_of_levels_and_are_few() {
    let levels = [3, 3, 5, 8, 8, 4, 2];
    let all = combinations(&levels);
    for a in 0..levels.len() {
        for b in a + 1..levels.len() {
            for i in 0..levels[a] {
                for j in 0..levels[b] {
                    assert!(all.iter().any(|pick| pick[a] == i && pick[b] == j), "{a}: {i}, {b}: {j}");
                }
            }
        }
    }
    assert!(all.len() < 2 * 64, "{} combinations", all.len());
}
