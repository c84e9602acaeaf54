//! Packers against the layouts' definitions; units against their models bit by bit, and the models against float64.

use half::bf16;

use super::block::{STEP, TILE};
use super::*;
use crate::exec::instruction::{Instruction, Work};
use crate::exec::{Arena, Plan, Wanted};
use crate::ops::{Builder, Draw, Function, MatMul, Op, Unary};

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn values(&mut self, kind: Kind, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.value(kind)).collect()
    }

    fn value(&mut self, kind: Kind) -> f32 {
        let sign = (self.next() as u32 & 1) << 31;
        let mantissa = self.next() as u32 & 0x7f_ffff;
        let exponent = |exponent: usize| f32::from_bits(sign | (exponent as u32) << 23 | mantissa);
        match kind {
            Kind::Ordinary => (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0,
            Kind::Wide => exponent(64 + self.below(126)),
            // Products about the least normal number: some above, some below, and sums that cancel to below.
            Kind::Tiny => exponent(60 + self.below(8)),
            // Products about it and of parts of its last place: sums that round up to it.
            Kind::Edge => {
                let last = if mantissa & 1 == 0 { 0 } else { 0x60_0000 };
                f32::from_bits(sign | [64, 63, 52, 51][self.below(4)] << 23 | mantissa & last)
            }
            Kind::Subnormal => exponent(self.below(4)),
            Kind::Huge => exponent(180 + self.below(75)),
            Kind::Bits => f32::from_bits(self.next() as u32),
            Kind::Zeros => [0.0, -0.0, 1e-30, -1e-30][self.below(4)],
            Kind::Special => match self.below(40) {
                0 => f32::INFINITY,
                1 => f32::NEG_INFINITY,
                2 => f32::NAN,
                _ => self.value(Kind::Ordinary),
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Ordinary,
    Wide,
    Tiny,
    Edge,
    Subnormal,
    Huge,
    Bits,
    Zeros,
    Special,
}

const KINDS: [Kind; 9] = [
    Kind::Ordinary,
    Kind::Wide,
    Kind::Tiny,
    Kind::Edge,
    Kind::Subnormal,
    Kind::Huge,
    Kind::Bits,
    Kind::Zeros,
    Kind::Special,
];

/// `x` as the units read it.
fn rounded(x: f32) -> bf16 {
    bf16::from_f32(if x.is_subnormal() { 0.0 * x } else { x })
}

/// Where an element is in a packed operand by its row of A, or column of B, and its place along k.
fn place(is_first: bool, band: usize, k: usize, steps: usize) -> usize {
    let tile = (band / TILE * steps + k / STEP) * TILE * STEP;
    match is_first {
        true => tile + band % TILE * STEP + k % STEP, // 16 rows of 32
        false => tile + k % STEP / 2 * STEP + band % TILE * 2 + k % 2, // 16 pairs, 16 columns, 2
    }
}

#[test]
fn packing_puts_every_element_in_its_place_and_zeros_elsewhere() {
    let mut random = Random(1);
    let mut extents: Vec<_> = (0..100).map(|_| [0; 2].map(|_| 1 + random.below(70))).collect();
    extents.extend([[128, 784], [784, 512], [16, 32], [32, 16], [0, 5], [5, 0]]);
    for [extent, k] in extents {
        for (is_first, transposed) in [(true, false), (true, true), (false, false), (false, true)] {
            let (rows, columns) = if is_first == transposed { (k, extent) } else { (extent, k) };
            let source = random.values(Kind::Bits, rows * columns);
            let way = Way { is_first, transposed };
            let operand = Operand::new(&source, (rows, columns), way);
            let steps = k.div_ceil(STEP);
            let mut expected = vec![bf16::ZERO; operand.bands() * band_size(k)];
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                let (band, at) = if is_first == transposed { (column, row) } else { (row, column) };
                expected[place(is_first, band, at, steps)] = rounded(source[row * columns + column]);
            }
            // In one piece and in two, whose first may be empty.
            for cut in [0, operand.bands() / 2] {
                let mut out = vec![bf16::NAN; expected.len()];
                let (first, second) = out.split_at_mut(cut * band_size(k));
                operand.pack(0..cut, first);
                operand.pack(cut..operand.bands(), second);
                let bits = |x: &[bf16]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert!(bits(&out) == bits(&expected), "{way:?}, {extent}, {k}");
            }
            // Row by row, as a batch is filled; what it held before goes.
            let mut packed = Packed::new(rows, columns, &[way]);
            for source in [&vec![1.0; source.len()], &source] {
                packed
                    .fill_beside(|row, out| out.copy_from_slice(&source[row * columns..][..columns]), || ());
            }
            let bits = |x: &[bf16]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(bits(packed.bands(way)) == bits(&expected), "row by row: {way:?}, {extent}, {k}");
            assert_eq!(Packed::bytes(rows, columns, &[way]), size_of_val(packed.bands(way)));
        }
    }
}

#[test]
fn packing_rounds_ties_to_even_and_subnormal_numbers_to_zero() {
    let lower = [0, 1, 0x3fff, 0x7fff, 0x8000, 0x8001, 0xffff];
    let source: Vec<f32> = (0..=u16::MAX)
        .flat_map(|upper| lower.map(|lower| f32::from_bits(u32::from(upper) << 16 | lower)))
        .collect();
    let k = source.len();
    let mut out = vec![bf16::ZERO; band_size(k)];
    let way = Way { is_first: true, transposed: false };
    Operand::new(&source, (1, k), way).pack(0..1, &mut out);
    for (at, &x) in source.iter().enumerate() {
        assert_eq!(out[place(true, 0, at, k.div_ceil(STEP))].to_bits(), rounded(x).to_bits(), "{x:e}");
    }
    assert!(source.iter().any(|x| x.is_subnormal() && bf16::from_f32(*x) != rounded(*x)));
}

/// A product with its operands.
#[derive(Debug)]
struct Case {
    matmul: MatMul,
    /// m, n, k.
    extents: [usize; 3],
    a: Vec<f32>,
    b: Vec<f32>,
    row: Vec<f32>,
}

impl Case {
    fn new(random: &mut Random, extents: [usize; 3], kinds: [Kind; 3]) -> Self {
        let [m, n, k] = extents;
        let [transpose_a, transpose_b] = [0; 2].map(|_| random.below(2) == 1);
        Self {
            matmul: MatMul { transpose_a, transpose_b },
            extents,
            a: random.values(kinds[0], m * k),
            b: random.values(kinds[1], k * n),
            row: random.values(kinds[2], n),
        }
    }

    /// A B, then relu of A B + 1 rowᵀ, as plans compute them: apart, so that the latter's sums start from the row.
    fn run(&self, unit: Bf16Unit) -> [Vec<f32>; 2] {
        [false, true].map(|shifted| self.run_one(unit, shifted))
    }

    fn run_one(&self, unit: Bf16Unit, shifted: bool) -> Vec<f32> {
        let [m, n, k] = self.extents;
        let MatMul { transpose_a, transpose_b } = self.matmul;
        let builder = Builder::new();
        let a = builder.input("a", if transpose_a { [k, m] } else { [m, k] });
        let b = builder.input("b", if transpose_b { [n, k] } else { [k, n] });
        let row = builder.input("row", [n]);
        let product = builder.apply(Op::MatMul(self.matmul), &[a, b]);
        let output = if shifted { builder.apply(Op::Unary(Unary::Relu), &[product + row]) } else { product };
        let Function { graph, inputs, outputs: output, .. } = builder.finish([a, b, row], output).unwrap();
        let plan = Plan::laid_out(&graph, Wanted::outputs(&[output]), &[], &[], Some(unit));
        let starts =
            |instruction: &Instruction| matches!(instruction.work, Work::Product { start: Some(_), .. });
        assert_eq!(plan.instructions().iter().any(starts), shifted, "a row that sums start from");
        let mut arena = Arena::new(plan.arena());
        for (input, values) in inputs.into_iter().zip([&self.a, &self.b, &self.row]) {
            arena[plan.place(input)].copy_from_slice(values);
        }
        plan.run(&mut arena, Draw::default());
        arena[plan.place(output)].to_vec()
    }

    /// An element of A, or of B, as memory has them.
    fn factor(&self, row: usize, column: usize, at: usize) -> [f32; 2] {
        let [m, n, k] = self.extents;
        let a = if self.matmul.transpose_a { at * m + row } else { row * k + at };
        let b = if self.matmul.transpose_b { column * k + at } else { at * n + column };
        [self.a[a], self.b[b]]
    }
}

/// The units that this processor has, each with its model. What it lacks is tested elsewhere.
fn units() -> Vec<(Bf16Unit, Bf16Unit)> {
    let pair = |unit: Option<Bf16Unit>, model, name| match unit {
        Some(unit) => Some((unit, model)),
        None => {
            eprintln!("skipped: this processor has no {name}");
            None
        }
    };
    let tiles = pair(Bf16Unit::tiles(), Bf16Unit::tile_model(), "AMX");
    tiles.into_iter().chain(pair(Bf16Unit::vectors(), Bf16Unit::vector_model(), "AVX-512 BF16")).collect()
}

fn assert_same_bits(case: &Case, (unit, model): (Bf16Unit, Bf16Unit)) {
    for (found, expected) in case.run(unit).iter().zip(&case.run(model)) {
        let differ = |(x, y): (&f32, &f32)| x.to_bits() != y.to_bits() && !(x.is_nan() && y.is_nan());
        let wrong = found.iter().zip(expected).position(differ);
        assert_eq!(wrong, None, "{}, {:?}", unit.name(), (case.matmul, case.extents));
    }
}

#[test]
fn units_give_their_models_bits_on_ragged_shapes() {
    let mut random = Random(2);
    let mut extents: Vec<_> = (0..60).map(|_| [0; 3].map(|_| 1 + random.below(70))).collect();
    extents.extend([
        [1, 1, 1],
        [16, 16, 32],
        [32, 32, 64],
        [33, 17, 33],
        [130, 75, 300],
        [64, 1100, 40],
        [5, 7, 0],
    ]);
    for extents in extents {
        let case = Case::new(&mut random, extents, [Kind::Ordinary; 3]);
        units().into_iter().for_each(|pair| assert_same_bits(&case, pair));
    }
}

#[test]
fn units_give_their_models_bits_on_all_kinds_of_numbers() {
    let mut random = Random(3);
    for kinds in KINDS.iter().flat_map(|&a| KINDS.iter().flat_map(move |&b| KINDS.map(|row| [a, b, row]))) {
        for k in [1, 2, 70] {
            let case = Case::new(&mut random, [20, 19, k], kinds);
            units().into_iter().for_each(|pair| assert_same_bits(&case, pair));
        }
    }
}

#[test]
fn threads_have_tiles_of_their_own_and_one_set_inside_another_leaves_it() {
    let Some(unit) = Bf16Unit::tiles() else { return eprintln!("skipped: this processor has no AMX") };
    let case = Case::new(&mut Random(4), [70, 70, 200], [Kind::Ordinary; 3]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..50).for_each(|_| {
                    unit.with(|_| assert_same_bits(&case, (unit, Bf16Unit::tile_model())));
                })
            });
        }
    });
    unit.with(|kernel| {
        unit.with(|_| ());
        let band = [bf16::ONE; TILE * STEP];
        let mut sums = [0.0; BLOCK * BLOCK];
        kernel.multiply([&band; 2], [&band; 2], &[1.0; BLOCK], Window::new(&mut sums, BLOCK));
        assert_eq!(sums, [1.0 + STEP as f32; BLOCK * BLOCK]);
    });
}

