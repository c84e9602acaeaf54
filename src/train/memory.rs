//! Whether a run's memory suffices, found out before anything of it is begun.
//!
//! What a run takes is read off its plans. Whether there is so much is asked of the system, by reserving it for a moment:
//! that uses nothing up.

use super::engine::cpu::{Counts, Memory, Plans};
use super::{Options, TrainError};
use crate::data::Dataset;
use crate::model::Perceptron;

/// Figures are drawn while all else is there: their pixels, and what their text takes.
const FIGURES: usize = 16 << 20;

/// Bytes of a float32.
const FLOAT: f64 = 4.0;

/// How often a run holds parameters and state, as [`Plans::memory`] counts them.
const COPIES: f64 = 3.0;

/// More images than are evaluated at once.
const EVALUATED: f64 = 1e3;

/// What a plan may take beyond the estimate: generous, so that sums of bytes stay far from the largest integer, which no
/// machine has the memory for by many orders.
const MARGIN: f64 = 1e3;

/// Plans a run; `held_out` are the bytes that images held out take beside it.
///
/// # Errors
/// [`TrainError::Memory`] when there is less than the run takes.
pub(super) fn plan(
    model: &Perceptron,
    options: &Options,
    counts: Counts,
    held_out: usize,
) -> Result<Plans, TrainError> {
    let optimizer = options.optimizer();
    let refused = |bytes: String, parts: Vec<String>| TrainError::Memory {
        network: format!("the network {}", model.widths_text()),
        batch_size: options.batch_size,
        bytes,
        parts: parts.join(", "),
    };
    // There are networks of which no integer of the machine counts the bytes: these cannot be planned.
    let parameters: f64 = model.widths.windows(2).map(|pair| pair[1] as f64 * (pair[0] as f64 + 1.0)).sum();
    let units: f64 = model.widths.iter().map(|&width| width as f64).sum();
    let least = parameters * FLOAT * COPIES * (1 + optimizer.state_per_parameter()) as f64;
    // Units have numbers for each image of a batch, of training or of evaluation.
    let numbers = units * (counts.batch_size as f64 + EVALUATED);
    if (least + numbers) * MARGIN > isize::MAX as f64 {
        let bytes = format!("more than {}", readable_bytes(least));
        return Err(refused(bytes, vec!["for parameters and optimizer state alone".into()]));
    }
    let plans = Plans::new(model, &optimizer, counts)?;
    let memory = plans.memory(options.threads);
    let Memory { parameters, training, evaluation } = memory;
    let bytes = memory.bytes() + held_out + FIGURES;
    if Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
        let mut parts = vec![
            (parameters, "for parameters and optimizer state"),
            (training, "for a training step"),
            (evaluation, "more for an evaluation"),
            (held_out, "for images held out"),
            (FIGURES, "for figures"),
        ];
        parts.retain(|(bytes, _)| *bytes > 0);
        let part = |(bytes, what): (usize, &str)| format!("{} {what}", readable_bytes(bytes as f64));
        return Err(refused(readable_bytes(bytes as f64), parts.into_iter().map(part).collect()));
    }
    Ok(plans)
}

/// The bytes that images come to take when `count` of them are held out: these themselves, and, if others share the images, a copy
/// of all.
pub(super) fn held_out(data: &Dataset, count: usize, shared: bool) -> usize {
    if count == 0 {
        return 0;
    }
    let image = data.train.pixels() + 1; // with its label
    let copied = if shared { data.train.len() + data.test.len() } else { 0 };
    (count + copied) * image
}

/// Bytes in the largest unit of which there is at least one.
fn readable_bytes(bytes: f64) -> String {
    const UNITS: [&str; 8] = ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    let power = ((bytes.log10() / 3.0).floor() as usize).clamp(1, UNITS.len());
    let value = bytes / 1000_f64.powi(power as i32);
    if value < 1000.0 { format!("{value:.1} {}", UNITS[power - 1]) } else { format!("{value:.1e} YB") }
}

#[cfg(test)]
mod tests {
    use super::readable_bytes;

    #[test]
    fn bytes_are_said_in_a_unit_that_suits_them() {
        for (bytes, text) in
            [(900.0, "0.9 kB"), (1.5e3, "1.5 kB"), (2e9, "2.0 GB"), (1.25e15, "1.2 PB"), (1e40, "1.0e16 YB")]
        {
            assert_eq!(readable_bytes(bytes), text);
        }
    }
}
