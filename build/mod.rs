//! The build's CUDA part: from `kernels/*.cu` to `cuda_images.rs`, which `exec::cuda` includes.
//!
//! With an nvcc, each kernel file becomes one image for all architectures, and each of `kernels/hopper/` one for
//! `sm_90a` alone; without one, the build goes on, embeds nothing and says so once. An nvcc that is there and
//! fails is an error, because a program that silently lost its kernels would be found out late. No step asks
//! for a GPU.
//!
//! | variable | effect |
//! |---|---|
//! | `NVCC` | the nvcc to use, a path or a name on `PATH`; `none` leaves the kernels out on purpose, without a warning |
//! | `CUDA_HOME`, `CUDA_PATH`, `PATH`, `VIRTUAL_ENV`, `CONDA_PREFIX` | where nvcc is looked for otherwise |
//! | `COTANGENT_CUDA_ARCHS` | architectures instead of the table's and `sm_90a`: `80,90,90a` or `sm_80 sm_90` |
//! | `COTANGENT_CUDA_OPTIONAL` | `1` turns an error of the CUDA part into a warning |
//! | `NVCC_CCBIN`, `NVCC_PREPEND_FLAGS`, `NVCC_APPEND_FLAGS` | nvcc reads them itself |

pub mod architectures;
pub mod images;
pub mod nvcc;
pub mod ptx;
#[allow(dead_code, reason = "the library reads the same tables")]
#[path = "../src/exec/cuda/kernels/variant.rs"]
mod variant;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fs, io};

use images::{Cache, Kernels, Set};
use nvcc::{Nvcc, Search};

/// What the build depends on beside the files below `root`.
pub struct Environment {
    /// The crate's root.
    pub root: PathBuf,
    /// Where `cuda_images.rs` and the images that it names go.
    pub out: PathBuf,
    /// Cargo's target folder, shared by all profiles: the cache of images is in it.
    pub target: PathBuf,
    /// Where CUDA is usually installed.
    pub usual_folders: Vec<PathBuf>,
    /// The environment variables.
    pub variables: HashMap<String, OsString>,
    /// The variables that were asked for, whether set or not: cargo is told to watch them.
    pub read: RefCell<BTreeSet<&'static str>>,
}

