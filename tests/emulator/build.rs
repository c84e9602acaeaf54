//! Builds the emulator: the runtime and the driver, and the kernels as C++, into one `libcuda.so`.
//!
//! It needs a C++17 compiler and nothing else. Objects and libraries are kept under `target/tmp/`, named
//! after the content that they were made from: a change compiles what it changes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use cotangent::exec::cuda::{Tuned, VARIANTS, Variant, header};

use super::compiler::{Compiler, LANGUAGE, Sanitizer, run};
use super::rewrite::{Rewritten, Rules, rewrite};

/// What is built beside the runtime and the driver.
pub struct Sources<'a> {
    /// The kernels' files.
    pub kernels: Vec<PathBuf>,
    /// Folders of which files are the kernels' own: rewritten, in the architecture's namespace, and found by `#include`.
    pub folders: Vec<PathBuf>,
    /// The file of `device/` that kernels see instead of CUDA's headers.
    pub header: &'a str,
    /// Of the emulated devices, those to compile for, as `__CUDA_ARCH__` numbers them.
    pub architectures: &'a [u32],
    /// Which of a template's variants: under sanitizers those that the program embeds alone, unless this is set.
    pub every_variant: bool,
    /// Flags for the kernels beside the usual ones, where the compiler knows them.
    pub flags: &'a [&'a str],
    /// Whether the kernels are someone else's: entries may lack `extern "C"`, which the crate's own need because the host
    /// finds them by their names, and files may be included from anywhere.
    pub foreign: bool,
}

/// `__CUDA_ARCH__` of the emulated devices, in the order of their bits.
pub const ARCHITECTURES: [u32; 3] = [750, 800, 900];

/// The architecture of the kernels that stand in a folder `hopper`, as nvcc compiles them for `sm_90a` alone.
const HOPPER: u32 = 900;

const LINK: [&str; 2] = ["-shared", "-Wl,-soname,libcuda.so"];

/// What was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The driver with all kernels in it.
    pub library: PathBuf,
    /// The image that lists them.
    pub image: PathBuf,
}

impl Built {
    fn in_folder(folder: &Path) -> Self {
        Self { library: folder.join("libcuda.so"), image: folder.join("image") }
    }
}

type Job<'a> = Box<dyn Fn() -> Result<Vec<Object>, String> + Send + Sync + 'a>;

