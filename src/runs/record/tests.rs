//! Run folders whole, cut and damaged, written by hand.

use std::fs;

use super::*;
use crate::runs::records;

const CONFIG: &str = "opt = \"adam\"\nlr = 0.25\nepochs = 3\nbatch-size = 32\nseed = 7\nhidden = \"8\"\n\n\
                      [about]\nversion = \"0.1.0\"\nnetwork = \"4-8-2, relu\"\nplatform = \"linux x86_64\"\n\
                      card = \"H100\"\n";
const HEADER: &str = "epoch,objective,train_accuracy,test_objective,test_accuracy,learning_rate,seconds,\
                      examples_per_second\n";
const CONFUSION: &str = "true\\predicted,0,1\n0,4,1\n1,0,5\n";

/// The row of an epoch whose test accuracy is 0.9 and its number in thousandths.
fn line(epoch: usize) -> String {
    format!("{epoch},0.5,0.9,0.4,0.90{epoch},0.001,2,30000\n")
}

fn metrics(epochs: usize) -> String {
    HEADER.to_owned() + &(1..=epochs).map(line).collect::<String>()
}

fn summary(epochs: usize, interrupted: bool) -> String {
    format!(
        "{{\"optimizer\": \"adam\", \"epochs\": {epochs}, \"seed\": 7, \"device\": \"cpu\", \"threads\": 2, \
         \"precision\": \"f32\", \"parameters\": 58, \"test_objective\": 0.3, \"test_accuracy\": 0.95, \
         \"train_seconds\": 5.5, \"seconds_to_98\": null, \"interrupted\": {interrupted}}}"
    )
}

/// A folder to write runs into.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A run of three epochs that was finished.
    fn whole(&self, name: &str) -> PathBuf {
        self.run(name, &[])
    }

    /// As [`Self::whole`], but with these files changed, or removed where there is no content.
    fn run(&self, name: &str, changes: &[(&str, Option<&str>)]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        let (metrics, summary) = (metrics(3), summary(3, false));
        for (file, content) in [
            ("config.toml", CONFIG),
            ("metrics.csv", &metrics),
            ("summary.json", &summary),
            ("confusion.csv", CONFUSION),
            (MODEL, ""),
        ] {
            match changes.iter().find(|(changed, _)| *changed == file) {
                Some((_, Some(content))) => fs::write(path.join(file), content).unwrap(),
                Some((_, None)) => {}
                None => fs::write(path.join(file), content).unwrap(),
            }
        }
        path
    }

    fn read(&self, changes: &[(&str, Option<&str>)]) -> Result<Record, TrainError> {
        let path = self.run("run", changes);
        let record = Record::read(&path);
        fs::remove_dir_all(path).unwrap();
        record
    }
}

#[test]
fn a_whole_run_is_read_without_a_note() {
    let place = Place::new();
    let record = Record::read(&place.whole("run")).unwrap();
    assert_eq!(record.notes, [""; 0]);
    assert_eq!((record.options.opt, record.options.lr, record.options.seed), (OptimizerName::Adam, 0.25, 7));
    assert_eq!(record.setting, "4-8-2, relu, batch 32");
    assert_eq!(record.about.widths().as_deref(), Some(&[4, 8, 2][..]));
    let about = [&record.about.version, &record.about.platform, &record.about.card]
        .map(|text| text.as_deref().unwrap());
    assert_eq!(about, ["0.1.0", "linux x86_64", "H100"]);
    assert_eq!(record.rows.iter().map(|row| row.test_accuracy).collect::<Vec<_>>(), [0.901, 0.902, 0.903]);
    assert_eq!(record.confusion, Some(vec![vec![4, 1], vec![0, 5]]));
    assert_eq!(record.test_accuracy(), Some(0.95));
    assert!(record.is_whole());
}

