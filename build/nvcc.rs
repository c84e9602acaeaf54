//! nvcc: where it is, what it is, how it is run.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::{Environment, architectures};

/// The oldest toolkit that serves: the first whose nvcc compiles for Blackwell (`sm_100`, `sm_120`) and
/// has `--compress-mode`. An older one would give a program that is slow to start on new cards.
const OLDEST: (i32, i32) = (12, 8);

/// How the search for nvcc ended.
pub enum Search {
    /// It is this file.
    Found(PathBuf),
    /// Nowhere.
    Missing,
    /// `NVCC=none`.
    TurnedOff,
}

/// Looks for nvcc: `NVCC`, then `CUDA_HOME`, `CUDA_PATH`, `PATH`, the usual folders, Python environments.
/// A `NVCC` that names no file is an error, for it was meant.
pub fn search(environment: &Environment) -> Result<Search, String> {
    match environment.variable("NVCC") {
        Some(value) if value == "none" => Ok(Search::TurnedOff),
        Some(value) => match named(environment, Path::new(value)) {
            Some(path) => Ok(Search::Found(path)),
            None => Err(format!(
                "NVCC={}: there is no such file. Unset NVCC to have nvcc looked for, or set NVCC=none to build \
                 for the CPU only.",
                value.display()
            )),
        },
        None => {
            Ok(candidates(environment).find(|path| path.is_file()).map_or(Search::Missing, Search::Found))
        }
    }
}

/// The file that `NVCC` names: a name on `PATH`, or a path, if not absolute then from the crate's root.
fn named(environment: &Environment, value: &Path) -> Option<PathBuf> {
    let is_name = value.components().count() == 1;
    let on_path = is_name.then(|| folders_on_path(environment)).into_iter().flatten();
    on_path.map(|folder| folder.join(value)).chain([environment.root.join(value)]).find(|path| path.is_file())
}

/// The places where nvcc may be, in the order of preference. Lazy, so that only the variables that
/// decide are watched.
fn candidates(environment: &Environment) -> impl Iterator<Item = PathBuf> {
    let cuda = ["CUDA_HOME", "CUDA_PATH"].into_iter();
    let cuda = cuda.filter_map(|name| environment.variable(name)).map(|folder| Path::new(folder).join("bin"));
    let path = Some(environment).into_iter().flat_map(folders_on_path);
    let usual = environment.usual_folders.iter().cloned();
    let python = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(|name| environment.variable(name));
    let python = python.map(PathBuf::from).chain([environment.root.join(".venv")]);
    let wheels =
        python.flat_map(|folder| site_packages(&folder)).map(|folder| folder.join("nvidia/cu13/bin"));
    let folders = cuda.chain(path).chain(usual).chain(wheels);
    folders.map(|folder| environment.root.join(folder).join(format!("nvcc{EXE_SUFFIX}")))
}

fn folders_on_path(environment: &Environment) -> impl Iterator<Item = PathBuf> {
    environment.variable("PATH").into_iter().flat_map(env::split_paths)
}

/// The folders of installed packages of a Python environment: `lib/python3.11/site-packages`, on
/// Windows `Lib/site-packages`. In order of name, so that the choice does not depend on the file system.
fn site_packages(environment: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    let is_python = |folder: &PathBuf| {
        folder.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("python3"))
    };
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_python).collect();
    folders.sort();
    folders.push(environment.join("Lib"));
    folders.into_iter().map(|folder| folder.join("site-packages")).collect()
}

/// An nvcc that works and is new enough.
pub struct Nvcc {
    path: PathBuf,
    /// Major and minor version.
    pub release: (i32, i32),
    /// Everything that `nvcc --version` prints: two compilers that differ differ here.
    pub version: String,
    /// The compute capabilities that it compiles for, sorted.
    pub architectures: Vec<u32>,
}

impl fmt::Display for Nvcc {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} (CUDA {}.{})", self.path.display(), self.release.0, self.release.1)
    }
}

impl Nvcc {
    /// Asks the file at `path` what it is.
    pub fn open(path: PathBuf) -> Result<Nvcc, String> {
        let version = output(Command::new(&path).arg("--version"))?;
        let shown = path.display();
        let release = parse_release(&version)
            .ok_or_else(|| format!("{shown} does not say which release of CUDA it is:\n{version}"))?;
        if release < OLDEST {
            return Err(format!(
                "{shown} is CUDA {}.{}; the kernels need {}.{} or newer. Set NVCC to a newer nvcc \
                 (scripts/install-nvcc puts one into .venv), or NVCC=none to build for the CPU only.",
                release.0, release.1, OLDEST.0, OLDEST.1
            ));
        }
        let architectures = parse_architectures(&output(Command::new(&path).arg("--list-gpu-code"))?);
        Ok(Nvcc { path, release, version, architectures })
    }

    /// nvcc, to be run in the folder `root`, so that no path of this machine gets into its output.
    pub fn command(&self, root: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(root);
        command
    }
}

/// Runs a command to its end. Returns what it printed to both streams; if it failed, the same as an error.
pub fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_owned();
    let ended = command.output().map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
    let printed = [ended.stderr, ended.stdout].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    if ended.status.success() {
        return Ok(printed);
    }
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    Err(format!("{}\n{printed}it was run as: {} {}", ended.status, program.display(), arguments.join(" ")))
}

/// 13.0 from `Cuda compilation tools, release 13.0, V13.0.88`.
pub fn parse_release(version: &str) -> Option<(i32, i32)> {
    let (_, release) = version.split_once("release ")?;
    let (major, minor) = release.split([',', ' ', '\n']).next()?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The capabilities in the output of `nvcc --list-gpu-code`, one `sm_` name a line.
pub fn parse_architectures(list: &str) -> Vec<u32> {
    let mut architectures: Vec<u32> = list.split_whitespace().filter_map(architectures::parse).collect();
    architectures.sort_unstable();
    architectures
}
