//! What is stored: which loops, in which order, and what is copied.

use super::*;
use crate::exec::instruction::{MOST_RESULTS, MOST_STEPS};
use crate::exec::update::Update;
use crate::exec::{Arena, Plan};
use crate::ops::{Builder, Function, Var};
use crate::optim::{Adam, Constant, Optimizer, OptimizerName};

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
            let update = Update::of(program).unwrap();
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
            assert_eq!(Update::of(&other).map(|update| update.optimizer), None, "{name:?}");
            let mut other = program.clone();
            other.results.pop();
            assert_eq!(Update::of(&other).map(|update| update.optimizer), None, "{name:?}");
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
    assert!(Update::of(program).is_some());
    // 1 − β₁ that is no such number any more.
    let mut other = program.clone();
    let rest = Load::Constant((1.0 - adam.beta1).into());
    let place = other.loads.iter().position(|load| *load == rest).unwrap();
    other.loads[place] = Load::Constant(0.3.into());
    assert_eq!(Update::of(&other), None);
    // The parameter where the gradient's square reads the gradient a second time.
    let mut other = program.clone();
    let g = Source::Register(other.loads.iter().position(|load| *load == Load::Product).unwrap());
    let theta = Update::of(program).unwrap().theta.old;
    let square = other.steps.iter_mut().find_map(|step| match step {
        ProgramStep::Binary(Binary::Mul, a, b) if *a == g && *b == g => Some(b),
        _ => None,
    });
    *square.unwrap() = Source::Full(theta);
    assert_eq!(Update::of(&other), None);
}
