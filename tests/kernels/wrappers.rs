//! Hopper's instructions, each by itself: `kernels/fixtures/hopper/wrappers.cu` on the emulated device of capability 9.0 or
//! on a card, against a few lines of Rust that say where each number must be.
//!
//! All numbers are small integers, so every sum is exact and both devices must give the same bits. With
//! `COTANGENT_RECORD=FILE` a card's are written down; `docs/gpu/hopper-wrappers.csv` is such a record, and the emulator is
//! held against it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cudarc::driver::sys::{CUtensorMapDataType, CUtensorMapSwizzle};
use cudarc::driver::{CudaContext, CudaModule, CudaSlice, CudaStream, DevicePtr, DeviceRepr};
use cudarc::nvrtc::Ptx;
use half::bf16;

use super::support::on_real_card;
use crate::emulator::emulator;
use crate::emulator::place::{Argument, Attribute, Encoding, Place};
use crate::support::Random;

const THREADS: usize = 128;

/// A device with the kernels on it.
struct Wrappers {
    stream: Arc<CudaStream>,
    module: Arc<CudaModule>,
}

impl Wrappers {
    /// None on a card that is no Hopper.
    fn open() -> Option<Self> {
        let emulated = (!on_real_card()).then(|| emulator().built.image.clone());
        let context = CudaContext::new(if emulated.is_some() { 2 } else { 0 }).unwrap();
        if context.compute_capability().unwrap() != (9, 0) {
            println!("this card is no Hopper: nothing to check");
            return None;
        }
        let Some(image) = emulated.or_else(candidate) else {
            println!("COTANGENT_CUDA_CANDIDATES names no folder with these kernels: nothing to check");
            return None;
        };
        // SAFETY: one stream.
        unsafe { context.disable_event_tracking() };
        let bytes = std::fs::read(&image).unwrap_or_else(|error| panic!("{}: {error}", image.display()));
        let module = context.load_module(Ptx::from_binary([bytes, vec![0]].concat())).unwrap();
        Some(Self { stream: context.new_stream().unwrap(), module })
    }

    fn upload<T: DeviceRepr>(&self, values: &[T]) -> CudaSlice<T> {
        self.stream.clone_htod(values).unwrap()
    }

    fn download<T: DeviceRepr + Clone + Default>(&self, memory: &CudaSlice<T>) -> Vec<T> {
        self.stream.clone_dtoh(memory).unwrap()
    }

    fn address<T>(&self, memory: &CudaSlice<T>) -> Argument {
        Argument::Address(memory.device_ptr(&self.stream).0)
    }

    /// Runs a kernel of `blocks` blocks, which are a cluster. A fault ends all: nothing works after it on a card.
    fn run(&self, kernel: &str, blocks: u32, shared: usize, arguments: &mut [Argument]) {
        let function = self.module.load_function(kernel).unwrap_or_else(|error| panic!("{kernel}: {error}"));
        let place = Place { stream: self.stream.clone(), function, shared };
        place.launch_with((blocks, 1, 1), THREADS, &[Attribute::Cluster(blocks, 1, 1)], arguments).unwrap();
        let done = self.stream.synchronize();
        let fault = if on_real_card() { None } else { emulator().take_fault() };
        assert!(done.is_ok() && fault.is_none(), "{kernel}: {done:?} {fault:?}");
    }
}

/// The image of the kernels for a card, among those that no program embeds.
fn candidate() -> Option<PathBuf> {
    let folder = std::env::var_os("COTANGENT_CUDA_CANDIDATES").filter(|folder| !folder.is_empty())?;
    Some(Path::new(&folder).join("fixtures.hopper.wrappers.fatbin"))
}

// ---- What each case gave, for the record

/// A case, and what came out of it.
struct Found {
    case: String,
    descriptors: String,
    bytes: Vec<u8>,
    /// How they differ from what they must be.
    problem: Option<String>,
}

impl Found {
    fn new(case: String, bytes: Vec<u8>, expected: &[u8]) -> Self {
        let problem = difference(&bytes, expected);
        Self { case, descriptors: String::new(), bytes, problem }
    }

    /// A line of the record: what identifies all bytes, and the first of them for the eye.
    fn line(&self) -> String {
        let digest = self.bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |digest, &byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3) // FNV-1a
        });
        let first = self.bytes.iter().take(16).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        format!("{},{},{digest:016x},{first}", self.case, self.descriptors)
    }
}

const HEADER: &str = "case,descriptors,digest,first_bytes";

fn bytes_of<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

