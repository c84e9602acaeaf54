//! The numbers of a run: a row an epoch in `metrics.csv`, and `summary.json` at the end.

use std::fs::File;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RunFolder;
use super::learning::Learning;
use super::reading::{read, read_json};
use crate::files;
use crate::train::TrainError;

/// One epoch.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// From 1.
    pub epoch: usize,
    /// Mean training loss over the epoch, each batch as it was met (nats).
    pub objective: f64,
    /// The share of correct predictions in the same batches, dropout and shifts included.
    pub train_accuracy: f64,
    /// Mean loss over the test images after the epoch.
    pub test_objective: f64,
    /// The share of test images classified correctly, 0 to 1.
    pub test_accuracy: f64,
    /// The rate of the epoch's last step.
    pub learning_rate: f64,
    /// Training only, evaluation apart.
    pub seconds: f64,
    /// Training images a second.
    pub examples_per_second: f64,
    /// Mean loss over the images held out; only with `--validation`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_objective: Option<f64>,
    /// The share of them classified correctly; only with `--validation`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_accuracy: Option<f64>,
}

/// Test accuracy whose first reaching is timed.
pub const GOAL: f64 = 0.98;

/// A whole run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Summary {
    pub optimizer: String,
    /// Epochs that were finished.
    pub epochs: usize,
    pub seed: u64,
    pub device: String,
    pub threads: usize,
    pub precision: String,
    /// The number of weights and biases.
    pub parameters: usize,
    pub test_objective: f64,
    /// 0 to 1, of the model as it was saved.
    pub test_accuracy: f64,
    /// Evaluation apart.
    pub train_seconds: f64,
    /// Training seconds at the end of the first epoch with test accuracy of 98% or more.
    pub seconds_to_98: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_accuracy: Option<f64>,
    /// Whether the training led anywhere, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub learning: Option<Learning>,
    /// Whether the run was stopped before its last epoch.
    pub interrupted: bool,
}

/// Training seconds at the end of the first epoch that reaches the goal.
pub fn seconds_to_goal(rows: &[Row]) -> Option<f64> {
    let first = rows.iter().position(|row| row.test_accuracy >= GOAL)?;
    Some(rows[..=first].iter().map(|row| row.seconds).sum())
}

/// What numbers can be.
const SHARE: RangeInclusive<f64> = 0.0..=1.0;
const ANY: RangeInclusive<f64> = 0.0..=f64::MAX;
const TIME: RangeInclusive<f64> = 0.0..=1e12;

/// What is wrong with the first number that cannot be.
fn impossible(numbers: &[(&str, f64, RangeInclusive<f64>)]) -> Option<String> {
    let (name, value, _) = numbers.iter().find(|(_, value, allowed)| !allowed.contains(value))?;
    Some(format!("{name} cannot be {value}"))
}

impl Row {
    /// What is wrong with the row, if something is.
    fn problem(&self) -> Option<String> {
        impossible(&[
            ("objective", self.objective, ANY),
            ("train_accuracy", self.train_accuracy, SHARE),
            ("test_objective", self.test_objective, ANY),
            ("test_accuracy", self.test_accuracy, SHARE),
            ("learning_rate", self.learning_rate, ANY),
            ("seconds", self.seconds, TIME),
            ("examples_per_second", self.examples_per_second, 0.0..=f64::INFINITY),
        ])
    }
}

impl Summary {
    /// The summary in a run folder, if there is one that can be read.
    pub fn read(folder: &RunFolder) -> Option<Self> {
        Self::load(&folder.file("summary.json")).ok()
    }

    /// The summary in a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is no summary.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let failed = |problem: String| TrainError::Content { path: path.into(), problem };
        let summary: Self = read_json(path)?;
        let numbers = [
            ("test_accuracy", summary.test_accuracy, SHARE),
            ("test_objective", summary.test_objective, ANY),
            ("train_seconds", summary.train_seconds, TIME),
        ];
        impossible(&numbers).map_or(Ok(summary), |problem| Err(failed(problem)))
    }
}

