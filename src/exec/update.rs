//! An optimizer's rule in a fused program: so that executors can run what they have compiled or written by hand for it.
//!
//! A rule is nodes of the graph like any other. Fusion makes one program of them, and here that program is compared with
//! the one that fusion makes of each known rule. What is no known rule, or differs in one operation, is interpreted.

use std::sync::OnceLock;

use super::instruction::{Instruction, Load, Program, ProgramStep, Source, Work};
use super::{Wanted, fuse};
use crate::graph::NodeId;
use crate::ops::{Builder, Store, Var};
use crate::optim::{Constant, MOST_STATES, Optimizer, OptimizerName};

/// A rule, and what it is applied to.
#[derive(Clone, PartialEq, Debug)]
pub struct Update {
    /// With the constants that stand in the program.
    pub optimizer: Optimizer,
    /// Nodes of one element, in the order of [`Optimizer::scalars`].
    pub scalars: Vec<NodeId>,
    /// g: a node, or nothing where it is the product whose epilogue the program is.
    pub gradient: Option<NodeId>,
    /// θ.
    pub theta: Moved,
    /// The optimizer's numbers of state.
    pub state: Vec<Moved>,
}

/// A value before a step and after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// The node of the old value.
    pub old: NodeId,
    /// The node of the new one.
    pub new: NodeId,
    /// The position of the new one among the program's results.
    pub result: usize,
}

impl Update {
    /// The rule that a program carries out, if it is one and nothing else, and each new value is stored where the old one is.
    pub fn of(program: &Program, stores: &[Store]) -> Option<Self> {
        let of_rule = |(pattern, &name): (&Pattern, _)| pattern.recognise(name, program);
        let moves = |moved: &Moved| stores.contains(&Store { value: moved.new, into: moved.old });
        Pattern::of_all().iter().zip(&OptimizerName::ALL).find_map(of_rule).filter(|update| {
            update.state.len() <= MOST_STATES && moves(&update.theta) && update.state.iter().all(moves)
        })
    }
}

/// The program of a rule, and what its nodes stand for.
struct Pattern {
    program: Program,
    scalars: Vec<NodeId>,
    gradient: NodeId,
    theta: (NodeId, NodeId),
    state: Vec<(NodeId, NodeId)>,
}

/// What stands in for a rule's constant of this number: numbers that no rule makes of others.
fn placeholder(number: usize) -> f64 {
    0.017 * (number as f64 + 3.1)
}