fn difference(found: &[u8], expected: &[u8]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{} bytes, not {}", found.len(), expected.len()));
    }
    let differing = found.iter().zip(expected).filter(|(a, b)| a != b).count();
    let at = (0..found.len()).find(|&i| found[i] != expected[i])?;
    let near = at / 16 * 16..(at / 16 * 16 + 16).min(found.len());
    Some(format!(
        "{differing} of {} bytes differ, first at {at}: {:02x?}, not {:02x?}",
        found.len(),
        &found[near.clone()],
        &expected[near]
    ))
}

// ---- Where numbers lie in shared memory

/// Where the swizzle of so many bytes (0: none) puts what would lie there.
fn swizzled(offset: usize, span: usize) -> usize {
    if span == 0 { offset } else { offset ^ (offset / 128 % (span / 16) * 16) }
}

/// How the tile of an operand lies: along k or across, in a swizzle of so many bytes.
#[derive(Clone, Copy)]
struct Layout {
    along_k: bool,
    span: usize,
    /// Of a number.
    size: usize,
    /// k before that of the instruction: in the same rows, or in rows before.
    k_before: usize,
}

impl Layout {
    /// k of one instruction.
    fn depth(self) -> usize {
        32 / self.size
    }

    /// Where the number lies in a tile that begins at 0. Tiles in a swizzle are the TMA's boxes: rows of `span` bytes one
    /// under another, and box after box. Without one they are matrices of 8 rows of 16 bytes each.
    fn offset(self, mn: usize, k: usize) -> usize {
        let k = self.k_before + k;
        let (row, byte) = if self.along_k { (mn, k * self.size) } else { (k, mn * self.size) };
        if self.span == 0 {
            return row / 8 * self.row_distance()
                + byte / 16 * self.unit_distance()
                + row % 8 * 16
                + byte % 16;
        }
        let boxes = byte / self.span * self.box_bytes(); // those before it, of an operand across k
        swizzled(boxes + row * self.span + byte % self.span, self.span)
    }

    /// Of a box that holds all k of an operand across it; a row of one along k ends with its box.
    fn box_bytes(self) -> usize {
        (self.k_before + self.depth()) * self.span
    }

    /// Without a swizzle: from 8 rows to the next, and from 16 bytes of a row to the next.
    fn row_distance(self) -> usize {
        if self.along_k { 256 } else { 128 }
    }
    fn unit_distance(self) -> usize {
        if self.along_k { 128 } else { 256 }
    }

    /// The C structure `Operand` of a tile at `offset`.
    fn operand(self, offset: usize) -> Argument {
        let (leading, stride) = match (self.span, self.along_k) {
            (0, _) => (128, 256),
            (span, true) => (16, 8 * span),
            (span, false) => (self.box_bytes(), 8 * span),
        };
        let swizzle = [0, 128, 64, 32].iter().position(|&span| span == self.span).unwrap();
        let offset = offset + self.k_before * if self.along_k { self.size } else { self.span };
        Argument::Words([offset, leading, stride, swizzle].map(|number| number as u32))
    }

    fn name(self) -> String {
        format!(
            "{}b{}",
            self.span,
            if self.k_before > 0 { format!("+{}", self.k_before) } else { String::new() }
        )
    }
}

fn encoded(number: f32, size: usize) -> Vec<u8> {
    if size == 2 { bf16::from_f32(number).to_le_bytes().to_vec() } else { number.to_le_bytes().to_vec() }
}

// ---- wgmma

/// A form of the instruction: its kernels' name, whether A comes from registers, whether each operand lies along k.
const FORMS: [(&str, bool, bool, bool, usize); 8] = [
    ("bf16_k_k", false, true, true, 2),
    ("bf16_k_mn", false, true, false, 2),
    ("bf16_mn_k", false, false, true, 2),
    ("bf16_mn_mn", false, false, false, 2),
    ("bf16_registers_k", true, true, true, 2),
    ("bf16_registers_mn", true, true, false, 2),
    ("tf32_k_k", false, true, true, 4),
    ("tf32_registers_k", true, true, true, 4),
];
const ROWS: usize = 64;
const COLUMNS: [usize; 10] = [8, 16, 32, 48, 64, 96, 128, 160, 192, 256];
/// Those that are tried with every swizzle.
const TRIED_WITH_ALL: [usize; 3] = [8, 64, 256];

