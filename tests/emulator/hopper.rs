//! What compute capability 9.0 brought: barriers that count bytes, TMA, wgmma, clusters, grids that overlap. The mistakes
//! of `planted/hopper/` are found, each sound twin passes, and the driver refuses tensor maps that a real one refuses.

use cudarc::driver::CudaSlice;
use cudarc::driver::sys::{
    CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode, CUtensorMapDataType, CUtensorMapSwizzle,
};
use half::bf16;

use super::place::{Argument, Attribute, Encoding, PLANTED, Place, Run, compare, findings, input, report_of};
use super::{Sanitizer, Schedule, emulator};
use crate::support::everything;

/// The emulated device of compute capability 9.0.
const DEVICE: usize = 2;

// ---- Tensor maps

/// Of the shapes that the planted kernels use.
impl Encoding {
    /// Rows of `columns` float32 in boxes of one row.
    fn of_rows(address: u64, rows: usize, columns: usize) -> Self {
        Self {
            of: CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
            rank: 2,
            address,
            extents: vec![columns as u64, rows as u64],
            strides: vec![4 * columns as u64],
            boxed: vec![columns as u32, 1],
            swizzle: CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_NONE,
        }
    }

    /// Rows of `columns` bfloat16 in boxes of all rows and 128 bytes, swizzled as wgmma reads them.
    fn of_tiles(address: u64, rows: usize, columns: usize) -> Self {
        Self {
            of: CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
            strides: vec![2 * columns as u64],
            boxed: vec![64, rows as u32],
            swizzle: CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
            ..Self::of_rows(address, rows, columns)
        }
    }
}

#[test]
fn tensor_maps_that_the_hardware_cannot_follow_are_refused() {
    use CUtensorMapSwizzle::*;
    let _ = Place::new(DEVICE, "sound_ring");
    let sound = Encoding { boxed: vec![32, 8], ..Encoding::of_rows(0x1000, 64, 64) };
    let refused = |change: fn(&mut Encoding)| {
        let mut encoding = sound.clone();
        change(&mut encoding);
        encoding.encoded().map(|_| ())
    };
    assert_eq!(refused(|_| ()), Ok(()));
    assert_eq!(refused(|map| map.swizzle = CU_TENSOR_MAP_SWIZZLE_128B), Ok(()));
    assert_eq!(refused(|map| map.boxed[1] = 256), Ok(()));
    assert_eq!(refused(|map| map.strides[0] += 16), Ok(()), "rows that lie apart");
    type Change = fn(&mut Encoding);
    let cases: [(&str, Change); 15] = [
        ("no address", |map| map.address = 0),
        ("an address between multiples of 16", |map| map.address += 8),
        ("a stride between multiples of 16", |map| map.strides[0] += 8),
        ("a stride of 2^40 bytes", |map| map.strides[0] = 1 << 40),
        ("rows that overlap", |map| map.strides[0] -= 16),
        ("a box of 257 rows", |map| map.boxed[1] = 257),
        ("a box of no rows", |map| map.boxed[1] = 0),
        ("box rows of 24 bytes", |map| map.boxed[0] = 6),
        ("box rows wider than the swizzle of 128", |map| {
            (map.boxed[0], map.swizzle) = (64, CU_TENSOR_MAP_SWIZZLE_128B);
        }),
        ("box rows wider than the swizzle of 32", |map| map.swizzle = CU_TENSOR_MAP_SWIZZLE_32B),
        ("rank 0", |map| map.rank = 0),
        ("rank 6", |map| {
            map.rank = 6;
            map.extents = vec![64, 64, 1, 1, 1, 1];
            map.strides = vec![256, 1 << 14, 1 << 14, 1 << 14, 1 << 14];
            map.boxed = vec![32, 8, 1, 1, 1, 1];
        }),
        ("no columns", |map| map.extents[0] = 0),
        ("no rows", |map| map.extents[1] = 0),
        ("more than 2^32 rows", |map| map.extents[1] = (1 << 32) + 1),
    ];
    for (what, change) in cases {
        assert_eq!(refused(change), Err(CUresult::CUDA_ERROR_INVALID_VALUE), "{what}");
    }
}

// ---- What the kernels compute

const COLUMNS: usize = 64;
/// Tiles that go through a ring of two stages: enough that each stage is used four times.
const TILES: usize = 7;

