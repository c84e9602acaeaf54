//! Opening a device: the driver probed, the capability read, the kernels loaded.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::During;
use super::image::Images;
use super::kernels::Kernel;
use super::{CudaError, Kernels, TOOLKIT, Tuning};
use cudarc::driver::sys::{self, CUdevice_attribute, CUresult};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaModule, CudaSlice, CudaStream, DeviceRepr, DriverError, result,
};
use cudarc::nvrtc::Ptx;

/// A compute capability, such as 9.0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Capability {
    /// The generation.
    pub major: i32,
    /// Within the generation.
    pub minor: i32,
}

impl Capability {
    /// The least that the kernels are written for.
    pub const OLDEST: Self = Self { major: 7, minor: 5 };

    /// As architectures are numbered: 90 for 9.0.
    pub fn number(self) -> i32 {
        10 * self.major + self.minor
    }

    /// Whether code for an architecture, such as `sm_80` or `compute_120`, runs on this device:
    /// machine code within its generation, PTX on everything newer too (CUDA C++ Programming Guide,
    /// "Binary compatibility" and "PTX compatibility").
    pub fn runs(self, architecture: &str) -> bool {
        let Some((kind, number)) = architecture.split_once('_') else { return false };
        let Ok(number) = number.parse::<i32>() else { return false };
        match kind {
            "sm" => number / 10 == self.major && number <= self.number(),
            "compute" => number <= self.number(),
            _ => false,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A CUDA device with this build's kernels on it.
pub struct Device {
    context: Arc<CudaContext>,
    name: String,
    capability: Capability,
    kernels: Kernels,
    tuning: Arc<Tuning>,
    /// Shared with the kernels: whether each launch waits for the kernel's end.
    waits: Arc<AtomicBool>,
}

impl Device {
    /// Opens device number `ordinal`, from 0, with the kernels that [`Images::find`] finds.
    ///
    /// # Errors
    /// No kernels in this build, no driver, a driver older than the toolkit, no such device, a device
    /// that no image fits: each an error of its own, which says what to do.
    pub fn open(ordinal: usize) -> Result<Self, CudaError> {
        Self::open_with(ordinal, &Images::find()?)
    }

    /// Opens device number `ordinal`, from 0, with the kernels of `images`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(ordinal: usize, images: &Images) -> Result<Self, CudaError> {
        let count = Self::count()?;
        if ordinal >= count {
            return Err(CudaError::NoDevice { ordinal, count });
        }
        let opening = || format!("opening CUDA device {ordinal}");
        let context = CudaContext::new(ordinal).during(opening)?;
        // SAFETY: whoever has several streams orders them: `Lanes` by its schedule's events, others by keeping
        // to one. Before the first stream exists, because making it would otherwise synchronise the context.
        unsafe { context.disable_event_tracking() };
        let name = context.name().during(opening)?;
        let (major, minor) = context.compute_capability().during(opening)?;
        let capability = Capability { major, minor };
        if !images.fits(capability) {
            return Err(CudaError::NoImage { ordinal, name, capability, file: images.path() });
        }
        let waits = Arc::new(AtomicBool::new(false));
        let loader = Loader { context: &context, images, capability, ordinal, name: &name, waits: &waits };
        let tuning = Arc::new(Tuning::of_card(&name)?);
        let kernels = Kernels::load(&loader, &tuning)?;
        Ok(Self { context, name, capability, kernels, tuning, waits })
    }

    /// The number of devices that the driver sees.
    ///
    /// # Errors
    /// When there is no driver, or one that is older than the toolkit that compiled the kernels.
    pub fn count() -> Result<usize, CudaError> {
        check_driver(Self::driver()?, TOOLKIT)?;
        require(&LATEST)?;
        Self::count_whatever_the_driver()
    }

    /// As [`Self::count`], for a driver that may be too old to run the kernels.
    pub(super) fn count_whatever_the_driver() -> Result<usize, CudaError> {
        match result::init() {
            Err(error) if error.0 == CUresult::CUDA_ERROR_NO_DEVICE => return Ok(0),
            other => other.during(asking)?,
        }
        let count = result::device::get_count().during(asking)?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The newest CUDA that the driver supports, such as (13, 0).
    ///
    /// # Errors
    /// When there is no driver.
    pub fn driver() -> Result<(i32, i32), CudaError> {
        // SAFETY: loading the driver's library runs its initialisers, which is what is wanted. Probed
        // first, because using a library that is missing would panic.
        if !unsafe { sys::is_culib_present() } {
            return Err(CudaError::NoDriver);
        }
        require(&FIRST)?;
        driver_version().during(asking)
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its compute capability.
    pub fn capability(&self) -> Capability {
        self.capability
    }

    /// The kernels.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// What was measured to be the fastest on it.
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// Whether from now on each launch waits until the kernel is done, so that an error names its culprit.
    pub fn wait_for_each_kernel(&self, wait: bool) {
        self.waits.store(wait, Ordering::Relaxed);
    }

    /// The device's number, from 0.
    pub fn ordinal(&self) -> usize {
        self.context.ordinal()
    }

    /// The bytes of its memory: free, and in all.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn memory(&self) -> Result<(usize, usize), CudaError> {
        self.context.mem_get_info().during(|| "asking for the device's memory".into())
    }

    /// The number of multiprocessors.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn multiprocessors(&self) -> Result<usize, CudaError> {
        let attribute = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let count = self.context.attribute(attribute).during(|| "counting multiprocessors".to_owned())?;
        Ok(usize::try_from(count).unwrap_or(1))
    }

    /// A new stream: its work runs in order. Between streams nothing is ordered but by events of the caller's.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn stream(&self) -> Result<Arc<CudaStream>, CudaError> {
        self.context.new_stream().during(|| "creating a CUDA stream".to_owned())
    }

    /// An event, not yet recorded.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn event(&self) -> Result<CudaEvent, CudaError> {
        self.context.new_event(None).during(|| "creating a CUDA event".into())
    }

