//! What a comparison came to: the table of its results, and which runs diverged.

use cotangent::runs::{RunFolder, Statistics};
use cotangent::train::comparison::{Results, Summed};
use cotangent::train::learning::smaller_rate;
use cotangent::train::{Comparison, Options};

use crate::commands::console::count;

/// How many runs are named one by one.
const NAMED: usize = 4;

/// Which runs diverged and what to try, if any did.
pub(super) fn verdict(comparison: &Comparison, folder: &RunFolder) -> Option<String> {
    let diverged = comparison.diverged();
    let (_, options, _) = diverged.first()?;
    let named = diverged.iter().take(NAMED).map(|(name, _, diverged)| format!("{name} {diverged}"));
    let mut names = named.collect::<Vec<_>>().join(", ");
    if diverged.len() > NAMED {
        names += &format!(" and {} more, which compare.json names", diverged.len() - NAMED);
    }
    let rate = |options: &Options| format!("{}={}", options.opt.name(), smaller_rate(options));
    let mut rates = vec![rate(options)];
    for (_, options, _) in &diverged {
        let rate = rate(options);
        if !rates.contains(&rate) {
            rates.push(rate);
        }
    }
    Some(format!(
        "{} diverged: {names}. The comparison is in {}. Try a smaller learning rate, such as --lr {}",
        count(diverged.len(), "run"),
        folder.path().display(),
        rates.join(",")
    ))
}

/// The results, a line an optimizer, and how far PyTorch's are.
pub(super) fn table(comparison: &Comparison) -> String {
    let summed = comparison.summed();
    let width = summed.iter().map(|of| of.name.len()).fold("optimizer".len(), usize::max);
    let mut table = format!("{:width$}  seeds  test accuracy     lowest   seconds", "optimizer");
    for Summed { name, results } in &summed {
        let line = format!("\n{name:width$}  {:5}  {}", results.seeds.len(), reached(results));
        table += line.trim_end();
    }
    for (optimizer, apart) in comparison.apart() {
        table += &format!(
            "\n{optimizer}: the objective differs from PyTorch's by {:.1e} of it in the first epoch, by {:.1e} at most",
            apart.first_epoch, apart.largest
        );
    }
    table
}

/// What some runs reached, and which of them reached nothing.
fn reached(results: &Results) -> String {
    let Results { test_accuracy, train_seconds, diverged, objective_diverged, .. } = results;
    let mut text = String::new();
    if let (Some(Statistics { mean, standard_deviation, minimum }), Some(seconds)) =
        (test_accuracy, train_seconds)
    {
        let spread = standard_deviation.map_or(String::new(), |sd| format!(" ± {:.2}%", 100.0 * sd));
        let accuracy = format!("{:.2}%{spread}", 100.0 * mean);
        text = format!("{accuracy:16}  {:.2}%  {:8.1}", 100.0 * minimum, seconds.mean);
    }
    let diverged: Vec<String> =
        diverged.iter().map(|run| format!("seed {} at step {}", run.seed, run.divergence.step)).collect();
    let by_objective: Vec<String> =
        objective_diverged.iter().flatten().map(|seed| format!("seed {seed}")).collect();
    let parts = [text, named("diverged", &diverged), named("objective diverged", &by_objective)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// The first of some runs after what is said of them; nothing, if there are none.
fn named(what: &str, runs: &[String]) -> String {
    let first = runs[..runs.len().min(NAMED)].join(", ");
    match runs.len() {
        0 => String::new(),
        1..=NAMED => format!("{what}: {first}"),
        all => format!("{what}: {first} and {} more", all - NAMED),
    }
}
