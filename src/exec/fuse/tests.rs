//! What is stored: which loops, in which order, and what is copied.

use super::*;
use crate::exec::instruction::{MOST_RESULTS, MOST_STEPS};
use crate::exec::update::Update;
use crate::exec::{Arena, Plan};
use crate::ops::{Builder, Function, Var};
use crate::optim::{Adam, Constant, Optimizer, OptimizerName, Sgd};

/// The instructions of what is stored, each with what it reads and leaves: `epilogue [w] -> [w', m']`.
fn stored<I>(function: &Function<I, Vec<NodeId>>, products_store: bool) -> Vec<String> {
    let Function { graph, outputs, stores, .. } = function;
    let wanted = Wanted { stores, ..Wanted::outputs(outputs) };
    let instructions = instructions(graph, wanted, products_store);
    let first = instructions.iter().position(|instruction| instruction.stores).unwrap_or(instructions.len());
    assert!(instructions[first..].iter().all(|instruction| instruction.stores), "they come last");
    let describe = |instruction: &Instruction| {
        let kind = match &instruction.work {
            Work::Product { .. } => "epilogue",
            Work::Elementwise(_) => "loop",
            Work::Copy(_) => "copy",
            _ => "other",
        };
        format!("{kind} of {}", instruction.writes().count())
    };
    instructions[first..].iter().map(describe).collect()
}

/// A network's weights moved by a rule, each gradient a product.
fn moved(optimizer: &Optimizer, also_out: bool) -> Function<Vec<NodeId>, Vec<NodeId>> {
    let builder = Builder::new();
    let scalars: Vec<Var<'_>> = optimizer.scalars().iter().map(|_| builder.input("scalar", [])).collect();
    let (x, y) = (builder.input("x", [4, 3]), builder.input("y", [4, 5]));
    let theta = builder.input("theta", [3, 5]);
    let state: Vec<Var<'_>> = (0..optimizer.states()).map(|_| builder.input("state", [3, 5])).collect();
    let g = x.t().matmul(y);
    let (new_theta, new_state) = optimizer.write(&scalars, theta, g, &state);
    builder.store(new_theta, theta);
    new_state.iter().zip(&state).for_each(|(&new, &old)| builder.store(new, old));
    let outputs = if also_out { vec![g] } else { Vec::new() };
    builder.finish([vec![x, y, theta], scalars, state].concat(), outputs).unwrap()
}

#[test]
fn an_update_is_one_loop_and_the_epilogue_of_its_gradient_where_nobody_else_reads_that() {
    for name in OptimizerName::ALL {
        let optimizer = name.build(|constant: &Constant| constant.default);
        let results = 1 + optimizer.states();
        assert_eq!(stored(&moved(&optimizer, false), true), [format!("epilogue of {results}")], "{name:?}");
        assert_eq!(stored(&moved(&optimizer, true), true), [format!("loop of {results}")], "{name:?}");
        assert_eq!(stored(&moved(&optimizer, false), false), [format!("loop of {results}")], "{name:?}");
    }
}

#[test]
fn every_rule_is_recognised_with_its_constants_and_nothing_else_is() {
    let value = |constant: &Constant| constant.default * 0.75 + 1e-4 * constant.name.len() as f64;
    for name in OptimizerName::ALL {
        for optimizer in [name.build(value), name.build(|constant: &Constant| constant.default)] {
            let Function { graph, stores, .. } = moved(&optimizer, false);
            let wanted = Wanted { stores: &stores, ..Wanted::default() };
            let instructions = instructions(&graph, wanted, true);
            let program = instructions.last().and_then(Instruction::program).unwrap();
            let update = Update::of(program, &stores).unwrap();
            assert_eq!(update.optimizer, optimizer);
            assert_eq!(
                (update.scalars.len(), update.state.len()),
                (optimizer.scalars().len(), optimizer.states())
            );
            assert_eq!(update.gradient, None, "it is the product");
            for moved in [&[update.theta][..], &update.state].concat() {
                let store = stores.iter().find(|store| store.into == moved.old).unwrap();
                assert_eq!(program.results[moved.result].1, store.value, "{name:?}");
            }
            // One operation more, one constant otherwise, or operands the other way round is no rule any more.
            let mut other = program.clone();
            let last = other.steps.len() - 1;
            if let ProgramStep::Binary(binary, a, b) = other.steps[last] {
                other.steps[last] = ProgramStep::Binary(binary, b, a);
            }
            assert_eq!(Update::of(&other, &stores).map(|update| update.optimizer), None, "{name:?}");
            let mut other = program.clone();
            other.results.pop();
            assert_eq!(Update::of(&other, &stores).map(|update| update.optimizer), None, "{name:?}");
        }
    }
}

