//! The picture of a run: a bar a row, grouped by the kernels' families.

use cotangent::draw::{Bar, BarChart, BarGroup};

use super::Row;

/// The rows as bars: what stands before the first slash of a kernel's name is its family. Rows of one family
/// stand together wherever they were measured.
pub fn chart(rows: &[Row], title: &str, peer: &str, notes: &[String]) -> BarChart {
    let mut groups: Vec<BarGroup> = Vec::new();
    for row in rows {
        let family = family(row);
        let bar = Bar {
            label: label(row, rows.iter().filter(|other| self::family(other) == family)),
            share: row.ceiling_share,
            // The work is the same, so shares are as rates, and those inversely as times.
            mark: row
                .ceiling_share
                .zip(row.peer_microseconds)
                .map(|(share, of_peer)| share * row.microseconds / of_peer),
            caption: caption(row),
        };
        match groups.iter_mut().find(|group| group.name == family) {
            Some(group) => group.bars.push(bar),
            None => groups.push(BarGroup { name: family.to_owned(), bars: vec![bar] }),
        }
    }
    let setting = rows.first().map(|row| format!("{}, {}", row.card, row.date));
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

/// What tells a row from others of its family: precision only where they have several.
fn label<'r>(row: &Row, mut family: impl Iterator<Item = &'r Row>) -> String {
    let of_family = row.kernel.split_once('/').map_or("", |(_, rest)| rest);
    let precision =
        if family.any(|other| other.precision != row.precision) { &row.precision[..] } else { "" };
    let parts = [of_family, &row.shape, precision, &row.variant];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| part.replace('_', " "))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The rate, and the time that is easier to grasp.
fn caption(row: &Row) -> String {
    let time = time(row.microseconds);
    match row.rate {
        Some(rate) => format!("{} {}  {time}", three_digits(rate), row.unit),
        None => time,
    }
}

fn time(microseconds: f64) -> String {
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
