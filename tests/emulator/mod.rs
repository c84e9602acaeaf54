//! A CUDA driver that runs the kernels on the CPU: `README.md` says how it works and what it finds.

mod build;
mod compiler;
#[cfg(test)]
mod compiler_tests;
#[cfg(test)]
pub mod counting;
pub mod counts;
#[cfg(test)]
mod driver_tests;
#[cfg(test)]
mod graphs;
#[cfg(test)]
mod hopper;
#[cfg(test)]
pub mod place;
#[cfg(test)]
mod planted;
mod rewrite;
#[cfg(test)]
mod together;

use std::ffi::{CStr, CString, c_char};
#[cfg(test)]
use std::path::{Path, PathBuf};
use std::process::Command;
#[cfg(test)]
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};

pub use build::{Built, Sources, build};
pub use compiler::Sanitizer;

/// In which order the threads of a block, and the branches of a graph, advance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schedule {
    FirstInFirstOut,
    LastInFirstOut,
    Random(u64),
}

/// The emulated driver, loaded into this process. Each function concerns the calling thread.
pub struct Emulator {
    pub built: Built,
    set_schedule: Symbol<unsafe extern "C" fn(i32, u64)>,
    skip: Symbol<unsafe extern "C" fn(*const c_char, i32)>,
    shift: Symbol<unsafe extern "C" fn(*const c_char, i32)>,
    skips: Symbol<unsafe extern "C" fn() -> u64>,
    calls: Symbol<unsafe extern "C" fn(*const c_char) -> u64>,
    clear_calls: Symbol<unsafe extern "C" fn()>,
    fault: Symbol<unsafe extern "C" fn() -> *const c_char>,
    /// Where the kernels are compiled for it: see [`counts`].
    counting: Option<(Symbol<counts::Read>, Symbol<counts::Clear>)>,
    clear_fault: Symbol<unsafe extern "C" fn()>,
}

/// The emulator with the crate's kernels and those with planted bugs.
#[cfg(test)]
fn built(sanitizer: Sanitizer) -> Built {
    const FOLDERS: [&str; 5] = [
        "kernels",
        "kernels/hopper",
        "kernels/fixtures/hopper",
        "tests/emulator/planted",
        "tests/emulator/planted/hopper",
    ];
    let folders = FOLDERS.map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).to_vec();
    // Hopper's instructions by themselves are run without sanitizers alone, and take longest to compile.
    let compiled = |folder: &&PathBuf| sanitizer == Sanitizer::None || !folder.ends_with(FOLDERS[2]);
    let sources = Sources {
        kernels: folders.iter().filter(compiled).flat_map(|folder| build::files(folder, "cu")).collect(),
        folders,
        header: "cuda.hpp",
        architectures: &build::ARCHITECTURES,
        every_variant: crate::support::everything(),
        flags: &[],
        foreign: false,
    };
    build(sanitizer, &sources).unwrap_or_else(|problem| panic!("{problem}"))
}

/// The emulator, built and loaded at the first call. cudarc, which looks for `libcuda.so` by that name,
/// then finds this one.
#[cfg(test)]
pub fn emulator() -> &'static Emulator {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    EMULATOR.get_or_init(|| Emulator::load(built(sanitizer())).unwrap_or_else(|problem| panic!("{problem}")))
}

/// The sanitizer that this process was started for.
#[cfg(test)]
pub fn sanitizer() -> Sanitizer {
    match std::env::var(SANITIZER).as_deref() {
        Ok("address") => Sanitizer::Address,
        Ok("thread") => Sanitizer::Thread,
        Ok("counts") => Sanitizer::Counts,
        _ => Sanitizer::None,
    }
}

/// The variable by which a test tells the process that it starts which sanitizer the kernels have.
const SANITIZER: &str = "COTANGENT_EMULATOR_SANITIZER";

/// This test program once more, with sanitized kernels.
#[cfg(test)]
pub fn in_sanitized_process(sanitizer: Sanitizer) -> Command {
    let mut command = Command::new("/proc/self/exe");
    sanitized(&mut command, sanitizer).unwrap_or_else(|problem| panic!("{problem}"));
    command
}

