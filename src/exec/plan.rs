//! The plan of a graph: a list of instructions, and a place in one arena for every value that is kept.
//!
//! Shapes are known, so everything is decided here: which nodes are computed at all, which are fused
//! into one pass over memory ([`super::fuse`]), which share memory ([`super::place`]). Fusion happens
//! after differentiation, so derivative rules stay one line each and still run as fused kernels.

use std::ops::Range;

use super::fuse;
use super::instruction::{Instruction, Load, Program, Source, Step, Work};
use super::place::{Resident, sequence};
use crate::graph::{NodeId, Shape};
use crate::ops::{Binary, Graph, MatMul, Op, Unary};

/// A graph made ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) graph: Graph,
    pub(super) instructions: Vec<Instruction>,
    pub(super) places: Vec<Option<Range<usize>>>,
    pub(super) arena: usize,
    /// For each node whose zeros are left out of products: its number among them.
    pub(super) zeros: Vec<Option<usize>>,
    pub(super) updates: Vec<Update>,
}

/// What a plan is to do, but for the graph.
#[derive(Clone, Copy, Default, Debug)]
pub struct Request<'a> {
    /// The nodes whose values are wanted.
    pub outputs: &'a [NodeId],
    /// Nodes that lie where the caller says, in the arena's first `reserved` elements.
    pub residents: &'a [Resident],
    /// The elements of the arena that are the caller's.
    pub reserved: usize,
    /// Inputs that are mostly zero, (rows, columns), neither residents nor outputs. Their values are given as
    /// [`Nonzeros`](super::Nonzeros) and nowhere else, so nothing may read them but products, as their first operand.
    pub mostly_zero: &'a [NodeId],
    /// Parameters that move when the last instruction has run, or, if only the update reads their gradient, while it is
    /// computed.
    pub updates: &'a [Update],
}

/// A parameter and what moves it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update {
    /// The parameter, a resident.
    pub parameter: NodeId,
    /// Its gradient.
    pub gradient: NodeId,
    /// Where the optimizer's state begins in the arena; the second number of state, if there is one.
    pub state: [Option<usize>; 2],
}

impl Plan {
    /// Plans the computation of `outputs`.
    ///
    /// Residents lie where the caller says, in the arena's first `reserved` elements; everything else
    /// is placed behind. Inputs and outputs keep their place to themselves; other values share memory
    /// with those that live at other times. Nodes that no output needs are left out.
    pub fn new(graph: &Graph, outputs: &[NodeId], residents: &[Resident], reserved: usize) -> Self {
        Self::of(graph, Request { outputs, residents, reserved, ..Default::default() })
    }

    /// Plans what is asked for.
    pub fn of(graph: &Graph, request: Request<'_>) -> Self {
        let gradients = request.updates.iter().map(|update| update.gradient);
        let wanted: Vec<NodeId> = request.outputs.iter().copied().chain(gradients).collect();
        let mut instructions = fuse::instructions(graph, &wanted);
        instructions.iter_mut().for_each(start_from_addend);
        let passing = passing(graph, &instructions, request);
        // They go last, in their order: nobody waits for them, and by then nobody reads the parameters any more.
        instructions.sort_by_key(|instruction| passing.contains(&instruction.output));
        let zeros = zeros(graph, &instructions, request.mostly_zero);
        let (places, arena) = sequence::places(graph, &instructions, &wanted, &passing, request);
        let updates = request.updates.to_vec();
        Self { graph: graph.clone(), instructions, places, arena, zeros, updates }
    }

    /// The number of elements the arena must have.
    pub fn arena(&self) -> usize {
        self.arena
    }

    /// The instructions in the order in which they run.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Where a node's values lie: of use for inputs, and for outputs after a run.
    ///
    /// # Panics
    /// When the node is neither an input nor the output of an instruction, or one of those that have no memory: an
    /// input that is mostly zero, or a gradient that goes into an update as it is computed.
    pub fn place(&self, node: NodeId) -> Range<usize> {
        match &self.places[node.index()] {
            Some(place) => place.clone(),
            None => panic!("node {} has no memory of its own in this plan", node.index()),
        }
    }

    /// The shape of a node's values.
    pub fn shape(&self, node: NodeId) -> &Shape {
        &self.graph[node].shape
    }

    /// How many instructions run until a node is known.
    ///
    /// # Panics
    /// When none computes it.
    pub fn instructions_until(&self, node: NodeId) -> usize {
        match self.instructions.iter().position(|instruction| instruction.output == node) {
            Some(position) => position + 1,
            None => panic!("no instruction computes node {}", node.index()),
        }
    }

    /// Whether a node's values lie in the arena.
    pub(super) fn has_place(&self, node: NodeId) -> bool {
        self.places[node.index()].is_some()
    }

