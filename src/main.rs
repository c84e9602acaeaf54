//! The command line: parses, calls, prints what went wrong.

mod cli;
mod commands;
mod signals;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cotangent::exec::heap::share_one();
    signals::listen();
    let done = match cli::Cli::try_parse() {
        Ok(cli) => commands::dispatch::run(cli.command).map(|()| ExitCode::SUCCESS),
        Err(said) => commands::dispatch::explain(&said),
    };
    done.unwrap_or_else(commands::Failure::report)
}
