//! The picture of a run: a bar a row, grouped by the kernels' families.

use cotangent::draw::{Bar, BarChart, BarGroup};

use super::Row;

/// The rows as bars: what stands before the first slash of a kernel's name is its family. Rows of one family
/// stand together wherever they were measured. What no ceiling binds has no share, and no bar. Ceilings, all of whose
/// shares are 1, are told in notes. What was measured cold and warm has one bar, the cold one.
pub fn chart(rows: &[Row], title: &str, peer: &str, notes: &[String]) -> BarChart {
    let mut groups: Vec<BarGroup> = Vec::new();
    let is_drawn =
        |row: &&Row| row.ceiling_share.is_some() && !is_ceiling(row) && !is_warm_beside_cold(row, rows);
    let drawn: Vec<&Row> = rows.iter().filter(is_drawn).collect();
    for &row in &drawn {
        let bar = Bar {
            label: label(row, &drawn),
            share: row.ceiling_share,
            // The work is the same, so shares are as rates, and those inversely as times.
            mark: row
                .ceiling_share
                .zip(row.peer_microseconds)
                .map(|(share, of_peer)| share * row.microseconds / of_peer),
            captions: [rate(row), time(row.microseconds)],
        };
        let name = family(row).replace('_', " ");
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.bars.push(bar),
            None => groups.push(BarGroup { name, bars: vec![bar] }),
        }
    }
    // What follows the processor's name, its threads, may differ from row to row.
    let device =
        |row: &Row| if are_of_one_card(rows) { row.card.clone() } else { processor(row).0.to_owned() };
    let setting = rows.first().map(|row| format!("{}, {}", device(row), row.date));
    BarChart {
        title: title.to_owned(),
        subtitle: setting,
        x_label: "share of the ceiling that binds".to_owned(),
        names: ["cotangent".to_owned(), peer.to_owned()],
        heads: ["share", "rate", "time"].map(str::to_owned),
        groups,
        notes: ceilings(rows).into_iter().chain(notes.iter().cloned()).collect(),
    }
}

fn is_ceiling(row: &Row) -> bool {
    family(row) == "ceiling"
}

/// The kernel's shape without the state of the cache, and that state.
fn state(row: &Row) -> (&str, &str) {
    match row.shape.rsplit_once(' ') {
        Some((shape, state @ ("cold" | "warm"))) => (shape, state),
        _ => (&row.shape, ""),
    }
}

fn is_warm_beside_cold(row: &Row, rows: &[Row]) -> bool {
    let key =
        |row: &Row| (row.kernel.clone(), state(row).0.to_owned(), row.precision.clone(), row.card.clone());
    state(row).1 == "warm" && rows.iter().any(|other| state(other).1 == "cold" && key(other) == key(row))
}

/// A sentence for each number of threads: the rates that shares are of. A ceiling's shape is told where there are several.
fn ceilings(rows: &[Row]) -> Vec<String> {
    let rows: Vec<&Row> = rows.iter().filter(|row| is_ceiling(row)).collect();
    let mut cards: Vec<&str> = Vec::new();
    for row in &rows {
        if !cards.contains(&&row.card[..]) {
            cards.push(&row.card);
        }
    }
    let sentence = |card: &str| {
        let of_card: Vec<&Row> = rows.iter().copied().filter(|row| row.card == card).collect();
        let ceiling = |row: &&Row| {
            let several = of_card.iter().filter(|other| other.kernel == row.kernel).count() > 1;
            let name = words(row.kernel.trim_start_matches("ceiling/"));
            // `L1 24KiB`: the level, then its size
            let place = match words(state(row).0).split_once(' ') {
                Some((level, size)) if several => format!(" in {level} ({size})"),
                _ => String::new(),
            };
            format!("{name}{place} {}", rate(row))
        };
        let all: Vec<String> = of_card.iter().map(ceiling).collect();
        let threads = processor(of_card[0]).1;
        let on = if threads.is_empty() { String::new() } else { format!(" on {threads}") };
        format!("Ceilings{on}: {}.", all.join(", "))
    };
    cards.into_iter().map(sentence).collect()
}

/// A part of a name as it is said: numbers of five digits and more in groups of three, units apart from their numbers.
pub(super) fn words(part: &str) -> String {
    let word = |word: &str| -> String {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        match word.split_at(digits) {
            (number, "") if digits >= 5 => grouped(number),
            (number, unit @ ("KiB" | "MiB" | "GiB")) => format!("{number} {unit}"),
            _ => word.replace("multiply_adds", "multiply-adds").replace('_', " "),
        }
    };
    part.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// 40000000 as 40 000 000.
fn grouped(digits: &str) -> String {
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let threes = (0..rest.len() / 3).map(|three| &rest[3 * three..3 * three + 3]);
    std::iter::once(head).filter(|head| !head.is_empty()).chain(threes).collect::<Vec<_>>().join(" ")
}

fn family(row: &Row) -> &str {
    row.kernel.split('/').next().unwrap_or_default()
}

/// What tells a row from others that are drawn: precision only where its family has several, variants where its family has
/// several of the same kernel and shape (else they are how a kernel was chosen), the number of threads where its kernel has.
/// That operands are cold goes without saying.
fn label(row: &Row, rows: &[&Row]) -> String {
    let kin = |of: fn(&Row) -> &str| rows.iter().copied().filter(move |other| of(other) == of(row));
    let precisions = kin(family).any(|other| other.precision != row.precision);
    let threads = kin(|row| &row.kernel).any(|other| processor(other).1 != processor(row).1);
    let same = |a: &Row, b: &Row| a.kernel == b.kernel && a.shape == b.shape && a.variant != b.variant;
    let variants = kin(family).any(|one| kin(family).any(|other| same(one, other)));
    let of_family = row.kernel.split_once('/').map_or("", |(_, rest)| rest);
    let (shape, state) = state(row);
    let state = if state == "warm" { state } else { "" };
    let precision = if precisions { &row.precision[..] } else { "" };
    let variant = if variants { &row.variant[..] } else { "" };
    let parts = [of_family, shape, state, precision, variant];
    let parts = parts.into_iter().filter(|part| !part.is_empty()).map(words);
    let threads = if threads { format!(", {}", processor(row).1) } else { String::new() };
    parts.collect::<Vec<_>>().join(" ") + &threads
}

fn are_of_one_card(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.card == rows[0].card)
}

/// The name of a row's card, and, of a processor, its threads.
pub(super) fn processor(row: &Row) -> (&str, &str) {
    match row.card.rsplit_once(", ") {
        Some((name, threads)) if threads.contains("thread") => (name, threads),
        _ => (&row.card, ""),
    }
}

/// The rate with its unit, if there is one.
pub(super) fn rate(row: &Row) -> String {
    row.rate.map_or(String::new(), |rate| format!("{} {}", three_digits(rate), row.unit))
}

/// In the unit that suits it.
pub(super) fn time(microseconds: f64) -> String {
    match microseconds {
        ..1e3 => format!("{} µs", three_digits(microseconds)),
        ..1e6 => format!("{} ms", three_digits(microseconds / 1e3)),
        _ => format!("{} s", three_digits(microseconds / 1e6)),
    }
}

/// A number with three digits, or more before its point.
fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        ..0.9995 => 3,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