    /// If the product of these leaves out the zeros of the first: the number of the first among such nodes.
    pub fn zeros_left_out(&self, matmul: MatMul, [a, b]: [NodeId; 2]) -> Option<usize> {
        self.zeros[a.index()].filter(|_| !self.has_place(a) || can_leave_out_zeros(matmul, self.shape(b)))
    }

    /// The update that a gradient without memory goes into.
    pub(super) fn update_in_passing(&self, gradient: NodeId) -> Option<&Update> {
        self.updates.iter().find(|update| update.gradient == gradient && !self.has_place(gradient))
    }
}

/// Columns of a product from which on zeros are left out of it: with fewer, walking through lists costs more.
const LEAST_COLUMNS: usize = 32;

fn can_leave_out_zeros(matmul: MatMul, b: &Shape) -> bool {
    b[if matmul.transpose_b { 0 } else { 1 }] >= LEAST_COLUMNS
}

/// The nodes that are zero in many places and operands of products that can leave these out, numbered, the
/// inputs first.
fn zeros(graph: &Graph, instructions: &[Instruction], mostly_zero: &[NodeId]) -> Vec<Option<usize>> {
    let mut has_zeros = vec![false; graph.len()];
    for (id, node) in graph.iter() {
        has_zeros[id.index()] = match node.op {
            Op::Unary(Unary::Relu | Unary::Step) => true,
            Op::Binary(Binary::Mul) => node.inputs.iter().any(|input| has_zeros[input.index()]),
            _ => mostly_zero.contains(&id),
        };
    }
    let mut numbers = vec![None; graph.len()];
    let mut count = 0;
    let mut number = |id: NodeId| {
        if numbers[id.index()].is_none() {
            numbers[id.index()] = Some(count);
            count += 1;
        }
    };
    mostly_zero.iter().copied().for_each(&mut number);
    for instruction in instructions {
        if let Work::Product { matmul, operands: [a, b], .. } = instruction.work
            && has_zeros[a.index()]
            && can_leave_out_zeros(matmul, &graph[b].shape)
        {
            number(a);
        }
    }
    numbers
}

/// Gradients that can go into their parameter's update as they are computed: products that only their update reads,
/// and that read no parameter which moves. They need no memory.
fn passing(graph: &Graph, instructions: &[Instruction], request: Request<'_>) -> Vec<NodeId> {
    let reads: Vec<Vec<NodeId>> = instructions.iter().map(|instruction| instruction.reads(graph)).collect();
    let is_moved = |node: &NodeId| request.updates.iter().any(|update| update.parameter == *node);
    let passes = |(instruction, its_reads): &(&Instruction, &Vec<NodeId>)| {
        let node = instruction.output;
        matches!(instruction.work, Work::Product { .. })
            && request.updates.iter().filter(|update| update.gradient == node).count() == 1
            && !request.outputs.contains(&node)
            && !reads.iter().flatten().any(|read| *read == node)
            && !its_reads.iter().any(is_moved)
    };
    instructions.iter().zip(&reads).filter(passes).map(|(instruction, _)| instruction.output).collect()
}

/// If all that first happens to a product is that the same row is added to each of its rows, as a bias is, lets the
/// product's sums start from that row.
fn start_from_addend(instruction: &mut Instruction) {
    let Work::Product { epilogue, start, .. } = &mut instruction.work else { return };
    let Some(program) = epilogue else { return };
    let Some(product) = program.loads.iter().position(|load| *load == Load::Product) else { return };
    let product = Source::Register(product);
    let row = match program.steps[0] {
        Step::Binary(Binary::Add, a, Source::PerColumn(row)) if a == product => row,
        Step::Binary(Binary::Add, Source::PerColumn(row), b) if b == product => row,
        _ => return,
    };
    let uses = |step: &Step| match *step {
        Step::Unary(_, a) => a == product,
        Step::Binary(_, a, b) => a == product || b == product,
    };
    if program.steps[1..].iter().any(uses) {
        return;
    }
    *start = Some(row);
    *epilogue = without_first_step(program, product);
}

/// The program when its first step's result is what `product` holds: none if nothing is left to do.
fn without_first_step(program: &Program, product: Source) -> Option<Program> {
    let removed = program.loads.len();
    let renamed = |source| match source {
        Source::Register(register) if register == removed => product,
        Source::Register(register) if register > removed => Source::Register(register - 1),
        other => other,
    };
    let steps = program.steps[1..].iter().map(|step| match *step {
        Step::Unary(unary, a) => Step::Unary(unary, renamed(a)),
        Step::Binary(binary, a, b) => Step::Binary(binary, renamed(a), renamed(b)),
    });
    let steps: Vec<Step> = steps.collect();
    (!steps.is_empty()).then(|| Program { steps, ..program.clone() })
}
