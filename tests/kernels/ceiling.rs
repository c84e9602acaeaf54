//! `kernels/ceiling.cu`: that what the benches measure is computed at all, and right.

use cotangent::exec::cuda::Capability;
use half::bf16;

use super::support::{RAGGED, Run, chain, pairwise};

const OFFSETS: usize = 4;
/// What one warp of the last kernel multiplies and makes.
const OPERAND: usize = 32 * 16;
const RESULT: usize = 32 * 32;

fn copied(run: &Run, x: &[f32], offsets: [usize; 2]) -> Result<Vec<f32>, String> {
    let (from, mut to) = (run.upload(x, offsets[0])?, run.poisoned::<f32>(x.len(), offsets[1])?);
    let ceiling = &run.kernels().ceiling;
    ceiling.copy(run.stream(), &from.view(), &mut to.view_mut()).map_err(|error| chain(&error))?;
    run.download(&to)
}

/// With the operations that the launch counted.
fn iterated(
    run: &Run,
    constants: [f32; 2],
    rounds: usize,
    x: &[f32],
    offset: usize,
) -> Result<(Vec<f32>, u64), String> {
    let (from, mut to) = (run.upload(x, offset)?, run.poisoned::<f32>(x.len(), offset)?);
    let ceiling = &run.kernels().ceiling;
    let operations = ceiling
        .fma(run.stream(), constants, rounds, &from.view(), &mut to.view_mut())
        .map_err(|error| chain(&error))?;
    Ok((run.download(&to)?, operations))
}

fn multiplied(
    run: &Run,
    rounds: usize,
    operands: [&[bf16]; 2],
    length: usize,
    offset: usize,
) -> Result<(Vec<f32>, u64), String> {
    let [a, b] = operands;
    let (a, b, mut c) = (run.upload(a, offset)?, run.upload(b, offset)?, run.poisoned(length, offset)?);
    let ceiling = &run.kernels().ceiling;
    let operations = ceiling
        .mma(run.stream(), rounds, &a.view(), &b.view(), &mut c.view_mut())
        .map_err(|error| chain(&error))?;
    Ok((run.download(&c)?, operations))
}

fn has_tensor_cores(run: &Run) -> bool {
    run.gpu.device.capability() >= Capability { major: 8, minor: 0 }
}

#[test]
fn copies_are_exact() {
    // A block copies 4096 elements, sixteen a thread.
    let lengths: Vec<usize> = RAGGED.into_iter().chain([4095, 4096, 4097, 12_288, 12_300]).collect();
    pairwise(&[("n", lengths.len()), ("offset of x", OFFSETS), ("offset of y", OFFSETS)], |run, pick| {
        let mut random = run.random();
        // Any bits, NaNs too.
        let x: Vec<f32> = (0..lengths[pick[0]])
            .map(|_| f32::from_bits((random.below(1 << 16) << 16 | random.below(1 << 16)) as u32))
            .collect();
        let found = copied(run, &x, [pick[1], pick[2]])?;
        match (0..x.len()).find(|&i| x[i].to_bits() != found[i].to_bits()) {
            None => Ok(()),
            Some(i) => Err(format!("element {i} of {}: {} became {}", x.len(), x[i], found[i])),
        }
    })
    .unwrap();
}

#[test]
fn chains_of_multiply_adds_end_where_those_of_the_cpu_do() {
    // A block has 2048 chains; a turn of the loop is sixteen rounds.
    let lengths: Vec<usize> = RAGGED.into_iter().chain([2048, 2049, 5000]).collect();
    const ROUNDS: [usize; 6] = [0, 1, 15, 16, 17, 100];
    const CONSTANTS: [[f32; 2]; 3] = [[0.999, 1e-3], [-1.01, 0.3], [1.0, 1.0]];
    let factors =
        [("n", lengths.len()), ("rounds", ROUNDS.len()), ("constants", CONSTANTS.len()), ("offset", OFFSETS)];
    pairwise(&factors, |run, pick| {
        let (length, rounds, [a, b]) = (lengths[pick[0]], ROUNDS[pick[1]], CONSTANTS[pick[2]]);
        let mut random = run.random();
        let x: Vec<f32> = random.values(length, -1.0, 1.0).iter().map(|&x| x as f32).collect();
        let (found, operations) = iterated(run, [a, b], rounds, &x, pick[3])?;
        // Rounded once a round on either side: the same bits.
        let chain = |x: f32| (0..rounds).fold(x, |z, _| z.mul_add(a, b));
        if operations != (2 * length * rounds) as u64 {
            return Err(format!("{length} elements, {rounds} rounds: {operations} operations"));
        }
        match (0..length).find(|&i| found[i].to_bits() != chain(x[i]).to_bits()) {
            None => Ok(()),
            Some(i) => Err(format!(
                "{rounds} rounds of {a} z + {b} took element {i} of {length} from {} to {}, not {}",
                x[i],
                found[i],
                chain(x[i])
            )),
        }
    })
    .unwrap();
}

