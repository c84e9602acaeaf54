//! The optimizers' updates.

use cotangent::exec::cuda::{DeviceUpdate, StepState};
use cotangent::optim::Optimizer;

use super::{Case, Scale};
use crate::report::Work;

/// Steps whose scalars are there: a launch takes microseconds and all samples of a case less than a second, so that it
/// never runs out of them (a step past them would compute with NaN).
const STEPS: usize = 1 << 20;

/// One update of n parameters, with the beginning of its step, which advances the number of steps and puts its scalars in
/// place: an optimizer's step is both. Parameters and gradients are normally distributed, the states, of which
/// roots are taken, squares of such numbers.
pub fn update(scale: Scale, (name, rule): (&'static str, Optimizer), n: usize) -> Case {
    let states = rule.states();
    let length = scale.length(n);
    let work = Work::of_memory(4 * n * (3 + 2 * states));
    let case = Case::new(name, n.to_string(), work, move |lab, sets| {
        let squares = || lab.normal(sets, length, |x| x * x);
        let (mut theta, g) = (lab.floats(sets, length)?, lab.floats(sets, length)?);
        let mut first = squares()?;
        let mut second = if states == 2 { Some(squares()?) } else { None };
        let mut step = lab.stream.clone_htod(&[StepState::new(0)])?;
        let count = rule.scalars().len();
        let table = lab.stream.clone_htod(&vec![1e-3_f32; STEPS * count])?;
        let mut scalars = lab.stream.clone_htod(&vec![0.0_f32; count])?;
        Ok(Box::new(move |lab, set| {
            let (theta, first) = (&mut theta.of_mut(set), &mut first.of_mut(set));
            let mut second = second.as_mut().map(|second| second.of_mut(set));
            let optimizers = &lab.kernels().optimizers;
            let to = &mut scalars.as_view_mut();
            optimizers.begin_step(&lab.stream, &table.as_view(), to, &mut step.as_view_mut())?;
            let update = DeviceUpdate {
                scalars: &(0..count).map(|k| scalars.slice(k..k + 1)).collect::<Vec<_>>(),
                parameters: theta,
                gradients: &g.of(set),
                state: &mut [Some(first), second.as_mut()].into_iter().flatten().collect::<Vec<_>>(),
            };
            optimizers.update(&lab.stream, &rule, &step.as_view(), update)
        }))
    });
    // Parameters and states are read and written in place.
    Case { footprint: (4 * n * (2 + states)) as u64, ..case }
}
