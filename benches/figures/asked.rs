//! What the command line asks of a bench.
//!
//! `cargo bench` passes `--bench`; without it, as under `cargo test --benches`, a bench only rehearses.

use std::ffi::OsStr;
use std::path::PathBuf;

/// The variable that leaves out cases without a peer.
pub const PAIRS_ONLY: &str = "COTANGENT_BENCH_PAIRS_ONLY";

/// Whether [`PAIRS_ONLY`], of this value, leaves them out.
///
/// # Errors
/// When it is set to what is neither yes nor no, or says yes without a peer: then nothing would be measured.
pub fn wants_pairs_only(value: Option<&str>, has_peer: bool) -> Result<bool, String> {
    match value {
        None | Some("" | "0") => Ok(false),
        Some("1") if has_peer => Ok(true),
        Some("1") => Err(format!("{PAIRS_ONLY} is 1, but {} names no peer", super::peer::PEER)),
        Some(other) => Err(format!("{PAIRS_ONLY} is {other:?}; give 1 or 0")),
    }
}

/// What to do with the cases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Take their times.
    Measure,
    /// Run each once, and claim nothing.
    Rehearse,
    /// Print their names.
    List,
    /// Draw the picture of a `kernels.csv` that is there, and print its table: nothing is measured.
    Draw(PathBuf),
    /// Do one of them once, under a profiler.
    Profile(String),
}

/// What to do with which cases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    pub mode: Mode,
    filters: Vec<String>,
}

impl Asked {
    /// Reads the command line.
    ///
    /// # Errors
    /// When it has an option that no bench knows, or `--profile` without a name.
    pub fn of_command_line() -> Result<Self, String> {
        Self::of(std::env::args_os().skip(1))
    }

    /// Reads these arguments.
    ///
    /// # Errors
    /// Likewise.
    pub fn of(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Self, String> {
        let (mut is_bench, mut filters, mut otherwise) = (false, Vec::new(), None);
        let mut arguments =
            arguments.into_iter().map(|argument| argument.as_ref().to_string_lossy().into_owned());
        while let Some(argument) = arguments.next() {
            match &argument[..] {
                "--bench" => is_bench = true,
                "--test" => otherwise = Some(Mode::Rehearse),
                "--list" => otherwise = Some(Mode::List),
                "--profile" => {
                    let name = arguments.next().ok_or("--profile needs the name of a case; see --list")?;
                    otherwise = Some(Mode::Profile(name));
                }
                "--draw" => {
                    let csv = arguments.next().ok_or("--draw needs the path of a kernels.csv")?;
                    otherwise = Some(Mode::Draw(csv.into()));
                }
                // what cargo and test runners may pass on; there is nothing to do about them
                "--nocapture" | "--exact" | "--quiet" | "--color=always" | "--color=never" => {}
                option if option.starts_with('-') => {
                    return Err(format!(
                        "{option} is no option here: --test, --list, --profile NAME, --draw CSV, or parts of names"
                    ));
                }
                _ => filters.push(argument),
            }
        }
        let usual = if is_bench { Mode::Measure } else { Mode::Rehearse };
        Ok(Self { mode: otherwise.unwrap_or(usual), filters })
    }

    /// Whether figures are wanted, rather than a rehearsal.
    pub fn measures(&self) -> bool {
        self.mode == Mode::Measure
    }

    /// Whether the case of this name is asked for: its name has one of the filters in it, or there are none.
    pub fn wants(&self, name: &str) -> bool {
        match &self.mode {
            Mode::Profile(only) => name == only,
            _ => self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter)),
        }
    }
}
