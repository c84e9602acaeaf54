//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cotangent::train::{Choices, OptimizerName};

/// A small deep-learning engine whose every line can be read
#[derive(Parser)]
#[command(version, about, after_help = "Exit status: 0 done, 1 the work failed, 2 bad usage.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Train a network on MNIST, or on any data set of that form
    Mnist(Mnist),
    /// Train with several optimizers, over several seeds: one plot, one table
    Compare(Compare),
    /// Say what of CUDA works on this machine, and what to do where it does not
    Doctor(Doctor),
}

#[derive(Args)]
pub struct Mnist {
    /// Optimizer: adagrad, rmsprop, adam or sgd [default: adam]
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub opt: Option<OptimizerName>,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub place: Place,
    /// Go on with a run that was cut off, in its folder, to the result it would have had;
    /// only --threads, --device, --plan and --quiet may stand beside it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["opt", "config", "out"])]
    pub resume: Option<PathBuf>,
}

#[derive(Args)]
pub struct Compare {
    /// Optimizers, comma-separated [default: adagrad,rmsprop,adam,sgd]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', hide_possible_values = true)]
    pub opt: Vec<OptimizerName>,
    /// Runs of each optimizer, with seeds from --seed on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: u64,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub place: Place,
}

/// Where a command reads its options and writes its results.
#[derive(Args)]
pub struct Place {
    /// Take options from a file, such as a run's config.toml; those on the command line override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for the results; must not exist yet [default: runs/<UTC time>-<what>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print errors only
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Args)]
#[command(after_help = "Exit status: 0 if what --device auto takes works, else 1.")]
pub struct Doctor {
    /// text, for people, or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub format: Format,
}

/// How a command says what it found.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}