/// `metrics.csv`, open for more rows. Every row is on the disk before the next epoch begins.
pub struct Metrics {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Metrics {
    /// Begins the file with its header and the rows that there are already.
    ///
    /// # Errors
    /// When the file cannot be written; an earlier one is then still whole.
    pub fn create(folder: &RunFolder, rows: &[Row], validation: bool) -> Result<Self, TrainError> {
        let path = folder.file("metrics.csv");
        // The library writes the header with the first row; before there is one, any row will do.
        let held_out = validation.then_some(0.0);
        let any = Row { validation_objective: held_out, validation_accuracy: held_out, ..Row::default() };
        let failed = |source| TrainError::File { action: "write", path: path.clone(), source };
        let mut text = lines(&[any], true).map_err(failed)?;
        text.truncate(text.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        text.extend(lines(rows, false).map_err(failed)?);
        let file = folder.write_and_keep("metrics.csv", &text)?;
        Ok(Self { path, file, length: text.len() as u64 })
    }

    /// Writes a row through to the disk.
    ///
    /// # Errors
    /// When it cannot be written, because the disk is full, say: the earlier rows stay.
    pub fn append(&mut self, row: &Row) -> Result<(), TrainError> {
        let written = lines(std::slice::from_ref(row), false).and_then(|line| {
            self.file.write_all(&line)?;
            self.file.sync_data()?;
            Ok(line.len() as u64)
        });
        match written {
            Ok(length) => self.length += length,
            Err(source) => {
                let _ = self.file.set_len(self.length); // half a row is no use to anybody
                return Err(TrainError::File { action: "write", path: self.path.clone(), source });
            }
        }
        Ok(())
    }

    /// Reads the rows of a file; a last row that was cut off while it was written is left out.
    ///
    /// # Errors
    /// When the file cannot be read, or an earlier row is no row.
    pub fn read(path: &Path) -> Result<Vec<Row>, TrainError> {
        let Readable { rows, left_out } = Self::read_as_far_as_whole(path)?;
        match left_out {
            Some(LeftOut::Damaged(problem)) => {
                Err(TrainError::Content { path: path.into(), problem: format!("is damaged: {problem}") })
            }
            Some(LeftOut::CutOff) | None => Ok(rows),
        }
    }

    /// Reads the rows of a file up to the first that is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_as_far_as_whole(path: &Path) -> Result<Readable, TrainError> {
        let bytes = read(path, files::TABLE)?;
        let text = String::from_utf8_lossy(&bytes); // what is no text is no number either
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let last_line = whole.lines().count() as u64;
        let mut rows: Vec<Row> = Vec::new();
        for row in csv::Reader::from_reader(whole.as_bytes()).into_deserialize::<Row>() {
            let problem = match row {
                Ok(row) if row.epoch == rows.len() + 1 => match row.problem() {
                    None => {
                        rows.push(row);
                        continue;
                    }
                    Some(problem) => format!("epoch {}: {problem}", row.epoch),
                },
                Ok(row) => format!("epoch {} stands where {} should", row.epoch, rows.len() + 1),
                Err(error) if error.position().is_some_and(|place| place.line() >= last_line) => {
                    return Ok(Readable { rows, left_out: Some(LeftOut::CutOff) });
                }
                Err(error) => error.to_string(),
            };
            return Ok(Readable { rows, left_out: Some(LeftOut::Damaged(problem)) });
        }
        let left_out = (whole.len() < text.len()).then_some(LeftOut::CutOff);
        Ok(Readable { rows, left_out })
    }
}

/// What a `metrics.csv` holds, whatever happened to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Readable {
    /// The rows before anything that is none.
    pub rows: Vec<Row>,
    /// Whether something follows them, and what.
    pub left_out: Option<LeftOut>,
}

/// Why something in a `metrics.csv` is left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeftOut {
    /// The last row was cut off while it was written.
    CutOff,
    /// A row is none, for the reason given; it and all that follow it are left out.
    Damaged(String),
}

