//! The optimizers' updates.

use cotangent::exec::cuda::StepState;
use cotangent::optim::Optimizer;

use super::{Case, Scale};
use crate::report::Work;

/// Learning rates, one for each step that is launched in a row: a launch takes microseconds and all samples of a case less
/// than a second, so that it never runs out of them (a step past them would compute with NaN).
const STEPS: usize = 1 << 20;

/// One update of n parameters, with the beginning of its step, which advances the number of steps and computes what
/// follows from it: an optimizer's step is both. Parameters and gradients are normally distributed, the states, of which
/// roots are taken, squares of such numbers.
pub fn update(scale: Scale, (name, rule): (&'static str, Optimizer), n: usize) -> Case {
    let states = rule.state_per_parameter();
    let length = scale.length(n);
    let work = Work::of_memory(4 * n * (3 + 2 * states));
    let case = Case::new(name, n.to_string(), work, move |lab, sets| {
        let squares = || lab.normal(sets, length, |x| x * x);
        let (mut theta, g) = (lab.floats(sets, length)?, lab.floats(sets, length)?);
        let mut first = squares()?;
        let mut second = if states == 2 { Some(squares()?) } else { None };
        let mut step = lab.stream.clone_htod(&[StepState::new(0)])?;
        let rates = lab.stream.clone_htod(&vec![1e-3; STEPS])?;
        Ok(Box::new(move |lab, set| {
            let (theta, first) = (&mut theta.of_mut(set), &mut first.of_mut(set));
            let mut second = second.as_mut().map(|second| second.of_mut(set));
            let optimizers = &lab.kernels().optimizers;
            optimizers.begin_step(&lab.stream, &rule, 0.0, &rates.as_view(), &mut step.as_view_mut())?;
            let step = &step.as_view();
            optimizers.update(&lab.stream, &rule, step, theta, &g.of(set), first, second.as_mut())
        }))
    });
    // Parameters and states are read and written in place.
    Case { footprint: (4 * n * (2 + states)) as u64, ..case }
}
