//! Comparisons of runs that were not trained.

use super::*;
use crate::runs::Row;
use crate::train::{Choices, OptimizerName};

/// A run of three epochs, of which so many were finished: with objectives of the seed and the epoch.
fn run(opt: OptimizerName, seed: u64, epochs: usize) -> Compared {
    let choices = Choices { seed: Some(seed), epochs: Some(3), ..Choices::default() };
    let row = |epoch: usize| Row {
        epoch,
        objective: (seed + 1) as f64 / epoch as f64,
        test_accuracy: 0.9 + 0.01 * seed as f64,
        seconds: 2.0,
        ..Row::default()
    };
    let diverged = Divergence { step: 40, place: "the loss".into(), learning_rate: 1e3 };
    let course = Course {
        rows: (1..=epochs).map(row).collect(),
        diverged: (epochs < 3).then_some(diverged),
        learning: None,
    };
    Compared { options: choices.resolve(opt).unwrap(), course, pytorch: None }
}

fn comparison(runs: Vec<Compared>) -> Comparison {
    Comparison { setting: "4-3-2, relu, batch 128".into(), runs }
}

#[test]
fn statistics_are_over_the_runs_that_were_finished() {
    let runs = [run(OptimizerName::Sgd, 0, 3), run(OptimizerName::Sgd, 1, 1), run(OptimizerName::Sgd, 2, 3)];
    let summed = comparison(runs.into()).summed();
    let Results { seeds, test_accuracy, diverged, train_seconds, .. } = &summed[0].results;
    assert_eq!(seeds, &[0, 2]);
    let Statistics { mean, minimum, .. } = test_accuracy.unwrap();
    assert!((mean - 0.91).abs() < 1e-12 && minimum == 0.9);
    assert_eq!(train_seconds.unwrap().mean, 6.0);
    let divergence = Divergence { step: 40, place: "the loss".into(), learning_rate: 1e3 };
    assert_eq!(diverged, &[Diverged { seed: 1, divergence }]);
}

#[test]
fn a_finished_run_whose_objective_diverged_counts_and_is_named_where_anything_is_known() {
    let runs = [0, 1, 2].map(|seed| run(OptimizerName::Sgd, seed, 3));
    let unknown = comparison(runs.to_vec()).summed();
    assert_eq!(unknown[0].results.objective_diverged, None);
    let mut runs = runs;
    runs[0].course.learning = Some(Learning::Nothing);
    runs[2].course.learning = Some(Learning::Diverged);
    let summed = comparison(runs.into()).summed();
    let Results { seeds, diverged, objective_diverged, .. } = &summed[0].results;
    assert_eq!((&seeds[..], diverged.len()), (&[0, 1, 2][..], 0));
    assert_eq!(objective_diverged.as_deref(), Some(&[2][..]));
}

#[test]
fn a_line_is_of_the_finished_runs_and_a_note_names_the_others() {
    let runs = [run(OptimizerName::Sgd, 0, 3), run(OptimizerName::Sgd, 1, 1), run(OptimizerName::Sgd, 2, 3)];
    let chart = comparison(runs.into()).chart();
    assert_eq!(
        chart.series[0].points,
        [(1.0, 2.0), (2.0, 1.0), (3.0, 2.0 / 3.0)],
        "the mean of seeds 0 and 2"
    );
    assert_eq!(chart.notes, ["sgd is shown without the runs that diverged: seed 1."]);
}

#[test]
fn the_seeds_of_the_lines_and_those_that_diverged_are_named() {
    let sgd =
        |finished: [usize; 6]| (0..6).map(move |seed| run(OptimizerName::Sgd, seed, finished[seed as usize]));
    let some = [3, 1, 3, 3, 1, 2];
    let chart = comparison(sgd(some).collect()).chart();
    assert_eq!(chart.subtitle.as_deref(), Some("4-3-2, relu, batch 128, mean and range of seeds 0, 2, 3"));
    let ends: Vec<_> =
        chart.series[0].ends.iter().map(|end| (end.x, end.whose.as_deref(), end.of_line)).collect();
    assert_eq!(ends, [(2.0, Some("seeds 1, 4"), false), (3.0, Some("seed 5"), false)]);
    assert_eq!(chart.notes, ["sgd is shown without the runs that diverged: seeds 1, 4, 5."]);
    assert!(chart.svg().contains("×: sgd diverged at epoch 2 (seeds 1, 4), 3 (seed 5)."));

    let adam = (0..6).map(|seed| run(OptimizerName::Adam, seed, 3));
    let both = comparison(adam.chain(sgd(some)).collect()).chart();
    let subtitle = "4-3-2, relu, batch 128, mean and range of seeds 0 to 5 (sgd: 0, 2, 3)";
    assert_eq!(both.subtitle.as_deref(), Some(subtitle));
    let one = comparison(sgd([1, 1, 1, 1, 1, 3]).collect()).chart();
    assert_eq!(one.subtitle.as_deref(), Some("4-3-2, relu, batch 128, seed 5"));
    let whole = comparison(sgd([3; 6]).collect()).chart();
    assert_eq!(whole.subtitle.as_deref(), Some("4-3-2, relu, batch 128, mean and range of seeds 0 to 5"));
}

