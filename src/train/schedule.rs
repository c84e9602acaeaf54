//! Learning-rate schedules: the rate as a function of the share of the run that is done.

use crate::names::named;

/// The learning rate's course over a run. The option's learning rate is its peak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schedule {
    /// The same throughout.
    Constant,
    /// Linearly down to zero.
    Linear,
    /// Along half a cosine down to zero (Loshchilov and Hutter 2017, equation 5, without restarts).
    Cosine,
    /// From a tenth of the peak linearly up to it over the first fifth, then linearly down to zero
    /// (after Smith and Topin 2018, "Super-convergence").
    OneCycle,
}

named! {
    Schedule { Constant = "constant", Linear = "linear", Cosine = "cosine", OneCycle = "one-cycle" }
    instead of {
        "none" | "fixed" => "a rate that stays the same is --schedule constant",
        "1cycle" => "that is called one-cycle here",
        "cosineannealing" => "that is called cosine here",
    }
}

impl Schedule {
    /// The learning rate of update `step` (from 0) of `steps`.
    pub fn learning_rate(self, peak: f64, step: u64, steps: u64) -> f64 {
        const WARM_UP: f64 = 0.2;
        let done = step as f64 / steps as f64;
        let share = match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - done,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Self::OneCycle if done < WARM_UP => 0.1 + 0.9 * done / WARM_UP,
            Self::OneCycle => (1.0 - done) / (1.0 - WARM_UP),
        };
        peak * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schedule_begins_peaks_and_ends_where_it_should() {
        let rate = |schedule: Schedule, step| schedule.learning_rate(2.0, step, 100);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        for step in [0, 50, 99] {
            close(rate(Schedule::Constant, step), 2.0);
        }
        for (step, expected) in [(0, 2.0), (50, 1.0), (99, 0.02)] {
            close(rate(Schedule::Linear, step), expected);
        }
        for (step, expected) in [(0, 2.0), (50, 1.0), (25, 1.0 + 0.5f64.sqrt())] {
            close(rate(Schedule::Cosine, step), expected);
        }
        for (step, expected) in [(0, 0.2), (10, 1.1), (20, 2.0), (60, 1.0), (99, 0.025)] {
            close(rate(Schedule::OneCycle, step), expected);
        }
    }

    #[test]
    fn no_schedule_reaches_zero_before_the_last_step_or_passes_its_peak() {
        for schedule in Schedule::ALL {
            for step in 0..37 {
                let rate = schedule.learning_rate(1.0, step, 37);
                assert!(rate > 0.0 && rate <= 1.0, "{} at step {step}: {rate}", schedule.name());
            }
        }
    }
}
