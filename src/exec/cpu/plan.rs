//! The plan of a graph: a list of instructions, and a place in one arena for every value that is kept.
//!
//! Shapes are known, so everything is decided here: which nodes are computed at all, which are fused
//! into one pass over memory, which share memory. Fusion happens
//! after differentiation, so derivative rules stay one line each and still run as fused kernels.

use std::ops::Range;

use super::bf16::{Bf16Unit, Way};
use super::panels::{self, Layout};
use super::zeros::{self, LeftOut};
use super::{places, product};
use crate::exec::instruction::{Instruction, Load, Program, ProgramStep, Source, Work};
use crate::exec::update::Update;
use crate::exec::{Wanted, fuse};
use crate::graph::{NodeId, Shape};
use crate::ops::{Binary, Graph, MatMul};

/// A graph made ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) graph: Graph,
    pub(super) instructions: Vec<Instruction>,
    /// For each instruction the rule that it carries out, if it is an optimizer's.
    pub(super) updates: Vec<Option<Update>>,
    pub(super) places: Vec<Option<Range<usize>>>,
    pub(super) arena: usize,
    /// Whether a node's elements lie in panels.
    pub(super) in_panels: Vec<bool>,
    /// Residents in panels that some instruction takes as rows.
    misread: Vec<NodeId>,
    /// For each node whose zeros are left out of products: its number among them.
    pub(super) zeros: Vec<Option<usize>>,
    /// For each instruction the node with such a number, if it is a product of which only the elements are needed where that node's
    /// are not zero.
    pub(super) masks: Vec<Option<NodeId>>,
    /// What computes products, if they are of operands rounded to bfloat16: then no zeros are left out.
    pub(super) bf16: Option<Bf16Unit>,
    /// The input that is given packed then, if one is, and how it is read.
    packed: Option<(NodeId, Vec<Way>)>,
    /// Where products pack their operands then.
    pub(super) workspace: Range<usize>,
}

impl Plan {
    /// Plans the computation of what is wanted.
    ///
    /// Residents lie where the caller says, in the arena's first `reserved` elements; everything else is placed behind.
    /// Inputs and outputs keep their place to themselves; other values share memory with those that live at other times.
    /// What is stored is written where the input lies that it replaces. Nodes that nothing needs are left out.
    pub fn new(graph: &Graph, wanted: Wanted<'_>) -> Self {
        Self::with_zeros(graph, wanted, &[])
    }

    /// The same with inputs that are mostly zero, (rows, columns), neither residents nor outputs. Their values are given as
    /// [`Nonzeros`](super::Nonzeros) and nowhere else, so nothing may read them but products, as their first operand.
    pub fn with_zeros(graph: &Graph, wanted: Wanted<'_>, mostly_zero: &[NodeId]) -> Self {
        Self::laid_out(graph, wanted, mostly_zero, &[], None)
    }

    /// The same with inputs that are given elsewhere than in the arena, and residents that lie in panels, as far as [`Self::misread`]
    /// allows. With products in bfloat16 one input at most is given so, packed, if nothing but products reads it
    /// ([`Self::packed`]), and all residents lie in rows.
    pub(super) fn laid_out(
        graph: &Graph,
        wanted: Wanted<'_>,
        given: &[NodeId],
        in_panels: &[NodeId],
        bf16: Option<Bf16Unit>,
    ) -> Self {
        assert!(bf16.is_none() || in_panels.is_empty(), "products in bfloat16 are of matrices in rows");
        assert!(bf16.is_none() || given.len() <= 1, "{} inputs are given packed", given.len());
        let mut instructions = fuse::instructions(graph, wanted, true);
        instructions.iter_mut().for_each(start_from_addend);
        let LeftOut { zeros, masks } = match bf16 {
            None => zeros::left_out(graph, &instructions, given),
            Some(_) => LeftOut { zeros: vec![None; graph.len()], masks: vec![None; instructions.len()] },
        };
        let packed = given.first().filter(|_| bf16.is_some());
        let packed = packed.and_then(|&given| Some((given, ways_of(graph, &instructions, given)?)));
        let elsewhere = if bf16.is_some() && packed.is_none() { &[] } else { given };
        let (places, values) = places::places(graph, &instructions, wanted, elsewhere);
        let workspace = |instruction: &Instruction| match instruction.work {
            Work::Product { matmul, operands: [a, b], .. } if bf16.is_some() => {
                let is_packed = |node| packed.as_ref().is_some_and(|(given, _)| *given == node);
                product::workspace(matmul.extents(&graph[a].shape, &graph[b].shape), [a, b].map(is_packed))
            }
            _ => 0,
        };
        let values = values.next_multiple_of(places::ALIGNMENT);
        let workspace = values..values + instructions.iter().map(workspace).max().unwrap_or(0);
        let update = |instruction: &Instruction| Update::of(instruction.program()?, wanted.stores);
        let updates = instructions.iter().map(update).collect();
        let stored =
            wanted.stores.iter().filter(|store| in_panels.contains(&store.into)).map(|store| store.value);
        let lie_so: Vec<NodeId> = stored.chain(in_panels.iter().copied()).collect();
        let in_panels: Vec<bool> = graph.ids().map(|id| lie_so.contains(&id)).collect();
        let misread = panels::misread(graph, &instructions, wanted.outputs, wanted.stores, &in_panels);
        Self {
            graph: graph.clone(),
            instructions,
            updates,
            places,
            arena: workspace.end,
            in_panels,
            misread,
            zeros,
            masks,
            bf16,
            packed,
            workspace,
        }
    }

