//! Steps on the processor, batch after batch, each batch being gathered while the one before is worked on.
//!
//! The arena begins with what stays from step to step and what all plans share:
//!
//! ```text
//! | parameters | optimizer state (0 or more times) | inputs, outputs and temporaries of a plan |
//! ```
//!
//! A pass has two plans, one for full batches and one for the smaller last batch; the last part of the arena is as large as
//! the largest of all plans needs. Plans are made before any memory is taken, so that what a run takes is known.

use std::ops::Range;

use super::arena::Arena;
use super::buffers::Buffers;
use super::products::CpuProducts;
use super::stage::{Batch, Stage, largest};
use super::team::Team;
use crate::data::batches;
use crate::exec::executor::{
    Ended, Epoch, Examples, ExecError, Executor, Memory, Pass, PassId, Standing, Step, Sums, Totals, Watch,
    stages,
};
use crate::ops::Draw;

/// Examples in one batch, if they are worth their memory and nobody says how many.
pub(super) const BATCH: usize = 500;

/// The bytes that one batch may take, all layers counted: with more, products are no faster.
pub(super) const WORTH: usize = 32 << 20;

/// Losses of an evaluation are added up for so many examples, and these sums to the total: so how many examples are in a
/// batch, which memory decides, changes no bit of it.
const ADDED_UP: usize = 500;

/// The processor's threads at work.
pub struct CpuExecutor {
    team: Team,
    products: CpuProducts,
    passes: Vec<PreparedPass>,
    /// None before it is first needed.
    arena: Option<Arena<f32>>,
}

/// A pass, planned.
pub(super) struct PreparedPass {
    /// For full batches, and for what is left.
    pub stages: Vec<Stage>,
    pub batch: usize,
    count: usize,
    seed: u64,
    examples: Option<Examples>,
    /// Batches that are not in use.
    pub spare: Vec<Batch>,
}

/// A step that was made.
struct Done<'a> {
    stage: &'a Stage,
    arena: &'a Arena<f32>,
    /// The positions of its examples in the order.
    range: Range<usize>,
    labels: &'a [f32],
}

impl CpuExecutor {
    /// An executor whose work runs on the team, with products that leave out the zeros of images.
    pub fn new(team: Team) -> Self {
        Self { team, products: CpuProducts::Skipping, passes: Vec::new(), arena: None }
    }

    /// The same with products that are computed so.
    pub fn with_products(self, products: CpuProducts) -> Self {
        Self { products, ..self }
    }

    /// The threads, for other work between passes.
    pub fn team(&mut self) -> &mut Team {
        &mut self.team
    }

    /// Goes through all examples in their order; `predicted(example, class, loss)` is told each prediction.
    ///
    /// # Panics
    /// When the pass has no examples.
    pub fn predict(&mut self, pass: PassId, mut predicted: impl FnMut(usize, usize, f32)) {
        self.go_through(pass, None, |done| {
            for (example, (logits, loss)) in done.range.zip(done.stage.rows(done.arena)) {
                predicted(example, largest(logits), loss);
            }
            true
        });
    }

    /// The multiplications of the products of a full batch: all, and those that the last step did, zeros left out.
    pub fn multiplications(&mut self, pass: PassId) -> [u64; 2] {
        let PreparedPass { stages, spare, batch, .. } = &mut self.passes[pass.0];
        match spare.iter_mut().rev().find(|spare| spare.labels.len() == *batch) {
            Some(batch) => stages[0].multiplications(batch),
            None => [0; 2],
        }
    }

    /// How the buffers lie, which is the same for all passes.
    fn buffers(&self) -> Buffers {
        match self.passes.first() {
            Some(pass) => pass.stages[0].buffers.clone(),
            None => panic!("no pass was prepared, so there are no buffers"),
        }
    }

    fn arena(&mut self) -> &mut Arena<f32> {
        let size = self.passes.iter().map(PreparedPass::arena).max().unwrap_or(0);
        self.arena.get_or_insert_with(|| Arena::new(size))
    }

