//! What the emulated device itself refuses or finds: barriers that not all threads come to, too much shared memory,
//! memory that was overwritten. Its words are for whoever knows the emulator; here they become a student's.

use super::finding::{Finding, Subject};
use super::work::Event;

/// The finding for the first fault among the events, with the launch it happened in.
pub fn finding(subject: &Subject, events: &[Event]) -> Option<Finding> {
    let mut launch = 0;
    for event in events {
        match event {
            Event::Began { launch: begun, .. } => launch = *begun,
            Event::Fault(fault) => return Some(explained(subject, fault, &subject.shape(launch))),
            _ => {}
        }
    }
    None
}

/// Whether the first fault is one that AddressSanitizer knows more of.
pub fn is_of_memory(events: &[Event]) -> bool {
    let known = ["illegal address", "misaligned access", "memory was written"];
    let fault = events.iter().find_map(|event| match event {
        Event::Fault(fault) => Some(fault),
        _ => None,
    });
    fault.is_some_and(|fault| known.iter().any(|words| fault.contains(words)))
}

fn explained(subject: &Subject, fault: &str, shape: &str) -> Finding {
    let (what, place) = match fault.rsplit_once(" [") {
        Some((what, place)) => (what, format!(" in {}", place.trim_end_matches(']'))),
        None => (fault, String::new()),
    };
    let lines = lines_in(subject, what);
    let line = |index: usize| lines.get(index).copied().unwrap_or(0);
    let text = if let Some(rest) = what.strip_prefix("static shared memory over 49152 bytes with '") {
        let name = rest.split('\'').next().unwrap_or("");
        let bytes = rest.split("makes ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("more");
        let at = subject
            .source
            .shared()
            .into_iter()
            .find(|shared| shared.name == name)
            .map_or(0, |shared| shared.line);
        return Finding::new(
            format!(
                "too much shared memory: with {name} on line {at} the kernel's __shared__ arrays take {bytes} bytes, and a \
                 block has 49152 (48 KiB); make the tiles smaller, or take extern __shared__ memory, of which there is more"
            ),
            &[at],
        );
    } else if what.contains("threads of the block have returned") {
        let count = what.split(" after ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("some");
        format!(
            "a barrier that not all threads come to: {count} threads of the block have returned before the __syncthreads() on line {}; \
             let threads without an element skip the work with an if instead of returning",
            line(0)
        )
    } else if what.starts_with("a thread has returned while others wait in __syncthreads") {
        format!(
            "a barrier that not all threads come to: a thread has returned while others wait in the __syncthreads() on line {}; \
             every thread of the block must come to it",
            line(0)
        )
    } else if what.starts_with("divergent barriers") {
        format!(
            "a divergent barrier: some threads wait in the __syncthreads() on line {}, others of the same block in the one on line {}; \
             put one __syncthreads() where all threads pass, outside of the if",
            line(0),
            line(1)
        )
    } else if what.starts_with("deadlock") {
        let said = subject.readable(what.trim_start_matches("deadlock:").trim().trim_end_matches(';'));
        format!(
            "threads wait for others that never come: {said}; a barrier or shuffle in a branch that not all threads take?"
        )
    } else if what.starts_with("shared memory was written") {
        format!("outside of an array: {what}")
    } else if what == "integer division by zero" {
        "an integer is divided by zero".to_owned()
    } else if what.starts_with("illegal address") {
        "outside of an array: an address that belongs to none".to_owned()
    } else {
        subject.readable(what)
    };
    Finding::new(format!("{text} (for {shape}{place})"), &lines)
}

/// The numbers of all lines of the student's file that a text names.
fn lines_in(subject: &Subject, text: &str) -> Vec<usize> {
    let path = subject.source.path.to_string_lossy();
    text.match_indices(&*path).filter_map(|(at, _)| subject.line_in(&text[at..])).collect()
}
