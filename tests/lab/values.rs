//! What came out on each shape, under each order of threads.

use super::comparison::Mismatch;
use super::finding::{Finding, Subject};
use super::work::Event;

/// What came out on one shape.
#[derive(Default, Debug)]
pub struct Outcome {
    pub right: usize,
    pub wrong: usize,
    pub faults: usize,
    /// The first result that was wrong.
    pub mismatch: Option<Mismatch>,
}

/// For each launch, in their order.
pub fn outcomes(count: usize, events: &[Event]) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = (0..count).map(|_| Outcome::default()).collect();
    let mut current = 0;
    for event in events {
        let Some(outcome) = outcomes.get_mut(current) else { continue };
        match event {
            Event::Began { launch, .. } => current = *launch,
            Event::Right => outcome.right += 1,
            Event::Fault(_) => outcome.faults += 1,
            Event::Wrong(mismatch) => {
                outcome.wrong += 1;
                outcome.mismatch.get_or_insert_with(|| mismatch.clone());
            }
            _ => {}
        }
    }
    outcomes
}

impl Outcome {
    /// `right`, `wrong in 2 of 6 orders of threads`
    pub fn said(&self) -> String {
        let total = self.right + self.wrong + self.faults;
        let counted = |what: &str, count: usize| match count == total {
            true => what.to_owned(),
            false => format!("{what} in {count} of {total} orders of threads"),
        };
        match (self.wrong, self.faults) {
            (0, 0) if total == 0 => "not finished".into(),
            (0, 0) => "right".into(),
            (0, faults) => counted("ended by a fault", faults),
            (wrong, 0) => counted("wrong", wrong),
            (wrong, faults) => {
                format!("wrong in {wrong}, ended by a fault in {faults} of {total} orders of threads")
            }
        }
    }
}

/// The finding about wrong values, from the shape that says most: one where something was recognised, or the first.
pub fn finding(subject: &Subject, outcomes: &[Outcome]) -> Option<Finding> {
    let wrong = || {
        let of = |(launch, outcome): (usize, &'_ Outcome)| {
            outcome.mismatch.clone().map(|mismatch| (launch, mismatch))
        };
        outcomes.iter().enumerate().filter_map(of)
    };
    let (launch, mismatch) =
        wrong().find(|(_, mismatch)| mismatch.hint.is_some()).or_else(|| wrong().next())?;
    let Mismatch { first, extent, hint } = mismatch;
    let mut text = format!("wrong values: {first}, for {}", subject.shape(launch));
    for said in [Some(extent), hint].into_iter().flatten().filter(|said| !said.is_empty()) {
        text = format!("{text}; {said}");
    }
    if let Some(pattern) = pattern(subject, outcomes) {
        text = format!("{text}. {pattern}");
    }
    let by_order = outcomes.iter().any(|outcome| outcome.wrong > 0 && outcome.right > 0);
    if by_order {
        text.push_str(". In other orders of threads the same launch is right: threads do not wait for each other where they must");
    }
    Some(Finding::new(text, &[]))
}

/// What the shapes that are wrong have in common, and the right ones have not.
fn pattern(subject: &Subject, outcomes: &[Outcome]) -> Option<String> {
    let is_wrong = |outcome: &Outcome| outcome.wrong > 0;
    if outcomes.iter().all(is_wrong) || !outcomes.iter().any(is_wrong) {
        return None;
    }
    let sizes_of = |launch: usize| &subject.launches[launch].0;
    for tile in [64, 32, 16, 8, 4, 2] {
        for (index, size) in subject.sizes.iter().enumerate() {
            let ragged = |launch: usize| sizes_of(launch)[index] % tile != 0;
            if outcomes.iter().enumerate().all(|(launch, outcome)| is_wrong(outcome) == ragged(launch)) {
                return Some(format!(
                    "It is right where {size} is a multiple of {tile}, and wrong where it is not"
                ));
            }
        }
        let any_ragged = |launch: usize| sizes_of(launch).iter().any(|size| size % tile != 0);
        if outcomes.iter().enumerate().all(|(launch, outcome)| is_wrong(outcome) == any_ragged(launch)) {
            return Some(format!(
                "It is right where {} are multiples of {tile}, and wrong elsewhere",
                super::finding::listed(&subject.sizes)
            ));
        }
    }
    None
}