#[test]
fn without_a_summary_the_last_row_counts_and_it_is_said() {
    let place = Place::new();
    for (content, fault) in
        [(None, "is missing"), (Some("{\"optimizer\": "), "is damaged (EOF while parsing")]
    {
        let record = place.read(&[("summary.json", content)]).unwrap();
        assert_eq!(record.test_accuracy(), Some(0.903));
        assert!(record.is_whole() && record.notes.len() == 1, "{:?}", record.notes);
        assert!(record.notes[0].starts_with(&format!("summary.json {fault}")), "{:?}", record.notes);
        assert!(record.notes[0].ends_with("that of the last row of metrics.csv"), "{:?}", record.notes);
    }
}

#[test]
fn a_last_row_that_was_cut_off_is_left_out_and_said() {
    let place = Place::new();
    let whole = metrics(3);
    let short = format!("{}3,0.5\n", metrics(2));
    for text in [&whole[..whole.len() - 3], &short] {
        let record = place.read(&[("metrics.csv", Some(text)), ("summary.json", None)]).unwrap();
        assert_eq!(record.rows.len(), 2);
        assert!(!record.is_whole());
        assert_eq!(record.notes[0], "metrics.csv: the last row was cut off and is left out");
        assert_eq!(record.notes[2], "the run stopped or goes on after 2 of 3 epochs");
    }
}

#[test]
fn rows_up_to_a_damaged_one_are_kept_and_it_is_said() {
    let place = Place::new();
    let damaged = metrics(3).replace("\n2,", "\ntwo,");
    let record = place.read(&[("metrics.csv", Some(&damaged))]).unwrap();
    assert_eq!((record.rows.len(), record.test_accuracy()), (1, Some(0.95)));
    let [note] = &record.notes[..] else { panic!("{:?}", record.notes) };
    assert!(
        note.starts_with("metrics.csv is damaged (") && note.ends_with("is kept, 1 of its epochs"),
        "{note}"
    );
}

#[test]
fn a_metrics_file_that_lost_whole_rows_is_held_against_the_summary() {
    let place = Place::new();
    for kept in [0, 2] {
        let record = place.read(&[("metrics.csv", Some(&metrics(kept)))]).unwrap();
        assert_eq!(record.notes, [format!("metrics.csv holds {kept} of the 3 epochs of summary.json")]);
    }
}

#[test]
fn an_interrupted_run_says_after_how_many_epochs() {
    let place = Place::new();
    let (metrics, summary) = (metrics(1), summary(1, true));
    let record = place.read(&[("metrics.csv", Some(&metrics)), ("summary.json", Some(&summary))]).unwrap();
    assert_eq!(record.notes, ["the run was interrupted after 1 of 3 epochs"]);
    assert!(!record.is_whole());
}

#[test]
fn a_summary_that_the_run_has_gone_on_from_is_not_taken_for_its_end() {
    let place = Place::new();
    let (metrics, summary) = (metrics(2), summary(1, true));
    let record = place.read(&[("metrics.csv", Some(&metrics)), ("summary.json", Some(&summary))]).unwrap();
    assert_eq!((record.summary.as_ref(), record.test_accuracy()), (None, Some(0.902)));
    assert!(
        record.notes[0].contains("were written after 1 of the 2 epochs in metrics.csv"),
        "{:?}",
        record.notes
    );
    assert_eq!(record.notes[1], "the run stopped or goes on after 2 of 3 epochs");
}

#[test]
fn a_damaged_or_missing_confusion_matrix_or_model_is_said() {
    let place = Place::new();
    for (content, fault) in [(None, "is missing"), (Some("true,0,1\n0,4,1\n"), "is damaged")] {
        let record = place.read(&[("confusion.csv", content), (MODEL, None)]).unwrap();
        assert_eq!(record.confusion, None);
        assert!(record.notes[0].starts_with(&format!("confusion.csv {fault}")), "{:?}", record.notes);
        assert!(record.notes[1].starts_with("model.safetensors is missing"), "{:?}", record.notes);
    }
}