/// The emulator with these kernels.
///
/// # Errors
/// Without a compiler, how to get one; else the compiler's first error, or what cannot be rewritten.
pub fn build(sanitizer: Sanitizer, kernels: &Sources) -> Result<Built, String> {
    let emulator = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulator");
    let place = kept().join(format!("emulator-{}", sanitizer.name()));
    fs::create_dir_all(&place).map_err(|error| format!("cannot create {}: {error}", place.display()))?;
    let compiler = Compiler::find()?;
    if sanitizer == Sanitizer::Counts && compiler.is_clang() {
        return Err(format!(
            "counting memory requests needs GCC, which can leave vector accesses whole, and {:?} is clang: \
             install g++, or set CXX=g++",
            compiler.words
        ));
    }
    let device = emulator.join("device");
    let workshop = Workshop { compiler, place: &place, sanitizer, device, wanted: kernels };

    let mut files_of_kernels = kernels.kernels.clone();
    // The largest first, so that no core is left waiting for it.
    files_of_kernels.sort_by_key(|path| Reverse(fs::metadata(path).map_or(0, |data| data.len())));
    let sources: Vec<PathBuf> =
        sanitizer.parts().iter().flat_map(|part| files(&emulator.join(part), "cpp")).collect();
    // Preprocessing takes seconds, so what no file has changed for is known by the files themselves.
    let own = sanitizer.parts().iter().chain(&["device"]).map(|folder| emulator.join(folder));
    let inputs = own.chain(kernels.folders.iter().cloned()).flat_map(|folder| files(&folder, ANY));
    let sources_in_them = inputs.filter(|path| is_source(path));
    let mut contents: Vec<(PathBuf, Vec<u8>)> =
        sources_in_them.map(|path| (path.clone(), fs::read(path).unwrap_or_default())).collect();
    if kernels.foreign {
        for path in &kernels.kernels {
            let text = workshop.preprocessed(path, workshop.architectures()[0], &place)?;
            contents.push((path.clone(), text.into_bytes()));
        }
    }
    let known = workshop.known(&contents);
    let before = fs::read_to_string(&known).ok().map(|folder| Built::in_folder(Path::new(&folder)));
    if let Some(built) = before.filter(|built| still_used(&built.library)) {
        still_used(&known);
        return Ok(built);
    }

    // The runtime is known by its files as well, so that another kernel costs only itself.
    let of_runtime: Vec<&(PathBuf, Vec<u8>)> =
        contents.iter().filter(|(path, _)| path.starts_with(&emulator)).collect();
    let list = place.join(format!("runtime-{}", hash_of(&(of_runtime, &workshop.compiler.version))));
    let runtime = match objects_in(&list) {
        Some(objects) => objects,
        None => {
            let jobs: Vec<Job> = sources
                .iter()
                .map(|path| -> Job { Box::new(|| workshop.source(path).map(|object| vec![object])) })
                .collect();
            let objects = in_parallel(&jobs)?;
            let paths: Vec<String> =
                objects.iter().map(|object| object.path.to_string_lossy().into()).collect();
            let _ = fs::write(list, paths.join("\n")); // without it the next build takes longer
            objects
        }
    };

    let tuned = Tuned::read(include_str!("../../kernels/tuning.csv"))?;
    let mut jobs: Vec<Job> = Vec::new();
    for path in &files_of_kernels {
        // Each variant of a template is an object of its own: all cores have work, and a new one costs only itself.
        // Under sanitizers, whose code takes long to compile, one for each kind of loop.
        let wanted = |variant: &&Variant| {
            path.ends_with(format!("{}.cu", variant.kernel))
                && (sanitizer == Sanitizer::None
                    || kernels.every_variant
                    || stands_for_its_kind(variant, &tuned))
        };
        let variants = VARIANTS.iter().filter(wanted);
        let mut variants = variants.peekable();
        if variants.peek().is_none() {
            jobs.push(Box::new(|| workshop.kernels(path, None)));
        }
        jobs.extend(variants.map(|variant| -> Job { Box::new(|| workshop.kernels(path, Some(variant))) }));
    }
    let mut objects = in_parallel(&jobs)?;
    objects.extend(runtime);
    objects.sort_by(|a, b| a.path.cmp(&b.path));
    let folder = workshop.link(&objects)?;
    let _ = fs::write(known, folder.to_string_lossy().as_bytes()); // without it the next build takes longer
    Ok(Built::in_folder(&folder))
}

/// Whether the program embeds a variant, or none of its loop and order of lanes, and it is the smallest of these.
fn stands_for_its_kind(variant: &Variant, tuned: &[Tuned]) -> bool {
    let is_of_its_kind = |other: &&Variant| {
        (&other.kernel, other.lanes, other.fragments) == (&variant.kernel, variant.lanes, variant.fragments)
    };
    let of_its_kind = || VARIANTS.iter().filter(is_of_its_kind);
    if of_its_kind().any(|other| other.is_embedded(tuned)) {
        return variant.is_embedded(tuned);
    }
    of_its_kind().min_by_key(|other| other.down * other.across * other.depth) == Some(variant)
}

/// Something compiled, and the kernels in it.
struct Object {
    path: PathBuf,
    kernels: Vec<String>,
}

/// Where one kind of object is made.
struct Workshop<'a> {
    compiler: Compiler,
    place: &'a Path,
    sanitizer: Sanitizer,
    /// Where the headers are that kernels see instead of CUDA's.
    device: PathBuf,
    wanted: &'a Sources<'a>,
}

