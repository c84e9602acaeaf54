//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cotangent::scalar::functions;
use cotangent::train::options::{DeviceChoice, Recipe, any_optimizer, said_beside_resume};
use cotangent::train::{Choices, OptimizerName};

use crate::terminal;

/// The optimizer of `mnist`, if none is named.
pub const OPTIMIZER: OptimizerName = OptimizerName::Adam;

/// Those of `compare`.
pub const COMPARED: [OptimizerName; 4] =
    [OptimizerName::Adagrad, OptimizerName::RmsProp, OptimizerName::Adam, OptimizerName::Sgd];

/// Those of `report`: the study's.
pub const STUDIED: &[OptimizerName] = COMPARED.split_at(3).0;

/// A small deep-learning engine whose every line can be read
#[derive(Parser)]
#[command(version, about, after_help = "Exit status: 0 done, 1 the work failed, 2 bad usage.")]
#[command(color = terminal::colour_choice())]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Train a network on MNIST, or on any data set of that form
    Mnist(MnistArgs),
    /// Train with several optimizers, over several seeds: one plot, one table
    Compare(CompareArgs),
    /// Differentiate a formula, step by step: forward trace, reverse trace, graph, checks
    Trace(TraceArgs),
    /// Backpropagate through layers of matrices: value and gradient of every node, checked
    Backprop(BackpropArgs),
    /// Put the whole study on one page: a formula, a chain of matrices, networks that learn MNIST
    Report(ReportArgs),
    /// Say whether run folders are as the runs left them, and their figures those of their networks
    Verify(VerifyArgs),
    /// Say what of CUDA works on this machine, and what to do where it does not
    Doctor(DoctorArgs),
}

#[derive(Args)]
pub struct MnistArgs {
    /// Optimizer
    #[arg(long, value_name = "NAME", help = format!("Optimizer: {} [default: {}]", any_optimizer(), OPTIMIZER.name()))]
    pub opt: Option<OptimizerName>,
    /// Options chosen together, which others override: fast (98% of MNIST as soon as a processor can)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["config", "resume"])]
    pub recipe: Option<Recipe>,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub place: RunArgs,
    /// Go on with a run that was cut off
    #[arg(long, value_name = "DIR", conflicts_with_all = ["opt", "config", "out"], help = resume_help())]
    pub resume: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "A run that diverges is shown as such, and the others run.\n\
    Exit status: 0 done, 1 a run diverged or the work failed, 2 bad usage.")]
pub struct CompareArgs {
    /// Optimizers
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help = optimizers_help("Optimizers", &COMPARED))]
    pub opt: Vec<OptimizerName>,
    /// Runs of each optimizer, with seeds from --seed on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: u64,
    /// Train PyTorch's own optimizers from the same start on the same batches, too, by this Python [default: python3]
    #[arg(long, value_name = "PYTHON", num_args = 0..=1, default_missing_value = "python3", conflicts_with = "resume")]
    pub check_torch: Option<PathBuf>,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub place: RunArgs,
    /// Go on with a comparison that was cut off, in its folder, to the result it would have had; beside it may stand what
    /// mnist allows there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["opt", "seeds", "config", "out"])]
    pub resume: Option<PathBuf>,
}

/// Where a command reads its options and writes its results.
#[derive(Args)]
pub struct RunArgs {
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
#[command(
    after_help = "Files are compared with the digests of SHA256SUMS and of the checkpoints, summary.json with metrics.csv, \
    and the network is evaluated once more.\n\
    Exit status: 0 if nothing has changed, else 1."
)]
pub struct VerifyArgs {
    /// Folders of a run or of several
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Where the images are now, if not where the run had them
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub said: SaidArgs,
}

#[derive(Args)]
#[command(after_help = "Exit status: 0 if what --device auto takes works, else 1.")]
pub struct DoctorArgs {
    #[command(flatten)]
    pub said: SaidArgs,
}

/// How a command says what it found.
#[derive(Args)]
pub struct SaidArgs {
    /// text, for people, or json
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        ignore_case = true,
        hide_possible_values = true
    )]
    pub format: Format,
}

#[derive(Args)]
#[command(disable_help_flag = true)] // a formula may begin with -h
pub struct TraceArgs {
    /// The formula, such as "(x1*x2*sin(x3) + exp(x1*x2))/x3"; - reads it from standard input
    #[arg(value_name = "FORMULA", allow_hyphen_values = true, long_help = formula_help())]
    pub formula: String,
    /// The values of the inputs: x1=1,x2=1.5,x3=pi/2, or apart by spaces; may be repeated
    #[arg(long, value_name = "NAME=VALUE,...", allow_hyphen_values = true)]
    pub at: Vec<String>,
    /// Forward mode in the direction of one input; no derivative by the others is asked for [default: every input, side
    /// by side, up to 32 of them]
    #[arg(long, value_name = "NAME", conflicts_with = "direction")]
    pub wrt: Option<String>,
    /// Forward mode in any direction; inputs that are not named do not move, and need no derivative
    #[arg(long, value_name = "NAME=VALUE,...")]
    pub direction: Vec<String>,
    /// Draw the computational graph: FILE.svg, FILE.png or FILE.dot; - draws it in box characters, as text does by
    /// itself where it is small
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub graph: Option<PathBuf>,
    /// Replace the file of --graph if it exists
    #[arg(long)]
    pub force: bool,
    /// Print the matrix of second derivatives, too
    #[arg(long)]
    pub hessian: bool,
    /// griewank, for the textbooks' dots and bars, or plain, for ASCII
    #[arg(
        long,
        value_name = "NAME",
        default_value = "griewank",
        ignore_case = true,
        hide_possible_values = true
    )]
    pub notation: TraceNotation,
    #[command(flatten)]
    pub page: PageArgs,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
}

