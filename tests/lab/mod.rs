//! A lab for the reader's own kernel: `scripts/lab my_gemm.cu --signature gemm`, for which no GPU is needed.
//!
//! The file is compiled for the emulated device (`tests/emulator/`), launched on shapes that kernels fail on, held
//! against float64, and run again under sanitizers; the verdict speaks of the student's lines. `docs/lab.md` is the
//! page for students.
//!
//! | file | |
//! |---|---|
//! | `source.rs`, `launch.rs`, `signature.rs` | what can be told from the file's text: kernels, launch comment, parameters |
//! | `reference.rs`, `comparison.rs` | right values, and what wrong ones look like |
//! | `run.rs`, `work.rs`, `worker.rs` | the processes that the kernel runs in, one for each check |
//! | `values.rs`, `memory.rs`, `races.rs`, `faults.rs`, `compiled.rs` | what each of them has found, in a student's words |
//! | `card.rs` | the same on a real card, with times |
//!
//! A further check is a variant of [`run::Check`] and a function from what its process left to findings.

mod card;
mod comparison;
mod compiled;
mod faults;
mod finding;
mod launch;
mod memory;
mod races;
mod reference;
mod run;
mod signature;
mod source;
#[cfg(test)]
mod tests;
mod values;
mod work;
mod worker;

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use compiled::quoted;
use finding::{Finding, Subject};
use launch::Launch;
use reference::Precision;
pub use run::Again;
use run::{Check, Hindrance, Ran};
use signature::Operation;
use source::Source;
use work::Work;