/// A kernel on the device of compute capability 9.0, and memory there.
struct Bench {
    place: Place,
}

impl Bench {
    fn new(kernel: &str) -> Self {
        Self { place: Place::new(DEVICE, kernel) }
    }

    fn of<T: cudarc::driver::DeviceRepr>(&self, values: &[T]) -> CudaSlice<T> {
        self.place.stream.clone_htod(values).unwrap()
    }

    fn nothing(&self, n: usize) -> CudaSlice<f32> {
        self.of(&vec![f32::NAN; n])
    }

    fn address<T>(&self, memory: &CudaSlice<T>) -> Argument {
        self.place.address(memory)
    }

    /// The map of rows of 64 float32.
    fn rows(&self, memory: &CudaSlice<f32>) -> Argument {
        let Argument::Address(address) = self.address(memory) else { unreachable!() };
        Encoding::of_rows(address, memory.len() / COLUMNS, COLUMNS).argument()
    }

    /// The map of tiles of 64 bfloat16 across.
    fn tiles(&self, memory: &CudaSlice<bf16>, rows: usize) -> Argument {
        let Argument::Address(address) = self.address(memory) else { unreachable!() };
        Encoding::of_tiles(address, rows, memory.len() / rows).argument()
    }

    fn launch(&self, blocks: usize, threads: usize, attributes: &[Attribute], mut arguments: Vec<Argument>) {
        self.place.launch_with((blocks as u32, 1, 1), threads, attributes, &mut arguments).unwrap();
    }

    fn result(&self, memory: &CudaSlice<f32>) -> Result<Vec<f32>, String> {
        self.place.result(memory)
    }
}

/// The element of rows of 64, or of so many, that lies opposite in its row.
fn mirrored(i: usize, columns: usize) -> f32 {
    input(i / columns * columns + columns)[i / columns * columns + columns - 1 - i % columns]
}

fn run_ring(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let n = TILES * 2 * COLUMNS;
    let (from, out) = (bench.of(&input(n)), bench.nothing(n));
    let arguments = vec![bench.rows(&from), bench.address(&out), Argument::Number(TILES as i32)];
    bench.launch(1, 96, &[], arguments);
    compare(&bench.result(&out)?, |i| mirrored(i, COLUMNS))
}

fn run_relay(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let n = TILES * 32;
    let (from, out) = (bench.of(&input(n)), bench.nothing(n));
    let arguments = vec![bench.address(&from), bench.address(&out), Argument::Number(TILES as i32)];
    bench.launch(1, 64, &[], arguments);
    compare(&bench.result(&out)?, |i| mirrored(i, 32))
}

fn run_staging(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let n = TILES * COLUMNS;
    let (from, out) = (bench.of(&input(n)), bench.nothing(n));
    let arguments = vec![bench.address(&from), bench.rows(&out), Argument::Number(TILES as i32)];
    bench.launch(1, 64, &[], arguments);
    compare(&bench.result(&out)?, |i| mirrored(i, COLUMNS))
}

fn run_staging_adds(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let n = TILES * COLUMNS;
    let (from, out) = (bench.of(&input(n)), bench.of(&vec![1.5; n]));
    let arguments = vec![bench.address(&from), bench.rows(&out), Argument::Number(TILES as i32)];
    bench.launch(2, 64, &[], arguments);
    compare(&bench.result(&out)?, |i| 1.5 + 2.0 * mirrored(i, COLUMNS))
}

fn run_read_back(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let n = TILES * COLUMNS;
    let (from, stored, copy) = (bench.of(&input(n)), bench.nothing(n), bench.nothing(n));
    let rows = Argument::Number(TILES as i32);
    let arguments =
        vec![bench.address(&from), bench.rows(&stored), bench.address(&stored), bench.address(&copy), rows];
    bench.launch(1, 64, &[], arguments);
    compare(&bench.result(&stored)?, |i| mirrored(i, COLUMNS))?;
    compare(&bench.result(&copy)?, |i| mirrored(i, COLUMNS))
}

fn run_copy(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let n = TILES * COLUMNS;
    let (from, out) = (bench.of(&input(n)), bench.nothing(n));
    bench.launch(1, 32, &[], vec![bench.rows(&from), bench.rows(&out), Argument::Number(TILES as i32)]);
    compare(&bench.result(&out)?, |i| input(n)[i])
}

