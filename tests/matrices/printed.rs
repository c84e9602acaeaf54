//! Every number is printed as it is, in all formats alike.

use cotangent::backprop::format::{Findings, csv, json, page};
use cotangent::backprop::{Backprop, MatrixNotation, Problem};
use cotangent::document::{Paper, TextPage, latex, markdown, text};

use super::solved;

fn results(found: &Backprop) -> Findings<'_> {
    Findings { found, origin: "seed 3", torch: None, device: None }
}

/// The rows under a matrix's name, its groups of columns put side by side again.
fn matrix(page: &str, name: &str) -> Vec<Vec<f64>> {
    let title = format!("{name}  ");
    let lines = page.lines().skip_while(|line| !line.starts_with(&title)).skip(1);
    let mut rows: Vec<Vec<f64>> = Vec::new();
    let mut row = 0;
    for line in lines.take_while(|line| !line.is_empty() && *line != "```") {
        if line.starts_with("column") {
            row = 0;
            continue;
        }
        let entries = line.split_whitespace().map(|entry| entry.parse::<f64>().unwrap());
        if row == rows.len() {
            rows.push(Vec::new());
        }
        rows[row].extend(entries);
        row += 1;
    }
    rows
}

#[test]
fn text_markdown_csv_and_json_hold_the_same_numbers() {
    let found = solved(&Problem::random(&[5, 4, 3, 2], 50, 3).unwrap());
    let page_of = |notation| page(&results(&found), notation, 15, None);
    let pages =
        [text(&page_of(MatrixNotation::Text), TextPage::PLAIN), markdown(&page_of(MatrixNotation::Text))];
    let object: serde_json::Value = serde_json::from_str(&json(&results(&found)).unwrap()).unwrap();
    let table = csv(&found).unwrap();
    let mut lines = table.lines().skip(1);
    assert_eq!(object["shape"], serde_json::json!([5, 4, 3, 2]));
    assert_eq!(object["checks"]["agree"], true);
    for (variable, node) in found.variables.iter().zip(object["nodes"].as_array().unwrap()) {
        assert_eq!(node["node"], variable.name);
        for (suffix, key, matrix_of) in
            [("v", "value", Some(&variable.value)), ("g", "gradient", variable.gradient.as_ref())]
        {
            let Some(expected) = matrix_of else {
                assert!(node[key].is_null());
                continue;
            };
            let flat = |rows: &[serde_json::Value]| -> Vec<f64> {
                rows.iter()
                    .flat_map(|row| row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()))
                    .collect()
            };
            let rows = node[key].as_array().unwrap();
            // The reader of this test is not exact to the last bit; the text is.
            assert_eq!((rows.len(), flat(rows).len()), (expected.rows, expected.values.len()));
            assert!(expected.distance(&flat(rows)) <= f64::EPSILON * expected.largest());
            for page in &pages {
                let printed = matrix(page, &format!("{}.{suffix}", variable.name));
                assert_eq!(
                    (printed.len(), printed[0].len()),
                    (expected.rows, expected.columns),
                    "{}",
                    variable.name
                );
                let distance = expected.distance(&printed.concat());
                assert!(distance <= 1e-14, "{}.{suffix}: {distance:e}", variable.name);
            }
        }
        for (entry, value) in variable.value.values.iter().enumerate() {
            let fields: Vec<&str> = lines.next().unwrap().split(',').collect();
            let at = [entry / variable.value.columns + 1, entry % variable.value.columns + 1];
            assert_eq!(fields[..3], [&variable.name, &at[0].to_string(), &at[1].to_string()]);
            assert_eq!(fields[3].parse::<f64>().unwrap(), *value);
            let gradient = variable.gradient.as_ref().map(|gradient| gradient.values[entry]);
            assert_eq!(fields[4].parse::<f64>().ok(), gradient);
        }
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn latex_holds_every_entry_and_rule() {
    let found = solved(&Problem::random(&[5, 4, 3, 2], 50, 3).unwrap());
    let document = latex(&page(&results(&found), MatrixNotation::Latex, 4, None), Paper::Portrait);
    assert!(document.contains(r"$V_{4}.\mathrm{g} = {W_{3}}^{\mathsf{T}}\, V_{5}.\mathrm{g}$"));
    assert!(document.contains(
        r"z = \tfrac{1}{2}\lVert Y - W_{3} \operatorname{relu}(W_{2} \operatorname{relu}(W_{1}\, X)) \rVert^{2}"
    ));
    for variable in &found.variables {
        let gradient = variable.gradient.as_ref();
        let all = [("v", Some(&variable.value)), ("g", gradient)].into_iter();
        for (suffix, expected) in all.filter_map(|(suffix, matrix)| Some((suffix, matrix?))) {
            let (letter, number) = variable.name.split_at(1);
            let number = if number.is_empty() { String::new() } else { format!("_{{{number}}}") };
            let printed = latex_matrix(&document, &format!(r"{letter}{number}.\mathrm{{{suffix}}}"));
            assert_eq!((printed.len(), printed[0].len()), (expected.rows, expected.columns));
            assert!(expected.distance(&printed.concat()) <= 0.5001e-4, "{}.{suffix}", variable.name);
        }
    }
}

/// The rows of a matrix in a LaTeX document, its groups of columns put side by side again.
fn latex_matrix(document: &str, name: &str) -> Vec<Vec<f64>> {
    let title = format!(r"\par ${name}$, $");
    let begin = document.find(&title).unwrap_or_else(|| panic!("no {name}")) + title.len();
    let end = document[begin..].find(r"\par $").map_or(document.len(), |end| begin + end);
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for array in document[begin..end].split(r"\begin{array}").skip(1) {
        let array = array.split(r"\end{array}").next().unwrap();
        for (row, line) in array.lines().filter(|line| line.contains(r"\\")).enumerate() {
            if row == rows.len() {
                rows.push(Vec::new());
            }
            let entries = line.trim_end_matches(r" \\").split(" & ");
            rows[row].extend(entries.map(|entry| {
                let (digits, exponent) = entry.split_once(r" \cdot 10^{").unwrap_or((entry, "0"));
                let exponent = exponent.trim_end_matches('}');
                format!("{digits}e{exponent}").parse::<f64>().unwrap()
            }));
        }
    }
    rows
}

#[test]
fn a_terminal_shows_the_ends_of_wide_matrices_and_no_line_is_too_long() {
    let found = solved(&Problem::random(&[5, 4, 3, 2], 50, 0).unwrap());
    let page = page(&results(&found), MatrixNotation::Text, 4, None);
    let on_terminal = text(&page, TextPage { elide: true, ..TextPage::PLAIN });
    let in_file = text(&page, TextPage::PLAIN);
    assert!(on_terminal.contains('…') && !in_file.contains('…'));
    assert!(on_terminal.lines().count() * 2 < in_file.lines().count());
    for line in on_terminal.lines().chain(in_file.lines()) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    let v1 = &found.variable("V1").unwrap().value;
    let last = cotangent::document::number::rounded(v1.values[49], 4);
    let row = on_terminal.lines().skip_while(|line| !line.starts_with("V1.v")).nth(1).unwrap();
    assert!(row.contains('…') && row.ends_with(&last), "{row}");
}
