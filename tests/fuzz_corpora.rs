//! The corpora of `fuzz/`, replayed on stable Rust: every file, and some mutations of each.
//!
//! What is fuzzed for hours on nightly is in this way tried in seconds wherever the tests run, by the very same functions.
//! The mutations are the same each time, so a failure comes back until it is mended.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::support::Random;

/// Inputs that each target gets beyond the files, all mutations counted; a training takes a hundred times as long as a
/// formula.
const MUTATIONS: [(&str, usize); 8] = [
    ("config", 2000),
    ("formula", 3000),
    ("idx", 3000),
    ("metrics", 3000),
    ("record", 1500),
    ("study", 60),
    ("tensors", 3000),
    ("train", 60),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a target, by name: seeds, and inputs that failed once.
fn files(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folders = ["corpus", "regressions"].map(|kind| folder().join(kind).join(target));
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// One to four small changes of a file, as fuzzers make them; `other` is where pieces come from.
fn mutated(content: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = content.to_vec();
    for _ in 0..=random.below(4) {
        let length = bytes.len();
        if length == 0 {
            return other.to_vec();
        }
        let at = random.below(length);
        let end = length.min(at + 1 + random.below(16));
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b'-', b'\n', b'"']),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 if !other.is_empty() => {
                let from = random.below(other.len());
                let piece = &other[from..other.len().min(from + 1 + random.below(32))];
                bytes.splice(at..end, piece.iter().copied());
            }
            _ => {
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

/// Runs a target on its files and their mutations; an input that makes it panic is kept in a file that the message names.
fn replay(name: &str) {
    let (_, target) = fuzz::TARGETS.into_iter().find(|(target, _)| *target == name).unwrap();
    let (_, mutations) = MUTATIONS.into_iter().find(|(target, _)| *target == name).unwrap();
    let files = files(name);
    assert!(files.len() >= 5, "fuzz/corpus/{name} holds {} files", files.len());
    let run = |path: &Path, what: &str, input: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            fs::write(&kept, input).unwrap();
            panic!("{name} panics on {what} of {}: the input is in {}", path.display(), kept.display());
        }
    };
    for (path, content) in &files {
        run(path, "the content", content);
    }
    let mut random = Random::new(11);
    for number in 0..mutations {
        let (path, content) = &files[number % files.len()];
        let (_, other) = &files[random.below(files.len())];
        run(path, &format!("mutation {number}"), &mutated(content, other, &mut random));
    }
}

/// A test for each target, so that they run side by side and fail by name.
macro_rules! replays {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )+

        #[test]
        fn every_target_has_its_program_its_dictionary_and_its_share_of_the_executions() {
            assert_eq!([$(stringify!($name)),+], fuzz::TARGETS.map(|(name, _)| name));
            let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
            let script = fs::read_to_string(folder().join("../scripts/fuzz")).unwrap();
            for (name, _) in fuzz::TARGETS {
                let program = format!("fuzz_targets/{name}.rs");
                assert!(manifest.contains(&format!("path = \"{program}\"")) && folder().join(&program).exists());
                assert!(script.contains(&format!("\"{name}\": Share(")), "{name} has no share in scripts/fuzz");
                let dictionary = folder().join(format!("dictionaries/{name}.dict"));
                assert!(dictionary.exists() || name == "train", "numbers that are drawn have no words");
            }
        }
    };
}

replays! { config formula idx metrics record study tensors train }
