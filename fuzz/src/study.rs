//! The page of a study whose first run is a damaged one: the inputs are those of [`record`](super::record).
//!
//! The formula and the matrices are small, as no input changes them.

use std::sync::OnceLock;

use cotangent::backprop::format::Findings;
use cotangent::backprop::{Backprop, Problem};
use cotangent::report::html;
use cotangent::scalar::{Trace, TraceRequest, parse, parse_point, trace};
use cotangent::study::{Study, page};

use super::record::records;

/// Rows of a run whose curves are drawn: a long run takes long to draw, and no other way.
const LONGEST: usize = 50;

/// Makes the page.
pub fn run(data: &[u8]) {
    let Some(records) = records(data) else { return };
    if records[0].rows.len() > LONGEST {
        return;
    }
    let (trace, matrices) = exercises();
    let study = Study {
        trace,
        matrices: Findings { found: matrices, origin: "drawn", torch: None, device: None },
        records: &records,
        worst: &[],
        notes: &[],
        machine: "a machine",
        date: "a day",
    };
    let page = page(&study).expect("the page can be drawn");
    let text = html(&page).expect("the page can be set");
    assert!(!text.is_empty());
}

/// A formula and a chain of matrices.
fn exercises() -> &'static (Trace, Backprop) {
    static EXERCISES: OnceLock<(Trace, Backprop)> = OnceLock::new();
    EXERCISES.get_or_init(|| {
        let formula = parse("x*y").expect("a formula");
        let point = parse_point("x=1,y=2").expect("a point");
        let trace = trace(&formula, &point, &TraceRequest::default()).expect("a product has derivatives");
        let problem = Problem::random(&[2, 1], 1, 0).expect("matrices that fit");
        (trace, Backprop::of(&problem).expect("numbers that are finite"))
    })
}
