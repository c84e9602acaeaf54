//! The other files of a run folder, each by itself: `metrics.csv`, `summary.json`, `confusion.csv`, `diverged.json`.
//!
//! The first byte says which one the rest is: `m`, `s`, `f` or `d`, by its remainder of 4.

use std::cell::RefCell;
use std::path::PathBuf;

use cotangent::errors::with_causes;
use cotangent::runs::figures::read_confusion;
use cotangent::runs::log::{LeftOut, Metrics, Readable, seconds_to_goal};
use cotangent::runs::{Divergence, Summary};
use cotangent::train::TrainError;

use super::scratch::Scratch;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Reads one of the files.
pub fn run(data: &[u8]) {
    let Some((&kind, content)) = data.split_first() else { return };
    match kind % 4 {
        0 => diverged(content),
        1 => rows(content),
        2 => confusion(content),
        _ => summary(content),
    }
}

/// The path of a file with this content.
fn file(name: &'static str, content: &[u8]) -> PathBuf {
    SCRATCH.with_borrow_mut(|scratch| scratch.file(name, content))
}

/// What was read, if it could be; what could not says why.
fn read<T>(result: Result<T, TrainError>) -> Option<T> {
    result.inspect_err(|error| assert!(!with_causes(error).is_empty())).ok()
}

fn rows(content: &[u8]) {
    let path = file("metrics.csv", content);
    let Some(Readable { rows, left_out }) = read(Metrics::read_as_far_as_whole(&path)) else { return };
    assert!(rows.iter().zip(1..).all(|(row, epoch)| row.epoch == epoch));
    assert!(rows.iter().all(|row| (0.0..=1.0).contains(&row.test_accuracy) && row.objective >= 0.0));
    assert!(seconds_to_goal(&rows).is_none_or(f64::is_finite));
    if content.len().is_multiple_of(8) {
        // As its own test says; making a reader of CSV takes longer than all else, so not each time.
        assert_eq!(read(Metrics::read(&path)).is_none(), matches!(left_out, Some(LeftOut::Damaged(_))));
    }
}

fn summary(content: &[u8]) {
    let Some(summary) = read(Summary::load(&file("summary.json", content))) else { return };
    assert!((0.0..=1.0).contains(&summary.test_accuracy));
    let written = serde_json::to_vec(&summary).expect("a summary can be written");
    assert_eq!(read(Summary::load(&file("summary.json", &written))), Some(summary));
}

fn confusion(content: &[u8]) {
    let Some(counts) = read(read_confusion(&file("confusion.csv", content))) else { return };
    assert!(!counts.is_empty() && counts.iter().all(|row| row.len() == counts.len()));
    let sum = counts.iter().flatten().try_fold(0_u64, |sum, &count| sum.checked_add(count));
    assert!(sum.is_some());
}

fn diverged(content: &[u8]) {
    let path = file("diverged.json", content);
    let Some(folder) = path.parent() else { return };
    let divergence = read(Divergence::read(folder)).flatten();
    assert!(divergence.is_none_or(|divergence| divergence.to_string().starts_with("at step ")));
}
