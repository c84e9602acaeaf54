//! Builds the emulator: the runtime and the driver, and the kernels as C++, into one `libcuda.so`.
//!
//! It needs a C++17 compiler and nothing else. What is built is kept under `target/tmp/`, in a folder
//! named after the content of every source and of every flag.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::{fs, thread};

use super::rewrite::{Rewritten, rewrite};

/// What watches the kernels' accesses. The runtime and the driver are always built without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sanitizer {
    None,
    /// AddressSanitizer and UndefinedBehaviorSanitizer.
    Address,
    /// ThreadSanitizer.
    Thread,
}

impl Sanitizer {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Address => "address",
            Self::Thread => "thread",
        }
    }

    /// The library that a process must load first.
    pub fn runtime(self) -> PathBuf {
        let library = match self {
            Self::None => return PathBuf::new(),
            Self::Address => "libasan.so",
            Self::Thread => "libtsan.so",
        };
        let compiler = Compiler::find().unwrap_or_else(|problem| panic!("{problem}"));
        let output = Command::new(compiler.program).arg(format!("-print-file-name={library}")).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().into()
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::None => &["-O2", "-march=native"],
            Self::Address => {
                &["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
            }
            Self::Thread => &["-O1", "-fsanitize=thread"],
        }
    }
}

/// `__CUDA_ARCH__` of the emulated devices, in the order of their bits.
const ARCHITECTURES: [u32; 3] = [750, 800, 900];

const LANGUAGE: [&str; 6] =
    ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-g1", "-fno-strict-aliasing"];

/// What was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The driver with all kernels in it.
    pub library: PathBuf,
    /// The image that lists them.
    pub image: PathBuf,
}

type Job<'a> = Box<dyn Fn() -> Result<Vec<Object>, String> + Send + Sync + 'a>;

struct Compiler {
    program: String,
    version: String,
}

/// The emulator with the kernels of these folders.
///
/// # Errors
/// Without a compiler, how to get one; else the compiler's first error, or what cannot be rewritten.
pub fn build(sanitizer: Sanitizer, folders: &[&str]) -> Result<Built, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let emulator = root.join("tests/emulator");
    let compiler = Compiler::find()?;
    let sources: Vec<PathBuf> = ["runtime", "driver"].iter().flat_map(|f| files(&emulator.join(f), "cpp")).collect();
    let kernels: Vec<PathBuf> = folders.iter().flat_map(|folder| files(&root.join(folder), "cu")).collect();

    let mut hasher = DefaultHasher::new();
    (&compiler.version, LANGUAGE, sanitizer.flags(), include_str!("rewrite.rs"), include_str!("build.rs")).hash(&mut hasher);
    let headers = ["runtime", "driver", "device"].iter().flat_map(|folder| files(&emulator.join(folder), "h"));
    let own_headers = folders.iter().flat_map(|folder| files(&root.join(folder), "cuh"));
    for path in sources.iter().chain(&kernels).cloned().chain(headers).chain(own_headers) {
        (&path, read(&path)?).hash(&mut hasher);
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("emulator-{}-{:016x}", sanitizer.name(), hasher.finish());
    let built = |folder: &Path| Built { library: folder.join("libcuda.so"), image: folder.join("image") };
    let done = place.join(&name);
    if built(&done).library.exists() {
        return Ok(built(&done));
    }

    // Built beside its final place, so that nobody ever sees half of it.
    let folder = place.join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    // The largest first, so that no core is left waiting for it.
    let mut by_size = kernels;
    by_size.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).map_or(0, |data| data.len())));
    let mut jobs: Vec<Job> = Vec::new();
    for path in &by_size {
        jobs.push(Box::new(|| compiler.kernels(path, root, &folder, sanitizer)));
    }
    for path in &sources {
        jobs.push(Box::new(|| {
            let object = folder.join(format!("{}.o", stem(path)));
            compiler.run(&["-O2", "-c"], path, &object).map(|()| vec![Object { path: object, kernels: Vec::new() }])
        }));
    }
    let objects = in_parallel(&jobs)?;

    let mut link = Command::new(&compiler.program);
    link.args(["-shared", "-Wl,-soname,libcuda.so", "-Wl,--no-undefined"]);
    if sanitizer != Sanitizer::None {
        // The process brings the sanitizer; the library must only not bring one of its own.
        link.args(sanitizer.flags()).arg("-Wl,--undefined-version").arg("-Wl,-z,undefs");
    }
    link.args(objects.iter().map(|object| &object.path)).arg("-o").arg(folder.join("libcuda.so")).arg("-lpthread");
    run(&mut link)?;
    let mut image = "emulated kernels\n".to_owned();
    for kernel in objects.iter().flat_map(|object| &object.kernels) {
        image.push_str(kernel);
        image.push('\n');
    }
    image.push('\0');
    fs::write(folder.join("image"), image).map_err(|error| format!("cannot write the image: {error}"))?;
    for old in fs::read_dir(place).into_iter().flatten().flatten() {
        // Former versions would pile up; one of another process that is being built is left alone.
        let old_name = old.file_name().to_string_lossy().into_owned();
        if old_name.starts_with(&format!("emulator-{}-", sanitizer.name())) && old_name.matches('-').count() == 2 {
            let _ = fs::remove_dir_all(old.path());
        }
    }
    // Another process may have come first: then its result is as good.
    if fs::rename(&folder, &done).is_err() {
        let _ = fs::remove_dir_all(&folder);
    }
    Ok(built(&done))
}

