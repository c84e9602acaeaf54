//! PyTorch's own optimizers, trained from the same start: what `compare --check-torch` puts beside ours.
//!
//! A script that this crate brings runs `torch.optim` in float32 on the processor, and takes from us whatever chance or
//! convention decides: initial weights, each batch as our engine meets it (order, shifts, normalisation), and the learning
//! rate of each step. Batches go through a pipe as they are needed, so no run is too long for the disk. What is left to
//! differ is the order of float32's sums.

mod session;

use std::path::Path;
use std::sync::Arc;

use bytemuck::cast_slice;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::comparison::Course;
use super::engine::Job;
use super::options::{OptionError, Precision};
use super::setup::{beginning, job, learning_rates};
use super::{Monitor, Options, TrainError};
use crate::data::{Dataset, Gather, batches, shuffled};
use crate::python::{Python, TorchError};
use crate::runs::log::{Metrics, lines};
use crate::runs::reading::read_json;
use crate::runs::{Divergence, Row, RunFolder};
use session::{Measured, Said, Sent, Session, has_rule};

/// PyTorch's epochs in a run folder, with the columns of `metrics.csv`.
const EPOCHS: &str = "pytorch.csv";

/// What else is known of PyTorch's run; where it is, that run came to its end.
const ABOUT: &str = "pytorch.json";

/// A run by PyTorch.
#[derive(Clone, PartialEq, Debug)]
pub struct Peer {
    /// PyTorch's version.
    pub version: String,
    /// Its epochs, and whether it diverged.
    pub course: Course,
}

/// `pytorch.json`.
#[derive(Serialize, Deserialize)]
struct About {
    torch: String,
    diverged: Option<Divergence>,
}

/// Nothing, if PyTorch can do the same as these options say.
///
/// # Errors
/// The option that keeps it from that, and what to do.
pub fn check(options: &Options) -> Result<(), OptionError> {
    let name = options.opt.name();
    if !has_rule(name) {
        let rule =
            "cannot stand beside --check-torch, as torch.optim has no such rule: leave one of them out";
        return Err(OptionError::new("--opt", name, rule));
    }
    if options.dropout != 0.0 {
        let rule =
            "cannot stand beside --check-torch, as PyTorch would drop other units: leave one of them out";
        return Err(OptionError::new("--dropout", options.dropout, rule));
    }
    if options.precision != Precision::F32 {
        let rule =
            "cannot stand beside --check-torch, which compares float32 with float32: use --precision f32";
        return Err(OptionError::new("--precision", options.precision.name(), rule));
    }
    Ok(())
}

/// Nothing, if the Python of this name or path has a PyTorch.
///
/// # Errors
/// When there is no such Python, or it has no PyTorch, each with what to do.
pub fn check_python(python: &Path) -> Result<(), TorchError> {
    let python = Python::new(python)?;
    let mut session = Session::start(&python)?;
    session.hang_up();
    session.version(&|| false).map(drop)
}

/// Trains PyTorch's optimizer as a run of ours, whose options these are, under this Python. Nothing, when the monitor
/// ended it.
///
/// # Errors
/// When Python or its PyTorch fails.
pub fn train(
    options: &Options,
    data: Arc<Dataset>,
    python: &Path,
    monitor: &mut dyn Monitor,
) -> Result<Option<Peer>, TrainError> {
    let (options, parameters) = &beginning(options.clone(), &data)?;
    let job = job(options, data)?;
    let python = Python::new(python)?;
    let mut session = Session::start(&python)?;
    let Some(version) = session.version(&|| monitor.stop())? else { return Ok(None) };
    // Where the script has left, its next line is waited for all the same: it may say why.
    let mut sent = session.send(start(options, &job, parameters), &|| monitor.stop());
    let gather = Gather::new(&job.data.train, job.normalisation, job.shifts);
    let mut order = vec![0; job.data.train.len()];
    let ranges = batches(order.len(), job.batch_size);
    let steps = ranges.len();
    let learning_rate_of = learning_rates(options, steps as u64);
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let mut course = Course::default();
    for epoch in 1..=options.epochs {
        monitor.epoch_begins(epoch, options.epochs, steps);
        shuffled(options.seed, epoch as u64, &mut order);
        let before = (epoch as u64 - 1) * steps as u64;
        for (number, range) in ranges.clone().enumerate() {
            if monitor.stop() {
                return Ok(None);
            }
            let (step, indices) = (before + number as u64, &order[range]);
            images.resize(indices.len() * job.data.train.pixels(), 0.0_f32);
            labels.resize(indices.len(), 0.0_f32);
            gather.batch(step, indices, &mut images, &mut labels);
            if sent == Sent::Taken {
                let head = Head {
                    count: indices.len() as u32,
                    is_last: number + 1 == steps,
                    learning_rate: learning_rate_of(step),
                };
                sent = session.send(head.with_batch(&images, &labels), &|| monitor.stop());
            }
            match sent {
                Sent::Taken => monitor.step_done(number + 1),
                Sent::Left => break,
                Sent::Stopped => return Ok(None),
            }
        }
        let learning_rate = |step: u64| learning_rate_of(step.saturating_sub(1));
        match session.said(&|| monitor.stop())? {
            None => return Ok(None),
            Some(Said::Diverged { step, place }) => {
                course.diverged = Some(Divergence { step, place, learning_rate: learning_rate(step) });
                break;
            }
            Some(Said::Epoch(measured)) => {
                let row = row(epoch, measured, learning_rate(before + steps as u64), order.len());
                monitor.epoch_done(&row);
                course.rows.push(row);
            }
            Some(Said::Torch(_)) => return Err(TorchError::Results("the version comes twice".into()).into()),
        }
    }
    Ok(Some(Peer { version, course }))
}

