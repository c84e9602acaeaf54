//! Files import downwards: no file uses another that uses it, directly or around a circle.
//!
//! The sources are read as text. A path counts for the file that defines its item, whichever module
//! hands it on; what is compiled for tests alone does not count, and `mod` alone imports nothing.

mod checker;
mod circles;
mod imports;
mod source;
mod tokens;

use std::fs;
use std::path::Path;

use circles::shortest;
use imports::{Files, Import, imports};

fn read(folder: &Path, below: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, below, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(below).unwrap().to_str().unwrap().replace('\\', "/");
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

fn said(circle: &[&Import]) -> String {
    let lines = circle
        .iter()
        .map(|Import { from, line, path, to }| format!("  src/{from}:{line} uses {path} of src/{to}\n"));
    lines.collect()
}

/// Folders whose files are one: an operation's row holds its value and its derivative, and the derivative is written in the
/// handles that are made of operations.
const ONE: [&str; 1] = ["ops/"];

/// The file, or the folder that is one with it.
fn unit(file: &str) -> String {
    ONE.into_iter().find(|folder| file.starts_with(folder)).unwrap_or(file).to_owned()
}

#[test]
fn no_file_imports_another_that_imports_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Files::new();
    read(&src, &src, &mut files);
    let of_units = |import: Import| Import { from: unit(&import.from), to: unit(&import.to), ..import };
    let imports = imports(&files, &["lib.rs", "main.rs"]);
    assert!(imports.len() > 1000, "{} imports were found", imports.len());
    let mut imports: Vec<Import> =
        imports.into_iter().map(of_units).filter(|import| import.from != import.to).collect();

    // All of them at once: each is opened where it closes, to find the next.
    let mut circles = Vec::new();
    while let Some(circle) = shortest(&imports) {
        circles.push(said(&circle));
        let closing = circle[circle.len() - 1].clone();
        imports.retain(|import| (&import.from, &import.to) != (&closing.from, &closing.to));
    }
    assert!(circles.is_empty(), "these files import each other in circles:\n{}", circles.join("\n"));
}
