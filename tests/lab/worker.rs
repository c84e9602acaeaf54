//! The process in which a kernel runs: launches it on each shape and under each schedule, and compares.

use std::path::PathBuf;
use std::sync::Arc;

use cudarc::driver::sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DriverError, LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;

use super::card;
use super::comparison::{Mismatch, UNWRITTEN, compare};
use super::reference::{inputs, mistakes, reference};
use super::requests::Requests;
use super::signature::{Operation, Role};
use super::work::{Event, Events, Launch, Order, VARIABLE, Work};
use crate::emulator::{Built, Emulator, Schedule};

/// Does the work that this process was started for; false if it was not started for any.
pub fn has_worked() -> bool {
    let Some(path) = std::env::var_os(VARIABLE) else { return false };
    let work = match Work::read(&PathBuf::from(path)) {
        Ok(work) => work,
        Err(problem) => {
            eprintln!("{problem}");
            return true;
        }
    };
    let mut events = match Events::open(&work.events) {
        Ok(events) => events,
        Err(problem) => {
            eprintln!("{problem}");
            return true;
        }
    };
    let end = match do_all(&work, &mut events) {
        Ok(()) => Event::Finished,
        Err(problem) => Event::Failed(problem),
    };
    events.say(&end);
    true
}

/// The kernel, on a device.
pub struct Bench {
    pub stream: Arc<CudaStream>,
    pub function: CudaFunction,
}

fn do_all(work: &Work, events: &mut Events) -> Result<(), String> {
    let emulator = match &work.library {
        None => None,
        Some(library) => {
            let built = Built { library: library.clone(), image: work.image.clone() };
            Some(Emulator::load(built).map_err(|error| error.to_string())?)
        }
    };
    // Of the emulated devices, that of compute capability 8.0.
    let bench =
        Bench::open(work, if emulator.is_some() { 1 } else { 0 }).map_err(|error| error.to_string())?;
    for (number, launch) in work.launches.iter().enumerate() {
        let inputs = inputs(work.operation, &launch.sizes);
        let expected = reference(work.operation, work.precision, &launch.sizes, &inputs);
        let rows_are = columns_of_output(work.operation, &launch.sizes);
        for (index, order) in work.orders.iter().enumerate() {
            events.say(&Event::Began { launch: number, order: index });
            if let Some(emulator) = &emulator {
                emulator.set_schedule(match *order {
                    Order::FirstInFirstOut => Schedule::FirstInFirstOut,
                    Order::LastInFirstOut => Schedule::LastInFirstOut,
                    Order::Random(seed) => Schedule::Random(seed),
                });
            }
            let counts = emulator.as_ref().filter(|emulator| emulator.counts_requests());
            if let Some(emulator) = counts {
                emulator.clear_counts();
            }
            let result = bench.run(work, launch, &inputs, events);
            if let Some(emulator) = counts {
                let own = |count| Requests::of(count, &work.file);
                events.say(&Event::Counted(emulator.counts().iter().filter_map(own).collect()));
            }
            let fault = emulator.as_ref().and_then(Emulator::take_fault);
            let _ = bench.stream.context().check_err(); // which also forgets it
            events.say(&match (fault, result) {
                (Some(fault), _) => Event::Fault(fault),
                (None, Err(error)) => Event::Fault(error.to_string()),
                (None, Ok(found)) => {
                    let name = &work.arrays[work.arrays.len() - 1];
                    let known = || mistakes(work.operation, &launch.sizes, &inputs);
                    let wrong: Option<Mismatch> = compare(name, rows_are, &found, &expected, known);
                    wrong.map_or(Event::Right, Event::Wrong)
                }
            });
        }
    }
    match &work.timed {
        Some(launch) => card::time(&bench, work, launch, events),
        None => Ok(()),
    }
}

fn columns_of_output(operation: Operation, sizes: &[usize]) -> usize {
    let mut outputs = operation.parameters().iter().filter_map(|(_, role)| match role {
        Role::Output([_, columns]) => Some(columns.of(sizes)),
        _ => None,
    });
    outputs.next().unwrap_or(1)
}

impl Bench {
    fn open(work: &Work, ordinal: usize) -> Result<Self, DriverError> {
        let context = CudaContext::new(ordinal)?;
        // SAFETY: there is one stream, so that nothing has to wait for another.
        unsafe { context.disable_event_tracking() };
        let image = std::fs::read(&work.image).unwrap_or_default(); // the driver refuses what is no image
        let module = context.load_module(Ptx::from_binary(image))?;
        let mut function = module.load_function(&work.names[0]);
        for name in &work.names[1..] {
            function = function.or_else(|_| module.load_function(name));
        }
        Ok(Self { stream: context.new_stream()?, function: function? })
    }

    /// One launch; the bits of the output.
    fn run(
        &self,
        work: &Work,
        launch: &Launch,
        inputs: &[Vec<f32>],
        events: &mut Events,
    ) -> Result<Vec<u32>, DriverError> {
        let outputs = self.upload(work, launch, inputs, events)?;
        self.launch(launch, &outputs)?;
        let output = self.stream.clone_dtoh(&outputs[outputs.len() - 1])?;
        self.stream.synchronize()?;
        Ok(output)
    }

    /// The arrays of a launch on the device, the output last.
    pub fn upload(
        &self,
        work: &Work,
        launch: &Launch,
        inputs: &[Vec<f32>],
        events: &mut Events,
    ) -> Result<Vec<CudaSlice<u32>>, DriverError> {
        let mut given = inputs.iter();
        let mut arrays = Vec::new();
        for (_, role) in work.operation.parameters() {
            let Some([rows, columns]) = role.extents() else { continue };
            let length = rows.of(&launch.sizes) * columns.of(&launch.sizes);
            let values: Vec<u32> = match (role, work.operation) {
                (Role::Input(_), _) => given.next().into_iter().flatten().map(|x| x.to_bits()).collect(),
                (_, Operation::Reduce) => vec![0; length], // what is added to
                _ => vec![UNWRITTEN; length],
            };
            let array = self.stream.clone_htod(&values)?;
            let (address, _) = array.device_ptr(&self.stream);
            let name = work.arrays[arrays.len()].clone();
            events.say(&Event::Array { name, address, elements: length });
            arrays.push(array);
        }
        Ok(arrays)
    }

    pub fn launch(&self, launch: &Launch, arrays: &[CudaSlice<u32>]) -> Result<(), DriverError> {
        let [grid, block] = [launch.extents.grid, launch.extents.block].map(|[x, y, z]| (x, y, z));
        let config =
            LaunchConfig { grid_dim: grid, block_dim: block, shared_mem_bytes: launch.extents.shared };
        let bytes = i32::try_from(launch.extents.shared).unwrap_or(i32::MAX);
        if bytes > 0 {
            self.function.set_attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes)?;
        }
        let sizes: Vec<i32> = launch.sizes.iter().map(|&size| size as i32).collect();
        let mut builder = self.stream.launch_builder(&self.function);
        arrays.iter().for_each(|array| {
            builder.arg(array);
        });
        sizes.iter().for_each(|size| {
            builder.arg(size);
        });
        // SAFETY: the arguments are those of the signature, which the file was held against. What the kernel does with
        // them is what the lab is there to find out, in a process that it may ruin.
        unsafe { builder.launch(config) }.map(|_| ())
    }
}
