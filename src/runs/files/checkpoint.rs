//! `checkpoint.safetensors`: where a run stands, all it needs to go on as if never interrupted, and what it was begun with.
//!
//! A checkpoint proves itself: by its own digest ([`sealed`](super::sealed)), by the options and the digest of the data
//! that the run began with, and by that of the epochs logged so far. The one before is kept until the next is safe.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::sealed::{self, floats};
use crate::data::DataDigest;
use crate::exec::{Standing, Sums};
use crate::files;
use crate::runs::reading::read;
use crate::runs::{Row, RunFolder, log};
use crate::train::engine::Snapshot;
use crate::train::options::{Decides, decides};
use crate::train::{Options, TrainError};

/// The checkpoint's name in a run folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// The one before, which is kept until the next is safe.
pub const PREVIOUS: &str = "checkpoint.previous.safetensors";

/// That of a finished run, which more epochs go on from.
pub const FINISHED: &str = "finished.safetensors";

/// How far a run has come.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Position {
    /// Epochs done.
    pub epoch: usize,
    /// What is done of the next one.
    pub done: Standing,
    /// The seconds that this took.
    pub seconds: f64,
}

/// What a run is: everything else follows from it.
#[derive(Clone, PartialEq, Debug)]
pub struct Origin {
    /// The options that decide what comes out, as they stand in `config.toml`.
    pub options: Map<String, Value>,
    /// The images and labels.
    pub data: DataDigest,
}

impl Origin {
    /// Of a run with these options on this data. Where the data lie is no matter, as they are known by their digest.
    pub fn new(options: &Options, data: DataDigest) -> Self {
        let mut options = options.deciding();
        options.remove("data");
        Self { options, data }
    }

    /// What was changed since, as the end of a sentence: nothing, if all is as it was.
    fn changed(&self, now: &Self) -> Option<Changed> {
        let names: BTreeSet<&String> = self.options.keys().chain(now.options.keys()).collect();
        let other = names.into_iter().find(|name| self.options.get(*name) != now.options.get(*name));
        if let Some(name) = other {
            let said = |options: &Map<String, Value>| {
                options.get(name).map_or("nothing".into(), |value| value.to_string())
            };
            let way = match decides(name) {
                _ if name == "epochs" => {
                    format!(
                        "put it back, or, where a finished run was to have more, go on with --epochs {}",
                        said(&self.options)
                    )
                }
                Decides::Rounding => format!("put it back, or go on elsewhere with --{name} beside --resume"),
                _ => "put it back, or begin a run of its own with other options".into(),
            };
            let (before, now) = (said(&self.options), said(&now.options));
            return Some(Changed::Options(format!(
                "says {now} for {name}, and the run was begun with {before}: {way}"
            )));
        }
        let parts = self.data.differences(&now.data);
        (!parts.is_empty()).then(|| {
            Changed::Data(format!(
                "was written with other data: the {} are not those that the run was begun with; give it back those, by \
                 the data option of config.toml",
                parts.join(" and ")
            ))
        })
    }
}

/// What is not as it was when a run began.
enum Changed {
    Options(String),
    Data(String),
}

/// A checkpoint as it was read.
#[derive(Clone, PartialEq, Debug)]
pub struct Checkpoint {
    /// How far the run has come.
    pub position: Position,
    /// Updates done.
    pub step: u64,
    /// The flat parameters.
    pub parameters: Vec<f32>,
    /// The optimizer's state.
    pub state: Vec<f32>,
    /// What the run is.
    pub origin: Origin,
    /// The digest of the rows of its epochs.
    metrics: String,
    /// Where it was read.
    path: PathBuf,
}