fn multiply(device: &Wrappers, form: usize, n: usize, span: usize, k_before: usize) -> Found {
    let (name, from_registers, a_along_k, b_along_k, size) = FORMS[form];
    let layout = |along_k| Layout { along_k, span, size, k_before };
    let (of_a, of_b) = (layout(a_along_k), layout(b_along_k));
    let depth = of_a.depth();
    let case = format!("wgmma {name} {n} {}", layout(true).name());
    let mut random = Random::new((form * 1000 + n + span + k_before) as u64);
    let mut integer = |bound: i32| (random.below(2 * bound as usize + 1) as i32 - bound) as f32;
    let a: Vec<f32> = (0..ROWS * depth).map(|_| integer(4)).collect();
    let b: Vec<f32> = (0..n * depth).map(|_| integer(4)).collect();
    let before: Vec<f32> = (0..ROWS * n).map(|_| integer(100)).collect();

    const B_BEGINS: usize = 8 << 10;
    let mut image = vec![0x3c_u8; B_BEGINS + n.max(64) * 128];
    let mut lay = |begin: usize, layout: Layout, mn: usize, k: usize, number: f32| {
        let at = begin + layout.offset(mn, k);
        image[at..at + size].copy_from_slice(&encoded(number, size));
    };
    for k in 0..depth {
        (0..ROWS).for_each(|row| lay(0, of_a, row, k, a[row * depth + k]));
        (0..n).for_each(|column| lay(B_BEGINS, of_b, column, k, b[column * depth + k]));
    }
    // A's fragments: PTX ISA, "Register Fragments for wgmma.mma_async.m64nNk16" and "...k8".
    let mut fragments = Vec::new();
    for (thread, i) in (0..128).flat_map(|thread| (0..4).map(move |i| (thread, i))) {
        let lane = thread % 32;
        let row = thread / 32 * 16 + lane / 4 + i % 2 * 8;
        let in_register = 4 / size;
        let k = (lane % 4 + i / 2 * 4) * in_register;
        let both: Vec<u8> =
            (0..in_register).flat_map(|half| encoded(a[row * depth + k + half], size)).collect();
        fragments.push(u32::from_le_bytes(both.try_into().unwrap()));
    }
    // The accumulators: the same section, "Accumulator D".
    let registers = n / 2;
    let place = |thread: usize, i: usize| {
        let row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
        row * n + i / 4 * 8 + thread % 4 * 2 + i % 2
    };
    let held = |matrix: &[f32]| -> Vec<f32> {
        (0..128 * registers).map(|at| matrix[place(at / registers, at % registers)]).collect()
    };
    let sum = |row: usize, column: usize| -> f32 {
        (0..depth).map(|k| a[row * depth + k] * b[column * depth + k]).sum()
    };
    let product: Vec<f32> = (0..ROWS * n).map(|at| before[at] + sum(at / n, at % n)).collect();

    let (on_device, of_threads) = (device.upload(&image), device.upload(&fragments));
    let (sums, after) = (device.upload(&held(&before)), device.upload(&vec![f32::NAN; 128 * registers]));
    let descriptors = device.upload(&[0_u64; 2]);
    let mut arguments = [
        device.address(&on_device),
        Argument::Number(image.len() as i32),
        of_a.operand(0),
        of_b.operand(B_BEGINS),
        device.address(&of_threads),
        device.address(&sums),
        device.address(&after),
        device.address(&descriptors),
    ];
    device.run(&format!("wgmma_{name}_{n}"), 1, image.len(), &mut arguments);
    let found = bytes_of(&device.download(&after), f32::to_le_bytes);
    let expected = bytes_of(&held(&product), f32::to_le_bytes);

    // Addresses differ from device to device; all else, and how far B lies from A, must not.
    let [of_a, of_b] = device.download(&descriptors).try_into().unwrap();
    let start = |descriptor: u64| descriptor & 0x3fff;
    let distance = (start(of_b) - if from_registers { start(of_b) } else { start(of_a) }) << 4;
    let fields = |descriptor: u64| format!("{:x}", descriptor >> 16);
    let descriptors = format!("{} {} {distance}", fields(of_a), fields(of_b));
    Found { descriptors, ..Found::new(case, found, &expected) }
}

fn products(device: &Wrappers) -> Vec<Found> {
    let mut found = Vec::new();
    for (form, n) in (0..FORMS.len()).flat_map(|form| COLUMNS.map(|n| (form, n))) {
        let spans: &[usize] = if TRIED_WITH_ALL.contains(&n) { &[0, 32, 64, 128] } else { &[128] };
        for &span in spans {
            found.push(multiply(device, form, n, span, 0));
            if span == 128 && n == 64 {
                // Further along k, as the second and the last product of a step are.
                let depth = 32 / FORMS[form].4;
                found.extend([1, 3].map(|products| multiply(device, form, n, span, products * depth)));
            }
        }
    }
    found
}

