//! Whether training led anywhere: what is said at the end of a run that got worse, or no better.
//!
//! The measure is a network that knows nothing but how frequent each class is. Its objective is the entropy of the training
//! labels, ln 10 at most for ten classes, and what learns something ends clearly below, or names classes more often right than
//! by always naming the most frequent. A run that does neither has diverged if it is much worse than it began, and has learnt
//! nothing if it is not. Either objective may be the lower one: that of training is a mean over an epoch and may still hold
//! its beginning, or dropout's noise; that of the test is far higher where a network knows its training images by heart, but
//! not as high as where weights have exploded.

use super::Options;
use crate::document::number::exact;
use crate::runs::{Learning, Row};

/// Where a run diverged its objective is above that of the beginning, and of a network that gives all classes the same
/// probability, by more than this factor; or that of the beginning was below the measure by as much, and what the network
/// knew is forgotten. What moves it without divergence, the noise of batches around the entropy of labels that cannot be
/// learnt, is a few hundredths.
const WORSE: f64 = 2.0;

/// Below this share of the measure an objective is no accident.
const CLEARLY: f64 = 0.9;

/// So many times as often right as by naming the most frequent class is no accident.
const OFTENER: f64 = 1.1;

/// Where weights have exploded the test objective is more than this times that of a network that gives all classes the same
/// probability; a network that knows images by heart is at some tens of nats on others.
const EXPLODED: f64 = 100.0;

impl Learning {
    /// How a run with these options went whose last epoch this is. `initial` is asked for the test objective of the network
    /// at the beginning, and only where the answer depends on it; where that network is no longer known, neither is the answer.
    ///
    /// # Errors
    /// Those of `initial`.
    pub fn of<E>(
        last: &Row,
        labels: &[u8],
        options: &Options,
        initial: impl FnOnce() -> Result<Option<f64>, E>,
    ) -> Result<Option<Self>, E> {
        let shares = shares(labels);
        let knowing_nothing: f64 = shares.iter().map(|share| -share * share.ln()).sum();
        let guessing = shares.iter().fold(0.0, |largest: f64, share| largest.max(*share));
        let classes = labels.iter().max().map_or(1.0, |&last| f64::from(last) + 1.0);
        let lower = last.objective.min(last.test_objective);
        let is_oftener = |times: f64| last.test_accuracy > times * guessing;
        let has_exploded = last.test_objective > EXPLODED * classes.ln().max(1.0);
        let knows = lower <= CLEARLY * knowing_nothing || (lower <= knowing_nothing && is_oftener(OFTENER));
        if knows && !has_exploded {
            return Ok(Some(Self::Learns));
        }
        // A network whose units have died in the epoch is near the measure again, and its training objective tells; but a little
        // of that is the beginning's, or dropout's noise.
        let has_died = options.dropout == 0.0 && last.objective > EXPLODED * classes.ln().max(1.0);
        let Some(initial) = initial()? else { return Ok(None) };
        let has_forgotten = WORSE * initial < knowing_nothing;
        if has_forgotten || has_died || last.test_objective > WORSE * initial.max(classes.ln()) {
            return Ok(Some(Self::Diverged));
        }
        // Where there is one class alone, there is nothing to learn but that.
        let nothing = knowing_nothing > 0.0 && !is_oftener(2.0 * OFTENER);
        Ok(Some(if nothing { Self::Nothing } else { Self::Learns }))
    }

    /// A sentence to say of the run, if there is one, without its full stop.
    pub fn said(self, last: &Row, options: &Options) -> Option<String> {
        let (rate, default) = (options.lr, options.opt.family().learning_rate);
        let smaller = smaller_rate(options);
        let short = |x: f64| if x < 1e4 { format!("{x:.3}") } else { format!("{x:.2e}") };
        let (objective, test) = (short(last.objective), short(last.test_objective));
        match self {
            Self::Learns => None,
            Self::Diverged => Some(format!(
                "the run diverged: its last epoch has an objective of {objective} in training and {test} in the test, \
                 where a network that knows nothing has a few; try a smaller --lr, such as {smaller}"
            )),
            Self::Nothing => {
                let what_to_try = match rate {
                    rate if rate > default => format!("a smaller --lr, such as {smaller}"),
                    rate if rate < default => {
                        format!("more --epochs or a larger --lr, such as {}", exact(default))
                    }
                    _ => "more --epochs or another --lr".into(),
                };
                Some(format!(
                    "the network has learnt nothing: with an objective of {objective} and {:.1}% of the test images \
                     right it is no better than one that knows only how frequent each class is; try {what_to_try}",
                    100.0 * last.test_accuracy
                ))
            }
        }
    }
}

/// The shares of the classes that there are.
fn shares(labels: &[u8]) -> Vec<f64> {
    let mut counts = [0_usize; 256];
    for &label in labels {
        counts[usize::from(label)] += 1;
    }
    counts.into_iter().filter(|&count| count > 0).map(|count| count as f64 / labels.len() as f64).collect()
}

/// The learning rate to try where this one was too large: the default, or a tenth of what was no larger than that.
pub fn smaller_rate(options: &Options) -> String {
    let default = options.opt.family().learning_rate;
    exact(if options.lr > default { default } else { rounded(options.lr / 10.0) })
}

