//! What a confusion matrix counts.

/// Counts of (true class, predicted class). Classes are numbered from 0; up to 26 the cells hold
/// numbers, above that only shades.
#[derive(Clone, Debug, Default)]
pub struct ConfusionMatrix {
    /// What the matrix shows, in bold.
    pub title: String,
    /// The setting; the overall accuracy is added below it.
    pub subtitle: Option<String>,
    /// `counts[t][p]`: how many examples of class `t` were taken for class `p`. Missing entries
    /// are zero.
    pub counts: Vec<Vec<u64>>,
}

impl ConfusionMatrix {
    /// Number of classes: as many as the longest row or column has entries.
    pub fn classes(&self) -> usize {
        let widest = self.counts.iter().map(Vec::len).max().unwrap_or(0);
        widest.max(self.counts.len())
    }

    pub(super) fn count(&self, truth: usize, predicted: usize) -> u64 {
        let row = self.counts.get(truth);
        row.and_then(|row| row.get(predicted)).copied().unwrap_or(0)
    }

    pub(super) fn row_total(&self, truth: usize) -> u128 {
        let row = self.counts.get(truth).into_iter().flatten();
        row.map(|&count| u128::from(count)).sum()
    }

    /// The fraction of a true class's examples that was taken for `predicted`; 0 without examples.
    pub(super) fn share(&self, truth: usize, predicted: usize) -> f64 {
        self.count(truth, predicted) as f64 / self.row_total(truth).max(1) as f64
    }

    /// The fraction of a class's examples that was recognised; `None` if it has none.
    pub fn recall(&self, class: usize) -> Option<f64> {
        (self.row_total(class) > 0).then(|| self.share(class, class))
    }

    pub(super) fn column_total(&self, predicted: usize) -> u128 {
        let column = self.counts.iter().filter_map(|row| row.get(predicted));
        column.map(|&count| u128::from(count)).sum()
    }

    /// The fraction of the examples taken for a class that are of it; `None` if none was taken for it.
    pub fn precision(&self, class: usize) -> Option<f64> {
        let total = self.column_total(class);
        (total > 0).then(|| self.count(class, class) as f64 / total as f64)
    }

    /// (recognised, all) examples.
    pub(super) fn totals(&self) -> (u128, u128) {
        let classes = 0..self.classes();
        let correct = classes.clone().map(|c| u128::from(self.count(c, c))).sum();
        (correct, classes.map(|c| self.row_total(c)).sum())
    }

    pub(super) fn accuracy_text(&self) -> String {
        match self.totals() {
            (_, 0) => "no examples".to_owned(),
            (correct, all) => {
                let accuracy = percent(correct as f64 / all as f64, 2);
                format!("accuracy {accuracy}: {correct} of {all} examples")
            }
        }
    }

    pub(super) fn description(&self) -> String {
        let n = self.classes();
        let worst = (0..n).flat_map(|t| (0..n).map(move |p| (t, p)));
        let worst = worst.filter(|(t, p)| t != p).max_by_key(|&(t, p)| self.count(t, p));
        let errors = match worst {
            Some((t, p)) if self.count(t, p) > 0 => {
                format!(" Most frequent error: {} of class {t} taken for {p}.", self.count(t, p))
            }
            _ => " No errors.".to_owned(),
        };
        format!("Confusion matrix of {n} classes, {}.{errors}", self.accuracy_text())
    }
}

/// A fraction as a percentage that says 100% only of all.
pub(super) fn percent(fraction: f64, decimals: usize) -> String {
    let unit = 10f64.powi(decimals as i32);
    let rounded = (fraction * 100.0 * unit).round() / unit;
    let shown = if fraction < 1.0 { rounded.min(100.0 - 1.0 / unit) } else { rounded };
    format!("{shown:.decimals$}%")
}

/// A count in at most five characters: 12345 as `12k`.
pub(super) fn short(count: u64) -> String {
    const UNITS: [(f64, &str); 6] =
        [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let count = count as f64;
    match UNITS.into_iter().find(|(unit, _)| count >= *unit) {
        // down, not to nearest: 9999 is no 10k
        Some((unit, name)) if count / unit < 10.0 => {
            format!("{:.1}{name}", (count / unit * 10.0).floor() / 10.0)
        }
        Some((unit, name)) => format!("{:.0}{name}", (count / unit).floor()),
        None => format!("{count}"),
    }
}
