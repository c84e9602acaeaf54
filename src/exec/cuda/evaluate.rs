//! Runs a graph once on a device: the plain way, for small programs and for tests.

use super::arena::DeviceArena;
use super::capture::{Lanes, Launching};
use super::error::During;
use super::kernels::StepState;
use super::launch::DeviceDraw;
use super::plan::{CudaPlan, Products};
use super::{CudaError, Device};
use crate::graph::NodeId;
use crate::ops::{Draw, Graph};

/// Runs a graph once and returns the values of `outputs`: on a device what
/// [`evaluate_with`](crate::exec::evaluate_with) is in float32 on the CPU.
///
/// # Errors
/// [`CudaError::OutOfMemory`], or what the driver reports.
///
/// # Panics
/// When an input's values are not as many as its shape says.
pub fn evaluate(
    device: &Device,
    graph: &Graph,
    inputs: &[(NodeId, &[f32])],
    outputs: &[NodeId],
    draw: Draw,
    (launching, products): (Launching, Products),
) -> Result<Vec<Vec<f32>>, CudaError> {
    let plan = CudaPlan::new(graph, outputs, &[], 0, (products, device.tuning()));
    let lanes = Lanes::new(device)?;
    let stream = lanes.main();
    let mut arena = DeviceArena::new(device, stream, plan.arena())?;
    for (node, values) in inputs {
        arena.upload(stream, plan.place(*node), values)?;
    }
    let step = StepState::new(draw.step + 1); // as within the step after so many updates
    let step = stream.clone_htod(&[step]).during(|| "copying the step to the device".into())?;
    let step = step.as_view();
    let draw = DeviceDraw { seed: draw.seed, step: &step };
    let mut launch = |task: usize, stream: &_| plan.launch(device.kernels(), stream, task, &mut arena, draw);
    device.wait_for_each_kernel(launching == Launching::Launches);
    let prepared = lanes.prepare(launching, plan.order(), &mut launch)?;
    lanes.run(&prepared, plan.order(), &mut launch)?;
    let download = |&output: &NodeId| {
        let mut values = vec![0.0; plan.shape(output).size()];
        arena.download(stream, plan.place(output), &mut values).map(|()| values)
    };
    outputs.iter().map(download).collect()
}
