//! What the command line asks of a bench.
//!
//! `cargo bench` passes `--bench`; without it, as under `cargo test --benches`, a bench only rehearses.

use std::ffi::OsStr;

/// What to do with the cases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Take their times.
    Measure,
    /// Run each once, and claim nothing.
    Rehearse,
    /// Print their names.
    List,
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
                // what cargo and test runners may pass on; there is nothing to do about them
                "--nocapture" | "--exact" | "--quiet" | "--color=always" | "--color=never" => {}
                option if option.starts_with('-') => {
                    return Err(format!(
                        "{option} is no option here: --test, --list, --profile NAME, or parts of names"
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