fn row(epoch: usize, measured: Measured, learning_rate: f64, images: usize) -> Row {
    let Measured { objective, train_accuracy, test_objective, test_accuracy, seconds } = measured;
    let examples_per_second = images as f64 / seconds;
    Row {
        epoch,
        objective,
        train_accuracy,
        test_objective,
        test_accuracy,
        learning_rate,
        seconds,
        examples_per_second,
        ..Row::default()
    }
}

/// What the script needs before the first step.
fn start(options: &Options, job: &Job, parameters: &[f32]) -> Vec<u8> {
    let test = &job.data.test;
    let about = json!({
        "pixels": test.pixels(),
        "layers": job.model.modules(),
        "optimizer": options.opt.name(),
        "constants": options.constants,
        "weight_decay": job.weight_decay,
        "tests": test.len(),
        "threads": options.threads,
    });
    let (mut images, mut labels) = (vec![0.0_f32; test.len() * test.pixels()], vec![0.0_f32; test.len()]);
    let all: Vec<u32> = (0..test.len() as u32).collect();
    Gather::new(test, job.normalisation, None).batch(0, &all, &mut images, &mut labels);
    let about = format!("{about}\n");
    [about.as_bytes(), cast_slice(parameters), cast_slice(&images), cast_slice(&labels)].concat()
}

/// What goes before the images and labels of a step.
struct Head {
    count: u32,
    /// Whether it is the epoch's last.
    is_last: bool,
    learning_rate: f64,
}

impl Head {
    fn with_batch(&self, images: &[f32], labels: &[f32]) -> Vec<u8> {
        let [count, is_last] = [self.count, u32::from(self.is_last)].map(u32::to_ne_bytes);
        let rate = self.learning_rate.to_ne_bytes();
        [&count[..], &is_last, &rate, cast_slice(images), cast_slice(labels)].concat()
    }
}

impl Peer {
    /// Writes it into the folder of our run: its epochs, then what else is known.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<(), TrainError> {
        let failed = |source| TrainError::File { action: "write", path: folder.file(EPOCHS), source };
        folder.write(EPOCHS, &lines(&self.course.rows, true).map_err(failed)?)?;
        let about = About { torch: self.version.clone(), diverged: self.course.diverged.clone() };
        folder.write_json(ABOUT, &about)
    }

    /// That of a run folder; nothing, if there is none or it did not come to its end.
    ///
    /// # Errors
    /// When its files are there and cannot be read.
    pub fn read(folder: &RunFolder) -> Result<Option<Self>, TrainError> {
        let path = folder.file(ABOUT);
        if !path.exists() {
            return Ok(None);
        }
        let About { torch, diverged } = read_json(&path)?;
        let rows = Metrics::read(&folder.file(EPOCHS))?;
        Ok(Some(Self { version: torch, course: Course { rows, diverged, learning: None } }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Choices, OptimizerName};

    #[test]
    fn what_torch_optim_lacks_is_refused_by_name_and_all_else_is_in_the_script() {
        for opt in OptimizerName::ALL {
            let checked = check(&Choices::default().resolve(opt).unwrap());
            match opt {
                OptimizerName::Lion => {
                    let error = checked.unwrap_err().to_string();
                    assert!(error.starts_with("--opt lion: cannot stand beside --check-torch"), "{error}");
                }
                _ => assert!(checked.is_ok(), "{}", opt.name()),
            }
        }
    }
}
