//! Opening a device: the driver probed, the capability read, the kernels loaded.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cudarc::driver::sys::CUdevice_attribute;
use cudarc::driver::{CudaContext, CudaEvent, CudaStream};

use super::capability::Capability;
use super::driver;
use super::error::{CudaError, During};
use super::image::KernelImages;
use super::kernels::{Kernels, Loader, Tuning};

/// A CUDA device with this build's kernels on it.
pub struct Device {
    context: Arc<CudaContext>,
    name: String,
    capability: Capability,
    /// Whether it takes code for `sm_90a`.
    hopper: bool,
    kernels: Kernels,
    tuning: Arc<Tuning>,
    /// Shared with the kernels: whether each launch waits for the kernel's end.
    waits: Arc<AtomicBool>,
}

impl Device {
    /// Opens device number `ordinal`, from 0, with the kernels that [`KernelImages::find`] finds.
    ///
    /// # Errors
    /// No kernels in this build, no driver, a driver older than the toolkit, no such device, a device
    /// that no image fits: each an error of its own, which says what to do.
    pub fn open(ordinal: usize) -> Result<Self, CudaError> {
        Self::open_with(ordinal, &KernelImages::find()?)
    }

    /// Opens device number `ordinal`, from 0, with the kernels of `images`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(ordinal: usize, images: &KernelImages) -> Result<Self, CudaError> {
        let count = driver::count()?;
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
        let hopper = kernels.hopper.is_some();
        Ok(Self { context, name, capability, hopper, kernels, tuning, waits })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its compute capability.
    pub fn capability(&self) -> Capability {
        self.capability
    }

    /// Whether it takes the kernels of `kernels/hopper/`, which are compiled for `sm_90a` alone.
    pub fn takes_hopper(&self) -> bool {
        self.hopper
    }

    /// The kernels.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// What was measured to be the fastest on it.
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// Whether each launch waits until the kernel is done, so that an error names its culprit.
    pub(super) fn waits(&self) -> Arc<AtomicBool> {
        self.waits.clone()
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
}
