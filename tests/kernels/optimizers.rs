//! `kernels/optimizers.cu` against [`Optimizer::run`] on the CPU.
//!
//! With u = 2⁻²⁴, the rounding error of float32, an update errs by at most 16 u (|θ| + α S), where S is
//! the quotient (numerator over root plus ε) with every term of the numerator taken absolutely: Adam's, the
//! longest, rounds β₁, 1 − β₁, each product, the sum, the correction and its product (6 u); α and its product
//! (2 u); in the denominator β₂, 1 − β₂, g², the products, the sum, the correction and its product,
//! halved by the root, the root, ε and the sum (7 u at most); the quotient; decay, its product, the difference.
//! States err by at most 16 u times themselves, with absolute terms. Contraction to fma only
//! leaves roundings out. Underflow adds some 2⁻¹⁴⁹ to v, so 2⁻⁷⁴ to its root: nothing beside ε u.

use cotangent::exec::cuda::{CudaError, DeviceUpdate, StepState};
use cotangent::optim::{Adagrad, Adam, Lion, Optimizer, Piece, RmsProp, Scalar, Sgd};

use crate::support::steps::Step;

use super::support::{Buffer, Run, pairwise};
use crate::support::Random;

/// Each with the defaults and with constants that make every one of them count.
const OPTIMIZERS: [Optimizer; 8] = [
    Optimizer::Sgd(Sgd { momentum: 0.9 }),
    Optimizer::Sgd(Sgd { momentum: 0.3 }),
    Optimizer::Adagrad(Adagrad { epsilon: 1e-10 }),
    Optimizer::Adagrad(Adagrad { epsilon: 0.2 }),
    Optimizer::RmsProp(RmsProp { rho: 0.9, epsilon: 1e-8 }),
    Optimizer::RmsProp(RmsProp { rho: 0.6, epsilon: 0.2 }),
    Optimizer::Adam(Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }),
    Optimizer::Adam(Adam { beta1: 0.4, beta2: 0.7, epsilon: 0.2 }),
];

/// A tile has 2048 elements; 4100 make one whole tile wherever it begins.
const LENGTHS: [usize; 8] = [1, 3, 33, 300, 2045, 2048, 2049, 4100];

/// How far past an aligned address parameters, gradients, first and second state begin.
const OFFSETS: [[usize; 4]; 6] =
    [[0, 0, 0, 0], [1, 1, 1, 1], [3, 3, 3, 3], [0, 1, 0, 0], [2, 2, 1, 2], [0, 0, 0, 3]];

const STEPS: usize = 100;
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// A network on the device. Its buffers begin inside their memory: what lies before must stay as it is.
struct Network {
    step: Buffer<StepState>,
    scalars: Buffer<f32>,
    parameters: Buffer<f32>,
    first: Buffer<f32>,
    second: Option<Buffer<f32>>,
    offsets: [usize; 4],
}

/// What the optimizer's scalars are in each of these steps, as an epoch's table.
pub fn table(optimizer: &Optimizer, steps: impl IntoIterator<Item = Step>) -> Vec<f32> {
    let of_step = |step: Step| {
        let at = move |scalar: Scalar| scalar.at(step.number, step.learning_rate, step.weight_decay) as f32;
        optimizer.scalars().into_iter().map(at)
    };
    steps.into_iter().flat_map(of_step).collect()
}

/// What stands in the memory before a buffer.
const BEFORE: f32 = 7.75;

impl Network {
    fn upload(
        run: &Run,
        optimizer: &Optimizer,
        step: StepState,
        values: &State<f32>,
        offsets: [usize; 4],
    ) -> Result<Self, String> {
        let upload = |values: &[f32], offset| run.upload(&[&vec![BEFORE; offset], values].concat(), 0);
        let [parameters, _, first, second] = offsets;
        Ok(Self {
            step: run.upload(&[step], 0)?,
            scalars: run.poisoned(optimizer.scalars().len(), 1)?,
            parameters: upload(&values.theta, parameters)?,
            first: upload(&values.first, first)?,
            second: match values.second[..] {
                [] => None,
                _ => Some(upload(&values.second, second)?),
            },
            offsets,
        })
    }

