//! `kernels/accuracy.cu` against plain loops on the CPU.

use cotangent::exec::cuda::StepState;

use super::support::{RAGGED, pairwise};
use crate::support::Random;

/// The definition: the first of equals; a NaN is never larger, and nothing is larger than one.
fn largest(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, position| if row[position] > row[best] { position } else { best })
}

/// Logits of a few values, so that there are equals, with the rarer ones that `kind` asks for.
fn logits(random: &mut Random, count: usize, kind: usize) -> Vec<f32> {
    let rare: &[f32] = match kind {
        0 => &[0.5],
        1 => &[f32::NAN],
        2 => &[f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0],
        _ => &[f32::NAN, f32::NEG_INFINITY],
    };
    let ordinary: &[f32] =
        if kind == 3 { &[f32::NEG_INFINITY] } else { &[-1.0, 0.0, 1.0, 2.0, 1e30, -1e-30] };
    let mut one = || {
        let values = if random.below(3) == 0 { rare } else { ordinary };
        random.pick(values)
    };
    (0..count).map(|_| one()).collect()
}

pub fn check_correct_predictions_are_counted() -> Result<(), String> {
    // 32 lanes to a row: fewer classes, as many, more.
    const CLASSES: [usize; 8] = [1, 2, 10, 31, 32, 33, 64, 100];
    let factors = [
        ("rows", RAGGED.len()),
        ("classes", CLASSES.len()),
        ("values", 4),
        ("offset of the logits", 2),
        ("offset of the labels", 2),
    ];
    pairwise(&factors, |run, pick| {
        let (rows, classes, kind) = (RAGGED[pick[0]], CLASSES[pick[1]], pick[2]);
        let mut random = run.random();
        let mut expected = 1 << 32; // carries into the upper half are no loss
        let mut correct = run.upload(&[expected], 0)?;
        // Counts add up over calls.
        for call in 0..3 {
            let logits = logits(&mut random, rows * classes, kind);
            let labels: Vec<f32> = logits
                .chunks_exact(classes)
                .map(|row| match random.below(4) {
                    0 => random.below(classes) as f32,
                    1 if call == 2 => f32::NAN,
                    _ => largest(row) as f32,
                })
                .collect();
            let right = logits.chunks_exact(classes).zip(&labels);
            expected += right.filter(|(row, label)| largest(row) as f32 == **label).count() as u64;
            let (logits, labels) = (run.upload(&logits, pick[3])?, run.upload(&labels, pick[4])?);
            run.kernels()
                .accuracy
                .count_correct(run.stream(), classes, &logits.view(), &labels.view(), &mut correct.view_mut())
                .map_err(|error| error.to_string())?;
            let found = run.download(&correct)?[0];
            if found != expected {
                let what = format!("{rows} rows, {classes} classes, values {kind}, call {call}");
                return Err(format!("{what}: {found} correct, not {expected}"));
            }
        }
        Ok(())
    })
}

#[test]
fn correct_predictions_are_counted() {
    check_correct_predictions_are_counted().unwrap();
}

pub fn check_confusions_are_counted() -> Result<(), String> {
    const CLASSES: [usize; 6] = [1, 2, 10, 31, 33, 100];
    let factors = [
        ("rows", RAGGED.len()),
        ("classes", CLASSES.len()),
        ("values", 4),
        ("offset of the logits", 2),
        ("offset of the labels", 2),
        ("offset of the counts", 2),
    ];
    pairwise(&factors, |run, pick| {
        let (rows, classes, kind) = (RAGGED[pick[0]], CLASSES[pick[1]], pick[2]);
        let mut random = run.random();
        let no_classes = [f32::NAN, -1.0, 0.5, classes as f32, 1e30, f32::INFINITY, f32::NEG_INFINITY];
        let mut expected: Vec<u64> =
            (0..classes * classes).map(|count| (1 << 32) - count as u64 % 3).collect();
        let mut counts = run.upload(&expected, pick[5])?;
        // Counts add up over calls.
        for call in 0..3 {
            let logits = logits(&mut random, rows * classes, kind);
            let labels: Vec<f32> = (0..rows)
                .map(|_| match random.below(4) {
                    0 => random.pick(&no_classes),
                    1 => 0.0,
                    _ => random.below(classes) as f32,
                })
                .collect();
            for (row, &label) in logits.chunks_exact(classes).zip(&labels) {
                if let Some(class) = (0..classes).find(|&class| class as f32 == label) {
                    expected[class * classes + largest(row)] += 1;
                }
            }
            let (logits, labels) = (run.upload(&logits, pick[3])?, run.upload(&labels, pick[4])?);
            run.kernels()
                .accuracy
                .count_confusions(
                    run.stream(),
                    classes,
                    &logits.view(),
                    &labels.view(),
                    &mut counts.view_mut(),
                )
                .map_err(|error| error.to_string())?;
            let found = run.download(&counts)?;
            if let Some(wrong) = (0..expected.len()).find(|&i| found[i] != expected[i]) {
                let (class, choice) = (wrong / classes, wrong % classes);
                let what = format!("{rows} rows, {classes} classes, values {kind}, call {call}");
                let (found, expected) = (found[wrong], expected[wrong]);
                return Err(format!("{what}: {found} of class {class} taken for {choice}, not {expected}"));
            }
        }
        Ok(())
    })
}

#[test]
fn confusions_are_counted() {
    check_confusions_are_counted().unwrap();
}

