//! The variants that the program does not embed, and the ladder, compiled for a real card: what is to be measured there
//! compiles.

use std::path::{Path, PathBuf};

use cotangent::exec::cuda::{Tuned, VARIANTS};

use super::support::on_real_card;
use crate::build_script::build::{Environment, candidates};
use crate::emulator::{Sanitizer, sanitizer};

/// The card that they are measured on: an H100.
const ARCHITECTURE: u32 = 90;

/// The folder of their images; none on a machine without nvcc.
fn compiled() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let environment = Environment {
        root: root.into(),
        out: Path::new(env!("CARGO_TARGET_TMPDIR")).into(),
        target: Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.into(),
        usual_folders: ["/usr/local/cuda/bin", "/opt/cuda/bin", "/usr/lib/cuda/bin"]
            .map(PathBuf::from)
            .into(),
        variables: std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into(), value)).collect(),
        read: Default::default(),
    };
    candidates(&environment, ARCHITECTURE).unwrap_or_else(|problem| panic!("{problem}"))
}

fn is_fatbin(image: &[u8]) -> bool {
    image.starts_with(&[0x50, 0xed, 0x55, 0xba])
}

/// The files of `kernels/ladder`, without `.cu`, from the ground up.
pub fn ladder() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/ladder");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let stem = |name: &str| name.strip_suffix(".cu").map(String::from);
    let mut rungs: Vec<String> = names.filter_map(|name| stem(&name.to_string_lossy())).collect();
    rungs.sort();
    assert!(rungs.len() >= 5, "{rungs:?}");
    rungs
}

/// `scripts/gpu-kit` reads where they are from what this prints. Spills are `scripts/kernel-resources`' to find.
#[test]
fn are_compiled() {
    if on_real_card() || sanitizer() != Sanitizer::None {
        return; // a machine that measures them has the images, and not this repository; once is enough here
    }
    let Some(folder) = compiled() else {
        println!("no nvcc on this machine: no candidates are compiled");
        return;
    };
    println!("candidates: {}", folder.display());
    let tuned = Tuned::read(include_str!("../../kernels/tuning.csv")).unwrap();
    let left = VARIANTS.iter().filter(|variant| !variant.is_embedded(&tuned));
    let mut kernels: Vec<&str> = left.map(|variant| variant.kernel.as_str()).collect();
    kernels.dedup();
    for kernel in kernels {
        let image = std::fs::read(folder.join(format!("{kernel}.fatbin"))).unwrap();
        assert!(is_fatbin(&image), "{kernel}.fatbin is none");
    }
    for rung in ladder() {
        let image = std::fs::read(folder.join(format!("ladder.{rung}.fatbin"))).unwrap();
        assert!(is_fatbin(&image), "ladder.{rung}.fatbin is none");
    }
}
