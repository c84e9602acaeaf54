//! Whether a run's memory suffices, found out before anything of it is begun.
//!
//! What a run takes is read off its plans. Whether there is so much is asked of the system, by reserving it for a moment:
//! that uses nothing up.

use super::engine::Counts;
use super::{Options, TrainError};
use crate::data::Dataset;
use crate::exec::Memory;
use crate::graph::Shape;
use crate::nn::Model;

/// Figures of a run that breaks off are drawn while all else is there: their pixels, and what their text takes.
const FIGURES: usize = 16 << 20;

/// Bytes of a float32.
const FLOAT: f64 = 4.0;

/// How often a run holds parameters and state, as [`Executor::memory`](crate::exec::Executor::memory) counts them.
const COPIES: f64 = 3.0;

/// More images than are evaluated at once.
const EVALUATED: f64 = 1e3;

/// What a plan may take beyond the estimate: generous, so that sums of bytes stay far from the largest integer, which no
/// machine has the memory for by many orders.
const MARGIN: f64 = 1e3;

/// Refuses a network of which no integer of the machine counts the bytes: it cannot even be planned.
///
/// # Errors
/// [`TrainError::Memory`] for such a one.
pub(super) fn check_size(model: &dyn Model, options: &Options, counts: Counts) -> Result<(), TrainError> {
    let size = |shape: &Shape| shape.iter().map(|&extent| extent as f64).product::<f64>();
    let parameters: f64 = model.parameters().iter().map(|parameter| size(&parameter.shape)).sum();
    let units = size(&model.input()) + model.outputs().iter().map(size).sum::<f64>();
    let least = parameters * FLOAT * COPIES * (1 + options.optimizer().states()) as f64;
    // Units have numbers for each image of a batch, of training or of evaluation.
    let numbers = units * (counts.batch_size as f64 + EVALUATED);
    if (least + numbers) * MARGIN > isize::MAX as f64 {
        let bytes = format!("more than {}", readable_bytes(least));
        return Err(refused(model, options, bytes, vec!["for parameters and optimizer state alone".into()]));
    }
    Ok(())
}

/// Whether the machine gives what a run takes; `held_out` are the bytes that images held out take beside it.
///
/// # Errors
/// [`TrainError::Memory`] when there is less.
pub(super) fn check(
    model: &dyn Model,
    options: &Options,
    memory: Memory,
    held_out: usize,
) -> Result<(), TrainError> {
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
        let parts = parts.into_iter().map(part).collect();
        return Err(refused(model, options, readable_bytes(bytes as f64), parts));
    }
    Ok(())
}

fn refused(model: &dyn Model, options: &Options, bytes: String, parts: Vec<String>) -> TrainError {
    TrainError::Memory {
        network: format!("the network {}", model.outline()),
        batch_size: options.batch_size,
        bytes,
        parts: parts.join(", "),
    }
}

/// The bytes that images come to take when `count` of them are held out: these themselves, and, if others share the images, a copy
/// of those for training.
pub(super) fn held_out(data: &Dataset, count: usize, shared: bool) -> usize {
    if count == 0 {
        return 0;
    }
    let image = data.train.pixels() + 1; // with its label
    let copied = if shared { data.train.len() } else { 0 };
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
