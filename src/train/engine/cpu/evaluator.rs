//! Losses and predictions of a network as it stands.

use super::stage::{Batch, Stage, largest};
use crate::data::{Gather, batches};
use crate::exec::Arena;
use crate::exec::cpu::Run;
use crate::model::Perceptron;
use crate::ops::{Draw, GraphError};
use crate::train::engine::{Sums, rows_worth};

/// Images in one batch of an evaluation, if they are worth their memory.
pub(super) const EVALUATION_BATCH: usize = 500;

/// The bytes that one batch may take, all layers counted: with more, products are no faster.
pub(super) const WORTH: usize = 32 << 20;

/// Losses are added up for so many images, and these sums to the total: so how many images are evaluated at once, which
/// memory decides, changes no bit of it.
const ADDED_UP: usize = 500;

/// Losses and predictions of a network as it stands, without dropout.
pub(super) struct Evaluator {
    /// For full batches, and for what is left. A batch is made when it is first filled.
    stages: Vec<(Stage, Option<Batch>)>,
    count: usize,
    /// Images in a full batch.
    pub(super) rows: usize,
}

impl Evaluator {
    /// An evaluator of `count` images, planned: it takes no memory yet. It is for an arena whose first `reserved` elements
    /// stay as they are; the parameters are in front, as a learner has them.
    ///
    /// # Errors
    /// When the architecture does not hold together.
    pub fn new(model: &Perceptron, count: usize, reserved: usize) -> Result<Self, GraphError> {
        let most = EVALUATION_BATCH.min(count).max(1);
        let stage = Stage::inference(model, most, reserved)?;
        let values = (stage.plan.arena() - reserved) * size_of::<f32>();
        let rows = rows_worth(WORTH, values + stage.bytes() + stage.batch_bytes(), most);
        Self::of_batches(model, count, reserved, rows)
    }

    /// The same with `rows` images in a batch.
    pub(super) fn of_batches(
        model: &Perceptron,
        count: usize,
        reserved: usize,
        rows: usize,
    ) -> Result<Self, GraphError> {
        let stage = |rows| Stage::inference(model, rows, reserved);
        let full = stage(rows)?;
        let mut stages = vec![(full, None)];
        if !count.is_multiple_of(rows) {
            stages.push((stage(count % rows)?, None));
        }
        Ok(Self { stages, count, rows })
    }

    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter().map(|(stage, _)| stage)
    }

    #[cfg(test)]
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.stages.iter().filter_map(|(_, batch)| batch.as_ref())
    }

    /// The elements that the arena must have.
    pub fn arena(&self) -> usize {
        self.stages().map(|stage| stage.plan.arena()).max().unwrap_or(0)
    }

    /// The bytes that it comes to take beside arena and scratch.
    pub fn bytes(&self) -> usize {
        self.stages().map(|stage| stage.bytes() + stage.batch_bytes()).sum()
    }

    /// Evaluates the images in order; `predicted(image, class, loss)` is told each prediction.
    pub fn run(
        &mut self,
        arena: &mut Arena<f32>,
        gather: &Gather<'_>,
        mut predicted: impl FnMut(usize, usize, f32),
    ) -> Sums {
        let Self { stages, count, rows } = self;
        let (mut total, mut part) = (Sums::default(), Sums::default());
        let mut indices = Vec::with_capacity(*rows);
        for range in batches(*count, *rows) {
            let (stage, batch) = &mut stages[usize::from(range.len() < *rows)];
            let batch = batch.get_or_insert_with(|| stage.new_batch());
            indices.clear();
            indices.extend(range.clone().map(|image| image as u32));
            batch.fill(gather, 0, &indices);
            stage.take_up(arena, batch);
            let run = Run { draw: Draw::default(), rule: None };
            stage.plan.run_part(0..stage.plan.instructions().len(), arena, &mut stage.nonzeros, run);
            stage.give_back(batch);
            let losses = &arena[stage.plan.place(stage.network.losses)];
            let rows = stage.logits(arena).zip(&batch.labels).zip(losses);
            for (image, ((row, &label), &loss)) in range.zip(rows) {
                let class = largest(row);
                let correct = usize::from(class as f32 == label);
                part += Sums { loss: f64::from(loss), correct, count: 1 };
                if part.count == ADDED_UP {
                    total += std::mem::take(&mut part);
                }
                predicted(image, class, loss);
            }
        }
        total += part;
        total
    }
}

/// Evaluates `count` images of a network with these flat parameters, in order; `predicted(image, class, loss)` is told
/// each prediction.
///
/// # Errors
/// When the architecture does not hold together.
///
/// # Panics
/// When the parameters are not as many as the network has.
pub fn evaluate(
    model: &Perceptron,
    parameters: &[f32],
    (gather, count): (&Gather<'_>, usize),
    predicted: impl FnMut(usize, usize, f32),
) -> Result<Sums, GraphError> {
    let reserved = model.parameter_count();
    let mut evaluator = Evaluator::new(model, count, reserved)?;
    let mut arena = Arena::new(evaluator.arena());
    model.transpose(parameters, &mut arena[0..reserved], true);
    Ok(evaluator.run(&mut arena, gather, predicted))
}
