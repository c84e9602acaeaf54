//! Runs fused elementwise programs, a stretch of a row at a time, so that every intermediate value
//! stays in the first-level cache.

use std::ops::Range;

use super::arena::Rest;
use super::pieces::for_each_piece_of;
use super::plan::Plan;
use super::product::{Tile, Tiles};
use super::team::TASK;
use super::vectorized::vectorized;
use crate::exec::instruction::{Load, MAX_REGISTERS, MOST_RESULTS, MOST_STEPS, Program, ProgramStep, Source};
use crate::float::Float;

/// Elements of a register: sixteen of them fill half of a 32 KiB first-level cache in float32.
const STRETCH: usize = 256;

/// The registers of what is done to a layer's products: so few that a small tile does not wait for them to be cleared.
const FEW_REGISTERS: usize = 4;

/// The registers of the largest programs, which store.
const MOST_REGISTERS: usize = MOST_STEPS + MAX_REGISTERS;

/// The results of a program: as many as it has, then empty ones.
pub(super) type Results<'a, T> = [&'a mut [T]; MOST_RESULTS];

/// A program, and what it reads.
#[derive(Clone, Copy)]
pub(super) struct BoundProgram<'a, T> {
    pub program: &'a Program,
    pub plan: &'a Plan,
    pub rest: &'a Rest<'a, T>,
    /// Whether results lie where the program reads: old values, which are read from there until new ones are written.
    pub stores: bool,
}

impl<T: Float> BoundProgram<'_, T> {
    /// Runs a program over whole results.
    pub fn run(&self, results: Results<'_, T>) {
        match self.program.loads.len() + self.program.steps.len() {
            0..=MAX_REGISTERS => self.run_in::<MAX_REGISTERS>(results),
            _ => self.run_in::<MOST_REGISTERS>(results),
        }
    }

    fn run_in<const REGISTERS: usize>(&self, results: Results<'_, T>) {
        let Program { rows, columns, .. } = *self.program;
        let size = if rows == 1 { TASK } else { (TASK / columns.max(1)).max(1) * columns };
        for_each_piece_of(results, size, |task, pieces| {
            let mut interpreter = Interpreter::<T, REGISTERS>::new(self);
            if rows == 1 {
                let first = task * size;
                let end = first + pieces[0].len();
                let mut pieces = pieces;
                interpreter.run_row(0, first..end, &[], &mut pieces);
            } else {
                let first = task * (size / columns);
                let mut pieces = pieces.map(|piece| piece.chunks_exact_mut(columns));
                for row in first..rows.min(first + size / columns) {
                    let mut results = Results::default();
                    for (result, rows) in results.iter_mut().zip(&mut pieces) {
                        *result = rows.next().unwrap_or_default();
                    }
                    interpreter.run_row(row, 0..columns, &[], &mut results);
                }
            }
        });
    }

    /// Runs a program over one tile of a matrix product, into the same tile of each result.
    pub fn run_tile(&self, tile: Tile<'_, T>, results: Tiles<'_, T>) {
        match self.program.loads.len() + self.program.steps.len() {
            few if few <= FEW_REGISTERS => self.run_tile_in::<FEW_REGISTERS>(tile, results),
            0..=MAX_REGISTERS => self.run_tile_in::<MAX_REGISTERS>(tile, results),
            _ => self.run_tile_in::<MOST_REGISTERS>(tile, results),
        }
    }

    fn run_tile_in<const REGISTERS: usize>(&self, mut tile: Tile<'_, T>, mut results: Tiles<'_, T>) {
        let mut interpreter = Interpreter::<T, REGISTERS>::new(self);
        let columns = tile.columns();
        for row in tile.rows() {
            let mut rows = Results::default();
            for (result, tile) in rows.iter_mut().zip(&mut results) {
                *result = tile.as_mut().map_or(Default::default(), |tile| tile.row_mut(row));
            }
            interpreter.run_row(row, columns.clone(), tile.row_mut(row), &mut rows);
        }
    }
}

