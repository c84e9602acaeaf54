//! The figures of a run: objective and accuracy against the epoch, and the confusion matrix.

use std::path::Path;

use super::engine::Confusion;
use super::log::GOAL;
use super::{Options, Row, RunFolder, TrainError, files};
use crate::draw::{ConfusionMatrix, End, LineChart, Reference, ScaleKind, Series, YFormat, png};
use crate::model::Perceptron;

/// Pixels per unit of the drawing: sharp in print.
const PNG_SCALE: f32 = 2.0;

/// The setting of a run, as figures state it.
pub fn setting(options: &Options, model: &Perceptron) -> String {
    setting_of(&network(model), options)
}

/// As [`setting`], where the network is known by its text alone.
pub fn setting_of(network: &str, options: &Options) -> String {
    format!("{network}, batch {}", options.batch_size)
}

/// A network in a few words: `784-512-256-10, relu`.
pub fn network(model: &Perceptron) -> String {
    format!("{}, {}", model.widths_text(), model.activation.name())
}

/// `objective.svg`, `objective.png` and `accuracy.svg` from the rows so far.
///
/// # Errors
/// When one cannot be drawn or written.
pub fn write_curves(
    folder: &RunFolder,
    options: &Options,
    model: &Perceptron,
    rows: &[Row],
) -> Result<(), TrainError> {
    let subtitle =
        format!("{}, learning rate {}, seed {}", setting(options, model), options.lr, options.seed);
    let curve = |name: &str, value: fn(&Row) -> f64| Series {
        name: name.into(),
        points: rows.iter().map(|row| (row.epoch as f64, value(row))).collect(),
        ..Series::default()
    };
    let objective = objective_chart(
        format!("Objective of {}", options.opt.name()),
        subtitle.clone(),
        vec![curve("training", |row| row.objective), curve("test", |row| row.test_objective)],
    );
    write_chart(folder, "objective", &objective)?;
    let accuracy = LineChart {
        title: format!("Accuracy of {}", options.opt.name()),
        subtitle: Some(subtitle),
        x_label: "epoch".into(),
        y_label: "accuracy".into(),
        y_format: YFormat::Percent,
        series: vec![curve("training", |row| row.train_accuracy), curve("test", |row| row.test_accuracy)],
        references: vec![Reference { value: GOAL, label: "98%".into() }],
        ..LineChart::default()
    };
    folder.write("accuracy.svg", accuracy.svg().as_bytes())
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

/// The end of the line of a run that diverged after so many whole epochs: in the next. `word` is what the line does there.
pub fn broken_off(epochs: usize, word: &str) -> End {
    End { x: (epochs + 1) as f64, word: word.into() }
}

/// Writes a chart as SVG and as PNG.
///
/// # Errors
/// When it cannot be drawn or written.
pub fn write_chart(folder: &RunFolder, name: &str, chart: &LineChart) -> Result<(), TrainError> {
    let svg = chart.svg();
    folder.write(&format!("{name}.svg"), svg.as_bytes())?;
    let file = format!("{name}.png");
    let picture =
        png(&svg, PNG_SCALE).map_err(|source| TrainError::Draw { path: folder.file(&file), source })?;
    folder.write(&file, &picture)
}

/// `confusion.csv` and `confusion.svg`: rows are true classes, columns predicted ones.
///
/// # Errors
/// When one cannot be written.
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
    folder.write("confusion.svg", matrix.svg().as_bytes())
}

/// The counts of a `confusion.csv`.
///
/// # Errors
/// When it cannot be read, or is no square table of counts.
pub fn read_confusion(path: &Path) -> Result<Confusion, TrainError> {
    let bytes = files::read(path)?;
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