impl Workshop<'_> {
    /// The object of one file of the runtime or the driver.
    fn source(&self, path: &Path) -> Result<Object, String> {
        let text = self.compiler.output(&[&["-E"], self.sanitizer.define()].concat(), path)?;
        Ok(Object { path: self.object(&stem(path), &text, &["-O2"])?, kernels: Vec::new() })
    }

    /// The objects of one file of kernels, or of one variant of its template: one, or one for each architecture
    /// where the code differs.
    fn kernels(&self, path: &Path, variant: Option<&Variant>) -> Result<Vec<Object>, String> {
        let (name, included) = match variant {
            None => (stem(path), self.place.to_owned()),
            Some(variant) => {
                let name = format!("{}-{}", stem(path), variant.name());
                let folder = self.place.join(&name);
                let write = |text: String| {
                    fs::create_dir_all(&folder)?;
                    fs::write(folder.join("variants.cuh"), text)
                };
                write(header([variant]))
                    .map_err(|error| format!("cannot write to {}: {error}", folder.display()))?;
                (name, folder)
            }
        };
        let wanted = self.wanted;
        let is_own = |path: &str| {
            let path = Path::new(path);
            !path.starts_with(&self.device) && wanted.folders.iter().any(|folder| path.starts_with(folder))
        };
        // Texts, with the architectures that share each.
        let mut texts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let for_hopper = is_for_hopper(path);
        let architectures = if for_hopper { &[HOPPER] } else { self.architectures() };
        for (index, architecture) in ARCHITECTURES.iter().enumerate() {
            if !architectures.contains(architecture) {
                continue;
            }
            let text = self.preprocessed(path, *architecture, &included)?;
            texts.entry(text).or_default().push(index);
        }
        let mut objects = Vec::new();
        for (text, indices) in texts {
            let first = ARCHITECTURES[indices[0]];
            let bits = indices.iter().fold(0, |bits, index| bits | 1 << index);
            let namespace = format!("sm_{}", first / 10);
            let rules = Rules { namespace: &namespace, architectures: bits, any_entry: wanted.foreign };
            let Rewritten { text, kernels } = rewrite(&text, &is_own, &rules)
                .map_err(|problem| format!("{}: {problem}", path.display()))?;
            let known = wanted.flags.iter().copied().filter(|flag| self.compiler.knows(flag));
            let mut flags: Vec<&str> = self.sanitizer.flags().iter().copied().chain(known).collect();
            if for_hopper {
                flags.extend(self.sanitizer.watching());
            }
            let path = self.object(&format!("{name}-{first}"), &text, &flags)?;
            objects.push(Object { path, kernels });
        }
        Ok(objects)
    }

    /// Those to compile for: one is enough to count.
    fn architectures(&self) -> &[u32] {
        let wanted = self.wanted.architectures;
        if self.sanitizer == Sanitizer::Counts { &wanted[wanted.len() - 1..] } else { wanted }
    }

    /// A file of kernels as the preprocessor hands it over; `included` holds the list of variants.
    fn preprocessed(&self, path: &Path, architecture: u32, included: &Path) -> Result<String, String> {
        let define = format!("-D__CUDA_ARCH__={architecture}");
        let header = self.device.join(self.wanted.header);
        let mut command = self.compiler.command();
        command.args(LANGUAGE).args(["-E", &define]).args(self.sanitizer.define());
        command.args(["-x", "c++", "-include"]).arg(header);
        let folders = self.wanted.folders.iter().map(PathBuf::as_path);
        for folder in [&self.device, included].into_iter().chain(folders) {
            command.arg("-I").arg(folder);
        }
        run(command.arg(path))
    }

    /// Compiles what the preprocessor has left, unless the same has been compiled before.
    fn object(&self, name: &str, text: &str, flags: &[&str]) -> Result<PathBuf, String> {
        let hash = hash_of(&(text, flags, LANGUAGE, &self.compiler.version));
        let object = self.place.join(format!("{name}-{hash}.o"));
        if !still_used(&object) {
            let source = self.place.join(format!("{name}-{hash}-{}.ii", unique()));
            fs::write(&source, text)
                .map_err(|error| format!("cannot write {}: {error}", source.display()))?;
            let made = source.with_extension("o");
            let output = made.to_string_lossy();
            let flags = [flags, &["-fpreprocessed", "-x", "c++", "-c", "-o", &output]].concat();
            self.compiler.output(&flags, &source)?;
            let _ = fs::remove_file(source);
            take_over(&made, &object)?;
        }
        Ok(object)
    }

    /// The file that says where the library made from these files is.
    fn known(&self, contents: &[(PathBuf, Vec<u8>)]) -> PathBuf {
        let code = (include_str!("build.rs"), include_str!("compiler.rs"), include_str!("rewrite.rs"));
        self.place.join(hash_of(&(contents, code, &self.compiler.version, self.wanted.every_variant)))
    }

    /// The library and its image, in a folder of their own.
    fn link(&self, objects: &[Object]) -> Result<PathBuf, String> {
        let paths: Vec<&Path> = objects.iter().map(|object| object.path.as_path()).collect();
        let folder = self.place.join(hash_of(&(&paths, LINK)));
        let built = Built::in_folder(&folder);
        if still_used(&built.library) {
            return Ok(folder);
        }
        fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let names = objects
            .iter()
            .flat_map(|object| &object.kernels)
            .fold(String::new(), |list, name| list + name + "\n");
        fs::write(&built.image, format!("emulated kernels\n{names}\0"))
            .map_err(|error| format!("cannot write {}: {error}", built.image.display()))?;
        let made = folder.join(format!("{}.so", unique()));
        let mut link = self.compiler.command();
        link.args(LINK).args(self.sanitizer.link_flags()).args(paths).arg("-o").arg(&made).arg("-lpthread");
        run(&mut link)?;
        take_over(&made, &built.library)?;
        self.clear_out();
        Ok(folder)
    }

    /// Removes what has not been made or used for days.
    fn clear_out(&self) {
        for entry in fs::read_dir(self.place).into_iter().flatten().flatten() {
            let used = if entry.path().is_dir() { entry.path().join("libcuda.so") } else { entry.path() };
            let time = fs::metadata(used).and_then(|data| data.modified());
            let age = time.map(|time| time.elapsed().unwrap_or_default());
            if age.is_ok_and(|age| age > Duration::from_secs(3 * 24 * 3600)) {
                let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
            }
        }
    }
}