// ---- TMA

/// A tensor of numbers of one size, and a box of it.
struct Tensor {
    rows: usize,
    columns: usize,
    /// Elements from row to row.
    pitch: usize,
    size: usize,
    box_rows: usize,
    box_columns: usize,
    span: usize,
}

impl Tensor {
    fn map(&self, device: &Wrappers, memory: &CudaSlice<u8>) -> Argument {
        use CUtensorMapSwizzle::*;
        let encoding = Encoding {
            of: match self.size {
                2 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                _ => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
            },
            rank: 2,
            address: memory.device_ptr(&device.stream).0,
            extents: vec![self.columns as u64, self.rows as u64],
            strides: vec![(self.pitch * self.size) as u64],
            boxed: vec![self.box_columns as u32, self.box_rows as u32],
            swizzle: match self.span {
                0 => CU_TENSOR_MAP_SWIZZLE_NONE,
                32 => CU_TENSOR_MAP_SWIZZLE_32B,
                64 => CU_TENSOR_MAP_SWIZZLE_64B,
                _ => CU_TENSOR_MAP_SWIZZLE_128B,
            },
        };
        encoding.argument()
    }

    fn box_bytes(&self) -> usize {
        self.box_rows * self.box_columns * self.size
    }

    /// Each number of the box at (x, y): where it lies in shared memory, and in the tensor, if it is there.
    fn places(&self, x: i32, y: i32) -> impl Iterator<Item = (usize, Option<usize>)> {
        (0..self.box_rows * self.box_columns).map(move |at| {
            let (row, column) = (at / self.box_columns, at % self.box_columns);
            let (r, c) = (i64::from(y) + row as i64, i64::from(x) + column as i64);
            let is_inside = (0..self.rows as i64).contains(&r) && (0..self.columns as i64).contains(&c);
            let there = is_inside.then(|| (r as usize * self.pitch + c as usize) * self.size);
            (swizzled(at * self.size, self.span), there)
        })
    }

    fn bytes(&self) -> usize {
        self.rows * self.pitch * self.size
    }
}

/// Boxes within the tensor and across each of its edges.
const CORNERS: [(i32, i32); 5] = [(8, 4), (-5, 3), (30, 15), (3, -6), (64, 0)];
const FILL: u8 = 0x5a;

fn tensors() -> Vec<Tensor> {
    let of = |size, span| Tensor {
        rows: 19,
        columns: 37,
        pitch: 40,
        size,
        box_rows: 16,
        box_columns: if span == 0 { 48 / size } else { span / size },
        span,
    };
    [0, 32, 64, 128].into_iter().flat_map(|span| [of(2, span), of(4, span)]).collect()
}

fn copies(device: &Wrappers) -> Vec<Found> {
    let mut found = Vec::new();
    for tensor in tensors() {
        let numbers: Vec<u8> = match tensor.size {
            2 => (0..tensor.rows * tensor.pitch).flat_map(|i| encoded((i % 251) as f32, 2)).collect(),
            _ => (0..tensor.rows * tensor.pitch).flat_map(|i| encoded(i as f32, 4)).collect(),
        };
        assert_eq!(numbers.len(), tensor.bytes());
        let length = tensor.box_bytes().next_multiple_of(1024);
        // What a store sends: numbers that say where they lay.
        let image: Vec<u8> =
            (0..length / tensor.size).flat_map(|i| encoded((i % 113) as f32 - 50.0, tensor.size)).collect();
        let size = tensor.size;
        for (x, y) in CORNERS {
            let case = |what: &str| format!("{what} {} bytes {}b at {x} {y}", size, tensor.span);
            let memory = device.upload(&numbers);
            let (filled, after) = (device.upload(&vec![FILL; length]), device.upload(&vec![0_u8; length]));
            let mut arguments = [
                tensor.map(device, &memory),
                Argument::Number(x),
                Argument::Number(y),
                Argument::Number(tensor.box_bytes() as i32),
                device.address(&filled),
                Argument::Number(length as i32),
                device.address(&after),
            ];
            device.run("tma_load", 1, length, &mut arguments);
            let mut expected = vec![FILL; length];
            for (here, there) in tensor.places(x, y) {
                match there {
                    Some(there) => expected[here..here + size].copy_from_slice(&numbers[there..there + size]),
                    None => expected[here..here + size].fill(0),
                }
            }
            let loaded = device.download(&after);
            found.push(Found::new(case("load"), loaded, &expected));

            for (kernel, adds) in [("tma_store", false), ("tma_add", true)] {
                if adds && size == 2 {
                    continue; // what these hold is not exact in bfloat16
                }
                let memory = device.upload(&numbers);
                let sent = device.upload(&image);
                let mut arguments = [
                    tensor.map(device, &memory),
                    Argument::Number(x),
                    Argument::Number(y),
                    device.address(&sent),
                    Argument::Number(length as i32),
                ];
                device.run(kernel, 1, length, &mut arguments);
                let mut expected = numbers.clone();
                for (here, there) in tensor.places(x, y) {
                    let Some(there) = there else { continue };
                    let number = &image[here..here + size];
                    if adds {
                        let float = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
                        let sum = float(number) + float(&numbers[there..there + size]);
                        expected[there..there + size].copy_from_slice(&sum.to_le_bytes());
                    } else {
                        expected[there..there + size].copy_from_slice(number);
                    }
                }
                let stored = device.download(&memory);
                found.push(Found::new(case(kernel), stored, &expected));
            }
        }
        found.push(multicast(device, &tensor, &numbers));
    }
    found
}

