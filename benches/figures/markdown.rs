//! The rows of a run as a table for a document.

use super::Row;
use super::chart::{processor, rate, time, words};

/// A Markdown table with a line a row, by the kernels' names, then by the number of threads: the time, the rate, the share of the ceiling, and, if any row has one, the peer's time.
/// Below it stand machine and date.
pub fn markdown(rows: &[Row], peer: &str) -> String {
    let has_peers = rows.iter().any(|row| row.peer_microseconds.is_some());
    let mut columns = vec!["kernel", "shape", "variant", "threads", "time", "rate", "of the ceiling"];
    // a card has no threads to tell
    columns.retain(|&column| column != "threads" || rows.iter().any(|row| !processor(row).1.is_empty()));
    columns.extend(has_peers.then_some(peer));
    let mut table = line(columns.iter().map(|&column| column.to_owned()));
    table += &line(columns.iter().map(|_| "---".to_owned()));
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| (&row.kernel, threads(row).parse::<usize>().unwrap_or(0)));
    for row in sorted {
        let cells = columns.iter().map(|&column| match column {
            "kernel" => words(&row.kernel),
            "shape" => words(&row.shape),
            "variant" => row.variant.clone(),
            "threads" => threads(row).to_owned(),
            "time" => time(row.microseconds),
            "rate" => rate(row),
            "of the ceiling" => {
                row.ceiling_share.map_or(String::new(), |share| format!("{:.1}%", 100.0 * share))
            }
            _ => row.peer_microseconds.map_or(String::new(), time),
        });
        table += &line(cells);
    }
    let setting = rows.first().map(|row| format!("\n{}, {}.\n", processor(row).0, row.date));
    table + &setting.unwrap_or_default()
}

/// On how many threads; nothing of a card.
fn threads(row: &Row) -> &str {
    processor(row).1.split(' ').next().unwrap_or_default()
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}