/// By what rows are known again.
pub(crate) fn digest(rows: &[Row]) -> String {
    // Writing to memory fails in no way; if it did, the digest would be that of no row, and differ.
    crate::digest::sha256([&lines(rows, false).unwrap_or_default()[..]])
}

/// Rows as lines of CSV.
pub(crate) fn lines(rows: &[Row], header: bool) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(header).from_writer(Vec::new());
    rows.iter().try_for_each(|row| writer.serialize(row))?;
    writer.into_inner().map_err(|error| error.into_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: usize, test_accuracy: f64) -> Row {
        Row { epoch, test_accuracy, objective: 0.1 + 0.2, seconds: 1.5, ..Row::default() }
    }

    #[test]
    fn rows_are_read_back_as_they_were_written_and_a_cut_one_is_left_out() {
        let outer = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&outer.path().join("run")), "").unwrap();
        let path = folder.file("metrics.csv");
        let rows = [row(1, 0.97), row(2, 1.0 / 3.0)];
        let mut metrics = Metrics::create(&folder, &rows[..1], false).unwrap();
        metrics.append(&rows[1]).unwrap();
        assert_eq!(Metrics::read(&path).unwrap(), rows);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(
            "epoch,objective,train_accuracy,test_objective,test_accuracy,learning_rate,seconds,examples_per_second\n"
        ));
        std::fs::write(&path, &text[..text.len() - 4]).unwrap();
        assert_eq!(Metrics::read(&path).unwrap(), rows[..1]);
    }

    #[test]
    fn only_the_last_row_is_forgiven_and_what_is_left_out_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let header = "epoch,objective,train_accuracy,test_objective,test_accuracy,learning_rate,seconds,\
                      examples_per_second\n";
        let line = |epoch: &str| format!("{epoch},0.5,0.9,0.4,0.95,0.001,2,30000\n");
        let read = |lines: &[&str]| {
            std::fs::write(&path, header.to_owned() + &lines.concat()).unwrap();
            let Readable { rows, left_out } = Metrics::read_as_far_as_whole(&path).unwrap();
            let strict = Metrics::read(&path);
            let damaged = matches!(left_out, Some(LeftOut::Damaged(_)));
            assert_eq!(strict.is_err(), damaged, "{strict:?}");
            assert!(strict.is_err() || strict.unwrap() == rows);
            (rows.len(), left_out)
        };
        let [one, two, three] = ["1", "2", "3"].map(line);
        let cut = |rows| (rows, Some(LeftOut::CutOff));
        assert_eq!(read(&[&one, &two]), (2, None));
        assert_eq!(read(&[]), (0, None));
        assert_eq!(read(&[&one, "2,0.5,0.9"]), cut(1));
        assert_eq!(read(&[&one, "2,0.5,0.9\n"]), cut(1));
        assert_eq!(read(&[&one, "2,0.5,0.9,0.4,0.95,0.001,2,3\0\0\n"]), cut(1));
        assert_eq!(read(&["1,0.5\n"]), cut(0));
        let nan = "2,NaN,0.9,0.4,0.95,0.001,2,30000\n";
        let more_than_all = "2,0.5,0.9,0.4,7,0.001,2,30000\n";
        for damaged in
            [nan, more_than_all, "2,0.5\n", "2,x,0.9,0.4,0.95,0.001,2,30000\n", "2,\"0.5,0.9\n", &line("5")]
        {
            let (rows, left_out) = read(&[&one, damaged, &three]);
            assert!(rows == 1 && matches!(left_out, Some(LeftOut::Damaged(_))), "{damaged}: {left_out:?}");
        }
    }

    #[test]
    fn the_goal_counts_training_seconds_up_to_the_first_epoch_that_reaches_it() {
        assert_eq!(seconds_to_goal(&[row(1, 0.97), row(2, 0.98), row(3, 0.99)]), Some(3.0));
        assert_eq!(seconds_to_goal(&[row(1, 0.9799)]), None);
    }
}
