//! The emulated driver refuses what a real one refuses, and the engine's errors say what to do.

use std::sync::Arc;

use cotangent::exec::cuda::{CudaError, Device, KernelImages, allocate, driver};
use cudarc::driver::sys::{CUfunction_attribute, CUresult};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DriverError, LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;

use super::emulator;

fn kernel(device: usize, name: &str) -> (Arc<CudaStream>, Result<CudaFunction, DriverError>) {
    let image = Ptx::from_binary(std::fs::read(&emulator().built.image).unwrap());
    let context = CudaContext::new(device).unwrap();
    // SAFETY: one stream.
    unsafe { context.disable_event_tracking() };
    (context.new_stream().unwrap(), context.load_module(image).unwrap().load_function(name))
}

fn launch(
    stream: &CudaStream,
    function: &CudaFunction,
    memory: &CudaSlice<f32>,
    block: (u32, u32, u32),
    shared: u32,
) -> Result<(), CUresult> {
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: block, shared_mem_bytes: shared };
    let n = memory.len() as i32;
    // SAFETY: the kernels check their index against n.
    let launched = unsafe { stream.launch_builder(function).arg(memory).arg(memory).arg(&n).launch(config) };
    launched.map(drop).map_err(|error| error.0)
}

#[test]
fn launches_beyond_the_limits_are_refused() {
    let (stream, function) = kernel(0, "sound_bounded");
    let function = function.unwrap();
    let memory = stream.clone_htod(&[1.0_f32; 64]).unwrap();
    assert_eq!(launch(&stream, &function, &memory, (128, 1, 1), 0), Ok(()));
    let invalid = Err(CUresult::CUDA_ERROR_INVALID_VALUE);
    assert_eq!(launch(&stream, &function, &memory, (129, 1, 1), 0), invalid, "more than __launch_bounds__");
    assert_eq!(launch(&stream, &function, &memory, (1, 1, 65), 0), invalid, "deeper than a block may be");
    assert_eq!(launch(&stream, &function, &memory, (0, 1, 1), 0), invalid);
}

#[test]
fn dynamic_shared_memory_over_48_kib_must_be_asked_for_and_fit_the_device() {
    let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    for (device, most) in [(0, 64), (1, 163), (2, 227)] {
        let (stream, function) = kernel(device, "sound_dynamic_shared");
        let function = function.unwrap();
        let memory = stream.clone_htod(&[1.0_f32; 64]).unwrap();
        assert_eq!(launch(&stream, &function, &memory, (64, 1, 1), 48 << 10), Ok(()));
        assert_eq!(
            launch(&stream, &function, &memory, (64, 1, 1), (48 << 10) + 4),
            Err(CUresult::CUDA_ERROR_INVALID_VALUE)
        );
        assert!(function.set_attribute(attribute, (most << 10) + 4).is_err());
        function.set_attribute(attribute, most << 10).unwrap();
        assert_eq!(launch(&stream, &function, &memory, (64, 1, 1), (most as u32) << 10), Ok(()));
    }
}

#[test]
fn static_and_dynamic_shared_memory_share_48_kib_unless_more_is_asked_for() {
    let (stream, function) = kernel(1, "sound_static_and_dynamic_shared");
    let function = function.unwrap();
    let memory = stream.clone_htod(&[1.0_f32; 64]).unwrap();
    launch(&stream, &function, &memory, (64, 1, 1), (48 << 10) - 4).unwrap();
    stream.synchronize().unwrap();
    let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    function.set_attribute(attribute, 48 << 10).unwrap();
    launch(&stream, &function, &memory, (64, 1, 1), 48 << 10).unwrap();
    stream.synchronize().unwrap();
    let (stream, function) = kernel(1, "sound_static_and_dynamic_shared");
    launch(&stream, &function.unwrap(), &memory, (64, 1, 1), 48 << 10).unwrap();
    let fault = emulator().take_fault().unwrap();
    assert!(fault.contains("shared memory over 49152 bytes with 'factor'"), "{fault}");
    let _ = stream.context().check_err();
}