    /// Memory that holds a copy of these values, and room for one where there are none.
    ///
    /// # Errors
    /// As [`Self::allocate`].
    pub fn upload<T: DeviceRepr + cudarc::driver::ValidAsZeroBits>(
        &self,
        stream: &Arc<CudaStream>,
        values: &[T],
    ) -> Result<CudaSlice<T>, CudaError> {
        let mut memory = self.allocate(stream, values.len())?;
        if !values.is_empty() {
            stream.memcpy_htod(values, &mut memory).during(|| "copying values to the device".into())?;
        }
        Ok(memory)
    }

    /// Memory for `length` elements, all zero bits. At least one element is allocated.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`], with what was asked and what is free.
    pub fn allocate<T: DeviceRepr + cudarc::driver::ValidAsZeroBits>(
        &self,
        stream: &Arc<CudaStream>,
        length: usize,
    ) -> Result<CudaSlice<T>, CudaError> {
        let out_of_memory = |asked| {
            let free = self.context.mem_get_info().map_or(0, |(free, _)| free);
            CudaError::OutOfMemory { asked, free }
        };
        let Some(asked) = length.checked_mul(size_of::<T>()) else {
            return Err(out_of_memory(usize::MAX));
        };
        stream.alloc_zeros(length.max(1)).map_err(|error| match error.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => out_of_memory(asked),
            _ => CudaError::Driver { what: format!("allocating {asked} bytes"), source: error.into() },
        })
    }
}

fn asking() -> String {
    "asking the CUDA driver for its devices".into()
}

/// What is called before the driver's version is known: every driver has it.
const FIRST: [&str; 9] = [
    "cuInit",
    "cuDriverGetVersion",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDeviceTotalMem_v2",
];

/// Of what is called later, what came last into the interface (with CUDA 10.1, 11.1, 11.2 and 11.4): a driver
/// that has these has the others.
const LATEST: [&str; 4] =
    ["cuStreamBeginCapture_v2", "cuGraphUpload", "cuMemAllocAsync", "cuGraphInstantiateWithFlags"];

