//! Launches that ask for more than a grid: clusters of blocks, blocks that wait for one another, an early
//! begin (CUDA driver API, `cuLaunchKernelEx` and `CUlaunchAttributeID`).

use std::ffi::c_void;
use std::marker::PhantomData;

use cudarc::driver::sys::{
    self, CUdeviceptr, CUfunction_attribute, CUlaunchAttribute, CUlaunchAttributeID, CUlaunchAttributeValue,
    CUlaunchAttributeValue_union__bindgen_ty_1 as ClusterExtents, CUlaunchConfig,
};
use cudarc::driver::{CudaStream, CudaView, CudaViewMut, DevicePtr, DeviceRepr, DriverError, LaunchConfig};

use super::super::tensor_map::{Element, TensorMap};
use super::Kernel;
use crate::exec::cuda::driver::require;
use crate::exec::cuda::error::During;
use crate::exec::cuda::{Capability, CudaError};

/// What a launch asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::exec::cuda) struct Attributes {
    /// Blocks of a cluster along x, y and z, which see each other's shared memory and share a barrier. From
    /// capability 9.0 on; more than eight in all only where the device has room.
    pub cluster: [u32; 3],
    /// All blocks are on the device together, so that they may wait for one another.
    pub cooperative: bool,
    /// The kernel may begin before the one that precedes it on the stream has ended, and says itself where it
    /// waits for it (programmatic dependent launch). From capability 9.0 on.
    pub overlaps: bool,
}

impl Attributes {
    /// An ordinary launch.
    pub const NONE: Self = Self { cluster: [1, 1, 1], cooperative: false, overlaps: false };

    /// Clusters of so many neighbouring blocks.
    pub fn cluster(blocks: u32) -> Self {
        Self { cluster: [blocks, 1, 1], ..Self::NONE }
    }

    fn blocks_of_cluster(self) -> u32 {
        self.cluster.iter().product()
    }

    /// As the driver takes them.
    fn listed(self) -> Vec<CUlaunchAttribute> {
        use CUlaunchAttributeID::*;
        let attribute = |id, value| CUlaunchAttribute { id, pad: [0; 4], value };
        let mut list = Vec::new();
        if self.blocks_of_cluster() != 1 {
            let [x, y, z] = self.cluster;
            let extents = ClusterExtents { x, y, z };
            list.push(attribute(
                CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                CUlaunchAttributeValue { clusterDim: extents },
            ));
        }
        if self.cooperative {
            list.push(attribute(CU_LAUNCH_ATTRIBUTE_COOPERATIVE, CUlaunchAttributeValue { cooperative: 1 }));
        }
        if self.overlaps {
            let value = CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 };
            list.push(attribute(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION, value));
        }
        list
    }
}

/// A launch with attributes on its way: as [`super::Launch`], whose arguments the driver's other function takes.
pub(in crate::exec::cuda) struct AttributedLaunch<'a> {
    /// For its name in what is refused.
    kernel: &'a Kernel,
    stream: &'a CudaStream,
    attributes: Attributes,
    /// Bytes of shared memory that a block gets beyond what the kernel declares.
    shared: u32,
    arguments: Vec<Argument>,
    /// What the arguments point to lives as long.
    borrowed: PhantomData<&'a ()>,
}

enum Argument {
    /// What the kernel takes by value: a number, a tensor map.
    Value(*const c_void),
    Address(CUdeviceptr),
}

impl<'a> AttributedLaunch<'a> {
    /// Of the dynamic shared memory that the kernel has asked for ([`Kernel::with_shared_memory`]), this launch's
    /// blocks get so many bytes.
    pub fn shared_memory(&mut self, bytes: u32) {
        self.shared = self.shared.min(bytes);
    }

    /// Appends a number.
    pub fn value<T: DeviceRepr>(&mut self, value: &'a T) {
        self.arguments.push(Argument::Value(std::ptr::from_ref(value).cast()));
    }

    /// Appends the address of memory that is read.
    pub fn view<T>(&mut self, view: &'a CudaView<'_, T>) {
        self.arguments.push(Argument::Address(view.device_ptr(self.stream).0));
    }

    /// Appends the address of memory that is written.
    pub fn view_mut<T>(&mut self, view: &'a mut CudaViewMut<'_, T>) {
        self.arguments.push(Argument::Address(view.device_ptr(self.stream).0));
    }

    /// Appends the map of a matrix that is read.
    ///
    /// # Errors
    /// Memory that is not the one that the map was made of.
    pub fn map<T: Element>(
        &mut self,
        map: &'a TensorMap,
        memory: &'a CudaView<'_, T>,
    ) -> Result<(), CudaError> {
        let address = memory.device_ptr(self.stream).0;
        self.packed::<T>(map, address, memory.len())
    }

    /// Appends the map of a matrix that is written.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn map_mut<T: Element>(
        &mut self,
        map: &'a TensorMap,
        memory: &'a mut CudaViewMut<'_, T>,
    ) -> Result<(), CudaError> {
        let address = memory.device_ptr(self.stream).0;
        self.packed::<T>(map, address, memory.len())
    }

    /// Appends a map's 128 bytes, by value.
    fn packed<T: Element>(
        &mut self,
        map: &'a TensorMap,
        address: CUdeviceptr,
        length: usize,
    ) -> Result<(), CudaError> {
        map.expect(T::TYPE, address, length).map_err(|problem| self.kernel.refuse(problem))?;
        self.arguments.push(Argument::Value(std::ptr::from_ref(map.packed()).cast()));
        Ok(())
    }
}

