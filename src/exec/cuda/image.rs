//! The machine code that the build embedded: one fatbin a file of `kernels/`, each with code for
//! several architectures, of which the driver takes the one that fits; and one a file of `kernels/hopper/`, with code for
//! `sm_90a` alone.
//!
//! `COTANGENT_CUDA_IMAGE` names a file that replaces all of them at run time.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::capability::HOPPER;
use super::embedded::{self, ARCHITECTURES, IMAGES};
use super::{Capability, CudaError};

/// The variable that names a file to load instead of the embedded images.
const REPLACEMENT: &str = "COTANGENT_CUDA_IMAGE";

/// The variable that names a folder with images of the kernels' variants that were not embedded.
const CANDIDATES: &str = "COTANGENT_CUDA_CANDIDATES";

/// How images begin: fatbins, cubins, PTX after its comments, and the list that the emulator loads.
const BEGINNINGS: [&[u8]; 4] = [&[0x50, 0xed, 0x55, 0xba], b"\x7fELF", b"//", b"emulated kernels\n"];

/// Where a device's kernels are loaded from.
pub enum KernelImages {
    /// What the build embedded.
    Embedded,
    /// One file that holds every kernel.
    File {
        /// Where it was read.
        path: PathBuf,
        /// What it holds, and a zero: the driver is told no length, and finds the end of text by one.
        bytes: Vec<u8>,
    },
}

impl KernelImages {
    /// The file that `COTANGENT_CUDA_IMAGE` names, else what the build embedded.
    ///
    /// # Errors
    /// When the file cannot be read, or nothing was embedded.
    pub fn find() -> Result<Self, CudaError> {
        match Self::replacement() {
            Some(path) => Self::file(path),
            None if IMAGES.is_empty() => Err(CudaError::NoKernels),
            None => Ok(Self::Embedded),
        }
    }

    /// The file that `COTANGENT_CUDA_IMAGE` names, whether or not it is there.
    pub fn replacement() -> Option<PathBuf> {
        std::env::var_os(REPLACEMENT).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// One file in place of what the build embedded.
    ///
    /// # Errors
    /// When it cannot be read, or begins like no image.
    pub fn file(path: PathBuf) -> Result<Self, CudaError> {
        let bytes = read(&path, REPLACEMENT)?;
        Ok(Self::File { path, bytes })
    }

    /// The image of the variants of `kernels/<file>.cu` that were not embedded, from the folder that
    /// `COTANGENT_CUDA_CANDIDATES` names; a file in place of what was embedded has its own.
    pub(super) fn candidates(&self, file: &str) -> Result<Option<Vec<u8>>, CudaError> {
        let folder = std::env::var_os(CANDIDATES).filter(|path| !path.is_empty()).map(PathBuf::from);
        match (self, folder) {
            (Self::Embedded, Some(folder)) => candidates_in(&folder, file),
            _ => Ok(None),
        }
    }

    /// The image that holds the kernels of `kernels/<file>.cu`.
    pub(super) fn of_file(&self, file: &str) -> Option<Cow<'_, [u8]>> {
        self.or_of(IMAGES, file)
    }

    /// The image that holds the kernels of `kernels/hopper/<file>.cu`, if there is one.
    pub(super) fn of_hopper(&self, file: &str) -> Option<Cow<'_, [u8]>> {
        self.or_of(embedded::HOPPER, file)
    }

    /// Whether code for `sm_90a` is there and a device of this capability runs it, as far as is known: what a file holds,
    /// the driver will say.
    pub(super) fn has_hopper(&self, capability: Capability) -> bool {
        let is_there = match self {
            Self::File { .. } => true,
            Self::Embedded => !embedded::HOPPER.is_empty(),
        };
        is_there && capability.runs(HOPPER)
    }

    /// The file in place of what was embedded, or that image of a list.
    fn or_of(&self, list: &[(&str, &'static [u8])], file: &str) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::File { bytes, .. } => Some(Cow::Borrowed(bytes)),
            Self::Embedded => {
                list.iter().find(|(stem, _)| *stem == file).map(|(_, bytes)| Cow::Borrowed(*bytes))
            }
        }
    }

    /// The file that they were read from.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File { path, .. } => Some(path.clone()),
            Self::Embedded => None,
        }
    }

    /// Whether code for a device of this capability is there, as far as is known.
    pub(super) fn fits(&self, capability: Capability) -> bool {
        match self {
            Self::File { .. } => true, // the driver will say
            Self::Embedded => {
                // Code for `sm_90a` is of some kernels, and a device needs all.
                let mut of_every_image = ARCHITECTURES.iter().filter(|architecture| **architecture != HOPPER);
                of_every_image.any(|architecture| capability.runs(architecture))
            }
        }
    }
}

/// The image of a kernel file's candidates. A file whose variants are all embedded has none; a folder that is not there
/// is a mistake.
fn candidates_in(folder: &Path, file: &str) -> Result<Option<Vec<u8>>, CudaError> {
    let path = folder.join(file).with_extension("fatbin");
    if folder.is_dir() && !path.exists() {
        return Ok(None);
    }
    read(&path, CANDIDATES).map(Some)
}

/// A file that begins like an image, and a zero.
fn read(path: &Path, variable: &'static str) -> Result<Vec<u8>, CudaError> {
    let mut bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(CudaError::Image { path: path.into(), variable, source }),
    };
    if !BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning)) {
        return Err(CudaError::NotAnImage { path: path.into(), variable });
    }
    bytes.push(0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_or_no_image_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernels.fatbin");
        let error = |path: &PathBuf| KernelImages::file(path.clone()).err().unwrap().to_string();
        assert!(error(&path).starts_with(&format!("cannot read {}", path.display())), "{}", error(&path));
        for content in ["", "something else"] {
            std::fs::write(&path, content).unwrap();
            let expected = format!("{} is no image of CUDA kernels", path.display());
            assert!(error(&path).starts_with(&expected), "{}", error(&path));
        }
        std::fs::write(&path, b"\x7fELF...").unwrap();
        assert_eq!(candidates_in(folder.path(), "kernels").unwrap().unwrap(), b"\x7fELF...\0");
        assert!(candidates_in(folder.path(), "gemm").unwrap().is_none(), "all of its variants are embedded");
        let error = candidates_in(&folder.path().join("none"), "gemm").unwrap_err().to_string();
        assert!(error.contains("gemm.fatbin, which COTANGENT_CUDA_CANDIDATES names"), "{error}");
        assert!(error.contains("(correct or unset COTANGENT_CUDA_CANDIDATES)"), "{error}");
        std::fs::write(&path, b"\x7fELF...").unwrap();
        let KernelImages::File { bytes, .. } = KernelImages::file(path).unwrap() else {
            panic!("not a file")
        };
        assert_eq!(bytes, b"\x7fELF...\0");
    }
}