/// Small whole numbers, whose products and sums bfloat16 and float32 hold exactly.
fn factor(rows: usize, columns: usize) -> Vec<bf16> {
    (0..rows * columns)
        .map(|i| bf16::from_f32((i * 7 % 11) as f32 - 5.0 + (i / columns % 3) as f32))
        .collect()
}

fn compare_product(found: &[f32], k: usize) -> Result<(), String> {
    let (a, b) = (factor(64, k), factor(16, k));
    compare(found, |i| (0..k).map(|j| f32::from(a[i / 16 * k + j]) * f32::from(b[i % 16 * k + j])).sum())
}

fn run_product(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let (tiles, k) = (5, 5 * 64);
    let (a, b, out) = (bench.of(&factor(64, k)), bench.of(&factor(16, k)), bench.nothing(64 * 16));
    let arguments =
        vec![bench.tiles(&a, 64), bench.tiles(&b, 16), bench.address(&out), Argument::Number(tiles)];
    bench.launch(1, 160, &[], arguments);
    compare_product(&bench.result(&out)?, k)
}

fn run_written_product(kernel: &str) -> Result<(), String> {
    run_small_product(kernel, 256)
}

fn run_product_of_fragments(kernel: &str) -> Result<(), String> {
    run_small_product(kernel, 128)
}

fn run_small_product(kernel: &str, threads: usize) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let k = 64;
    let (a, b, out) = (bench.of(&factor(64, k)), bench.of(&factor(16, k)), bench.nothing(64 * 16));
    let arguments =
        vec![bench.address(&a), bench.address(&b), bench.address(&out), Argument::Number(k as i32)];
    bench.launch(1, threads, &[], arguments);
    compare_product(&bench.result(&out)?, k)
}

fn run_multicast(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let of_cluster = TILES * 2 * COLUMNS;
    let (from, out) = (bench.of(&input(2 * of_cluster)), bench.nothing(4 * of_cluster));
    let arguments = vec![bench.rows(&from), bench.address(&out), Argument::Number(TILES as i32)];
    bench.launch(4, 96, &[Attribute::Cluster(2, 1, 1)], arguments);
    compare(&bench.result(&out)?, |i| mirrored(i / (2 * of_cluster) * of_cluster + i % of_cluster, COLUMNS))
}

fn run_handshake(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let (from, out) = (bench.of(&input(4 * 64)), bench.nothing(4 * 64));
    let arguments = vec![bench.address(&from), bench.address(&out), Argument::Number(0)];
    bench.launch(4, 64, &[Attribute::Cluster(2, 1, 1)], arguments);
    compare(&bench.result(&out)?, |i| mirrored(i ^ 64, 64))
}

/// A graph of three grids in a row, numbered.
fn run_three_grids(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let n = 3 * 64;
    let (from, first, second, third) =
        (bench.of(&input(n)), bench.nothing(n), bench.nothing(n), bench.nothing(n));
    let stream = &bench.place.stream;
    stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).unwrap();
    for number in 0..3 {
        let memory = [&from, &first, &second, &third].map(|memory| bench.address(memory));
        bench.launch(3, 64, &[Attribute::Overlaps], [&memory[..], &[Argument::Number(number)]].concat());
    }
    let graph = stream.end_capture(CUgraphInstantiate_flags(0)).unwrap().unwrap();
    let _ = graph.launch(); // a fault shows below
    compare(&bench.result(&third)?, |i| 3.0 * mirrored(i, n))
}

fn run_chain(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let (from, out, flags) = (bench.of(&input(4)), bench.nothing(4), bench.of(&[0u32; 4]));
    let arguments = vec![bench.address(&from), bench.address(&out), bench.address(&flags)];
    bench.launch(4, 32, &[Attribute::Cooperative], arguments);
    compare(&bench.result(&out)?, |i| input(i + 1).iter().sum())
}

fn run_registers(kernel: &str) -> Result<(), String> {
    let bench = Bench::new(kernel);
    let (from, out) = (bench.of(&input(384)), bench.nothing(384));
    bench.launch(1, 384, &[], vec![bench.address(&from), bench.address(&out), Argument::Number(0)]);
    compare(&bench.result(&out)?, |i| input(384)[i])
}

// ---- The kernels

