//! Compiles kernel files to images and keeps these by content, so that lint, doc, test and release
//! builds compile each once.
//!
//! An image `gemm-<hash>.fatbin` in `target/cuda-images/` stands for all that went into it: the file,
//! every header, nvcc and the flags. Beside it, `gemm-<hash>.ptxas.txt` holds what ptxas reported of each
//! kernel, its launch bounds, its dynamic shared memory and which of Hopper's instructions its PTX has;
//! `scripts/kernel-resources` and `scripts/machine-code` read these.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, io, thread};

use super::nvcc::{self, Nvcc};
use super::variant::{self, LETTERS, Tuned, Variant};
use super::{Environment, at, ptx};

/// Warnings are errors; ptxas reports registers, shared memory and spills; line numbers cost no speed.
/// No `--use_fast_math`. `size` makes an image a quarter of what the default mode gives.
const FLAGS: [&str; 8] = [
    "-fatbin",
    "-std=c++17",
    "-O3",
    "-Werror=all-warnings",
    "-lineinfo",
    "-Xptxas=-v",
    "--compress-mode=size",
    "--keep", // the PTX, for what ptxas does not report
];

/// The content of the folder `kernels`: files by name, in order, and the two tables.
pub struct Kernels {
    sources: Vec<(String, Vec<u8>)>,
    /// Of the folder `ladder`: kernels to read, and to measure beside the others. No program embeds them.
    ladder: Vec<(String, Vec<u8>)>,
    /// Of the folder `hopper`: kernels for [`super::architectures::HOPPER`] alone.
    hopper: Vec<(String, Vec<u8>)>,
    /// Of the folder `fixtures/hopper`: kernels that lay bare what each of its instructions does. No program embeds them.
    fixtures: Vec<(String, Vec<u8>)>,
    headers: Vec<(String, Vec<u8>)>,
    variants: Vec<Variant>,
    tuned: Vec<Tuned>,
}

/// The tables in `kernels`: which instances templates have, and which were found to be the fastest.
const TABLES: [&str; 2] = ["variants.csv", "tuning.csv"];

/// The folder in `kernels` of what leads from the plainest product to those of `kernels` itself.
const LADDER: &str = "ladder";

/// The folder in `kernels` of those that only Hopper runs.
const HOPPER: &str = "hopper";

/// Those of which a card's answers are recorded, to hold the emulator against.
const FIXTURES: &str = "fixtures/hopper";

impl Kernels {
    /// Reads the `.cu` and `.cuh` files in `folder`, and the tables if they are there.
    pub fn read(folder: &Path) -> Result<Kernels, String> {
        let [variants, tuned] = TABLES.map(|name| folder.join(name));
        let mut kernels = Kernels {
            sources: Vec::new(),
            ladder: sources_in(folder, LADDER)?,
            hopper: sources_in(folder, HOPPER)?,
            fixtures: sources_in(folder, FIXTURES)?,
            headers: Vec::new(),
            variants: read_table(&variants, Variant::read)?,
            tuned: read_table(&tuned, Tuned::read)?,
        };
        for path in files_in(folder)? {
            let files = match path.extension().and_then(OsStr::to_str) {
                Some("cu") => &mut kernels.sources,
                Some("cuh") => &mut kernels.headers,
                _ => continue,
            };
            files.push((name_of(&path), fs::read(&path).map_err(at(&path))?));
        }
        kernels.sources.sort();
        kernels.headers.sort();
        let is_listed = |row: &&Tuned| kernels.variants.iter().any(|variant| row.names(variant));
        if let Some(row) = kernels.tuned.iter().find(|row| !is_listed(row)) {
            return Err(format!(
                "kernels/tuning.csv: {row} names a variant that kernels/variants.csv does not list"
            ));
        }
        Ok(kernels)
    }

    /// The names of all files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().chain(&self.hopper).chain(&self.headers).map(|(name, _)| name.as_str())
    }

    /// The variants of a kernel file that the program embeds, or all others.
    fn variants(&self, stem: &str, set: Set) -> Vec<&Variant> {
        let wanted = |variant: &&Variant| {
            variant.kernel == stem && variant.is_embedded(&self.tuned) == (set != Set::Candidates)
        };
        self.variants.iter().filter(wanted).collect()
    }

    /// The names of the files that become images for every architecture, without `.cu`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|(file, _)| stem(file))
    }

    /// The files to compile of a set.
    fn of(&self, set: Set) -> Vec<&(String, Vec<u8>)> {
        match set {
            Set::Embedded => self.sources.iter().collect(),
            Set::Hopper => self.hopper.iter().collect(),
            Set::Fixtures => self.fixtures.iter().collect(),
            Set::Candidates => {
                let has_some = |(file, _): &&(String, Vec<u8>)| !self.variants(stem(file), set).is_empty();
                self.sources.iter().filter(has_some).chain(&self.ladder).collect()
            }
        }
    }
}

