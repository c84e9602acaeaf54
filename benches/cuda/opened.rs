//! The device that a bench runs on.

use std::sync::Arc;

use cotangent::exec::cuda::Device;
use cudarc::driver::CudaStream;
use cudarc::driver::sys::CUdevice_attribute;

/// A device with one stream.
pub struct Opened {
    pub device: Device,
    pub stream: Arc<CudaStream>,
    pub multiprocessors: usize,
    /// Bytes of the second-level cache.
    pub cache: usize,
}

/// Whether a device is an emulated one, whose times say nothing.
pub fn is_emulated(device: &Device) -> bool {
    device.name().starts_with("emulated")
}

impl Opened {
    /// The device that `COTANGENT_BENCH_DEVICE` names, the first if it names none.
    ///
    /// # Errors
    /// A number that is none; what keeps the device from being opened.
    pub fn of_environment() -> Result<Self, Box<dyn std::error::Error>> {
        let ordinal = std::env::var("COTANGENT_BENCH_DEVICE").unwrap_or_else(|_| "0".into());
        let ordinal =
            ordinal.parse().map_err(|_| format!("COTANGENT_BENCH_DEVICE is {ordinal:?}, no number"))?;
        let device = Device::open(ordinal)?;
        let (stream, multiprocessors) = (device.stream()?, device.multiprocessors()?);
        let cache = stream.context().attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?;
        Ok(Self { device, stream, multiprocessors, cache: usize::try_from(cache).unwrap_or(0) })
    }
}
