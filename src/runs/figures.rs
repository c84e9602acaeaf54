//! The figures of a run: objective and accuracy against the epoch, and the confusion matrix.

use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use super::log::GOAL;
use super::reading::read;
use super::{Row, RunFolder};
use crate::document::number::exact;
use crate::draw::{ConfusionMatrix, Drawing, End, LineChart, Reference, ScaleKind, Series, YFormat, picture};
use crate::exec::Confusion;
use crate::files;
use crate::nn::Model;
use crate::train::options::Augment;
use crate::train::{Options, TrainError};

/// A number of an epoch, if it has it.
type Value = fn(&Row) -> Option<f64>;

/// Pixels per unit of the drawing: sharp in print.
const PNG_SCALE: f32 = 2.0;

/// The setting of a run, as figures state it.
pub fn setting(options: &Options, model: &dyn Model) -> String {
    setting_of(&model.describe(), options)
}

/// As [`setting`], where the network is known by its text alone.
pub fn setting_of(network: &str, options: &Options) -> String {
    format!("{network}, batch {}", options.batch_size)
}

/// All figures of a run that has ended: the curves of its rows, if there are any, and, beside them, how its last predictions
/// were confused.
///
/// # Errors
/// When one cannot be drawn or written.
pub fn write(
    folder: &RunFolder,
    options: &Options,
    model: &dyn Model,
    rows: &[Row],
    counts: Confusion,
) -> Result<(), TrainError> {
    let curves = || match rows {
        [] => Ok(()),
        rows => write_curves(folder, options, model, rows, false),
    };
    let subtitle = format!("{}, {}", options.opt.name(), setting(options, model));
    thread::scope(|scope| {
        let beside = thread::Builder::new().spawn_scoped(scope, curves);
        let confusion = write_confusion(folder, subtitle, counts);
        match beside {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic))?,
            Err(_) => curves()?, // the system starts no more threads
        }
        confusion
    })
}

/// `objective` and `accuracy` as `.svg` and `.png` from the rows so far; after them the run may have `diverged`.
///
/// # Errors
/// When one cannot be drawn or written.
pub fn write_curves(
    folder: &RunFolder,
    options: &Options,
    model: &dyn Model,
    rows: &[Row],
    diverged: bool,
) -> Result<(), TrainError> {
    let name = options.opt.name();
    let rate = exact(options.lr);
    let subtitle = format!("{}, learning rate {rate}, seed {}", setting(options, model), options.seed);
    let series = |curves: [(&str, Value); 3]| -> Vec<Series> {
        let all = curves.map(|(name, value)| curve(name, rows, value, diverged));
        all.into_iter().filter(|series| !series.points.is_empty()).collect()
    };
    let mut objective = objective_chart(
        format!("Objective of {name}"),
        subtitle.clone(),
        series([
            ("training", |row| Some(row.objective)),
            ("test", |row| Some(row.test_objective)),
            ("validation", |row| row.validation_objective),
        ]),
    );
    let mut accuracy = accuracy_chart(
        format!("Accuracy of {name}"),
        subtitle,
        series([
            ("training", |row| Some(row.train_accuracy)),
            ("test", |row| Some(row.test_accuracy)),
            ("validation", |row| row.validation_accuracy),
        ]),
    );
    for chart in [&mut objective, &mut accuracy] {
        chart.notes.push(why_the_test_may_be_better(Some(options)));
    }
    write_drawing(folder, "objective", &objective)?;
    write_drawing(folder, "accuracy", &accuracy)
}

/// A number against the epoch, where the rows have it; `diverged` marks the epoch after them.
fn curve(name: &str, rows: &[Row], value: Value, diverged: bool) -> Series {
    let points = rows.iter().filter_map(|row| Some((row.epoch as f64, value(row)?)));
    Series {
        name: name.into(),
        points: points.collect(),
        ends: diverged.then(|| broken_off(rows.len(), "diverged")).into_iter().collect(),
        ..Series::default()
    }
}

/// Why the test curve of a run can lie on the better side of its training curve, as a note below both; of a run whose
/// options are not known, without what they did to the images.
pub fn why_the_test_may_be_better(options: Option<&Options>) -> String {
    let moved = match options.map(|options| options.augment) {
        Some(Augment::Shifts) => Some(("on images shifted by up to a pixel", "on images as they are")),
        Some(Augment::None) | None => None,
    };
    let dropped = options.filter(|options| options.dropout > 0.0);
    let dropped = dropped.map(|_| ("with some units dropped out", "with all units"));
    let differences: Vec<(&str, &str)> = moved.into_iter().chain(dropped).collect();
    let joined = |of: fn(&(&'static str, &'static str)) -> &'static str| -> String {
        let parts: Vec<&str> = differences.iter().map(of).collect();
        if parts.is_empty() { String::new() } else { format!(", {}", parts.join(" and ")) }
    };
    format!(
        "The training curve is an average over each epoch, while the network learns{}; the test curve is of the network \
         at the epoch's end{}. So the test curve can be the better one.",
        joined(|(training, _)| training),
        joined(|(_, test)| test)
    )
}

