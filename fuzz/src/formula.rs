//! Formulas: read, evaluated, differentiated, and shown in one of the formats.
//!
//! The first byte says how the trace is shown, the second which derivatives are asked for and in which notation; the rest is
//! text: `formula@point@direction`. Without a point every variable gets a value, so that most formulas that can be read are
//! traced. One format an input: all of them take ten times as long and find no more.

use cotangent::document::{self, Paper, TextPage};
use cotangent::draw::Diagram;
use cotangent::scalar::format::{self, Notation};
use cotangent::scalar::{
    Directions, Formula, Point, Trace, TraceError, TraceRequest, mistake_about, parse, parse_points, trace,
};

/// Rows of a trace that is drawn: a layout of a hundred takes longer than all else together, and finds no more.
const DRAWN: usize = 24;

/// Bytes of text that are read: the cost of a trace grows faster than its formula.
const LONGEST: usize = 512;

/// Traces a formula.
pub fn run(data: &[u8]) {
    let [shown, asked, text @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(&text[..text.len().min(LONGEST)]) else { return };
    let mut parts = text.splitn(3, '@');
    let mut part = || parts.next();
    let formula = match parse(part().unwrap_or_default()) {
        Ok(formula) => formula,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let (point_text, direction_text) = (part(), part());
    let Some(point) = point(&formula, point_text) else { return };
    let directions = match (asked & 2, direction_text) {
        (0, None) => Directions::Each,
        (_, Some(text)) => match parse_points(text.lines()) {
            Ok(direction) => Directions::Along(direction),
            Err(error) => return assert!(!error.to_string().is_empty()),
        },
        (_, None) => Directions::Along(point.iter().take(1).cloned().collect()),
    };
    let request = TraceRequest { directions, hessian: asked & 1 != 0 };
    match trace(&formula, &point, &request) {
        Ok(trace) => show(&trace, *shown, *asked),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            if let (TraceError::Unknown { name, problem }, Some(text)) = (&error, point_text) {
                let place = mistake_about(text, name, problem);
                assert!(place.is_none_or(|place| !place.to_string().is_empty()));
            }
        }
    }
}

/// The point that the text says, or one that suits the formula.
fn point(formula: &Formula, text: Option<&str>) -> Option<Point> {
    let Some(text) = text else {
        let values = (1..).map(|n| 0.3 + 0.7 * f64::from(n));
        return Some(formula.variables().iter().map(|(name, _)| name.clone()).zip(values).collect());
    };
    parse_points([text]).inspect_err(|error| assert!(!error.to_string().is_empty())).ok()
}

/// Shows the trace in the format and the notation that the bytes choose.
fn show(trace: &Trace, shown: u8, asked: u8) {
    assert!(trace.value().is_finite());
    assert_eq!(trace.gradient().count(), trace.point.len());
    let notation = [Notation::Griewank, Notation::Plain][usize::from(asked >> 2 & 1)];
    let digits = usize::from(asked >> 4);
    let drawing = || Some(format::diagram(trace, notation, digits)).filter(|_| trace.rows.len() <= DRAWN);
    let drawn = |draw: fn(&Diagram) -> String| drawing().map_or("none".into(), |diagram| draw(&diagram));
    let page = |notation| format::page(trace, notation, digits, None);
    let text = match shown % 9 {
        0 => document::text(&page(notation), TextPage { width: 60, colour: true, elide: false }),
        1 => document::markdown(&page(notation)),
        2 => document::latex(&page(Notation::Latex), Paper::Portrait),
        3 => format::csv(trace).expect("a table can be written"),
        4 => {
            let json = format::json(trace).expect("numbers can be written");
            serde_json::from_str::<serde_json::Value>(&json).expect("what is written as JSON is JSON");
            json
        }
        5 => drawn(Diagram::svg),
        6 => drawn(Diagram::dot),
        7 => drawn(|diagram| diagram.boxes(80).unwrap_or_else(|| "too wide".into())),
        _ => drawn(Diagram::lifelines),
    };
    assert!(!text.is_empty());
}
