//! The plan of a graph for a device: its instructions as tasks in a partial order, and a place in one arena
//! for every value, for every task's workspace, and for the bfloat16 copies that products multiply.

use std::collections::HashMap;
use std::ops::Range;

use half::bf16;

use super::capture::Launching;
use super::kernels::{Gemm, Sum, Tuning};
use super::order::{Access, Order};
use super::places::{self, ALIGNMENT};
use super::updates::{Laying, MergedUpdate};
use crate::exec::instruction::{Instruction, Work};
use crate::exec::update::Update;
use crate::exec::{Wanted, fuse};
use crate::graph::{NodeId, Shape};
use crate::ops::{Graph, Op, Reduction};

/// In which numbers matrices are multiplied. Everything else, sums too, is float32.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Products {
    /// float32.
    #[default]
    F32,
    /// Operands rounded to bfloat16, on tensor cores.
    Bf16,
}

/// How work is done on a device.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CudaMode {
    /// How tasks reach the device.
    pub launching: Launching,
    /// In which numbers matrices are multiplied.
    pub products: Products,
}

/// One task: a few launches on one stream.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Task {
    pub action: Action,
    /// The optimizer's rule that it carries out, if it is one.
    pub rule: Option<Update>,
    /// Memory for the task's own use; what it holds before and after does not matter.
    pub workspace: Range<usize>,
}

/// What a task does.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Action {
    /// An instruction. A program's operands and results may reach beyond their nodes, over those of its neighbours in
    /// the arena ([`Laying::merged`]).
    Carry(Instruction),
    /// A node's values rounded to bfloat16.
    Round(NodeId),
}

/// A graph made ready to run on a device.
#[derive(Clone, Debug)]
pub struct CudaPlan {
    pub(super) graph: Graph,
    pub(super) tasks: Vec<Task>,
    accesses: Vec<Access>,
    order: Order,
    places: Vec<Option<Range<usize>>>,
    /// Where the bfloat16 copy of a node lies, in float32 elements.
    rounded: HashMap<NodeId, Range<usize>>,
    arena: usize,
    products: Products,
    /// The first of the tasks that store; all behind it do.
    first_store: usize,
}

/// With more tasks than this, they run one after another: the partial order takes memory by their square.
const MOST_BRANCHING_TASKS: usize = 4096;

impl CudaPlan {
    /// Plans what is wanted, as [`Plan::new`](crate::exec::Plan::new) does for the CPU. The tuning must
    /// be the device's on which it will run: it decides how much memory products need for partial sums.
    ///
    /// Values share memory only where every order that the tasks allow keeps them apart. What is stored lies where the
    /// input lies that it is stored into, and is written when all that reads the old value has run; updates by
    /// one rule of what lies side by side are one task.
    pub fn new(graph: &Graph, wanted: Wanted<'_>, products: Products, tuning: &Tuning) -> Self {
        let order = |accesses: &[Access]| match accesses.len() {
            0..=MOST_BRANCHING_TASKS => Order::new(accesses),
            tasks => Order::sequence(tasks),
        };
        Self::with_order(graph, wanted, products, tuning, order)
    }

    /// The same for tasks that run one after another: values share more memory.
    pub fn in_sequence(graph: &Graph, wanted: Wanted<'_>, products: Products, tuning: &Tuning) -> Self {
        let order = |accesses: &[Access]| Order::sequence(accesses.len());
        Self::with_order(graph, wanted, products, tuning, order)
    }

    fn with_order(
        graph: &Graph,
        wanted: Wanted<'_>,
        products: Products,
        tuning: &Tuning,
        order: impl Fn(&[Access]) -> Order,
    ) -> Self {
        let mut places = vec![None; graph.len()];
        let end = place_inputs(graph, wanted, &mut places);
        // Products take no updates as epilogues: that would be a launch for each parameter.
        let instructions = fuse::instructions(graph, wanted, false);
        let (stores, others): (Vec<_>, Vec<_>) = instructions.into_iter().partition(|it| it.stores);
        let mut laying = Laying { graph, stores: wanted.stores, places: &mut places, end };
        let stores = laying.merged(stores);
        let end = laying.end;
        let end = place_outputs(graph, wanted.outputs, &mut places, end);

        let actions = actions(others, products);
        let mut accesses: Vec<Access> =
            actions.iter().map(|action| access(graph, action, products)).collect();
        let first_store = accesses.len();
        accesses.extend(stores.iter().map(|store| store.access(wanted.stores, step(graph))));
        let task = |action, rule| Task { action, rule, workspace: 0..0 };
        let stores = stores.into_iter().map(|MergedUpdate { instruction, .. }| {
            let rule = instruction.program().and_then(|program| Update::of(program, wanted.stores));
            task(Action::Carry(instruction), rule)
        });
        let tasks = actions.into_iter().map(|action| task(action, None)).chain(stores);
        let order = order(&accesses);
        let mut plan = Self {
            graph: graph.clone(),
            tasks: tasks.collect(),
            accesses,
            order,
            places,
            rounded: HashMap::new(),
            arena: 0,
            products,
            first_store,
        };
        plan.place_the_rest(end, tuning);
        plan
    }

