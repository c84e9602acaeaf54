//! A run folder, read back whole: the record of the run, and its group among others.
//!
//! The input says which files differ from those of a good run: pieces that begin with a record separator (0x1e) and a digit,
//! the file's place in [`FILES`]. A piece that ends there removes its file. So one input can change several files, and
//! what they say of one another is tested, too. A file is written only where it changes.

use std::cell::RefCell;

use cotangent::errors::with_causes;
use cotangent::runs::files::read_configuration;
use cotangent::runs::{Record, groups};

use super::scratch::Scratch;

/// The files of a run folder, and what a good run wrote there.
const FILES: [(&str, Option<&[u8]>); 6] = [
    ("config.toml", Some(include_bytes!("run/config.toml"))),
    ("metrics.csv", Some(include_bytes!("run/metrics.csv"))),
    ("summary.json", Some(include_bytes!("run/summary.json"))),
    ("confusion.csv", Some(include_bytes!("run/confusion.csv"))),
    ("diverged.json", None),
    ("model.safetensors", Some(b"")), // only its being there counts
];

/// What pieces of an input begin with.
const SEPARATOR: u8 = 0x1e;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
    /// The good run, and the same with another seed.
    static GOOD: [Record; 2] = good();
}

/// Reads a run folder and groups it with others.
pub fn run(data: &[u8]) {
    let Some(records) = records(data) else { return };
    let found = groups(&records);
    let held: usize = found.iter().map(|group| group.records.len() + group.repeated.len()).sum();
    assert_eq!(held, records.len());
    assert!(found.iter().all(|group| !group.name.is_empty() && !group.records.is_empty()));
    let record = &records[0];
    assert!(record.rows.iter().zip(1..).all(|(row, epoch)| row.epoch == epoch));
    assert!(record.test_accuracy().is_none_or(|accuracy| (0.0..=1.0).contains(&accuracy)));
    record.is_whole();
    record.about.widths();
}

/// The run that the input describes, then a good one, and a good one of another seed; nothing, if the first cannot be read.
pub fn records(data: &[u8]) -> Option<Vec<Record>> {
    let mut contents = FILES.map(|(_, content)| content);
    for piece in data.split(|&byte| byte == SEPARATOR) {
        let Some((digit, content)) = piece.split_first() else { continue };
        let place = usize::from(digit.wrapping_sub(b'0'));
        if let Some(file) = contents.get_mut(place) {
            *file = Some(content).filter(|content| !content.is_empty());
        }
    }
    let record = read(contents)?;
    Some(GOOD.with(|good| std::iter::once(record).chain(good.iter().cloned()).collect()))
}

fn good() -> [Record; 2] {
    let good = read(FILES.map(|(_, content)| content)).expect("the good run can be read");
    let mut other = good.clone();
    other.options.seed += 1;
    [good, other]
}

/// The record of a folder with these files.
fn read(contents: [Option<&[u8]>; FILES.len()]) -> Option<Record> {
    SCRATCH.with_borrow_mut(|scratch| {
        for ((name, _), content) in FILES.into_iter().zip(contents) {
            match content {
                Some(content) => drop(scratch.file(name, content)),
                None => scratch.without(name),
            }
        }
        // A configuration names the model that a run started from: mutations must not choose which files are read. Most
        // have not even the word.
        let says_init = contents[0].is_some_and(|content| content.windows(4).any(|word| word == b"init"));
        if says_init {
            let read = read_configuration(&scratch.path().join("config.toml"));
            if read.is_ok_and(|(_, choices)| choices.init.is_some()) {
                return None;
            }
        }
        Record::read(scratch.path()).inspect_err(|error| assert!(!with_causes(error).is_empty())).ok()
    })
}
