//! Every number that is printed is what its row says, and all formats say the same.

use std::collections::BTreeMap;

use cotangent::document::{Paper, TextPage, latex, markdown, text};
use cotangent::exec::Interpreter;
use cotangent::ops::Draw;
use cotangent::scalar::format::{Notation, csv, json, page};
use cotangent::scalar::{Trace, parse};
use serde_json::Value;

use super::{EXERCISE, random_formula, traced};
use crate::support::Random;

/// Digits that hold a number nearly in full.
fn in_full(trace: &Trace) -> String {
    text(&page(trace, Notation::Plain, 17, None), TextPage { width: 400, ..TextPage::PLAIN })
}

/// As it is printed without being asked.
fn printed(trace: &Trace, notation: Notation) -> String {
    text(&page(trace, notation, 4, None), TextPage::PLAIN)
}

/// Seventeen decimals are not quite all of a small number.
const ROUNDING: f64 = 1e-4;

/// A formula's value where its names have these values.
fn evaluate(formula: &str, names: &BTreeMap<String, f64>) -> f64 {
    // v-2 is a name there and a difference here.
    let formula = formula.replace("v-", "v_");
    let formula = parse(&formula).unwrap_or_else(|error| panic!("{error}"));
    let mut values = Interpreter::<f64>::new(formula.graph());
    for (name, node) in formula.variables() {
        values.set(*node, &[*names.get(name).unwrap_or_else(|| panic!("{name} is not among {names:?}"))]);
    }
    values.run(0..formula.graph().len(), Draw::default());
    values.get(formula.output())[0]
}

#[track_caller]
fn close(what: &str, found: f64, expected: f64, scale: f64) {
    assert!((found - expected).abs() <= 1e-12 * scale.max(expected.abs()), "{what}: {found}, not {expected}");
}

/// The cells of the rows of the table under a heading: columns stand two spaces apart. Where it goes on in
/// further tables, for more columns, these begin with the node again.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let mut lines = page.lines().skip_while(|line| *line != heading).skip(1).peekable();
    let mut rows: Vec<Vec<String>> = Vec::new();
    // Headings begin with a capital, column titles do not.
    while lines.next_if(|line| !line.starts_with(char::is_uppercase)).is_some() {
        if lines.next_if(|line| line.starts_with('─')).is_none() {
            continue;
        }
        let mut position = 0;
        while let Some(line) = lines.next_if(|line| !line.is_empty()) {
            let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned);
            match rows.get_mut(position) {
                Some(row) => row.extend(cells.skip(1)),
                None => rows.push(cells.collect()),
            }
            position += 1;
        }
    }
    rows
}