/// The objects that a list names, if all are there.
fn objects_in(list: &Path) -> Option<Vec<Object>> {
    let text = fs::read_to_string(list).ok()?;
    still_used(list);
    let paths = text.lines().map(PathBuf::from);
    paths.map(|path| still_used(&path).then_some(Object { path, kernels: Vec::new() })).collect()
}

/// Whether the file is there; then it is marked as used now, for [`Workshop::clear_out`].
fn still_used(path: &Path) -> bool {
    File::options().append(true).open(path).map(|file| file.set_modified(SystemTime::now())).is_ok()
}

/// A name that no other build has at the same time, in this process or another.
fn unique() -> String {
    static BUILT: AtomicUsize = AtomicUsize::new(0);
    format!("{}-{}", std::process::id(), BUILT.fetch_add(1, Ordering::Relaxed))
}

/// Puts a finished file in its place, so that nobody ever sees half of it.
fn take_over(made: &Path, place: &Path) -> Result<(), String> {
    fs::rename(made, place)
        .map_err(|error| format!("cannot rename {} to {}: {error}", made.display(), place.display()))
}

fn hash_of(content: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
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

/// Where objects and libraries are kept: `target/tmp`, which cargo names to tests, and beside which examples lie.
fn kept() -> PathBuf {
    let named = option_env!("CARGO_TARGET_TMPDIR").map(PathBuf::from);
    let beside = || std::env::current_exe().ok()?.ancestors().nth(3).map(|target| target.join("tmp"));
    named.or_else(beside).unwrap_or_else(std::env::temp_dir)
}

/// Every extension.
const ANY: &str = "";

/// Whether a file may be part of what is compiled: a folder that is not ours may hold anything.
fn is_source(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["cu", "cuh", "h", "hpp", "cpp", "csv"].iter().any(|known| extension == *known)
}

/// The files of a folder with this extension, by name.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| extension == ANY || path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn is_for_hopper(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "hopper")
}

fn stem(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    format!("{folder}-{}", path.file_stem().unwrap_or_default().to_string_lossy())
}
