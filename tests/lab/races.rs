//! ThreadSanitizer's reports: which lines touch the same memory, from which nothing keeps two threads apart.

use super::finding::{Finding, Subject, listed};
use super::run::Ran;
use super::source::words;
use super::work::Event;

/// One side of a race.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Access {
    line: usize,
    writes: bool,
}

/// A race between two lines, or between two threads on one line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Race {
    /// The one that writes comes first.
    accesses: [Access; 2],
    array: Option<Array>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Array {
    Shared(Vec<String>),
    /// In global memory, and its number of elements.
    Global(String, usize),
}

pub fn findings(subject: &Subject, ran: &Ran) -> Vec<Finding> {
    let mut races: Vec<Race> = ran
        .stderr
        .split("WARNING: ThreadSanitizer: data race")
        .skip(1)
        .filter_map(|r| race(subject, ran, r))
        .collect();
    races.sort();
    races.dedup();
    // One of each kind of memory and of line that is written is enough to mend it.
    races.dedup_by_key(|race| (race.accesses[0], race.array.clone()));
    races.iter().map(|race| said(subject, race)).collect()
}

fn race(subject: &Subject, ran: &Ran, report: &str) -> Option<Race> {
    let mut accesses = Vec::new();
    let mut address = None;
    for part in report.split("\n\n").take(2) {
        let lower = part.to_ascii_lowercase();
        let head = lower.lines().find(|line| line.contains(" of size "))?;
        let digits = head.split(" at 0x").nth(1)?.split_whitespace().next()?;
        address = u64::from_str_radix(digits, 16).ok();
        accesses.push(Access { line: subject.line_in(part)?, writes: head.contains("write") });
    }
    let mut accesses: [Access; 2] = accesses.try_into().ok()?;
    accesses.sort_by_key(|access| (!access.writes, access.line));
    Some(Race { accesses, array: array(subject, ran, address?, accesses) })
}

fn array(subject: &Subject, ran: &Ran, address: u64, accesses: [Access; 2]) -> Option<Array> {
    let global = ran.events.iter().rev().find_map(|event| match event {
        Event::Array { name, address: first, elements } => {
            let holds = (*first..first + 4 * *elements as u64).contains(&address);
            holds.then(|| Array::Global(name.clone(), *elements))
        }
        _ => None,
    });
    let [first, second] = accesses.map(|access| subject.shared_on(access.line));
    let both: Vec<String> = first.iter().filter(|name| second.contains(name)).cloned().collect();
    let shared = match (both.is_empty(), first.is_empty()) {
        (false, _) => Some(both),
        (true, false) => Some(first),
        (true, true) => (!second.is_empty()).then_some(second),
    };
    global.or(shared.map(Array::Shared))
}

fn said(subject: &Subject, race: &Race) -> Finding {
    let [writing, other] = race.accesses;
    let lines = [writing.line, other.line];
    let verb = if other.writes { "writes" } else { "reads" };
    let text = match &race.array {
        Some(Array::Global(name, 1)) => format!(
            "a race: several threads change {name}[0] on line {} at once, so that what one of them has added is lost; \
             add with atomicAdd({name}, ...), which lets one thread at a time",
            writing.line
        ),
        Some(Array::Global(name, _)) if writing.line == other.line => format!(
            "a race: on line {} several threads write the same element of {name}; give each element to one thread, \
             or add with atomicAdd",
            writing.line
        ),
        Some(Array::Global(name, _)) => format!(
            "a race: line {} writes an element of {name} that line {} {verb} in another thread, and nothing orders \
             the two; threads of different blocks cannot wait for each other, so give each element to one thread",
            writing.line, other.line
        ),
        Some(Array::Shared(names)) if writing.line == other.line => format!(
            "a race: on line {} several threads use the same element of {}, one of them writes it, and no \
             __syncthreads() lies between them",
            writing.line,
            listed(names)
        ),
        array => {
            let name = match array {
                Some(Array::Shared(names)) => listed(names),
                _ => "memory".into(),
            };
            let between = (writing.line + 1..other.line)
                .any(|line| words(subject.source.code(line), "__syncthreads").next().is_some());
            if between && !other.writes {
                format!(
                    "a missing barrier: line {} reads {name}, line {} overwrites it in another thread in the next \
                     round of the loop, and no __syncthreads() lies between them: put one after the reads, at the \
                     end of the round",
                    other.line, writing.line
                )
            } else {
                format!(
                    "a missing barrier: line {} writes {name}, line {} {verb} it in another thread, and no \
                     __syncthreads() lies between them",
                    writing.line, other.line
                )
            }
        }
    };
    Finding::new(text, &lines)
}