fn number(text: &str) -> f64 {
    let text = text.trim_matches(|c| c == '(' || c == ')');
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Reads a page of text back and computes each row's number from the numbers that are printed before.
fn check_page(trace: &Trace) {
    let page = in_full(trace);
    let mut names: BTreeMap<String, f64> = BTreeMap::new();
    for (name, value) in &trace.point {
        names.insert(name.clone(), *value);
    }
    let forward = table(&page, "Forward trace: values and tangents");
    assert_eq!(forward.len(), trace.rows.len());
    for (cells, row) in forward.iter().zip(&trace.rows) {
        let [node, definition, value, rule, tangents @ ..] = &cells[..] else { panic!("{cells:?}") };
        close(node, evaluate(definition, &names), number(value), 1.0);
        names.insert(node.replace('-', "_"), number(value));
        assert_eq!(tangents.len(), trace.directions.len());
        for (k, tangent) in tangents.iter().enumerate() {
            let symbol = format!("dot_{}", node.replace('-', "_"));
            if let Some((name, rule)) = rule.split_once(" = ") {
                assert_eq!(name.replace('-', "_"), symbol);
                let seen: BTreeMap<String, f64> = names
                    .iter()
                    .map(|(name, &x)| (name.strip_suffix(&format!("@{k}")).unwrap_or(name).to_owned(), x))
                    .collect();
                let size = row.tangents[k].abs().max(1e3);
                close(&format!("{node}: {rule}"), evaluate(rule, &seen), number(tangent), size);
            }
            names.insert(format!("{symbol}@{k}"), number(tangent));
        }
    }
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for cells in table(&page, "Reverse trace: adjoints downwards") {
        if let [start, sum] = &cells[..] {
            let (adjoint, value) = start.split_once(" = ").unwrap();
            assert_eq!(number(value), number(sum));
            sums.insert(adjoint.to_owned(), number(sum));
            continue;
        }
        let [contribution, rule, numbers, amount, sum] = &cells[..] else { panic!("{cells:?}") };
        let (adjoint, product) = contribution.split_once(" += ").unwrap();
        let (source, partial) = product.split_once(" * ").unwrap();
        // The source's adjoint is complete when it flows on.
        let mut known = names.clone();
        known.insert(source.replace('-', "_"), sums[source]);
        let amount = number(amount.trim_start_matches("= "));
        close(contribution, evaluate(rule.trim_start_matches("= "), &known), amount, 1e3);
        close(contribution, evaluate(numbers.trim_start_matches("= "), &known), amount, 1.0);
        let sum_so_far = sums.get(adjoint).copied().unwrap_or(0.0) + amount;
        close(contribution, sum_so_far, number(sum), 1e3);
        sums.insert(adjoint.to_owned(), number(sum));
        // ∂v3/∂v1 is of the two nodes that the line is about.
        let nodes = [source, adjoint].map(|name| name.trim_start_matches("adj_"));
        assert_eq!(partial, format!("d({})/d({})", nodes[0], nodes[1]));
    }
    let written = trace.names();
    for row in &trace.rows {
        close("adjoint", sums[&Notation::Plain.with(&written).adjoint(row.number)], row.adjoint, 1e3);
    }
}

#[test]
fn every_printed_row_parsed_again_and_evaluated_gives_the_printed_number() {
    check_page(&traced(EXERCISE.0, EXERCISE.1));
    let mut random = Random::new(21);
    for _ in 0..150 {
        let formula = format!("{} + x*y*z", random_formula(&mut random, 4));
        let point: Vec<String> =
            ["x", "y", "z"].iter().map(|name| format!("{name}={}", random.between(-1.5, 1.5))).collect();
        check_page(&traced(&formula, &point.join(",")));
    }
}

#[test]
fn text_csv_and_json_agree_on_random_formulas() {
    let mut random = Random::new(22);
    for _ in 0..60 {
        let formula = format!("{} - z/y", random_formula(&mut random, 4));
        let variables = parse(&formula).unwrap().variables().to_vec();
        let point: Vec<String> =
            variables.iter().map(|(name, _)| format!("{name}={}", random.between(0.5, 1.5))).collect();
        let trace = traced(&formula, &point.join(","));
        let page = in_full(&trace);
        let json = json(&trace).unwrap();
        assert!(json.contains(&format!("\"value\":{:?},", trace.value())), "a number that is not in full");
        let json: Value = serde_json::from_str(&json).unwrap();
        let csv = csv(&trace).unwrap();
        let records: Vec<Vec<String>> = csv::Reader::from_reader(csv.as_bytes())
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect();

        let mut forward_records = records.iter().filter(|record| record[0] == "forward");
        let printed = table(&page, "Forward trace: values and tangents");
        for (k, sweep) in json["forward"].as_array().unwrap().iter().enumerate() {
            assert_eq!(sweep["direction"][&trace.point[k].0], 1.0);
            for (i, row) in sweep["rows"].as_array().unwrap().iter().enumerate() {
                let record = forward_records.next().unwrap();
                assert_eq!(record[1], format!("{}=1", trace.point[k].0));
                assert_eq!(
                    [&record[2][..], &record[3]],
                    [row["node"].as_str().unwrap(), row["definition"].as_str().unwrap()]
                );
                // serde_json reads numbers to a unit in the last place.
                close("value", row["value"].as_f64().unwrap(), number(&record[4]), ROUNDING);
                close("tangent", row["tangent"].as_f64().unwrap(), number(&record[5]), ROUNDING);
                let cells = &printed[i];
                assert_eq!([&cells[0], &cells[1]], [&record[2], &record[3]]);
                close("value", number(&cells[2]), number(&record[4]), ROUNDING);
                close("tangent", number(&cells[4 + k]), number(&record[5]), ROUNDING);
            }
        }
        assert!(forward_records.next().is_none());
        let mut reverse_records = records.iter().filter(|record| record[0] == "reverse");
        let mut printed = table(&page, "Reverse trace: adjoints downwards").into_iter();
        for row in json["reverse"]["rows"].as_array().unwrap() {
            let contributions = row["contributions"].as_array().unwrap();
            for part in contributions {
                let (record, cells) = (reverse_records.next().unwrap(), printed.next().unwrap());
                assert_eq!(
                    [&record[2][..], &record[6]],
                    [row["node"].as_str().unwrap(), part["from"].as_str().unwrap()]
                );
                let numbers = [&row["value"], &row["adjoint"], &part["partial"], &part["amount"]]
                    .map(|x| x.as_f64().unwrap());
                for (text, number_there) in [4, 5, 7, 8].map(|i| &record[i]).into_iter().zip(numbers) {
                    close("number", number_there, number(text), ROUNDING);
                }
                close("amount", number(cells[3].trim_start_matches("= ")), numbers[3], ROUNDING);
            }
            if contributions.is_empty() {
                reverse_records.next().unwrap();
                printed.next().unwrap();
            }
        }
        assert!(reverse_records.next().is_none() && printed.next().is_none());
        for (name, derivative) in trace.gradient() {
            close(name, json["gradient"][name].as_f64().unwrap(), derivative, ROUNDING);
        }
        close("value", json["value"].as_f64().unwrap(), trace.value(), ROUNDING);
    }
}

#[test]
fn text_is_at_most_100_columns_wide_for_formulas_of_ordinary_size() {
    let mut random = Random::new(23);
    for notation in [Notation::Griewank, Notation::Plain] {
        for _ in 0..60 {
            let formula = format!("{} + x*y*z", random_formula(&mut random, 4));
            let page = printed(&traced(&formula, "x=0.3,y=0.7,z=-1.1"), notation);
            for line in page.lines() {
                // Combining dots and bars take no column.
                let columns = line.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).count();
                assert!(columns <= 100 || line.starts_with("f = "), "{columns} columns: {line}");
                assert!(!line.ends_with(' '), "{line:?}");
            }
        }
    }
}