/// A box of which each of two blocks loads half for both.
fn multicast(device: &Wrappers, tensor: &Tensor, numbers: &[u8]) -> Found {
    let case = format!("multicast {} bytes {}b", tensor.size, tensor.span);
    let half = Tensor { box_rows: tensor.box_rows / 2, ..*tensor };
    let length = tensor.box_bytes().next_multiple_of(1024);
    let (memory, after) = (device.upload(numbers), device.upload(&vec![0_u8; 2 * length]));
    let (x, y) = (4, 6);
    let mut arguments = [
        half.map(device, &memory),
        Argument::Number(x),
        Argument::Number(y),
        Argument::Number(half.box_rows as i32),
        Argument::Number(half.box_bytes() as i32),
        Argument::Number(length as i32),
        device.address(&after),
    ];
    device.run("tma_multicast", 2, length, &mut arguments);
    let both = device.download(&after);
    let mut expected = vec![0; tensor.box_bytes()];
    for (here, there) in tensor.places(x, y) {
        if let Some(there) = there {
            expected[here..here + tensor.size].copy_from_slice(&numbers[there..there + tensor.size]);
        }
    }
    let own = |block: usize| both[block * length..block * length + tensor.box_bytes()].to_vec();
    Found::new(case, [own(0), own(1)].concat(), &expected.repeat(2))
}

// ---- mbarrier

fn phases(device: &Wrappers) -> Found {
    let answers = device.upload(&[0_u32]);
    device.run("mbarrier_phases", 1, 0, &mut [device.address(&answers)]);
    let found = device.download(&answers);
    // Of each step the parity whose phase is over: 1 in phase 0 and again in phase 2 and after a new start, 0 in phase 1.
    let expected: u32 = [1, 1, 0, 0, 1, 1, 0].iter().rev().fold(0, |all, parity| all << 2 | 1 << parity);
    Found::new("mbarrier phases".into(), bytes_of(&found, u32::to_le_bytes), &expected.to_le_bytes())
}

// ---- Tests. Their names begin with `every_`, for sanitizers would take minutes.

fn all(device: &Wrappers) -> Vec<Found> {
    [products(device), copies(device), vec![phases(device)]].into_iter().flatten().collect()
}

#[test]
fn every_instruction_of_hopper_puts_each_number_where_it_must_be() {
    let Some(device) = Wrappers::open() else { return };
    let found = all(&device);
    println!("{} cases", found.len());
    let lines: String = found.iter().map(|found| found.line() + "\n").collect();
    if let Some(file) = std::env::var_os("COTANGENT_RECORD").filter(|file| !file.is_empty()) {
        std::fs::write(&file, format!("{HEADER}\n{lines}")).unwrap();
    }
    let problems: Vec<String> = found
        .iter()
        .filter_map(|found| Some(format!("{}: {}", found.case, found.problem.as_ref()?)))
        .collect();
    assert!(problems.is_empty(), "{} of {} cases:\n{}", problems.len(), found.len(), problems.join("\n"));
    // What a card has given, where one has been asked.
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gpu/hopper-wrappers.csv");
    match std::fs::read_to_string(&record) {
        Err(_) => println!("no card's record is there to compare with"),
        Ok(text) => {
            let recorded: Vec<&str> = text.lines().collect();
            assert_eq!(recorded.first(), Some(&HEADER), "{}", record.display());
            for (line, recorded) in lines.lines().zip(&recorded[1..]) {
                assert_eq!(line, *recorded, "the device beside what {} says", record.display());
            }
            assert_eq!(lines.lines().count(), recorded.len() - 1, "{}", record.display());
        }
    }
}