/// The values of inputs `a` and `b`, which are replaced by what `write` makes of them, after one run and after two.
fn stores_of(write: impl for<'g> Fn([Var<'g>; 2]) -> [Var<'g>; 2]) -> ([[f64; 2]; 2], Vec<String>) {
    let builder = Builder::new();
    let inputs = [builder.input("a", [2]), builder.input("b", [2])];
    let values = write(inputs);
    values.into_iter().zip(inputs).for_each(|(value, into)| builder.store(value, into));
    let function = builder.finish(inputs.to_vec(), Vec::<Var<'_>>::new()).unwrap();
    let described = stored(&function, true);
    let plan = Plan::new(&function.graph, Wanted { stores: &function.stores, ..Wanted::default() });
    let mut arena = Arena::new(plan.arena());
    for (&input, values) in function.inputs.iter().zip([[1.0, 2.0], [10.0, 20.0]]) {
        arena[plan.place(input)].copy_from_slice(&values);
    }
    let mut found = Vec::new();
    for _ in 0..2 {
        plan.run(&mut arena, Draw::default());
        let read = |input: &NodeId| arena[plan.place(*input)][1];
        found.push([read(&function.inputs[0]), read(&function.inputs[1])]);
    }
    ([found[0], found[1]], described)
}

#[test]
fn what_is_stored_is_computed_from_old_values_whatever_reads_what() {
    // Each from itself: two loops, which write where they read.
    let (found, described) = stores_of(|[a, b]| [2.0 * a, b + 1.0]);
    assert_eq!(
        (found, &described[..]),
        ([[4.0, 21.0], [8.0, 22.0]], &["loop of 1", "loop of 1"].map(String::from)[..])
    );
    // Each from the other: neither may be written before the other is read.
    let (found, described) = stores_of(|[a, b]| [b * 1.0, a * 1.0]);
    assert_eq!(found, [[20.0, 2.0], [2.0, 20.0]], "{described:?}");
    // One from both, in a loop of two results.
    let (found, described) = stores_of(|[a, b]| [a + b, b - a]);
    assert_eq!((found, described), ([[22.0, 18.0], [40.0, -4.0]], vec!["loop of 2".to_owned()]));
    // The sum of the old values goes everywhere.
    let (found, described) = stores_of(|[a, b]| [a + b.sum(), b + a.sum()]);
    assert_eq!(found, [[32.0, 23.0], [32.0 + 36.0, 23.0 + 63.0]], "{described:?}");
    // A value that is stored twice, and a number that is known.
    let (found, _) = stores_of(|[a, b]| [a * b, a * b]);
    assert_eq!(found, [[40.0, 40.0], [1600.0, 1600.0]]);
    let (found, described) =
        stores_of(|[a, b]| [a.builder().constant(3.0).broadcast_to([2]), b.reshape([2, 1]).reshape([2])]);
    assert_eq!((found, described), ([[3.0, 20.0], [3.0, 20.0]], vec!["copy of 1".to_owned(); 2]));
}

#[test]
fn a_gradient_that_reads_what_moves_is_no_epilogue_of_its_update() {
    // W ← W − Wᵀ W, tile by tile, would read rows that have moved already.
    let builder = Builder::new();
    let w = builder.input("W", [3, 3]);
    builder.store(w - w.t().matmul(w), w);
    let function = builder.finish(vec![w], Vec::<Var<'_>>::new()).unwrap();
    assert_eq!(stored(&function, true), ["loop of 1"]);
}

#[test]
fn more_results_than_a_loop_has_are_copied() {
    let builder = Builder::new();
    let inputs: Vec<Var<'_>> = (0..=MOST_RESULTS).map(|_| builder.input("x", [4])).collect();
    let sum = inputs.iter().copied().reduce(|sum, x| sum + x).unwrap();
    inputs.iter().for_each(|&x| builder.store(x * sum, x));
    let function = builder.finish(inputs, Vec::<Var<'_>>::new()).unwrap();
    assert_eq!(stored(&function, true), vec!["copy of 1"; MOST_RESULTS + 1]);
}

#[test]
fn the_loop_of_adam_has_room_in_a_program() {
    let Function { graph, stores, .. } = moved(&Optimizer::Adam(Adam::default()), false);
    let wanted = Wanted { stores: &stores, ..Wanted::default() };
    let instructions = instructions(&graph, wanted, true);
    let program = instructions.last().and_then(Instruction::program).unwrap();
    assert!(
        program.steps.len() <= MOST_STEPS && program.steps.len() > MAX_REGISTERS / 2,
        "{}",
        program.steps.len()
    );
}

#[test]
fn a_program_that_is_almost_adam_is_no_rule() {
    let adam = Adam::default();
    let Function { graph, stores, .. } = moved(&Optimizer::Adam(adam), false);
    let wanted = Wanted { stores: &stores, ..Wanted::default() };
    let instructions = instructions(&graph, wanted, true);
    let program = instructions.last().and_then(Instruction::program).unwrap();
    assert!(Update::of(program, &stores).is_some());
    // 1 − β₁ that is no such number any more.
    let mut other = program.clone();
    let rest = Load::Constant((1.0 - adam.beta1).into());
    let place = other.loads.iter().position(|load| *load == rest).unwrap();
    other.loads[place] = Load::Constant(0.3.into());
    assert_eq!(Update::of(&other, &stores), None);
    // The parameter where the gradient's square reads the gradient a second time.
    let mut other = program.clone();
    let g = Source::Register(other.loads.iter().position(|load| *load == Load::Product).unwrap());
    let theta = Update::of(program, &stores).unwrap().theta.old;
    let square = other.steps.iter_mut().find_map(|step| match step {
        ProgramStep::Binary(Binary::Mul, a, b) if *a == g && *b == g => Some(b),
        _ => None,
    });
    *square.unwrap() = Source::Full(theta);
    assert_eq!(Update::of(&other, &stores), None);
}

/// Stores what `write` makes of inputs of these shapes, each into the input of its number, and finds what it computes, then
/// the rule that was recognised, if one was.
fn assert_stored(
    shapes: &[&[usize]],
    write: impl for<'g> Fn(&[Var<'g>]) -> Vec<(Var<'g>, usize)>,
) -> Option<Optimizer> {
    let of = |stores: bool| {
        let builder = Builder::new();
        let inputs: Vec<Var<'_>> = shapes.iter().map(|&shape| builder.input("x", shape)).collect();
        let values = write(&inputs);
        if stores {
            values.iter().for_each(|&(value, into)| builder.store(value, inputs[into]));
        }
        let outputs = if stores { Vec::new() } else { values.iter().map(|(value, _)| *value).collect() };
        let into: Vec<usize> = values.iter().map(|(_, into)| *into).collect();
        (builder.finish(inputs, outputs).unwrap(), into)
    };
    let size = |shape: &&[usize]| shape.iter().product::<usize>();
    let values: Vec<Vec<f64>> = shapes
        .iter()
        .zip(1..)
        .map(|(shape, number)| {
            (0..size(shape)).map(|i| (i * 7 + number * 5) as f64 % 11.0 / 8.0 - 0.4).collect()
        })
        .collect();
    let mut expected = values.clone();
    let (function, into) = of(false);
    let computed = function.call(values.iter().map(Vec::as_slice).collect()).unwrap();
    for (into, value) in into.into_iter().zip(computed) {
        expected[into] = value;
    }
    let (function, _) = of(true);
    let plan = Plan::new(&function.graph, Wanted { stores: &function.stores, ..Wanted::default() });
    let mut arena = Arena::new(plan.arena());
    for (&input, values) in function.inputs.iter().zip(&values) {
        arena[plan.place(input)].copy_from_slice(values);
    }
    plan.run(&mut arena, Draw::default());
    for (input, expected) in function.inputs.iter().zip(&expected) {
        for (found, expected) in arena[plan.place(*input)].iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-12, "{found}, not {expected}");
        }
    }
    let rule = |instruction: &Instruction| Update::of(instruction.program()?, &function.stores);
    plan.instructions().iter().find_map(rule).map(|update| update.optimizer)
}