#[test]
fn many_inputs_and_long_names_make_more_tables_not_wider_ones() {
    let many = |names: Vec<String>| {
        let point: Vec<String> = names.iter().map(|name| format!("{name}=1.5")).collect();
        let request = cotangent::scalar::TraceRequest { hessian: true, ..Default::default() };
        let page =
            printed(&super::traced_as(&names.join("*"), &point.join(","), &request), Notation::Griewank);
        for line in page.lines().filter(|line| !line.starts_with("f = ")) {
            assert!(line.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).count() <= 100, "{line}");
        }
        page
    };
    let page = many((1..=30).map(|i| format!("x{i}")).collect());
    assert_eq!(page.matches("x30").count(), page.matches("x29").count());
    many(vec!["a_very_very_long_name".into(), "another_very_long_name".into(), "x".into()]);
}

#[test]
fn the_exercise_is_printed_as_in_a_textbook() {
    let trace = traced(EXERCISE.0, EXERCISE.1);
    let shown = printed(&trace, Notation::Griewank);
    for line in [
        "f = (x1 · x2 · sin(x3) + exp(x1 · x2)) / x3 = 2.9228",
        "v1    v-2 · v-1   1.5000  v\u{307}1 = v\u{307}-2 · v-1 + v\u{307}-1 · v-2   1.5000  1.0000   0.0000",
        "v\u{304}1 += v\u{304}3 · ∂v3/∂v1    = v\u{304}3 · v2          = 0.5000 · 0.9093      = 0.4546   2.6955",
    ] {
        assert!(shown.lines().any(|found| found == line), "{line:?} is not in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'));
    let coloured = TextPage { colour: true, ..TextPage::PLAIN };
    assert!(
        text(&page(&trace, Notation::Griewank, 4, None), coloured).contains("\u{1b}[1;34mGradient\u{1b}[0m")
    );
    let markdown = markdown(&page(&trace, Notation::Plain, 4, None));
    assert!(
        markdown
            .contains("| `v3` | `v1 * v2` | `1.3639` | `dot_v3 = dot_v1 * v2 + dot_v2 * v1` | `1.3639` |")
    );
    let latex = latex(&page(&trace, Notation::Latex, 4, None), Paper::Portrait);
    assert!(latex.contains(r"f = \frac{x_{1} \cdot x_{2} \cdot \sin\left(x_{3}\right) + \exp\left(x_{1} \cdot x_{2}\right)}{x_{3}} = 2.9228"));
    assert!(
        latex.contains(r"\bar{v}_{1} \mathrel{+}= \bar{v}_{3} \cdot \frac{\partial v_{3}}{\partial v_{1}}")
    );
}