#[test]
fn where_no_run_was_finished_the_line_goes_as_far_as_all_do_and_breaks_off() {
    let chart = comparison(vec![run(OptimizerName::Sgd, 0, 2), run(OptimizerName::Sgd, 1, 1)]).chart();
    assert_eq!(chart.series[0].points, [(1.0, 1.5)]);
    let ends: Vec<_> = chart.series[0].ends.iter().map(|end| (end.x, end.of_line)).collect();
    assert_eq!(ends, [(2.0, true), (3.0, false)]);
    let none = comparison(vec![run(OptimizerName::Sgd, 0, 0), run(OptimizerName::Adam, 0, 3)]).chart();
    assert!(none.series[0].points.is_empty() && none.series[0].ends[0].x == 1.0);
    assert!(none.svg().contains("sgd diverged at epoch 1"));
}

#[test]
fn pytorch_stands_after_ours_and_how_far_it_is_away_is_relative_to_it() {
    let mut adam = run(OptimizerName::Adam, 1, 3);
    let mut course = adam.course.clone();
    course.rows[0].objective *= 2.0;
    course.rows[2].objective *= 0.25;
    adam.pytorch = Some(Peer { version: "9.8".into(), course });
    let comparison = comparison(vec![adam, run(OptimizerName::Sgd, 1, 3)]);
    let chart = comparison.chart();
    let lines: Vec<_> = chart.series.iter().map(|series| (&series.name[..], series.twin_of)).collect();
    assert_eq!(lines, [("adam", None), ("sgd", None), ("adam (PyTorch)", Some(0))]);
    assert_eq!(comparison.apart(), [("adam", Apart { first_epoch: 0.5, largest: 3.0 })]);
}

#[test]
fn a_mistake_in_a_plan_is_named_with_its_line() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(Some(&place.path().join("both")), "compare").unwrap();
    let optimizer = "[[optimizer]]\nopt = \"adam\"\n";
    for (text, problem) in [
        ("seeds = 1\nepochs = = 1\n".to_owned(), "line 2: "),
        (format!("seeds = 1\n{optimizer}epochs = \"two\"\n"), "line 4: invalid type: string \"two\""),
        (format!("seeds = 1\n{optimizer}learning-rate = 1\n"), "line 4: unknown field `learning-rate`"),
        (format!("seeds = 1\nwhat = 2\n{optimizer}"), "line 2: unknown field `what`"),
        ("seeds = 1\n[[optimizer]]\nopt = \"sdg\"\n".into(), "line 3: \"sdg\": did you mean sgd?"),
        ("seeds = 1\n[[optimizer]]\nepochs = 1\n".into(), "an optimizer has no name"),
        ("seeds = 1\noptimizer = [1]\n".into(), "an optimizer is no table of options"),
        (optimizer.to_owned(), "line 1: missing field `seeds`"),
        ("seeds = 1\n".into(), "plans no run"),
        (format!("seeds = 0\n{optimizer}"), "plans no run"),
    ] {
        folder.write("compare.toml", text.as_bytes()).unwrap();
        let error = ComparisonPlan::read(&folder).unwrap_err().to_string();
        let found = error.strip_prefix(&format!("{}: ", folder.file("compare.toml").display())).unwrap();
        assert!(found.starts_with(problem) && !found.contains('\n'), "{found:?}, not {problem:?}");
    }
    folder.write("compare.toml", b"seeds = \xff").unwrap();
    let error = ComparisonPlan::read(&folder).unwrap_err().to_string();
    assert!(error.contains("is not UTF-8 (invalid utf-8"), "{error}");
}

#[test]
fn a_plan_is_read_back_as_it_was_written() {
    let outer = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(Some(&outer.path().join("both")), "").unwrap();
    let optimizers = [OptimizerName::Sgd, OptimizerName::Adam].map(|opt| run(opt, 7, 3).options);
    for check_torch in [None, Some("/a folder/python".into())] {
        let plan = ComparisonPlan { optimizers: optimizers.to_vec(), seeds: 2, check_torch };
        plan.write(&folder).unwrap();
        assert_eq!(ComparisonPlan::read(&folder).unwrap(), plan);
        let names: Vec<String> = plan.runs().unwrap().iter().map(Options::run_name).collect();
        assert_eq!(names, ["sgd-seed7", "sgd-seed8", "adam-seed7", "adam-seed8"]);
    }
}

#[test]
fn runs_have_the_options_of_their_optimizer_but_for_the_seed_which_is_checked() {
    let options = run(OptimizerName::Sgd, 7, 3).options;
    let plan = |seed| ComparisonPlan {
        optimizers: vec![Options { seed, ..options.clone() }],
        seeds: 2,
        check_torch: None,
    };
    let expected = [7, 8].map(|seed| Options { seed, ..options.clone() });
    assert_eq!(plan(7).runs().unwrap(), expected);
    let last = i64::MAX as u64;
    for (first, said) in [(last, last + 1), (u64::MAX, u64::MAX)] {
        let error = plan(first).runs().unwrap_err().to_string();
        assert!(error.starts_with(&format!("--seed {said}: must be at most {last}")), "{error}");
    }
}