#[test]
fn sums_of_products_on_tensor_cores_are_exact_for_integers() {
    // Four warps a block; a turn of the loop is four rounds.
    const WARPS: [usize; 5] = [1, 3, 4, 5, 9];
    const ROUNDS: [usize; 6] = [0, 1, 3, 4, 5, 40];
    let factors = [("warps", WARPS.len()), ("rounds", ROUNDS.len()), ("offset", OFFSETS)];
    pairwise(&factors, |run, pick| {
        let (warps, rounds) = (WARPS[pick[0]], ROUNDS[pick[1]]);
        let mut random = run.random();
        let mut integers = || -> Vec<i32> { (0..OPERAND).map(|_| random.below(9) as i32 - 4).collect() };
        let (a, b) = (integers(), integers());
        let narrow = |x: &[i32]| -> Vec<bf16> { x.iter().map(|&x| bf16::from_f32(x as f32)).collect() };
        let found = multiplied(run, rounds, [&narrow(&a), &narrow(&b)], warps * RESULT, pick[2]);
        if !has_tensor_cores(run) {
            let expected = "kernel ceiling_mma: tensor cores multiply bfloat16 from compute capability 8.0 on, \
                            and this device has 7.5; compute in float32";
            return if found == Err(expected.into()) { Ok(()) } else { Err(format!("{found:?}")) };
        }
        let (found, operations) = found?;
        if operations != (2 * 32 * 32 * 16 * warps * rounds) as u64 {
            return Err(format!("{warps} warps, {rounds} rounds: {operations} operations"));
        }
        for (position, found) in found.into_iter().enumerate() {
            let (row, column) = (position % RESULT / 32, position % 32);
            let product: i32 = (0..16).map(|k| a[row * 16 + k] * b[k * 32 + column]).sum();
            let expected = (product * rounds as i32) as f32;
            if found.to_bits() != expected.to_bits() && !(found == 0.0 && expected == 0.0) {
                return Err(format!(
                    "{warps} warps, {rounds} rounds: ({row}, {column}) of warp {} is {found}, not {expected}",
                    position / RESULT
                ));
            }
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn nothing_is_no_launch_and_lengths_that_disagree_are_refused() {
    pairwise(&[], |run, _| {
        assert!(copied(run, &[], [0, 0])?.is_empty());
        assert_eq!(iterated(run, [1.0, 1.0], 3, &[], 0)?, (vec![], 0));
        let (x, mut y) = (run.poisoned::<f32>(3, 0)?, run.poisoned::<f32>(4, 0)?);
        let ceiling = &run.kernels().ceiling;
        let refused = ceiling.copy(run.stream(), &x.view(), &mut y.view_mut());
        let lengths = "y holds 4 elements, and the sizes ask for 3";
        assert_eq!(chain(&refused.unwrap_err()), format!("kernel ceiling_copy: {lengths}"));
        let refused = ceiling.fma(run.stream(), [1.0, 1.0], 1, &x.view(), &mut y.view_mut());
        assert_eq!(chain(&refused.unwrap_err()), format!("kernel ceiling_fma: {lengths}"));
        if has_tensor_cores(run) {
            let operand = vec![bf16::ONE; OPERAND];
            assert_eq!(multiplied(run, 3, [&operand, &operand], 0, 0)?, (vec![], 0));
            let refused =
                |a: usize, b: usize, c: usize| multiplied(run, 1, [&operand[..a], &operand[..b]], c, 0);
            for (lengths, problem) in [
                ([511, 512, 1024], "A holds 511 elements, and the sizes ask for 512"),
                ([512, 0, 1024], "B holds 0 elements, and the sizes ask for 512"),
                ([512, 512, 1025], "C holds 1025 elements, and the sizes ask for 1024"),
            ] {
                let [a, b, c] = lengths;
                assert_eq!(refused(a, b, c), Err(format!("kernel ceiling_mma: {problem}")));
            }
        }
        Ok(())
    })
    .unwrap();
}
