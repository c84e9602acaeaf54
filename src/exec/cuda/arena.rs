//! One block of device memory for all values of a plan, lent out in disjoint pieces.

use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, CudaView, CudaViewMut};
use half::bf16;

use super::error::During;
use super::{CudaError, Device};

/// Elements that one launch fills: their number fits 32 bits.
const FILLED_AT_ONCE: usize = 1 << 30;

/// The memory that plans run in. Plans that share residents share an arena.
pub struct DeviceArena {
    memory: CudaSlice<f32>,
}

impl DeviceArena {
    /// An arena of so many float32 elements, all NaN: what is read before it is written shows.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`], or what the driver reports.
    pub fn new(device: &Device, stream: &Arc<CudaStream>, size: usize) -> Result<Self, CudaError> {
        let mut memory = device.allocate::<f32>(stream, size)?;
        for start in (0..size).step_by(FILLED_AT_ONCE) {
            let mut piece = memory.slice_mut(start..size.min(start + FILLED_AT_ONCE));
            device.kernels().layout.fill(stream, f32::NAN, &mut piece)?;
        }
        Ok(Self { memory })
    }

    /// The elements of a place.
    pub fn view(&self, place: Range<usize>) -> CudaView<'_, f32> {
        self.memory.slice(place)
    }

    /// The elements of a place, for writing.
    pub fn view_mut(&mut self, place: Range<usize>) -> CudaViewMut<'_, f32> {
        self.memory.slice_mut(place)
    }

    /// Copies from the host. Waits until the values are taken over, not until they are there.
    ///
    /// # Errors
    /// What the driver reports.
    ///
    /// # Panics
    /// When there are not as many values as the place has elements.
    pub fn upload(
        &mut self,
        stream: &Arc<CudaStream>,
        place: Range<usize>,
        values: &[f32],
    ) -> Result<(), CudaError> {
        assert_eq!(values.len(), place.len(), "values for the elements {place:?}");
        if values.is_empty() {
            return Ok(());
        }
        let mut view = self.view_mut(place);
        stream.memcpy_htod(values, &mut view).during(|| "copying values to the device".into())
    }

    /// Copies to the host, after all work on the stream.
    ///
    /// # Errors
    /// What the driver reports, an earlier kernel's fault among it.
    ///
    /// # Panics
    /// When there is not room for as many values as the place has elements.
    pub fn download(
        &self,
        stream: &Arc<CudaStream>,
        place: Range<usize>,
        values: &mut [f32],
    ) -> Result<(), CudaError> {
        assert_eq!(values.len(), place.len(), "values of the elements {place:?}");
        if values.is_empty() {
            return Ok(());
        }
        let copied = stream.memcpy_dtoh(&self.view(place), values);
        copied.and_then(|()| stream.synchronize()).during(|| "copying values from the device".into())
    }

    /// Lends three disjoint places for writing, and all others for reading; a place that is not needed is
    /// empty.
    ///
    /// # Panics
    /// When the places overlap.
    pub fn lend<R>(
        &mut self,
        places: [Range<usize>; 3],
        work: impl FnOnce(&Rest<'_>, [CudaViewMut<'_, f32>; 3]) -> R,
    ) -> R {
        let mut ascending = [0, 1, 2];
        ascending.sort_by_key(|&i| (places[i].start, places[i].end));
        let [low, middle, high] = ascending.map(|i| places[i].clone());
        let mut whole = self.memory.as_view_mut();
        let (before, mut rest) = whole.split_at_mut(low.start);
        let (low_place, mut rest) = rest.split_at_mut(low.len());
        let (between, mut rest) = rest.split_at_mut(middle.start - low.end);
        let (middle_place, mut rest) = rest.split_at_mut(middle.len());
        let (beyond, mut rest) = rest.split_at_mut(high.start - middle.end);
        let (high_place, after) = rest.split_at_mut(high.len());
        let rest = Rest {
            parts: [
                (0, before.into_view()),
                (low.end, between.into_view()),
                (middle.end, beyond.into_view()),
                (high.end, after.into_view()),
            ],
        };
        // Back in the order in which they were asked for.
        let mut lent = [(ascending[0], low_place), (ascending[1], middle_place), (ascending[2], high_place)];
        lent.sort_by_key(|(i, _)| *i);
        work(&rest, lent.map(|(_, view)| view))
    }
}

/// What is left for reading while places are lent for writing: each part with its offset.
pub struct Rest<'a> {
    parts: [(usize, CudaView<'a, f32>); 4],
}

impl Rest<'_> {
    /// # Panics
    /// When the place is lent for writing: an instruction would read what it writes.
    pub fn get(&self, place: Range<usize>) -> CudaView<'_, f32> {
        for (offset, part) in &self.parts {
            if place.start >= *offset && place.end <= offset + part.len() {
                return part.slice(place.start - offset..place.end - offset);
            }
        }
        panic!("elements {place:?} are being written")
    }

    /// The first `length` bfloat16 numbers of a place.
    pub fn get_bf16(&self, place: Range<usize>, length: usize) -> CudaView<'_, bf16> {
        let view = self.get(place);
        // SAFETY: every pattern of 16 bits is a bfloat16; a place's beginning is aligned for float32.
        let view = unsafe { view.transmute::<bf16>(length) };
        view.unwrap_or_else(|| panic!("{length} bfloat16 numbers do not fit their place"))
    }
}
