//! `kernels/step.cuh`: steps are counted on the device, and a captured step serves every step.

use std::sync::Arc;

use cotangent::data::{Gather, Normalisation, Shifts, Split};
use cotangent::exec::cuda::{BatchOrder, CudaError, DeviceSplit, DeviceUpdate, StepState};
use cotangent::ops::{Draw, DropoutMask};
use cotangent::optim::{Adam, Optimizer, Piece, Sgd};

use crate::support::steps::Step;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaGraph, CudaStream, DriverError};

use super::optimizers::table;
use super::support::{Buffer, Run, pairwise};
use crate::support::compare;

const RULES: [Optimizer; 3] = [
    Optimizer::Adam(Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }),
    Optimizer::Adam(Adam { beta1: 0.4, beta2: 0.7, epsilon: 0.2 }),
    Optimizer::Sgd(Sgd { momentum: 0.9 }),
];

pub fn check_steps_are_counted() -> Result<(), String> {
    const STARTS: [u64; 4] = [0, 1, 1000, (1 << 33) - 1];
    // A step takes as many scalars as it takes: an evaluation none.
    let factors = [("start", STARTS.len()), ("scalars", 7)];
    pairwise(&factors, |run, pick| {
        let (start, count) = (STARTS[pick[0]], pick[1]);
        let table: Vec<f32> = (0..2 * count).map(|k| 0.5 + k as f32).collect();
        let on_device = run.upload(&table, 1)?;
        let mut scalars = run.poisoned::<f32>(count, 3)?;
        let before = StepState { first_not_finite: 5, ..StepState::new(start) };
        let mut step = run.upload(&[before], 0)?;
        let kernels = &run.kernels().optimizers;
        let rows = table.chunks(count.max(1)).map(<[f32]>::to_vec).chain([vec![f32::NAN; count]]);
        for (expected, number) in rows.zip(start + 1..) {
            let (to, state) = (&mut scalars.view_mut(), &mut step.view_mut());
            kernels.begin_step(run.stream(), &on_device.view(), to, state).map_err(text)?;
            let (found, scalars) = (run.download(&step)?[0], run.download(&scalars)?);
            if found != (StepState { number, epoch_start: start, first_not_finite: 5 }) {
                return Err(format!("step {number}: {found:?}, with the epoch's start {start}"));
            }
            // A row for every step of the epoch; after it none.
            let agree = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
            if scalars.len() != expected.len() || !scalars.iter().zip(&expected).all(agree) {
                return Err(format!("step {number}: {scalars:?}, not {expected:?}"));
            }
        }
        Ok(())
    })
}

#[test]
fn steps_are_counted_and_get_their_scalars() {
    check_steps_are_counted().unwrap();
}

const WEIGHT_DECAY: f64 = 0.125;
const SEED: u64 = 77;
const PIXELS: usize = 12;
const BATCH: usize = 4;
/// Two full batches and one of three images.
const IMAGES: usize = 11;
const STEPS: usize = IMAGES.div_ceil(BATCH);

/// A run in which the batch's images are the gradients, and the logits, and its labels the losses: enough for
/// every kernel that reads the step to show which one it is in.
struct Training {
    /// Its own: what others put on a stream that is being captured would be captured too.
    stream: Arc<CudaStream>,
    optimizer: Optimizer,
    shifts: Shifts,
    mask_rule: DropoutMask,
    step: Buffer<StepState>,
    table: Buffer<f32>,
    scalars: Buffer<f32>,
    order: Buffer<u32>,
    bytes: Buffer<u8>,
    classes: Buffer<u8>,
    images: Buffer<f32>,
    labels: Buffer<f32>,
    mask: Buffer<f32>,
    parameters: Buffer<f32>,
    means: Buffer<f32>,
    squares: Buffer<f32>,
    correct: Buffer<u64>,
    total: Buffer<f64>,
}

const NORMALISATION: Normalisation = Normalisation { mean: 0.5, std: 0.5 };

