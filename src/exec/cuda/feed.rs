//! What a pass's batches are made of and what is counted over them, all of it on the device.

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DeviceRepr};

use super::error::{CudaError, During};
use super::kernels::{BatchOrder, DeviceSplit, StepState};
use super::memory::{allocate, upload};
use crate::data::{Normalisation, Shifts};
use crate::exec::executor::{Epoch, Examples};

/// Examples, the order in which they are met, and sums.
pub(super) struct Feed {
    /// (count, rows, columns) bytes.
    images: CudaSlice<u8>,
    /// (count).
    labels: CudaSlice<u8>,
    /// Rows and columns of an image.
    extents: [usize; 2],
    pub normalisation: Normalisation,
    pub shifts: Option<Shifts>,
    /// Examples in a full batch.
    batch: usize,
    /// (count): which example comes when.
    order: CudaSlice<u32>,
    /// Whether that is the examples' own order.
    is_in_order: bool,
    /// (steps, scalars).
    pub table: CudaSlice<f32>,
    /// One element.
    pub step: CudaSlice<StepState>,
    /// One element: the sum of losses.
    pub loss: CudaSlice<f64>,
    /// The number of hits, or (classes, classes) numbers of (label, prediction) pairs.
    pub hits: CudaSlice<u64>,
}

/// What the device counted.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Counted {
    pub state: StepState,
    pub loss: f64,
    pub hits: Vec<u64>,
}

impl Feed {
    /// `scalars` are those of a whole pass, and `hits` is one number or the square of the classes'.
    pub fn new(
        stream: &Arc<CudaStream>,
        examples: &Examples,
        batch: usize,
        scalars: usize,
        hits: usize,
    ) -> Result<Self, CudaError> {
        let Examples { split, normalisation, shifts } = examples;
        Ok(Self {
            images: upload(stream, &split.images)?,
            labels: upload(stream, &split.labels)?,
            extents: [split.rows, split.columns],
            normalisation: *normalisation,
            shifts: *shifts,
            batch,
            order: allocate(stream, split.len())?,
            is_in_order: false,
            table: allocate(stream, scalars)?,
            step: allocate(stream, 1)?,
            loss: allocate(stream, 1)?,
            hits: allocate(stream, hits)?,
        })
    }

    pub fn split(&self) -> DeviceSplit<'_> {
        let [rows, columns] = self.extents;
        DeviceSplit { images: self.images.as_view(), labels: self.labels.as_view(), rows, columns }
    }

    pub fn which(&self) -> BatchOrder<'_> {
        BatchOrder { step: self.step.as_view(), order: self.order.as_view(), batch_size: self.batch }
    }

    /// A pass over so many examples begins or goes on: an epoch's order, its scalars, and the sums of what is done of it go
    /// to the device.
    pub fn begin(
        &mut self,
        stream: &Arc<CudaStream>,
        count: usize,
        epoch: Option<Epoch<'_>>,
    ) -> Result<(), CudaError> {
        fn copy<T: DeviceRepr>(
            stream: &Arc<CudaStream>,
            values: &[T],
            to: &mut CudaSlice<T>,
        ) -> Result<(), CudaError> {
            match values.is_empty() {
                true => Ok(()),
                false => {
                    stream.memcpy_htod(values, to).during(|| "copying an epoch's order to the device".into())
                }
            }
        }
        match epoch {
            Some(Epoch { order, scalars, .. }) => {
                copy(stream, order, &mut self.order)?;
                let rounded: Vec<f32> = scalars.iter().map(|&scalar| scalar as f32).collect();
                copy(stream, &rounded, &mut self.table)?;
            }
            None if self.is_in_order => {}
            None => copy(stream, &(0..count as u32).collect::<Vec<_>>(), &mut self.order)?,
        }
        self.is_in_order = epoch.is_none();
        let done = epoch.map(|epoch| epoch.done).unwrap_or_default();
        let state = StepState::new(epoch.map_or(0, |epoch| epoch.updates)).after(done.steps as u64);
        copy(stream, &[state], &mut self.step)?;
        let clearing = || "clearing sums on the device".to_owned();
        stream.memset_zeros(&mut self.loss).during(clearing)?;
        stream.memset_zeros(&mut self.hits).during(clearing)?;
        if done.steps > 0 {
            // An epoch's hits are one number.
            copy(stream, &[done.sums.loss], &mut self.loss)?;
            copy(stream, &[done.sums.correct as u64], &mut self.hits)?;
        }
        Ok(())
    }

    /// Reads the sums, after all work on the stream.
    pub fn counted(&self, stream: &Arc<CudaStream>) -> Result<Counted, CudaError> {
        let reading = || "reading sums from the device".to_owned();
        let (mut state, mut loss, mut hits) = ([StepState::new(0)], [0.0], vec![0; self.hits.len()]);
        stream.memcpy_dtoh(&self.step, &mut state).during(reading)?;
        stream.memcpy_dtoh(&self.loss, &mut loss).during(reading)?;
        stream.memcpy_dtoh(&self.hits, &mut hits).during(reading)?;
        stream.synchronize().during(reading)?;
        Ok(Counted { state: state[0], loss: loss[0], hits })
    }
}