impl Kernel {
    /// As [`Self::on`], for a launch with attributes.
    ///
    /// # Errors
    /// Attributes that the device does not have; a stream of another device.
    pub fn with<'a>(
        &'a self,
        attributes: Attributes,
        stream: &'a CudaStream,
    ) -> Result<AttributedLaunch<'a>, CudaError> {
        self.on(stream)?;
        self.expect_capability(attributes)?;
        let (shared, arguments) = (self.shared, Vec::new());
        Ok(AttributedLaunch { kernel: self, stream, attributes, shared, arguments, borrowed: PhantomData })
    }

    /// As [`Self::launch`], with the launch's attributes.
    ///
    /// # Safety
    /// As for [`Self::launch`]. Blocks that wait for one another must be of one cluster or of a cooperative launch:
    /// those run together, or the driver refuses the launch.
    pub unsafe fn launch_with(
        &self,
        launch: &mut AttributedLaunch<'_>,
        blocks: [usize; 3],
        threads: u32,
    ) -> Result<(), CudaError> {
        let config = super::config(self.grid(blocks)?, threads, launch.shared);
        if blocks
            .iter()
            .zip(launch.attributes.cluster)
            .any(|(&blocks, of)| of == 0 || blocks % of as usize != 0)
        {
            let cluster = launch.attributes.cluster;
            return Err(
                self.refuse(format!("a grid of {blocks:?} blocks has no whole clusters of {cluster:?}"))
            );
        }
        // SAFETY: the caller's.
        let launched = unsafe { self.submit(launch, config) };
        self.launched(launch.stream, config, launched)
    }

    /// # Safety
    /// As for [`Self::launch_with`].
    unsafe fn submit(&self, launch: &AttributedLaunch<'_>, grid: LaunchConfig) -> Result<(), DriverError> {
        self.context.bind_to_thread()?;
        self.allow_size(launch.attributes)?;
        let pointer = |argument: &Argument| match argument {
            Argument::Value(value) => value.cast_mut(),
            Argument::Address(address) => std::ptr::from_ref(address).cast_mut().cast(),
        };
        let mut pointers: Vec<*mut c_void> = launch.arguments.iter().map(pointer).collect();
        let mut attributes = launch.attributes.listed();
        let config = config(launch.stream, grid, &mut attributes);
        // SAFETY: configuration, attributes and arguments live during the call, which only reads them; that the
        // arguments are the kernel's is the caller's.
        let function = self.function.cu_function();
        unsafe { sys::cuLaunchKernelEx(&config, function, pointers.as_mut_ptr(), std::ptr::null_mut()) }
            .result()
    }

    /// How many clusters of this kernel the device holds at once.
    ///
    /// # Errors
    /// A device without clusters; a size that it does not take.
    pub fn clusters_at_once(
        &self,
        attributes: Attributes,
        stream: &CudaStream,
        threads: u32,
    ) -> Result<usize, CudaError> {
        self.expect_capability(attributes)?;
        require(&["cuOccupancyMaxActiveClusters"])?;
        let [x, y, z] = attributes.cluster;
        let asking = || format!("counting the clusters of {} blocks of {}", x * y * z, self.name);
        self.context.bind_to_thread().during(asking)?;
        self.allow_size(attributes).during(asking)?;
        let mut listed = attributes.listed();
        let config = config(stream, super::config((x, y, z), threads, self.shared), &mut listed);
        let mut count = 0;
        // SAFETY: configuration and attributes live during the call, which writes one integer.
        unsafe { sys::cuOccupancyMaxActiveClusters(&mut count, self.function.cu_function(), &config) }
            .result()
            .during(asking)?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// That the device has what the attributes ask for.
    pub fn expect_capability(&self, attributes: Attributes) -> Result<(), CudaError> {
        require(&["cuLaunchKernelEx"])?; // CUDA 11.8 brought it
        let (major, minor) =
            self.context.compute_capability().during(|| "asking for the compute capability".into())?;
        let capability = Capability { major, minor };
        let lacks = |what: &str| {
            Err(self.refuse(format!(
                "compute capability {capability} has no {what}; {SINCE} and newer ones have"
            )))
        };
        match capability < SINCE {
            true if attributes.blocks_of_cluster() != 1 => lacks("clusters"),
            true if attributes.overlaps => lacks("programmatic dependent launch"),
            _ => Ok(()),
        }
    }

    /// Asks for clusters that are larger than all devices have room for.
    fn allow_size(&self, attributes: Attributes) -> Result<(), DriverError> {
        if attributes.blocks_of_cluster() <= LARGEST_PORTABLE_CLUSTER {
            return Ok(());
        }
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED;
        self.function.set_attribute(attribute, 1)
    }
}

/// The first capability with clusters and programmatic dependent launch.
const SINCE: Capability = Capability { major: 9, minor: 0 };

/// Blocks that every device with clusters has room for (CUDA C++ Programming Guide, "Thread Block Clusters").
const LARGEST_PORTABLE_CLUSTER: u32 = 8;

/// The driver's configuration, which points to the attributes.
fn config(stream: &CudaStream, grid: LaunchConfig, attributes: &mut [CUlaunchAttribute]) -> CUlaunchConfig {
    CUlaunchConfig {
        gridDimX: grid.grid_dim.0,
        gridDimY: grid.grid_dim.1,
        gridDimZ: grid.grid_dim.2,
        blockDimX: grid.block_dim.0,
        blockDimY: grid.block_dim.1,
        blockDimZ: grid.block_dim.2,
        sharedMemBytes: grid.shared_mem_bytes,
        hStream: stream.cu_stream(),
        attrs: attributes.as_mut_ptr(),
        numAttrs: attributes.len() as u32,
    }
}
