//! `report`: the whole study on one page.

use std::path::{Path, PathBuf};

use cotangent::backprop::format::Findings;
use cotangent::backprop::{Backprop, Problem, torch};
use cotangent::draw::text::lacking;
use cotangent::errors::with_causes;
use cotangent::report::{browser, html};
use cotangent::runs::files::MODEL;
use cotangent::runs::mistakes::worst;
use cotangent::runs::{Record, groups, records};
use cotangent::scalar::{Trace, TraceRequest, parse, parse_point, trace};
use cotangent::study::{self, Study, Worst};
use cotangent::train::{Choices, TrainError};
use time::OffsetDateTime;

use super::console::{Console, count, interrupted, quoted};
use super::output::Output;
use super::{Failure, compare, data};
use crate::cli::{ReportArgs, RunArgs, STUDIED};

/// The first exercise.
const FORMULA: &str = "(x1*x2*sin(x3) + exp(x1*x2))/x3";
const POINT: &str = "x1=1,x2=1.5,x3=2";

/// The seed of the second.
const SEED: u64 = 0;

/// Epochs of each run, unless they are asked for or come from a file: enough for 98%, and three runs within a minute on
/// two processors.
const EPOCHS: usize = 6;

/// Misclassified images that are shown of each optimizer.
const WORST: usize = 24;

pub fn run(arguments: ReportArgs) -> Result<(), Failure> {
    // Whatever can be known to fail is found before anything is trained.
    let files = Files::wanted(&arguments)?;
    let moved = moved(&arguments)?;
    let browser = arguments.pdf.then(browser::find).transpose().map_err(Failure::work)?;
    let trace = formula()?;
    let matrices = Matrices::solved(arguments.check_torch.as_deref())?;

    let mut console = Console::new(arguments.quiet);
    let (folders, diverged) = folders(&arguments, &mut console)?;
    if interrupted() {
        return Err(Failure::interrupted(format!("interrupted; {}", next_time(&arguments, &folders))));
    }
    let records = records(&folders)?;
    console.say(&format!("{} read; looking for the worst mistakes", count(records.len(), "run")));
    let mut notes = Vec::new();
    let worst = mistakes(&records, moved, &mut notes);
    say_what_to_know(&records, &notes, &mut console);
    let study = Study {
        trace: &trace,
        matrices: matrices.results(),
        records: &records,
        worst: &worst,
        notes: &notes,
        machine: &machine(),
        date: &OffsetDateTime::now_utc().date().to_string(),
    };
    files.write(&study, browser.as_deref(), &mut console)?;
    diverged.map_or(Ok(()), |diverged| Err(Failure::work(diverged)))
}

/// The files that are written: the page, and perhaps its print.
struct Files {
    page: Output,
    printed: Option<Output>,
}

impl Files {
    fn wanted(arguments: &ReportArgs) -> Result<Self, Failure> {
        let page = arguments.out.clone().unwrap_or_else(|| "report.html".into());
        let printed = page.with_extension("pdf");
        if page == printed {
            return Err(Failure::usage(format!("--out {}: name an .html file", page.display())));
        }
        let page = Output::wanted("--out", page, arguments.force)?;
        let printed = match arguments.pdf {
            true => Some(Output::wanted("--pdf", printed, arguments.force)?.apart_from(Some(&page))?),
            false => None,
        };
        Ok(Self { page, printed })
    }

    /// Writes the page, and prints it with the browser.
    fn write(self, study: &Study<'_>, browser: Option<&Path>, console: &mut Console) -> Result<(), Failure> {
        let Self { page, printed } = self;
        let text = html(&study::page(study).map_err(Failure::work)?).map_err(Failure::work)?;
        page.write(text.as_bytes())?;
        console.say(&format!("wrote {}, {} kB", page.path().display(), text.len().div_ceil(1000)));
        if let Some((browser, printed)) = browser.zip(printed) {
            console.say(&format!("printing with {}", browser.display()));
            browser::pdf(browser, page.path(), printed.path(), &|| false).map_err(Failure::work)?;
            console.say(&format!("wrote {}", printed.path().display()));
            if let Some(doubt) = doubtful(study.records, study.notes) {
                console.say(&doubt);
            }
        }
        Ok(())
    }
}