impl Pattern {
    /// The patterns of all rules, with placeholders for their constants.
    fn of_all() -> &'static [Self] {
        static PATTERNS: OnceLock<Vec<Pattern>> = OnceLock::new();
        PATTERNS.get_or_init(|| {
            let pattern = |name: OptimizerName| {
                let mut number = 0..;
                Self::of(&name.build(|_| placeholder(number.next().unwrap_or_default())))
            };
            OptimizerName::ALL.map(pattern).into()
        })
    }

    fn of(optimizer: &Optimizer) -> Self {
        const SHAPE: [usize; 1] = [2];
        let builder = Builder::new();
        let scalars: Vec<Var<'_>> = optimizer.scalars().iter().map(|_| builder.input("scalar", [])).collect();
        let [theta, gradient] = ["theta", "g"].map(|name| builder.input(name, SHAPE));
        let state: Vec<Var<'_>> = (0..optimizer.states()).map(|_| builder.input("state", SHAPE)).collect();
        let (new_theta, new_state) = optimizer.write(&scalars, theta, gradient, &state);
        builder.store(new_theta, theta);
        new_state.iter().zip(&state).for_each(|(&new, &old)| builder.store(new, old));
        let state: Vec<_> = state.into_iter().zip(new_state).collect();
        let inputs = (scalars, gradient, theta, state.iter().map(|(old, _)| *old).collect::<Vec<_>>());
        let function =
            builder.finish(inputs, ((theta, new_theta), state)).expect("a rule that fits its parameters");
        let wanted = Wanted { stores: &function.stores, ..Wanted::default() };
        let program = match &fuse::instructions(&function.graph, wanted, false)[..] {
            [Instruction { work: Work::Elementwise(program), .. }] => program.clone(),
            _ => Program { loads: Vec::new(), steps: Vec::new(), rows: 1, columns: 2, results: Vec::new() },
        };
        let ((scalars, gradient, ..), (theta, state)) = (function.inputs, function.outputs);
        Self { program, scalars, gradient, theta, state }
    }

    fn recognise(&self, name: OptimizerName, program: &Program) -> Option<Update> {
        // First the constants that stand in for the placeholders; then whether the rule with these is the program.
        let mut constants: Vec<(f64, f64)> = Vec::new();
        self.bind(program, |placeholder, number| {
            constants.push((placeholder, number));
            true
        })?;
        let mut number = 0..;
        let optimizer = name.build(|constant: &Constant| {
            let placeholder = placeholder(number.next().unwrap_or_default());
            let found = constants.iter().find(|(pattern, _)| *pattern == placeholder);
            found.map_or(constant.default, |(_, number)| *number)
        });
        let exact = Self::of(&optimizer);
        let bound = exact.bind(program, |expected, number| expected.to_bits() == number.to_bits())?;
        let node = |node: NodeId| match bound.iter().find(|(pattern, _)| *pattern == node)?.1 {
            Content::Scalar(node) | Content::Full(node) => Some(node),
            _ => None,
        };
        let moved = |(old, new): (NodeId, NodeId)| {
            let step = exact.program.results.iter().find(|(_, node)| *node == new)?.0;
            let result = program.results.iter().position(|(other, _)| *other == step)?;
            Some(Moved { old: node(old)?, new: program.results[result].1, result })
        };
        Some(Update {
            optimizer,
            scalars: exact.scalars.iter().map(|&scalar| node(scalar)).collect::<Option<_>>()?,
            gradient: node(exact.gradient),
            theta: moved(exact.theta)?,
            state: exact.state.iter().map(|&state| moved(state)).collect::<Option<_>>()?,
        })
    }

    /// What the pattern's nodes stand for in a program of the same operations on the same arrangement of operands, where
    /// `constant` accepts each number beside the pattern's.
    fn bind(
        &self,
        program: &Program,
        mut constant: impl FnMut(f64, f64) -> bool,
    ) -> Option<Vec<(NodeId, Content)>> {
        let mut bound: Vec<(NodeId, Content)> = Vec::new();
        let mut operand = |pattern: Source, source: Source| match (
            self.program.content(pattern)?,
            program.content(source)?,
        ) {
            (Content::ProgramStep(a), Content::ProgramStep(b)) => (a == b).then_some(()),
            (Content::Number(a), Content::Number(b)) => constant(a, b).then_some(()),
            (Content::Scalar(node) | Content::Full(node), content) => {
                let is_scalar = self.scalars.contains(&node);
                let fits = match content {
                    Content::Scalar(_) => is_scalar,
                    Content::Full(_) => !is_scalar,
                    Content::Product => node == self.gradient,
                    _ => false,
                };
                // One for the other: what a rule tells apart is no one node.
                let is_same = |(other, known): &(NodeId, Content)| (*other == node) == (*known == content);
                let agrees = bound.iter().all(is_same);
                if !bound.contains(&(node, content)) {
                    bound.push((node, content));
                }
                (fits && agrees).then_some(())
            }
            _ => None,
        };
        if program.steps.len() != self.program.steps.len()
            || program.results.len() != self.program.results.len()
        {
            return None;
        }
        for (&pattern, &step) in self.program.steps.iter().zip(&program.steps) {
            match (pattern, step) {
                (ProgramStep::Unary(expected, a), ProgramStep::Unary(unary, x)) if expected == unary => {
                    operand(a, x)?
                }
                (ProgramStep::Binary(expected, a, b), ProgramStep::Binary(binary, x, y))
                    if expected == binary =>
                {
                    operand(a, x)?;
                    operand(b, y)?;
                }
                _ => return None,
            }
        }
        Some(bound)
    }
}

/// What an operand is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Content {
    ProgramStep(usize),
    Number(f64),
    Scalar(NodeId),
    Full(NodeId),
    Product,
}

impl Program {
    /// What an operand is; nothing for what no rule reads.
    fn content(&self, source: Source) -> Option<Content> {
        match source {
            Source::Full(node) => Some(Content::Full(node)),
            Source::PerColumn(_) => None,
            Source::Register(register) => match self.loads.get(register) {
                None => Some(Content::ProgramStep(register - self.loads.len())),
                Some(Load::Constant(number)) => Some(Content::Number(number.get())),
                Some(Load::Scalar(node)) => Some(Content::Scalar(*node)),
                Some(Load::Product) => Some(Content::Product),
                Some(Load::PerRow(_)) => None,
            },
        }
    }
}