const SOUND: [(&str, Run); 15] = [
    ("sound_ring", run_ring),
    ("sound_ring_cleared", run_ring),
    ("sound_relay", run_relay),
    ("sound_staging", run_staging),
    ("sound_staging_adds", run_staging_adds),
    ("sound_read_back", run_read_back),
    ("sound_copy", run_copy),
    ("sound_product", run_product),
    ("sound_product_of_written", run_written_product),
    ("sound_product_of_fragments", run_product_of_fragments),
    ("sound_multicast", run_multicast),
    ("sound_handshake", run_handshake),
    ("sound_three_grids", run_three_grids),
    ("sound_chain", run_chain),
    ("sound_registers", run_registers),
];

/// A kernel with a mistake, and how it is found.
struct Bug {
    kernel: &'static str,
    run: Run,
    /// Under every schedule, or under some of them.
    always: bool,
    /// What the report says: one of these, parted by bars.
    message: &'static str,
    /// Whether ThreadSanitizer finds it, whatever the schedule shows.
    races: bool,
}

const fn always(kernel: &'static str, run: Run, message: &'static str) -> Bug {
    Bug { kernel, run, always: true, message, races: false }
}

const fn sometimes(kernel: &'static str, run: Run, message: &'static str) -> Bug {
    Bug { kernel, run, always: false, message, races: false }
}

impl Bug {
    const fn and_races(self) -> Self {
        Self { races: true, ..self }
    }
}