#[test]
fn without_a_configuration_the_summary_tells_optimizer_seed_and_epochs() {
    let place = Place::new();
    for config in
        [None, Some("opt = \"adam\"\nlr = -1.0\n"), Some("opt = \"adam\"\nrate = 1\n"), Some("seed = 1\n")]
    {
        let summary = summary(3, false).replace("\"seed\": 7", "\"seed\": 9").replace("adam", "sgd");
        let record = place.read(&[("config.toml", config), ("summary.json", Some(&summary))]).unwrap();
        let options = &record.options;
        assert_eq!((options.opt, options.seed, options.epochs), (OptimizerName::Sgd, 9, 3));
        assert_eq!(record.setting, "hidden layers 512,256, relu, batch 128");
        let [note] = &record.notes[..] else { panic!("{:?}", record.notes) };
        assert!(note.starts_with("config.toml is ") && note.contains("the defaults"), "{note}");
    }
}

#[test]
fn a_configuration_by_hand_need_not_say_what_it_is_about() {
    let place = Place::new();
    let options = CONFIG.split("[about]").next().unwrap();
    for config in [options, &format!("{options}[about]\nversion = 1\n"), &format!("about = 2\n{options}")] {
        let record = place.read(&[("config.toml", Some(config))]).unwrap();
        assert_eq!((record.notes.len(), record.about.version), (0, None));
        assert_eq!(record.setting, "hidden layers 8, relu, batch 32");
    }
}

#[test]
fn an_interrupted_summary_tells_no_epochs() {
    let place = Place::new();
    let record = place.read(&[("config.toml", None), ("summary.json", Some(&summary(3, true)))]).unwrap();
    assert_eq!(record.options.epochs, 10);
    assert!(record.notes[0].contains("optimizer and seed are those of"), "{:?}", record.notes);
}

#[test]
fn without_configuration_and_summary_the_folder_is_refused_with_what_it_should_hold() {
    let place = Place::new();
    let other = summary(3, false).replace("adam", "tiger");
    for summary in [None, Some("{}"), Some(&other[..])] {
        let error = place.read(&[("config.toml", None), ("summary.json", summary)]).unwrap_err().to_string();
        for words in [
            "run: is no run folder that can be read: config.toml is missing",
            "holds config.toml, metrics.csv",
        ] {
            assert!(error.contains(words), "{error}");
        }
    }
}

#[test]
fn a_run_that_finished_nothing_is_a_record_with_notes() {
    let place = Place::new();
    for content in [HEADER, ""] {
        let none =
            [("metrics.csv", Some(content)), ("summary.json", None), ("confusion.csv", None), (MODEL, None)];
        let record = place.read(&none).unwrap();
        assert_eq!((record.test_accuracy(), record.is_whole()), (None, false));
        let expected = [
            "summary.json is missing: there is no test accuracy",
            "metrics.csv holds no row: no epoch was finished",
            "the run stopped or goes on after 0 of 3 epochs",
            "confusion.csv is missing: there is no confusion matrix",
            "model.safetensors is missing: what the network gets wrong cannot be shown",
        ];
        assert_eq!(record.notes, expected);
    }
}

#[test]
fn without_metrics_the_summary_still_counts() {
    let place = Place::new();
    let record = place.read(&[("metrics.csv", None)]).unwrap();
    assert_eq!(record.test_accuracy(), Some(0.95));
    assert_eq!(record.notes, ["metrics.csv is missing: there is no course of the epochs"]);
    let record = place.read(&[("metrics.csv", None), ("summary.json", None)]).unwrap();
    assert_eq!(record.notes[1..], ["summary.json is missing: there is no test accuracy"]);
}

