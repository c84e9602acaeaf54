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
//! | `emulated.rs` | all checks on the emulated device |
//! | `run.rs`, `work.rs`, `worker.rs` | the processes that the kernel runs in, one for each check |
//! | `values.rs`, `memory.rs`, `races.rs`, `faults.rs`, `requests.rs`, `compiled.rs` | what each of them has found, in a student's words |
//! | `card.rs` | the same on a real card, with times |
//!
//! A further check is a variant of [`run::Check`] and a function from what its process left to findings.

mod card;
mod comparison;
mod compiled;
mod emulated;
mod faults;
mod finding;
mod launch;
mod memory;
mod races;
mod reference;
mod requests;
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
use finding::{Finding, Subject, Tried};
use launch::Launch;
use reference::Precision;
pub use run::Again;
use run::Check;
use signature::Operation;
use source::Source;
use work::Work;

/// Tries a CUDA kernel of your own: values, memory accesses and races, on an emulated device. docs/lab.md explains.
#[derive(Parser, Clone, Debug)]
#[command(name = "lab", bin_name = "scripts/lab")]
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
        file: source.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        arrays: subject.arrays.clone(),
        launches,
        orders: Vec::new(),
        events: PathBuf::new(),
        timed: None,
    };
    let Tried { table, findings, remarks } = match asked.device {
        Device::Emulated => emulated::try_on(&subject, &work, again)?,
        Device::Cuda => {
            card::try_on(&subject, Work { timed: Some(at(operation.timed_shape())?), ..work }, again)?
        }
    };
    let head = format!("{}: {}, launched with {}\n\n", source.shown, kernel.name, launch.text());
    let end = last(&subject, asked.device, findings.len());
    let is_sound = findings.is_empty();
    let all = |findings: &[Finding]| -> String {
        let told = findings.iter().enumerate().map(|(index, finding)| {
            let quotations = finding.lines.iter().map(|&line| quoted(&source, line) + "\n");
            let text = wrapped(&format!("{}. ", index + 1), &finding.text);
            format!("\n{text}{}", quotations.collect::<String>())
        });
        told.collect()
    };
    let mut text = head + &table + &all(&findings) + "\n" + &wrapped("", &end);
    if !remarks.is_empty() {
        text += "\nIt asks more of memory than it needs:\n";
        text += &all(&remarks);
    }
    Ok(Verdict { text, is_sound })
}

/// The last sentence.
fn last(subject: &Subject, device: Device, findings: usize) -> String {
    let file = &subject.source.shown;
    match (findings, device) {
        (0, Device::Emulated) => format!(
            "{file} is sound here: right values on {} shapes in {} orders of threads each, no access outside of an array or \
             misaligned, no race. How fast it is this does not say.",
            subject.launches.len(),
            Check::Values.orders().len()
        ),
        (0, Device::Cuda) => {
            format!("{file} is right on this card. Whether it has races is for the emulated device to say.")
        }
        (1, _) => format!("{file} is not sound: one finding."),
        (count, _) => format!("{file} is not sound: {count} findings."),
    }
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

/// A shape so small that one processor can play all threads.
fn checked(shape: &[usize], operation: Operation) -> Result<&[usize], String> {
    const MOST: usize = 1 << 24;
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
    match shape.iter().try_fold(1, |product: usize, &size| product.checked_mul(size)) {
        Some(1..=MOST) => Ok(shape),
        _ => Err(format!(
            "--shape {shape:?}: the sizes' product must be 1 to {MOST}, for one processor plays all threads"
        )),
    }
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