const BUGS: &[Bug] = &[
    sometimes("planted_ring_barrier_not_there", run_ring, "is not initialised"),
    always("planted_ring_no_init_fence", run_ring, "without fence.mbarrier_init"),
    always("planted_ring_initialised_by_all", run_ring, "initialised twice"),
    always("planted_ring_one_arrival_too_many", run_ring, "lacks 1 arrivals"),
    sometimes("planted_ring_one_arrival_too_few", run_ring, "wrong value").and_races(),
    always("planted_ring_full_lacks_an_arrival", run_ring, "lacks 1 arrivals"),
    always("planted_ring_lanes_arrive", run_ring, "more arrivals than"),
    sometimes("planted_ring_parity_never_flips", run_ring, "wrong value|deadlock").and_races(),
    always("planted_ring_producer_starts_late", run_ring, "deadlock:"),
    always("planted_ring_consumers_start_early", run_ring, "more arrivals than|deadlock:"),
    always("planted_ring_expects_too_little", run_ring, "lands after its barrier's phase is over|deadlock:"),
    always("planted_ring_expects_too_much", run_ring, "lacks 0 arrivals and 256 bytes"),
    sometimes("planted_ring_expects_nothing", run_ring, "lands after its barrier's phase is over"),
    always("planted_ring_stage_not_waited_for", run_ring, "more arrivals than|deadlock:").and_races(),
    sometimes("planted_ring_arrives_before_reading", run_ring, "wrong value").and_races(),
    sometimes("planted_ring_one_warp_arrives", run_ring, "wrong value|two phases behind").and_races(),
    sometimes("planted_ring_tile_not_waited_for", run_ring, "wrong value").and_races(),
    always("planted_ring_misaligned", run_ring, "misaligned"),
    always("planted_ring_stage_too_small", run_ring, "leaves"),
    sometimes("planted_ring_loads_one_too_many", run_ring, "ends while"),
    always("planted_ring_cleared_without_fence", run_ring, "without fence.proxy.async"),
    sometimes("planted_ring_cleared_after_fence", run_ring, "without fence.proxy.async"),
    sometimes("planted_relay_runs_ahead", run_relay, "is two phases behind").and_races(),
    always("planted_relay_invalidated_early", run_relay, "is not initialised|while threads wait for it"),
    always("planted_relay_overwritten", run_relay, "was overwritten"),
    always("planted_staging_no_fence", run_staging, "without fence.proxy.async"),
    always("planted_staging_fence_by_another", run_staging, "without fence.proxy.async"),
    always("planted_staging_fence_before_writing", run_staging, "without fence.proxy.async"),
    sometimes("planted_staging_no_barrier", run_staging, "wrong value").and_races(),
    sometimes("planted_staging_source_not_waited_for", run_staging, "wrong value").and_races(),
    sometimes("planted_staging_waits_one_short", run_staging, "wrong value").and_races(),
    sometimes("planted_staging_another_waits", run_staging, "ends while").and_races(),
    sometimes("planted_staging_no_wait_at_end", run_staging, "ends while"),
    sometimes("planted_staging_no_commit", run_staging, "ends while"),
    always("planted_staging_misaligned", run_staging, "misaligned"),
    sometimes("planted_read_back_too_early", run_read_back, "wrong value").and_races(),
    sometimes("planted_copy_overwrites_source", run_copy, "wrong value").and_races(),
    sometimes("planted_product_tile_not_waited_for", run_product, "wrong value").and_races(),
    always("planted_product_no_wgmma_fence", run_product, "wgmma without wgmma.fence"),
    always("planted_product_no_commit", run_product, "ends while the wgmma"),
    always("planted_product_waits_one_short", run_product, "ends while the wgmma"),
    always("planted_product_reads_before_wait", run_product, "wrong value"),
    sometimes("planted_product_arrives_before_wait", run_product, "wrong value").and_races(),
    always("planted_product_wrong_stride", run_product, "wrong value"),
    always("planted_product_wrong_swizzle", run_product, "wrong value"),
    always("planted_product_atom_misaligned", run_product, "misaligned"),
    always("planted_product_half_a_warpgroup", run_product, "divergent warpgroup operations"),
    always("planted_product_lanes_disagree", run_product, "descriptors differ"),
    always("planted_product_no_wait_at_end", run_product, "ends while"),
    always("planted_product_no_proxy_fence", run_written_product, "without fence.proxy.async"),
    always("planted_product_fence_before_writing", run_written_product, "without fence.proxy.async"),
    always("planted_product_fence_by_one", run_written_product, "without fence.proxy.async"),
    sometimes("planted_product_no_barrier", run_written_product, "wrong value").and_races(),
    sometimes("planted_product_overwritten", run_written_product, "wrong value").and_races(),
    always("planted_product_fragments_changed", run_product_of_fragments, "fragments of A were changed"),
    always("planted_product_fragments_replaced", run_product_of_fragments, "fragments of A were changed"),
    always("planted_product_scaled_without_fence", run_product_of_fragments, "wgmma without wgmma.fence"),
    sometimes("planted_multicast_before_neighbour_begins", run_multicast, "is not initialised|has not begun"),
    always("planted_multicast_no_init_fence", run_multicast, "without fence.mbarrier_init"),
    sometimes("planted_multicast_neighbour_leaves", run_multicast, "ends while|has ended"),
    sometimes("planted_multicast_arrives_at_ended", run_multicast, "has ended"),
    sometimes("planted_multicast_counts_own_readers", run_multicast, "wrong value").and_races(),
    always("planted_multicast_neighbour_not_told", run_multicast, "lacks 64 arrivals"),
    always(
        "planted_multicast_expects_own_row",
        run_multicast,
        "lands after its barrier's phase is over|deadlock:",
    ),
    always("planted_handshake_no_init_fence", run_handshake, "without fence.mbarrier_init"),
    sometimes("planted_handshake_reads_at_once", run_handshake, "wrong value").and_races(),
    sometimes("planted_handshake_leaves_at_once", run_handshake, "has ended"),
    sometimes("planted_handshake_arrives_once_more", run_handshake, "has ended"),
    sometimes("planted_grids_last_does_not_wait", run_three_grids, "wrong value").and_races(),
    sometimes("planted_grids_second_does_not_wait", run_three_grids, "wrong value").and_races(),
    sometimes("planted_grids_begin_too_early", run_three_grids, "wrong value").and_races(),
    always("planted_chain_flag_never_set", run_chain, "deadlock:"),
    always("planted_chain_wait_for_one_another", run_chain, "deadlock:"),
    always("planted_too_many_registers", run_registers, "waits in setmaxnreg.inc"),
    always(
        "planted_registers_for_half",
        run_registers,
        "waits in setmaxnreg.inc|threads of the warpgroup have returned",
    ),
];

// ---- The tests

/// Random schedules beside the two others: what only an order or moment in ten shows, one of these does.
const RANDOM: u64 = 12;

#[test]
fn sound_kernels_pass_under_every_schedule() {
    for (kernel, run) in SOUND {
        for (number, finding) in findings(kernel, run, RANDOM).into_iter().enumerate() {
            assert_eq!(finding, Ok(()), "{kernel} under schedule {number}");
        }
    }
}