    /// The input whose values are given as [`Packed`](super::bf16::Packed) and nowhere else, if one is, and how it is read.
    pub(super) fn packed(&self) -> Option<(NodeId, &[Way])> {
        self.packed.as_ref().map(|(given, ways)| (*given, &ways[..]))
    }

    /// The residents in panels that some instruction would take as rows, or store rows into: with such the plan must not run.
    /// There are none where second operands of products, sums of rows, and updates of parameters alone are in panels.
    pub(super) fn misread(&self) -> &[NodeId] {
        &self.misread
    }

    /// How a matrix lies in memory.
    pub(super) fn layout(&self, node: NodeId) -> Layout {
        let layout = Layout::in_rows(self.shape(node).rows_and_columns());
        Layout { in_panels: self.in_panels[node.index()], ..layout }
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
    /// When the node is neither an input nor what an instruction writes, or is an input that is mostly zero.
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
        self.zeros[a.index()]
            .filter(|_| !self.has_place(a) || zeros::can_leave_out_zeros(matmul, self.shape(b)))
    }
}

/// How a product reads its operands.
pub(super) fn ways(matmul: MatMul) -> [Way; 2] {
    [
        Way { is_first: true, transposed: matmul.transpose_a },
        Way { is_first: false, transposed: matmul.transpose_b },
    ]
}

/// How products read a node, each way once, if nothing else reads it.
fn ways_of(graph: &Graph, instructions: &[Instruction], node: NodeId) -> Option<Vec<Way>> {
    let mut found: Vec<Way> = Vec::new();
    for instruction in instructions {
        let mut reads = instruction.reads(graph).iter().filter(|read| **read == node).count();
        if let Work::Product { matmul, operands, .. } = instruction.work {
            for (_, way) in operands.into_iter().zip(ways(matmul)).filter(|(operand, _)| *operand == node) {
                reads -= 1;
                if !found.contains(&way) {
                    found.push(way);
                }
            }
        }
        if reads > 0 {
            return None;
        }
    }
    Some(found)
}

/// If all that first happens to a product is that the same row is added to each of its rows, as a bias is, lets the
/// product's sums start from that row.
fn start_from_addend(instruction: &mut Instruction) {
    let Work::Product { epilogue, start, .. } = &mut instruction.work else { return };
    let Some(program) = epilogue else { return };
    let Some(product) = program.loads.iter().position(|load| *load == Load::Product) else { return };
    let product = Source::Register(product);
    let row = match program.steps[0] {
        ProgramStep::Binary(Binary::Add, a, Source::PerColumn(row)) if a == product => row,
        ProgramStep::Binary(Binary::Add, Source::PerColumn(row), b) if b == product => row,
        _ => return,
    };
    let is_read_again = program.steps[1..].iter().flat_map(|step| step.sources()).any(|it| it == product);
    let is_left = program.results[0].0 == 0 && program.steps.len() > 1;
    if is_read_again || is_left {
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
        ProgramStep::Unary(unary, a) => ProgramStep::Unary(unary, renamed(a)),
        ProgramStep::Binary(binary, a, b) => ProgramStep::Binary(binary, renamed(a), renamed(b)),
    });
    let steps: Vec<ProgramStep> = steps.collect();
    (!steps.is_empty()).then(|| {
        let results = program.results.iter().map(|&(step, node)| (step - 1, node)).collect();
        Program { steps, results, ..program.clone() }
    })
}
