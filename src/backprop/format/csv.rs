//! All entries as one table.

use crate::backprop::Backprop;
use crate::document::number::exact;

/// Columns `node,row,column,value,gradient`, an entry a line, rows and columns from 1, numbers in full. Data have no
/// gradient.
///
/// # Errors
/// Never; the type is that of the writer.
pub fn csv(found: &Backprop) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["node", "row", "column", "value", "gradient"])?;
    for variable in &found.variables {
        for (entry, value) in variable.value.values.iter().enumerate() {
            let (row, column) = (entry / variable.value.columns + 1, entry % variable.value.columns + 1);
            let gradient = variable.gradient.as_ref().map_or(String::new(), |g| exact(g.values[entry]));
            let place = [row.to_string(), column.to_string()];
            writer.write_record([&variable.name, &place[0], &place[1], &exact(*value), &gradient])?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
