//! `mnist`: trains one network and leaves a run folder.

use cotangent::runs::figures::setting;
use cotangent::runs::files::{Checkpoint, FINISHED, MODEL, read_options};
use cotangent::runs::{RunFolder, Summary};
use cotangent::train::learning::smaller_rate;
use cotangent::train::{Options, Run, Setup, TrainError};

use super::console::{Console, count, device_line, quoted, resume_command};
use super::{Beside, Failure, Request, data, way_on};
use crate::cli::{MnistArgs, OPTIMIZER};
use crate::signals::EndsItself;

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
    Ok((setup.begin(folder)?, device))
}

/// A run that was cut off, as it stood at its last checkpoint, or a finished one that is given more epochs, and its line
/// about the device.
fn resume(arguments: MnistArgs) -> Result<(Run, String), Failure> {
    let Some(path) = arguments.resume else { return Err(Failure::usage("--resume needs a folder")) };
    let beside = Beside::of(&arguments.choices, true)?;
    let folder = RunFolder::open(&path)?;
    let recorded = read_options(&folder.file("config.toml"))?;
    let is_finished = is_finished(&folder)?;
    check_epochs(&folder, &recorded, arguments.choices.epochs, is_finished)?;
    let options = beside.options(recorded.clone())?;
    let choice = beside.choice(&options)?;
    let device = device_line(&choice, &options);
    let data = data::load(options.data.as_deref(), arguments.place.quiet).map_err(Failure::work)?;
    Ok((Setup::resume(options, Some(recorded), data, &choice, folder)?, device))
}

/// Whether a run came to its end, so that there is nothing to go on with but more epochs.
fn is_finished(folder: &RunFolder) -> Result<bool, Failure> {
    let interrupted = Summary::read(folder).is_some_and(|summary| summary.interrupted);
    let has_result = folder.holds("summary.json")? || folder.holds(MODEL)?;
    Ok(has_result && !interrupted && !Checkpoint::is_in(folder.path())?)
}

/// That a run can be gone on with to so many epochs, if that is said.
fn check_epochs(
    folder: &RunFolder,
    recorded: &Options,
    epochs: Option<usize>,
    is_finished: bool,
) -> Result<(), Failure> {
    let path = folder.path().display();
    let again = || format!("cotangent mnist --config {}", quoted(&folder.file("config.toml")));
    match epochs {
        None if is_finished => Err(Failure::usage(format!(
            "{path} is complete: there is nothing to go on with. For more epochs: {} --epochs {}. To run it again: {}",
            resume_command(folder),
            2 * recorded.epochs,
            again()
        ))),
        Some(epochs) if is_finished && epochs <= recorded.epochs => Err(Failure::usage(format!(
            "--epochs {epochs}: {path} has all of its {} epochs, so say how many more there are to be in all",
            recorded.epochs
        ))),
        Some(_) if is_finished && !folder.holds(FINISHED)? => Err(Failure::work(format!(
            "{path}: holds no {FINISHED}, from which more epochs go on: begin a run from its weights with --init {path}, or \
             run it again with {}",
            again()
        ))),
        Some(epochs) if !is_finished && epochs != recorded.epochs => {
            // It may have been ended just as it was given more.
            let planned = Checkpoint::read(folder)?
                .and_then(|(checkpoint, _)| checkpoint.origin.options.get("epochs")?.as_u64())
                .unwrap_or(recorded.epochs as u64);
            let way = match planned == recorded.epochs as u64 {
                true => "without --epochs".into(),
                false => format!("with --epochs {planned}"),
            };
            match planned == epochs as u64 {
                true => Ok(()),
                false => Err(Failure::usage(format!(
                    "--epochs {epochs}: {path} has not come to the end of its {planned} epochs; go on with it first, {way}"
                ))),
            }
        }
        _ => Ok(()),
    }
}

/// Says where a run is taken up, and what is to be known of that.
pub(super) fn say_where(run: &Run, console: &Console) {
    for note in run.notes() {
        console.say(&format!("note: {note}"));
    }
    match (run.rows().len(), run.steps()) {
        (0, 0) => {}
        (0, steps) => console.say(&format!("going on after {}", count(steps, "step"))),
        (epoch, 0) => console.say(&format!("going on after epoch {epoch}")),
        (epoch, steps) => console.say(&format!("going on after epoch {epoch} and {}", count(steps, "step"))),
    }
}

fn train(run: Run, device: &str, mut console: Console) -> Result<(), Failure> {
    let _ends_itself = EndsItself::new();
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
    say_where(&run, &console);
    if let (None, 0, Some(init)) = (run.rows().last(), run.steps(), &options.init) {
        console.say(&format!("starting from the weights of {}", init.path.display()));
    }
    if let Some((before, rate)) = run.extension() {
        console.say(&format!(
            "given more epochs after {before}: the {} schedule now runs over all {}, so the next step has the learning \
             rate {rate:.3e}",
            options.schedule, options.epochs
        ));
    }
    console.say_columns(options.validation > 0);
    let options = options.clone();
    let outcome = run.train(&mut console).map_err(|error| stopped(error, &options, &folder))?;
    let summary = &outcome.summary;
    if summary.interrupted {
        let steps = match outcome.steps {
            0 => String::new(),
            steps => format!(" and {}", count(steps, "step")),
        };
        return Err(Failure::interrupted(format!(
            "interrupted after {}{steps}; what was done is in {}. Go on with: {}",
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
