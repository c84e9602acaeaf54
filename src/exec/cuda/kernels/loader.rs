//! From images to kernels on one device.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cudarc::driver::sys::{CUdevice_attribute, CUresult};
use cudarc::driver::{CudaContext, CudaModule};
use cudarc::nvrtc::Ptx;

use super::kernel::Kernel;
use crate::exec::cuda::error::During;
use crate::exec::cuda::{Capability, CudaError, KernelImages};

/// Loads kernels onto one device.
pub(in crate::exec::cuda) struct Loader<'a> {
    pub context: &'a Arc<CudaContext>,
    pub images: &'a KernelImages,
    pub capability: Capability,
    pub ordinal: usize,
    pub name: &'a str,
    pub waits: &'a Arc<AtomicBool>,
}

impl Loader<'_> {
    /// The module of `kernels/<file>.cu`.
    pub fn file(&self, file: &'static str) -> Result<File, CudaError> {
        self.load(file, self.images.of_file(file).ok_or(CudaError::NoKernels)?.into_owned())
    }

    /// The module of `kernels/hopper/<file>.cu`: on a device that runs code for `sm_90a`, where the build embedded some or a
    /// file in place of what it embedded holds it.
    pub fn hopper(&self, file: &'static str) -> Result<Option<File>, CudaError> {
        if !self.images.has_hopper(self.capability) {
            return Ok(None);
        }
        let image = self.images.of_hopper(file);
        image.map(|image| self.load(&format!("hopper/{file}"), image.into_owned())).transpose()
    }

    /// The module of the variants of `kernels/<file>.cu` that were not embedded, if they are to be had. They are
    /// compiled for one card alone; another does without.
    pub fn candidates(&self, file: &'static str) -> Result<Option<File>, CudaError> {
        let Some(image) = self.images.candidates(file)? else { return Ok(None) };
        match self.load(file, image) {
            Err(CudaError::NoImage { .. }) => Ok(None),
            loaded => loaded.map(Some),
        }
    }

    /// Bytes of shared memory that a block may have, if it asks.
    pub fn most_shared_memory(&self) -> Result<usize, CudaError> {
        let attribute = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
        let bytes = self.context.attribute(attribute).during(|| "asking for the shared memory".to_owned())?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }

    fn load(&self, file: &str, image: Vec<u8>) -> Result<File, CudaError> {
        let module = self.context.load_module(Ptx::from_binary(image));
        let module = module.map_err(|error| match error.0 {
            CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU | CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
                CudaError::NoImage {
                    ordinal: self.ordinal,
                    name: self.name.into(),
                    capability: self.capability,
                    file: self.images.path(),
                }
            }
            _ => {
                CudaError::Driver { what: format!("loading the kernels of {file}.cu"), source: error.into() }
            }
        })?;
        Ok(File { module, context: self.context.clone(), waits: self.waits.clone() })
    }
}

/// The loaded kernels of one file.
pub(in crate::exec::cuda) struct File {
    module: Arc<CudaModule>,
    context: Arc<CudaContext>,
    waits: Arc<AtomicBool>,
}

impl File {
    /// The kernel of that name.
    pub fn kernel(&self, name: impl Into<Cow<'static, str>>) -> Result<Kernel, CudaError> {
        let name = name.into();
        let function = self.module.load_function(&name).during(|| format!("looking up the kernel {name}"))?;
        Ok(Kernel::new(name, function, self.context.clone(), self.waits.clone()))
    }

    /// The kernel of that name, if there is one.
    pub fn find(&self, name: &str) -> Result<Option<Kernel>, CudaError> {
        match self.module.load_function(name) {
            Err(error) if error.0 == CUresult::CUDA_ERROR_NOT_FOUND => Ok(None),
            _ => self.kernel(name.to_owned()).map(Some),
        }
    }
}