    fn update(&mut self, run: &Run, optimizer: &Optimizer, gradients: &Buffer<f32>) -> Result<(), CudaError> {
        let [parameters, _, first, second_offset] = self.offsets;
        let (mut theta, mut first_state) = (self.parameters.view_mut(), self.first.view_mut());
        let mut second = self.second.as_mut().map(|second| second.view_mut());
        let (mut theta, mut first) = (theta.slice_mut(parameters..), first_state.slice_mut(first..));
        let mut second = second.as_mut().map(|second| second.slice_mut(second_offset..));
        let scalars = self.scalars.view();
        let update = DeviceUpdate {
            scalars: &(0..scalars.len()).map(|k| scalars.slice(k..k + 1)).collect::<Vec<_>>(),
            parameters: &mut theta,
            gradients: &gradients.view(),
            state: &mut [Some(&mut first), second.as_mut()].into_iter().flatten().collect::<Vec<_>>(),
        };
        run.kernels().optimizers.update(run.stream(), optimizer, &self.step.view(), update)
    }

    /// Begins a step of the epoch whose scalars these are.
    fn begin(&mut self, run: &Run, table: &Buffer<f32>) -> Result<(), String> {
        let (scalars, step) = (&mut self.scalars.view_mut(), &mut self.step.view_mut());
        let kernels = &run.kernels().optimizers;
        kernels.begin_step(run.stream(), &table.view(), scalars, step).map_err(text)
    }

    fn download(&self, run: &Run) -> Result<State<f32>, String> {
        let download = |buffer: &Buffer<f32>, offset: usize| {
            let values = run.download(buffer)?;
            let (before, values) = values.split_at(offset);
            match before.iter().find(|&&x| x != BEFORE) {
                Some(x) => Err(format!("an element before a buffer became {x}")),
                None => Ok(values.to_vec()),
            }
        };
        let [parameters, _, first, second_offset] = self.offsets;
        Ok(State {
            theta: download(&self.parameters, parameters)?,
            first: download(&self.first, first)?,
            second: self.second.as_ref().map_or(Ok(Vec::new()), |second| download(second, second_offset))?,
        })
    }
}

/// A network on the CPU; `second` is empty for an optimizer with one state.
#[derive(Clone, PartialEq, Debug)]
struct State<T> {
    theta: Vec<T>,
    first: Vec<T>,
    second: Vec<T>,
}

impl<T: cotangent::float::Float> State<T> {
    fn update(&mut self, optimizer: &Optimizer, step: Step, gradients: &[T]) {
        step.update(optimizer, Piece::new(&mut self.theta, gradients, &mut self.first, &mut self.second));
    }
}

impl State<f32> {
    fn widened(&self) -> State<f64> {
        State { theta: widened(&self.theta), first: widened(&self.first), second: widened(&self.second) }
    }

    fn bits(&self) -> Vec<u32> {
        [&self.theta, &self.first, &self.second].into_iter().flatten().map(|x| x.to_bits()).collect()
    }
}

impl State<f64> {
    /// α S as θ, and the states with absolute terms, after the update from here.
    fn magnitude(&self, optimizer: &Optimizer, step: Step, gradients: &[f64]) -> Self {
        let absolute = |values: &[f64]| values.iter().map(|x| x.abs()).collect::<Vec<_>>();
        let theta = vec![0.0; self.theta.len()];
        let mut size = State { theta, first: absolute(&self.first), second: self.second.clone() };
        size.update(optimizer, Step { weight_decay: 0.0, ..step }, &absolute(gradients));
        size.theta = absolute(&size.theta);
        size
    }
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// The first element that is not within its bound of what is expected; NaN never is.
fn within(what: &str, found: &[f32], expected: &[f64], bound: impl Fn(usize) -> f64) -> Result<(), String> {
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let bound = bound(i);
        let agree = (f64::from(found) - expected).abs() <= bound;
        if !agree {
            return Err(format!("{what}, element {i}: {found:e}, not {expected:e} (to {bound:e})"));
        }
    }
    Ok(())
}

/// Initial parameters, and states of zeros.
fn initial(optimizer: &Optimizer, random: &mut Random, n: usize) -> State<f32> {
    let theta = random.values(n, -1.0, 1.0).iter().map(|&x| x as f32).collect();
    let second = if optimizer.states() == 2 { vec![0.0; n] } else { Vec::new() };
    State { theta, first: vec![0.0; n], second }
}

