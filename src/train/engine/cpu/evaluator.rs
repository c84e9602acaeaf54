//! Losses and predictions of a network as it stands.

use super::stage::{Batch, Stage, largest};
use crate::data::{Gather, batches};
use crate::exec::Arena;
use crate::exec::cpu::Run;
use crate::model::Perceptron;
use crate::ops::{Draw, GraphError};
use crate::train::engine::Sums;

/// Images in one batch of an evaluation.
pub(super) const EVALUATION_BATCH: usize = 500;

/// Losses and predictions of a network as it stands, without dropout.
pub struct Evaluator {
    model: Perceptron,
    pub(super) stages: Vec<(Stage, Batch)>,
    pub(super) arena: Arena<f32>,
    count: usize,
}

impl Evaluator {
    /// An evaluator of `count` images.
    ///
    /// # Errors
    /// When the architecture does not hold together.
    pub fn new(model: &Perceptron, count: usize) -> Result<Self, GraphError> {
        let sizes = [EVALUATION_BATCH.min(count), count % EVALUATION_BATCH.min(count).max(1)];
        let stages = sizes
            .into_iter()
            .filter(|&size| size > 0)
            .map(|size| Ok((Stage::inference(model, size)?, Batch::new(size, model.widths[0]))))
            .collect::<Result<Vec<_>, GraphError>>()?;
        let needed = stages.iter().map(|(stage, _)| stage.plan.arena());
        let arena = Arena::new(needed.fold(model.parameter_count(), usize::max));
        Ok(Self { model: model.clone(), stages, arena, count })
    }

    /// Evaluates the images in order; `predicted(image, class, loss)` is told each prediction.
    pub fn run(
        &mut self,
        parameters: &[f32],
        gather: &Gather<'_>,
        mut predicted: impl FnMut(usize, usize, f32),
    ) -> Sums {
        let Self { model, stages, arena, count } = self;
        model.transpose(parameters, &mut arena[0..model.parameter_count()], true);
        let mut total = Sums::default();
        let full = stages.first().map_or(0, |(stage, _)| stage.batch);
        for range in batches(*count, EVALUATION_BATCH) {
            // The first stage is of full batches, the last of what is left.
            let (stage, batch) = &mut stages[usize::from(range.len() < full)];
            let mut indices = [0; EVALUATION_BATCH];
            for (index, image) in indices.iter_mut().zip(range.clone()) {
                *index = image as u32;
            }
            batch.fill(gather, 0, &indices[..range.len()]);
            stage.take_up(arena, batch);
            let run = Run { draw: Draw::default(), rule: None };
            stage.plan.run_part(0..stage.plan.instructions().len(), arena, &mut stage.nonzeros, run);
            stage.give_back(batch);
            total += stage.sums(arena);
            let losses = &arena[stage.plan.place(stage.network.losses)];
            for ((image, row), &loss) in range.zip(stage.logits(arena)).zip(losses) {
                predicted(image, largest(row), loss);
            }
        }
        total
    }
}