#[derive(Args)]
#[command(
    after_help = "z = ½‖Y − W3 relu(W2 relu(W1 X))‖², with entries of X, Y and the weights drawn from the standard normal \
    distribution, or read from a file.\n\
    Exit status: 0 done and all checks agree, 1 the work failed or a check differs, 2 bad usage."
)]
pub struct BackpropArgs {
    /// Widths from X to Y, comma-separated: one weight between two [default: 5,4,3,2]
    #[arg(long, value_name = "WIDTHS", value_parser = widths, conflicts_with = "input")]
    pub shape: Option<Widths>,
    /// Columns of X and Y: examples [default: 50]
    #[arg(long, value_name = "N", conflicts_with = "input")]
    pub columns: Option<usize>,
    /// Seed of the random matrices [default: 0]
    #[arg(long, value_name = "N", conflicts_with = "input")]
    pub seed: Option<u64>,
    /// Take X, Y, W1, W2, ... from a safetensors file
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Compare with PyTorch's autograd, run by this Python [default: python3]
    #[arg(long, value_name = "PYTHON", num_args = 0..=1, default_missing_value = "python3")]
    pub check_torch: Option<PathBuf>,
    /// Compute in float32 on a CUDA device, too, and compare: cpu, cuda, cuda:N or auto
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: DeviceChoice,
    /// Draw the computational graph: FILE.svg, FILE.png or FILE.dot; - draws it in box characters, as text does by
    /// itself where it is small
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub graph: Option<PathBuf>,
    /// Write values.safetensors, all values and gradients in float64, into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Args)]
#[command(
    after_help = "Without --runs it trains Adagrad, RMSprop and Adam, each with seed 0 and for 6 epochs, into \
    runs/<UTC time>-report.\n\
    Exit status: 0 done, 1 a run that it trained diverged or the work failed, 2 bad usage."
)]
pub struct ReportArgs {
    /// The page, one self-contained HTML file [default: report.html]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print it to PDF, too, beside it, by an installed browser with the fonts of the system
    #[arg(long)]
    pub pdf: bool,
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
    /// Take runs that exist, folders of a run or of several, and train none
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["opt", "seeds", "config"])]
    pub runs: Vec<PathBuf>,
    /// Optimizers to train with
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help = optimizers_help("Optimizers to train with", STUDIED))]
    pub opt: Vec<OptimizerName>,
    /// Runs of each optimizer, with seeds from --seed on [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: Option<u64>,
    /// Put PyTorch's gradients of the matrices beside ours, computed by this Python [default: python3]
    #[arg(long, value_name = "PYTHON", num_args = 0..=1, default_missing_value = "python3")]
    pub check_torch: Option<PathBuf>,
    #[command(flatten)]
    pub choices: Choices,
    /// Take options from a file, such as a run's config.toml; those on the command line override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print errors only
    #[arg(long)]
    pub quiet: bool,
}

/// How a command prints what it computed.
#[derive(Args)]
pub struct PageArgs {
    /// Decimals, 1 to 17; files for programs hold numbers in full
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=17))]
    pub digits: u8,
    /// text, markdown, latex, csv or json
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        ignore_case = true,
        hide_possible_values = true
    )]
    pub format: PageFormat,
}

fn optimizers_help(what: &str, default: &[OptimizerName]) -> String {
    let default: Vec<&str> = default.iter().map(|opt| opt.name()).collect();
    format!("{what}, comma-separated [default: {}]", default.join(","))
}

fn resume_help() -> String {
    format!(
        "Go on with a run that was cut off, in its folder, to the result it would have had; only {} may stand beside it, and \
        --epochs with more than a finished run has",
        said_beside_resume()
    )
}

/// What a formula may hold.
fn formula_help() -> String {
    format!(
        "The formula, such as \"(x1*x2*sin(x3) + exp(x1*x2))/x3\"; - reads it from standard input\n\n\
        Numbers, names, + - * / ^ and parentheses; pi and e; {}. log is natural, and -x^2 is -(x^2); above(a, b) is 1 \
        where a > b, 1/2 where they are equal, else 0. What is pasted is read, too: x², x**2, √x, |x|, ×, ÷, −, π.",
        functions().collect::<Vec<_>>().join(" ")
    )
}

/// Extents of layers, from what goes in to what comes out.
#[derive(Clone)]
pub struct Widths(pub Vec<usize>);

fn widths(text: &str) -> Result<Widths, String> {
    let width =
        |part: &str| part.trim().parse().map_err(|_| format!("{part:?} is no width; write it as 5,4,3,2"));
    text.split(',').map(width).collect::<Result<_, _>>().map(Widths)
}

#[derive(Clone, Copy, ValueEnum)]
pub enum TraceNotation {
    Griewank,
    Plain,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PageFormat {
    Text,
    Markdown,
    Latex,
    Csv,
    Json,
}

/// How a command says what it found.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}