/// A chart of accuracies against the epoch, with the line at 98%.
pub fn accuracy_chart(title: String, subtitle: String, series: Vec<Series>) -> LineChart {
    LineChart {
        title,
        subtitle: Some(subtitle),
        x_label: "epoch".into(),
        y_label: "accuracy".into(),
        y_format: YFormat::Percent,
        series,
        references: vec![Reference { value: GOAL, label: "98%".into() }],
        ..LineChart::default()
    }
}

/// A chart of objectives against the epoch, on a logarithmic scale.
pub fn objective_chart(title: String, subtitle: String, series: Vec<Series>) -> LineChart {
    LineChart {
        title,
        subtitle: Some(subtitle),
        x_label: "epoch".into(),
        y_label: "objective: mean loss (nats)".into(),
        y_scale: ScaleKind::Log,
        series,
        ..LineChart::default()
    }
}

/// The curve of several runs: the mean over them at each epoch that all have, and their range if they are more than one.
pub fn over_seeds<'r>(name: &str, runs: impl Iterator<Item = &'r [Row]>, value: fn(&Row) -> f64) -> Series {
    let runs: Vec<&[Row]> = runs.collect();
    // Beyond the shortest run there is no mean of them all.
    let epochs = runs.iter().map(|rows| rows.len()).min().unwrap_or(0);
    let at = |epoch: usize| runs.iter().map(move |rows| value(&rows[epoch]));
    let range = |epoch: usize| {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        at(epoch).fold(ends, |(low, high), x| (low.min(x), high.max(x)))
    };
    let mean = |epoch: usize| at(epoch).sum::<f64>() / runs.len() as f64;
    Series {
        name: name.into(),
        points: (0..epochs).map(|epoch| ((epoch + 1) as f64, mean(epoch))).collect(),
        band: (runs.len() > 1).then(|| (0..epochs).map(range).collect()),
        ..Series::default()
    }
}

/// The end of the line of a run that diverged after `epochs` whole epochs: in the next. `word` is what the line does there.
pub fn broken_off(epochs: usize, word: &str) -> End {
    End { x: (epochs + 1) as f64, word: word.into(), whose: None, of_line: true }
}

/// Writes a drawing as SVG and as PNG.
///
/// # Errors
/// When it cannot be drawn or written.
pub fn write_drawing(folder: &RunFolder, name: &str, drawing: &impl Drawing) -> Result<(), TrainError> {
    folder.write(&format!("{name}.svg"), drawing.document().as_bytes())?;
    let file = format!("{name}.png");
    let picture = picture(drawing, PNG_SCALE)
        .map_err(|source| TrainError::Draw { path: folder.file(&file), source })?;
    folder.write(&file, &picture)
}

/// `confusion.csv`, `confusion.svg` and `confusion.png`: rows are true classes, columns predicted ones.
///
/// # Errors
/// When one cannot be drawn or written.
pub fn write_confusion(
    folder: &RunFolder,
    subtitle: String,
    counts: Vec<Vec<u64>>,
) -> Result<(), TrainError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let header = std::iter::once("true\\predicted".to_string())
        .chain((0..counts.len()).map(|class| class.to_string()));
    let failed = |error: csv::Error| TrainError::File {
        action: "write",
        path: folder.file("confusion.csv"),
        source: error.into(),
    };
    table.write_record(header).map_err(failed)?;
    for (class, row) in counts.iter().enumerate() {
        let record = std::iter::once(class.to_string()).chain(row.iter().map(u64::to_string));
        table.write_record(record).map_err(failed)?;
    }
    let bytes = table.into_inner().map_err(|error| failed(error.into_error().into()))?;
    folder.write("confusion.csv", &bytes)?;
    let matrix = ConfusionMatrix { title: "Test images by class".into(), subtitle: Some(subtitle), counts };
    write_drawing(folder, "confusion", &matrix)
}

