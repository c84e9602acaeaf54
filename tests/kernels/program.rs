//! Fused programs: every operation with operands of every kind, programs of many steps, and what fusion
//! makes of a graph.

use cotangent::exec::cuda::{Broadcast, Read, StepState};
use cotangent::exec::instruction::{Load, Program, ProgramStep, Source, Work};
use cotangent::exec::{Plan, Wanted};
use cotangent::graph::{NodeId, Shape};
use cotangent::ops::{Binary, Builder, Unary};

use super::elementwise::{binary_ulps, compare, numbers, repeat, unary_ulps, wide};
use super::support::{Buffer, Run, pairwise};
use crate::support::{self, Random};

const ROWS: [usize; 5] = [1, 2, 5, 33, 129];
const COLUMNS: [usize; 8] = [1, 2, 3, 4, 31, 33, 128, 300];

/// Two nodes of each kind, with their values and where these are on the device, and the product.
struct Operands {
    extents: [usize; 2],
    nodes: Vec<Operand>,
    product: Vec<f32>,
}

struct Operand {
    node: NodeId,
    broadcast: Broadcast,
    values: Vec<f32>,
    buffer: Buffer<f32>,
}

impl Operands {
    /// `offset`: how far each array is off an aligned address; those of the second nodes one more.
    fn new(
        run: &Run,
        extents: [usize; 2],
        offset: usize,
        mut values: impl FnMut(usize) -> Vec<f32>,
    ) -> Result<Self, String> {
        let builder = Builder::new();
        let inputs = Broadcast::ALL.map(|_| [0, 1].map(|_| builder.input("operand", Shape::scalar())));
        let inputs = builder.finish(inputs, ()).map_err(|error| error.to_string())?.inputs;
        let mut nodes = Vec::new();
        for (broadcast, pair) in Broadcast::ALL.into_iter().zip(inputs) {
            for (which, node) in pair.into_iter().enumerate() {
                let values = values(broadcast.length(extents));
                let buffer = run.upload(&values, offset + which * offset.min(1))?;
                nodes.push(Operand { node, broadcast, values, buffer });
            }
        }
        Ok(Self { extents, nodes, product: values(extents[0] * extents[1]) })
    }

    fn node(&self, broadcast: Broadcast, which: usize) -> NodeId {
        let kind = Broadcast::ALL.iter().position(|&other| other == broadcast).unwrap();
        self.nodes[2 * kind + which].node
    }

    fn operand(&self, node: NodeId) -> &Operand {
        self.nodes.iter().find(|operand| operand.node == node).unwrap()
    }

    /// A node's values, repeated to the output's extents.
    fn values(&self, node: NodeId) -> Vec<f32> {
        let operand = self.operand(node);
        repeat(&operand.values, operand.broadcast, self.extents)
    }

    /// Every kind of load: the registers from 0 to 6.
    fn loads(&self) -> Vec<Load> {
        let nodes = |broadcast| [0, 1].map(|which| self.node(broadcast, which));
        let [scalars, rows] = [nodes(Broadcast::Scalar), nodes(Broadcast::PerRow)];
        let constants = [-1.25, -0.0].map(|number: f64| Load::Constant(number.into()));
        [constants, scalars.map(Load::Scalar), rows.map(Load::PerRow)]
            .concat()
            .into_iter()
            .chain([Load::Product])
            .collect()
    }

    /// A program of these loads and steps that leaves the results of `left`, and the last step's.
    fn program(&self, loads: Vec<Load>, steps: Vec<ProgramStep>, left: &[usize]) -> Program {
        let [rows, columns] = self.extents;
        let last = steps.len() - 1;
        let results = left.iter().copied().chain([last]).map(|step| (step, self.nodes[0].node)).collect();
        Program { loads, steps, rows, columns, results }
    }

    /// As [`Self::check_stored`], where results go to memory of their own.
    fn check(&self, run: &Run, program: &Program, offset: usize) -> Result<(), String> {
        self.check_stored(run, program, offset, &[], None)
    }

