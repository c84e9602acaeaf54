//! Memory of a stream's device.

use std::sync::Arc;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaSlice, CudaStream, DeviceRepr, ValidAsZeroBits};

use super::error::{CudaError, During};

/// Memory that holds a copy of these values, and room for one where there are none.
///
/// # Errors
/// As [`allocate`].
pub fn upload<T: DeviceRepr + ValidAsZeroBits>(
    stream: &Arc<CudaStream>,
    values: &[T],
) -> Result<CudaSlice<T>, CudaError> {
    let mut memory = allocate(stream, values.len())?;
    if !values.is_empty() {
        stream.memcpy_htod(values, &mut memory).during(|| "copying values to the device".into())?;
    }
    Ok(memory)
}

/// Memory for `length` elements, all zero bits. At least one element is allocated.
///
/// # Errors
/// [`CudaError::OutOfMemory`], with what was asked and what is free.
pub fn allocate<T: DeviceRepr + ValidAsZeroBits>(
    stream: &Arc<CudaStream>,
    length: usize,
) -> Result<CudaSlice<T>, CudaError> {
    let out_of_memory = |asked| {
        let free = stream.context().mem_get_info().map_or(0, |(free, _)| free);
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