    /// Makes steps until `done` says no, or one stores nothing as its loss is not finite: then that step's number in the
    /// epoch, from 0.
    fn go_through(
        &mut self,
        pass: PassId,
        epoch: Option<Epoch<'_>>,
        mut done: impl FnMut(Done<'_>) -> bool,
    ) -> Option<usize> {
        self.arena();
        let Self { team, passes, arena: Some(arena), .. } = self else { return None };
        let PreparedPass { stages, batch: size, count, seed, examples: Some(examples), spare } =
            &mut passes[pass.0]
        else {
            panic!("the pass has no examples")
        };
        let in_order: Vec<u32>;
        let whole = |order| Epoch::whole(order, &[], 0);
        let Epoch { order, scalars, updates, done: Standing { steps: first, .. }, until } = match epoch {
            Some(epoch) => epoch,
            None => {
                in_order = (0..*count as u32).collect();
                whole(&in_order[..])
            }
        };
        assert_eq!(order.len(), *count, "examples in the order");
        let ranges: Vec<Range<usize>> = batches(order.len(), *size).collect();
        let count = stages[0].scalars();
        assert_eq!(scalars.len(), ranges.len() * count, "{count} scalars for each of {} steps", ranges.len());
        let gather = examples.gather();
        let which = |range: &Range<usize>| usize::from(range.len() < *size);
        team.install(|| {
            let mut filled: Option<Batch> = None;
            let until = until.min(ranges.len());
            for (number, range) in ranges.iter().enumerate().take(until).skip(first) {
                let step = updates + number as u64;
                let mut batch = filled.take().unwrap_or_else(|| {
                    let mut batch = stages[which(range)].batch(spare);
                    batch.fill(&gather, step, &order[range.clone()], || ());
                    batch
                });
                let following = ranges.get(number + 1).filter(|_| number + 1 < until);
                let mut next = following.map(|range| (stages[which(range)].batch(spare), range));
                let stage = &mut stages[which(range)];
                let (scalars, draw) = (&scalars[number * count..][..count], Draw { seed: *seed, step });
                let mut work = || stage.run(arena, &mut batch, scalars, draw);
                let is_finite = match &mut next {
                    Some((next, range)) => next.fill(&gather, step + 1, &order[(*range).clone()], work),
                    None => work(),
                };
                let is_stored = is_finite || !stage.stores();
                let (range, labels) = (range.clone(), &batch.labels[..]);
                let goes_on = is_stored && done(Done { stage, arena, range, labels });
                filled = next.map(|(batch, _)| batch);
                if !goes_on {
                    spare.extend(filled);
                    spare.push(batch); // last, as what was worked on last
                    return (!is_stored).then_some(number);
                }
                spare.push(batch);
            }
            None
        })
    }
}

impl PreparedPass {
    fn arena(&self) -> usize {
        self.stages.iter().map(|stage| stage.plan.arena()).max().unwrap_or(0)
    }

    fn scratch(&self) -> usize {
        self.stages.iter().map(Stage::scratch_bytes).max().unwrap_or(0)
    }

    /// The bytes that it comes to take beside arena and scratch.
    fn bytes(&self) -> usize {
        let stages: usize = self.stages.iter().map(Stage::bytes).sum();
        // A batch is filled while the one before is worked on.
        let full = (self.count / self.batch).min(2);
        let batches = self.stages.iter().zip([full, 1]).map(|(stage, count)| count * stage.batch_bytes());
        stages + batches.sum::<usize>() + self.count * size_of::<u32>()
    }
}

impl Executor for CpuExecutor {
    fn prepare(&mut self, pass: Pass<'_>) -> Result<PassId, ExecError> {
        assert!(self.arena.is_none(), "a pass is prepared before memory is taken");
        let buffers = self.passes.first().map(|pass| &pass.stages[0].buffers);
        let stage = |step: Step, batch: usize| {
            let count = buffers.map_or(1 + step.inputs.state.len(), |buffers| buffers.count);
            Stage::new(&step, batch, count, buffers, self.products)
        };
        let bytes = |stage: &Stage| {
            let values = (stage.plan.arena() - stage.buffers.reserved()) * size_of::<f32>();
            values + stage.bytes() + stage.batch_bytes()
        };
        let stages = stages(pass, BATCH, WORTH, stage, bytes)?;
        let buffers = self.passes.first().map_or(&stages[0], |pass| &pass.stages[0]).buffers.clone();
        assert!(stages.iter().all(|stage| stage.buffers == buffers), "all passes share parameters and state");
        let Pass { count, seed, .. } = pass;
        let batch = stages[0].batch;
        self.passes.push(PreparedPass { stages, batch, count, seed, examples: None, spare: Vec::new() });
        Ok(PassId(self.passes.len() - 1))
    }