impl Environment {
    /// A variable's value; an empty one counts as unset.
    fn variable(&self, name: &'static str) -> Option<&OsStr> {
        self.read.borrow_mut().insert(name);
        self.variables.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}

/// What ends up in the program.
#[derive(Default)]
struct Embedded {
    /// Major and minor version of the toolkit; none if nothing is embedded.
    toolkit: Option<(i32, i32)>,
    /// `sm_75`, ..., `sm_90a` if anything was compiled for it, and last the PTX's `compute_120`.
    architectures: Vec<String>,
    /// The kernel files' names, in order; the image of `gemm` is `gemm.fatbin` in the out folder.
    names: Vec<String>,
    /// Those of `kernels/hopper/`; the image of `ring` is `hopper.ring.fatbin`.
    hopper: Vec<String>,
}

/// Does the CUDA part of the build; returns the lines to print for cargo, or why the build fails.
pub fn run(environment: &Environment) -> Result<Vec<String>, String> {
    let mut directives = Vec::new();
    let optional = environment.variable("COTANGENT_CUDA_OPTIONAL") == Some(OsStr::new("1"));
    let embedded = match embed(environment, &mut directives) {
        Err(failure) if optional => {
            directives.push(warning("the CUDA part failed, so this build runs on the CPU only:"));
            directives.extend(first_error_lines(&failure).map(warning));
            Embedded::default()
        }
        result => result?,
    };
    let file = environment.out.join("cuda_images.rs");
    fs::write(&file, source(&embedded)).map_err(at(&file))?;

    let inputs = ["build.rs", "build", "kernels"].map(|path| format!("cargo::rerun-if-changed={path}"));
    directives.extend(inputs);
    let variables = environment.read.borrow();
    directives.extend(variables.iter().map(|name| format!("cargo::rerun-if-env-changed={name}")));
    Ok(directives)
}

/// Compiles the variants that are not embedded and the ladder, for one architecture, and the fixtures for Hopper, and puts
/// their images into the folder `candidates` of the out folder, which it returns; nothing if there is no nvcc.
#[allow(dead_code, reason = "the tests and the kit ask for them, no build does")]
pub fn candidates(environment: &Environment, architecture: u32) -> Result<Option<PathBuf>, String> {
    let Search::Found(path) = nvcc::search(environment)? else { return Ok(None) };
    let (kernels, nvcc) = (Kernels::read(&environment.root.join("kernels"))?, Nvcc::open(path)?);
    let flags = vec![format!("-gencode=arch=compute_{architecture},code=sm_{architecture}")];
    let for_hopper = vec![architectures::HOPPER_FLAGS.into()];
    let mut images = Vec::new();
    for (flags, set) in [(flags, Set::Candidates), (for_hopper, Set::Fixtures)] {
        images.extend(Cache::new(environment, &nvcc, flags, &own_flags(environment)).images(&kernels, set)?);
    }
    let folder = environment.out.join("candidates");
    let _ = fs::remove_dir_all(&folder); // of other variants
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    for (name, image) in images {
        write_image(&folder, name, &image)?;
    }
    Ok(Some(folder))
}

/// The flags that nvcc takes from its environment.
fn own_flags(environment: &Environment) -> [Option<&OsStr>; 3] {
    ["NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"].map(|name| environment.variable(name))
}

/// Compiles the kernels, if there is an nvcc, and puts their images into the out folder.
fn embed(environment: &Environment, directives: &mut Vec<String>) -> Result<Embedded, String> {
    let kernels = Kernels::read(&environment.root.join("kernels"))?;
    directives.extend(kernels.files().map(|name| format!("cargo::rerun-if-changed=kernels/{name}")));
    if kernels.names().next().is_none() {
        return Ok(Embedded::default());
    }

    let path = match nvcc::search(environment)? {
        Search::Found(path) => path,
        Search::TurnedOff => return Ok(Embedded::default()),
        Search::Missing => {
            directives.push(warning(
                "no nvcc found, so this build runs on the CPU only; scripts/install-nvcc fetches one, \
                 NVCC=<path> names one, NVCC=none says that this is meant",
            ));
            return Ok(Embedded::default());
        }
    };
    // A path that does not exist yet cannot be watched: cargo would build anew every time. So an
    // nvcc that goes or changes is noticed; for one that comes, scripts/install-nvcc touches build.rs.
    directives.push(format!("cargo::rerun-if-changed={}", path.display()));

    let nvcc = Nvcc::open(path)?;
    let asked = environment.variable("COTANGENT_CUDA_ARCHS").map(OsStr::to_string_lossy);
    let choice = architectures::choose(asked.as_deref(), &nvcc.architectures);
    let known = || architectures::machine_code(&nvcc.architectures).join(", ");
    if choice.known.is_empty() {
        let asked =
            asked.map_or("this crate's table".into(), |asked| format!("COTANGENT_CUDA_ARCHS={asked}"));
        let alone =
            if choice.hopper { "; sm_90a is for kernels/hopper alone, so add 90 for the others" } else { "" };
        return Err(format!("{asked} names no architecture that {nvcc} knows: {}{alone}", known()));
    }
    if !choice.unknown.is_empty() {
        let (unknown, known) = (choice.unknown.join(", "), known());
        directives.push(warning(&format!("left out {unknown}: {nvcc} does not know it, only {known}")));
    }

    let own_flags = own_flags(environment);
    let cache = Cache::new(environment, &nvcc, architectures::flags(&choice.known), &own_flags);
    for (name, image) in cache.images(&kernels, Set::Embedded)? {
        write_image(&environment.out, name, &image)?;
    }
    let mut hopper = Vec::new();
    if choice.hopper {
        let cache = Cache::new(environment, &nvcc, vec![architectures::HOPPER_FLAGS.into()], &own_flags);
        for (name, image) in cache.images(&kernels, Set::Hopper)? {
            write_image(&environment.out, name, &image)?;
            hopper.push(name.trim_start_matches("hopper/").to_owned());
        }
        hopper.sort();
    }
    Ok(Embedded {
        toolkit: Some(nvcc.release),
        architectures: architectures::embedded(&choice.known, !hopper.is_empty()),
        names: kernels.names().map(String::from).collect(),
        hopper,
    })
}

/// Puts the image of a kernel file into a folder, without folders within: `hopper.ring.fatbin`.
fn write_image(folder: &Path, name: &str, image: &[u8]) -> Result<(), String> {
    let file = folder.join(format!("{}.fatbin", name.replace('/', ".")));
    fs::write(&file, image).map_err(at(&file))
}

/// `cuda_images.rs`. The images stand beside it, so their names are paths enough.
fn source(embedded: &Embedded) -> String {
    let nvcc = embedded.toolkit.map(|(major, minor)| format!("{major}.{minor}"));
    let images = |names: &[String], prefix: &str| {
        let row = |name: &String| {
            format!("    ({name:?}, include_bytes!({:?})),\n", format!("{prefix}{name}.fatbin"))
        };
        names.iter().map(row).collect::<String>()
    };
    format!(
        "/// The release of the nvcc that compiled the kernels; none if none are embedded.\n\
         pub const NVCC: Option<&str> = {nvcc:?};\n\
         /// The toolkit's major and minor version, zeros if no kernels are embedded.\n\
         pub const TOOLKIT: (i32, i32) = {:?};\n\
         /// What every image holds: machine code (`sm_`) and, last, PTX (`compute_`). `sm_90a` is in `HOPPER` alone.\n\
         pub const ARCHITECTURES: &[&str] = &{:?};\n\
         /// The kernel files' names and images, by name.\n\
         pub const IMAGES: &[(&str, &[u8])] = &[\n{}];\n\
         /// The same of `kernels/hopper/`, for `sm_90a`.\n\
         pub const HOPPER: &[(&str, &[u8])] = &[\n{}];\n",
        embedded.toolkit.unwrap_or_default(),
        embedded.architectures,
        images(&embedded.names, ""),
        images(&embedded.hopper, "hopper."),
    )
}

/// The target folder of the build that `out` belongs to: `target/release/build/cotangent-<hash>/out`,
/// with the triple between the first two when cargo was given one.
pub fn target_folder(out: &Path, triple: &str) -> PathBuf {
    let build = out.ancestors().find(|folder| folder.ends_with("build"));
    match build.and_then(Path::parent).and_then(Path::parent) {
        Some(folder) if folder.ends_with(triple) && !triple.is_empty() => {
            folder.parent().unwrap_or(folder).into()
        }
        Some(folder) => folder.into(),
        None => out.into(), // a layout of tomorrow's: then each profile has a cache of its own
    }
}

fn warning(text: &str) -> String {
    format!("cargo::warning={text}")
}

/// A failure's first line, and of a compiler's output the first lines that name an error.
fn first_error_lines(failure: &str) -> impl Iterator<Item = &str> {
    let names_an_error = |line: &&str| ["error:", "error #", "fatal"].iter().any(|word| line.contains(word));
    failure.lines().take(1).chain(failure.lines().skip(1).filter(names_an_error).take(4))
}

/// Puts the path before an error of the file system, which does not name it.
fn at(path: &Path) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}
