//! The picture of a run: a bar a row, grouped by the kernels' families.

use cotangent::draw::{Bar, BarChart, BarGroup};

use super::Row;

/// The rows as bars: what stands before the first slash of a kernel's name is its family. Rows of one family
/// stand together wherever they were measured. What no ceiling binds has no share, and no bar.
pub fn chart(rows: &[Row], title: &str, peer: &str, notes: &[String]) -> BarChart {
    let mut groups: Vec<BarGroup> = Vec::new();
    for row in rows.iter().filter(|row| row.ceiling_share.is_some()) {
        let bar = Bar {
            label: label(row, rows),
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
        groups,
        notes: notes.to_vec(),
    }
}

fn family(row: &Row) -> &str {
    row.kernel.split('/').next().unwrap_or_default()
}

/// What tells a row from others: precision only where its family has several, the number of threads where its kernel has.
fn label(row: &Row, rows: &[Row]) -> String {
    let has_several = |of: fn(&Row) -> &str, kin: fn(&Row) -> &str| {
        rows.iter().any(|other| kin(other) == kin(row) && of(other) != of(row))
    };
    let of_family = row.kernel.split_once('/').map_or("", |(_, rest)| rest);
    let precision = if has_several(|row| &row.precision, family) { &row.precision[..] } else { "" };
    let threads = if has_several(|row| processor(row).1, |row| &row.kernel) { processor(row).1 } else { "" };
    let parts = [of_family, &row.shape, precision, &row.variant, threads];
    let parts = parts.into_iter().filter(|part| !part.is_empty()).map(|part| part.replace('_', " "));
    parts.collect::<Vec<_>>().join(" ")
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