/// What is compiled: of a template, which of its variants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// What the program embeds for every architecture.
    Embedded,
    /// What it embeds beside that for Hopper.
    Hopper,
    /// The rest, which is to be measured: the other variants, and the ladder.
    Candidates,
    /// For Hopper, not embedded: what the emulator is held against.
    Fixtures,
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    entries.map(|entry| Ok(entry.map_err(at(folder))?.path())).collect()
}

/// The `.cu` files of a folder in `kernels`, which need not be there: `ladder/1-plain.cu`.
fn sources_in(kernels: &Path, folder: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let path = kernels.join(folder);
    let mut files = if path.is_dir() { files_in(&path)? } else { Vec::new() };
    files.retain(|path| path.extension() == Some(OsStr::new("cu")));
    files.sort();
    let read =
        |path: &PathBuf| Ok((format!("{folder}/{}", name_of(path)), fs::read(path).map_err(at(path))?));
    files.iter().map(read).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A table that need not be there.
fn read_table<T>(path: &Path, read: impl Fn(&str) -> Result<Vec<T>, String>) -> Result<Vec<T>, String> {
    match fs::read_to_string(path) {
        Ok(text) => read(&text).map_err(|problem| format!("{}: {problem}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(at(path)(error)),
    }
}

/// `gemm` for `gemm.cu`.
fn stem(file: &str) -> &str {
    file.strip_suffix(".cu").unwrap_or(file)
}

/// The images that were compiled before, and the way to compile others.
pub struct Cache<'a> {
    folder: PathBuf,
    scratch: PathBuf,
    root: &'a Path,
    nvcc: &'a Nvcc,
    flags: Vec<String>,
    /// nvcc and all flags, hashed.
    hasher: DefaultHasher,
}

impl<'a> Cache<'a> {
    /// `own_flags` are those that nvcc takes from its environment.
    pub fn new(
        environment: &'a Environment,
        nvcc: &'a Nvcc,
        architectures: Vec<String>,
        own_flags: &[Option<&OsStr>],
    ) -> Cache<'a> {
        let flags = [FLAGS.map(String::from).to_vec(), architectures].concat();
        let mut hasher = DefaultHasher::new(); // may change with Rust's release: then all is compiled anew
        (&nvcc.version, &flags, own_flags).hash(&mut hasher);
        Cache {
            folder: environment.target.join("cuda-images"),
            scratch: environment.out.join("scratch"),
            root: &environment.root,
            nvcc,
            flags,
            hasher,
        }
    }

    /// Each kernel file's name and image, compiled on all processors where the cache has none; of candidates, the
    /// files that have some, and the ladder's. If several fail, the error holds the output of each.
    pub fn images<'k>(&self, kernels: &'k Kernels, set: Set) -> Result<Vec<(&'k str, Vec<u8>)>, String> {
        fs::create_dir_all(&self.folder).map_err(at(&self.folder))?;
        let mut sources = kernels.of(set);
        sources.sort_by_key(|(_, text)| std::cmp::Reverse(text.len())); // the longest job should not come last

        let next = AtomicUsize::new(0);
        let work = || {
            let sources = std::iter::from_fn(|| sources.get(next.fetch_add(1, Ordering::Relaxed)));
            sources.map(|source| (stem(&source.0), self.image(source, kernels, set))).collect::<Vec<_>>()
        };
        let workers = thread::available_parallelism().map_or(1, NonZero::get).min(sources.len());
        let results = thread::scope(|scope| {
            let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let done = handles
                .into_iter()
                .flat_map(|handle| handle.join().unwrap_or_else(|cause| resume_unwind(cause)));
            done.collect::<Vec<_>>()
        });

        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for (name, result) in results {
            match result {
                Ok(image) => images.push((name, image)),
                Err(failure) => failures.push(failure),
            }
        }
        if failures.is_empty() {
            return Ok(images);
        }
        failures.sort();
        failures.push("NVCC=none builds without the kernels, for the CPU only.".into());
        Err(failures.join("\n\n"))
    }

    /// One kernel file's image.
    fn image(&self, source: &(String, Vec<u8>), kernels: &Kernels, set: Set) -> Result<Vec<u8>, String> {
        let variants = kernels.variants(stem(&source.0), set);
        let shared = variants.iter().flat_map(|variant| dynamic_shared(variant)).collect::<String>();
        let variants = variant::header(variants);
        let mut hasher = self.hasher.clone();
        (source, &kernels.headers, &variants).hash(&mut hasher);
        let stem = match set {
            Set::Embedded | Set::Hopper => stem(&source.0).replace('/', "."),
            Set::Candidates | Set::Fixtures => format!("candidates.{}", stem(&source.0).replace('/', ".")),
        };
        let key = format!("{stem}-{:016x}", hasher.finish());
        let cached = self.folder.join(format!("{key}.fatbin"));
        match fs::read(&cached) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result.map_err(at(&cached)),
        }
        // Builds of other profiles may be compiling the same: each works in its own out folder until it is done.
        let scratch = self.scratch.join(&stem);
        let _ = fs::remove_dir_all(&scratch); // of a build that was killed
        fs::create_dir_all(&scratch).map_err(at(&scratch))?;
        let header = scratch.join("variants.cuh");
        fs::write(&header, variants).map_err(at(&header))?;
        let image = self.compile(&source.0, &scratch, &cached, &shared);
        let _ = fs::remove_dir_all(&scratch); // what stays behind does no harm
        if image.is_ok() {
            self.remove_older(&stem, &key);
        }
        image
    }

    /// Compiles a kernel file in the folder `scratch`, which has the header that only the build knows, and moves
    /// image and report to where `cached` says.
    fn compile(&self, file: &str, scratch: &Path, cached: &Path, shared: &str) -> Result<Vec<u8>, String> {
        let compiled = scratch.join("image.fatbin");
        let mut command = self.nvcc.command(self.root);
        command
            .args(&self.flags)
            .args(["-I", "kernels"])
            .arg("-I")
            .arg(scratch)
            .arg("--keep-dir")
            .arg(scratch);
        command.arg(format!("kernels/{file}")).arg("-o").arg(&compiled);
        let printed = nvcc::output(&mut command)
            .map_err(|failure| format!("nvcc could not compile kernels/{file}: {failure}"))?;

        let ptx = ptx_in(scratch)?;
        let complaints = ptx::complaints(file, &printed, &ptx);
        if !complaints.is_empty() {
            return Err(format!(
                "the machine code of kernels/{file} is not what its kernels ask for:\n{}",
                complaints.join("\n")
            ));
        }

        let report = scratch.join("report");
        let text = [self.nvcc.version.as_str(), &printed, &ptx::told(&ptx).concat(), shared].join("\n");
        fs::write(&report, text).map_err(at(&report))?;
        let image = fs::read(&compiled).map_err(at(&compiled))?;
        // The report first: where there is an image, there is a report.
        fs::rename(&report, beside(cached, "ptxas.txt")).map_err(at(cached))?;
        fs::rename(&compiled, cached).map_err(at(cached))?;
        Ok(image)
    }

    /// Removes what the cache holds of the same kernel file under other keys. Errors are let pass: another
    /// build may have removed them already.
    fn remove_older(&self, stem: &str, key: &str) {
        let is_key =
            |name: &str| name.len() == key.len() && name.starts_with(&format!("{stem}-")) && name != key;
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let of = |ending: &str| name.strip_suffix(ending).is_some_and(is_key);
            if of(".fatbin") || of(".ptxas.txt") {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// A file of the same name with another ending: names have a point of their own.
fn beside(image: &Path, ending: &str) -> PathBuf {
    let name = image.file_stem().unwrap_or_default().to_string_lossy();
    image.with_file_name(format!("{name}.{ending}"))
}

/// What launches of a variant's kernels ask for, which ptxas does not know: lines such as
/// `dynamic shared memory : 'gemm_nn_128x128x16_8x8_s2_b2' 36864 bytes`.
fn dynamic_shared(variant: &Variant) -> impl Iterator<Item = String> {
    LETTERS.iter().map(|letters| {
        let (entry, bytes) = (variant.entry(letters), variant.shared_bytes(letters));
        format!("dynamic shared memory : '{entry}' {bytes} bytes\n")
    })
}

/// The PTX files of a folder, one after the other.
fn ptx_in(folder: &Path) -> Result<String, String> {
    let mut files = files_in(folder)?;
    files.retain(|path| path.extension() == Some(OsStr::new("ptx")));
    files.sort();
    files.iter().map(|path| fs::read_to_string(path).map_err(at(path))).collect()
}
