//! MNIST's images as the program embeds them: unpacked from gzip, and packed anew for being unpacked soon.

#[allow(dead_code, reason = "the program unpacks")]
#[path = "../src/data/packed.rs"]
mod packed;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

/// The header of an IDX file of images: a magic number and three dimensions of four bytes each.
const HEADER: usize = 16;

/// Packs the two files of images in `folder` into `out`, under their names with `.packed`; returns the lines to print for cargo,
/// or why the build fails.
pub fn pack(folder: &Path, out: &Path) -> Result<Vec<String>, String> {
    for name in ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"] {
        let (from, to) = (folder.join(format!("{name}.gz")), out.join(format!("{name}.packed")));
        let mut file = Vec::new();
        let unpacked = File::open(&from).and_then(|gzip| GzDecoder::new(gzip).read_to_end(&mut file));
        unpacked.map_err(|error| format!("{}: {error}", from.display()))?;
        fs::write(&to, packed::pack(&file, HEADER)).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(["data/mnist", "src/data/packed.rs"].map(|path| format!("cargo::rerun-if-changed={path}")).into())
}
