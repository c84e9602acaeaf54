//! The commands: each reads its options, calls the engine, shows the result.

mod backprop;
mod compare;
mod console;
mod data;
pub mod dispatch;
mod doctor;
mod drawing;
mod mnist;
mod output;
mod report;
mod trace;
mod verify;

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use cotangent::errors::{printable, with_causes};
use cotangent::runs::files::read_configuration;
use cotangent::train::options::{
    Decides, DeviceChoice, Kernels, LaunchPlan, LearningRates, Recipe, decides, said_beside_resume,
};
use cotangent::train::{Choice, Choices, OptimizerName, Options, TrainError};

use crate::cli::RunArgs;
use crate::signals;

/// What was asked for: on the command line and, where that says nothing, in a configuration file or a recipe.
struct Request<'a> {
    line: Choices,
    file: Choices,
    /// The optimizer that the file names.
    opt: Option<OptimizerName>,
    config: Option<&'a Path>,
}

impl<'a> Request<'a> {
    fn new(line: Choices, place: &'a RunArgs) -> Result<Self, Failure> {
        let config = place.config.as_deref();
        let (opt, file) = config.map(read_configuration).transpose()?.unwrap_or_default();
        Ok(Self { line, file, opt, config })
    }

    /// With a recipe in the place of a configuration file.
    fn of_recipe(line: Choices, recipe: Recipe) -> Self {
        let (opt, file) = recipe.choices();
        Self { line, file, opt: Some(opt), config: None }
    }

    /// The hardware for a run, and why it was taken.
    fn choose(&self, options: &Options) -> Result<Choice, Failure> {
        let choice = Choice::of(options)?;
        match (&self.line.device, &self.file.device) {
            (None, Some(_)) if options.device != DeviceChoice::Auto => {
                Ok(Choice { why: "as the configuration says".into(), ..choice })
            }
            _ => Ok(choice),
        }
    }

    /// The options for one optimizer out of those that run. Constants of the others are passed over;
    /// the file may hold those of any optimizer, as another may have been named on the command line.
    /// Where the file is of another optimizer, a learning rate without a name is that one's and not taken either.
    fn resolve(&self, opt: OptimizerName, among: &[OptimizerName]) -> Result<Options, Failure> {
        let rates = self.line.lr.iter().flat_map(LearningRates::named);
        if let Some(other) = rates.into_iter().find(|name| !among.contains(name)) {
            let (other, among) =
                (other.name(), among.iter().map(|opt| opt.name()).collect::<Vec<_>>().join(","));
            return Err(Failure::usage(format!(
                "--lr has a rate for {other}, which does not run: leave it out, or name it beside --opt {among}"
            )));
        }
        let line = self.line.clone().without_constants_of(among, opt);
        let mut file = self.file.clone().without_constants_of(&OptimizerName::ALL, opt);
        if self.opt.is_some_and(|other| other != opt) {
            file.lr = file.lr.and_then(LearningRates::named_alone);
        }
        line.clone().or(file).resolve(opt).map_err(|error| match self.config {
            Some(path) if line.resolve(opt).is_ok() && !error.is_of_file() => {
                Failure::usage(format!("{}: {error}", path.display()))
            }
            _ => TrainError::from(error).into(),
        })
    }
}

/// What is said beside --resume.
struct Beside(Choices);

impl Beside {
    /// What decides no result, and the device and the CPU's kernels: what was trained on some that are gone can go on on others.
    /// A run of its own may be given more epochs, too.
    fn of(choices: &Choices, more_epochs: bool) -> Result<Self, Failure> {
        let is_free = |name: &String| decides(name) != Decides::Result || more_epochs && name == "epochs";
        match choices.said().keys().all(is_free) {
            true => Ok(Self(choices.clone())),
            false => Err(Failure::usage(format!(
                "--resume goes on with the run's own options: leave out all others but {}",
                said_beside_resume()
            ))),
        }
    }

    /// The options to go on with where there were these. How a step reached the device decides nothing: it is not gone
    /// on with; nor are the CPU's kernels on another device.
    fn options(&self, before: Options) -> Result<Options, Failure> {
        let elsewhere = self.0.device.as_deref().is_some_and(|device| device != "cpu");
        let kernels = if elsewhere { Kernels::Auto } else { before.kernels };
        let before = Options { plan: LaunchPlan::Auto, kernels, ..before };
        before.with(self.0.clone()).map_err(|error| TrainError::from(error).into())
    }

    /// The hardware to go on with, and why it was taken.
    fn choice(&self, options: &Options) -> Result<Choice, Failure> {
        let choice = Choice::of(options)?;
        match self.0.device {
            Some(_) => Ok(choice),
            None => Ok(Choice { why: "as before".into(), ..choice }),
        }
    }
}

/// What to add to the command that goes on after this error, if going on is the way; nothing where it would only be met
/// again.
fn way_on(error: &TrainError) -> Option<&'static str> {
    match error {
        TrainError::File { .. } | TrainError::OnDevice { .. } | TrainError::Torch(_) => Some(""),
        TrainError::DeviceFailed { .. } => Some(" --plan launches"),
        _ => None,
    }
}

/// Why a command failed, and so its exit status.
pub enum Failure {
    /// What was asked makes no sense: 2.
    Usage(Box<dyn Error>),
    /// The work could not be done: 1.
    Work(Box<dyn Error>),
    /// A signal ended it: 128 and the signal's number.
    Signal(Box<dyn Error>, signals::EndSignal),
}

impl Failure {
    fn usage(message: impl Into<Box<dyn Error>>) -> Self {
        Self::Usage(message.into())
    }

    fn work(message: impl Into<Box<dyn Error>>) -> Self {
        Self::Work(message.into())
    }

    /// That somebody ended the work.
    fn interrupted(message: String) -> Self {
        match signals::asked() {
            Some(signal) => Self::Signal(format!("{message} ({})", signal.name()).into(), signal),
            None => Self::work(message),
        }
    }

    /// Prints the error with its causes.
    pub fn report(self) -> ExitCode {
        let (error, status) = match self {
            Self::Usage(error) => (error, 2),
            Self::Work(error) => (error, 1),
            Self::Signal(error, signal) => (error, signal.status()),
        };
        let message = with_causes(&*error);
        // With stderr gone, the status is all there is.
        let _ = writeln!(std::io::stderr(), "error: {}", printable(&message));
        ExitCode::from(status)
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Option(ref option) if !option.is_of_file() => Self::usage(error),
            _ => Self::work(error),
        }
    }
}