pub fn check_updates_agree_with_float64() -> Result<(), String> {
    const DECAYS: [f64; 2] = [0.0, 0.01];
    // Ordinary, huge, tiny; and, last, a magnitude for each element.
    const MAGNITUDES: [f64; 4] = [1.0, 1e15, 1e-30, 0.0];
    let factors = [
        ("optimizer", OPTIMIZERS.len()),
        ("weight decay", DECAYS.len()),
        ("length", LENGTHS.len()),
        ("offsets", OFFSETS.len()),
        ("magnitude", MAGNITUDES.len()),
    ];
    pairwise(&factors, |run, pick| {
        let (optimizer, weight_decay, n) = (OPTIMIZERS[pick[0]], DECAYS[pick[1]], LENGTHS[pick[2]]);
        let (offsets, magnitude) = (OFFSETS[pick[3]], MAGNITUDES[pick[4]]);
        let case =
            format!("{optimizer:?}, weight decay {weight_decay}, {n} elements, {offsets:?}, x {magnitude:e}");
        let mut random = run.random();
        let scales: Vec<f64> = match magnitude {
            0.0 => (0..n).map(|_| 10_f64.powf(random.between(-20.0, 15.0))).collect(),
            _ => vec![magnitude; n],
        };
        let mut device = initial(&optimizer, &mut random, n);
        let mut network = Network::upload(run, &optimizer, StepState::new(0), &device, offsets)?;
        // The whole course in 64 bits, and how far 32 bits may have left it.
        let mut course = device.widened();
        let mut sizes = course.clone();
        let mut allowed = vec![0.0; n];
        // Two epochs of a cosine, each with its table of scalars.
        let rates: Vec<f64> = (0..STEPS)
            .map(|step| 0.01 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos()))
            .collect();
        for epoch in [0..STEPS * 3 / 5, STEPS * 3 / 5..STEPS] {
            network.step = run.upload(&[StepState::new(epoch.start as u64)], 0)?;
            let step = |t: usize| Step { number: t as u64 + 1, learning_rate: rates[t], weight_decay };
            let scalars = run.upload(&table(&optimizer, epoch.clone().map(step)), offsets[1])?;
            for t in epoch {
                let gradients: Vec<f32> =
                    scales.iter().map(|scale| (scale * random.between(-2.0, 2.0)) as f32).collect();
                let on_device = run.upload(&gradients, offsets[1])?;
                network.begin(run, &scalars)?;
                network.update(run, &optimizer, &on_device).map_err(text)?;

                let step = step(t);
                let (gradients, before) = (widened(&gradients), device.widened());
                device = network.download(run)?;
                let size = before.magnitude(&optimizer, step, &gradients);
                let mut expected = before.clone();
                expected.update(&optimizer, step, &gradients);
                let bound = |size: f64| 16.0 * UNIT * size + f64::from(f32::MIN_POSITIVE);
                let at = |what: &str| format!("{case}: {what} after step {}", step.number);
                within(&at("theta"), &device.theta, &expected.theta, |i| {
                    bound(before.theta[i].abs() + size.theta[i])
                })?;
                within(&at("first state"), &device.first, &expected.first, |i| bound(size.first[i]))?;
                within(&at("second state"), &device.second, &expected.second, |i| bound(size.second[i]))?;

                // The states have drifted by 4 t u of their size, which the quotient feels at most twice.
                for (allowed, theta) in allowed.iter_mut().zip(&course.theta) {
                    *allowed += 16.0 * UNIT * theta.abs() + f64::from(f32::MIN_POSITIVE);
                }
                course.update(&optimizer, step, &gradients);
                sizes = sizes.magnitude(&optimizer, step, &gradients);
                for (allowed, size) in allowed.iter_mut().zip(&sizes.theta) {
                    *allowed += (16 + 8 * (t + 1)) as f64 * UNIT * size;
                }
            }
        }
        within(&format!("{case}: theta in the end"), &device.theta, &course.theta, |i| allowed[i])
    })
}

#[test]
fn a_hundred_updates_agree_with_float64() {
    check_updates_agree_with_float64().unwrap();
}