/// Where the images of runs that exist are now, if elsewhere: they are there, and nothing else is asked of such runs.
fn moved(arguments: &ReportArgs) -> Result<Option<&Path>, Failure> {
    let only_data = Choices { data: arguments.choices.data.clone(), ..Choices::default() };
    if !arguments.runs.is_empty() && arguments.choices != only_data {
        return Err(Failure::usage(
            "--runs takes runs that exist: leave out the options of training, all but --data, which says where their \
             images are now",
        ));
    }
    let moved = arguments.choices.data.as_deref().filter(|_| !arguments.runs.is_empty());
    if let Some(folder) = moved {
        data::load(Some(folder), arguments.quiet).map_err(Failure::work)?;
    }
    Ok(moved)
}

/// The second exercise, and PyTorch's results beside it.
struct Matrices {
    found: Backprop,
    origin: String,
    torch: Option<torch::TorchComparison>,
}

impl Matrices {
    fn solved(python: Option<&Path>) -> Result<Self, Failure> {
        let problem = Problem::random(&Problem::SHAPE, Problem::COLUMNS, SEED).map_err(Failure::work)?;
        let found = Backprop::of(&problem).map_err(Failure::work)?;
        let torch = python.map(|python| torch::compare(&found, python));
        Ok(Self { torch: torch.transpose().map_err(Failure::work)?, found, origin: Problem::origin(SEED) })
    }

    fn results(&self) -> Findings<'_> {
        Findings { found: &self.found, origin: &self.origin, torch: self.torch.as_ref(), device: None }
    }
}

/// The folders of the runs, trained now where none are named, and what to say at the end if one of these diverged.
fn folders(arguments: &ReportArgs, console: &mut Console) -> Result<(Vec<PathBuf>, Option<String>), Failure> {
    if !arguments.runs.is_empty() {
        return Ok((arguments.runs.clone(), None));
    }
    let done = train(arguments, console)?;
    let folders = vec![done.folder.path().into()];
    console.say(&next_time(arguments, &folders));
    Ok((folders, done.diverged))
}

/// Says what the records lack, which runs are left out, and what else is not shown.
fn say_what_to_know(records: &[Record], notes: &[String], console: &mut Console) {
    for record in records {
        for note in &record.notes {
            console.say(&format!("{}: {note}", record.path.display()));
        }
    }
    for repeated in groups(records).iter().flat_map(|group| &group.repeated) {
        let (path, seed) = (repeated.path.display(), repeated.options.seed);
        console.say(&format!("{path}: left out, as another run has its options and seed {seed}"));
    }
    for note in notes {
        console.say(note);
    }
}

/// What to look for on paper: a browser prints with the fonts of its system, and a PDF shows nothing, or an empty box,
/// for a letter that none of them has. Letters of the drawings' own font are in all.
fn doubtful(records: &[Record], notes: &[String]) -> Option<String> {
    let mut named = notes.concat();
    for record in records {
        named += &record.path.to_string_lossy();
        named.extend(record.options.data.iter().map(|data| data.to_string_lossy()));
    }
    let characters: String = lacking(&named).into_iter().collect();
    (!characters.is_empty()).then(|| {
        format!(
            "the page names {characters}: look whether the PDF shows it, and if not, install a font that has it, or \
             rename the folder"
        )
    })
}

fn formula() -> Result<Trace, Failure> {
    let formula = parse(FORMULA).map_err(Failure::work)?;
    let point = parse_point(POINT).map_err(Failure::work)?;
    trace(&formula, &point, &TraceRequest::default()).map_err(Failure::work)
}

/// Trains each optimizer.
fn train(arguments: &ReportArgs, console: &mut Console) -> Result<compare::Done, Failure> {
    let optimizers = if arguments.opt.is_empty() { STUDIED } else { &arguments.opt };
    let place = RunArgs { config: arguments.config.clone(), out: None, quiet: arguments.quiet };
    let seeds = arguments.seeds.unwrap_or(1);
    let mut choices = arguments.choices.clone();
    if arguments.config.is_none() {
        choices.epochs.get_or_insert(EPOCHS);
    }
    let next = |folder: &Path| format!(", then {}", next_time(arguments, &[folder.into()]));
    let work = compare::PendingComparison::begin(optimizers, seeds, choices, &place, None, "report")?;
    work.carry_out(&next, console)
}

/// The command that makes the page of these runs.
fn next_time(arguments: &ReportArgs, folders: &[PathBuf]) -> String {
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
            let images = data::load(moved.or(record.options.data.as_deref()), true);
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
