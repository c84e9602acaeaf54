//! `compare`: the same training for several optimizers and seeds, side by side.

mod results;

use std::path::Path;
use std::sync::Arc;

use cotangent::data::Dataset;
use cotangent::python::from_here;
use cotangent::runs::RunFolder;
use cotangent::runs::figures::setting;
use cotangent::runs::files::FINISHED;
use cotangent::runs::log::Metrics;
use cotangent::runs::seal::{SEAL, seal};
use cotangent::train::comparison::{Compared, ComparisonPlan, Course};
use cotangent::train::torch::{self, Peer};
use cotangent::train::{Choice, Choices, Comparison, OptimizerName, Options, Outcome, Setup, TrainError};

use super::console::{Console, count, device_line, interrupted, resume_comparison};
use super::mnist::say_where;
use super::{Beside, Failure, Request, data, way_on};
use crate::cli::{COMPARED, CompareArgs, RunArgs};
use crate::signals::EndsItself;
use results::{table, verdict};

pub fn run(arguments: CompareArgs) -> Result<(), Failure> {
    let CompareArgs { opt, seeds, check_torch, choices, place, resume } = arguments;
    let mut console = Console::new(place.quiet);
    let work = match resume {
        Some(folder) => PendingComparison::resume(&folder, &choices, place.quiet)?,
        None => {
            let optimizers = if opt.is_empty() { COMPARED.to_vec() } else { opt };
            PendingComparison::begin(&optimizers, seeds, choices, &place, check_torch.as_deref(), "compare")?
        }
    };
    let Done { folder, diverged } = work.carry_out(&|_| String::new(), &mut console)?;
    console.say(&format!("see {}", folder.file("compare.png").display()));
    diverged.map_or(Ok(()), |diverged| Err(Failure::work(diverged)))
}

/// A comparison that can begin or go on: what can be known to fail has been looked for.
pub struct PendingComparison {
    plan: ComparisonPlan,
    runs: Vec<Options>,
    data: Arc<Dataset>,
    choice: Choice,
    folder: RunFolder,
}

/// A comparison all of whose runs came to an end.
pub struct Done {
    pub folder: RunFolder,
    /// Which of them diverged and what to try, if any did.
    pub diverged: Option<String>,
}

impl PendingComparison {
    /// A new comparison, its folder made: `runs/<time>-<what>`, if none is named.
    pub fn begin(
        named: &[OptimizerName],
        seeds: u64,
        choices: Choices,
        place: &RunArgs,
        check_torch: Option<&Path>,
        what: &str,
    ) -> Result<Self, Failure> {
        let request = Request::new(choices, place)?;
        let mut optimizers = Vec::new();
        for &name in named {
            if !optimizers.contains(&name) {
                optimizers.push(name);
            }
        }
        // Everything is checked before anything runs, so that a mistake is found now and not in an hour.
        let all: Result<Vec<Options>, Failure> =
            optimizers.iter().map(|&name| request.resolve(name, &optimizers)).collect();
        let mut plan = ComparisonPlan { optimizers: all?, seeds, check_torch: check_torch.map(from_here) };
        let runs = plan.runs().map_err(Failure::usage)?;
        let data = data::load(runs[0].data.as_deref(), place.quiet).map_err(Failure::work)?;
        let choice = request.choose(&runs[0])?;
        plan.record_init(&data)?;
        let runs = checked(&plan, &data, &choice)?;
        for options in &mut plan.optimizers {
            options.device = choice.device();
            options.kernels = choice.kernels(&data.train);
        }
        let folder = RunFolder::create(place.out.as_deref(), what)?;
        plan.write(&folder)?;
        Ok(Self { plan, runs, data, choice, folder })
    }

    /// A comparison that was cut off.
    fn resume(folder: &Path, choices: &Choices, quiet: bool) -> Result<Self, Failure> {
        let beside = Beside::of(choices, false)?;
        let (folder, mut plan) = ComparisonPlan::open(folder)?;
        for options in &mut plan.optimizers {
            *options = beside.options(options.clone())?;
        }
        let runs = plan.runs().map_err(Failure::work)?;
        let data = data::load(runs[0].data.as_deref(), quiet).map_err(Failure::work)?;
        let choice = beside.choice(&runs[0])?;
        // What has begun needs the model no more that it started from.
        let begun = runs.iter().map(|options| Course::has_begun(&folder.file(&options.run_name()), options));
        if begun.collect::<Result<Vec<_>, _>>()?.contains(&false) {
            plan.record_init(&data)?;
        }
        let runs = checked(&plan, &data, &choice)?;
        Ok(Self { plan, runs, data, choice, folder })
    }

    /// Trains what is not yet trained, and leaves the runs and their comparison in the folder. `next` says what to do,
    /// besides going on, where that is cut off.
    pub fn carry_out(self, next: &dyn Fn(&Path) -> String, console: &mut Console) -> Result<Done, Failure> {
        let Self { plan, runs, data, choice, folder } = &self;
        let _ends_itself = EndsItself::new();
        folder.unguarded().into_iter().for_each(|note| console.say(&format!("note: {note}")));
        console.say(&device_line(choice, &runs[0]));
        console.say(&format!("{}, writing {}", count(runs.len(), "run"), folder.path().display()));
        folder.remove(SEAL)?; // what it vouches for is about to change
        let model = runs[0].model(data.train.pixels(), data.classes);
        let mut comparison = Comparison { setting: setting(&runs[0], &model), runs: Vec::new() };
        for options in runs {
            let done = done(&comparison, folder, runs.len());
            let run = self.one(options, plan.check_torch.as_deref(), &done, console);
            console.clear();
            let Some(run) = run? else {
                let (way, next) = (resume_comparison(folder.path()), next(folder.path()));
                return Err(Failure::interrupted(format!(
                    "interrupted after {done}. Go on with: {way}{next}"
                )));
            };
            comparison.runs.push(run);
            comparison.write(folder)?; // after each run, so that what is done is there to see
        }
        seal(folder)?;
        console.say(&format!("\n{}", table(&comparison)));
        let diverged = verdict(&comparison, folder);
        Ok(Done { folder: self.folder, diverged })
    }

