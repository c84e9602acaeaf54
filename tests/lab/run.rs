//! Builds the student's file for the emulator and runs it there, four times: as it is, under AddressSanitizer with
//! UndefinedBehaviorSanitizer, under ThreadSanitizer, and with its requests of memory counted. Each in a process of its
//! own, all at once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::source::Source;
use super::work::{Event, Launch, Order, VARIABLE, Work, read_events};
use crate::emulator::{Sanitizer, Sources, build, sanitized};

/// How long a process may compute: a launch on these shapes takes a part of a second. And how long it may last, whoever else
/// uses the processor.
const LONGEST_COMPUTING: Duration = Duration::from_secs(40);
const LONGEST: Duration = Duration::from_secs(900);

/// How this program is started once more, as a process that works (see `work.rs`).
#[derive(Clone, Default, Debug)]
pub struct Again {
    pub arguments: Vec<String>,
}

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// Whether results are right, and what the emulator itself finds.
    Values,
    /// Accesses outside of arrays, and misaligned ones.
    Memory,
    /// Races between threads.
    Races,
    /// What warps ask of memory: bank conflicts, and sectors of global memory.
    Requests,
}

impl Check {
    pub const ALL: [Self; 4] = [Self::Values, Self::Memory, Self::Races, Self::Requests];

    pub fn name(self) -> &'static str {
        match self {
            Self::Values => "the result",
            Self::Memory => "access to memory",
            Self::Races => "the order of threads",
            Self::Requests => "requests of memory",
        }
    }

    fn sanitizer(self) -> Sanitizer {
        match self {
            Self::Values => Sanitizer::None,
            Self::Memory => Sanitizer::Address,
            Self::Races => Sanitizer::Thread,
            Self::Requests => Sanitizer::Counts,
        }
    }

    /// The schedules: a sanitizer sees most mistakes under any one.
    pub fn orders(self) -> Vec<Order> {
        let fixed = [Order::FirstInFirstOut, Order::LastInFirstOut];
        match self {
            Self::Values => fixed.into_iter().chain((1..=4).map(Order::Random)).collect(),
            Self::Memory | Self::Requests => vec![Order::FirstInFirstOut],
            Self::Races => fixed.into(), // in the second, cp.async copies at once
        }
    }

    /// Of the launches, those to make: what is asked of memory is counted where tiles are whole, in the first.
    fn launches(self, all: &[Launch]) -> &[Launch] {
        if self == Self::Requests { &all[..all.len().min(1)] } else { all }
    }
}

/// What a process left.
#[derive(Debug)]
pub struct Ran {
    pub events: Vec<Event>,
    pub stderr: String,
    /// None where it took too long.
    pub status: Option<ExitStatus>,
}

impl Ran {
    pub fn is_finished(&self) -> bool {
        self.events.last() == Some(&Event::Finished)
    }

    /// The number of the launch that was under way at the end.
    pub fn last_launch(&self) -> Option<usize> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Began { launch, .. } => Some(*launch),
            _ => None,
        })
    }
}

/// Why nothing was run.
pub enum Hindrance {
    /// The file does not compile, or is nothing that can be run: the compiler's words.
    File(String),
    /// Something that is not the file's fault.
    Machine(String),
}

/// Builds the file for a check.
fn build_for(check: Check, source: &Source) -> Result<crate::emulator::Built, Hindrance> {
    let folder = source.path.parent().unwrap_or(Path::new("/")).to_owned();
    let sources = Sources {
        kernels: vec![source.path.clone()],
        folders: vec![folder, Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels")],
        header: "lab.hpp",
        architectures: &[800],
        every_variant: false,
        flags: &["-ftrivial-auto-var-init=pattern"], // so that a variable that nobody sets shows
        foreign: true,
    };
    build(check.sanitizer(), &sources).map_err(|problem| {
        let is_of_file = problem.contains(&*source.path.to_string_lossy());
        if is_of_file { Hindrance::File(problem) } else { Hindrance::Machine(problem) }
    })
}

/// Runs a check of a file. `work` says what to launch; image and orders are the check's own.
pub fn run(check: Check, source: &Source, work: &Work, again: &Again) -> Result<Ran, Hindrance> {
    let built = build_for(check, source)?;
    let work = Work {
        library: Some(built.library),
        image: built.image,
        launches: check.launches(&work.launches).to_vec(),
        orders: check.orders(),
        ..work.clone()
    };
    let mut command = again.command();
    sanitized(&mut command, check.sanitizer()).map_err(Hindrance::Machine)?;
    run_work(&work, command).map_err(Hindrance::Machine)
}

/// All checks at once, in their order.
pub fn run_all(source: &Source, work: &Work, again: &Again) -> Vec<Result<Ran, Hindrance>> {
    thread::scope(|scope| {
        let started = Check::ALL.map(|check| scope.spawn(move || run(check, source, work, again)));
        let lost = || Err(Hindrance::Machine("a check has not come back".into()));
        started.into_iter().map(|check| check.join().unwrap_or_else(|_| lost())).collect()
    })
}

impl Again {
    pub fn command(&self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.args(&self.arguments);
        command
    }
}

/// The time that a process has computed for (proc(5), `/proc/PID/stat`: utime and stime, in hundredths of a second).
fn computed(process: u32) -> Duration {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = status.rsplit(')').next().unwrap_or("");
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// Has a process do work.
pub fn run_work(work: &Work, mut command: Command) -> Result<Ran, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a temporary folder: {error}"))?;
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let work = Work { events: path("events"), ..work.clone() };
    work.write(&path("work"))?;
    let cannot = |error| format!("cannot start a process for the kernel: {error}");
    let file = |name: &str| File::create(path(name)).map_err(cannot);
    command.env(VARIABLE, path("work")).stdin(Stdio::null());
    command.stdout(file("stdout")?).stderr(file("stderr")?);
    let mut child = command.spawn().map_err(cannot)?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(cannot)? {
            break Some(status);
        }
        if computed(child.id()) > LONGEST_COMPUTING || began.elapsed() > LONGEST {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let stderr = std::fs::read(path("stderr")).unwrap_or_default();
    Ok(Ran {
        events: read_events(&work.events),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        status,
    })
}
