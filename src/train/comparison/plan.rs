//! `compare.toml`: what a comparison is to train, so that one that was cut off can go on.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeValue;

use crate::data::Dataset;
use crate::runs::RunFolder;
use crate::runs::files::TomlFile;
use crate::train::options::OptionError;
use crate::train::setup::start;
use crate::train::{Choices, Options, TrainError};

/// The file's name in a comparison's folder.
pub(super) const PLAN: &str = "compare.toml";

/// What a comparison is to train.
#[derive(Clone, PartialEq, Debug)]
pub struct ComparisonPlan {
    /// The options of each optimizer, with the first seed.
    pub optimizers: Vec<Options>,
    /// Runs of each, with seeds from the first on.
    pub seeds: u64,
    /// The Python whose PyTorch trains the same.
    pub check_torch: Option<PathBuf>,
}

/// The file.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    runs: Runs,
    optimizer: Vec<&'a Options>,
}

/// What it says of all runs.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Runs {
    seeds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_torch: Option<PathBuf>,
}

impl Options {
    /// The name of a run of a comparison, and of its folder: `adam-seed0`.
    pub fn run_name(&self) -> String {
        format!("{}-seed{}", self.opt.name(), self.seed)
    }
}

impl ComparisonPlan {
    /// Each run's options, in order.
    ///
    /// # Errors
    /// When a seed is too large.
    pub fn runs(&self) -> Result<Vec<Options>, OptionError> {
        let with_seed = |options: &Options, k: u64| {
            let seed = Some(options.seed.saturating_add(k)); // too large a seed is refused as such
            options.clone().with(Choices { seed, ..Choices::default() })
        };
        let of = |options| (0..self.seeds).map(move |k| with_seed(options, k));
        self.optimizers.iter().flat_map(of).collect()
    }

    /// Records the weights that all runs start from, if they start from any, as the folders of the runs record them: by
    /// one digest, which every run is held to.
    ///
    /// # Errors
    /// When they cannot be read, are others than those recorded before, or do not go with the options and the images.
    pub fn record_init(&mut self, data: &Dataset) -> Result<(), TrainError> {
        let Some(first) = self.optimizers.first() else { return Ok(()) };
        let Some((_, init)) = start(first, data)? else { return Ok(()) };
        for options in &mut self.optimizers {
            options.init = Some(init.clone());
        }
        Ok(())
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<(), TrainError> {
        let written = Written {
            runs: Runs { seeds: self.seeds, check_torch: self.check_torch.clone() },
            optimizer: self.optimizers.iter().collect(),
        };
        let text = toml::to_string(&written)
            .map_err(|error| TrainError::Content { path: folder.file(PLAN), problem: error.to_string() })?;
        let head = "# What is compared here. Go on, if it was cut off: cotangent compare --resume FOLDER\n\n";
        folder.write(PLAN, format!("{head}{text}").as_bytes())
    }

    /// The folder of an earlier comparison, to go on with it, and its plan.
    ///
    /// # Errors
    /// When there is no such folder, no comparison began in it, or its plan cannot be read.
    pub fn open(path: &Path) -> Result<(RunFolder, Self), TrainError> {
        let folder = RunFolder::with(path, PLAN, "comparison")?;
        let plan = Self::read(&folder)?;
        Ok((folder, plan))
    }

    /// Reads that of a folder.
    ///
    /// # Errors
    /// When it cannot be read, or is no plan.
    pub(super) fn read(folder: &RunFolder) -> Result<Self, TrainError> {
        let path = folder.file(PLAN);
        let failed = |problem: String| TrainError::Content { path: path.clone(), problem };
        let file = TomlFile::read(&path)?;
        let mut table = file.table()?;
        let optimizers = table.get_mut().remove("optimizer").map(Spanned::into_inner);
        let options = |value: Spanned<DeValue<'_>>| -> Result<Options, TrainError> {
            let place = value.span();
            let DeValue::Table(table) = value.into_inner() else {
                return Err(failed("an optimizer is no table of options: [[optimizer]]".into()));
            };
            let (opt, choices) = file.options(Spanned::new(place, table))?;
            let opt = opt.ok_or_else(|| failed("an optimizer has no name: opt = \"adam\"".into()))?;
            choices.resolve(opt).map_err(|error| failed(error.to_string()))
        };
        let optimizers: Vec<Options> = match optimizers {
            Some(DeValue::Array(optimizers)) => {
                optimizers.into_iter().map(options).collect::<Result<_, _>>()?
            }
            _ => Vec::new(),
        };
        let Runs { seeds, check_torch } = file.rest(table)?;
        if optimizers.is_empty() || seeds == 0 {
            return Err(failed("plans no run".into()));
        }
        Ok(Self { optimizers, seeds, check_torch })
    }
}