struct Object {
    path: PathBuf,
    kernels: Vec<String>,
}

impl Compiler {
    fn find() -> Result<Self, String> {
        let chosen = std::env::var("CXX").ok();
        let candidates = match &chosen {
            Some(chosen) => vec![chosen.as_str()],
            None => vec!["c++", "g++", "clang++"],
        };
        for program in &candidates {
            // What -march=native means is part of the version.
            let asked = Command::new(program).args(["--version"]).output();
            let native = Command::new(program).args(["-march=native", "-dM", "-E", "-x", "c++", "/dev/null"]).output();
            if let (Ok(asked), Ok(native)) = (asked, native) {
                let version = [asked.stdout, native.stdout].concat();
                return Ok(Self { program: (*program).into(), version: String::from_utf8_lossy(&version).into() });
            }
        }
        Err(format!(
            "the CUDA kernels are tested by an emulator that needs a C++17 compiler, and none of {} runs; \
             install one (Debian: apt-get install g++), or name it in CXX",
            candidates.join(", ")
        ))
    }

    fn run(&self, flags: &[&str], source: &Path, output: &Path) -> Result<(), String> {
        run(Command::new(&self.program).args(LANGUAGE).args(flags).arg(source).arg("-o").arg(output))
    }

    /// The objects of one file of kernels: one, or one for each architecture where its code differs.
    fn kernels(&self, path: &Path, root: &Path, folder: &Path, sanitizer: Sanitizer) -> Result<Vec<Object>, String> {
        let header = root.join("tests/emulator/device/cuda.hpp");
        let own = format!("{}/", path.parent().unwrap_or(root).display());
        // Texts, with the architectures that share each.
        let mut texts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, architecture) in ARCHITECTURES.iter().enumerate() {
            let output = folder.join(format!("{}-{architecture}.ii", stem(path)));
            let define = format!("-D__CUDA_ARCH__={architecture}");
            let include = [header.to_string_lossy(), header.parent().unwrap_or(root).to_string_lossy()];
            self.run(&[&define, "-E", "-x", "c++", "-include", &include[0], "-I", &include[1]], path, &output)?;
            texts.entry(read(&output)?).or_default().push(index);
        }
        let mut objects = Vec::new();
        for (text, indices) in texts {
            let first = ARCHITECTURES[indices[0]];
            let bits = indices.iter().fold(0, |bits, index| bits | 1 << index);
            let Rewritten { text, kernels } = rewrite(&text, &own, &format!("sm_{}", first / 10), bits)
                .map_err(|problem| format!("{}: {problem}", path.display()))?;
            let source = folder.join(format!("{}-{first}.ii", stem(path)));
            fs::write(&source, text).map_err(|error| format!("cannot write {}: {error}", source.display()))?;
            let object = folder.join(format!("{}-{first}.o", stem(path)));
            let flags = [sanitizer.flags(), &["-fpreprocessed", "-x", "c++", "-Wno-psabi", "-c"]].concat();
            self.run(&flags, &source, &object)?;
            objects.push(Object { path: object, kernels });
        }
        Ok(objects)
    }
}

/// Runs a compiler; its first error if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot run {:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let error = text.lines().position(|line| line.contains("error")).unwrap_or(0);
    let lines: Vec<&str> = text.lines().skip(error).take(6).collect();
    Err(format!("the C++ compiler failed:\n{}\n({command:?})", lines.join("\n")))
}

/// All jobs' results, or the first error, on as many threads as there are cores.
fn in_parallel(jobs: &[Job<'_>]) -> Result<Vec<Object>, String> {
    let next = Mutex::new(0..jobs.len());
    let results = Mutex::new(Ok(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(index) = { next.lock().unwrap().next() } {
                    let result = jobs[index]();
                    let mut results = results.lock().unwrap();
                    match (result, &mut *results) {
                        (Ok(values), Ok(all)) => all.extend(values),
                        (Err(error), Ok(_)) => *results = Err(error),
                        (_, Err(_)) => {}
                    }
                    if results.is_err() {
                        return;
                    }
                }
            });
        }
    });
    results.into_inner().unwrap()
}

/// The files of a folder whose extension begins so, by name.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let found = path.extension().unwrap_or_default().to_string_lossy();
            found == extension || extension == "h" && found == "hpp"
        })
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    format!("{folder}-{}", path.file_stem().unwrap_or_default().to_string_lossy())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