/// One update from every combination of extreme values, as 32 bits on the CPU have it: NaN where that
/// has NaN, infinite where it is infinite.
pub fn check_extremes_agree_with_the_cpu() -> Result<(), String> {
    const GRADIENTS: [f32; 9] =
        [0.0, -0.0, 1.5, 1e30, -1e30, 1e-30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    const PARAMETERS: [f32; 4] = [0.25, -1e30, f32::INFINITY, f32::NAN];
    const FIRST: [f32; 5] = [0.0, 0.5, 1e30, f32::INFINITY, f32::NAN];
    const SECOND: [f32; 4] = [0.0, 2.0, f32::INFINITY, f32::NAN];
    pairwise(&[("optimizer", OPTIMIZERS.len()), ("offsets", OFFSETS.len())], |run, pick| {
        let (optimizer, offsets) = (OPTIMIZERS[pick[0]], OFFSETS[pick[1]]);
        let mut expected = State { theta: Vec::new(), first: Vec::new(), second: Vec::new() };
        let mut gradients = Vec::new();
        for (i, &g) in GRADIENTS.iter().enumerate().cycle().take(GRADIENTS.len() * 4 * 5 * 4) {
            let combination = gradients.len() / GRADIENTS.len() + i * 80;
            gradients.push(g);
            expected.theta.push(PARAMETERS[combination % 4]);
            expected.first.push(FIRST[combination / 4 % 5]);
            if optimizer.states() == 2 {
                expected.second.push(SECOND[combination / 20 % 4]);
            }
        }
        let step = Step { number: 1, learning_rate: 0.125, weight_decay: 0.01 };
        let mut network = Network::upload(run, &optimizer, StepState::new(0), &expected, offsets)?;
        network.begin(run, &run.upload(&table(&optimizer, [step]), 0)?)?;
        network.update(run, &optimizer, &run.upload(&gradients, offsets[1])?).map_err(text)?;
        let found = network.download(run)?;
        let before = expected.clone();
        expected.update(&optimizer, step, &gradients);
        let parts = [
            ("theta", &found.theta, &expected.theta, &before.theta),
            ("first state", &found.first, &expected.first, &before.first),
            ("second state", &found.second, &expected.second, &before.second),
        ];
        for (what, found, expected, before) in parts {
            for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
                let bound = 32.0 * UNIT * (f64::from(expected).abs() + f64::from(before[i]).abs());
                let agree = if expected.is_finite() {
                    (f64::from(found) - f64::from(expected)).abs() <= bound
                } else {
                    found == expected || (found.is_nan() && expected.is_nan())
                };
                if !agree {
                    let (g, theta) = (gradients[i], before[i]);
                    let case = format!("{optimizer:?}, {offsets:?}, gradient {g:e}");
                    return Err(format!("{case}, {what} {theta:e} became {found:e}, not {expected:e}"));
                }
            }
        }
        Ok(())
    })
}

#[test]
fn extreme_values_become_what_they_become_on_the_cpu() {
    check_extremes_agree_with_the_cpu().unwrap();
}

/// Where every product is exact, contraction changes nothing, and 32 bits on the CPU and on the device
/// must give the same bits: squares of short numbers, constants and learning rate powers of two or nearly.
pub fn check_short_numbers_agree_exactly() -> Result<(), String> {
    const RULES: [Optimizer; 4] = [
        Optimizer::Sgd(Sgd { momentum: 0.5 }),
        Optimizer::Adagrad(Adagrad { epsilon: 0.25 }),
        Optimizer::RmsProp(RmsProp { rho: 0.75, epsilon: 0.25 }),
        Optimizer::Adam(Adam { beta1: 0.5, beta2: 0.75, epsilon: 0.25 }),
    ];
    let factors = [("optimizer", RULES.len()), ("length", LENGTHS.len()), ("offsets", OFFSETS.len())];
    pairwise(&factors, |run, pick| {
        let (optimizer, n, offsets) = (RULES[pick[0]], LENGTHS[pick[1]], OFFSETS[pick[2]]);
        let mut random = run.random();
        let mut expected = initial(&optimizer, &mut random, n);
        for state in expected.first.iter_mut().chain(&mut expected.second) {
            *state = random.below(64) as f32 / 16.0;
        }
        let gradients: Vec<f32> = (0..n).map(|_| (random.below(128) as f32 - 64.0) / 16.0).collect();
        // The first step: with these constants the corrections are 2 and 4.
        let step = Step { number: 1, learning_rate: 0.25, weight_decay: 0.0 };
        let mut network = Network::upload(run, &optimizer, StepState::new(0), &expected, offsets)?;
        network.begin(run, &run.upload(&table(&optimizer, [step]), 0)?)?;
        network.update(run, &optimizer, &run.upload(&gradients, offsets[1])?).map_err(text)?;
        let found = network.download(run)?;
        expected.update(&optimizer, step, &gradients);
        match found.bits() == expected.bits() {
            true => Ok(()),
            false => Err(format!("{optimizer:?}, {n} elements, {offsets:?}: {found:?}, not {expected:?}")),
        }
    })
}