/// With two digits, as a tenth of 0.07 is 0.007 and not 0.007000000000000001.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::train::{Choices, OptimizerName};

    fn row(objective: f64, test_objective: f64) -> Row {
        Row { objective, test_objective, ..Row::default() }
    }

    /// Of a network that names classes as often right as `test_accuracy` says, where each is a tenth.
    fn right(test_accuracy: f64, objective: f64, test_objective: f64) -> Learning {
        let row = Row { test_accuracy, ..row(objective, test_objective) };
        let labels: Vec<u8> = (0..100).map(|i| i % 10).collect();
        let initial = || Ok::<_, Infallible>(Some(2.6));
        Learning::of(&row, &labels, &options(Choices::default()), initial).unwrap().unwrap()
    }

    fn options(choices: Choices) -> Options {
        choices.resolve(OptimizerName::Adam).unwrap()
    }

    /// How a run went on labels of ten classes, whose entropy is 2.303.
    fn with(choices: Choices, objective: f64, test_objective: f64, initial: f64) -> Learning {
        let labels: Vec<u8> = (0..100).map(|i| i % 10).collect();
        let initial = || Ok::<_, Infallible>(Some(initial));
        let learning = Learning::of(&row(objective, test_objective), &labels, &options(choices), initial);
        learning.unwrap().unwrap()
    }

    fn of(objective: f64, test_objective: f64, initial: f64) -> Learning {
        with(Choices::default(), objective, test_objective, initial)
    }

    #[test]
    fn a_network_that_got_worse_than_it_began_has_diverged() {
        assert_eq!(of(5.2e12, 5.3e12, 2.6), Learning::Diverged);
        assert_eq!(of(9.0, 8.0, 2.6), Learning::Diverged);
        assert_eq!(of(3e19, 2.34, 2.6), Learning::Diverged, "its units have died since");
        assert_eq!(of(2.4, 2.31, 0.05), Learning::Diverged, "though from weights that knew much");
        assert_eq!(of(0.0, 2e12, 2.6), Learning::Diverged, "though it knows its training images");
    }

    #[test]
    fn what_learns_little_nothing_or_by_heart_has_not_diverged() {
        assert_eq!(of(2.61, 2.58, 2.6), Learning::Nothing, "a tiny learning rate");
        assert_eq!(of(2.33, 2.35, 2.31), Learning::Nothing, "random labels");
        assert_eq!(of(2.33, 2.35, 2.28), Learning::Nothing, "random labels and a lucky beginning");
        assert_eq!(of(0.01, 14.0, 2.6), Learning::Learns, "random labels by heart");
        assert_eq!(of(3.1, 0.4, 2.6), Learning::Learns, "one epoch, whose beginning still counts");
        assert_eq!(right(0.14, 2.30, 2.30), Learning::Learns, "barely");
        assert_eq!(of(12.0, 2.31, 2.6), Learning::Nothing, "one epoch, whose beginning still counts");
        assert_eq!(
            right(0.10, 2.284, 2.306),
            Learning::Nothing,
            "chance, a little below the measure by chance"
        );
        assert_eq!(right(0.40, 2.6, 2.5), Learning::Learns, "often right, and too sure of what is wrong");
        let noisy = || Choices { dropout: Some(0.9), ..Choices::default() };
        assert_eq!(with(noisy(), 31.0, 0.4, 0.1), Learning::Learns, "dropout's noise on what knew much");
        assert_eq!(with(noisy(), 31.0, 2.6, 2.6), Learning::Nothing, "dropout's noise on what knows nothing");
    }

    #[test]
    fn one_class_alone_can_be_learnt_and_can_diverge() {
        let of = |objective, initial| {
            let (row, options) = (row(objective, objective), options(Choices::default()));
            Learning::of(&row, &[5; 20], &options, || Ok::<_, Infallible>(Some(initial))).unwrap().unwrap()
        };
        assert_eq!(of(1e-6, 1.8), Learning::Learns);
        assert_eq!(of(3e-9, 1e-9), Learning::Learns, "from weights that know it");
        assert_eq!(of(0.0, 0.0), Learning::Learns);
        assert_eq!(of(40.0, 1.8), Learning::Diverged);
    }

    #[test]
    fn the_network_of_the_beginning_is_asked_for_only_where_it_decides() {
        let never = || Err::<Option<f64>, &str>("asked");
        let of = |row: &Row| Learning::of(row, &[0, 1], &options(Choices::default()), never);
        assert_eq!(of(&row(0.3, 0.2)), Ok(Some(Learning::Learns)));
        assert_eq!(of(&row(3.0, 3.0)), Err("asked"));
        let unknown = || Ok::<_, Infallible>(None);
        let learning = Learning::of(&row(3.0, 3.0), &[0, 1], &options(Choices::default()), unknown);
        assert_eq!(learning, Ok(None), "against no beginning nothing is judged");
    }

    #[test]
    fn a_rate_to_try_is_named_on_the_right_side() {
        let said = |learning: Learning, lr: f64| {
            let options = options(Choices { lr: Some(lr.into()), ..Choices::default() });
            learning.said(&row(5.2e12, 5.2e12), &options).unwrap_or_default()
        };
        assert!(
            said(Learning::Diverged, 1e6)
                .contains("an objective of 5.20e12 in training and 5.20e12 in the test")
        );
        assert!(said(Learning::Diverged, 1e6).ends_with("try a smaller --lr, such as 0.002"));
        assert!(said(Learning::Diverged, 0.0007).ends_with("such as 7e-5"));
        assert!(said(Learning::Nothing, 1e6).ends_with("a smaller --lr, such as 0.002"));
        assert!(said(Learning::Nothing, 1e-9).ends_with("a larger --lr, such as 0.002"));
        assert_eq!(said(Learning::Learns, 1e6), "");
    }
}
