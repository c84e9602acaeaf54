//! Launches by the driver's own functions, with attributes and any arguments; and what the schedules find in a kernel.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys::{
    self, CUlaunchAttribute, CUlaunchAttributeID, CUlaunchAttributeValue,
    CUlaunchAttributeValue_union__bindgen_ty_1 as Extents, CUlaunchConfig, CUresult, CUtensorMap,
    CUtensorMapDataType, CUtensorMapFloatOOBfill, CUtensorMapInterleave, CUtensorMapL2promotion,
    CUtensorMapSwizzle,
};
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr};
use cudarc::nvrtc::Ptx;

use super::{Sanitizer, Schedule, emulator, in_sanitized_process};

/// What a launch asks for, as the driver takes it.
#[derive(Clone, Copy, Debug)]
pub enum Attribute {
    Cluster(u32, u32, u32),
    Cooperative,
    Overlaps,
    Unknown,
}

impl Attribute {
    fn listed(self) -> CUlaunchAttribute {
        use CUlaunchAttributeID::*;
        let (id, value) = match self {
            Self::Cluster(x, y, z) => (
                CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                CUlaunchAttributeValue { clusterDim: Extents { x, y, z } },
            ),
            Self::Cooperative => (CU_LAUNCH_ATTRIBUTE_COOPERATIVE, CUlaunchAttributeValue { cooperative: 1 }),
            Self::Overlaps => (
                CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
                CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 },
            ),
            Self::Unknown => (CU_LAUNCH_ATTRIBUTE_PRIORITY, CUlaunchAttributeValue { priority: 1 }),
        };
        CUlaunchAttribute { id, pad: [0; 4], value }
    }
}

/// What a kernel is given.
#[derive(Clone, Copy)]
pub enum Argument {
    Address(u64),
    Number(i32),
    Map(CUtensorMap),
    Words([u32; 4]),
}

impl Argument {
    fn pointer(&mut self) -> *mut c_void {
        match self {
            Self::Address(address) => std::ptr::from_mut(address).cast(),
            Self::Number(number) => std::ptr::from_mut(number).cast(),
            Self::Map(map) => std::ptr::from_mut(map).cast(),
            Self::Words(words) => std::ptr::from_mut(words).cast(),
        }
    }
}

/// What a tensor map is made of.
#[derive(Clone)]
pub struct Encoding {
    pub of: CUtensorMapDataType,
    pub rank: u32,
    pub address: u64,
    pub extents: Vec<u64>,
    /// Bytes from row to row and so on: of each dimension but the first.
    pub strides: Vec<u64>,
    pub boxed: Vec<u32>,
    pub swizzle: CUtensorMapSwizzle,
}

impl Encoding {
    pub fn encoded(&self) -> Result<CUtensorMap, CUresult> {
        let mut map = CUtensorMap { opaque: [0; 16] };
        let steps = vec![1; self.extents.len()];
        // SAFETY: the lists have an element for each of the dimensions, and live during the call.
        unsafe {
            sys::cuTensorMapEncodeTiled(
                &mut map,
                self.of,
                self.rank,
                self.address as *mut _,
                self.extents.as_ptr(),
                self.strides.as_ptr(),
                self.boxed.as_ptr(),
                steps.as_ptr(),
                CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
                self.swizzle,
                CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_NONE,
                CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
        }
        .result()
        .map_err(|error| error.0)?;
        Ok(map)
    }

    pub fn argument(&self) -> Argument {
        Argument::Map(self.encoded().unwrap())
    }
}

/// A device, and a kernel on it.
pub struct Place {
    pub stream: Arc<CudaStream>,
    pub function: CudaFunction,
    /// Bytes of dynamic shared memory that a block gets.
    pub shared: usize,
}

impl Place {
    pub fn new(device: usize, kernel: &str) -> Self {
        let image = Ptx::from_binary(std::fs::read(&emulator().built.image).unwrap());
        let context = CudaContext::new(device).unwrap();
        // SAFETY: one stream.
        unsafe { context.disable_event_tracking() };
        let function = context.load_module(image).unwrap().load_function(kernel).unwrap();
        Self { stream: context.new_stream().unwrap(), function, shared: 0 }
    }

    pub fn address<T>(&self, memory: &CudaSlice<T>) -> Argument {
        Argument::Address(memory.device_ptr(&self.stream).0)
    }

    /// Launches the kernel with these addresses and n.
    pub fn launch(
        &self,
        grid: (u32, u32, u32),
        threads: usize,
        attributes: &[Attribute],
        memory: &[&CudaSlice<f32>],
        n: usize,
    ) -> Result<(), CUresult> {
        let mut arguments: Vec<Argument> = memory.iter().map(|slice| self.address(slice)).collect();
        arguments.push(Argument::Number(n as i32));
        self.launch_with(grid, threads, attributes, &mut arguments)
    }

    /// Launches the kernel with any arguments.
    pub fn launch_with(
        &self,
        grid: (u32, u32, u32),
        threads: usize,
        attributes: &[Attribute],
        arguments: &mut [Argument],
    ) -> Result<(), CUresult> {
        let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(Argument::pointer).collect();
        let mut attributes: Vec<CUlaunchAttribute> =
            attributes.iter().map(|attribute| attribute.listed()).collect();
        let config = CUlaunchConfig {
            gridDimX: grid.0,
            gridDimY: grid.1,
            gridDimZ: grid.2,
            blockDimX: threads as u32,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: self.shared as u32,
            hStream: self.stream.cu_stream(),
            attrs: attributes.as_mut_ptr(),
            numAttrs: attributes.len() as u32,
        };
        self.stream.context().bind_to_thread().unwrap();
        // SAFETY: the emulator is there to find what these kernels do wrong; everything lives during the call.
        unsafe {
            sys::cuLaunchKernelEx(
                &config,
                self.function.cu_function(),
                pointers.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        }
        .result()
        .map_err(|error| error.0)
    }

    /// What the memory holds after all work; the fault, if there was one.
    pub fn result(&self, memory: &CudaSlice<f32>) -> Result<Vec<f32>, String> {
        let found = self.stream.clone_dtoh(memory);
        match emulator().take_fault() {
            Some(fault) => {
                let _ = self.stream.context().check_err();
                Err(fault)
            }
            None => found.map_err(|error| error.to_string()),
        }
    }
}

pub fn input(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32 + 0.25).collect()
}

pub fn compare(found: &[f32], expected: impl Fn(usize) -> f32) -> Result<(), String> {
    match (0..found.len()).find(|&i| found[i] != expected(i)) {
        None => Ok(()),
        Some(i) => Err(format!("wrong value at {i}: {}, not {}", found[i], expected(i))),
    }
}

/// Runs a kernel and compares what it computes.
pub type Run = fn(&str) -> Result<(), String>;

/// What each schedule finds: first in first out, last in first out, some random ones.
pub fn findings(kernel: &str, run: Run, random: u64) -> Vec<Result<(), String>> {
    let schedules = [Schedule::FirstInFirstOut, Schedule::LastInFirstOut];
    let all = schedules.into_iter().chain((0..random).map(Schedule::Random));
    all.map(|schedule| {
        emulator().set_schedule(schedule);
        run(kernel)
    })
    .collect()
}

/// The variable that names the kernel which a process of its own runs.
pub const PLANTED: &str = "COTANGENT_PLANTED";

/// What a process with sanitized kernels prints that runs one test, which runs the kernel that [`PLANTED`] names.
pub fn report_of(sanitizer: Sanitizer, test: &str, kernel: &str) -> String {
    let mut command = in_sanitized_process(sanitizer);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(PLANTED, kernel);
    let output = command.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
