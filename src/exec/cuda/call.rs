//! Calling a function on a device: the plain way to run a program once, for small ones and for tests.

use super::arena::DeviceArena;
use super::capture::Lanes;
use super::error::During;
use super::kernels::StepState;
use super::launch::DeviceDraw;
use super::plan::{CudaMode, CudaPlan};
use super::{CudaError, Device};
use crate::exec::Wanted;
use crate::graph::NodeId;
use crate::ops::{Draw, Function, Tree};

impl Device {
    /// Computes a function's outputs from its inputs' values: on a device what [`Function::call_with`] is in float32 on
    /// the CPU.
    ///
    /// # Errors
    /// [`CudaError::Call`] as [`Function::bind`] has it; [`CudaError::OutOfMemory`], or what the driver reports.
    pub fn call<I: Tree<NodeId> + Clone, O: Tree<NodeId> + Clone>(
        &self,
        function: &Function<I, O>,
        inputs: I::With<&[f32]>,
        draw: Draw,
        mode: CudaMode,
    ) -> Result<O::With<Vec<f32>>, CudaError> {
        let bound = function.bind(inputs)?;
        let outputs = function.outputs.clone().leaves();
        let plan = CudaPlan::new(&function.graph, Wanted::outputs(&outputs), mode.products, self.tuning());
        let lanes = Lanes::new(self, mode.launching)?;
        let stream = lanes.main();
        let mut arena = DeviceArena::new(self, stream, plan.arena())?;
        for (input, values) in bound {
            arena.upload(stream, plan.place(input), values)?;
        }
        let step = StepState::new(draw.step + 1); // as within the step after so many updates
        let step = stream.clone_htod(&[step]).during(|| "copying the step to the device".into())?;
        let step = step.as_view();
        let draw = DeviceDraw { seed: draw.seed, step: &step };
        let mut launch =
            |task: usize, stream: &_| plan.launch(self.kernels(), stream, task, &mut arena, draw);
        let prepared = lanes.prepare(plan.order(), &mut launch)?;
        lanes.run(&prepared, plan.order(), &mut launch)?;
        let mut all_read = Ok(());
        let values = function.outputs.clone().map(&mut |output| {
            let mut values = vec![0.0; plan.shape(output).size()];
            if all_read.is_ok() {
                all_read = arena.download(stream, plan.place(output), &mut values);
            }
            values
        });
        all_read.map(|()| values)
    }
}