    fn memory(&self, threads: usize) -> Memory {
        let numbers = |count: usize| count * size_of::<f32>();
        let reserved = self.buffers().reserved();
        let (training, evaluation): (Vec<&PreparedPass>, Vec<&PreparedPass>) =
            self.passes.iter().partition(|pass| pass.stages[0].stores());
        let arena =
            |passes: &[&PreparedPass]| passes.iter().map(|pass| pass.arena()).fold(reserved, usize::max);
        let scratch = |passes: &[&PreparedPass]| passes.iter().map(|pass| pass.scratch()).fold(0, usize::max);
        let bytes = |passes: &[&PreparedPass]| passes.iter().map(|pass| pass.bytes()).sum::<usize>();
        // The passes share the arena, and a thread keeps the scratch that it took most.
        let beyond = |[first, second]: [usize; 2]| second.saturating_sub(first);
        let arenas = [arena(&training), arena(&evaluation)];
        let scratches = [scratch(&training), scratch(&evaluation)];
        Memory {
            parameters: 3 * numbers(reserved),
            training: numbers(arenas[0] - reserved) + bytes(&training) + threads * scratches[0],
            evaluation: numbers(beyond(arenas)) + bytes(&evaluation) + threads * beyond(scratches),
        }
    }

    fn load(&mut self, pass: PassId, examples: Examples) -> Result<(), ExecError> {
        let pass = &mut self.passes[pass.0];
        assert!(examples.split.len() >= pass.count, "{} examples of {}", examples.split.len(), pass.count);
        assert_eq!(examples.split.pixels(), pass.stages[0].features(), "pixels of an example");
        pass.examples = Some(examples);
        Ok(())
    }

    fn write(&mut self, buffer: usize, values: &[f32]) -> Result<(), ExecError> {
        let buffers = self.buffers();
        buffers.copy_in(values, &mut self.arena()[buffers.place(buffer)]);
        Ok(())
    }

    fn read(&mut self, buffer: usize, values: &mut [f32]) -> Result<(), ExecError> {
        let buffers = self.buffers();
        buffers.copy_out(&self.arena()[buffers.place(buffer)], values);
        Ok(())
    }

    fn run(
        &mut self,
        pass: PassId,
        epoch: Option<Epoch<'_>>,
        watch: &mut Watch<'_>,
    ) -> Result<Totals, ExecError> {
        let PreparedPass { stages, count, batch, .. } = &self.passes[pass.0];
        let steps = count.div_ceil(*batch);
        let (stores, classes) = (stages[0].stores(), stages[0].classes());
        let confusion = if stores { Vec::new() } else { vec![vec![0; classes]; classes] };
        let Standing { steps: done, sums } = epoch.map(|epoch| epoch.done).unwrap_or_default();
        let mut totals = Totals { confusion, steps: done, sums, ..Totals::default() };
        let mut part = Sums::default();
        let refused = self.go_through(pass, epoch, |done| {
            totals.steps += 1;
            let added_up = if stores { done.labels.len() } else { ADDED_UP };
            for ((logits, loss), &label) in done.stage.rows(done.arena).zip(done.labels) {
                let class = largest(logits);
                if let Some(row) = totals.confusion.get_mut(label as usize) {
                    row[class] += 1;
                }
                let correct = usize::from(class as f32 == label);
                part += Sums { loss: f64::from(loss), correct, count: 1 };
                if part.count == added_up {
                    totals.sums += std::mem::take(&mut part);
                }
            }
            watch(totals.steps)
        });
        totals.sums += part;
        if totals.steps < steps {
            totals.ended = Ended::Early;
        }
        totals.not_finite = refused.map(|number| epoch.map_or(0, |epoch| epoch.updates) + number as u64 + 1);
        Ok(totals)
    }
}

#[cfg(test)]
mod tests;