    /// One run to its end, by us and, if it is asked for, by PyTorch: read back where it came there before. Nothing, if it
    /// was interrupted.
    fn one(
        &self,
        options: &Options,
        check_torch: Option<&Path>,
        done: &str,
        console: &mut Console,
    ) -> Result<Option<Compared>, Failure> {
        let name = options.run_name();
        let folder = self.folder.inner_or_new(&name)?;
        let failed = |name: &str, source| {
            let way = way_on(&source).map_or_else(String::new, |more| {
                let way = resume_comparison(self.folder.path());
                format!(" (mend the cause and go on with: {way}{more})")
            });
            Failure::work(Failed { name: name.into(), done: done.into(), way, source })
        };
        let course = match Course::read(folder.path(), options)? {
            Some(course) => {
                console.say(&format!("\n{name}: as before, after {}", count(course.rows.len(), "epoch")));
                Some(course)
            }
            None => self.train(options, &folder, console).map_err(|error| failed(&name, error))?,
        };
        let Some(course) = course else { return Ok(None) };
        say_end(&course, options, console);
        let pytorch = match (check_torch, Peer::read(&folder)?) {
            (None, _) => None,
            (Some(_), Some(peer)) => {
                seal(&folder)?; // it may have been cut off just before
                Some(peer)
            }
            (Some(_), None) if interrupted() => return Ok(None),
            (Some(python), None) => {
                console.say(&format!("\n{name}, by PyTorch"));
                console.say_columns(false);
                let peer = torch::train(options, self.data.clone(), python, console);
                let kept = |peer: Peer| peer.write(&folder).and_then(|()| seal(&folder)).map(|()| peer);
                let peer = peer.and_then(|peer| peer.map(kept).transpose());
                let peer = peer.map_err(|error| failed(&format!("{name} by PyTorch"), error))?;
                let Some(peer) = peer else { return Ok(None) };
                say_end(&peer.course, options, console);
                Some(peer)
            }
        };
        Ok(Some(Compared { options: options.clone(), course, pytorch }))
    }

    /// Our run, from its checkpoint or from its beginning. Nothing, if it was interrupted.
    fn train(
        &self,
        options: &Options,
        folder: &RunFolder,
        console: &mut Console,
    ) -> Result<Option<Course>, TrainError> {
        if interrupted() {
            return Ok(None);
        }
        let recorded = Course::recorded(folder)?;
        let run = Setup::resume(options.clone(), recorded, self.data.clone(), &self.choice, folder.clone())?;
        console.say(&format!("\n{}", options.run_name()));
        say_where(&run, console);
        console.say_columns(options.validation > 0);
        match run.train(console) {
            // A run that was cut off would be compared with whole ones: it is left out.
            Ok(outcome) if outcome.summary.interrupted => Ok(None),
            Ok(Outcome { summary, rows, .. }) => {
                folder.remove(FINISHED)?; // a comparison is not gone on with to more epochs
                Ok(Some(Course { rows, diverged: None, learning: summary.learning }))
            }
            Err(TrainError::NotFinite(divergence)) => {
                let rows = Metrics::read(&folder.file("metrics.csv"))?;
                Ok(Some(Course { rows, diverged: Some(divergence), learning: None }))
            }
            Err(error) => Err(error),
        }
    }
}

/// The runs: they and the data go together, and there is a PyTorch, if there is to be one.
fn checked(plan: &ComparisonPlan, data: &Dataset, choice: &Choice) -> Result<Vec<Options>, Failure> {
    // Nothing that is checked depends on the seed.
    for options in &plan.optimizers {
        Setup::check(options, data, choice)?;
        if plan.check_torch.is_some() {
            torch::check(options).map_err(Failure::usage)?;
        }
    }
    plan.check_torch.as_deref().map_or(Ok(()), torch::check_python).map_err(Failure::work)?;
    plan.runs().map_err(Failure::usage)
}

/// A run of the comparison that failed.
#[derive(Debug, thiserror::Error)]
#[error("the run {name} failed after {done}{way}")]
struct Failed {
    name: String,
    done: String,
    way: String,
    source: TrainError,
}

/// How many runs are done, and where to see them: `1 of 8 runs, compared in runs/...`.
fn done(comparison: &Comparison, folder: &RunFolder, all: usize) -> String {
    let where_to_see = match comparison.runs.is_empty() {
        true => String::new(),
        false => format!(", compared in {}", folder.path().display()),
    };
    format!("{} of {}{where_to_see}", comparison.runs.len(), count(all, "run"))
}

/// Says of a run that it diverged or led nowhere, if it did.
fn say_end(course: &Course, options: &Options, console: &mut Console) {
    if let Some(diverged) = &course.diverged {
        console.clear();
        console.say(&format!("diverged {diverged}"));
    }
    if let Some(warning) = course.warning(options) {
        console.say(&format!("warning: {warning}"));
    }
}