impl Checkpoint {
    /// Writes `checkpoint.safetensors`, and keeps what was that before.
    ///
    /// # Errors
    /// When it cannot be written; what was there is then still there.
    pub fn write(
        folder: &RunFolder,
        network: Snapshot<'_>,
        position: &Position,
        origin: &Origin,
        rows: &[Row],
    ) -> Result<(), TrainError> {
        let Position { epoch, done: Standing { steps, sums: Sums { loss, correct, count } }, seconds } =
            position;
        let tensors = [("parameters", network.parameters), ("state", network.state)]
            .map(|(name, values)| (name.to_string(), vec![values.len()], values));
        let json = |value: Result<String, serde_json::Error>| {
            value.map_err(|error| TrainError::Content {
                path: folder.file(CHECKPOINT),
                problem: error.to_string(),
            })
        };
        let metadata = [
            ("epoch", epoch.to_string()),
            ("steps", steps.to_string()),
            ("loss", loss.to_string()),
            ("correct", correct.to_string()),
            ("count", count.to_string()),
            ("seconds", seconds.to_string()),
            ("step", network.step.to_string()),
            ("options", json(serde_json::to_string(&origin.options))?),
            ("data", json(serde_json::to_string(&origin.data))?),
            ("metrics", log::digest(rows)),
        ];
        let bytes = sealed::serialized(&folder.file(CHECKPOINT), tensors, metadata)?;
        folder.write_keeping(CHECKPOINT, &bytes, PREVIOUS)
    }

