//! Fills, repetitions and permutations, against the operations' own rules, bit for bit.

use cotangent::graph::Shape;
use cotangent::ops::{Draw, Layout, Reduction, Rule, Tensor};

use super::support::{Buffer, RAGGED, Run, pairwise};
use crate::support::{Random, without};

/// Numbers of every kind, as bits.
fn numbers(random: &mut Random, count: usize) -> Vec<f32> {
    let bits = |random: &mut Random| (random.below(1 << 16) << 16 | random.below(1 << 16)) as u32;
    (0..count).map(|_| f32::from_bits(bits(random))).collect()
}

/// The result of `rule` for x of this shape, and y as `work` leaves it, bit for bit.
fn compare(
    run: &Run,
    rule: &impl Rule,
    shape: &Shape,
    offsets: [usize; 2],
    work: impl FnOnce(&Buffer<f32>, &mut Buffer<f32>) -> Result<(), String>,
) -> Result<(), String> {
    let x = numbers(&mut run.random(), shape.size());
    let mut expected = vec![0.0; rule.shape(&[shape])?.size()];
    rule.evaluate(&[Tensor { shape, data: &x }], Draw::default(), &mut expected);
    let mut y = run.poisoned(expected.len(), offsets[1])?;
    work(&run.upload(&x, offsets[0])?, &mut y)?;
    let found = run.download(&y)?;
    match (0..expected.len()).find(|&i| found[i].to_bits() != expected[i].to_bits()) {
        Some(i) => Err(format!("element {i} of {} is {:e}, not {:e}", found.len(), found[i], expected[i])),
        None => Ok(()),
    }
}

fn broadcast(run: &Run, axes: &[usize], shape: &[usize], offsets: [usize; 2]) -> Result<(), String> {
    let rule = Reduction::Broadcast { axes: axes.to_vec(), shape: shape.into() };
    let operand = Shape::from(without(shape, axes));
    compare(run, &rule, &operand, offsets, |x, y| {
        let done = run.kernels().layout.broadcast(run.stream(), axes, shape, &x.view(), &mut y.view_mut());
        done.map_err(|error| error.to_string())
    })
    .map_err(|problem| format!("broadcast along {axes:?} to {shape:?}, offsets {offsets:?}: {problem}"))
}

fn transpose(run: &Run, permutation: &[usize], shape: &[usize], offsets: [usize; 2]) -> Result<(), String> {
    let rule = Layout::Transpose { permutation: permutation.to_vec() };
    compare(run, &rule, &shape.into(), offsets, |x, y| {
        let layout = &run.kernels().layout;
        let done = layout.transpose(run.stream(), permutation, shape, &x.view(), &mut y.view_mut());
        done.map_err(|error| error.to_string())
    })
    .map_err(|problem| format!("transpose of {shape:?} by {permutation:?}, offsets {offsets:?}: {problem}"))
}

/// A shape of so many axes, ragged, some of them 1, rarely 0, and not much over 10 000 elements.
fn shape(random: &mut Random, rank: usize) -> Vec<usize> {
    let extents: &[usize] = match rank {
        0..=2 => &[1, 3, 4, 31, 32, 100],
        3..=4 => &[1, 2, 3, 4, 5, 8, 11],
        _ => &[1, 2, 3, 4],
    };
    let mut shape: Vec<usize> = (0..rank).map(|_| random.pick(extents)).collect();
    if rank > 0 && random.below(10) == 0 {
        shape[random.below(rank)] = 0;
    }
    shape
}

pub fn check_broadcasts() -> Result<(), String> {
    let factors = [("rank", 9), ("offset of x", 4), ("offset of y", 4)];
    pairwise(&factors, |run, pick| {
        let mut random = run.random();
        let shape = shape(&mut random, pick[0]);
        let axes: Vec<usize> = (0..shape.len()).filter(|_| random.below(2) == 0).collect();
        broadcast(run, &axes, &shape, [pick[1], pick[2]])
    })
}

pub fn check_transposes() -> Result<(), String> {
    let factors = [("rank", 9), ("offset of x", 4), ("offset of y", 4)];
    pairwise(&factors, |run, pick| {
        let mut random = run.random();
        let shape = shape(&mut random, pick[0]);
        let mut permutation: Vec<usize> = (0..shape.len()).collect();
        for last in (1..shape.len()).rev() {
            permutation.swap(last, random.below(last + 1));
        }
        transpose(run, &permutation, &shape, [pick[1], pick[2]])
    })
}

/// The cases that training meets: repeated rows, repeated columns, one number, a matrix transposed.
pub fn check_matrices() -> Result<(), String> {
    let factors = [("rows", RAGGED.len()), ("columns", RAGGED.len()), ("offset of x", 4), ("offset of y", 4)];
    pairwise(&factors, |run, pick| {
        let (shape, offsets) = ([RAGGED[pick[0]], RAGGED[pick[1]]], [pick[2], pick[3]]);
        for axes in [&[][..], &[0], &[1], &[0, 1]] {
            broadcast(run, axes, &shape, offsets)?;
        }
        transpose(run, &[1, 0], &shape, offsets)
    })
}

