//! Everything as one JSON object.

use serde_json::{Value, json};

use super::Findings;
use crate::backprop::{Backprop, Matrix};

/// An object of the keys
///
/// - `shape` (widths n₀ to nₙ), `columns`, `origin`, `value` (z);
/// - `nodes`: `[{"node", "definition", "rule", "shape", "value", "gradient"}]`, matrices as lists of rows, null where
///   there is none;
/// - `checks`: `{"agree", "forward_mode", "central_differences"}`, the largest relative errors, and `nodes` with those
///   of each;
/// - `torch` and `device`, if they were asked for: the largest absolute differences of each node.
///
/// # Errors
/// Never; the type is that of the writer.
pub fn json(results: &Findings<'_>) -> Result<String, serde_json::Error> {
    let found = results.found;
    let x = &found.variables[0].value;
    let weights = found.variables.iter().filter(|variable| variable.name.starts_with('W'));
    let widths: Vec<usize> = [x.rows].into_iter().chain(weights.map(|weight| weight.value.rows)).collect();
    let nodes: Vec<Value> = found
        .variables
        .iter()
        .map(|variable| {
            json!({
                "node": variable.name,
                "definition": found.definition(variable),
                "rule": found.rule(variable),
                "shape": [variable.value.rows, variable.value.columns],
                "value": rows(&variable.value),
                "gradient": variable.gradient.as_ref().map(rows),
            })
        })
        .collect();
    let mut all = json!({
        "shape": widths,
        "columns": x.columns,
        "origin": results.origin,
        "value": found.value(),
        "nodes": nodes,
        "checks": checks(found),
    });
    let name = |position: usize| &found.variables[position].name;
    if let Some(torch) = results.torch {
        let lines = torch.lines.iter().map(|line| {
            json!({"node": name(line.variable), "value": line.value, "gradient": line.gradient, "agrees": line.agrees})
        });
        let lines: Vec<Value> = lines.collect();
        all["torch"] = json!({"version": torch.version, "agrees": torch.agrees(), "nodes": lines});
    }
    if let Some(device) = results.device {
        let lines = device
            .lines
            .iter()
            .map(|line| json!({"node": name(line.variable), "value": line.value, "gradient": line.gradient}));
        all["device"] = json!({"device": device.device, "nodes": lines.collect::<Vec<Value>>()});
    }
    Ok(serde_json::to_string(&all)? + "\n")
}

fn rows(matrix: &Matrix) -> Vec<&[f64]> {
    matrix.values.chunks(matrix.columns.max(1)).collect()
}

fn checks(found: &Backprop) -> Value {
    let (forward, differences) = found.checks.largest();
    let lines = found.checks.found.iter().map(|check| {
        let of = check.differences;
        json!({
            "node": found.variables[check.variable].name,
            "forward_mode": check.forward_mode.map(|found| found.error),
            "central_differences": (of.compared > 0).then_some(of.deviation.error),
            "compared": of.compared,
            "not_compared": of.not_compared,
            "in_directions": of.in_directions,
            "agrees": check.agrees(),
        })
    });
    json!({
        "agree": found.checks.agree(),
        "forward_mode": forward,
        "central_differences": differences,
        "nodes": lines.collect::<Vec<Value>>(),
    })
}
