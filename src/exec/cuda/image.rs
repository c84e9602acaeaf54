//! The machine code that the build embedded: one fatbin a file of `kernels/`, each with code for
//! several architectures, of which the driver takes the one that fits.
//!
//! `COTANGENT_CUDA_IMAGE` names a file that replaces all of them at run time.

use std::borrow::Cow;
use std::path::PathBuf;

use super::{Capability, CudaError};

include!(concat!(env!("OUT_DIR"), "/cuda_images.rs"));

/// The variable that names a file to load instead of the embedded images.
const REPLACEMENT: &str = "COTANGENT_CUDA_IMAGE";

/// Where a device's kernels are loaded from.
pub enum Images {
    /// What the build embedded.
    Embedded,
    /// The content of one file that holds every kernel.
    File(Vec<u8>),
}

impl Images {
    /// The file that `COTANGENT_CUDA_IMAGE` names, else what the build embedded.
    ///
    /// # Errors
    /// When the file cannot be read, or nothing was embedded.
    pub fn find() -> Result<Self, CudaError> {
        match std::env::var_os(REPLACEMENT) {
            Some(path) => {
                let path = PathBuf::from(path);
                let bytes = std::fs::read(&path).map_err(|source| CudaError::Image { path, source })?;
                Ok(Self::File(bytes))
            }
            None if IMAGES.is_empty() => Err(CudaError::NoKernels),
            None => Ok(Self::Embedded),
        }
    }

    /// The image that holds the kernels of `kernels/<file>.cu`.
    pub(super) fn of_file(&self, file: &str) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::File(bytes) => Some(Cow::Borrowed(bytes)),
            Self::Embedded => {
                IMAGES.iter().find(|(stem, _)| *stem == file).map(|(_, bytes)| Cow::Borrowed(*bytes))
            }
        }
    }

    /// Whether code for a device of this capability is there, as far as is known.
    pub(super) fn fits(&self, capability: Capability) -> bool {
        match self {
            Self::File(_) => true, // the driver will say
            Self::Embedded => ARCHITECTURES.iter().any(|architecture| capability.runs(architecture)),
        }
    }
}
