//! `kernels/dropout.cu` and `kernels/philox.cuh` against [`DropoutMask::fill`], bit for bit.
//!
//! What the words should be is tested on the CPU, by the known answers of Random123.

use cotangent::exec::cuda::StepState;
use cotangent::ops::{Draw, DropoutMask};
use cotangent::random::{Philox, Purpose};

use super::support::pairwise;

pub fn check_masks_are_those_of_the_cpu() -> Result<(), String> {
    // 3000: several blocks of 256 threads with four elements each.
    const LENGTHS: [usize; 10] = [1, 2, 3, 31, 33, 64, 127, 129, 300, 3000];
    // None: the one whose threshold is the word of element 3, which is just kept then.
    const PROBABILITIES: [Option<f64>; 7] =
        [Some(0.0), Some(1e-3), Some(0.2), None, Some(0.5), Some(0.999), Some(1.0 - 1e-12)];
    const STEPS: [u64; 5] = [0, 1, 468, u32::MAX as u64, (1 << 33) + 1];
    const SEEDS: [u64; 3] = [0, 1, 0x0123_4567_89ab_cdef];
    let factors = [
        ("length", LENGTHS.len()),
        ("probability", PROBABILITIES.len()),
        ("step", STEPS.len()),
        ("seed", SEEDS.len()),
        ("stream", 3),
        ("offset", 4),
    ];
    pairwise(&factors, |run, pick| {
        let (length, probability, step) = (LENGTHS[pick[0]], PROBABILITIES[pick[1]], STEPS[pick[2]]);
        let (seed, stream, offset) = (SEEDS[pick[3]], pick[4] as u32, pick[5]);
        let probability = probability.unwrap_or_else(|| {
            let [.., word] = Philox::new(seed, Purpose::Dropout, stream).block(step, 0);
            f64::from(word) / 2_f64.powi(32)
        });
        let rule = DropoutMask { probability: probability.into(), stream, shape: [length].into() };
        // Within the step, whose number counts it.
        let state = StepState { number: step + 1, epoch_start: step / 2, ..StepState::new(0) };
        let state = run.upload(&[state], 0)?;
        let mut mask = run.poisoned::<f32>(length, offset)?;
        let dropout = &run.kernels().dropout;
        dropout
            .mask(run.stream(), &rule, seed, &state.view(), &mut mask.view_mut())
            .map_err(|error| error.to_string())?;
        let found = run.download(&mask)?;
        let mut expected = vec![f32::NAN; length];
        rule.fill(Draw { seed, step }, 0, &mut expected);
        match (0..length).find(|&i| found[i].to_bits() != expected[i].to_bits()) {
            None => Ok(()),
            Some(i) => Err(format!(
                "{length} elements, p = {probability}, step {step}, seed {seed}, stream {stream}, offset {offset}: \
                 element {i} is {}, not {}",
                found[i], expected[i]
            )),
        }
    })
}

#[test]
fn masks_are_those_of_the_cpu_to_the_last_bit() {
    check_masks_are_those_of_the_cpu().unwrap();
}

#[test]
fn an_empty_mask_is_no_launch_and_another_length_is_refused() {
    let check = pairwise(&[], |run, _| {
        let state = run.upload(&[StepState::new(0)], 0)?;
        let draw = |extent: usize, length: usize| {
            let rule = DropoutMask { probability: 0.5.into(), stream: 0, shape: [extent, 2].into() };
            let mut mask = run.poisoned::<f32>(length, 0)?;
            let drawn =
                run.kernels().dropout.mask(run.stream(), &rule, 0, &state.view(), &mut mask.view_mut());
            Ok::<_, String>(drawn.map_err(|error| error.to_string()))
        };
        assert_eq!(draw(0, 0)?, Ok(()));
        let refused = "kernel dropout_mask: mask holds 7 elements, and the sizes ask for 6";
        assert_eq!(draw(3, 7)?, Err(refused.into()));
        Ok(())
    });
    check.unwrap();
}
