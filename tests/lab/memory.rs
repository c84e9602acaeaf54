//! The reports of AddressSanitizer and UndefinedBehaviorSanitizer: which line leaves which array, and by how much.
//!
//! Either ends the process at the first mistake, so the launch under way is the one that it happened in.

use super::finding::{Finding, Subject, listed};
use super::run::Ran;
use super::source::words;
use super::work::Event;

pub fn findings(subject: &Subject, ran: &Ran) -> Vec<Finding> {
    let behaviour = ran.stderr.lines().find(|line| line.contains("runtime error: "));
    let found = match behaviour {
        Some(line) => undefined(subject, ran, line),
        None => outside(subject, ran),
    };
    found.into_iter().collect()
}

/// An array of the launch under way.
struct Array<'a> {
    name: &'a str,
    address: u64,
    elements: usize,
}

fn arrays(ran: &Ran) -> Vec<Array<'_>> {
    let begun = ran.events.iter().rposition(|event| matches!(event, Event::Began { .. })).unwrap_or(0);
    let arrays = ran.events[begun..].iter().filter_map(|event| match event {
        Event::Array { name, address, elements } => {
            Some(Array { name, address: *address, elements: *elements })
        }
        _ => None,
    });
    arrays.collect()
}

fn address_in(text: &str) -> Option<u64> {
    let digits = text.split("0x").nth(1)?;
    u64::from_str_radix(&digits[..digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len())], 16)
        .ok()
}

fn for_shape(subject: &Subject, ran: &Ran) -> String {
    ran.last_launch().map_or(String::new(), |launch| format!(", for {}", subject.shape(launch)))
}

/// `FILE:LINE:COLUMN: runtime error: WHAT`
fn undefined(subject: &Subject, ran: &Ran, report: &str) -> Option<Finding> {
    let line = subject.line_in(report)?;
    let (_, what) = report.split_once("runtime error: ")?;
    let shape = for_shape(subject, ran);
    if what.contains("misaligned address") {
        return Some(misaligned(subject, ran, line, what));
    }
    if let Some(rest) = what.strip_prefix("index ")
        && let Some((index, of)) = rest.split_once(" out of bounds for type ")
    {
        let of = of.trim_matches('\'');
        let names = subject.shared_on(line);
        let array = if names.is_empty() { "an array".into() } else { listed(&names) };
        let text =
            format!("outside of an array: line {line} takes index {index} of {array}, which is {of}{shape}");
        return Some(Finding::new(text, &[line]));
    }
    Some(Finding::new(format!("line {line}: {what}{shape}"), &[line]))
}

fn misaligned(subject: &Subject, ran: &Ran, line: usize, what: &str) -> Finding {
    let of = what.split("for type '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or("float4");
    let of = of.trim_start_matches("const ").trim_start_matches("struct ");
    let bytes: u64 = what
        .split("requires ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(16);
    let width = bytes / 4;
    let address = address_in(what).unwrap_or(0);
    let needs = format!("a {of} needs an address that is a multiple of {bytes} bytes");
    let array = arrays(ran)
        .into_iter()
        .find(|array| (array.address..array.address + 4 * array.elements as u64).contains(&address));
    let shape = for_shape(subject, ran);
    let text = match array {
        Some(Array { name, address: first, .. }) => {
            let index = (address - first) / 4;
            let row = ran.last_launch().and_then(|launch| subject.row_of(name, launch));
            let why = match row {
                Some((size, value)) if !(value as u64).is_multiple_of(width) => format!(
                    "rows of {name} have {size} = {value} elements, so they do not all begin at such an address unless \
                     {size} % {width} == 0; take single floats where it is not"
                ),
                _ => format!("an index that {width} divides leads to one"),
            };
            format!("line {line} reads or writes a {of} at {name}[{index}]{shape}, and {needs}: {why}")
        }
        None => {
            let names = subject.shared_on(line);
            let name = if names.is_empty() { "an array".into() } else { listed(&names) };
            format!(
                "line {line} reads or writes a {of} in {name} at an address that is no multiple of {bytes}{shape}, and {needs}: \
                 declare it with __align__({bytes}), and let the length of its rows be a multiple of {width}"
            )
        }
    };
    Finding::new(format!("a misaligned access: {text}. A card ends such a launch; here it goes on"), &[line])
}

fn outside(subject: &Subject, ran: &Ran) -> Option<Finding> {
    let report = &ran.stderr[ran.stderr.find("ERROR: AddressSanitizer: ")?..];
    let line = subject.line_in(report)?;
    let verb = if report.contains("WRITE memory access") || report.contains("\nWRITE of size") {
        "writes"
    } else {
        "reads"
    };
    let address = address_in(report.split("address ").nth(1)?).unwrap_or(0);
    let shape = for_shape(subject, ran);
    let code = subject.source.code(line);
    let mut arrays = arrays(ran);
    let is_on_line = |array: &Array| words(code, array.name).next().is_some();
    let distance = |array: &Array| {
        let end = array.address + 4 * array.elements as u64;
        if address < array.address { array.address - address } else { address.saturating_sub(end) }
    };
    arrays.sort_by_key(|array| (distance(array), !is_on_line(array)));
    let shared = subject.shared_on(line);
    let near = arrays.iter().find(|array| distance(array) < 1 << 16);
    let meant = near.or_else(|| arrays.iter().find(|array| is_on_line(array)));
    let text = if address < 1 << 16 {
        format!("line {line} {verb} through a null pointer{shape}")
    } else if report.contains("use-after-poison") && near.is_none() && !shared.is_empty() {
        format!(
            "line {line} {verb} outside of {}, in shared memory that belongs to no array{shape}",
            listed(&shared)
        )
    } else if let Some(Array { name, address: first, elements }) = meant {
        let index = (address as i64 - *first as i64).div_euclid(4);
        let far = match index - *elements as i64 {
            0 => "the first element past its end".to_owned(),
            past if past > 0 => format!("{} elements past its last one", past + 1),
            _ => format!("{} elements before its first one", -index),
        };
        format!(
            "line {line} {verb} {name}[{index}], {far}: {name} has {elements} elements{shape}; let only threads whose \
             element exists {} it",
            verb.trim_end_matches('s')
        )
    } else {
        format!(
            "line {line} {verb} an address that belongs to no array{shape}: is an index negative, huge or never set?"
        )
    };
    Some(Finding::new(format!("outside of an array: {text}"), &[line]))
}
