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

        browser::pdf(&browser, page.path(), printed.path(), &interrupted).map_err(Failure::work)?;
        console.say(&format!("wrote {}", printed.path().display()));
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
