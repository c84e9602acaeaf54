//! The host's C++ compiler, and what it is told for kernels that a sanitizer is to watch.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What watches the kernels' accesses. The runtime and the driver are always built without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sanitizer {
    None,
    /// AddressSanitizer and UndefinedBehaviorSanitizer.
    Address,
    /// ThreadSanitizer.
    Thread,
    /// Nothing but the emulator, which counts them: `counting/`.
    Counts,
}

impl Sanitizer {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Address => "address",
            Self::Thread => "thread",
            Self::Counts => "counts",
        }
    }

    /// The library that a process must load first, none if empty.
    ///
    /// # Errors
    /// A compiler without it.
    pub fn runtime(self) -> Result<PathBuf, String> {
        let library = match self {
            Self::None | Self::Counts => return Ok(PathBuf::new()),
            Self::Address => "libasan.so",
            Self::Thread => "libtsan.so",
        };
        let compiler = Compiler::find()?;
        let path = run(compiler.command().arg(format!("-print-file-name={library}")))?;
        let path = PathBuf::from(path.trim());
        if path.is_absolute() && path.exists() {
            return Ok(path);
        }
        Err(format!(
            "sanitized kernels need GCC's {library}, which {:?} does not have: install g++, or set CXX=g++",
            compiler.words
        ))
    }

    /// Only the kernels need the sanitizer, and the process brings it.
    pub fn link_flags(self) -> &'static [&'static str] {
        match self {
            Self::None | Self::Counts => &[],
            Self::Address => &["-fsanitize=address,undefined"],
            Self::Thread => &["-fsanitize=thread"],
        }
    }

    pub fn flags(self) -> &'static [&'static str] {
        match self {
            Self::None => &["-O2", "-march=native"],
            Self::Address => &[
                "-O1",
                "-fsanitize=address,undefined",
                "-fno-sanitize-recover=all",
                "-fno-omit-frame-pointer",
            ],
            Self::Thread => &["-O1", "-fsanitize=thread"],
            // The compiler marks accesses as for ThreadSanitizer. It must leave them as they are written: vectors whole,
            // numbers apart, and one instruction for each.
            Self::Counts => &[
                "-O1",
                "-fsanitize=thread",
                "-fno-tree-sra",
                "-fno-tree-vectorize",
                "-fno-store-merging",
                "-fno-tree-loop-distribute-patterns",
                "-fno-thread-jumps",
                "-fno-unswitch-loops",
                "-fno-crossjumping",
                "-fno-tree-tail-merge",
                "-gdwarf-4", // of version 5, binutils 2.40 takes some lines for the preprocessed file's
            ],
        }
    }

    /// The flag by which the emulator sees every access of a file's kernels: of those that use TMA or tensor cores
    /// through shared memory, where the emulator keeps who has written what.
    pub fn watching(self) -> &'static [&'static str] {
        if self == Self::None { &["-fsanitize=thread"] } else { &[] }
    }

    /// What the preprocessor is told.
    pub fn define(self) -> &'static [&'static str] {
        if self == Self::Counts { &["-DEMULATOR_COUNTS"] } else { &[] }
    }

    /// The folders of the emulator's own code.
    pub fn parts(self) -> &'static [&'static str] {
        match self {
            Self::None => &["runtime", "driver", "watching"],
            Self::Address | Self::Thread => &["runtime", "driver"],
            Self::Counts => &["runtime", "driver", "watching", "counting"],
        }
    }
}

pub const LANGUAGE: [&str; 6] =
    ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-g1", "-fno-strict-aliasing"];

pub struct Compiler {
    /// The program, and the arguments that CXX gives it.
    pub words: Vec<String>,
    pub version: String,
}

impl Compiler {
    pub fn find() -> Result<Self, String> {
        let chosen = std::env::var("CXX").ok().filter(|chosen| !chosen.trim().is_empty());
        let candidates = match &chosen {
            Some(chosen) => vec![chosen.as_str()],
            None => vec!["c++", "g++", "clang++"],
        };
        for candidate in &candidates {
            let words = candidate.split_whitespace().map(String::from).collect();
            let mut compiler = Self { words, version: String::new() };
            let asked = compiler.command().arg("--version").output();
            // What -march=native means is part of the version.
            let native =
                compiler.command().args(["-march=native", "-dM", "-E", "-x", "c++", "/dev/null"]).output();
            if let (Ok(asked), Ok(native)) = (asked, native)
                && asked.status.success()
            {
                compiler.version = String::from_utf8_lossy(&[asked.stdout, native.stdout].concat()).into();
                return Ok(compiler);
            }
        }
        Err(format!(
            "the CUDA kernels are tested by an emulator that needs a C++17 compiler, and none of {} runs; \
             install one (Debian: apt-get install g++), or name it in CXX",
            candidates.join(", ")
        ))
    }

    pub fn is_clang(&self) -> bool {
        self.version.contains("__clang__")
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).env("LC_ALL", "C"); // its errors are read here
        command
    }

    pub fn knows(&self, flag: &str) -> bool {
        let asked = self.command().args([flag, "-E", "-x", "c++", "/dev/null"]).output();
        asked.is_ok_and(|output| output.status.success())
    }

    /// What the compiler writes to standard output.
    pub fn output(&self, flags: &[&str], source: &Path) -> Result<String, String> {
        run(self.command().args(LANGUAGE).args(flags).arg(source))
    }
}

/// Runs a compiler: what it prints, or its first error.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output =
        command.output().map_err(|error| format!("cannot run {:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let error = text.lines().position(|line| line.contains("error")).unwrap_or(0);
    let lines: Vec<&str> = text.lines().skip(error).take(6).collect();
    Err(format!("the C++ compiler failed:\n{}\n({command:?})", lines.join("\n")))
}
