//! Which command runs.

use std::io::Write;
use std::process::ExitCode;

use super::{Failure, backprop, compare, console, doctor, mnist, report, trace};
use crate::cli::Command;

pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Mnist(arguments) => mnist::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Trace(arguments) => trace::run(arguments),
        Command::Backprop(arguments) => backprop::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
    }
}

/// Shows what parsing the command line led to: help, the version, or what is wrong with it.
pub fn explain(said: &clap::Error) -> Result<ExitCode, Failure> {
    let shown = said.print().and_then(|()| std::io::stdout().flush());
    if !said.use_stderr() {
        console::written(shown)?;
    }
    Ok(ExitCode::from(if said.use_stderr() { 2 } else { 0 }))
}