    /// The program on the device, whose last output begins as the product and whose first ones as the values of the
    /// nodes `overwritten`, against the same in float32 on the CPU, the last step in float64. Steps before the last
    /// must be such that are rounded correctly. After a `step` with a loss that was not finite all is as it began.
    fn check_stored(
        &self,
        run: &Run,
        program: &Program,
        offset: usize,
        overwritten: &[NodeId],
        step: Option<StepState>,
    ) -> Result<(), String> {
        let own = vec![f32::NAN; self.product.len()];
        let mut before: Vec<Vec<f32>> = overwritten.iter().map(|&node| self.values(node)).collect();
        before.resize(program.results.len() - 1, own);
        before.push(self.product.clone());
        let mut outputs =
            before.iter().map(|values| run.upload(values, offset)).collect::<Result<Vec<_>, _>>()?;
        let step = step.map(|step| run.upload(&[step], 0).map(|buffer| (step, buffer))).transpose()?;
        let operand = |node, _| match overwritten.iter().position(|other| *other == node) {
            Some(result) => Read::Overwritten(result),
            None => Read::View(self.operand(node).buffer.view()),
        };
        let unless = step.as_ref().map(|(_, step)| step.view());
        run.kernels()
            .program
            .run(
                run.stream(),
                program,
                operand,
                &mut outputs.iter_mut().map(Buffer::view_mut).collect::<Vec<_>>(),
                unless.as_ref(),
            )
            .map_err(|error| error.to_string())?;
        let outputs = outputs.iter().map(|output| run.download(output)).collect::<Result<Vec<_>, _>>()?;
        if step.is_some_and(|(step, _)| step.first_not_finite != StepState::NONE) {
            let bits = |values: &[Vec<f32>]| values.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
            return match bits(&outputs) == bits(&before) {
                true => Ok(()),
                false => Err(format!("{before:?} became {outputs:?} after a loss that was not finite")),
            };
        }

        let load = |load: &Load| match *load {
            Load::Constant(number) => vec![number.get() as f32; self.product.len()],
            Load::Scalar(node) | Load::PerRow(node) => self.values(node),
            Load::Product => self.product.clone(),
        };
        let mut registers: Vec<Vec<f32>> = program.loads.iter().map(load).collect();
        let source = |source, registers: &[Vec<f32>]| match source {
            Source::Register(register) => registers[register].clone(),
            Source::Full(node) | Source::PerColumn(node) => self.values(node),
        };
        let (last, before) = program.steps.split_last().ok_or("no steps")?;
        for step in before {
            let mut result = vec![0.0; self.product.len()];
            match *step {
                ProgramStep::Unary(unary, a) => unary.map(&source(a, &registers), &mut result),
                ProgramStep::Binary(binary, a, b) => {
                    binary.map(&source(a, &registers), &source(b, &registers), &mut result);
                }
            }
            registers.push(result);
        }
        for ((step, _), found) in program.results.iter().zip(&outputs[..outputs.len() - 1]) {
            let expected = &registers[program.loads.len() + step];
            let differ = |(a, b): &(&f32, &f32)| !(a == b || (a.is_nan() && b.is_nan()));
            if let Some(pair) = found.iter().zip(expected).find(differ) {
                return Err(format!("the result of step {step}: {pair:?}"));
            }
        }
        let found = &outputs[outputs.len() - 1];
        let mut exact = vec![0.0; self.product.len()];
        let (ulps, operands) = match *last {
            ProgramStep::Unary(unary, a) => {
                let a = source(a, &registers);
                unary.map(&wide(&a), &mut exact);
                (unary_ulps(unary), [a.clone(), a])
            }
            ProgramStep::Binary(binary, a, b) => {
                let [a, b] = [a, b].map(|operand| source(operand, &registers));
                binary.map(&wide(&a), &wide(&b), &mut exact);
                (binary_ulps(binary), [a, b])
            }
        };
        let [a, b] = &operands;
        compare(&format!("{last:?}"), found, &exact, ulps, |i| format!("{:e} and {:e}", a[i], b[i]))
    }
}