impl Training {
    /// One step with a batch of some rows. They update as many parameters as they have pixels.
    fn launch(&mut self, run: &Run, rows: usize) -> Result<(), CudaError> {
        let (kernels, stream) = (run.kernels(), &self.stream.clone());
        let pixels = rows * PIXELS;
        let (scalars, step) = (&mut self.scalars.view_mut(), &mut self.step.view_mut());
        kernels.optimizers.begin_step(stream, &self.table.view(), scalars, step)?;
        let split =
            DeviceSplit { images: self.bytes.view(), labels: self.classes.view(), rows: 3, columns: 4 };
        let which = BatchOrder { step: self.step.view(), order: self.order.view(), batch_size: BATCH };
        let images = &mut self.images.view_mut();
        let (images, labels) = (&mut images.slice_mut(..pixels), &mut self.labels.view_mut());
        let labels = &mut labels.slice_mut(..rows);
        kernels.gather.batch(stream, &split, (NORMALISATION, Some(self.shifts)), &which, images, labels)?;
        let mask = &mut self.mask.view_mut();
        kernels.dropout.mask(stream, &self.mask_rule, SEED, &self.step.view(), mask)?;
        let (images, labels) = (self.images.view().slice(..pixels), self.labels.view().slice(..rows));
        let correct = &mut self.correct.view_mut();
        kernels.accuracy.count_correct(stream, PIXELS, &images, &labels, correct)?;
        let (step, total) = (&mut self.step.view_mut(), &mut self.total.view_mut());
        kernels.accuracy.accumulate_losses(stream, &labels, step, total)?;
        let (mut parameters, mut means) = (self.parameters.view_mut(), self.means.view_mut());
        let mut squares = self.squares.view_mut();
        let mut squares = squares.slice_mut(..pixels);
        let (theta, means) = (&mut parameters.slice_mut(..pixels), &mut means.slice_mut(..pixels));
        let scalars = self.scalars.view();
        let update = DeviceUpdate {
            scalars: &(0..scalars.len()).map(|k| scalars.slice(k..k + 1)).collect::<Vec<_>>(),
            parameters: theta,
            gradients: &images,
            state: &mut [means, &mut squares].into_iter().take(self.optimizer.states()).collect::<Vec<_>>(),
        };
        kernels.optimizers.update(stream, &self.optimizer, &self.step.view(), update)
    }

    fn captured(&mut self, run: &Run, rows: usize) -> Result<CudaGraph, String> {
        self.stream
            .begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(driver)?;
        let launched = self.launch(run, rows);
        let graph = self.stream.end_capture(CUgraphInstantiate_flags(0));
        launched.map_err(text)?;
        graph.map_err(driver)?.ok_or_else(|| "nothing was captured".to_owned())
    }
}

