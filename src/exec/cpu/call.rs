//! Calling a function: the plain way to run a program once.

use super::{Arena, Plan};
use crate::exec::Wanted;
use crate::float::Float;
use crate::graph::NodeId;
use crate::ops::{CallError, Draw, Function, Tree};

impl<I: Tree<NodeId> + Clone, O: Tree<NodeId> + Clone> Function<I, O> {
    /// Computes the outputs from the inputs' values on the CPU, in their number type.
    ///
    /// In products whose first operand is what relu or step left, its zeros are left out: zero times infinity, which is NaN
    /// elsewhere, adds nothing there.
    ///
    /// # Errors
    /// As [`bind`](Self::bind): where a number of values does not fit, or the function stores.
    pub fn call<T: Float>(&self, inputs: I::With<&[T]>) -> Result<O::With<Vec<T>>, CallError> {
        self.call_with(inputs, Draw::default())
    }

    /// As [`call`](Self::call), with the random numbers of a given step.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn call_with<T: Float>(
        &self,
        inputs: I::With<&[T]>,
        draw: Draw,
    ) -> Result<O::With<Vec<T>>, CallError> {
        let bound = self.bind(inputs)?;
        let plan = Plan::new(&self.graph, Wanted::outputs(&self.outputs.clone().leaves()));
        let mut arena = Arena::new(plan.arena());
        for (input, values) in bound {
            arena[plan.place(input)].copy_from_slice(values);
        }
        plan.run(&mut arena, draw);
        Ok(self.outputs.clone().map(&mut |output| arena[plan.place(output)].to_vec()))
    }
}
