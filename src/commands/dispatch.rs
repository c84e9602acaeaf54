//! Which command runs.

use std::borrow::Cow;
use std::io::Write;
use std::process::ExitCode;

use cotangent::errors::printable;

use super::{Failure, backprop, compare, console, doctor, mnist, report, trace, verify};
use crate::cli::Command;

pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Mnist(arguments) => mnist::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Trace(arguments) => trace::run(arguments),
        Command::Backprop(arguments) => backprop::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
    }
}

/// Shows what parsing the command line led to: help, the version, or what is wrong with it.
pub fn explain(said: &clap::Error) -> Result<ExitCode, Failure> {
    let text = said.render().to_string();
    // What was said may be a name that a pattern of the shell met.
    let shown = match printable(&text) {
        Cow::Borrowed(_) => said.print().and_then(|()| std::io::stdout().flush()),
        Cow::Owned(text) => write!(std::io::stderr(), "{text}"),
    };
    if !said.use_stderr() {
        console::written(shown)?;
    }
    Ok(ExitCode::from(if said.use_stderr() { 2 } else { 0 }))
}