#[test]
fn a_rule_that_moves_something_else_than_what_it_reads_is_interpreted() {
    let sgd = Optimizer::Sgd(Sgd { momentum: 0.5 });
    // scalars, θ, g, u, and a shadow of θ.
    let shapes: [&[usize]; 6] = [&[], &[], &[3], &[3], &[3], &[3]];
    let in_place = assert_stored(&shapes, |x| {
        let (theta, u) = sgd.write(&x[..2], x[2], x[3], &x[4..5]);
        vec![(theta, 2), (u[0], 4)]
    });
    assert_eq!(in_place, Some(sgd));
    let elsewhere = assert_stored(&shapes, |x| {
        let (theta, u) = sgd.write(&x[..2], x[2], x[3], &x[4..5]);
        vec![(theta, 5), (u[0], 4)]
    });
    assert_eq!(elsewhere, None);
    // Its own parameters as the gradient.
    let of_itself = assert_stored(&shapes, |x| {
        let (theta, u) = sgd.write(&x[..2], x[2], x[2], &x[4..5]);
        vec![(theta, 2), (u[0], 4)]
    });
    assert_eq!(of_itself, None);
}

#[test]
fn what_is_stored_twice_or_read_besides_is_there_when_it_is_copied() {
    let three: [&[usize]; 4] = [&[3], &[3], &[3], &[3]];
    assert_stored(&three, |x| {
        let v = x[0] * x[1];
        vec![(v, 1), (v, 2), (v.exp(), 3)]
    });
    assert_stored(&three, |x| {
        let v = x[0] * x[1];
        vec![(v, 1), (v.exp(), 3)]
    });
    // Logits, what makes labels, what softmax makes of them, and a loss's gradient.
    let shapes: [&[usize]; 4] = [&[2, 3], &[2], &[2, 3], &[2, 3]];
    assert_stored(&shapes, |x| {
        let softmax = x[0].softmax();
        let labels = x[1].step();
        let gradient = (softmax - labels.one_hot(3)) * 0.5;
        let losses = x[0].softmax_cross_entropy(labels);
        vec![(softmax, 2), (gradient, 3), (losses, 1)]
    });
}

