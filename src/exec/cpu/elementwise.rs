//! Runs fused elementwise programs, a stretch of a row at a time, so that every intermediate value
//! stays in the first-level cache.

use std::ops::Range;

use super::arena::Rest;
use super::product::Tile;
use super::team::for_each_piece;
use super::{TASK, vectorized};
use crate::exec::Plan;
use crate::exec::fuse::MAX_REGISTERS;
use crate::exec::instruction::{Load, Program, Source, Step};
use crate::float::Float;

/// Elements of a register: sixteen of them fill half of a 32 KiB first-level cache in float32.
const STRETCH: usize = 256;

/// Runs a program over a whole output.
pub(super) fn run<T: Float>(program: &Program, plan: &Plan, rest: &Rest<'_, T>, output: &mut [T]) {
    if program.rows == 1 {
        for_each_piece(output, TASK, |task, piece| {
            let first = task * TASK;
            let columns = first..first + piece.len();
            Interpreter::new(program, plan, rest).run_row(0, columns, piece);
        });
    } else if !output.is_empty() {
        let rows = (TASK / program.columns).max(1);
        for_each_piece(output, rows * program.columns, |task, piece| {
            let mut interpreter = Interpreter::new(program, plan, rest);
            for (row, piece) in piece.chunks_exact_mut(program.columns).enumerate() {
                interpreter.run_row(task * rows + row, 0..program.columns, piece);
            }
        });
    }
}

/// Runs a program over one tile of a matrix product, in place.
pub(super) fn run_tile<T: Float>(program: &Program, plan: &Plan, rest: &Rest<'_, T>, tile: &mut Tile<'_, T>) {
    let mut interpreter = Interpreter::new(program, plan, rest);
    let columns = tile.columns();
    for row in tile.rows() {
        interpreter.run_row(row, columns.clone(), tile.row_mut(row));
    }
}

struct Interpreter<'a, T> {
    program: &'a Program,
    plan: &'a Plan,
    rest: &'a Rest<'a, T>,
    registers: [[T; STRETCH]; MAX_REGISTERS],
}

impl<'a, T: Float> Interpreter<'a, T> {
    fn new(program: &'a Program, plan: &'a Plan, rest: &'a Rest<'a, T>) -> Self {
        let mut registers = [[T::zero(); STRETCH]; MAX_REGISTERS];
        for (register, load) in registers.iter_mut().zip(&program.loads) {
            match *load {
                Load::Constant(value) => register.fill(T::of(value.get())),
                Load::Scalar(node) => register.fill(rest.get(plan.place(node))[0]),
                Load::PerRow(_) | Load::Product => {}
            }
        }
        Self { program, plan, rest, registers }
    }

    /// Computes the given columns of a row. If a load is the product, `output` holds it at first.
    fn run_row(&mut self, row: usize, columns: Range<usize>, output: &mut [T]) {
        for (register, load) in self.registers.iter_mut().zip(&self.program.loads) {
            if let Load::PerRow(node) = *load {
                register.fill(self.rest.get(self.plan.place(node))[row]);
            }
        }
        for (stretch, output) in output.chunks_mut(STRETCH).enumerate() {
            vectorized(
                #[inline(always)]
                || self.run_stretch(row, columns.start + stretch * STRETCH, output),
            );
        }
    }

    #[inline(always)]
    fn run_stretch(&mut self, row: usize, column: usize, output: &mut [T]) {
        let length = output.len();
        for (register, load) in self.registers.iter_mut().zip(&self.program.loads) {
            if *load == Load::Product {
                register[..length].copy_from_slice(output);
            }
        }
        let Self { program, plan, rest, registers } = self;
        let last = program.steps.len() - 1;
        for (index, step) in program.steps.iter().enumerate() {
            // Registers are written in order, so a step's operands lie below its result.
            let (below, from) = registers.split_at_mut(program.loads.len() + index);
            let read = |source: Source| -> &[T] {
                match source {
                    Source::Register(register) => &below[register][..length],
                    Source::PerColumn(node) => &rest.get(plan.place(node))[column..column + length],
                    Source::Full(node) => {
                        let first = row * program.columns + column;
                        &rest.get(plan.place(node))[first..first + length]
                    }
                }
            };
            let result: &mut [T] = if index == last { &mut *output } else { &mut from[0][..length] };
            match *step {
                Step::Unary(unary, a) => unary.map(read(a), result),
                Step::Binary(binary, a, b) => binary.map(read(a), read(b), result),
            }
        }
    }
}
