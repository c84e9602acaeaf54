//! Finding the four files of a data set in a folder, under the names that people meet them by.
//!
//! A name is `[set-]split-kind-idxN-type[.gz]`: `train-images-idx3-ubyte` as MNIST's authors have it, with a dot in place of
//! a dash as others do (`train-images.idx3-ubyte`), and with the set in front as EMNIST and QMNIST do
//! (`emnist-letters-test-images-idx3-ubyte.gz`). The name decides what a file is for, its content the rest. Files whose names
//! begin alike are a set; a folder with several sets, or with two files for one purpose, is not guessed about.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::DataError;

/// What a file is for, in the order of [`FILE_NAMES`](super::FILE_NAMES).
struct Role {
    what: &'static str,
    /// The ends of names, in front of `-idxN-type`.
    stems: &'static [&'static str],
}

const ROLES: [Role; 4] = [
    Role { what: "training images", stems: &["train-images"] },
    Role { what: "training labels", stems: &["train-labels"] },
    Role { what: "test images", stems: &["t10k-images", "test-images"] },
    Role { what: "test labels", stems: &["t10k-labels", "test-labels"] },
];

/// The types of elements as names spell them.
const TYPES: [&str; 6] = ["ubyte", "byte", "short", "int", "float", "double"];

/// What a name says.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Name {
    /// What stands in front, such as `emnist-letters-`.
    set: String,
    role: usize,
    /// The name without `.gz`.
    base: String,
    gzip: bool,
}

impl Name {
    fn of(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let base = lower.strip_suffix(".gz").unwrap_or(&lower);
        let (stem, rest) = base.rsplit_once("idx")?;
        let (dimensions, kind) = rest.split_once('-')?;
        let is_number = !dimensions.is_empty() && dimensions.bytes().all(|byte| byte.is_ascii_digit());
        let stem = stem.strip_suffix(['-', '.']).filter(|_| is_number && TYPES.contains(&kind))?;
        let ends = ROLES
            .iter()
            .enumerate()
            .flat_map(|(role, Role { stems, .. })| stems.iter().map(move |end| (role, end)));
        let (role, set) = ends.into_iter().find_map(|(role, end)| Some((role, stem.strip_suffix(end)?)))?;
        let is_apart = set.is_empty() || set.ends_with(['-', '.', '_']);
        is_apart.then(|| Self { set: set.into(), role, base: base.into(), gzip: base.len() < lower.len() })
    }
}

/// The candidates for each role, with what their names say.
type Candidates = [Vec<(Name, PathBuf)>; 4];

/// The files of the one data set that a folder holds, in the order of [`FILE_NAMES`](super::FILE_NAMES).
pub fn find(folder: &Path) -> Result<[PathBuf; 4], DataError> {
    match folder.metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            return Err(DataError::NotAFolder { folder: folder.to_owned(), hint: instead_of_file(folder) });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DataError::FolderMissing { folder: folder.to_owned() });
        }
        Err(source) => return Err(unreadable(folder, source)),
    }
    let sets = sets(folder).map_err(|source| unreadable(folder, source))?;
    let is_whole = |set: &&Candidates| set.iter().all(|files| !files.is_empty());
    let whole: Vec<&Candidates> = sets.values().filter(is_whole).collect();
    match whole[..] {
        [] => Err(missing(folder, &sets)),
        [[train_images, train_labels, test_images, test_labels]] => {
            let one = |files| only(folder, files);
            Ok([one(train_images)?, one(train_labels)?, one(test_images)?, one(test_labels)?])
        }
        _ => {
            let names: Vec<String> = whole.iter().map(|set| file_name(&set[0][0].1)).collect();
            let what = "more than one data set".into();
            Err(DataError::Ambiguous { folder: folder.to_owned(), what, names: names.join(" and ") })
        }
    }
}

/// All that names say of a folder's files, by set.
fn sets(folder: &Path) -> io::Result<BTreeMap<String, Candidates>> {
    let mut sets: BTreeMap<String, Candidates> = BTreeMap::new();
    let mut entries =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(Name::of) {
            sets.entry(name.set.clone()).or_default()[name.role].push((name, path));
        }
    }
    for files in sets.values_mut().flatten() {
        // Archives unpack into folders of their files' names, too; such a folder counts where there is no file.
        if files.iter().any(|(_, path)| !path.is_dir()) {
            files.retain(|(_, path)| !path.is_dir());
        }
    }
    Ok(sets)
}

/// The file of a role: of a raw file and the same compressed, the raw one.
fn only(folder: &Path, files: &[(Name, PathBuf)]) -> Result<PathBuf, DataError> {
    let mut by_base: BTreeMap<&str, Vec<&(Name, PathBuf)>> = BTreeMap::new();
    for file in files {
        by_base.entry(&file.0.base).or_default().push(file);
    }
    let mut chosen = by_base.values().filter_map(|twins| twins.iter().min_by_key(|(name, _)| name.gzip));
    match (chosen.next(), chosen.next()) {
        (Some((_, path)), None) => Ok(path.clone()),
        (first, second) => {
            let names: Vec<String> =
                first.into_iter().chain(second).map(|(_, path)| file_name(path)).collect();
            let what = files.first().map_or("", |(name, _)| ROLES[name.role].what);
            let what = format!("two files of {what}");
            Err(DataError::Ambiguous { folder: folder.to_owned(), what, names: names.join(" and ") })
        }
    }
}

