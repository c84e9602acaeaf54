//! Elementwise operations, on normally distributed numbers.

use cotangent::exec::cuda::{Broadcast, DeviceOperand, Read};
use cotangent::exec::instruction::{self, Instruction};
use cotangent::exec::{Plan, Wanted};
use cotangent::ops::{Binary, Builder, Rule, Unary};

use super::{Case, Scale};
use crate::report::Work;

pub fn unary(scale: Scale, operation: Unary, n: usize) -> Case {
    let (name, work) = (format!("unary/{}", operation.name()), Work::of_memory(8 * n));
    let length = scale.length(n);
    Case::new(name, n.to_string(), work, move |lab, sets| {
        let (x, mut y) = (lab.floats(sets, length)?, lab.unset(sets, length)?);
        Ok(Box::new(move |lab, set| {
            lab.kernels().elementwise.unary(&lab.stream, operation, &x.of(set), &mut y.of_mut(set))
        }))
    })
}

pub fn binary(scale: Scale, operation: Binary, n: usize) -> Case {
    let name = format!("binary/{}", operation.name());
    let names = [name, n.to_string()];
    broadcast(names, Work::of_memory(12 * n), operation, [1, scale.length(n)], Broadcast::Full)
}

pub fn add_per_column(scale: Scale, size: [usize; 2]) -> Case {
    let [rows, columns] = size;
    let names = ["binary/add_per_column".into(), format!("{rows}x{columns}")];
    let work = Work::of_memory(4 * (2 * rows * columns + columns));
    broadcast(names, work, Binary::Add, scale.matrix(size), Broadcast::PerColumn)
}

/// The second operand may be repeated.
fn broadcast(
    [name, shape]: [String; 2],
    work: Work,
    operation: Binary,
    extents: [usize; 2],
    broadcast: Broadcast,
) -> Case {
    let (n, repeated) = (extents[0] * extents[1], broadcast.length(extents));
    Case::new(name, shape, work, move |lab, sets| {
        let (a, b) = (lab.floats(sets, n)?, lab.floats(sets, repeated)?);
        let mut y = lab.unset(sets, n)?;
        Ok(Box::new(move |lab, set| {
            let (a, b) = (a.of(set), b.of(set));
            let a = DeviceOperand { view: &a, broadcast: Broadcast::Full };
            let b = DeviceOperand { view: &b, broadcast };
            lab.kernels().elementwise.binary(&lab.stream, operation, extents, a, b, &mut y.of_mut(set))
        }))
    })
}

pub fn relu_backward(scale: Scale, n: usize) -> Case {
    let length = scale.length(n);
    Case::new("relu_backward", n.to_string(), Work::of_memory(12 * n), move |lab, sets| {
        let (dy, y) = (lab.floats(sets, length)?, lab.floats(sets, length)?);
        let mut dx = lab.unset(sets, length)?;
        Ok(Box::new(move |lab, set| {
            let dx = &mut dx.of_mut(set);
            lab.kernels().elementwise.relu_backward(&lab.stream, &dy.of(set), &y.of(set), dx)
        }))
    })
}

/// tanh(x w + 1/2), fused: carried out by the interpreter.
pub fn program(scale: Scale, n: usize) -> Case {
    let length = scale.length(n);
    Case::new("program/mul_add_tanh", n.to_string(), Work::of_memory(12 * n), move |lab, sets| {
        let builder = Builder::new();
        let (x, w) = (builder.input("x", [length]), builder.input("w", [length]));
        let function = builder.finish([x, w], (x * w + 0.5).tanh())?;
        let [x_node, _] = function.inputs;
        let plan = Plan::new(&function.graph, Wanted::outputs(&[function.outputs]));
        let [Instruction { work: instruction::Work::Elementwise(program), .. }] = plan.instructions() else {
            return Err("it is one program".into());
        };
        let (x, w, program) = (lab.floats(sets, length)?, lab.floats(sets, length)?, program.clone());
        let mut y = lab.unset(sets, length)?;
        Ok(Box::new(move |lab, set| {
            let operand = |node, _| Read::View(if node == x_node { x.of(set) } else { w.of(set) });
            lab.kernels().program.run(&lab.stream, &program, operand, &mut [y.of_mut(set)], None)
        }))
    })
}
