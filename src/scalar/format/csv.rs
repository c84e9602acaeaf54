//! The trace as one table: a row for each node of each forward sweep, and for each contribution of the reverse sweep.

use std::io::Write;

use super::notation::Notation;
use crate::document::number::exact;
use crate::scalar::{Trace, TraceRow};

const COLUMNS: [&str; 9] =
    ["sweep", "direction", "node", "definition", "value", "derivative", "from", "partial", "amount"];

/// Columns `sweep,direction,node,definition,value,derivative,from,partial,amount`, numbers in full. `derivative` is
/// the tangent in forward rows and the adjoint in reverse rows, where a node has a row for each contribution. A
/// derivative that does not exist, and was not asked for, is empty. Where the forward trace is left out one row of the
/// sweep `forward omitted` says why, as its definition.
///
/// # Errors
/// Never; the type is that of the writer.
pub fn csv(trace: &Trace) -> Result<String, csv::Error> {
    let mut bytes = Vec::new();
    write_csv(trace, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes the table of [`csv()`].
///
/// # Errors
/// Those of the writer.
pub fn write_csv(trace: &Trace, out: &mut dyn Write) -> Result<(), csv::Error> {
    let names = trace.names();
    let script = Notation::Plain.with(&names);
    let definition = |row: &TraceRow| script.write(&trace.definition(row));
    let exact = |x: f64| if x.is_finite() { exact(x) } else { String::new() };
    let node = |position: usize| script.primal(trace.rows[position].number);
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    if let Some(why) = &trace.forward_omitted {
        writer.write_record(["forward omitted", "", "", why, "", "", "", "", ""])?;
    }
    for (k, direction) in trace.directions.iter().enumerate() {
        let entries = trace.point.iter().zip(&direction.tangents).filter(|(_, tangent)| **tangent != 0.0);
        let name: Vec<String> =
            entries.map(|((name, _), tangent)| format!("{name}={}", exact(*tangent))).collect();
        let name = name.join(";");
        for (i, row) in trace.rows.iter().enumerate() {
            let (value, tangent) = (exact(row.value), exact(row.tangents[k]));
            writer.write_record([
                "forward",
                &name,
                &node(i),
                &definition(row),
                &value,
                &tangent,
                "",
                "",
                "",
            ])?;
        }
    }
    for (i, row) in trace.rows.iter().enumerate().rev() {
        let (node_name, definition, value, adjoint) =
            (node(i), definition(row), exact(row.value), exact(row.adjoint));
        let start = ["reverse", "", &node_name, &definition, &value, &adjoint];
        if row.contributions.is_empty() {
            writer.write_record(start.iter().chain(&["", "", ""]))?;
        }
        for part in &row.contributions {
            let end = [node(part.from), exact(part.partial), exact(part.amount)];
            writer.write_record(start.iter().copied().chain(end.iter().map(|text| &text[..])))?;
        }
    }
    writer.flush()?;
    Ok(())
}