/// The counts of a `confusion.csv`.
///
/// # Errors
/// When it cannot be read, or is no square table of counts.
pub fn read_confusion(path: &Path) -> Result<Confusion, TrainError> {
    let bytes = read(path, files::TABLE)?;
    let failed = |problem: String| TrainError::Content { path: path.into(), problem };
    let rows = csv::Reader::from_reader(&bytes[..]).into_deserialize().collect::<Result<_, _>>();
    let rows: Vec<(usize, Vec<u64>)> = rows.map_err(|error| failed(error.to_string()))?;
    let classes = rows.len();
    let is_square = rows.iter().zip(0..).all(|((class, row), place)| *class == place && row.len() == classes);
    let total = rows.iter().flat_map(|(_, row)| row).try_fold(0_u64, |sum, &count| sum.checked_add(count));
    match is_square && classes > 0 && total.is_some() {
        true => Ok(rows.into_iter().map(|(_, row)| row).collect()),
        false if total.is_none() => Err(failed("the counts are more than images can be".into())),
        false => Err(failed("the table does not have a row and a column for each class".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Choices, OptimizerName};

    fn rows(objectives: &[f64]) -> Vec<Row> {
        let row = |(epoch, &objective): (usize, &f64)| Row {
            epoch,
            objective,
            test_objective: objective,
            ..Row::default()
        };
        (1..).zip(objectives).map(row).collect()
    }

    #[test]
    fn the_note_below_a_run_says_what_its_options_did_to_the_training_images() {
        let note = |augment, dropout| {
            let mut options = Choices::default().resolve(OptimizerName::Adam).unwrap();
            (options.augment, options.dropout) = (augment, dropout);
            why_the_test_may_be_better(Some(&options))
        };
        let plain = note(Augment::None, 0.0);
        assert_eq!(plain, why_the_test_may_be_better(None));
        assert!(
            plain.contains("average over each epoch, while the network learns; the test curve"),
            "{plain}"
        );
        let shifted = note(Augment::Shifts, 0.0);
        assert!(
            shifted.contains("on images shifted by up to a pixel;") && !shifted.contains("units"),
            "{shifted}"
        );
        assert!(note(Augment::None, 0.5).contains("learns, with some units dropped out; "));
        let both = note(Augment::Shifts, 0.5);
        assert!(both.contains("by up to a pixel and with some units dropped out;"), "{both}");
        assert!(both.contains("end, on images as they are and with all units."), "{both}");
    }

    #[test]
    fn a_run_that_was_learnt_perfectly_has_all_its_epochs_in_its_charts() {
        let outer = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&outer.path().join("run")), "").unwrap();
        let options = Choices::default().resolve(OptimizerName::Adam).unwrap();
        let model = options.model(4, 2);
        let read = |name: &str| std::fs::read_to_string(folder.file(name)).unwrap();

        write_curves(&folder, &options, &model, &rows(&[0.5, 1e-9, 0.0, 0.0, 0.0]), false).unwrap();
        let objective = read("objective.svg");
        for text in ["training: from 0.5 to 0 in 5 points.", "training at epoch 3 to 5", ">5</text>", "5,0,"]
        {
            assert!(objective.contains(text), "{text}: {objective}");
        }
        for name in ["objective", "accuracy"] {
            assert!(read(&format!("{name}.svg")).contains("So the test curve can be the better one."));
            let picture = std::fs::read(folder.file(&format!("{name}.png"))).unwrap();
            assert!(picture.starts_with(b"\x89PNG"));
        }
        assert!(!objective.contains("validation") && !objective.contains("diverged"));

        let mut validated = rows(&[0.5, 7.0]);
        validated.iter_mut().for_each(|row| row.validation_objective = Some(0.25));
        write_curves(&folder, &options, &model, &validated, true).unwrap();
        let objective = read("objective.svg");
        assert!(objective.contains("validation: from 0.25 to 0.25 in 2 points."));
        assert!(objective.contains("training diverged at epoch 3;"), "{objective}");
    }

    #[test]
    fn a_mean_over_seeds_is_zero_only_where_all_are() {
        let runs = [rows(&[0.5, 1e-9, 0.0]), rows(&[0.5, 0.0, 0.0])];
        let series = over_seeds("adam", runs.iter().map(|rows| &rows[..]), |row| row.objective);
        assert_eq!(series.points, [(1.0, 0.5), (2.0, 5e-10), (3.0, 0.0)]);
        let svg = objective_chart(String::new(), String::new(), vec![series]).svg();
        let note = "adam at epoch 3; the low end of the band of adam at epoch 2.";
        assert!(svg.contains(note), "{svg}");
    }

    #[test]
    fn a_confusion_matrix_is_read_back_as_it_was_written_and_no_other_table_is() {
        let outer = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(&outer.path().join("run")), "").unwrap();
        let counts = vec![vec![5, 0, 1], vec![2, 7, 0], vec![0, 0, 9]];
        write_confusion(&folder, String::new(), counts.clone()).unwrap();
        let path = folder.file("confusion.csv");
        assert_eq!(read_confusion(&path).unwrap(), counts);
        let text = std::fs::read_to_string(&path).unwrap();
        let last_row = text.trim_end().rfind('\n').unwrap() + 1;
        let swapped = text.replace("0,5,0,1\n1,2,7,0\n", "1,2,7,0\n0,5,0,1\n");
        let too_many = text.replace('7', &u64::MAX.to_string());
        for damaged in
            [&too_many, "", &text[..last_row], &text[..text.len() - 3], &text.replace('7', "x"), &swapped]
        {
            std::fs::write(&path, damaged).unwrap();
            assert!(read_confusion(&path).is_err(), "{damaged:?}");
        }
    }
}
