//! Updates as tasks: one launch moves all parameters that lie side by side.
//!
//! Fusion makes a program of each parameter's update. Where two of them are the same program, and what they read and write
//! lies side by side, they are one program over both; as parameters and states lie in flat buffers, it is one over the
//! whole network. For that, gradients are placed as the parameters are.

use std::ops::Range;

use super::order::Access;
use super::places::ALIGNMENT;
use crate::exec::instruction::{Instruction, Load, Program, ProgramStep, Source, Work};
use crate::graph::NodeId;
use crate::ops::{Binary, Graph, Store};

/// What stores: an instruction whose program goes over all its parts.
pub(super) struct MergedUpdate {
    pub instruction: Instruction,
    /// For each parameter the program of its own.
    parts: Vec<Program>,
}

impl MergedUpdate {
    /// What it reads, the step among it, and the inputs that it writes.
    pub fn access(&self, stores: &[Store], step: usize) -> Access {
        let reads = self.parts.iter().flat_map(Program::reads).map(NodeId::index);
        let writes = self.parts.iter().flat_map(|part| &part.results);
        Access {
            reads: reads.chain([step]).collect(),
            writes: writes.map(|(_, value)| target(stores, *value).index()).collect(),
        }
    }
}

/// The input that a value is stored into; that of a copy is the input itself.
fn target(stores: &[Store], value: NodeId) -> NodeId {
    stores.iter().find(|store| store.value == value).map_or(value, |store| store.into)
}

/// Places for what stores and their operands, while the arena is laid out.
pub(super) struct Laying<'a> {
    pub graph: &'a Graph,
    pub stores: &'a [Store],
    /// Of each node that has one.
    pub places: &'a mut [Option<Range<usize>>],
    /// Where the places end.
    pub end: usize,
}

impl Laying<'_> {
    /// The instructions that store, updates of neighbours merged; what they leave gets the place that it is stored into.
    pub fn merged(&mut self, instructions: Vec<Instruction>) -> Vec<MergedUpdate> {
        let mut groups: Vec<Vec<Program>> = Vec::new();
        for instruction in instructions {
            let program = self.program(instruction);
            for (_, value) in &program.results {
                self.places[value.index()] = self.places[target(self.stores, *value).index()].clone();
            }
            match groups.iter_mut().find(|group| are_alike(&group[0], &program)) {
                Some(group) => group.push(program),
                None => groups.push(vec![program]),
            }
        }
        groups.into_iter().flat_map(|group| self.of_neighbours(group)).collect()
    }

    /// An instruction that stores, as a program: a copy is one, too, as it must leave everything as it is after a loss
    /// that was not finite.
    fn program(&self, instruction: Instruction) -> Program {
        match instruction.work {
            Work::Elementwise(program) => program,
            Work::Copy(node) => Program {
                loads: vec![Load::Constant((-0.0).into())], // which changes no number that it is added to
                steps: vec![ProgramStep::Binary(Binary::Add, Source::Full(node), Source::Register(0))],
                rows: 1,
                columns: self.graph[node].shape.size(),
                results: vec![(0, instruction.output)],
            },
            _ => unreachable!(
                "products take no updates as epilogues here, and whatever else is stored is copied"
            ),
        }
    }

    /// Programs of one kind as updates of runs whose operands and results lie side by side, or are placed so. Each is placed
    /// before the next is begun, so none counts on a place that another takes.
    fn of_neighbours(&mut self, mut programs: Vec<Program>) -> Vec<MergedUpdate> {
        programs.sort_by_key(|program| self.place(program.results[0].1).map_or(0, |place| place.start));
        let (mut updates, mut run) = (Vec::new(), Vec::new());
        for program in programs {
            if !run.is_empty() && !self.continues(&run, &program) {
                updates.push(self.update(std::mem::take(&mut run)));
            }
            run.push(program);
        }
        updates.push(self.update(run));
        updates
    }

    fn continues(&self, run: &[Program], next: &Program) -> bool {
        let last = &run[run.len() - 1];
        let is_behind = |(before, after): (NodeId, NodeId)| match (self.place(before), self.place(after)) {
            (Some(before), Some(after)) => before.end == after.start,
            (None, None) => !run.iter().any(|part| full(part).contains(&after)),
            _ => false,
        };
        let results = last.results.iter().zip(&next.results).map(|(before, after)| (before.1, after.1));
        is_elementwise(next) && full(last).into_iter().zip(full(next)).chain(results).all(is_behind)
    }

    /// One update of a run, whose operands without a place get theirs, side by side.
    fn update(&mut self, parts: Vec<Program>) -> MergedUpdate {
        let (first, operands) = (&parts[0], full(&parts[0]));
        let columns = parts.iter().map(|part| part.rows * part.columns).sum();
        for number in (0..operands.len()).filter(|_| parts.len() > 1) {
            if self.place(operands[number]).is_some() {
                continue;
            }
            // As far past a multiple of the alignment as what they move, which lets kernels access both alike.
            let moved = self.place(first.results[0].1).map_or(0, |place| place.start);
            let mut start = self.end.next_multiple_of(ALIGNMENT) + moved % ALIGNMENT;
            for part in &parts {
                let end = start + part.rows * part.columns;
                self.places[full(part)[number].index()] = Some(start..end);
                start = end;
            }
            self.end = start.next_multiple_of(ALIGNMENT);
        }
        let program = match parts.len() {
            1 => first.clone(),
            _ => Program { columns, ..first.clone() },
        };
        let output = program.results[program.results.len() - 1].1;
        let instruction = Instruction { work: Work::Elementwise(program), output, stores: true };
        MergedUpdate { instruction, parts }
    }

    fn place(&self, node: NodeId) -> Option<&Range<usize>> {
        self.places[node.index()].as_ref()
    }
}

/// The nodes that a program reads element by element, each once.
fn full(program: &Program) -> Vec<NodeId> {
    let mut nodes = Vec::new();
    for source in program.steps.iter().flat_map(|step| step.sources()) {
        if let Source::Full(node) = source
            && !nodes.contains(&node)
        {
            nodes.push(node);
        }
    }
    nodes
}

/// Whether rows and columns make no difference to a program.
fn is_elementwise(program: &Program) -> bool {
    let mut sources = program.steps.iter().flat_map(|step| step.sources());
    program.rows == 1
        && !sources.any(|source| matches!(source, Source::PerColumn(_)))
        && program.loads.iter().all(|load| matches!(load, Load::Constant(_) | Load::Scalar(_)))
}

/// Whether two programs are one, but for what they read and write element by element, and for its size.
fn are_alike(one: &Program, other: &Program) -> bool {
    let (ones, others) = (full(one), full(other));
    let number = |nodes: &[NodeId], node| nodes.iter().position(|it| *it == node);
    let same = |a, b| match (a, b) {
        (Source::Full(a), Source::Full(b)) => number(&ones, a) == number(&others, b),
        (a, b) => a == b,
    };
    let steps = |(a, b): (&ProgramStep, &ProgramStep)| match (*a, *b) {
        (ProgramStep::Unary(f, x), ProgramStep::Unary(g, y)) => f == g && same(x, y),
        (ProgramStep::Binary(f, x, y), ProgramStep::Binary(g, z, w)) => f == g && same(x, z) && same(y, w),
        _ => false,
    };
    let left = |program: &Program| program.results.iter().map(|(step, _)| *step).collect::<Vec<_>>();
    one.loads == other.loads
        && one.steps.len() == other.steps.len()
        && one.steps.iter().zip(&other.steps).all(steps)
        && left(one) == left(other)
}