#[test]
fn models_are_within_the_bound_of_their_sums() {
    let mut random = Random(5);
    for model in [Bf16Unit::tile_model(), Bf16Unit::vector_model()] {
        for extents @ [m, n, k] in [[1, 1, 1], [17, 33, 31], [40, 50, 784], [64, 10, 300], [33, 1050, 3]] {
            let case = Case::new(&mut random, extents, [Kind::Ordinary; 3]);
            let [product, shifted] = case.run(model);
            for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
                let factors =
                    (0..k).map(|at| case.factor(row, column, at).map(|x| f64::from(rounded(x).to_f32())));
                let (sum, magnitude) = factors
                    .fold((0.0, 0.0), |(sum, magnitude), [a, b]| (sum + a * b, magnitude + (a * b).abs()));
                // Each of k products and as many sums is rounded to 24 bits.
                let bound = |start: f64| (k + 2) as f64 * (magnitude + start.abs()) / f64::from(1 << 24);
                let start = f64::from(case.row[column]);
                let near =
                    |found: f32, expected: f64, bound: f64| (f64::from(found) - expected).abs() <= bound;
                let at = row * n + column;
                assert!(near(product[at], sum, bound(0.0)), "{extents:?}: {} is not {sum}", product[at]);
                let expected = (sum + start).max(0.0);
                assert!(
                    near(shifted[at], expected, bound(start)),
                    "{extents:?}: {} is not {expected}",
                    shifted[at]
                );
            }
        }
    }
}