/// Has a process run with sanitized kernels.
///
/// A sanitizer must be there before everything else, so the dynamic linker loads it first.
///
/// # Errors
/// A compiler that does not bring the sanitizer.
pub fn sanitized(command: &mut Command, sanitizer: Sanitizer) -> Result<(), String> {
    command.env(SANITIZER, sanitizer.name()).env("LD_PRELOAD", sanitizer.runtime()?);
    // Only what the kernels do is of interest: not what Rust does, which is not compiled for it.
    command.env("ASAN_OPTIONS", "detect_leaks=0:detect_stack_use_after_return=0");
    command.env("UBSAN_OPTIONS", "print_stacktrace=1");
    command.env("TSAN_OPTIONS", "ignore_noninstrumented_modules=1");
    Ok(())
}

impl Emulator {
    pub fn load(built: Built) -> Result<Self, libloading::Error> {
        // SAFETY: the library's initialisers register kernels and do nothing else; the symbols have
        // the types of driver/control.hpp. The library is never unloaded.
        unsafe {
            let library = Library::open(Some(&built.library), RTLD_NOW | RTLD_GLOBAL)?;
            let (read, clear) = (library.get(b"emulator_counts"), library.get(b"emulator_clear_counts"));
            let counting = read.ok().zip(clear.ok());
            let emulator = Self {
                built,
                set_schedule: library.get(b"emulator_set_schedule")?,
                skip: library.get(b"emulator_skip")?,
                shift: library.get(b"emulator_shift")?,
                skips: library.get(b"emulator_skips")?,
                calls: library.get(b"emulator_calls")?,
                clear_calls: library.get(b"emulator_clear_calls")?,
                fault: library.get(b"emulator_fault")?,
                clear_fault: library.get(b"emulator_clear_fault")?,
                counting,
            };
            std::mem::forget(library);
            Ok(emulator)
        }
    }

    pub fn set_schedule(&self, schedule: Schedule) {
        let (order, seed) = match schedule {
            Schedule::FirstInFirstOut => (0, 1),
            Schedule::LastInFirstOut => (1, 1),
            Schedule::Random(seed) => (2, seed),
        };
        // SAFETY: takes plain numbers.
        unsafe { (self.set_schedule)(order, seed) }
    }

    /// Makes whatever waits, arrives or fences at a line do nothing; line 0 ends that.
    pub fn skip(&self, file: &str, line: u32) {
        let file = CString::new(file).unwrap();
        // SAFETY: the text lives during the call, which copies it.
        unsafe { (self.skip)(file.as_ptr(), line as i32) }
    }

    /// Makes a wait at a line be off by one: for the other parity, or for a group less; line 0 ends that.
    pub fn shift(&self, file: &str, line: u32) {
        let file = CString::new(file).unwrap();
        // SAFETY: the text lives during the call, which copies it.
        unsafe { (self.shift)(file.as_ptr(), line as i32) }
    }

    /// How often that happened since [`Self::skip`] or [`Self::shift`].
    pub fn skips(&self) -> u64 {
        // SAFETY: takes nothing.
        unsafe { (self.skips)() }
    }

    /// How often this thread has called a function of the driver since [`Self::clear_calls`].
    pub fn calls(&self, function: &str) -> u64 {
        let function = CString::new(function).unwrap();
        // SAFETY: the text lives during the call.
        unsafe { (self.calls)(function.as_ptr()) }
    }

    pub fn clear_calls(&self) {
        // SAFETY: takes nothing.
        unsafe { (self.clear_calls)() }
    }

    /// The fault that this thread's kernels have suffered, and forgets it.
    pub fn take_fault(&self) -> Option<String> {
        // SAFETY: the text is the calling thread's, and is copied before anything changes it.
        let text = unsafe { CStr::from_ptr((self.fault)()) }.to_string_lossy().into_owned();
        // SAFETY: takes nothing.
        unsafe { (self.clear_fault)() };
        (!text.is_empty()).then_some(text)
    }
}

/// Where the library and the image are, for `scripts/emulated`.
#[test]
fn is_built() {
    let Built { library, image } = built(Sanitizer::None);
    assert!(library.exists() && image.exists());
    println!("\nemulated driver: {}", library.display());
    println!("emulated kernels: {}", image.display());
}
