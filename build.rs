//! Packs MNIST's images for the program that embeds them; compiles the CUDA kernels, where there is an nvcc, and writes the
//! source file that embeds those; and, for tests, copies of the team's protocol with mistakes in them.
//!
//! The work is done in `build/`: what cargo and the machine say goes in as data, what cargo is to be
//! told comes back as data, so that the test program runs the same code against compilers of its own.

#[path = "build/mod.rs"]
mod build;
#[path = "build/mnist.rs"]
mod mnist;
#[path = "build/planted.rs"]
mod planted;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use build::Environment;

fn main() -> ExitCode {
    let work = |environment: Environment| {
        let mnist = mnist::pack(&environment.root.join("data/mnist"), &environment.out)?;
        let planted = planted::plant(&environment.root, &environment.out)?;
        Ok([mnist, planted, build::run(&environment)?].concat())
    };
    match environment().and_then(work) {
        Ok(directives) => {
            directives.iter().for_each(|directive| println!("{directive}"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}"); // cargo shows it whole
            ExitCode::FAILURE
        }
    }
}

/// What cargo and this machine say.
fn environment() -> Result<Environment, String> {
    let folder = |name| env::var_os(name).map(PathBuf::from).ok_or(format!("cargo did not set {name}"));
    let out = folder("OUT_DIR")?;
    Ok(Environment {
        root: folder("CARGO_MANIFEST_DIR")?,
        target: build::target_folder(&out, &env::var("TARGET").unwrap_or_default()),
        out,
        usual_folders: ["/usr/local/cuda/bin", "/opt/cuda/bin", "/usr/lib/cuda/bin"]
            .map(PathBuf::from)
            .into(),
        variables: env::vars_os().map(|(name, value)| (name.to_string_lossy().into(), value)).collect(),
        read: Default::default(),
    })
}
