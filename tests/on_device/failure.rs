//! What goes wrong on a device ends as one clear error.

use cotangent::optim::Nesterov;

use super::*;
use crate::determinism::usual;
use crate::kernels::support::chain;

#[test]
fn a_network_that_does_not_fit_says_what_was_asked_and_what_is_free() {
    if on_real_card() {
        return; // it may have room for it
    }
    // Parameters, gradients and two states of 4 bytes: 9.6 GB on a device of 8 GiB.
    let mut job = small_network(usual(OptimizerName::Adam), 1);
    job.model = Arc::new(perceptron(&[324, 100_000, 5_600, 10], Activation::Tanh, 0.0));
    let error = opened_on_device(&job, 0, CudaMode::default()).err().unwrap();
    let text = chain(&error);
    assert!(text.contains("the work on cuda:0 (emulated sm_75) failed"), "{text}");
    assert!(text.contains("out of memory") && text.contains("bytes were asked for"), "{text}");
    assert!(text.contains("are free") && text.contains("smaller batch or network"), "{text}");
}

#[test]
fn a_loss_that_is_not_finite_names_step_and_place_and_updates_nothing_from_there_on() {
    // By a kernel of the rule's own, and by the interpreter; and whichever of two tasks that may run side by side is first.
    let rules = [usual(OptimizerName::Sgd), Optimizer::Nesterov(Nesterov::default())];
    let launchings = [Launching::Graph, Launching::Launches];
    let schedules = [Schedule::FirstInFirstOut, Schedule::LastInFirstOut];
    for (number, schedule) in schedules.into_iter().cycle().take(4).enumerate() {
        set_schedule(schedule);
        let launching = launchings[number / 2];
        let job = small_network(rules[(number + number / 2) % 2], 4);
        let mut engine = on_device(&job, 0, launching);
        let order: Vec<u32> = (0..job.data.train.len() as u32).collect();
        // Steps that walk out of what float32 holds, sooner or later.
        let rates = [1e-3, 1e-3, 1e38, 1e38, 1e-3];
        let not_finite = |engine: &mut Engine| match engine.epoch(&order, &rates, &mut |_| true) {
            Err(TrainError::NotFinite(divergence)) => divergence,
            other => panic!("{other:?}"),
        };
        let divergence = not_finite(&mut engine);
        assert!(divergence.step > 3 && divergence.place.starts_with("the parameter"), "{divergence}");
        assert_eq!(not_finite(&mut on_cpu(&job)), divergence);
    }
}
