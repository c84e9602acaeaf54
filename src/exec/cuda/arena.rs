//! One block of device memory for all values of a plan, lent out in disjoint pieces.

use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, CudaView, CudaViewMut};
use half::bf16;

use super::error::During;
use super::{CudaError, Device, memory};

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
        let mut memory = memory::allocate::<f32>(stream, size)?;
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

    /// Lends disjoint places for writing, and all others for reading; a place that is not needed is empty.
    ///
    /// # Panics
    /// When the places overlap.
    pub fn lend<const N: usize, R>(
        &mut self,
        places: [Range<usize>; N],
        work: impl FnOnce(&Rest<'_>, [CudaViewMut<'_, f32>; N]) -> R,
    ) -> R {
        let mut ascending: Vec<(usize, Range<usize>)> = places.into_iter().enumerate().collect();
        ascending.sort_by_key(|(_, place)| (place.start, place.end));
        lend_each(&ascending, (0, self.memory.as_view_mut()), [const { None }; N], Vec::new(), work)
    }
}

/// Cuts the first place off what is left from an element on, and the others off what is left then: by a call within
/// this one, as each piece borrows from the last.
fn lend_each<const N: usize, R>(
    ascending: &[(usize, Range<usize>)],
    (start, mut left): (usize, CudaViewMut<'_, f32>),
    lent: [Option<CudaViewMut<'_, f32>>; N],
    parts: Vec<(usize, CudaView<'_, f32>)>,
    work: impl FnOnce(&Rest<'_>, [CudaViewMut<'_, f32>; N]) -> R,
) -> R {
    let (mut lent, mut parts) = (lent, parts); // which live no longer than the pieces
    let Some(((number, place), others)) = ascending.split_first() else {
        parts.push((start, left.into_view()));
        let lent = lent.map(|view| view.unwrap_or_else(|| unreachable!("each place has its number")));
        return work(&Rest { parts }, lent);
    };
    assert!(place.start >= start, "elements {place:?} are lent twice");
    let (before, mut rest) = left.split_at_mut(place.start - start);
    let (view, rest) = rest.split_at_mut(place.len());
    parts.push((start, before.into_view()));
    lent[*number] = Some(view);
    lend_each(others, (place.end, rest), lent, parts, work)
}

/// What is left for reading while places are lent for writing: each part with its offset.
pub struct Rest<'a> {
    parts: Vec<(usize, CudaView<'a, f32>)>,
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
