//! `report`: the whole study on one page.

use std::path::{Path, PathBuf};

use cotangent::backprop::format::Results;
use cotangent::backprop::{Backprop, Problem, torch};
use cotangent::errors::with_causes;
use cotangent::report::{browser, html};
use cotangent::scalar::{Request, Trace, parse, parse_point, trace};
use cotangent::study::{self, Study, Worst};
use cotangent::train::files::MODEL;
use cotangent::train::mistakes::worst;
use cotangent::train::{Choices, OptimizerName, Record, TrainError, groups, records};
use time::OffsetDateTime;

use super::console::{Console, count, interrupted, listen_for_interrupt, quoted};
use super::output::Output;
use super::{Failure, compare, data};
use crate::cli::{Place, Report};

/// The first exercise.
const FORMULA: &str = "(x1*x2*sin(x3) + exp(x1*x2))/x3";
const POINT: &str = "x1=1,x2=1.5,x3=2";

/// The seed of the second.
const SEED: u64 = 0;

/// The optimizers of the third exercise.
const OPTIMIZERS: [OptimizerName; 3] = [OptimizerName::Adagrad, OptimizerName::RmsProp, OptimizerName::Adam];

/// Epochs of each run, unless they are asked for or come from a file: enough for 98%, and three runs within a minute on
/// two processors.
const EPOCHS: usize = 6;

/// Misclassified images that are shown of each optimizer.
const WORST: usize = 24;

pub fn run(arguments: Report) -> Result<(), Failure> {
    let page = arguments.out.clone().unwrap_or_else(|| "report.html".into());
    let printed = page.with_extension("pdf");
    if page == printed {
        return Err(Failure::usage(format!("--out {}: name an .html file", page.display())));
    }
    // Whatever can be known to fail is found before anything is trained.
    let page = Output::wanted("--out", page, arguments.force)?;
    let printed = match arguments.pdf {
        true => Some(Output::wanted("--pdf", printed, arguments.force)?.apart_from(Some(&page))?),
        false => None,
    };
    let only_data = Choices { data: arguments.choices.data.clone(), ..Choices::default() };
    if !arguments.runs.is_empty() && arguments.choices != only_data {
        return Err(Failure::usage(
            "--runs takes runs that exist: leave out the options of training, all but --data, which says where their \
             images are now",
        ));
    }
    let moved = arguments.choices.data.as_deref().filter(|_| !arguments.runs.is_empty());
    if let Some(folder) = moved {
        data::load(Some(folder)).map_err(Failure::work)?;
    }
    let browser = arguments.pdf.then(browser::find).transpose().map_err(Failure::work)?;
    listen_for_interrupt(); // so that nothing temporary is left behind
    let trace = formula()?;
    let found =
        Backprop::of(&Problem::random(&Problem::SHAPE, Problem::COLUMNS, SEED).map_err(Failure::work)?)
            .map_err(Failure::work)?;
    let torch = arguments.check_torch.as_deref().map(|python| torch::compare(&found, python));
    if interrupted() {
        return Err(Failure::work("interrupted while PyTorch ran"));
    }
    let torch = torch.transpose().map_err(Failure::work)?;

    let mut console = Console::new(arguments.quiet);
    let (folders, diverged) = match arguments.runs.is_empty() {
        false => (arguments.runs.clone(), None),
        true => {
            let done = train(&arguments, &mut console)?;
            let folders = vec![done.folder.path().into()];
            console.say(&next_time(&arguments, &folders));
            (folders, done.diverged)
        }
    };
    let records = records(&folders)?;
    console.say(&format!("{} read; looking for the worst mistakes", count(records.len(), "run")));
    let mut notes = Vec::new();
    let worst = mistakes(&records, moved, &mut notes);
    if interrupted() {
        return Err(Failure::work(format!("interrupted; {}", next_time(&arguments, &folders))));
    }
    for record in &records {
        for note in &record.notes {
            console.say(&format!("{}: {note}", record.path.display()));
        }
    }
    for repeated in groups(&records).iter().flat_map(|group| &group.repeated) {
        let seed = repeated.options.seed;
        console.say(&format!(
            "{}: left out, as another run has its options and seed {seed}",
            repeated.path.display()
        ));
    }
    for note in &notes {
        console.say(note);
    }
    let now = OffsetDateTime::now_utc();
    let machine = machine();
    let study = Study {
        trace: &trace,
        matrices: Results {
            found: &found,
            origin: &Problem::origin(SEED),
            torch: torch.as_ref(),
            device: None,
        },
        records: &records,
        worst: &worst,
        notes: &notes,
        machine: &machine,
        date: &now.date().to_string(),
    };
    let text = html(&study::page(&study).map_err(Failure::work)?).map_err(Failure::work)?;
    page.write(text.as_bytes())?;
    console.say(&format!("wrote {}, {} kB", page.path().display(), text.len().div_ceil(1000)));
    if let Some((browser, printed)) = browser.zip(printed) {
        console.say(&format!("printing with {}", browser.display()));
        browser::pdf(&browser, page.path(), printed.path(), &interrupted).map_err(Failure::work)?;
        console.say(&format!("wrote {}", printed.path().display()));
    }
    diverged.map_or(Ok(()), |diverged| Err(Failure::work(diverged)))
}

