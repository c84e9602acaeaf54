//! Which files of a folder are read, and what is said of a folder that lacks some.

use super::*;

/// A folder with the four files under these names.
fn named(names: [&str; 4]) -> TempDir {
    let (folder, write) = folder();
    for (name, content) in names.into_iter().zip(four_files()) {
        let content = if name.ends_with(".gz") { gzip(&content) } else { content };
        write(name, &content);
    }
    folder
}

fn read(folder: &TempDir) -> Result<Dataset, DataError> {
    Dataset::from_folder(folder.path())
}

#[test]
fn data_are_found_under_their_usual_names() {
    for names in [
        [
            "train-images.idx3-ubyte",
            "train-labels.idx1-ubyte",
            "t10k-images.idx3-ubyte",
            "t10k-labels.idx1-ubyte",
        ],
        [
            "emnist-letters-train-images-idx3-ubyte.gz",
            "emnist-letters-train-labels-idx1-ubyte.gz",
            "emnist-letters-test-images-idx3-ubyte.gz",
            "emnist-letters-test-labels-idx1-ubyte.gz",
        ],
        [
            "qmnist-train-images-idx3-ubyte",
            "qmnist-train-labels-idx2-int.gz",
            "qmnist-test-images-idx3-ubyte",
            "qmnist-test-labels-idx2-int.gz",
        ],
        [
            "train-images-idx3-ubyte",
            "train-labels.idx1-ubyte.gz",
            "test-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte",
        ],
    ] {
        assert_eq!(read(&named(names)).unwrap(), from_memory(&four_files()).unwrap(), "{names:?}");
    }
}

#[test]
fn folders_of_the_files_names_are_passed_over() {
    let folder = named([
        "train-images.idx3-ubyte",
        "train-labels.idx1-ubyte",
        "t10k-images.idx3-ubyte",
        "t10k-labels.idx1-ubyte",
    ]);
    for name in FILE_NAMES {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    assert_eq!(read(&folder).unwrap(), from_memory(&four_files()).unwrap());
}

#[test]
fn a_whole_set_is_taken_and_a_part_of_another_is_not() {
    let folder = named(FILE_NAMES);
    fs::write(folder.path().join("emnist-train-images-idx3-ubyte"), b"another").unwrap();
    assert_eq!(read(&folder).unwrap(), from_memory(&four_files()).unwrap());
}

#[test]
fn two_sets_in_a_folder_are_both_named() {
    let folder = named(FILE_NAMES);
    for (name, content) in FILE_NAMES.iter().zip(four_files()) {
        fs::write(folder.path().join(format!("emnist-letters-{name}.gz")), gzip(&content)).unwrap();
    }
    let error = read(&folder).unwrap_err();
    assert!(matches!(error, DataError::Ambiguous { .. }), "{error:?}");
    let names = "train-images-idx3-ubyte and emnist-letters-train-images-idx3-ubyte.gz";
    assert_says(&error, &["more than one data set", names, "of their own"]);
}

#[test]
fn two_files_for_one_purpose_are_both_named() {
    for (other, what) in [
        (
            "train-images.idx3-ubyte",
            "two files of training images: train-images-idx3-ubyte and train-images.idx3-ubyte",
        ),
        ("train-images.idx3-ubyte.gz", "train-images-idx3-ubyte and train-images.idx3-ubyte.gz"),
        ("train-labels-idx2-int", "two files of training labels"),
        (
            "test-labels-idx1-ubyte",
            "two files of test labels: t10k-labels-idx1-ubyte and test-labels-idx1-ubyte",
        ),
    ] {
        let folder = named(FILE_NAMES);
        fs::write(folder.path().join(other), b"").unwrap();
        let error = read(&folder).unwrap_err();
        assert!(matches!(error, DataError::Ambiguous { .. }), "{error:?}");
        assert_says(&error, &[what, "put the four files that belong together into a folder of their own"]);
    }
}

#[test]
fn missing_files_are_named_with_what_is_there() {
    let folder = named(FILE_NAMES);
    fs::remove_file(folder.path().join(FILE_NAMES[1])).unwrap();
    let error = read(&folder).unwrap_err();
    let path = folder.path().to_str().unwrap();
    assert_says(
        &error,
        &[path, "lacks training labels; it holds t10k-images", "put there", FILE_NAMES[1], ".gz"],
    );

    let folder = named(FILE_NAMES.map(|name| name.replace("images", "pictures").leak() as &str));
    let error = read(&folder).unwrap_err();
    assert_says(&error, &["lacks training images and test images", "train-pictures-idx3-ubyte", "rename"]);

    // Of another set, and so not belonging to the rest.
    let folder = named([
        "qmnist-train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "qmnist-test-images-idx3-ubyte",
        "qmnist-test-labels-idx1-ubyte",
    ]);
    assert_says(&read(&folder).unwrap_err(), &["lacks training labels", "qmnist-train-labels-idx1-ubyte"]);
}

#[test]
fn a_folder_of_something_else_is_named_with_what_to_do() {
    for (files, words) in [
        (&[][..], &["it is empty", FILE_NAMES[0], FILE_NAMES[3]][..]),
        (&["archive.zip"], &["it holds archive.zip", "unpack archive.zip first"]),
        (&["train.parquet", "test.parquet"], &["Parquet", "convert them to IDX files", "docs/data.md"]),
        (&["0001.png", "0002.png"], &["pictures", "convert them to IDX files"]),
        (&["a", "b", "c", "d", "e", "f", "g", "h"], &["it holds a, b, c, d, e, f and 2 more: put there"]),
    ] {
        let (folder, write) = folder();
        files.iter().for_each(|name| write(name, b""));
        let error = read(&folder).unwrap_err();
        assert!(matches!(error, DataError::FilesMissing { .. }), "{error:?}");
        assert_says(&error, words);
    }
}

#[test]
fn a_folder_above_the_data_is_answered_with_the_folder_of_the_data() {
    for inner in ["raw", "MNIST/raw"] {
        let outer = TempDir::new().unwrap();
        let inner = outer.path().join(inner);
        fs::create_dir_all(&inner).unwrap();
        for (name, content) in FILE_NAMES.iter().zip(four_files()) {
            fs::write(inner.join(name), content).unwrap();
        }
        let words = format!("{} holds a whole set: name that folder", inner.display());
        assert_says(&read(&outer).unwrap_err(), &[&words]);
    }
}

#[test]
fn a_file_in_place_of_the_folder_is_answered_with_what_to_name() {
    let folder = named(FILE_NAMES);
    let path = folder.path().display().to_string();
    let of_data = format!("name the folder that it is in: --data {path}");
    for (name, words) in [
        ("file", &["file is not a folder", "name the folder that holds train-images-idx3-ubyte"][..]),
        (FILE_NAMES[2], &["t10k-images-idx3-ubyte is not a folder", &of_data]),
        ("mnist.zip", &["mnist.zip is not a folder", "unpack mnist.zip first"]),
        ("mnist.npz", &["NumPy arrays", "convert them to IDX"]),
    ] {
        fs::write(folder.path().join(name), b"").unwrap();
        let error = Dataset::from_folder(&folder.path().join(name)).unwrap_err();
        assert!(matches!(error, DataError::NotAFolder { .. }), "{error:?}");
        assert_says(&error, words);
    }
}