#[test]
fn short_numbers_agree_to_the_last_bit() {
    check_short_numbers_agree_exactly().unwrap();
}

pub fn check_nothing_moves_after_a_bad_loss() -> Result<(), String> {
    let factors = [("optimizer", OPTIMIZERS.len()), ("length", LENGTHS.len()), ("offsets", OFFSETS.len())];
    pairwise(&factors, |run, pick| {
        let (optimizer, n, offsets) = (OPTIMIZERS[pick[0]], LENGTHS[pick[1]], OFFSETS[pick[2]]);
        let before = initial(&optimizer, &mut run.random(), n);
        let step = StepState {
            number: 7,
            first_not_finite: 3 + 4 * (n as u64 % 2), // an earlier step, or this one
            ..StepState::new(0)
        };
        let mut network = Network::upload(run, &optimizer, step, &before, offsets)?;
        network.scalars = run.upload(&vec![0.5; optimizer.scalars().len()], 0)?;
        let gradients: Vec<f32> = (0..n).map(|i| if i % 2 == 0 { f32::NAN } else { 1.0 }).collect();
        network.update(run, &optimizer, &run.upload(&gradients, offsets[1])?).map_err(text)?;
        let after = network.download(run)?;
        match after.bits() == before.bits() {
            true => Ok(()),
            false => Err(format!("{optimizer:?}, {n} elements, {offsets:?}: {before:?} became {after:?}")),
        }
    })
}

#[test]
fn nothing_moves_after_a_loss_that_was_not_finite() {
    check_nothing_moves_after_a_bad_loss().unwrap();
}

#[test]
fn no_parameters_are_no_launch() {
    let optimizer = Optimizer::Adam(Adam::default());
    let check = pairwise(&[], |run, _| {
        let empty = State { theta: vec![], first: vec![], second: vec![] };
        let mut network = Network::upload(run, &optimizer, StepState::new(0), &empty, [0; 4])?;
        network.second = Some(run.upload(&[], 0)?);
        network.update(run, &optimizer, &run.upload(&[], 0)?).map_err(text)
    });
    check.unwrap();
}

#[test]
fn lengths_that_disagree_are_refused_by_name() {
    let check = pairwise(&[], |run, _| {
        let refused = |optimizer: Optimizer, [gradients, first, second]: [usize; 3], expected: &str| {
            let zeros = |n| vec![0.0_f32; n];
            let values = State { theta: zeros(5), first: zeros(first), second: zeros(second) };
            let mut network = Network::upload(run, &optimizer, StepState::new(0), &values, [0; 4])?;
            let found = network.update(run, &optimizer, &run.upload(&zeros(gradients), 0)?);
            match found {
                Err(error) if error.to_string() == expected => Ok(()),
                other => Err(format!("{other:?}, not {expected}")),
            }
        };
        let (sgd, adam) = (Optimizer::Sgd(Sgd::default()), Optimizer::Adam(Adam::default()));
        refused(sgd, [4, 5, 0], "kernel update_sgd: gradients holds 4 elements, and the sizes ask for 5")?;
        refused(adam, [5, 6, 5], "kernel update_adam: state holds 6 elements, and the sizes ask for 5")?;
        refused(
            adam,
            [5, 5, 0],
            "kernel update_adam: the list of states holds 1 elements, and the sizes ask for 2",
        )?;
        let lion = Optimizer::Lion(Lion::default());
        refused(lion, [5, 5, 0], "kernel begin_step: lion has no kernel of its own")?;
        refused(
            sgd,
            [5, 5, 5],
            "kernel update_sgd: the list of states holds 2 elements, and the sizes ask for 1",
        )
    });
    check.unwrap();
}

fn text(error: CudaError) -> String {
    error.to_string()
}
