//! All checks on the emulated device, and what they have found together.
//!
//! One mistake shows in several checks: an index that is too large is a fault, a report of AddressSanitizer, and wrong
//! values. The check that knows most of it speaks; values are always told, for they are what the mistake does.

use super::compiled;
use super::faults;
use super::finding::{Finding, Subject, Tried};
use super::memory;
use super::races;
use super::requests::remarks;
use super::run::Again;
use super::run::{Check, Hindrance, Ran, run_all};
use super::values::{self, Outcome};
use super::work::{Event, Work};

/// What a block may have on compute capability 8.0, if the host asks for more than 48 KiB.
const MOST_SHARED: u32 = 163 * 1024;

/// A table of what came out, and the findings; of a kernel without any, remarks on what it asks of memory.
///
/// # Errors
/// A file that does not compile; a machine without a compiler, or on which a check does not run.
pub fn try_on(subject: &Subject, work: &Work, again: &Again) -> Result<Tried, String> {
    if let Some((_, extents)) = subject.launches.iter().find(|(_, extents)| extents.shared > MOST_SHARED) {
        let line = subject.source.comment("launch").map(|(line, _)| line);
        let text = format!(
            "too much shared memory: the launch asks for {} bytes, and a block has {MOST_SHARED} (163 KiB) at most on \
             compute capability 8.0",
            extents.shared
        );
        let findings = vec![Finding::new(text, &Vec::from_iter(line))];
        return Ok(Tried { findings, ..Tried::default() });
    }
    let mut ran: Vec<Ran> = Vec::new();
    for result in run_all(subject.source, work, again) {
        ran.push(result.map_err(|hindrance| match hindrance {
            Hindrance::File(problem) => compiled::explained(subject.source, &problem),
            Hindrance::Machine(problem) => problem,
        })?);
    }
    let [values, memory, races, requests] = &ran[..] else { return Err("a check is missing".into()) };
    let outcomes = values::outcomes(subject.launches.len(), &values.events);
    let mut findings = memory::findings(subject, memory);
    let fault = faults::finding(subject, &values.events);
    let fault = fault.filter(|_| findings.is_empty() || !faults::is_of_memory(&values.events));
    findings.extend(races::findings(subject, races));
    findings.extend(fault);
    findings.extend(values::finding(subject, &outcomes));
    let mut not_ended = Check::ALL.into_iter().zip(&ran).filter(|(_, ran)| !ran.is_finished());
    if findings.is_empty()
        && let Some((check, ran)) = not_ended.next()
    {
        findings.push(unfinished(subject, check, ran)?);
    }
    let remarks = if findings.is_empty() { remarks(&requests.events) } else { Vec::new() };
    Ok(Tried { table: table(subject, &outcomes), findings, remarks })
}

/// A check that came to no end, where no other has found anything.
///
/// # Errors
/// One that ended for a reason that is not the kernel's.
pub fn unfinished(subject: &Subject, check: Check, ran: &Ran) -> Result<Finding, String> {
    let shape = ran.last_launch().map_or(String::new(), |launch| format!(" for {}", subject.shape(launch)));
    if let Some(line) = ran.stderr.lines().find(|line| line.contains("Assertion `")) {
        let what = line.split("Assertion ").nth(1).unwrap_or(line).trim_end_matches('.');
        return Ok(Finding::new(
            format!("an assertion: {what}{shape}"),
            &Vec::from_iter(subject.line_in(line)),
        ));
    }
    if ran.status.is_none() {
        let text = format!(
            "the kernel does not end{shape}: after more than half a minute it still runs; does a loop wait for what another \
             thread never does?"
        );
        return Ok(Finding::new(text, &[]));
    }
    let failed = ran.events.iter().find_map(|event| match event {
        Event::Failed(problem) => Some(problem.as_str()),
        _ => None,
    });
    let first = || ran.stderr.lines().find(|line| !line.trim().is_empty());
    let said = failed.or_else(first).unwrap_or("its process ended");
    Err(format!("{}: {} could not be checked{shape}: {said}", subject.source.shown, check.name()))
}

/// A line for each shape.
pub fn table(subject: &Subject, outcomes: &[Outcome]) -> String {
    let shapes: Vec<String> = (0..outcomes.len()).map(|launch| subject.shape(launch)).collect();
    let width = shapes.iter().map(String::len).max().unwrap_or(0);
    let lines = shapes
        .iter()
        .zip(outcomes)
        .map(|(shape, outcome)| format!("  {shape:width$}   {}\n", outcome.said()));
    lines.collect()
}