#[test]
fn a_product_with_its_bias_may_be_stored_beside_what_is_made_of_it() {
    let shapes: [&[usize]; 5] = [&[4, 3], &[4, 5], &[5], &[3, 5], &[3, 5]];
    assert_stored(&shapes, |x| {
        let v = x[0].t().matmul(x[1]) + x[2];
        vec![(v, 3), (x[4] - v * 0.1, 4)]
    });
    assert_stored(&shapes, |x| vec![(x[0].t().matmul(x[1]) + x[2], 3)]);
}

#[test]
fn a_loop_of_more_constants_than_registers_is_copied() {
    for constants in [2, 6, 7, 10, 15] {
        assert_stored(&[&[4]], |x| {
            let mut sum = x[0];
            for k in (0..constants).map(|k| 0.01 * k as f64) {
                sum = sum * (0.5 + k) + k;
            }
            vec![(sum, 0)]
        });
    }
}

#[test]
fn an_output_is_there_before_anything_is_stored() {
    let builder = Builder::new();
    let (a, b) = (builder.input("a", [2]), builder.input("b", [2]));
    let value = a * b;
    builder.store(value, a);
    let function = builder.finish(vec![a, b], vec![value]).unwrap();
    assert_eq!(stored(&function, true), ["copy of 1"]);
}
