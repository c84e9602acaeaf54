//! The program as its users meet it: what it writes and prints, refuses and survives.
//!
//! Nearly all runs train on a data set of their own making, three classes of 12 x 12 images that differ
//! in which third is bright, so that a whole run takes milliseconds.

mod backprop;
mod bad_input;
mod compare;
mod compare_torch;
mod data_folder;
#[cfg(target_os = "linux")] // the emulated driver
mod devices;
#[cfg(target_os = "linux")]
mod doctor;
#[cfg(target_os = "linux")] // a library that is loaded before others
mod faults;
mod help;
mod init;
mod learning;
mod memory;
mod mnist;
#[cfg(target_os = "linux")]
mod on_device;
mod protection;
mod report;
mod resume;
mod resume_refused;
mod signals;
#[cfg(target_os = "linux")]
mod terminal;
mod trace;
mod trouble;
#[cfg(target_os = "linux")]
mod tuning;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cotangent");

/// Training images of the small data set: 9 batches of 32 and one of 12.
const TRAIN: usize = 300;
const TEST: usize = 90;

/// The files of a finished run.
const FILES: [&str; 13] = [
    "SHA256SUMS",
    "accuracy.png",
    "accuracy.svg",
    "config.toml",
    "confusion.csv",
    "confusion.png",
    "confusion.svg",
    "finished.safetensors",
    "metrics.csv",
    "model.safetensors",
    "objective.png",
    "objective.svg",
    "summary.json",
];

/// An empty folder to work in, with the small data set in `data/`.
struct Workplace {
    folder: TempDir,
}

impl Workplace {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        write_data(&place.path("data"), [12, 12], 3, [TRAIN, TEST]);
        place
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program, to be run in this folder.
    fn program(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("CUDA_VISIBLE_DEVICES", "-1"); // where there is a card, the runs are on the CPU all the same
        command
    }

    /// The program, to be run in this folder, with signals as a terminal has them: what ignores one, as `nohup` and a script's
    /// `&` make it, hands that down, and so may whoever started the tests.
    #[cfg(unix)]
    fn attentive(&self) -> Command {
        use std::os::unix::process::CommandExt;
        unsafe extern "C" {
            fn signal(number: i32, action: usize) -> usize;
        }
        const DEFAULT: usize = 0; // SIG_DFL
        let mut command = self.program();
        let listen = || {
            for number in [1, 2, 15] {
                // SAFETY: the function of POSIX, which may be called between fork and exec, with its own constant.
                unsafe { signal(number, DEFAULT) };
            }
            Ok(())
        };
        // SAFETY: nothing is called but what may be called there.
        unsafe { command.pre_exec(listen) };
        command
    }

    /// The program, to be run in this folder, where its driver is the emulated one and its kernels are those
    /// that the emulator runs.
    #[cfg(target_os = "linux")]
    fn emulated(&self) -> Command {
        let mut command = self.with_emulated_driver();
        command.env("COTANGENT_CUDA_IMAGE", &crate::emulator::emulator().built.image);
        command
    }

    /// As [`Self::emulated`], with the kernels that the build embedded, which the emulator cannot run.
    #[cfg(target_os = "linux")]
    fn with_emulated_driver(&self) -> Command {
        let library = &crate::emulator::emulator().built.library;
        let mut command = self.without_driver();
        command.env("LD_LIBRARY_PATH", library.parent().unwrap());
        command
    }

    /// The program, to be run in this folder, where it finds no driver but the machine's own, if there is one.
    #[cfg(target_os = "linux")]
    fn without_driver(&self) -> Command {
        let mut command = self.program();
        command.env_remove("LD_LIBRARY_PATH").env_remove("COTANGENT_CUDA_IMAGE");
        command
    }

    /// Runs the program with these arguments, parted by spaces.
    fn run(&self, arguments: &str) -> Finished {
        Finished::of(self.program().args(arguments.split_whitespace()))
    }

    /// `mnist` on the small data set: two epochs of a small network.
    fn mnist(&self, arguments: &str) -> Finished {
        self.run(&format!("mnist {} {arguments}", small(arguments)))
    }

    /// `compare` on the small data set.
    fn compare(&self, arguments: &str) -> Finished {
        self.run(&format!("compare {} {arguments}", small(arguments)))
    }

    /// Runs a shell script, in which `$0` is the program.
    fn shell(&self, script: &str) -> Finished {
        Finished::of(Command::new("sh").current_dir(self.folder.path()).arg("-c").arg(script).arg(PROGRAM))
    }

    /// The names in a folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The options of a small run, those left out that the arguments give.
fn small(arguments: &str) -> String {
    [("--data", "data"), ("--epochs", "2"), ("--hidden", "16"), ("--batch-size", "32"), ("--threads", "1")]
        .iter()
        .filter(|(option, _)| !arguments.contains(option))
        .map(|(option, value)| format!("{option} {value} "))
        .collect()
}

/// How a command ended.
struct Finished {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Finished {
    fn of(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }

    /// That it ended well.
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.status, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// That it ended with this status and one message, which holds all these words; returns the message.
    #[track_caller]
    fn failed(self, status: i32, words: &[&str]) -> String {
        let Self { stdout, stderr, .. } = &self;
        assert_eq!(self.status, Some(status), "{stdout}{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
        let messages = stderr.lines().filter(|line| line.starts_with("error: "));
        assert_eq!(messages.count(), 1, "more than one message: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
        }
        self.stderr
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Writes a data set of images of (rows, columns) pixels; image i is of class i mod `classes`, shown by
/// where it is bright.
fn write_data(folder: &Path, [rows, columns]: [usize; 2], classes: usize, counts: [usize; 2]) {
    fs::create_dir_all(folder).unwrap();
    let pixels = rows * columns;
    let mut noise = 1_u32;
    for (split, count) in ["train", "t10k"].into_iter().zip(counts) {
        let mut images = Vec::new();
        for image in 0..count {
            let class = image % classes;
            images.extend((0..pixels).map(|pixel| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let bright = if pixel * classes.min(pixels) / pixels == class % pixels { 150 } else { 0 };
                bright + (noise >> 24) as u8 / 3
            }));
        }
        let labels: Vec<u8> = (0..count).map(|image| (image % classes) as u8).collect();
        fs::write(
            folder.join(format!("{split}-images-idx3-ubyte")),
            idx(0x803, &[count, rows, columns], &images),
        )
        .unwrap();
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), idx(0x801, &[count], &labels)).unwrap();
    }
}

/// An IDX file: magic number, dimensions, elements.
fn idx(magic: u32, dimensions: &[usize], elements: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    bytes.extend(dimensions.iter().flat_map(|&n| (n as u32).to_be_bytes()));
    bytes.extend(elements);
    bytes
}

/// The lines of a CSV file as lists of cells, the header first.
fn cells(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split(',').collect()).collect()
}

/// `metrics.csv` without the columns that a clock decides.
fn metrics_without_times(text: &str) -> Vec<Vec<&str>> {
    let mut rows = cells(text);
    for row in &mut rows {
        row.drain(6..8);
    }
    rows
}

/// All files below a folder with their contents: to see that nothing has changed.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(contents(&path)),
            false => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    files
}

fn is_png(path: &Path) -> bool {
    fs::read(path).unwrap().starts_with(b"\x89PNG\r\n\x1a\n")
}

fn is_svg(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap();
    roxmltree::Document::parse(&text).unwrap().root_element().tag_name().name() == "svg"
}

/// One argument that need not be text.
fn bytes(argument: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(argument)
}
