//! `mnist`: trains one network and leaves a run folder.

use cotangent::runs::figures::setting;
use cotangent::runs::files::{CHECKPOINT, read_configuration};
use cotangent::runs::{RunFolder, Summary};
use cotangent::train::learning::smaller_rate;
use cotangent::train::{Choices, Options, Run, Setup, TrainError};

use super::console::{Console, count, device_line, listen_for_interrupt, quoted, resume_command};
use super::{Beside, Failure, Request, data, way_on};
use crate::cli::{MnistArgs, OPTIMIZER};

pub fn run(arguments: MnistArgs) -> Result<(), Failure> {
    let console = Console::new(arguments.place.quiet);
    let (run, device) = if arguments.resume.is_some() { resume(arguments)? } else { begin(arguments)? };
    train(run, &device, console)
}

/// A new run, its folder made, and its line about the device.
fn begin(arguments: MnistArgs) -> Result<(Run, String), Failure> {
    let MnistArgs { opt, recipe, choices, place, .. } = arguments;
    if let Some(rates) = choices.lr.as_ref().filter(|rates| rates.named().next().is_some()) {
        return Err(Failure::usage(format!(
            "--lr {rates}: mnist trains with one optimizer, so write a number alone, such as --lr 0.001; compare takes a \
             rate for each"
        )));
    }
    let request = match recipe {
        Some(recipe) => Request::of_recipe(choices, recipe),
        None => Request::new(choices, &place)?,
    };
    let opt = opt.or(request.opt).unwrap_or(OPTIMIZER);
    let options = request.resolve(opt, &[opt])?;
    let choice = request.choose(&options)?;
    let device = device_line(&choice, &options);
    let data = data::load(options.data.as_deref(), place.quiet).map_err(Failure::work)?;
    let setup = Setup::new(options, data, &choice)?; // before the folder is made, so that a mistake leaves none
    let folder = RunFolder::create(place.out.as_deref(), &format!("mnist-{}", opt.name()))?;
    Ok((setup.begin(folder), device))
}

/// A run that was cut off, as it stood at its last checkpoint, and its line about the device.
fn resume(arguments: MnistArgs) -> Result<(Run, String), Failure> {
    let Some(path) = arguments.resume else { return Err(Failure::usage("--resume needs a folder")) };
    let beside = Beside::of(&arguments.choices)?;
    let folder = RunFolder::open(&path)?;
    let (opt, choices) = read_configuration(&folder.file("config.toml"))?;
    let opt = opt.ok_or_else(|| {
        let file = folder.file("config.toml");
        Failure::work(format!("{}: names no optimizer: add a line such as opt = \"adam\"", file.display()))
    })?;
    let interrupted = Summary::read(&folder).is_some_and(|summary| summary.interrupted);
    let finished = folder.file("summary.json").exists() || folder.file("model.safetensors").exists();
    if finished && !interrupted && !folder.file(CHECKPOINT).exists() {
        return Err(Failure::usage(format!(
            "{} is complete: there is nothing to go on with. To run it again: cotangent mnist --config {}",
            path.display(),
            quoted(&folder.file("config.toml"))
        )));
    }
    let before = Choices { plan: None, ..choices }.resolve(opt).map_err(Failure::work)?;
    let options = beside.options(before)?;
    let choice = beside.choice(&options)?;
    let device = device_line(&choice, &options);
    let data = data::load(options.data.as_deref(), arguments.place.quiet).map_err(Failure::work)?;
    Ok((Setup::resume(options, data, &choice, folder)?, device))
}

fn train(run: Run, device: &str, mut console: Console) -> Result<(), Failure> {
    listen_for_interrupt();
    let (options, folder) = (run.options(), run.folder().clone());
    console.say(&format!(
        "{}: {}, {} parameters, seed {}",
        options.opt.name(),
        setting(options, run.model()),
        run.model().parameter_count(),
        options.seed
    ));
    console.say(device);
    console.say(&format!("writing {}", folder.path().display()));
    match (run.rows().last(), &options.init) {
        (Some(done), _) => console.say(&format!("going on after epoch {}", done.epoch)),
        (None, Some(init)) => console.say(&format!("starting from the weights of {}", init.path.display())),
        (None, None) => {}
    }
    console.say_columns(options.validation > 0);
    let options = options.clone();
    let outcome = run.train(&mut console).map_err(|error| stopped(error, &options, &folder))?;
    let summary = &outcome.summary;
    if summary.interrupted {
        return Err(Failure::work(format!(
            "interrupted after {}; what was done is in {}. Go on with: {}",
            count(summary.epochs, "whole epoch"),
            folder.path().display(),
            resume_command(&folder)
        )));
    }
    console.say(&format!(
        "test accuracy {:.2}%{} after {}, {:.1} s of training; see {}",
        100.0 * summary.test_accuracy,
        match summary.validation_accuracy {
            Some(accuracy) => format!(", validation accuracy {:.2}%,", 100.0 * accuracy),
            None => String::new(),
        },
        count(summary.epochs, "epoch"),
        summary.train_seconds,
        folder.file("objective.png").display()
    ));
    if let Some(warning) = outcome.warning(&options) {
        console.say(&format!("warning: {warning}"));
    }
    Ok(())
}

/// What ended a run before its time: where it diverged, with a learning rate to try; where a file could not be written or a
/// device failed, with the way to go on.
fn stopped(error: TrainError, options: &Options, folder: &RunFolder) -> Failure {
    if let TrainError::NotFinite(_) = error {
        let rate = smaller_rate(options);
        return Failure::work(format!(
            "{error}: try a smaller --lr, such as {rate}. What earlier epochs logged is kept"
        ));
    }
    let Some(more) = way_on(&error) else { return error.into() };
    if !folder.file("config.toml").exists() {
        return error.into();
    }
    Failure::work(Stopped { command: resume_command(folder) + more, source: error })
}

#[derive(Debug, thiserror::Error)]
#[error("the run stopped (mend the cause and go on with: {command})")]
struct Stopped {
    command: String,
    source: TrainError,
}