    fn place_the_rest(&mut self, reserved: usize, tuning: &Tuning) {
        enum Owner {
            Node(NodeId),
            Rounded(NodeId),
            Workspace(usize),
        }
        let mut readers: HashMap<usize, Vec<usize>> = HashMap::new();
        for (task, access) in self.accesses.iter().enumerate() {
            for &read in &access.reads {
                readers.entry(read).or_default().push(task);
            }
        }
        let mut read_by = |value: usize| readers.remove(&value).unwrap_or_default();
        let (mut owners, mut values) = (Vec::new(), Vec::new());
        let mut want = |owner: Owner, size: usize, writer: usize, readers: Vec<usize>| {
            owners.push(owner);
            values.push(places::LiveRange { size, writer, readers });
        };
        for (number, task) in self.tasks.iter().enumerate() {
            match &task.action {
                Action::Carry(instruction) => {
                    for node in instruction.writes().filter(|node| self.places[node.index()].is_none()) {
                        let size = self.graph[node].shape.size();
                        want(Owner::Node(node), size, number, read_by(node.index()));
                    }
                    let workspace = workspace(&self.graph, instruction, self.products, tuning);
                    want(Owner::Workspace(number), workspace, number, Vec::new());
                }
                Action::Round(node) => {
                    // Two bfloat16 numbers in the room of a float32.
                    let size = self.graph[*node].shape.size().div_ceil(2);
                    want(Owner::Rounded(*node), size, number, read_by(rounded(&self.graph, *node)));
                }
            }
        }
        let (places, end) = places::places(&self.order, &values, reserved);
        for (owner, place) in owners.into_iter().zip(places) {
            match owner {
                Owner::Node(node) => self.places[node.index()] = Some(place),
                Owner::Rounded(node) => drop(self.rounded.insert(node, place)),
                Owner::Workspace(task) => self.tasks[task].workspace = place,
            }
        }
        self.arena = end;
    }

    /// The number of elements the arena must have.
    pub fn arena(&self) -> usize {
        self.arena
    }

    /// What each task reads and writes, for callers that put tasks of their own beside them. A node's values
    /// have the number of the node; numbers from [`Self::values`] on are free.
    pub fn accesses(&self) -> &[Access] {
        &self.accesses
    }

    /// The order of a caller's tasks before the plan's, the plan's, and the caller's after all but those that store: if
    /// the plan's values are placed for a sequence, then all of them are one.
    pub fn order_with(&self, before: &[Access], after: &[Access]) -> Order {
        let (others, stores) = self.accesses.split_at(self.first_store);
        match self.order.is_sequence() {
            true => Order::sequence(before.len() + self.order.len() + after.len()),
            false => Order::new(&[before, others, after, stores].concat()),
        }
    }

    /// How many tasks there are that store nothing: those before all that do.
    pub fn first_store(&self) -> usize {
        self.first_store
    }

    /// The number of what tells tasks that draw random numbers which step it is: [`DeviceDraw::step`].
    ///
    /// [`DeviceDraw::step`]: super::DeviceDraw::step
    pub fn step(&self) -> usize {
        step(&self.graph)
    }

    /// One more than the largest number in [`Self::accesses`].
    pub fn values(&self) -> usize {
        self.step() + 1
    }

    /// The partial order of the tasks.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Where a node's values lie: of use for inputs, and for outputs after a run.
    ///
    /// # Panics
    /// When the node is neither an input nor computed as such.
    pub fn place(&self, node: NodeId) -> Range<usize> {
        match &self.places[node.index()] {
            Some(place) => place.clone(),
            None => panic!("node {} has no memory of its own in this plan", node.index()),
        }
    }