#[test]
fn a_fault_stays_and_names_the_place() {
    let (stream, function) = kernel(1, "planted_read_past_end");
    let memory = stream.clone_htod(&[1.0_f32; 64]).unwrap();
    launch(&stream, &function.unwrap(), &memory, (64, 1, 1), 0).unwrap(); // as on hardware, known only later
    for _ in 0..2 {
        let error = stream.synchronize().unwrap_err();
        assert_eq!(error.0, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
        let text = error.error_string().unwrap().to_string_lossy().into_owned();
        assert!(
            text.contains("illegal address") && text.contains("[block (0, 0, 0), thread (63, 0, 0)]"),
            "{text}"
        );
    }
    emulator().take_fault().unwrap();
    stream.synchronize().unwrap();
}

#[test]
fn pointers_to_freed_memory_are_found() {
    let (stream, function) = kernel(1, "sound_grid_size");
    let live = stream.clone_htod(&[1.0_f32; 64]).unwrap();
    let freed = stream.clone_htod(&[1.0_f32; 64]).unwrap();
    // SAFETY: the copy of the pointer below is what is tested; nothing else uses it.
    let dangling = unsafe { stream.upgrade_device_ptr::<f32>(freed.leak(), 64) };
    let pointer = dangling.leak();
    // SAFETY: the pointer was leaked just now.
    drop(unsafe { stream.upgrade_device_ptr::<f32>(pointer, 64) });
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (64, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the emulator refuses it.
    unsafe { stream.launch_builder(&function.unwrap()).arg(&live).arg(&pointer).arg(&64).launch(config) }
        .unwrap();
    let fault = emulator().take_fault().unwrap();
    assert!(fault.starts_with("argument 1,") && fault.contains("leads to no live allocation"), "{fault}");
}

#[test]
fn kernels_that_an_image_does_not_hold_are_not_found() {
    let (_, function) = kernel(0, "no_such_kernel");
    assert_eq!(function.unwrap_err().0, CUresult::CUDA_ERROR_NOT_FOUND);
    let context = CudaContext::new(0).unwrap();
    let error = context.load_module(Ptx::from_binary(b"something else\0".to_vec())).unwrap_err();
    assert_eq!(error.0, CUresult::CUDA_ERROR_INVALID_IMAGE);
}

fn images() -> KernelImages {
    KernelImages::file(emulator().built.image.clone()).unwrap()
}

#[test]
fn a_device_that_is_not_there_is_refused_with_how_many_there_are() {
    let error = Device::open_with(7, &images()).err().unwrap();
    assert!(matches!(error, CudaError::NoDevice { ordinal: 7, count: 3 }), "{error}");
    assert!(error.to_string().starts_with("there is no CUDA device 7: the driver sees 3"), "{error}");
}

#[test]
fn an_image_without_the_kernels_is_an_error_that_names_one() {
    let error = Device::open_with(
        0,
        &KernelImages::File { path: "other".into(), bytes: b"emulated kernels\nother\n\0".to_vec() },
    )
    .err()
    .unwrap();
    assert!(error.to_string().starts_with("looking up the kernel "), "{error}");
}

#[test]
fn memory_that_the_device_does_not_have_is_an_error_with_both_sizes() {
    let device = Device::open_with(0, &images()).unwrap();
    let stream = device.stream().unwrap();
    let error = allocate::<f32>(&stream, 3 << 30).err().unwrap();
    let CudaError::OutOfMemory { asked, free } = error else { panic!("{error}") };
    assert!(asked == 12 << 30 && free <= 8 << 30, "{asked} asked, {free} free");
}

#[test]
fn without_a_driver_the_error_says_so() {
    // In a process of its own, where the emulator is not loaded; but a real driver may be.
    let test = "emulator::driver_tests::without_a_driver_the_error_says_so";
    if std::env::var_os("COTANGENT_NO_EMULATOR").is_none() {
        let mut command = std::process::Command::new("/proc/self/exe");
        let output = command.args([test, "--exact"]).env("COTANGENT_NO_EMULATOR", "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    match driver::count() {
        Err(error) => {
            assert!(error.to_string().starts_with("there is no CUDA driver on this machine"), "{error}")
        }
        Ok(_) => assert!(std::path::Path::new("/proc/driver/nvidia").exists()),
    }
}