/// That the driver has these functions: calling one that is missing would panic.
pub(super) fn require(functions: &[&'static str]) -> Result<(), CudaError> {
    // SAFETY: the library can be loaded, for the caller has probed it; the symbols are looked up, not called.
    let missing = |function: &str| unsafe { sys::culib().get::<fn()>(function.as_bytes()).is_err() };
    match functions.iter().find(|function| missing(function)) {
        Some(function) => Err(CudaError::NotADriver { function }),
        None => Ok(()),
    }
}

/// The newest CUDA that the driver supports.
fn driver_version() -> Result<(i32, i32), DriverError> {
    let mut version = 0;
    // SAFETY: the pointer is to a live integer.
    unsafe { sys::cuDriverGetVersion(&mut version) }.result()?;
    Ok((version / 1000, version % 1000 / 10)) // 13000 is 13.0
}

/// Whether a driver runs machine code that this toolkit compiled: any of its major version does (CUDA
/// Compatibility, "Minor version compatibility"). PTX may still be too new; then loading says so.
fn check_driver(driver: (i32, i32), toolkit: (i32, i32)) -> Result<(), CudaError> {
    if driver.0 < toolkit.0 {
        return Err(CudaError::DriverTooOld { driver, toolkit });
    }
    Ok(())
}

/// Loads kernels onto one device.
pub(super) struct Loader<'a> {
    context: &'a Arc<CudaContext>,
    images: &'a Images,
    pub capability: Capability,
    ordinal: usize,
    name: &'a str,
    waits: &'a Arc<AtomicBool>,
}

impl Loader<'_> {
    /// The module of `kernels/<file>.cu`.
    pub fn file(&self, file: &'static str) -> Result<File, CudaError> {
        self.load(file, self.images.of_file(file).ok_or(CudaError::NoKernels)?.into_owned())
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
pub(super) struct File {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_older_than_the_toolkit_is_refused_with_both_versions() {
        assert!(check_driver((13, 0), (13, 1)).is_ok() && check_driver((13, 1), (12, 9)).is_ok());
        assert!(check_driver((11, 0), (0, 0)).is_ok(), "nothing was compiled");
        let error = check_driver((12, 8), (13, 0)).unwrap_err().to_string();
        assert!(
            error.starts_with("the driver supports CUDA 12.8, and the kernels were compiled by CUDA 13.0"),
            "{error}"
        );
    }

    #[test]
    fn a_device_that_no_image_fits_is_refused_with_what_to_build() {
        let capability = Capability { major: 6, minor: 1 };
        let refusal = |capability, file: Option<&str>| {
            CudaError::NoImage { ordinal: 0, name: "A Card".into(), capability, file: file.map(Into::into) }
                .to_string()
        };
        let error = refusal(capability, None);
        assert!(error.starts_with("device 0 (A Card) has compute capability 6.1, and this build"), "{error}");
        assert!(error.contains("run on the CPU, or on a card of compute capability 7.5 or newer"), "{error}");
        let error = refusal(Capability { major: 8, minor: 7 }, None);
        assert!(error.contains("build again with COTANGENT_CUDA_ARCHS=87"), "{error}");
        let error = refusal(capability, Some("mine.fatbin"));
        assert!(error.contains("mine.fatbin has no kernels for it; correct or unset"), "{error}");
    }

    #[test]
    fn machine_code_runs_within_its_generation_and_ptx_on_everything_newer() {
        let capability = |major, minor| Capability { major, minor };
        assert!(capability(8, 6).runs("sm_80") && capability(8, 6).runs("sm_86"));
        assert!(!capability(8, 0).runs("sm_86"), "made for a newer one of the generation");
        assert!(!capability(9, 0).runs("sm_80") && !capability(7, 5).runs("sm_80"));
        assert!(capability(12, 1).runs("sm_120") && capability(12, 1).runs("compute_90"));
        assert!(!capability(8, 9).runs("compute_90"));
        assert!(!capability(9, 0).runs("sm_90a"), "for code that is not meant for every 9.0");
    }
}