pub fn check_losses_add_up() -> Result<(), String> {
    const MAGNITUDES: [f64; 3] = [1.0, 1e30, 1e-30];
    const BAD: [Option<f32>; 4] = [None, Some(f32::NAN), Some(f32::INFINITY), Some(f32::NEG_INFINITY)];
    // 256 threads: several rounds, the last one ragged.
    const LENGTHS: [usize; 10] = [1, 3, 31, 33, 127, 129, 256, 300, 1023, 2000];
    let factors =
        [("length", LENGTHS.len()), ("magnitude", MAGNITUDES.len()), ("bad", BAD.len()), ("offset", 2)];
    pairwise(&factors, |run, pick| {
        let (length, magnitude, bad) = (LENGTHS[pick[0]], MAGNITUDES[pick[1]], BAD[pick[2]]);
        let case = format!("{length} losses of magnitude {magnitude:e}, bad: {bad:?}");
        let mut random = run.random();
        let start = 3.5 * magnitude;
        let mut total = run.upload(&[start], 0)?;
        let mut step = run.upload(&[StepState::new(0)], 0)?;
        let (mut sum, mut absolute) = (start, start);
        // Steps 4 and 6 are bad ones: the first is remembered.
        for number in 3..8 {
            let mut losses: Vec<f32> =
                random.values(length, -0.5, 4.0).iter().map(|x| (x * magnitude) as f32).collect();
            let is_bad = number % 2 == 0 && bad.is_some();
            if let Some(bad) = bad.filter(|_| is_bad) {
                losses[random.below(length)] = bad;
            }
            sum += losses.iter().map(|&x| f64::from(x)).sum::<f64>();
            absolute += losses.iter().map(|&x| f64::from(x).abs()).sum::<f64>();
            let before = StepState { number, ..run.download(&step)?[0] };
            step = run.upload(&[before], 0)?;
            let losses = run.upload(&losses, pick[3])?;
            run.kernels()
                .accuracy
                .accumulate_losses(run.stream(), &losses.view(), &mut step.view_mut(), &mut total.view_mut())
                .map_err(|error| error.to_string())?;
            let (found, after) = (run.download(&total)?[0], run.download(&step)?[0]);
            // As many roundings as numbers, on either side.
            let bound = 2.0 * (number * length as u64) as f64 * f64::EPSILON * absolute;
            let agree = if sum.is_finite() {
                (found - sum).abs() <= bound
            } else {
                found == sum || (found.is_nan() && sum.is_nan())
            };
            if !agree {
                return Err(format!("{case}: after step {number} the total is {found:e}, not {sum:e}"));
            }
            let flag = if bad.is_some() && number >= 4 { 4 } else { StepState::NONE };
            if (after.number, after.first_not_finite) != (number, flag) {
                return Err(format!("{case}: after step {number}, {after:?}, not a flag of {flag}"));
            }
        }
        Ok(())
    })
}

#[test]
fn losses_add_up_and_the_first_bad_step_is_remembered() {
    check_losses_add_up().unwrap();
}

#[test]
fn no_rows_are_no_launch_and_sizes_that_disagree_are_refused() {
    let check = pairwise(&[], |run, _| {
        let accuracy = &run.kernels().accuracy;
        let count = |logits: usize, labels: usize, classes: usize| {
            let logits = run.upload(&vec![0.0_f32; logits], 0)?;
            let labels = run.upload(&vec![0.0_f32; labels], 0)?;
            let mut correct = run.upload(&[0_u64], 0)?;
            let counted = accuracy.count_correct(
                run.stream(),
                classes,
                &logits.view(),
                &labels.view(),
                &mut correct.view_mut(),
            );
            Ok::<_, String>(counted.map_err(|error| error.to_string()))
        };
        assert_eq!(count(0, 0, 10)?, Ok(()));
        let refused = |problem: &str| Err(format!("kernel count_correct: {problem}"));
        assert_eq!(count(29, 3, 10)?, refused("logits holds 29 elements, and the sizes ask for 30"));
        assert_eq!(count(0, 3, 0)?, refused("there are no classes to choose from"));
        assert_eq!(count(0, 3, 1 << 63)?, {
            let counted = "[3, 9223372036854775808] are more elements than can be counted";
            refused(counted)
        });

        let confuse = |labels: usize, counts: usize| {
            let logits = run.upload(&vec![0.0_f32; 10 * labels], 0)?;
            let labels = run.upload(&vec![0.0_f32; labels], 0)?;
            let mut counts = run.upload(&vec![0_u64; counts], 0)?;
            let (stream, mut counts) = (run.stream(), counts.view_mut());
            let counted = accuracy.count_confusions(stream, 10, &logits.view(), &labels.view(), &mut counts);
            Ok::<_, String>(counted.map_err(|error| error.to_string()))
        };
        assert_eq!(confuse(0, 100)?, Ok(()));
        let refused = "kernel count_confusions: counts holds 10 elements, and the sizes ask for 100";
        assert_eq!(confuse(3, 10)?, Err(refused.into()));

        let (mut step, mut totals) = (run.upload(&[StepState::new(0)], 0)?, run.upload(&[0.0, 0.0], 0)?);
        let none = run.upload::<f32>(&[], 0)?;
        let mut total = totals.view_mut();
        let added = accuracy.accumulate_losses(run.stream(), &none.view(), &mut step.view_mut(), &mut total);
        let refused = "kernel accumulate_losses: total holds 2 elements, and the sizes ask for 1";
        assert_eq!(added.unwrap_err().to_string(), refused);
        let mut total = run.upload(&[1.5], 0)?;
        accuracy
            .accumulate_losses(run.stream(), &none.view(), &mut step.view_mut(), &mut total.view_mut())
            .map_err(|error| error.to_string())?;
        assert_eq!(run.download(&total)?, [1.5]);
        Ok(())
    });
    check.unwrap();
}
