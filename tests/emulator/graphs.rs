//! The emulated driver's capture of streams, and the replay of graphs in orders that their dependencies allow.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use cudarc::driver::sys::{CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaSlice, CudaStream, LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;

use super::{Schedule, emulator};

const MODE: CUstreamCaptureMode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
const N: usize = 100;

/// Two streams of a context, and a kernel that doubles.
struct Place {
    main: Arc<CudaStream>,
    side: Arc<CudaStream>,
    double: CudaFunction,
}

impl Place {
    fn new() -> Self {
        let image = Ptx::from_binary(std::fs::read(&emulator().built.image).unwrap());
        let context = CudaContext::new(0).unwrap();
        // SAFETY: the events below order the streams.
        unsafe { context.disable_event_tracking() };
        let double = context.load_module(image).unwrap().load_function("sound_grid_size").unwrap();
        Self { main: context.new_stream().unwrap(), side: context.new_stream().unwrap(), double }
    }

    /// to = 2 from.
    fn double(&self, stream: &CudaStream, from: &CudaSlice<f32>, to: &CudaSlice<f32>) {
        let config = LaunchConfig { grid_dim: (2, 1, 1), block_dim: (64, 1, 1), shared_mem_bytes: 0 };
        let n = N as i32;
        // SAFETY: both hold N elements.
        unsafe { stream.launch_builder(&self.double).arg(from).arg(to).arg(&n).launch(config) }.unwrap();
    }

    fn memory(&self, value: f32) -> CudaSlice<f32> {
        self.main.clone_htod(&[value; N]).unwrap()
    }

    fn captured(&self, work: impl FnOnce()) -> CudaGraph {
        self.main.begin_capture(MODE).unwrap();
        work();
        self.main.end_capture(CUgraphInstantiate_flags(0)).unwrap().unwrap()
    }

    /// The first elements after a replay under each of many schedules.
    fn replays(&self, graph: &CudaGraph, result: &CudaSlice<f32>, reset: impl Fn()) -> BTreeSet<String> {
        let random = (0..20).map(Schedule::Random);
        [Schedule::FirstInFirstOut, Schedule::LastInFirstOut]
            .into_iter()
            .chain(random)
            .map(|schedule| {
                reset();
                emulator().set_schedule(schedule);
                graph.launch().unwrap();
                let values = self.main.clone_dtoh(result).unwrap();
                assert!(values.iter().all(|value| *value == values[0]));
                values[0].to_string()
            })
            .collect()
    }
}

#[test]
fn capture_carries_nothing_out_and_each_replay_does_all_in_order() {
    let place = Place::new();
    let (a, b, c) = (place.memory(1.0), place.memory(0.0), place.memory(0.0));
    let graph = place.captured(|| {
        place.double(&place.main, &a, &b);
        place.double(&place.main, &b, &c);
        place.double(&place.main, &c, &a);
    });
    assert_eq!(place.main.clone_dtoh(&a).unwrap()[0], 1.0);
    for expected in [8.0, 64.0, 512.0] {
        graph.launch().unwrap();
        assert_eq!(place.main.clone_dtoh(&a).unwrap(), [expected; N]);
    }
}

#[test]
fn a_replay_does_everything_once_and_in_order_under_every_schedule() {
    let place = Place::new();
    let (a, b) = (RefCell::new(place.memory(1.0)), place.memory(0.0));
    let graph = place.captured(|| {
        let a = a.borrow();
        place.double(&place.main, &a, &a); // in place, so that a second time would show
        place.double(&place.main, &a, &b);
        place.double(&place.main, &b, &b);
        place.double(&place.main, &a, &a);
    });
    let reset = || place.main.memcpy_htod(&[1.0; N], &mut *a.borrow_mut()).unwrap();
    assert_eq!(place.replays(&graph, &b, reset), BTreeSet::from(["8".to_owned()]));
    assert_eq!(place.main.clone_dtoh(&*a.borrow()).unwrap(), [4.0; N]);
}

/// a → b on one stream and a → c on the other, then b → d: with or without memory that both branches write.
fn branches(place: &Place, share: bool) -> BTreeSet<String> {
    let (a, d) = (place.memory(1.0), place.memory(0.0));
    let (b, c, other) = (RefCell::new(place.memory(0.0)), place.memory(0.0), place.memory(100.0));
    let graph = place.captured(|| {
        let b = b.borrow();
        let fork = place.main.record_event(None).unwrap();
        place.side.wait(&fork).unwrap();
        place.double(&place.main, &a, &b);
        place.double(&place.side, &other, if share { &b } else { &c });
        place.double(&place.main, &b, &d);
        place.main.wait(&place.side.record_event(None).unwrap()).unwrap();
    });
    // What an earlier replay has left must not stand in for what this one forgets.
    let reset = || place.main.memcpy_htod(&[0.0; N], &mut *b.borrow_mut()).unwrap();
    place.replays(&graph, &d, reset)
}

#[test]
fn streams_that_were_joined_can_be_captured_again() {
    let place = Place::new();
    let (a, b) = (place.memory(1.0), place.memory(0.0));
    for _ in 0..2 {
        let graph = place.captured(|| {
            place.side.wait(&place.main.record_event(None).unwrap()).unwrap();
            place.double(&place.side, &a, &b);
            place.main.wait(&place.side.record_event(None).unwrap()).unwrap();
        });
        graph.launch().unwrap();
        assert_eq!(place.main.clone_dtoh(&b).unwrap(), [2.0; N]);
    }
}

#[test]
fn branches_that_share_no_memory_give_the_same_in_every_order() {
    assert_eq!(branches(&Place::new(), false), BTreeSet::from(["4".to_owned()]));
}

#[test]
fn memory_shared_by_branches_is_found() {
    let results = branches(&Place::new(), true);
    assert_eq!(results, BTreeSet::from(["4".to_owned(), "400".to_owned()]));
}

#[test]
fn a_forgotten_wait_is_found() {
    let place = Place::new();
    let (a, b, c) = (place.memory(1.0), RefCell::new(place.memory(10.0)), place.memory(0.0));
    let graph = place.captured(|| {
        let fork = place.main.record_event(None).unwrap();
        place.side.wait(&fork).unwrap();
        place.double(&place.side, &a, &b.borrow());
        place.double(&place.main, &b.borrow(), &c); // should wait for the side's first
        place.main.wait(&place.side.record_event(None).unwrap()).unwrap();
    });
    let reset = || place.main.memcpy_htod(&[10.0; N], &mut *b.borrow_mut()).unwrap();
    assert!(place.replays(&graph, &c, reset).len() >= 2);
}

#[test]
fn what_a_capture_does_not_allow_is_refused_as_the_driver_does() {
    let place = Place::new();
    place.main.begin_capture(MODE).unwrap();
    let error = place.main.synchronize().unwrap_err();
    assert_eq!(error.0, CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    let error = place.main.end_capture(CUgraphInstantiate_flags(0)).err().unwrap();
    assert_eq!(error.0, CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);

    place.main.begin_capture(MODE).unwrap();
    let error = place.main.context().synchronize().unwrap_err();
    assert_eq!(error.0, CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    place.main.end_capture(CUgraphInstantiate_flags(0)).unwrap();

    let a = place.memory(1.0);
    place.main.begin_capture(MODE).unwrap();
    place.side.wait(&place.main.record_event(None).unwrap()).unwrap();
    place.double(&place.side, &a, &a);
    let error = place.main.end_capture(CUgraphInstantiate_flags(0)).err().unwrap();
    assert_eq!(error.0, CUresult::CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
}
