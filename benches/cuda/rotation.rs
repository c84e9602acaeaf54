//! The time of a launch, by events around replays of a graph of many.

use cotangent::exec::cuda::CudaError;
use cudarc::driver::sys::{CUevent_flags, CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaEvent, CudaGraph};

use crate::lab::{Lab, Outcome};
use crate::rota::Rota;

/// Something whose time is taken.
pub trait Timed {
    /// The mean seconds of one, over `times` of them or a few more.
    fn seconds(&mut self, times: u64) -> Outcome<f64>;
}

/// Puts the work on the stream, on one set of operands, which it owns.
pub type Launch = Box<dyn FnMut(&Lab, usize) -> Result<(), CudaError>>;

/// A case's launches, captured as a rota says. What they work on must live as long.
pub struct Rotation<'a> {
    lab: &'a Lab,
    graph: CudaGraph,
    rota: Rota,
}

impl<'a> Rotation<'a> {
    pub fn capture(lab: &'a Lab, launch: &mut Launch, rota: Rota) -> Outcome<Self> {
        let stream = &lab.stream;
        launch(lab, 0)?; // the driver loads code when it is first launched, which no capture allows
        stream.synchronize()?;
        stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
        let launched = (0..rota.launches).try_for_each(|number| launch(lab, number % rota.sets));
        let graph = stream.end_capture(CUgraphInstantiate_flags(0));
        launched?;
        let graph = graph?.ok_or("nothing was captured")?;
        graph.upload()?;
        Ok(Self { lab, graph, rota })
    }

    fn event(&self) -> Outcome<CudaEvent> {
        Ok(self.lab.stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?)
    }

    /// A replay of which every launch finds its operands in memory, between two events.
    fn after_a_flush(&self) -> Outcome<[CudaEvent; 2]> {
        self.lab.flush()?;
        let start = self.event()?;
        self.graph.launch()?;
        Ok([start, self.event()?])
    }
}

impl Timed for Rotation<'_> {
    fn seconds(&mut self, times: u64) -> Outcome<f64> {
        let replays = times.div_ceil(self.rota.launches as u64);
        let spans = if self.rota.flushes {
            (0..replays).map(|_| self.after_a_flush()).collect::<Outcome<Vec<_>>>()?
        } else {
            // One that is not timed: the operands are where they are to be, and the device is busy while the host
            // puts the others behind it.
            self.graph.launch()?;
            let start = self.event()?;
            (0..replays).try_for_each(|_| self.graph.launch())?;
            vec![[start, self.event()?]]
        };
        let mut milliseconds = 0.0;
        for [start, end] in &spans {
            milliseconds += f64::from(start.elapsed_ms(end)?); // which waits for both
        }
        Ok(milliseconds / 1e3 / (replays * self.rota.launches as u64) as f64)
    }
}