    /// Where the bfloat16 copy of a node's values lies.
    pub(super) fn place_of_rounded(&self, node: NodeId) -> Range<usize> {
        match self.rounded.get(&node) {
            Some(place) => place.clone(),
            None => panic!("node {} is no operand of a product in bfloat16", node.index()),
        }
    }

    /// In which numbers matrices are multiplied.
    pub(super) fn products(&self) -> Products {
        self.products
    }

    /// The shape of a node's values.
    pub fn shape(&self, node: NodeId) -> &Shape {
        &self.graph[node].shape
    }
}

/// Places residents and inputs, which keep their places; returns where they end.
fn place_inputs(graph: &Graph, wanted: Wanted<'_>, places: &mut [Option<Range<usize>>]) -> usize {
    for resident in wanted.residents {
        let (node, offset) = (resident.node, resident.offset);
        places[node.index()] = Some(offset..offset + graph[node].shape.size());
    }
    let inputs: Vec<NodeId> = graph.inputs().collect();
    place_outputs(graph, &inputs, places, wanted.reserved.next_multiple_of(ALIGNMENT))
}

/// Places nodes that have no place yet, which keep it to themselves, from an element on; returns where they end.
fn place_outputs(
    graph: &Graph,
    nodes: &[NodeId],
    places: &mut [Option<Range<usize>>],
    mut end: usize,
) -> usize {
    for node in nodes {
        let size = graph[*node].shape.size();
        if places[node.index()].is_none() {
            places[node.index()] = Some(if size == 0 { 0..0 } else { end..end + size });
            end += size.next_multiple_of(ALIGNMENT);
        }
    }
    end
}

/// The instructions as actions; in bfloat16 each operand of products is rounded once, before the first of them.
fn actions(instructions: Vec<Instruction>, products: Products) -> Vec<Action> {
    let (mut actions, mut done) = (Vec::new(), Vec::new());
    for instruction in instructions {
        if let (Work::Product { operands, .. }, Products::Bf16) = (&instruction.work, products) {
            for operand in operands {
                if !done.contains(operand) {
                    done.push(*operand);
                    actions.push(Action::Round(*operand));
                }
            }
        }
        actions.push(Action::Carry(instruction));
    }
    actions
}

/// The number of the step, behind those of nodes and of their copies.
fn step(graph: &Graph) -> usize {
    2 * graph.len()
}

/// The number of the bfloat16 copy of a node's values.
fn rounded(graph: &Graph, node: NodeId) -> usize {
    graph.len() + node.index()
}

fn access(graph: &Graph, action: &Action, products: Products) -> Access {
    let plain = |nodes: Vec<NodeId>| nodes.into_iter().map(NodeId::index).collect::<Vec<_>>();
    match action {
        Action::Round(node) => Access { reads: vec![node.index()], writes: vec![rounded(graph, *node)] },
        Action::Carry(instruction) => {
            let reads = match (&instruction.work, products) {
                (Work::Product { operands, epilogue, .. }, Products::Bf16) => {
                    let copies = operands.iter().map(|&node| rounded(graph, node));
                    let others = epilogue.iter().flat_map(|program| program.reads()).map(NodeId::index);
                    copies.chain(others).collect()
                }
                (Work::Operation, _) if matches!(graph[instruction.output].op, Op::DropoutMask(_)) => {
                    vec![step(graph)]
                }
                _ => plain(instruction.reads(graph)),
            };
            Access { reads, writes: plain(instruction.writes().collect()) }
        }
    }
}

/// Elements that an instruction needs for itself.
fn workspace(graph: &Graph, instruction: &Instruction, products: Products, tuning: &Tuning) -> usize {
    match &instruction.work {
        Work::Product { matmul, operands: [a, b], .. } => {
            let extents = matmul.extents(&graph[*a].shape, &graph[*b].shape);
            match products {
                Products::F32 => Gemm::<f32>::workspace(tuning.tiling::<f32>(*matmul, extents), extents),
                Products::Bf16 => Gemm::<bf16>::workspace(tuning.tiling::<bf16>(*matmul, extents), extents),
            }
        }
        Work::Operation => {
            let node = &graph[instruction.output];
            match &node.op {
                Op::Reduction(Reduction::Sum { axes }) => {
                    Sum::workspace_over(&graph[node.inputs[0]].shape, axes)
                }
                _ => 0,
            }
        }
        Work::Fill(_) | Work::Copy(_) | Work::Elementwise(_) | Work::CrossEntropy { .. } => 0,
    }
}
