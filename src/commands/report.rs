//! `report`: the whole study on one page.

use std::path::PathBuf;

use cotangent::backprop::format::Results;
use cotangent::backprop::{Backprop, Problem, torch};
use cotangent::report::{browser, html};
use cotangent::scalar::{Request, Trace, parse, parse_point, trace};
use cotangent::study::{self, Study, Worst};
use cotangent::train::files::MODEL;
use cotangent::train::mistakes::worst;
use cotangent::train::{Choices, OptimizerName, Record, groups, records};
use time::OffsetDateTime;

use super::console::{Console, count, interrupted, listen_for_interrupt, quoted};
use super::output::{refuse_existing, write};
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
    if !arguments.force {
        let outputs = [Some(&page), arguments.pdf.then_some(&printed)];
        refuse_existing(outputs.into_iter().flatten())?;
    }
    if !arguments.runs.is_empty() && arguments.choices != Choices::default() {
        return Err(Failure::usage("--runs takes runs that exist: leave out the options of training"));
    }
    let browser = arguments.pdf.then(browser::find).transpose().map_err(Failure::work)?;
    let trace = formula()?;
    let found =
        Backprop::of(&Problem::random(&Problem::SHAPE, Problem::COLUMNS, SEED).map_err(Failure::work)?)
            .map_err(Failure::work)?;
    let torch = arguments.check_torch.as_deref().map(|python| torch::compare(&found, python));
    let torch = torch.transpose().map_err(Failure::work)?;

    let mut console = Console::new(arguments.quiet);
    let folders = match arguments.runs.is_empty() {
        false => arguments.runs.clone(),
        true => vec![train(&arguments, &mut console)?],
    };
    let records = records(&folders)?;
    console.say(&format!("{} read; looking for the worst mistakes", count(records.len(), "run")));
    let mut notes = Vec::new();
    let worst = mistakes(&records, &mut notes);
    for note in records.iter().flat_map(|record| record.notes.iter().map(move |note| (record, note))) {
        console.say(&format!("{}: {}", note.0.path.display(), note.1));
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
    write("--out", &page, text.as_bytes())?;
    console.say(&format!("wrote {}, {} kB", page.display(), text.len().div_ceil(1000)));
    if let Some(browser) = browser {
        console.say(&format!("printing with {}", browser.display()));
        listen_for_interrupt();
        browser::pdf(&browser, &page, &printed, &interrupted).map_err(Failure::work)?;
        console.say(&format!("wrote {}", printed.display()));
    }
    Ok(())
}

fn formula() -> Result<Trace, Failure> {
    let formula = parse(FORMULA).map_err(Failure::work)?;
    let point = parse_point(POINT).map_err(Failure::work)?;
    trace(&formula, &point, &Request::default()).map_err(Failure::work)
}

/// Trains each optimizer, and returns the folder of the runs.
fn train(arguments: &Report, console: &mut Console) -> Result<PathBuf, Failure> {
    let optimizers = if arguments.opt.is_empty() { &OPTIMIZERS[..] } else { &arguments.opt };
    let place = Place { config: arguments.config.clone(), out: None, quiet: arguments.quiet };
    let seeds = arguments.seeds.unwrap_or(1);
    let mut choices = arguments.choices.clone();
    if arguments.config.is_none() {
        choices.epochs.get_or_insert(EPOCHS);
    }
    let folder = compare::train(optimizers, seeds, choices, &place, "report", console)?;
    console
        .say(&format!("to make the page again: cotangent report --force --runs {}", quoted(folder.path())));
    Ok(folder.path().into())
}

/// The worst mistakes of one run of each group; the notes get what kept others from being shown.
fn mistakes(records: &[Record], notes: &mut Vec<String>) -> Vec<Worst> {
    let mut found = Vec::new();
    for group in groups(records) {
        let with_model = group.records.iter().find(|record| record.path.join(MODEL).exists());
        let Some(record) = with_model else { continue }; // the record says so
        let Some(position) = records.iter().position(|other| other.path == record.path) else { continue };
        let mistakes = data::load(record.options.data.as_deref())
            .map_err(Into::into)
            .and_then(|data| worst(record, &data, WORST));
        match mistakes {
            Ok(mistakes) => found.push(Worst { record: position, mistakes }),
            Err(error) => notes.push(format!("{}: its mistakes cannot be shown: {error}", group.name)),
        }
    }
    found
}

/// `linux x86_64, 2 processors`.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} {}, {}", std::env::consts::OS, std::env::consts::ARCH, count(processors, "processor"))
}