/// Why a bug counts as not found; nothing if it is found.
fn missed(bug: &Bug) -> Option<String> {
    let found = findings(bug.kernel, bug.run, RANDOM);
    let fits = |finding: &Result<(), String>| {
        finding.as_ref().is_err_and(|problem| bug.message.split('|').any(|part| problem.contains(part)))
    };
    let (count, others) =
        (found.iter().filter(|finding| fits(finding)).count(), found.iter().find(|finding| !fits(finding)));
    println!("{} {count} of {}: {}; else {others:?}", bug.kernel, found.len(), bug.message);
    let is_found = if bug.always { count == found.len() } else { count > 0 };
    (!is_found).then(|| {
        format!("{}: {count} of {} findings say {:?}: {found:#?}", bug.kernel, found.len(), bug.message)
    })
}

#[test]
fn every_planted_mistake_is_found_and_the_report_says_which() {
    let missed: Vec<String> = BUGS.iter().filter_map(missed).collect();
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), BUGS.len(), missed.join("\n"));
}

#[test]
fn a_tensor_map_of_memory_that_was_freed_is_found() {
    for schedule in [Schedule::FirstInFirstOut, Schedule::LastInFirstOut] {
        emulator().set_schedule(schedule);
        let attempt = || {
            let bench = Bench::new("sound_ring");
            let n = TILES * 2 * COLUMNS;
            let (from, out) = (bench.of(&input(n)), bench.nothing(n));
            let map = bench.rows(&from);
            drop(from);
            bench.launch(1, 96, &[], vec![map, bench.address(&out), Argument::Number(TILES as i32)]);
            bench.result(&out).err()
        };
        // Other tests allocate at the same time, perhaps at that address.
        let problem = (0..50).find_map(|_| attempt()).unwrap();
        assert!(problem.contains("nothing is allocated"), "{problem}");
    }
}

// ---- Under sanitizers

/// Runs the kernels that COTANGENT_PLANTED names, in a process of its own: see below.
#[test]
fn planted_kernels_in_their_own_process() {
    let Ok(wanted) = std::env::var(PLANTED) else { return };
    let racy = BUGS.iter().filter(|bug| bug.races).map(|bug| (bug.kernel, bug.run));
    for (kernel, run) in racy.chain(SOUND).filter(|(kernel, _)| wanted.split(' ').any(|name| name == *kernel))
    {
        for schedule in [Schedule::FirstInFirstOut, Schedule::LastInFirstOut, Schedule::Random(1)] {
            emulator().set_schedule(schedule);
            let _ = run(kernel);
        }
        println!("ran {kernel}");
    }
}

/// The test that runs them.
const SOME: &str = "emulator::hopper::planted_kernels_in_their_own_process";

/// Of the races those between TMA and tensor cores: no line of the kernel accesses what they meet at.
const BESIDE_THREADS: [&str; 4] = [
    "planted_ring_stage_not_waited_for",
    "planted_copy_overwrites_source",
    "planted_product_tile_not_waited_for",
    "planted_product_arrives_before_wait",
];

#[test]
fn thread_sanitizer_finds_what_is_used_too_early_and_names_the_file() {
    let is_found = |kernel: &str| {
        let report = report_of(Sanitizer::Thread, SOME, kernel);
        let is_named = report.contains("planted/hopper/") || BESIDE_THREADS.contains(&kernel);
        report.contains("WARNING: ThreadSanitizer: data race") && is_named
    };
    // A process takes a second: a quarter of them here, all of them with COTANGENT_TEST_ALL=1.
    let every = if everything() { 1 } else { 4 };
    let racy = BUGS.iter().filter(|bug| bug.races).map(|bug| bug.kernel).step_by(every);
    let missed: Vec<&str> = racy.filter(|kernel| !is_found(kernel)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn sanitizers_let_sound_kernels_pass() {
    let all = SOUND.map(|(kernel, _)| kernel).join(" ");
    for sanitizer in [Sanitizer::Thread, Sanitizer::Address] {
        let report = report_of(sanitizer, SOME, &all);
        assert_eq!(report.matches("ran sound_").count(), SOUND.len(), "{report}");
        assert!(!report.contains("Sanitizer:") && !report.contains("runtime error"), "{report}");
    }
}
