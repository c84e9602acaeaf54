//! The trace for programs: numbers in full.

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use super::notation::{Notation, Script};
use crate::scalar::Trace;

/// `{"expression", "point", "value", "gradient", "forward", "reverse", "checks", ...}`; `forward` is a list where each
/// input was traced alone. That list is empty where there are too many inputs, and `forward_omitted` says why. A
/// derivative that does not exist, and was not asked for, is `null`, and so is `agrees` of a check that cannot tell;
/// `notes` and the check's `note` say why.
///
/// # Errors
/// Never; the type is that of the serializer.
pub fn json(trace: &Trace) -> Result<String, serde_json::Error> {
    serde_json::to_string(trace).map(|text| text + "\n")
}

/// Writes the text of [`json()`].
///
/// # Errors
/// Those of the writer.
pub fn write_json(trace: &Trace, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, trace)?;
    out.write_all(b"\n")
}

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.names();
        let script = Notation::Plain.with(&names);
        let forward: Vec<Forward<'_>> =
            (0..self.directions.len()).map(|direction| Forward { trace: self, script, direction }).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("expression", &self.expression)?;
        map.serialize_entry("point", &Named(|i: usize| self.point[i].1, self))?;
        map.serialize_entry("value", &self.value())?;
        map.serialize_entry("gradient", &Named(|i: usize| self.rows[i].adjoint, self))?;
        if self.sweeps_each_input() {
            map.serialize_entry("forward", &forward)?;
        } else {
            map.serialize_entry("forward", &forward.first())?;
        }
        if let Some(why) = &self.forward_omitted {
            map.serialize_entry("forward_omitted", why)?;
        }
        map.serialize_entry("reverse", &Reverse { trace: self, script })?;
        if let Some(hessian) = &self.hessian {
            let rows: Vec<Named<'_, _>> = hessian.iter().map(|row| Named(|i: usize| row[i], self)).collect();
            map.serialize_entry("hessian", &Named(|i: usize| &rows[i], self))?;
        }
        map.serialize_entry("checks", &Checked(self))?;
        map.serialize_entry("operations", &Operations(self))?;
        map.serialize_entry("notes", &self.notes)?;
        map.end()
    }
}

/// A value for each input, under its name.
struct Named<'t, F>(F, &'t Trace);

impl<V: Serialize, F: Fn(usize) -> V> Serialize for Named<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.1.point.iter().enumerate().map(|(i, (name, _))| (name, (self.0)(i))))
    }
}

struct Forward<'t> {
    trace: &'t Trace,
    script: Script<'t>,
    direction: usize,
}

#[derive(Serialize)]
struct ForwardRow {
    node: String,
    definition: String,
    value: f64,
    tangent: f64,
}

impl Serialize for Forward<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tangents = &self.trace.directions[self.direction].tangents;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("direction", &Named(|i: usize| tangents[i], self.trace))?;
        map.serialize_entry(
            "rows",
            &Sequence(|| {
                self.trace.rows.iter().map(|row| ForwardRow {
                    node: self.script.primal(row.number),
                    definition: self.script.write(&self.trace.definition(row)),
                    value: row.value,
                    tangent: row.tangents[self.direction],
                })
            }),
        )?;
        map.end()
    }
}

struct Reverse<'t> {
    trace: &'t Trace,
    script: Script<'t>,
}

#[derive(Serialize)]
struct ReverseRow {
    node: String,
    value: f64,
    adjoint: f64,
    contributions: Vec<ContributionRow>,
}

#[derive(Serialize)]
struct ContributionRow {
    from: String,
    partial: f64,
    amount: f64,
}

impl Serialize for Reverse<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(
            "rows",
            &Sequence(|| {
                self.trace.rows.iter().rev().map(|row| ReverseRow {
                    node: self.script.primal(row.number),
                    value: row.value,
                    adjoint: row.adjoint,
                    contributions: row
                        .contributions
                        .iter()
                        .map(|part| ContributionRow {
                            from: self.script.primal(self.trace.rows[part.from].number),
                            partial: part.partial,
                            amount: part.amount,
                        })
                        .collect(),
                })
            }),
        )?;
        map.end()
    }
}

/// A list that is made while it is written.
struct Sequence<F>(F);

impl<I: Iterator<Item: Serialize>, F: Fn() -> I> Serialize for Sequence<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        for item in (self.0)() {
            sequence.serialize_element(&item)?;
        }
        sequence.end()
    }
}

struct Checked<'t>(&'t Trace);

#[derive(Serialize)]
struct DifferenceRow<'t> {
    input: Option<&'t str>,
    reverse: f64,
    central: Option<f64>,
    error: Option<f64>,
    agrees: Option<bool>,
    note: Option<&'t str>,
}

impl Serialize for Checked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let checks = &self.0.checks;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(
            "central_differences",
            &Sequence(|| {
                checks.differences.iter().map(|check| DifferenceRow {
                    input: check.input.map(|input| &self.0.point[input].0[..]),
                    reverse: check.reverse,
                    central: check.central,
                    error: check.error(),
                    agrees: check.agrees(),
                    note: check.note.as_deref(),
                })
            }),
        )?;
        let product = checks.inner_product;
        map.serialize_entry(
            "inner_product",
            &serde_json::json!({
                "forward": product.forward,
                "reverse": product.reverse,
                "error": product.error(),
                "agrees": product.agrees(),
            }),
        )?;
        map.end()
    }
}

struct Operations<'t>(&'t Trace);

impl Serialize for Operations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let costs = self.0.costs;
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("value", &costs.value)?;
        map.serialize_entry("one_reverse_sweep", &(costs.value + costs.reverse))?;
        map.serialize_entry("forward_sweeps", &(costs.value + self.0.point.len() * costs.forward))?;
        map.end()
    }
}