struct Interpreter<'a, T, const REGISTERS: usize> {
    work: BoundProgram<'a, T>,
    registers: [[T; STRETCH]; REGISTERS],
}

impl<'a, T: Float, const REGISTERS: usize> Interpreter<'a, T, REGISTERS> {
    fn new(work: &BoundProgram<'a, T>) -> Self {
        let mut registers = [[T::zero(); STRETCH]; REGISTERS];
        for (register, load) in registers.iter_mut().zip(&work.program.loads) {
            match *load {
                Load::Constant(value) => register.fill(T::of(value.get())),
                Load::Scalar(node) => register.fill(work.rest.get(work.plan.place(node))[0]),
                Load::PerRow(_) | Load::Product => {}
            }
        }
        Self { work: *work, registers }
    }

    /// Computes the given columns of a row. `product` is the row of the matrix product whose epilogue the program is, if it
    /// is one.
    fn run_row(&mut self, row: usize, columns: Range<usize>, product: &[T], results: &mut Results<'_, T>) {
        let BoundProgram { program, plan, rest, .. } = self.work;
        for (register, load) in self.registers.iter_mut().zip(&program.loads) {
            if let Load::PerRow(node) = *load {
                register.fill(rest.get(plan.place(node))[row]);
            }
        }
        for column in columns.clone().step_by(STRETCH) {
            let stretch = column - columns.start..(column + STRETCH).min(columns.end) - columns.start;
            let product = product.get(stretch.clone()).unwrap_or_default();
            // One by one, and from here on by reference: as one value they would be copied by a load wider than the stores
            // before it, for which a processor waits.
            let mut parts = Results::default();
            for (part, result) in parts.iter_mut().zip(&mut *results) {
                *part = result.get_mut(stretch.clone()).unwrap_or_default();
            }
            vectorized(
                #[inline(always)]
                || self.run_stretch(row, column, product, &mut parts),
            );
        }
    }

    #[inline(always)]
    fn run_stretch(&mut self, row: usize, column: usize, product: &[T], results: &mut Results<'_, T>) {
        let BoundProgram { program, plan, rest, stores } = self.work;
        let length = results[0].len();
        // Where nothing is overwritten, a single result is written by its step.
        let is_direct = program.results.len() == 1 && !stores;
        let (mut direct, old): (Option<&mut [T]>, &[&mut [T]]) = match is_direct {
            true => (Some(&mut *results[0]), &[]),
            false => (None, &*results),
        };
        let overwritten = |node| {
            let place = plan.place(node);
            program.results.iter().position(|(_, new)| stores && plan.place(*new) == place)
        };
        let last = program.steps.len() - 1;
        for (index, step) in program.steps.iter().enumerate() {
            // Registers are written in order, so a step's operands lie below its result.
            let (below, from) = self.registers.split_at_mut(program.loads.len() + index);
            let read = |source: Source| -> &[T] {
                match source {
                    Source::Register(register) => match program.loads.get(register) {
                        Some(Load::Product) => product,
                        _ => &below[register][..length],
                    },
                    Source::PerColumn(node) => &rest.get(plan.place(node))[column..column + length],
                    Source::Full(node) => match overwritten(node) {
                        Some(result) => &old[result][..length],
                        None => {
                            let first = row * program.columns + column;
                            &rest.get(plan.place(node))[first..first + length]
                        }
                    },
                }
            };
            let result: &mut [T] = match &mut direct {
                Some(result) if index == last => result,
                _ => &mut from[0][..length],
            };
            match *step {
                ProgramStep::Unary(unary, a) => unary.map(read(a), result),
                ProgramStep::Binary(binary, a, b) => binary.map(read(a), read(b), result),
            }
        }
        if !is_direct {
            for ((step, _), result) in program.results.iter().zip(results) {
                result.copy_from_slice(&self.registers[program.loads.len() + step][..length]);
            }
        }
    }
}
