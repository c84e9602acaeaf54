//! What a plan is made of: instructions, each one pass over memory, as plain data.

use crate::graph::NodeId;
use crate::ops::{Binary, Graph, MatMul, Real, Unary};

/// One pass over memory.
#[derive(Clone, PartialEq, Debug)]
pub struct Instruction {
    /// What is computed.
    pub work: Work,
    /// The node whose values it leaves, the last of them where it leaves several.
    pub output: NodeId,
    /// Whether it overwrites inputs, and so runs when all that reads their old values has run.
    pub stores: bool,
}

/// What an instruction computes.
#[derive(Clone, PartialEq, Debug)]
pub enum Work {
    /// A node by itself, as its operation says.
    Operation,
    /// The same known number everywhere.
    Fill(f64),
    /// Another node's values: what is stored and could not be computed in its place.
    Copy(NodeId),
    /// Elementwise operations fused into one loop.
    Elementwise(Program),
    /// A matrix product, with elementwise work on each tile while it is in cache.
    Product {
        /// Which operands are transposed.
        matmul: MatMul,
        /// A and B.
        operands: [NodeId; 2],
        /// A row that the sums start from, as from a bias, if not from zero; put in by [`Plan`](super::Plan).
        start: Option<NodeId>,
        /// What is done to the product; its register of kind [`Load::Product`] is the product.
        epilogue: Option<Program>,
    },
    /// Softmax cross-entropy: each row's loss (the instruction's output), and the gradient of
    /// `scale` times the loss by the logits, from one reading of the logits.
    CrossEntropy {
        /// (rows, classes).
        logits: NodeId,
        /// (rows).
        labels: NodeId,
        /// The node that holds the gradient, (rows, classes).
        gradient: NodeId,
        /// The adjoint of every row's loss.
        scale: f64,
    },
}

/// Elementwise operations over an output of (rows, columns), as straight-line code over registers
/// that each hold a stretch of a row. Registers are numbered loads first, then steps; no register is
/// written twice. Results are written when all steps of an element have run: a result may lie where an earlier step reads.
#[derive(Clone, PartialEq, Debug)]
pub struct Program {
    /// What stands in the first registers.
    pub loads: Vec<Load>,
    /// What is computed from them.
    pub steps: Vec<ProgramStep>,
    /// The output's rows: 1 if no operand tells rows from columns.
    pub rows: usize,
    /// The output's columns.
    pub columns: usize,
    /// What is left in memory, at most [`MOST_RESULTS`]: a step by its number, and the node whose value it computes. The
    /// last step is the last of them.
    pub results: Vec<(usize, NodeId)>,
}

/// The most results of a program: a parameter and three numbers of an optimizer's state.
pub const MOST_RESULTS: usize = 4;

/// The most steps of a program that stores: Adadelta's update has twenty.
pub const MOST_STEPS: usize = 32;

/// The most registers of a program that stores nothing, loads and steps together: they stay in the first-level cache. Of one
/// that stores, the most loads.
pub const MAX_REGISTERS: usize = 16;

/// The content of a register before the first step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Load {
    /// A known number, compared by its bits: −0 is not 0, and NaN is itself.
    Constant(Real),
    /// The one element of a node.
    Scalar(NodeId),
    /// One element of a node for each row.
    PerRow(NodeId),
    /// The matrix product whose epilogue this is.
    Product,
}

/// Where a step finds an operand.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Source {
    /// An earlier register.
    Register(usize),
    /// A node of the output's size.
    Full(NodeId),
    /// A node of as many elements as the output has columns, the same for each row.
    PerColumn(NodeId),
}

/// One elementwise operation.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(missing_docs, reason = "the variants say what they hold")]
pub enum ProgramStep {
    Unary(Unary, Source),
    Binary(Binary, Source, Source),
}

impl ProgramStep {
    /// Its operands.
    pub(super) fn sources(self) -> impl Iterator<Item = Source> + Clone {
        let (a, b) = match self {
            Self::Unary(_, a) => (a, None),
            Self::Binary(_, a, b) => (a, Some(b)),
        };
        std::iter::once(a).chain(b)
    }
}

impl Program {
    /// The nodes that are read.
    pub(super) fn reads(&self) -> impl Iterator<Item = NodeId> + '_ {
        let loads = self.loads.iter().filter_map(|load| match *load {
            Load::Scalar(node) | Load::PerRow(node) => Some(node),
            Load::Constant(_) | Load::Product => None,
        });
        loads.chain(self.steps.iter().flat_map(|step| step.sources()).filter_map(|source| match source {
            Source::Full(node) | Source::PerColumn(node) => Some(node),
            Source::Register(_) => None,
        }))
    }
}

impl Instruction {
    /// Its elementwise work, if it has some.
    pub fn program(&self) -> Option<&Program> {
        match &self.work {
            Work::Elementwise(program) | Work::Product { epilogue: Some(program), .. } => Some(program),
            _ => None,
        }
    }

    /// The nodes whose values are read.
    pub fn reads(&self, graph: &Graph) -> Vec<NodeId> {
        match &self.work {
            Work::Operation => graph[self.output].inputs.clone(),
            Work::Fill(_) => Vec::new(),
            Work::Copy(node) => vec![*node],
            Work::Elementwise(program) => program.reads().collect(),
            Work::Product { operands, start, epilogue, .. } => operands
                .iter()
                .chain(start)
                .copied()
                .chain(epilogue.iter().flat_map(Program::reads))
                .collect(),
            Work::CrossEntropy { logits, labels, .. } => vec![*logits, *labels],
        }
    }

    /// The nodes whose values are written; [`output`](Self::output) is the last, but for the gradient of a cross-entropy.
    pub fn writes(&self) -> impl Iterator<Item = NodeId> {
        let results = self.program().map_or(&[][..], |program| &program.results);
        let others = results.iter().map(|(_, node)| *node).filter(|node| *node != self.output);
        let gradient = match self.work {
            Work::CrossEntropy { gradient, .. } => Some(gradient),
            _ => None,
        };
        others.chain([self.output]).chain(gradient)
    }
}
