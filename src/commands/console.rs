//! What a person sees of a run, and how they end it.
//!
//! On a terminal a progress bar moves under the epochs' lines; elsewhere there are the lines alone.
//! A console that nobody reads any more must not end a run, so failures to print are passed over.

use std::io::{IsTerminal, Write};
use std::path::Path;

use cotangent::errors::printable;
use cotangent::exec::CpuProducts;
use cotangent::names;
use cotangent::runs::{Row, RunFolder};
use cotangent::train::options::LaunchPlan;
use cotangent::train::{Choice, Hardware, Monitor, Options};
use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use crate::{signals, terminal};

/// Whether somebody has asked to stop.
pub fn interrupted() -> bool {
    signals::asked().is_some()
}

/// What computes, and why.
pub fn device_line(choice: &Choice, options: &Options) -> String {
    let what = match &choice.hardware {
        Hardware::Cpu(products) => {
            let products = match products {
                Some(CpuProducts::Bf16(unit)) => format!(", products in bf16 by {}", unit.name()),
                _ => String::new(),
            };
            format!("cpu with {}{products}", count(options.threads, "thread"))
        }
        Hardware::Cuda(device) => {
            let plan =
                if options.plan == LaunchPlan::Launches { "one kernel at a time" } else { "captured graphs" };
            format!(
                "cuda:{}, {}, compute capability {}, {}, {plan}",
                device.ordinal(),
                device.name(),
                device.capability(),
                options.precision.name()
            )
        }
    };
    format!("device: {what} ({})", choice.why)
}

/// A number of things: `1 epoch`, `2 epochs`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// The command that goes on with a run.
pub fn resume_command(folder: &RunFolder) -> String {
    format!("cotangent mnist --resume {}", quoted(folder.path()))
}

/// The command that goes on with a comparison.
pub fn resume_comparison(folder: &Path) -> String {
    format!("cotangent compare --resume {}", quoted(folder))
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    names::quoted(&path.display().to_string())
}

/// Columns of a page of text: those of the terminal, or a hundred.
pub fn width() -> usize {
    match terminal_size::terminal_size_of(std::io::stdout()) {
        Some((terminal_size::Width(columns), _)) => usize::from(columns).clamp(40, 200),
        None => 100,
    }
}

/// Whether standard output is a terminal that shows colours.
pub fn colour() -> bool {
    std::io::stdout().is_terminal() && terminal::takes_escapes()
}

/// Prints what a command found.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// How writing to standard output went, where what is written is the work.
pub fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::work(format!("cannot write to standard output: {error}"))),
    }
}

/// Columns of a terminal that has room for an epoch's line with everything in it.
const WIDE: usize = 76;

pub struct Console {
    quiet: bool,
    epochs: usize,
    /// Whether an epoch's line has room for its times.
    speed: bool,
    /// Hidden but for the epochs of a run.
    bar: ProgressBar,
}

impl Console {
    pub fn new(quiet: bool) -> Self {
        Self { quiet, epochs: 0, speed: true, bar: ProgressBar::hidden() }
    }

    /// Takes the progress bar away: a run is over.
    pub fn clear(&mut self) {
        std::mem::replace(&mut self.bar, ProgressBar::hidden()).finish_and_clear();
    }

    /// Prints a line, above the progress bar if there is one.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| {
                let _ = writeln!(std::io::stdout(), "{}", printable(line));
            });
        }
    }

    /// Prints the heads of an epoch's columns, which are as wide as [`Self::line`] is.
    pub fn say_columns(&mut self, validation: bool) {
        self.speed = !validation || width() >= WIDE;
        let (over, under) = match validation {
            true => ("validation        ", " objective correct"),
            false => ("", ""),
        };
        let speed = if self.speed { " seconds images/s" } else { "" };
        self.say(&format!("      training          {over}test"));
        self.say(&format!("epoch objective correct{under} objective correct{speed}"));
    }

    /// The line of an epoch: 59 columns, as narrow terminals have 60; with images held out, 76, or without the times
    /// 59 again.
    fn line(&self, row: &Row) -> String {
        let columns = |objective: f64, accuracy: f64| {
            // Nine columns, also where training diverges.
            let objective = match objective {
                x if x < 999.9 => format!("{x:9.5}"),
                x => format!("{x:9.3e}"),
            };
            format!(" {objective} {:6.2}%", 100.0 * accuracy)
        };
        let mut line = format!("{:5}{}", row.epoch, columns(row.objective, row.train_accuracy));
        if let Some((objective, accuracy)) = row.validation_objective.zip(row.validation_accuracy) {
            line += &columns(objective, accuracy);
        }
        line += &columns(row.test_objective, row.test_accuracy);
        if self.speed {
            line += &format!(" {:7.2} {:8.0}", row.seconds, row.examples_per_second);
        }
        line
    }
}

impl Monitor for Console {
    fn epoch_begins(&mut self, epoch: usize, epochs: usize, steps: usize) {
        self.epochs = epochs;
        if self.bar.is_hidden() && !self.quiet && terminal::takes_escapes() {
            self.bar = ProgressBar::new(0); // hidden by itself where stderr is no terminal
            // Fits 60 columns, too.
            let template = "{prefix} {bar:16} {pos}/{len} steps, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
        }
        self.bar.reset();
        self.bar.set_length(steps as u64);
        self.bar.set_prefix(format!("epoch {epoch} of {epochs}"));
    }

    fn step_done(&mut self, step: usize) {
        self.bar.set_position(step as u64);
    }

    fn epoch_done(&mut self, row: &Row) {
        self.say(&self.line(row));
        if row.epoch == self.epochs {
            self.clear();
        }
    }

    fn stop(&self) -> bool {
        interrupted()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.clear();
    }
}