/// The error for a folder without a whole set: what is missing from the one that is nearest to whole, what is there, and
/// what to do.
fn missing(folder: &Path, sets: &BTreeMap<String, Candidates>) -> DataError {
    let there = |set: &Candidates| set.iter().filter(|files| !files.is_empty()).count();
    let nearest = sets.iter().rev().max_by_key(|(_, set)| there(set)); // of equals the first
    let (set, absent) = match nearest {
        Some((set, files)) => (&set[..], (0..4).filter(|&role| files[role].is_empty()).collect()),
        None => ("", (0..4).collect::<Vec<_>>()),
    };
    let what: Vec<&str> = absent.iter().map(|&role| ROLES[role].what).collect();
    let names: Vec<String> = absent.iter().map(|&role| format!("{set}{}", super::FILE_NAMES[role])).collect();
    let hint = what_to_do(folder, &listed(&names));
    DataError::FilesMissing { folder: folder.to_owned(), what: listed(&what), hint }
}

/// `a, b and c`.
fn listed(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match &words[..] {
        [] => String::new(),
        [one] => (*one).into(),
        [others @ .., end] => format!("{} and {end}", others.join(", ")),
    }
}

/// The most names of a folder that a message holds.
const SHOWN: usize = 6;

/// What is in a folder that lacks files of these names, and what to do.
fn what_to_do(folder: &Path, names: &str) -> String {
    let entries =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut entries: Vec<PathBuf> = entries.collect();
    entries.sort();
    if let Some(inner) = inner_set(&entries, 2) {
        return format!("{} holds a whole set: name that folder", inner.display());
    }
    let put = format!("put there, raw or with .gz, {names}");
    if entries.is_empty() {
        return format!("it is empty: {put}");
    }
    let shown = entries.iter().take(SHOWN).map(|path| match path.is_dir() {
        true => format!("{}/", file_name(path)),
        false => file_name(path),
    });
    let mut held = shown.collect::<Vec<_>>().join(", ");
    if entries.len() > SHOWN {
        held += &format!(" and {} more", entries.len() - SHOWN);
    }
    match entries.iter().find_map(|path| advice(path)) {
        Some(advice) => format!("it holds {held}: {advice}, and {put}"),
        None => format!("it holds {held}: {put}, or rename what is there to it"),
    }
}

/// The first folder with a whole set, down to this depth.
fn inner_set(entries: &[PathBuf], depth: usize) -> Option<PathBuf> {
    const LOOKED_AT: usize = 100; // a folder of a million folders is not searched
    let folders = || entries.iter().take(LOOKED_AT).filter(|path| path.is_dir());
    let is_whole = |sets: BTreeMap<String, Candidates>| {
        sets.values().any(|set| set.iter().all(|files| files.iter().any(|(_, path)| path.is_file())))
    };
    let here = folders().find(|path| sets(path).is_ok_and(is_whole)).cloned();
    here.or_else(|| {
        let depth = depth.checked_sub(1).filter(|&depth| depth > 0)?;
        folders().find_map(|path| {
            let inner = fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
            inner_set(&inner.collect::<Vec<_>>(), depth)
        })
    })
}

/// What to do with a file that is no IDX file, by its ending.
fn advice(path: &Path) -> Option<String> {
    let name = file_name(path);
    let lower = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    if ends(&[".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar", ".xz"]) {
        return Some(format!("unpack {name} first"));
    }
    let kind = [
        (&[".parquet"][..], "Parquet"),
        (&[".png", ".jpg", ".jpeg"], "pictures"),
        (&[".npz", ".npy"], "NumPy arrays"),
        (&[".csv", ".tsv"], "tables"),
        (&[".pt", ".pkl"], "Python objects"),
        (&[".mat"], "MATLAB arrays"),
    ];
    let (_, kind) = kind.into_iter().find(|(endings, _)| ends(endings))?;
    Some(format!(
        "{name} is of {kind}: convert them to IDX files (docs/data.md of the project has the lines of Python)"
    ))
}

/// What to name in place of a file.
fn instead_of_file(path: &Path) -> String {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match Name::of(&file_name(path)) {
        Some(_) => format!("name the folder that it is in: --data {}", folder.display()),
        None => match advice(path) {
            Some(advice) => format!("{advice}, and name the folder with the IDX files"),
            None => format!("name the folder that holds {}", super::FILE_NAMES.join(", ")),
        },
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn unreadable(path: &Path, source: io::Error) -> DataError {
    DataError::Unreadable { file: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_say_set_and_role() {
        for (name, set, role) in [
            ("train-images-idx3-ubyte", "", 0),
            ("train-images.idx3-ubyte", "", 0),
            ("t10k-labels.idx1-ubyte.gz", "", 3),
            ("emnist-letters-test-images-idx3-ubyte.gz", "emnist-letters-", 2),
            ("qmnist-train-labels-idx2-int.gz", "qmnist-", 1),
            ("Train-Images-IDX3-ubyte.GZ", "", 0),
            ("my_train-images-idx3-float", "my_", 0),
        ] {
            let found = Name::of(name).unwrap();
            assert_eq!((&found.set[..], found.role), (set, role), "{name}");
        }
    }

    #[test]
    fn other_names_say_nothing() {
        for name in [
            "train-images",
            "train-images-idx3-ubyte.zip",
            "train-images-idx-ubyte",
            "train-images-idx3-utf8",
            "pretrain-images-idx3-ubyte",
            "train-image-idx3-ubyte",
            "train-imagesidx3-ubyte",
            "emnist-letters-mapping.txt",
            "",
        ] {
            assert_eq!(Name::of(name), None, "{name}");
        }
    }
}
