//! The driver: probed before it is called, because it is loaded at run time and may be missing, old or something else.

use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{DriverError, result};

use super::embedded::TOOLKIT;
use super::error::{CudaError, During};

/// The number of devices that the driver sees.
///
/// # Errors
/// When there is no driver, or one that is older than the toolkit that compiled the kernels.
pub fn count() -> Result<usize, CudaError> {
    check_driver(version()?, TOOLKIT)?;
    require(&LATEST)?;
    count_whatever_the_driver()
}

/// As [`count`], for a driver that may be too old to run the kernels.
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
pub fn version() -> Result<(i32, i32), CudaError> {
    // SAFETY: loading the driver's library runs its initialisers, which is what is wanted. Probed
    // first, because using a library that is missing would panic.
    if !unsafe { sys::is_culib_present() } {
        return Err(CudaError::NoDriver);
    }
    require(&FIRST)?;
    driver_version().during(asking)
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
}