#[test]
fn runs_are_found_at_and_below_the_paths_and_each_counts_once() {
    let place = Place::new();
    for name in ["both/sgd-seed0", "both/adam-seed0", "alone"] {
        place.whole(name);
    }
    fs::create_dir(place.path("both/charts")).unwrap();
    fs::write(place.path("both/compare.csv"), "").unwrap();
    let names = |paths: &[&str]| {
        let paths: Vec<PathBuf> = paths.iter().map(|name| place.path(name)).collect();
        let path = |record: Record| record.path.strip_prefix(place.0.path()).unwrap().display().to_string();
        records(&paths).unwrap().into_iter().map(path).collect::<Vec<_>>()
    };
    assert_eq!(names(&["alone", "both"]), ["alone", "both/adam-seed0", "both/sgd-seed0"]);
    assert_eq!(
        names(&["both/sgd-seed0", "both", "both/../alone", "alone"]),
        ["both/sgd-seed0", "both/adam-seed0", "both/../alone"]
    );
    // The folder of all runs: single ones and comparisons side by side, and no deeper.
    place.whole("both/charts/too/deep");
    assert_eq!(names(&["."]), ["alone", "both/adam-seed0", "both/sgd-seed0"]);
}

#[test]
fn a_run_that_led_nowhere_is_a_note() {
    let place = Place::new();
    let diverged =
        summary(3, false).replace("\"interrupted\"", "\"learning\": \"diverged\", \"interrupted\"");
    let record = place.read(&[("summary.json", Some(&diverged))]).unwrap();
    let [note] = &record.notes[..] else { panic!("{:?}", record.notes) };
    assert!(note.starts_with("the run diverged") && note.ends_with("such as 0.002"), "{note}");
}

#[test]
fn paths_without_a_run_are_refused_with_what_to_name() {
    let place = Place::new();
    fs::create_dir_all(place.path("empty/inner")).unwrap();
    fs::write(place.path("file"), "").unwrap();
    fs::create_dir_all(place.path("many")).unwrap();
    (0..6).for_each(|i| fs::write(place.path(&format!("many/{i}")), "").unwrap());
    place.whole("broken/good");
    place.run("broken/bad", &[("config.toml", None), ("summary.json", None)]);
    for (name, problem) in [
        ("nowhere", "nowhere: there is no such folder; name the folder that mnist or compare wrote"),
        ("file", "file: is no folder; name the folder"),
        ("empty", "empty: holds no run, nor do its folders, but inner/; name the folder"),
        ("empty/inner", "inner: is empty; name the folder"),
        ("many", "many: holds no run, nor do its folders, but 0, 1, 2, 3 and 2 more; name the folder"),
        ("broken", "broken/bad: is no run folder that can be read"),
    ] {
        let error = records(&[place.path(name)]).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_run_that_diverged_has_no_result_and_says_why_and_misses_nothing_else() {
    let place = Place::new();
    let why = "{\"step\": 40, \"place\": \"the loss\", \"learning_rate\": 1000.0}";
    let interrupted = summary(1, true);
    let changes = [
        ("metrics.csv", Some(&metrics(1)[..])),
        ("summary.json", Some(&interrupted[..])), // of an interruption before
        ("confusion.csv", None),
        (MODEL, None),
    ];
    let path = place.run("run", &changes);
    fs::write(path.join(DIVERGED), why).unwrap();
    let record = Record::read(&path).unwrap();
    assert_eq!(record.diverged.as_ref().unwrap().step, 40);
    assert_eq!((record.test_accuracy(), record.is_whole(), record.rows.len()), (None, false, 1));
    assert_eq!(
        record.notes,
        [format!(
            "the run diverged after 1 of 3 epochs, at step 40, where the loss holds an infinite number or NaN (learning rate \
             1000): try a smaller --lr, such as {}",
            smaller_rate(&record.options)
        )]
    );
    fs::write(path.join(DIVERGED), "no JSON").unwrap();
    let record = Record::read(&path).unwrap();
    assert!(
        record.diverged.is_none() && record.notes[0].starts_with("diverged.json is damaged ("),
        "{:?}",
        record.notes
    );
}
