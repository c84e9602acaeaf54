//! Whether a run's memory suffices, found out before anything of it is begun.
//!
//! What a run takes is read off its plans. Whether there is so much is asked of the system, by reserving it for a moment:
//! that uses nothing up.

use super::engine::Counts;
use super::{Options, TrainError};
use crate::data::Dataset;
use crate::document::number::bytes as readable;
use crate::draw::has_drawn;
use crate::exec::{Memory, heap};
use crate::graph::Shape;
use crate::nn::Model;

/// Figures are drawn while all else is there, the curves and the confusion matrix side by side: pixels, what their text
/// takes, the thread beside. Neither epochs nor classes change much of it.
const FIGURES: usize = 26 << 20;

/// What the first figures of a process leave behind: the fonts, and pieces of memory between others that are too small to
/// go back. Asked for as long as nothing has been drawn, so that a run that follows on others is not refused for it
/// halfway.
const KEPT: usize = 8 << 20;

/// What a check that is made before the run takes for small things that come between, so that the run is not refused when its
/// folder is there.
pub(super) const BETWEEN: usize = 2 << 20;

/// The stack of a thread, with what the system adds.
const STACK: usize = (2 << 20) + (64 << 10);

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
        let bytes = format!("more than {}", readable(least));
        return Err(refused(model, options, bytes, vec!["for parameters and optimizer state alone".into()]));
    }
    Ok(())
}

/// Whether the machine gives the stacks of so many threads and leaves room for plans: asked before either is there.
///
/// # Errors
/// [`TrainError::Threads`] or [`TrainError::Memory`] when there is less.
pub(super) fn check_threads(model: &dyn Model, options: &Options, threads: usize) -> Result<(), TrainError> {
    let stacks = threads.saturating_sub(1).saturating_mul(STACK);
    if !heap::has(stacks) {
        return Err(TrainError::Threads { threads, source: std::io::ErrorKind::OutOfMemory.into() });
    }
    let bytes = stacks.saturating_add(FIGURES);
    match heap::has(bytes) {
        true => Ok(()),
        false => {
            let parts = vec![format!("for {threads} threads and for figures")];
            Err(refused(model, options, readable(bytes as f64), parts))
        }
    }
}

/// Whether the machine gives what a run takes; `held_out` are the bytes that images held out take beside it, and `between` those
/// that something else may take before it begins.
///
/// # Errors
/// [`TrainError::Memory`] when there is less.
pub(super) fn check(
    model: &dyn Model,
    options: &Options,
    memory: Memory,
    held_out: usize,
    between: usize,
) -> Result<(), TrainError> {
    let Memory { parameters, training, evaluation } = memory;
    let figures = between + if has_drawn() { FIGURES } else { FIGURES + KEPT };
    let bytes = memory.bytes() + held_out + figures;
    if !heap::has(bytes) {
        let mut parts = vec![
            (parameters, "for parameters and optimizer state"),
            (training, "for a training step"),
            (evaluation, "more for an evaluation"),
            (held_out, "for images held out"),
            (figures, "for figures"),
        ];
        parts.retain(|(bytes, _)| *bytes > 0);
        let part = |(bytes, what): (usize, &str)| format!("{} {what}", readable(bytes as f64));
        let parts = parts.into_iter().map(part).collect();
        return Err(refused(model, options, readable(bytes as f64), parts));
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