/// Batches of matrices that are transposed by tiles of 64, whole ones and all remainders, and by strided copies where
/// they are too short: x (outer, rows, middle, columns) to every order in which the last axis is another.
pub fn check_tiles() -> Result<(), String> {
    const SIDES: [usize; 10] = [15, 16, 17, 60, 63, 64, 65, 66, 128, 150];
    const BATCHES: [[usize; 2]; 4] = [[1, 1], [3, 1], [1, 2], [2, 3]];
    const ORDERS: [[usize; 4]; 6] =
        [[0, 2, 3, 1], [0, 3, 2, 1], [3, 0, 2, 1], [3, 2, 1, 0], [1, 3, 0, 2], [2, 3, 0, 1]];
    let factors = [
        ("rows", SIDES.len()),
        ("columns", SIDES.len()),
        ("batch", BATCHES.len()),
        ("order", ORDERS.len()),
        ("offset of x", 4),
        ("offset of y", 4),
    ];
    pairwise(&factors, |run, pick| {
        let [outer, middle] = BATCHES[pick[2]];
        let shape = [outer, SIDES[pick[0]], middle, SIDES[pick[1]]];
        transpose(run, &ORDERS[pick[3]], &shape, [pick[4], pick[5]])
    })
}

pub fn check_fills() -> Result<(), String> {
    const VALUES: [f32; 4] = [0.0, -0.0, 1.5, f32::NAN];
    // More than one block, and a last vector of every length.
    const LENGTHS: [usize; 8] = [1, 2, 3, 4, 1023, 1025, 2050, 5000];
    let factors = [("length", LENGTHS.len()), ("value", VALUES.len()), ("offset", 4)];
    pairwise(&factors, |run, pick| {
        let (length, value) = (LENGTHS[pick[0]], VALUES[pick[1]]);
        let mut y = run.upload(&vec![7.0; length], pick[2])?;
        let filled = run.kernels().layout.fill(run.stream(), value, &mut y.view_mut());
        filled.map_err(|error| error.to_string())?;
        let found = run.download(&y)?;
        match found.iter().position(|x| x.to_bits() != value.to_bits()) {
            Some(i) => Err(format!("element {i} of {length} is {}, not {value}", found[i])),
            None => Ok(()),
        }
    })
}

#[test]
fn broadcasts_repeat_along_any_axes() {
    check_broadcasts().unwrap();
}

#[test]
fn transposes_move_every_element_to_its_place() {
    check_transposes().unwrap();
}

#[test]
fn matrices_are_repeated_and_transposed() {
    check_matrices().unwrap();
}

#[test]
fn tiles_turn_every_element_to_its_place() {
    check_tiles().unwrap();
}

/// More tiles than a strip is high, and several strips: 17 and 33 tiles of rows.
#[test]
fn strips_of_tiles_cover_a_tall_matrix() {
    let result = pairwise(&[("rows", 2), ("columns", 2)], |run, pick| {
        transpose(run, &[1, 0], &[[1050, 2052][pick[0]], [70, 130][pick[1]]], [0, 0])
    });
    result.unwrap();
}

#[test]
fn fills_reach_every_element() {
    check_fills().unwrap();
}

#[test]
fn more_than_8_axes_are_copied_where_they_can_be_merged() {
    let result = pairwise(&[], |run, _| {
        broadcast(run, &[0, 1, 4, 5, 6], &[2, 2, 3, 1, 2, 1, 2, 2, 3, 2], [0, 0])?;
        // Twelve axes that stay in two groups.
        let permutation = [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5];
        transpose(run, &permutation, &[2, 1, 2, 2, 1, 2, 3, 1, 1, 2, 2, 2], [0, 0])
    });
    result.unwrap();
}

#[test]
fn copies_of_nothing_launch_nothing() {
    let result = pairwise(&[], |run, _| {
        broadcast(run, &[0], &[3, 0], [0, 0])?;
        broadcast(run, &[0], &[0, 3], [0, 0])?;
        transpose(run, &[1, 0], &[0, 5], [0, 0])?;
        let mut nothing = run.poisoned(0, 0)?;
        let filled = run.kernels().layout.fill(run.stream(), 1.0, &mut nothing.view_mut());
        filled.map_err(|error| error.to_string())
    });
    result.unwrap();
}

#[test]
fn what_cannot_be_copied_is_refused_with_the_kernel_and_the_reason() {
    let result = pairwise(&[], |run, _| {
        let (layout, stream) = (&run.kernels().layout, run.stream());
        let x = run.upload(&[1.0_f32; 6], 0)?;
        let (x, mut y) = (x.view(), run.poisoned(12, 0)?);
        let mut y = y.view_mut();
        let mut repeat =
            |axes: &[usize], shape: &[usize]| layout.broadcast(stream, axes, shape, &x, &mut y).unwrap_err();
        assert_eq!(
            repeat(&[1, 0], &[2, 6]).to_string(),
            "kernel strided_copy: broadcast to [2, 6]: the axes [1, 0] must be ascending and less than 2"
        );
        assert_eq!(
            repeat(&[0], &[2, 5]).to_string(),
            "kernel strided_copy: x holds 6 elements, and the sizes ask for 5"
        );
        assert_eq!(
            repeat(&[0], &[3, 6]).to_string(),
            "kernel strided_copy: y holds 12 elements, and the sizes ask for 18"
        );
        assert!(repeat(&[], &[3, usize::MAX, 3]).to_string().contains("more elements than can be counted"));
        let error = layout.transpose(stream, &[0, 0], &[2, 3], &x, &mut y).unwrap_err().to_string();
        assert_eq!(
            error,
            "kernel strided_copy: transpose of [2, 3]: [0, 0] must name each of its 2 axes once"
        );

        let (shape, reversed) = ([2; 9], [8, 7, 6, 5, 4, 3, 2, 1, 0]);
        let x = run.upload(&[1.0_f32; 512], 0)?;
        let mut y = run.poisoned(512, 0)?;
        let error = layout.transpose(stream, &reversed, &shape, &x.view(), &mut y.view_mut()).unwrap_err();
        assert!(error.to_string().contains("moves 9 axes separately, and 8 are the most"), "{error}");
        Ok(())
    });
    result.unwrap();
}
