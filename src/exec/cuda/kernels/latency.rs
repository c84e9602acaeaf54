//! `kernels/latency.cu`: kernels whose time is a price that designs must know, which `benches/latency.rs` measures.

pub(super) mod chases;

use std::sync::Arc;

use cudarc::driver::{CudaStream, CudaViewMut, PushKernelArg};

use super::kernel::Kernel;
use super::kernel::attributes::Attributes;
use super::loader::Loader;
use crate::exec::cuda::CudaError;
use crate::exec::cuda::error::During;

/// Threads of a block: NODE_THREADS, BARRIER_THREADS, WARP and READ_THREADS in the C file.
const NODE_THREADS: u32 = 32;
const BARRIER_THREADS: u32 = 128;
const WARP: u32 = 32;
const READ_THREADS: u32 = 512;

/// An address that leads nowhere: an operand left out.
const NULL: u64 = 0;

/// Launches, barriers and loads of which each waits for the one before it.
pub struct Latency {
    node: Kernel,
    edge: Kernel,
    grid_barrier: Kernel,
    cluster_barrier: Kernel,
    chase: Kernel,
    shared_chase: Kernel,
    cluster_chase: Kernel,
    cluster_read: Kernel,
    atomic: Kernel,
}

/// How one node of a graph follows another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    /// The node begins when the one before it has ended.
    Ordinary,
    /// It may begin earlier, and waits itself (programmatic dependent launch).
    Programmatic,
}

/// Memory in which the checked grid barrier finds out who went through it early.
pub struct BarrierCheck<'a, 'b> {
    /// 256 words a block: two a thread.
    pub stamps: &'a mut CudaViewMut<'b, u32>,
    /// One word: how often a block was missing. Set to zero first.
    pub early: &'a mut CudaViewMut<'b, u32>,
}

impl Latency {
    /// The links of a table in shared memory: LINKS in the C file.
    pub const LINKS: usize = 1024;

    /// Bytes of shared memory that a block reads in a round, and the threads that do: READ_VECTORS and READ_THREADS
    /// in the C file.
    pub const READ_BYTES: usize = 2048 * 16;
    /// See [`Self::READ_BYTES`].
    pub const READ_THREADS: usize = READ_THREADS as usize;

    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, CudaError> {
        let file = loader.file("latency")?;
        Ok(Self {
            node: file.kernel("latency_node")?,
            edge: file.kernel("latency_edge")?,
            grid_barrier: file.kernel("latency_grid_barrier")?,
            cluster_barrier: file.kernel("latency_cluster_barrier")?,
            chase: file.kernel("latency_chase")?,
            shared_chase: file.kernel("latency_shared_chase")?,
            cluster_chase: file.kernel("latency_cluster_chase")?,
            cluster_read: file.kernel("latency_cluster_read")?,
            atomic: file.kernel("latency_atomic")?,
        })
    }

