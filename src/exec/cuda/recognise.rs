//! Programs that kernels were written for.

use super::kernels::Broadcast;
use crate::exec::instruction::{Load, Program, ProgramStep, Source};
use crate::graph::NodeId;
use crate::ops::{Binary, Unary};

/// A program that has a kernel of its own.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Single {
    Unary(Unary, NodeId),
    Binary(Binary, (NodeId, Broadcast), (NodeId, Broadcast)),
    /// dy · step(y).
    ReluBackward {
        dy: NodeId,
        y: NodeId,
    },
}

impl Single {
    pub fn of(program: &Program) -> Option<Self> {
        let operand = |source: Source| match source {
            Source::Full(node) => Some((node, Broadcast::Full)),
            Source::PerColumn(node) => Some((node, Broadcast::PerColumn)),
            Source::Register(register) => match *program.loads.get(register)? {
                Load::Scalar(node) => Some((node, Broadcast::Scalar)),
                Load::PerRow(node) => Some((node, Broadcast::PerRow)),
                Load::Constant(_) | Load::Product => None,
            },
        };
        let step_of_y = Source::Register(program.loads.len());
        match program.steps[..] {
            [ProgramStep::Unary(unary, Source::Full(x))] => Some(Self::Unary(unary, x)),
            [ProgramStep::Binary(binary, a, b)] => Some(Self::Binary(binary, operand(a)?, operand(b)?)),
            [ProgramStep::Unary(Unary::Step, Source::Full(y)), ProgramStep::Binary(Binary::Mul, a, b)] => {
                match (a, b) {
                    (Source::Full(dy), register) | (register, Source::Full(dy)) if register == step_of_y => {
                        Some(Self::ReluBackward { dy, y })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// An epilogue that the products' kernels know: x + bias, then max(x, 0), then x · step(mask).
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(super) struct FixedEpilogue {
    pub bias: Option<NodeId>,
    pub relu: bool,
    pub mask: Option<NodeId>,
}

impl FixedEpilogue {
    pub fn of(program: &Program) -> Option<Self> {
        if program.loads != [Load::Product] {
            return None;
        }
        let mut fixed = Self::default();
        let mut current = Source::Register(0);
        let mut steps = program.steps.iter().zip(1..).peekable();
        while let Some((&step, register)) = steps.next() {
            let result = Source::Register(register);
            let either = |a: Source, b: Source| match (a == current, b == current) {
                (true, false) => Some(b),
                (false, true) => Some(a),
                _ => None,
            };
            match step {
                ProgramStep::Binary(Binary::Add, a, b) if fixed == Self::default() => {
                    let Some(Source::PerColumn(bias)) = either(a, b) else { return None };
                    fixed.bias = Some(bias);
                }
                ProgramStep::Unary(Unary::Relu, x) if x == current && !fixed.relu && fixed.mask.is_none() => {
                    fixed.relu = true;
                }
                ProgramStep::Unary(Unary::Step, Source::Full(mask)) if fixed.mask.is_none() => {
                    let Some((&ProgramStep::Binary(Binary::Mul, a, b), product)) = steps.next() else {
                        return None;
                    };
                    if either(a, b) != Some(result) {
                        return None;
                    }
                    fixed.mask = Some(mask);
                    current = Source::Register(product);
                    continue;
                }
                _ => return None,
            }
            current = result;
        }
        Some(fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::instruction::Work;
    use crate::exec::{Wanted, fuse};
    use crate::ops::{Builder, Var};

    /// The program of the last instruction for one output.
    fn program(build: impl for<'g> Fn(&'g Builder) -> Var<'g>) -> Program {
        let builder = Builder::new();
        let output = build(&builder);
        let nodes: Vec<NodeId> = builder.graph().inputs().collect();
        let inputs: Vec<Var<'_>> = nodes.into_iter().map(|id| builder.var(id)).collect();
        let function = builder.finish(inputs, output).unwrap();
        let instructions = fuse::instructions(&function.graph, Wanted::outputs(&[function.outputs]), true);
        match &instructions.last().unwrap().work {
            Work::Elementwise(program) | Work::Product { epilogue: Some(program), .. } => program.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn programs_of_one_operation_have_a_kernel_of_their_own() {
        let unary = program(|b| b.input("x", [4, 5]).tanh());
        assert!(matches!(Single::of(&unary), Some(Single::Unary(Unary::Tanh, _))));
        let bias = program(|b| b.input("x", [4, 5]) - b.input("b", [5]));
        assert!(matches!(
            Single::of(&bias),
            Some(Single::Binary(Binary::Sub, (_, Broadcast::Full), (_, Broadcast::PerColumn)))
        ));
        let rows = program(|b| b.input("r", [4]).broadcast_along(&[1], [4, 5]) / b.input("x", [4, 5]));
        assert!(matches!(
            Single::of(&rows),
            Some(Single::Binary(Binary::Div, (_, Broadcast::PerRow), (_, Broadcast::Full)))
        ));
        let relu = program(|b| b.input("dy", [4, 5]) * b.input("y", [4, 5]).step());
        assert!(matches!(Single::of(&relu), Some(Single::ReluBackward { .. })));
        for others in [
            program(|b| b.input("x", [4, 5]) * 2.0),
            program(|b| (b.input("x", [4, 5]) + b.input("y", [4, 5])).exp()),
            program(|b| b.input("x", [5]).step() * b.input("z", [5]).step()),
        ] {
            assert_eq!(Single::of(&others), None, "{others:?}");
        }
    }

    #[test]
    fn bias_relu_and_mask_in_this_order_are_the_products_own() {
        fn product(b: &Builder) -> Var<'_> {
            b.input("a", [4, 7]).matmul_nt(b.input("w", [5, 7]))
        }
        let fixed = |build: for<'g> fn(&'g Builder) -> Var<'g>| {
            FixedEpilogue::of(&program(build)).map(|f| (f.bias.is_some(), f.relu, f.mask.is_some()))
        };
        assert_eq!(fixed(|b| product(b).relu()), Some((false, true, false)));
        assert_eq!(fixed(|b| product(b) + b.input("b", [5])), Some((true, false, false)));
        assert_eq!(fixed(|b| b.input("b", [5]) + product(b)), Some((true, false, false)));
        assert_eq!(fixed(|b| (product(b) + b.input("b", [5])).relu()), Some((true, true, false)));
        assert_eq!(fixed(|b| product(b) * b.input("y", [4, 5]).step()), Some((false, false, true)));
        assert_eq!(
            fixed(|b| (product(b) + b.input("b", [5])).relu() * b.input("y", [4, 5]).step()),
            Some((true, true, true))
        );
        for other in [
            fixed(|b| product(b).relu() + b.input("b", [5])),
            fixed(|b| product(b) + b.input("c", [4, 5])),
            fixed(|b| (product(b) + b.input("b", [5])).tanh()),
            fixed(|b| product(b) * 2.0),
            fixed(|b| product(b) * b.input("y", [5]).step()),
            fixed(|b| {
                let x = product(b);
                x + x.relu()
            }),
        ] {
            assert_eq!(other, None);
        }
    }
}