/// Each operation as a program's last step, with operands that are found in every way.
pub fn check_operations() -> Result<(), String> {
    const PLACES: usize = 7;
    let factors = [
        ("operation", Unary::ALL.len() + Binary::ALL.len()),
        ("rows", ROWS.len()),
        ("columns", COLUMNS.len()),
        ("place of a", PLACES),
        ("place of b", PLACES),
        ("offset of the operands", 3),
        ("offset of the output", 2),
    ];
    pairwise(&factors, |run, pick| {
        let extents = [ROWS[pick[1]], COLUMNS[pick[2]]];
        let mut random = run.random();
        let operands = Operands::new(run, extents, pick[5], |count| numbers(&mut random, count))?;
        let full = |which| Source::Full(operands.node(Broadcast::Full, which));
        let source = |place: usize, which: usize| match place {
            0 => Source::Register(which),     // a constant
            1 => Source::Register(2 + which), // a scalar
            2 => Source::Register(4 + which), // an element a row
            3 => Source::Register(6),         // the product
            4 => Source::Register(7 + which), // an earlier step's result
            5 => Source::PerColumn(operands.node(Broadcast::PerColumn, which)),
            _ => full(which),
        };
        let (a, b) = (source(pick[3], 0), source(pick[4], 1));
        let step = match pick[0].checked_sub(Unary::ALL.len()) {
            None => ProgramStep::Unary(Unary::ALL[pick[0]], a),
            Some(binary) => ProgramStep::Binary(Binary::ALL[binary], a, b),
        };
        let steps =
            vec![ProgramStep::Unary(Unary::Neg, full(0)), ProgramStep::Unary(Unary::Abs, full(1)), step];
        let program = operands.program(operands.loads(), steps, &[]);
        operands
            .check(run, &program, pick[6])
            .map_err(|problem| format!("{step:?} to {extents:?}, offsets {:?}: {problem}", &pick[5..]))
    })
}

/// An operation that every processor rounds correctly, and its operands.
fn random_step(random: &mut Random, mut source: impl FnMut(&mut Random) -> Source) -> ProgramStep {
    const UNARY: [Unary; 4] = [Unary::Neg, Unary::Relu, Unary::Step, Unary::Abs];
    const BINARY: [Binary; 4] = [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div];
    match random.below(3) {
        0 => ProgramStep::Unary(random.pick(&UNARY), source(random)),
        _ => ProgramStep::Binary(random.pick(&BINARY), source(random), source(random)),
    }
}

/// Programs of up to 32 steps, whose results wait for readers in any order; up to four of them are left, of which some go
/// where operands are read.
pub fn check_programs() -> Result<(), String> {
    let factors = [
        ("steps", 32),
        ("rows", ROWS.len()),
        ("columns", COLUMNS.len()),
        ("offset of the operands", 3),
        ("offset of the outputs", 2),
        ("results", 4),
        ("results in place", 3),
        ("step", 3),
    ];
    pairwise(&factors, |run, pick| {
        let [rows, columns] = [ROWS[pick[1]], COLUMNS[pick[2]]];
        let mut random = run.random();
        let values = |count| (0..count).map(|_| random.between(-4.0, 4.0) as f32).collect();
        let operands = Operands::new(run, [rows, columns], pick[3], values)?;
        let (loads, mut steps) = (operands.loads(), Vec::new());
        for step in 0..pick[0] + 1 {
            let registers = loads.len() + step;
            steps.push(random_step(&mut random, |random| match random.below(8) {
                0 => Source::Full(operands.node(Broadcast::Full, random.below(2))),
                1 => Source::PerColumn(operands.node(Broadcast::PerColumn, random.below(2))),
                2 => Source::Register(random.below(loads.len())),
                _ => Source::Register(registers - 1 - random.below(registers.min(5))),
            }));
        }
        let mut left: Vec<usize> = (0..pick[5]).map(|_| random.below(steps.len())).collect();
        left.sort_unstable();
        left.dedup();
        left.retain(|&step| step + 1 < steps.len());
        let overwritten = [0, 1].map(|which| operands.node(Broadcast::Full, which));
        let overwritten = &overwritten[..pick[6].min(left.len())];
        let bad = StepState { first_not_finite: 4, ..StepState::new(5) };
        let step = [None, Some(StepState::new(5)), Some(bad)][pick[7]];
        let program = operands.program(loads, steps, &left);
        operands
            .check_stored(run, &program, pick[4], overwritten, step)
            .map_err(|problem| format!("{program:?}, over {overwritten:?}, {step:?}: {problem}"))
    })
}