    /// A kernel of so many blocks that does nothing; or, given a trail of one word and its own number, makes the
    /// trail 31 times what it was and the number, modulo 2³².
    ///
    /// # Errors
    /// A trail of another length than 1; what the driver reports.
    pub fn node(
        &self,
        stream: &CudaStream,
        blocks: usize,
        trail: Option<(&mut CudaViewMut<'_, u32>, u32)>,
    ) -> Result<(), CudaError> {
        let kernel = &self.node;
        let mut arguments = kernel.on(stream)?;
        let node = trail.as_ref().map_or(0, |(_, node)| *node);
        match trail {
            Some((trail, _)) => {
                kernel.expect_length("trail", trail.len(), 1)?;
                arguments.arg(trail) // unsigned* trail
            }
            None => arguments.arg(&NULL),
        };
        arguments.arg(&node); // unsigned node
        // SAFETY: the trail is one word, or null, which the kernel allows; it touches nothing else.
        unsafe { kernel.launch(&mut arguments, [blocks, 1, 1], NODE_THREADS) }
    }

    /// As [`Self::node`], by a kernel that lets the next one begin at once and waits for those before it.
    ///
    /// # Errors
    /// A device before compute capability 9.0; a trail of another length than 1; what the driver reports.
    pub fn edge(
        &self,
        stream: &CudaStream,
        edge: Edge,
        blocks: usize,
        trail: Option<(&mut CudaViewMut<'_, u32>, u32)>,
    ) -> Result<(), CudaError> {
        let kernel = &self.edge;
        let overlapping = Attributes { overlaps: true, ..Attributes::NONE };
        kernel.expect_capability(overlapping)?; // which its instructions need even where nobody overlaps
        let attributes = if edge == Edge::Programmatic { overlapping } else { Attributes::NONE };
        let mut arguments = kernel.with(attributes, stream)?;
        let node = trail.as_ref().map_or(0, |(_, node)| *node);
        match trail {
            Some((trail, _)) => {
                kernel.expect_length("trail", trail.len(), 1)?;
                arguments.view_mut(trail) // unsigned* trail
            }
            None => arguments.value(&NULL),
        };
        arguments.value(&node); // unsigned node
        // SAFETY: as for `node`.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], NODE_THREADS) }
    }

    /// `rounds` barriers of so many blocks, which must fit the device together. `arrived` is one word of scratch.
    ///
    /// # Errors
    /// Other lengths; more arrivals than 32 bits count; more blocks than the device holds; what the driver reports.
    pub fn grid_barrier(
        &self,
        stream: &Arc<CudaStream>,
        blocks: usize,
        rounds: usize,
        arrived: &mut CudaViewMut<'_, u32>,
        check: Option<BarrierCheck<'_, '_>>,
    ) -> Result<(), CudaError> {
        let kernel = &self.grid_barrier;
        kernel.expect_length("arrived", arrived.len(), 1)?;
        kernel.size("the number of arrivals", kernel.count(&[blocks, rounds])?)?;
        let rounds = kernel.size("the number of rounds", rounds)?;
        stream.memset_zeros(arrived).during(clearing)?;
        let mut arguments = kernel.with(Attributes { cooperative: true, ..Attributes::NONE }, stream)?;
        arguments.view_mut(arrived); // unsigned* arrived
        match check {
            Some(BarrierCheck { stamps, early }) => {
                kernel.expect_length(
                    "stamps",
                    stamps.len(),
                    kernel.count(&[2, blocks, BARRIER_THREADS as usize])?,
                )?;
                kernel.expect_length("early", early.len(), 1)?;
                stream.memset_zeros(early).during(clearing)?;
                arguments.view_mut(stamps); // unsigned* stamps
                arguments.view_mut(early); // unsigned* early
            }
            None => {
                arguments.value(&NULL);
                arguments.value(&NULL);
            }
        }
        arguments.value(&rounds); // int rounds
        // SAFETY: one word of arrivals; two stamps a thread and one more word, or null, which the kernel allows. Its
        // blocks wait for one another, and the launch is cooperative: all fit the device, or the driver refuses it.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], BARRIER_THREADS) }
    }

    /// `rounds` barriers of each of so many clusters. With `early`, one word, they are checked: it is set to how
    /// often a block was missing.
    ///
    /// # Errors
    /// A device without clusters of that size; another length; what the driver reports.
    pub fn cluster_barrier(
        &self,
        stream: &Arc<CudaStream>,
        [clusters, size]: [usize; 2],
        rounds: usize,
        early: Option<&mut CudaViewMut<'_, u32>>,
    ) -> Result<(), CudaError> {
        let kernel = &self.cluster_barrier;
        let rounds = kernel.size("the number of rounds", rounds)?;
        let (attributes, blocks) = in_clusters(kernel, clusters, size)?;
        let mut arguments = kernel.with(attributes, stream)?;
        match early {
            Some(early) => {
                kernel.expect_length("early", early.len(), 1)?;
                stream.memset_zeros(early).during(clearing)?;
                arguments.view_mut(early) // unsigned* early
            }
            None => arguments.value(&NULL),
        };
        arguments.value(&rounds); // int rounds
        // SAFETY: one word, or null, which the kernel allows; it touches no other memory than its blocks' own, and
        // waits for those of the cluster only, which run together, or the driver refuses the launch.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], BARRIER_THREADS) }
    }

    /// Each block reads the shared memory of its neighbour `rounds` times. Word w of block b is b READ_BYTES / 4 + w,
    /// and thread t reads vectors t, t + READ_THREADS, ... of 16 bytes; `sums` (clusters size, READ_THREADS), modulo
    /// 2³². The bytes read: [`Self::READ_BYTES`] a block and round.
    ///
    /// # Errors
    /// A device without clusters of that size; another length, sizes that do not fit 32 bits; what the driver
    /// reports.
    pub fn cluster_read(
        &self,
        stream: &CudaStream,
        [clusters, size]: [usize; 2],
        rounds: usize,
        sums: &mut CudaViewMut<'_, u32>,
    ) -> Result<u64, CudaError> {
        let kernel = &self.cluster_read;
        let (attributes, blocks) = in_clusters(kernel, clusters, size)?;
        kernel.expect_length("sums", sums.len(), kernel.count(&[blocks, Self::READ_THREADS])?)?;
        let bytes = kernel.count(&[blocks, rounds, Self::READ_BYTES])? as u64;
        let rounds = kernel.size("the number of rounds", rounds)?;
        let mut arguments = kernel.with(attributes, stream)?;
        arguments.view_mut(sums); // unsigned* sums
        arguments.value(&rounds); // int rounds
        // SAFETY: there is a sum for each thread; the kernel touches no other memory than its blocks' own, and waits
        // for those of the cluster only, which run together, or the driver refuses the launch.
        unsafe { kernel.launch_with(&mut arguments, [blocks, 1, 1], READ_THREADS) }?;
        Ok(bytes)
    }

    /// How many clusters of so many blocks read at once ([`Self::cluster_read`]), of which the device is full.
    ///
    /// # Errors
    /// A device without clusters of that size; what the driver reports.
    pub fn readers_at_once(&self, stream: &CudaStream, size: usize) -> Result<usize, CudaError> {
        let (attributes, _) = in_clusters(&self.cluster_read, 1, size)?;
        self.cluster_read.clusters_at_once(attributes, stream, READ_THREADS)
    }

    /// `count` = `steps`, counted by one thread's atomic additions one after the other; `last` = what the last one
    /// found there.
    ///
    /// # Errors
    /// Other lengths than 1; steps that do not fit 32 bits; what the driver reports.
    pub fn atomic(
        &self,
        stream: &Arc<CudaStream>,
        steps: usize,
        count: &mut CudaViewMut<'_, u32>,
        last: &mut CudaViewMut<'_, u32>,
    ) -> Result<(), CudaError> {
        let kernel = &self.atomic;
        kernel.expect_length("count", count.len(), 1)?;
        kernel.expect_length("last", last.len(), 1)?;
        let steps = kernel.size("the number of steps", steps)?;
        stream.memset_zeros(count).during(clearing)?;
        let mut arguments = kernel.on(stream)?;
        arguments.arg(count); // unsigned* count
        arguments.arg(last); // unsigned* last
        arguments.arg(&steps); // int steps
        // SAFETY: one word each.
        unsafe { kernel.launch(&mut arguments, [1, 1, 1], 1) }
    }
}

/// Clusters of so many blocks each, and how many blocks that makes.
fn in_clusters(kernel: &Kernel, clusters: usize, size: usize) -> Result<(Attributes, usize), CudaError> {
    kernel.expect_capability(Attributes::cluster(2))?; // whose instructions are used in clusters of one, too
    let blocks = kernel.count(&[clusters, size])?;
    Ok((Attributes::cluster(kernel.size("the size of a cluster", size)?.unsigned_abs()), blocks))
}

fn clearing() -> String {
    "setting memory to zero".into()
}