pub fn check_a_captured_step_serves_every_step() -> Result<(), String> {
    pairwise(&[("optimizer", RULES.len()), ("updates before", 2), ("last batch captured", 2)], |run, pick| {
        let optimizer = RULES[pick[0]];
        let updates = [0, (1 << 32) - 2][pick[1]];
        let mut random = run.random();
        let mut bytes =
            |count: usize, bound| (0..count).map(|_| random.below(bound) as u8).collect::<Vec<_>>();
        let split =
            Split { images: bytes(IMAGES * PIXELS, 256), labels: bytes(IMAGES, PIXELS), rows: 3, columns: 4 };
        let shifts = Shifts::new(SEED, 1);
        let mask_rule = DropoutMask { probability: 0.5.into(), stream: 3, shape: [50].into() };
        let mut theta: Vec<f64> = random.values(BATCH * PIXELS, -1.0, 1.0);
        let (mut means, mut squares) = (vec![0.0; theta.len()], vec![0.0; theta.len()]);
        let narrow = |values: &[f64]| values.iter().map(|&x| x as f32).collect::<Vec<_>>();
        let mut training = Training {
            stream: run.gpu.device.stream().map_err(text)?,
            optimizer,
            shifts,
            mask_rule: mask_rule.clone(),
            step: run.upload(&[StepState::new(updates)], 0)?,
            table: run.poisoned(STEPS * optimizer.scalars().len(), 0)?,
            scalars: run.poisoned(optimizer.scalars().len(), 0)?,
            order: run.poisoned(IMAGES, 0)?,
            bytes: run.upload(&split.images, 0)?,
            classes: run.upload(&split.labels, 0)?,
            images: run.poisoned(BATCH * PIXELS, 0)?,
            labels: run.poisoned(BATCH, 0)?,
            mask: run.poisoned(50, 0)?,
            parameters: run.upload(&narrow(&theta), 0)?,
            means: run.upload(&narrow(&means), 0)?,
            squares: run.upload(&narrow(&squares), 0)?,
            correct: run.upload(&[0], 0)?,
            total: run.upload(&[0.0], 0)?,
        };
        // All of it is there before another stream works with it.
        run.stream().synchronize().map_err(driver)?;
        let full = training.captured(run, BATCH)?;
        let last = training.captured(run, IMAGES % BATCH)?;
        let (mut correct, mut total) = (0, 0.0);
        for epoch in 0..2_u64 {
            let order: Vec<u32> = (0..IMAGES).map(|_| random.below(IMAGES) as u32).collect();
            let rates = random.values(STEPS, 0.01, 0.1);
            let stream = training.stream.clone();
            stream.memcpy_htod(&order, &mut training.order.view_mut()).map_err(driver)?;
            let step = |position: usize| Step {
                number: updates + epoch * STEPS as u64 + position as u64 + 1,
                learning_rate: rates[position],
                weight_decay: WEIGHT_DECAY,
            };
            let table = table(&optimizer, (0..STEPS).map(step));
            stream.memcpy_htod(&table, &mut training.table.view_mut()).map_err(driver)?;
            let begun = StepState::new(updates + epoch * STEPS as u64);
            stream.memcpy_htod(&[begun], &mut training.step.view_mut()).map_err(driver)?;
            for (position, indices) in order.chunks(BATCH).enumerate() {
                let draw = Draw { seed: SEED, step: updates + epoch * STEPS as u64 + position as u64 };
                match indices.len() {
                    BATCH => full.launch().map_err(driver)?,
                    _ if pick[2] == 1 => last.launch().map_err(driver)?,
                    rows => training.launch(run, rows).map_err(text)?,
                }
                stream.synchronize().map_err(driver)?;

                let pixels = indices.len() * PIXELS;
                let (mut images, mut labels) = (vec![0.0_f32; pixels], vec![0.0; indices.len()]);
                let gather = Gather::new(&split, NORMALISATION, Some(shifts));
                gather.batch(draw.step, indices, &mut images, &mut labels);
                let mut mask = vec![0.0_f32; 50];
                mask_rule.fill(draw, 0, &mut mask);
                let at = |what: &str| format!("{optimizer:?}, {what} of {draw:?}");
                let same = |what: &str, found: &[f32], expected: &[f32]| match found == expected {
                    true => Ok(()),
                    false => Err(format!("{}: {found:?}, not {expected:?}", at(what))),
                };
                same("images", &run.download(&training.images)?[..pixels], &images)?;
                same("labels", &run.download(&training.labels)?[..labels.len()], &labels)?;
                same("mask", &run.download(&training.mask)?, &mask)?;
                // No two pixels of a row need be different: the first of equals.
                let first_largest = |row: &[f32]| {
                    let most = row.iter().copied().fold(f32::MIN, f32::max);
                    row.iter().position(|&x| x == most).map(|position| position as f32)
                };
                let rows = images.chunks_exact(PIXELS).zip(&labels);
                correct += rows.filter(|(row, label)| first_largest(row) == Some(**label)).count() as u64;
                total += labels.iter().map(|&x| f64::from(x)).sum::<f64>();
                let found = (run.download(&training.correct)?[0], run.download(&training.total)?[0]);
                if found != (correct, total) {
                    return Err(format!("{}: {found:?}, not {:?}", at("sums"), (correct, total)));
                }
                let gradients: Vec<f64> = images.iter().map(|&x| f64::from(x)).collect();
                let seconds = if optimizer.states() == 2 { pixels } else { 0 };
                let squares = &mut squares[..seconds];
                let piece = Piece::new(&mut theta[..pixels], &gradients, &mut means[..pixels], squares);
                step(position).update(&optimizer, piece);
                let found: Vec<f64> =
                    run.download(&training.parameters)?.into_iter().map(f64::from).collect();
                // Six steps with some ten roundings each, of quotients that move θ by less than 1.
                compare(&at("theta"), &found, &theta, 60.0 * f64::from(f32::EPSILON))?;
            }
        }
        Ok(())
    })
}

#[test]
fn a_captured_step_serves_every_step() {
    check_a_captured_step_serves_every_step().unwrap();
}

fn text(error: CudaError) -> String {
    error.to_string()
}

fn driver(error: DriverError) -> String {
    error.to_string()
}