/// As many results as can wait at a time, made of memory first and then put together until some are left: from 1 to 18,
/// by every kernel.
pub fn check_wide_programs() -> Result<(), String> {
    let factors = [("results", 18), ("left", 4), ("rows", ROWS.len()), ("columns", COLUMNS.len())];
    pairwise(&factors, |run, pick| {
        let (rows, columns) = (ROWS[pick[2]], COLUMNS[pick[3]]);
        let left = (pick[1] + 1).min(pick[0] + 1);
        let results = (pick[0] + 1).min((32 + left) / 2);
        let mut random = run.random();
        let values = |count| (0..count).map(|_| random.between(-4.0, 4.0) as f32).collect();
        let operands = Operands::new(run, [rows, columns], 0, values)?;
        let loads = operands.loads();
        let mut steps = Vec::new();
        for _ in 0..results {
            let a = Source::Full(operands.node(Broadcast::Full, random.below(2)));
            steps.push(ProgramStep::Binary(Binary::Mul, a, Source::Register(random.below(loads.len()))));
        }
        // In any order: what has not been read yet is taken at random.
        let mut waiting: Vec<usize> = (loads.len()..loads.len() + results).collect();
        while waiting.len() > left {
            let [a, b] = [0; 2].map(|_| Source::Register(waiting.swap_remove(random.below(waiting.len()))));
            waiting.push(loads.len() + steps.len());
            steps.push(ProgramStep::Binary(Binary::Sub, a, b));
        }
        let last = steps.len() - 1;
        let mut others: Vec<usize> =
            waiting.into_iter().map(|it| it - loads.len()).filter(|&it| it != last).collect();
        others.sort_unstable();
        let program = operands.program(loads, steps, &others);
        operands.check(run, &program, 0).map_err(|problem| format!("{program:?}: {problem}"))
    })
}

/// Many blocks, whose threads cross the ends of rows.
pub fn check_programs_over_many_elements() -> Result<(), String> {
    const EXTENTS: [[usize; 2]; 3] = [[1, 20_003], [401, 67], [5000, 3]];
    pairwise(&[("extents", EXTENTS.len())], |run, pick| {
        let [rows, columns] = EXTENTS[pick[0]];
        let mut random = run.random();
        let values = |count| (0..count).map(|_| random.between(-4.0, 4.0) as f32).collect();
        let operands = Operands::new(run, [rows, columns], 0, values)?;
        let per_column = Source::PerColumn(operands.node(Broadcast::PerColumn, 0));
        let steps = vec![
            ProgramStep::Binary(
                Binary::Mul,
                Source::Full(operands.node(Broadcast::Full, 0)),
                Source::Register(4),
            ),
            ProgramStep::Binary(Binary::Add, Source::Register(7), per_column),
        ];
        let program = operands.program(operands.loads(), steps, &[]);
        operands.check(run, &program, 0)
    })
}

/// A graph of many operations that fusion makes one program of, against the graph in float64.
pub fn check_a_fused_graph() -> Result<(), String> {
    let factors = [("rows", ROWS.len()), ("columns", COLUMNS.len())];
    pairwise(&factors, |run, pick| {
        let [rows, columns] = [ROWS[pick[0]] + 1, COLUMNS[pick[1]] + 1];
        let builder = Builder::new();
        let x = builder.input("x", [rows, columns]);
        let y = builder.input("y", [rows, columns]);
        let bias = builder.input("bias", [columns]);
        let mean = builder.input("mean", [rows]);
        let scale = builder.input("scale", Shape::scalar());
        let centred = x - mean.broadcast_along(&[1], [rows, columns]);
        let z = (centred * scale + bias).tanh() * y.sigmoid() + (-0.5 * x.pow(2.0)).exp();
        let inputs = [x, y, bias, mean, scale];
        let mut random = run.random();
        let values = inputs.map(|input| random.values(input.shape().size(), -2.0, 2.0));
        let function = builder.finish(inputs, z).map_err(|error| error.to_string())?;
        let on_device: Vec<(NodeId, Buffer<f32>)> = function
            .inputs
            .iter()
            .zip(&values)
            .map(|(&input, values)| {
                let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
                Ok((input, run.upload(&values, 0)?))
            })
            .collect::<Result<_, String>>()?;
        let plan = Plan::new(&function.graph, Wanted::outputs(&[function.outputs]));
        let [instruction] = plan.instructions() else {
            return Err(format!("{} instructions", plan.instructions().len()));
        };
        let Work::Elementwise(program) = &instruction.work else {
            return Err(format!("{instruction:?}"));
        };
        let mut result = run.poisoned(rows * columns, 0)?;
        let operand = |node, _| Read::View(on_device.iter().find(|(id, _)| *id == node).unwrap().1.view());
        run.kernels()
            .program
            .run(run.stream(), program, operand, &mut [result.view_mut()], None)
            .map_err(|error| error.to_string())?;
        let expected = function.call(values.each_ref().map(|values| &values[..])).unwrap();
        // A dozen roundings of numbers up to 14.
        support::compare("the graph", &wide(&run.download(&result)?), &expected, 1e-5)
    })
}

