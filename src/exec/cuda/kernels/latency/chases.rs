//! Chases through memory: a load of which each next one waits, from links that lead all around.

use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, CudaViewMut, DevicePtr, PushKernelArg};

use super::{Latency, WARP, in_clusters};
use crate::exec::cuda::error::During;
use crate::exec::cuda::kernels::kernel::Kernel;
use crate::exec::cuda::{CudaError, memory};

/// Links in device memory, each the address of the next.
pub struct Links {
    memory: CudaSlice<u64>,
    /// Words from one link to the next place.
    stride: usize,
    /// Of `memory`.
    address: u64,
}

/// Links for shared memory, each the number of the next.
pub struct Table {
    next: CudaSlice<u32>,
}

impl Links {
    /// The number of the link at this address.
    ///
    /// # Errors
    /// An address that is no link's.
    pub fn number(&self, address: u64) -> Result<usize, CudaError> {
        let offset = address.wrapping_sub(self.address) as usize;
        let bytes = self.stride * size_of::<u64>();
        let number = offset / bytes;
        if offset.is_multiple_of(bytes) && number * self.stride < self.memory.len() {
            return Ok(number);
        }
        Err(CudaError::Refused {
            kernel: "latency_chase".into(),
            problem: format!("{address:#x} is no link's address"),
        })
    }
}

impl Latency {
    /// Links, `stride` words of 8 bytes apart: link i leads to link `next[i]`.
    ///
    /// # Errors
    /// No links, a stride of 0, a link that leads nowhere; memory that does not suffice; what the driver reports.
    pub fn links(&self, stream: &Arc<CudaStream>, next: &[u32], stride: usize) -> Result<Links, CudaError> {
        let kernel = &self.chase;
        if next.is_empty() || stride == 0 {
            return Err(kernel.refuse(format!("{} links {stride} words apart are no links", next.len())));
        }
        expect_links(kernel, next)?;
        let words = kernel.count(&[next.len(), stride])?;
        let mut memory = memory::allocate::<u64>(stream, words)?;
        let address = memory.device_ptr(stream).0;
        let mut content = vec![0_u64; words];
        for (place, &to) in content.chunks_exact_mut(stride).zip(next) {
            place[0] = address + (to as usize * stride * size_of::<u64>()) as u64;
        }
        stream.memcpy_htod(&content, &mut memory).during(|| "copying links to the device".into())?;
        Ok(Links { memory, stride, address })
    }

    /// `end` = the address of the link that `steps` links lead to from link `start`: see [`Links::number`]. One
    /// thread, one load a step, past the first-level cache.
    ///
    /// # Errors
    /// No such link; another length than 1; steps that do not fit 32 bits; what the driver reports.
    pub fn chase(
        &self,
        stream: &CudaStream,
        links: &Links,
        start: usize,
        steps: usize,
        end: &mut CudaViewMut<'_, u64>,
    ) -> Result<(), CudaError> {
        let kernel = &self.chase;
        kernel.expect_length("end", end.len(), 1)?;
        let steps = kernel.size("the number of steps", steps)?;
        let place = start.saturating_mul(links.stride);
        if place >= links.memory.len() {
            let count = links.memory.len() / links.stride;
            return Err(kernel.refuse(format!("there is no link {start} among {count}")));
        }
        let first = links.memory.slice(place..);
        let mut arguments = kernel.on(stream)?;
        arguments.arg(&first); // const unsigned long long* first
        arguments.arg(end); // unsigned long long* end
        arguments.arg(&steps); // int steps
        // SAFETY: each link leads to one in the same memory, and `end` is one word.
        unsafe { kernel.launch(&mut arguments, [1, 1, 1], 1) }
    }

    /// A table of [`Self::LINKS`] links for shared memory: link i leads to link `next[i]`.
    ///
    /// # Errors
    /// Another length, a link that leads nowhere; memory that does not suffice; what the driver reports.
    pub fn table(&self, stream: &Arc<CudaStream>, next: &[u32]) -> Result<Table, CudaError> {
        let kernel = &self.shared_chase;
        kernel.expect_length("next", next.len(), Self::LINKS)?;
        expect_links(kernel, next)?;
        Ok(Table { next: memory::upload(stream, next)? })
    }

    /// `end` = the number of the link that `steps` links lead to from link 0, in shared memory. One warp, one load
    /// a step.
    ///
    /// # Errors
    /// Another length than 1; steps that do not fit 32 bits; what the driver reports.
    pub fn shared_chase(
        &self,
        stream: &CudaStream,
        table: &Table,
        steps: usize,
        end: &mut CudaViewMut<'_, u32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.shared_chase;
        kernel.expect_length("end", end.len(), 1)?;
        let steps = kernel.size("the number of steps", steps)?;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(&table.next); // const unsigned* next
        arguments.arg(end); // unsigned* end
        arguments.arg(&steps); // int steps
        // SAFETY: the table's links lead into the table, and `end` is one word.
        unsafe { kernel.launch(&mut arguments, [1, 1, 1], WARP) }
    }

    /// As [`Self::shared_chase`], for each block through the shared memory of its neighbour, block b from link
    /// b mod LINKS; `ends` (clusters size).
    ///
    /// # Errors
    /// A device without clusters of that size; another length; steps that do not fit 32 bits; what the driver
    /// reports.
    pub fn cluster_chase(
        &self,
        stream: &CudaStream,
        [clusters, size]: [usize; 2],
        table: &Table,
        steps: usize,
        ends: &mut CudaViewMut<'_, u32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.cluster_chase;
        let steps = kernel.size("the number of steps", steps)?;
        let (attributes, blocks) = in_clusters(kernel, clusters, size)?;
        kernel.expect_length("ends", ends.len(), blocks)?;
        let mut arguments = kernel.with(attributes, stream)?;
        let next = table.next.as_view();
        arguments.view(&next); // const unsigned* next
        arguments.view_mut(ends); // unsigned* ends
        arguments.value(&steps); // int steps
        // SAFETY: the table's links lead into the table, and there is an end for each block, which waits for those of
        // its cluster only: they run together, or the driver refuses the launch.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], WARP) }
    }
}

/// That every link leads to one.
fn expect_links(kernel: &Kernel, next: &[u32]) -> Result<(), CudaError> {
    let count = next.len();
    match next.iter().position(|&to| to as usize >= count) {
        Some(number) => Err(kernel.refuse(format!(
            "link {number} of {count} leads to {}, and the last one is {}",
            next[number],
            count - 1
        ))),
        None => Ok(()),
    }
}