/// Tries a CUDA kernel of your own: values, memory accesses and races, on an emulated device. docs/lab.md explains.
#[derive(Parser, Clone, Debug)]
#[command(name = "scripts/lab")]
pub struct Asked {
    /// The file with the kernel; a comment in it says how it is launched:
    /// `// launch: grid=((n + 15) / 16, (m + 15) / 16) block=(16, 16)`
    file: PathBuf,
    /// What the kernel computes
    #[arg(long, value_enum)]
    signature: Operation,
    /// Where it runs: on the emulated device, or on a card, with times
    #[arg(long, value_enum, default_value_t = Device::Emulated)]
    device: Device,
    /// One shape instead of the usual ones: the sizes in the signature's order
    #[arg(long, value_delimiter = ',')]
    shape: Option<Vec<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Device {
    Emulated,
    Cuda,
}

/// What the lab says, and whether the kernel is sound.
#[derive(Debug)]
struct Verdict {
    text: String,
    is_sound: bool,
}

/// The whole program, of whose name and arguments; `again` starts it once more.
pub fn main(arguments: impl Iterator<Item = OsString>, again: &Again) -> ExitCode {
    if worker::has_worked() {
        return ExitCode::SUCCESS;
    }
    match examine(&Asked::parse_from(arguments), again) {
        Ok(Verdict { text, is_sound }) => {
            print!("{text}");
            if is_sound { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

/// Tries a kernel.
///
/// # Errors
/// What keeps it from being tried: of the file, or of this machine.
fn examine(asked: &Asked, again: &Again) -> Result<Verdict, String> {
    let source = Source::read(&asked.file)?;
    check_text(&source)?;
    let operation = asked.signature;
    let kernel = operation.kernel_of(&source)?;
    let launch = Launch::read(&source)?;
    let precision = precision(&source)?;
    let names = |is_size: bool| -> Vec<String> {
        let parameters = kernel.parameters.iter().filter(|parameter| (parameter.of == "int") == is_size);
        parameters.map(|parameter| parameter.name.clone()).collect()
    };
    let sizes = names(true);
    let at = |shape: &[usize]| -> Result<work::Launch, String> {
        let theirs = sizes.iter().map(String::as_str).zip(shape.iter().copied());
        let mut known: Vec<(&str, usize)> = theirs.collect();
        operation.sizes().zip(shape).for_each(|(name, size)| known.push((name, *size)));
        Ok(work::Launch { sizes: shape.to_vec(), extents: launch.at(&known)? })
    };
    let shapes: Vec<&[usize]> = match &asked.shape {
        None => operation.shapes().to_vec(),
        Some(shape) => vec![checked(shape, operation)?],
    };
    let launches: Vec<work::Launch> = shapes.into_iter().map(at).collect::<Result<_, _>>()?;
    let subject = Subject {
        source: &source,
        operation,
        arrays: names(false),
        sizes: sizes.clone(),
        launches: launches.iter().map(|launch| (launch.sizes.clone(), launch.extents)).collect(),
    };
    let work = Work {
        library: None,
        image: PathBuf::new(),
        names: vec![kernel.name.clone(), card::mangled(&kernel)],
        operation,
        precision,
        arrays: subject.arrays.clone(),
        launches,
        orders: Vec::new(),
        events: PathBuf::new(),
        timed: None,
    };
    let mut text = format!("{}: {}, launched with {}\n\n", source.shown, kernel.name, launch.text());
    let (outcome, findings) = match asked.device {
        Device::Emulated => on_emulated_device(&subject, &work, again)?,
        Device::Cuda => {
            card::try_on(&subject, Work { timed: Some(at(operation.timed_shape())?), ..work }, again)?
        }
    };
    text.push_str(&outcome);
    for (number, finding) in findings.iter().enumerate() {
        let _ = write!(text, "\n{}", wrapped(&format!("{}. ", number + 1), &finding.text));
        finding.lines.iter().for_each(|&line| text.push_str(&(quoted(&source, line) + "\n")));
    }
    let is_sound = findings.is_empty();
    let last = match (findings.len(), asked.device) {
        (0, Device::Emulated) => format!(
            "{} is sound here: right values on {} shapes in {} orders of threads each, no access outside of an array or \
             misaligned, no race. How fast it is this does not say.",
            source.shown,
            subject.launches.len(),
            Check::Values.orders().len()
        ),
        (0, Device::Cuda) => format!(
            "{} is right on this card. Whether it has races is for the emulated device to say.",
            source.shown
        ),
        (1, _) => format!("{} is not sound: one finding.", source.shown),
        (count, _) => format!("{} is not sound: {count} findings.", source.shown),
    };
    let _ = write!(text, "\n{}", wrapped("", &last));
    Ok(Verdict { text, is_sound })
}

/// What the text alone shows to be impossible.
fn check_text(source: &Source) -> Result<(), String> {
    if let Some((line, what)) = source.host_code {
        return Err(format!(
            "{}:{line}: {what}: the lab launches the kernel itself; put what is for the host between `#ifndef COTANGENT_LAB` \
             and `#endif`, or into a file of its own\n{}",
            source.shown,
            quoted(source, line)
        ));
    }
    match source.shared().iter().find(|shared| !shared.is_inside) {
        None => Ok(()),
        Some(shared) => Err(format!(
            "{}:{}: {} is declared outside of a function; declare __shared__ arrays in the kernel\n{}",
            source.shown,
            shared.line,
            shared.name,
            quoted(source, shared.line)
        )),
    }
}

fn precision(source: &Source) -> Result<Precision, String> {
    match source.comment("precision") {
        None | Some((_, "float32" | "f32")) => Ok(Precision::Float32),
        Some((_, "bf16" | "bfloat16")) => Ok(Precision::Bfloat16),
        Some((line, other)) => {
            Err(format!("{}:{line}: the precision is {other:?}, not float32 or bf16", source.shown))
        }
    }
}

/// Each size so small that one processor can play all threads.
fn checked(shape: &[usize], operation: Operation) -> Result<&[usize], String> {
    let names: Vec<&str> = operation.sizes().collect();
    if shape.len() != names.len() {
        return Err(format!(
            "--shape has {} sizes, and {} has {}: {}",
            shape.len(),
            operation.name(),
            names.len(),
            names.join(",")
        ));
    }
    match shape.iter().find(|size| !(1..=1 << 20).contains(*size)) {
        None => Ok(shape),
        Some(size) => Err(format!("--shape has a size of {size}, and sizes are 1 to {}", 1 << 20)),
    }
}

/// All checks: a table of what came out, and the findings.
fn on_emulated_device(
    subject: &Subject,
    work: &Work,
    again: &Again,
) -> Result<(String, Vec<Finding>), String> {
    let too_much = subject.launches.iter().find(|(_, extents)| extents.shared > 163 * 1024);
    if let Some((_, extents)) = too_much {
        let text = format!(
            "too much shared memory: the launch asks for {} bytes, and a block has {} (163 KiB) at most on compute \
             capability 8.0",
            extents.shared,
            163 * 1024
        );
        return Ok((
            String::new(),
            vec![Finding::new(
                text,
                &subject.source.comment("launch").map_or(vec![], |(line, _)| vec![line]),
            )],
        ));
    }
    let mut ran: Vec<Ran> = Vec::new();
    for result in run::run_all(subject.source, work, again) {
        ran.push(result.map_err(|hindrance| match hindrance {
            Hindrance::File(problem) => compiled::explained(subject.source, &problem),
            Hindrance::Machine(problem) => problem,
        })?);
    }
    let [values, memory, races] = &ran[..] else { return Err("a check is missing".into()) };
    let outcomes = values::outcomes(subject.launches.len(), &values.events);
    let mut findings = memory::findings(subject, memory);
    findings.extend(races::findings(subject, races));
    if findings.is_empty() || !is_explained_by_memory(&values.events, &findings) {
        findings.extend(faults::finding(subject, &values.events));
    }
    findings.extend(values::finding(subject, &outcomes));
    if findings.is_empty() {
        for (check, ran) in Check::ALL.into_iter().zip(&ran).filter(|(_, ran)| !ran.is_finished()) {
            findings.push(unfinished(subject, check, ran)?);
        }
    }
    Ok((table(subject, &outcomes), findings))
}

/// Whether a fault is the one that the sanitizers have told more of.
fn is_explained_by_memory(events: &[work::Event], findings: &[Finding]) -> bool {
    let told = ["illegal address", "misaligned access", "memory was written"];
    let fault = events.iter().find_map(|event| match event {
        work::Event::Fault(fault) => Some(fault),
        _ => None,
    });
    let is_of_memory =
        findings.iter().any(|finding| !finding.text.contains("race") && !finding.text.contains("barrier"));
    fault.is_some_and(|fault| is_of_memory && told.iter().any(|words| fault.contains(words)))
}

/// A check that came to no end, where no other has found anything.
fn unfinished(subject: &Subject, check: Check, ran: &Ran) -> Result<Finding, String> {
    let shape = ran.last_launch().map_or(String::new(), |launch| format!(" for {}", subject.shape(launch)));
    if let Some(line) = ran.stderr.lines().find(|line| line.contains("Assertion `")) {
        let number = subject.line_in(line).into_iter().collect::<Vec<_>>();
        let what = line.split("Assertion ").nth(1).unwrap_or(line);
        return Ok(Finding::new(format!("an assertion: {what}{shape}"), &number));
    }
    if ran.status.is_none() {
        return Ok(Finding::new(
            format!(
                "the kernel does not end{shape}: after a minute it still runs; does a loop wait for what another thread never does?"
            ),
            &[],
        ));
    }
    let failed = ran.events.iter().find_map(|event| match event {
        work::Event::Failed(problem) => Some(problem.as_str()),
        _ => None,
    });
    let said = failed
        .or_else(|| ran.stderr.lines().find(|line| !line.trim().is_empty()))
        .unwrap_or("its process ended");
    Err(format!("{}: {check:?} could not be checked{shape}: {said}", subject.source.shown))
}

/// A line for each shape.
fn table(subject: &Subject, outcomes: &[values::Outcome]) -> String {
    let shapes: Vec<String> = (0..outcomes.len()).map(|launch| subject.shape(launch)).collect();
    let width = shapes.iter().map(String::len).max().unwrap_or(0);
    let lines = shapes
        .iter()
        .zip(outcomes)
        .map(|(shape, outcome)| format!("  {shape:width$}   {}\n", outcome.said()));
    lines.collect()
}

/// Lines of 100 characters at most, the first after `head` and the others below it.
fn wrapped(head: &str, text: &str) -> String {
    let mut wrapped = head.to_owned();
    let mut length = head.len();
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 && length + 1 + word.chars().count() > 100 {
            let _ = write!(wrapped, "\n{:1$}", "", head.len());
            length = head.len();
        } else if index > 0 {
            wrapped.push(' ');
            length += 1;
        }
        wrapped.push_str(word);
        length += word.chars().count();
    }
    wrapped + "\n"
}