#[test]
fn every_operation_takes_operands_of_every_kind() {
    check_operations().unwrap();
}

#[test]
fn programs_of_many_steps_are_carried_out_in_order() {
    check_programs().unwrap();
}

#[test]
fn results_wait_for_their_readers() {
    check_wide_programs().unwrap();
}

#[test]
fn programs_reach_every_one_of_many_elements() {
    check_programs_over_many_elements().unwrap();
}

#[test]
fn a_graph_that_is_fused_to_one_program_agrees_with_float64() {
    check_a_fused_graph().unwrap();
}

#[test]
fn a_program_over_nothing_launches_nothing() {
    let result = pairwise(&[("extents", 2)], |run, pick| {
        let extents = [[0, 3], [3, 0]][pick[0]];
        let operands = Operands::new(run, extents, 0, |count| vec![1.0; count])?;
        let steps = vec![ProgramStep::Binary(Binary::Add, Source::Register(4), Source::Register(6))];
        let program = operands.program(operands.loads(), steps, &[]);
        operands.check(run, &program, 0)
    });
    result.unwrap();
}

#[test]
fn operands_of_a_program_that_do_not_fit_are_refused_with_the_kernel_and_both_sizes() {
    let result = pairwise(&[], |run, _| {
        let operands = Operands::new(run, [2, 3], 0, |count| vec![1.0; count])?;
        let [full, per_column, per_row] =
            [Broadcast::Full, Broadcast::PerColumn, Broadcast::PerRow].map(|kind| operands.node(kind, 0));
        let refused = |loads: &[Load], step, rows, columns| {
            let program = operands.program(loads.to_vec(), vec![step], &[]);
            let program = Program { rows, columns, ..program };
            let mut output = run.poisoned(6, 0).unwrap();
            let operand = |node, _| match node == per_row {
                true => Read::Overwritten(0),
                false => Read::View(operands.operand(node).buffer.view()),
            };
            let outputs = &mut [output.view_mut()];
            let result = run.kernels().program.run(run.stream(), &program, operand, outputs, None);
            result.unwrap_err().to_string()
        };
        let read = |source| ProgramStep::Unary(Unary::Exp, source);
        let first = Source::Register(0);
        let name = |node: NodeId| format!("kernel program_4: node {}", node.index());
        assert_eq!(
            refused(&[], read(Source::Full(per_column)), 2, 3),
            format!("{} holds 3 elements, and the sizes ask for 6", name(per_column))
        );
        assert_eq!(
            refused(&[], read(Source::PerColumn(full)), 2, 3),
            format!("{} holds 6 elements, and the sizes ask for 3", name(full))
        );
        assert_eq!(
            refused(&[Load::PerRow(full)], read(first), 2, 3),
            format!("{} holds 6 elements, and the sizes ask for 2", name(full))
        );
        assert_eq!(
            refused(&[Load::Scalar(full)], read(first), 2, 3),
            format!("{} holds 6 elements, and the sizes ask for 1", name(full))
        );
        assert_eq!(
            refused(&[Load::Product], read(first), 3, 3),
            "kernel program_4: output holds 6 elements, and the sizes ask for 9"
        );
        assert_eq!(
            refused(&[Load::Product], read(Source::Register(1)), 2, 3),
            "kernel program_4: step 0 reads register 1, and only 1 come before it"
        );
        assert_eq!(
            refused(&[Load::PerRow(per_row)], read(first), 2, 3),
            format!("{}, read PerRow, lies where result 0 goes", name(per_row))
        );
        assert!(
            refused(&[], read(Source::Full(full)), usize::MAX, 3)
                .contains("more elements than can be counted")
        );
        Ok(())
    });
    result.unwrap();
}