fn formula() -> Result<Trace, Failure> {
    let formula = parse(FORMULA).map_err(Failure::work)?;
    let point = parse_point(POINT).map_err(Failure::work)?;
    trace(&formula, &point, &Request::default()).map_err(Failure::work)
}

/// Trains each optimizer.
fn train(arguments: &Report, console: &mut Console) -> Result<compare::Done, Failure> {
    let optimizers = if arguments.opt.is_empty() { &OPTIMIZERS[..] } else { &arguments.opt };
    let place = Place { config: arguments.config.clone(), out: None, quiet: arguments.quiet };
    let seeds = arguments.seeds.unwrap_or(1);
    let mut choices = arguments.choices.clone();
    if arguments.config.is_none() {
        choices.epochs.get_or_insert(EPOCHS);
    }
    let next = |folder: &Path| format!(", then {}", next_time(arguments, &[folder.into()]));
    let work = compare::Work::begin(optimizers, seeds, choices, &place, None, "report")?;
    work.carry_out(&next, console)
}

/// The command that makes the page of these runs.
fn next_time(arguments: &Report, folders: &[PathBuf]) -> String {
    let mut command = String::from("to make the page of these runs: cotangent report --force");
    let mut say = |option: &str, value: Option<&Path>| {
        command += &format!(" {option}");
        value.into_iter().for_each(|value| command += &format!(" {}", quoted(value)));
    };
    arguments.out.iter().for_each(|out| say("--out", Some(out)));
    arguments.check_torch.iter().for_each(|python| say("--check-torch", Some(python)));
    if arguments.pdf {
        say("--pdf", None);
    }
    if let (false, Some(data)) = (arguments.runs.is_empty(), &arguments.choices.data) {
        say("--data", Some(data));
    }
    say("--runs", None);
    folders.iter().for_each(|folder| command += &format!(" {}", quoted(folder)));
    command
}

/// The worst mistakes of one run of each group, whose images may have been `moved`; the notes get what kept others
/// from being shown.
fn mistakes(records: &[Record], moved: Option<&Path>, notes: &mut Vec<String>) -> Vec<Worst> {
    let mut found = Vec::new();
    for group in groups(records) {
        let mut failed = None;
        // The first run whose model and images are there will do.
        for record in group.records.iter().filter(|record| record.path.join(MODEL).exists()) {
            let Some(position) = records.iter().position(|other| other.path == record.path) else { continue };
            let images = data::load(moved.or(record.options.data.as_deref()));
            match images.map_err(TrainError::from).and_then(|data| worst(record, &data, WORST)) {
                Ok(mistakes) => {
                    found.push(Worst { record: position, mistakes });
                    failed = None;
                    break;
                }
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            notes.push(format!("{}: its mistakes cannot be shown: {}.", group.name, with_causes(&error)));
        }
    }
    found
}

/// `linux x86_64, 2 processors`.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} {}, {}", std::env::consts::OS, std::env::consts::ARCH, count(processors, "processor"))
}