    /// Whether there is one in a folder to go on from, or the one before.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn is_in(folder: &Path) -> Result<bool, TrainError> {
        let there = |name: &str| {
            let path = folder.join(name);
            files::exists(&path).map_err(|source| TrainError::File { action: "read", path, source })
        };
        Ok(there(CHECKPOINT)? || there(PREVIOUS)?)
    }

    /// Reads the checkpoint of a folder, or, where that is damaged or missing, the one before; and what is to be said of
    /// that. Nothing, where there is neither.
    ///
    /// # Errors
    /// When there is none that is whole.
    pub fn read(folder: &RunFolder) -> Result<Option<(Self, Option<String>)>, TrainError> {
        let [current, before] = [CHECKPOINT, PREVIOUS].map(|name| folder.file(name));
        let (holds, holds_before) = (folder.holds(CHECKPOINT)?, folder.holds(PREVIOUS)?);
        let fault = match holds {
            true => match Self::load(&current) {
                Ok(checkpoint) => return Ok(Some((checkpoint, None))),
                Err(error) => Some(error),
            },
            false => None,
        };
        match (Self::load_if(holds_before, &before), fault) {
            (None, None) => Ok(None),
            (Some(Ok(checkpoint)), fault) => {
                let what = format!(
                    "{} is {}",
                    current.display(),
                    if fault.is_some() { "damaged" } else { "missing" }
                );
                Ok(Some((checkpoint, Some(format!("{what}; going on from the one before, {PREVIOUS}")))))
            }
            (_, Some(error)) | (Some(Err(error)), None) => Err(error),
        }
    }

    fn load_if(holds: bool, path: &Path) -> Option<Result<Self, TrainError>> {
        holds.then(|| Self::load(path))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When it cannot be read, or is not as it was written.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        Self::parse(path, &read(path, files::tensors())?)
    }

    /// The checkpoint in the content of a file; the path is for messages.
    ///
    /// # Errors
    /// When it is not as it was written.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, TrainError> {
        let failed = |problem: String| TrainError::Content {
            path: path.into(),
            problem: format!("is damaged ({problem}): put back a whole one, or begin a run of its own"),
        };
        let header = SafeTensors::read_metadata(bytes).map_err(|error| failed(error.to_string()))?.1;
        let metadata = header.metadata().as_ref();
        if !sealed::check(bytes, metadata).map_err(|problem| failed(format!("it {problem}")))? {
            return Err(failed("it holds no SHA-256 of itself, as those of this version do".into()));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| failed(error.to_string()))?;
        let text = |key: &str| {
            let value = metadata.and_then(|metadata| metadata.get(key));
            value.ok_or_else(|| failed(format!("it lacks {key}")))
        };
        fn of_json<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, String> {
            serde_json::from_str(text).map_err(|error| format!("its {key}: {error}"))
        }
        let number = |key: &str| of_json::<u64>(key, text(key)?).map_err(failed);
        let real = |key: &str| of_json::<f64>(key, text(key)?).map_err(failed);
        let values = |name: &str| {
            let view = tensors.tensor(name).map_err(|error| failed(error.to_string()))?;
            let length = view.shape().iter().product();
            floats(&view, &[length]).map_err(|found| failed(format!("its {name} are {found}")))
        };
        let sums = Sums {
            loss: real("loss")?,
            correct: number("correct")? as usize,
            count: number("count")? as usize,
        };
        Ok(Self {
            position: Position {
                epoch: number("epoch")? as usize,
                done: Standing { steps: number("steps")? as usize, sums },
                seconds: real("seconds")?,
            },
            step: number("step")?,
            parameters: values("parameters")?,
            state: values("state")?,
            origin: Origin {
                options: of_json("options", text("options")?).map_err(failed)?,
                data: of_json("data", text("data")?).map_err(failed)?,
            },
            metrics: text("metrics")?.clone(),
            path: path.into(),
        })
    }

    /// That it is of the run that its folder's `config.toml` and the data say, and of a network of such a size.
    ///
    /// # Errors
    /// Names the first thing that is not as it was when the run began.
    pub fn check_origin(&self, origin: &Origin, parameters: usize, state: usize) -> Result<(), TrainError> {
        let in_folder = |name: &str| self.path.with_file_name(name);
        let (path, problem) = match self.origin.changed(origin) {
            Some(Changed::Options(problem)) => (in_folder("config.toml"), problem),
            Some(Changed::Data(problem)) => (self.path.clone(), problem),
            None if (self.parameters.len(), self.state.len()) == (parameters, state) => return Ok(()),
            None => (
                self.path.clone(),
                format!(
                    "is another network's: it holds {} parameters and {} numbers of state, where this has {parameters} and \
                     {state}",
                    self.parameters.len(),
                    self.state.len()
                ),
            ),
        };
        Err(TrainError::Content { path, problem })
    }

    /// That its numbers go together, in a run of so many epochs of so many steps.
    ///
    /// # Errors
    /// When they do not.
    pub fn check_numbers(&self, steps: u64, epochs: usize) -> Result<(), TrainError> {
        let Position { epoch, done: Standing { steps: done, sums }, seconds } = self.position;
        let is_reached =
            epoch <= epochs && (done as u64) < steps && self.step == epoch as u64 * steps + done as u64;
        let is_counted = sums.correct <= sums.count && sums.loss.is_finite() && seconds >= 0.0;
        match is_reached && is_counted {
            true => Ok(()),
            false => Err(TrainError::Content {
                path: self.path.clone(),
                problem: format!(
                    "stands at step {} after epoch {epoch} and {done} steps, of {epochs} epochs of {steps} steps: put back a \
                     whole one",
                    self.step
                ),
            }),
        }
    }

    /// The rows of its epochs among those of `metrics.csv`.
    ///
    /// # Errors
    /// When they are fewer, or others than those that were logged.
    pub fn rows(&self, mut logged: Vec<Row>) -> Result<Vec<Row>, TrainError> {
        let Position { epoch, .. } = self.position;
        let failed =
            |problem: String| TrainError::Content { path: self.path.with_file_name("metrics.csv"), problem };
        if logged.len() < epoch {
            return Err(failed(format!(
                "holds {} whole rows, but the checkpoint stands after epoch {epoch}: put back the file that the run wrote",
                logged.len()
            )));
        }
        logged.truncate(epoch); // an epoch whose checkpoint was not written is run again
        match log::digest(&logged) == self.metrics {
            true => Ok(logged),
            false => Err(failed(
                "has changed since it was written, as its rows and the checkpoint's SHA-256 of them differ: put back the \
                 file that the run wrote"
                    .into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Split};
    use crate::random::{Purpose, below, chacha};
    use crate::train::{Choices, OptimizerName};

    fn origin(rate: f64) -> Origin {
        let split = |seed: u8| Split { images: vec![seed; 8], labels: vec![0, 1], rows: 2, columns: 2 };
        let data = Dataset { train: split(1).into(), test: split(2).into(), classes: 2 };
        let choices = Choices { lr: Some(rate.into()), ..Choices::default() };
        Origin::new(&choices.resolve(OptimizerName::Adam).unwrap(), data.digest())
    }

    fn position(epoch: usize) -> Position {
        let sums = Sums { loss: 0.1 + 0.2, correct: 7, count: 11 };
        Position { epoch, done: Standing { steps: 3, sums }, seconds: 1.0 / 3.0 }
    }

    fn write(folder: &RunFolder, epoch: usize) {
        let rows = vec![Row::default(); epoch];
        let network = Snapshot { parameters: &[1.5; 40], state: &[0.1; 80], step: 9 };
        Checkpoint::write(folder, network, &position(epoch), &origin(0.1), &rows).unwrap();
    }

    fn folder() -> (tempfile::TempDir, RunFolder) {
        let outer = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&outer.path().join("run")), "").unwrap();
        (outer, folder)
    }

    #[test]
    fn a_checkpoint_is_read_back_to_the_bit() {
        let (_outer, folder) = folder();
        assert_eq!(Checkpoint::read(&folder).unwrap(), None);
        write(&folder, 2);
        let (read, note) = Checkpoint::read(&folder).unwrap().unwrap();
        assert_eq!((read.position, read.step, note), (position(2), 9, None));
        assert_eq!((read.parameters.len(), read.state[79]), (40, 0.1));
        read.check_origin(&origin(0.1), 40, 80).unwrap();
        assert_eq!(read.rows(vec![Row::default(); 5]).unwrap().len(), 2);
    }

    #[test]
    fn a_thousand_flips_of_a_bit_are_all_noticed() {
        let (_outer, folder) = folder();
        write(&folder, 1);
        let path = folder.file(CHECKPOINT);
        let whole = std::fs::read(&path).unwrap();
        let mut rng = chacha(1, Purpose::Weights, 0);
        for flip in 0..1000 {
            let bit = below(&mut rng, 8 * whole.len() as u32) as usize;
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error =
                Checkpoint::parse(&path, &changed).expect_err("a flip that is not noticed").to_string();
            assert!(
                error.contains("run/checkpoint.safetensors: is damaged ("),
                "flip {flip} of bit {bit}: {error}"
            );
        }
        for length in 0..whole.len() {
            assert!(Checkpoint::parse(&path, &whole[..length]).is_err(), "cut off after {length} bytes");
        }
    }

    #[test]
    fn a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so() {
        let (_outer, folder) = folder();
        write(&folder, 1);
        write(&folder, 2);
        let path = folder.file(CHECKPOINT);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[500] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (read, note) = Checkpoint::read(&folder).unwrap().unwrap();
        assert_eq!(read.position.epoch, 1);
        let note = note.unwrap();
        assert!(note.contains("checkpoint.safetensors is damaged; going on from the one before"), "{note}");
        std::fs::remove_file(&path).unwrap();
        let note = Checkpoint::read(&folder).unwrap().unwrap().1.unwrap();
        assert!(note.contains("checkpoint.safetensors is missing; going on"), "{note}");
        std::fs::write(folder.file(PREVIOUS), "x").unwrap();
        assert!(Checkpoint::read(&folder).is_err());
    }

    #[test]
    fn what_is_not_as_it_was_is_named() {
        let (_outer, folder) = folder();
        write(&folder, 1);
        let (read, _) = Checkpoint::read(&folder).unwrap().unwrap();
        let problem = |origin: &Origin| read.check_origin(origin, 40, 80).unwrap_err().to_string();
        let rate = problem(&origin(0.2));
        assert!(rate.contains("config.toml: says 0.2 for lr, and the run was begun with 0.1"), "{rate}");
        let mut other = origin(0.1);
        other.data.test_labels = "other".into();
        let labels = problem(&other);
        assert!(labels.contains("the test labels are not those"), "{labels}");
        let size = read.check_origin(&origin(0.1), 41, 80).unwrap_err().to_string();
        assert!(size.contains("holds 40 parameters"), "{size}");
        let rows = read.rows(vec![Row { objective: 1e-9, ..Row::default() }]).unwrap_err().to_string();
        assert!(rows.contains("metrics.csv: has changed since it was written"), "{rows}");
    }
}
