//! Fusion: from nodes to instructions, each one pass over memory.
//!
//! - What is the same known number everywhere is computed now and becomes a constant.
//! - An elementwise node with one user, which is elementwise too, is computed in its user's loop.
//! - A broadcast that only elementwise nodes read is no instruction: they index its operand.
//! - A matrix product that only one such loop reads takes the loop as its epilogue: bias and ReLU
//!   forwards, ReLU's mask backwards, tile by tile while the tile is in cache.
//! - The loss and its gradient are found together: one reading of the logits gives both.
//! - What is stored into a parameter and its optimizer's state is one loop of several results (`stores`), which writes where
//!   the old values lie, and may be the epilogue of the product that the gradient is.

mod stores;

use super::Wanted;
use super::instruction::{Instruction, Load, MAX_REGISTERS, Program, ProgramStep, Source, Work};
use crate::graph::NodeId;
use crate::ops::{
    Binary, Classification, Draw, Graph, Layout, Leaf, MAX_ARITY, MatMul, Op, Reduction, Rule, Store, Tensor,
};

/// The instructions that compute what is wanted, in evaluation order, and behind them those that store. A loop that stores
/// may be the epilogue of the product that it is computed from if `products_store`.
pub(super) fn instructions(graph: &Graph, wanted: Wanted<'_>, products_store: bool) -> Vec<Instruction> {
    Fusion::new(graph, wanted, products_store).instructions()
}

/// A loop that stores.
#[derive(Clone, Debug)]
struct Update {
    /// The elementwise nodes that it computes, operands first.
    members: Vec<NodeId>,
    /// Those of them that are stored.
    values: Vec<NodeId>,
}

struct Fusion<'a> {
    graph: &'a Graph,
    /// The value of a node that is one known number everywhere.
    known: Vec<Option<f64>>,
    is_output: Vec<bool>,
    /// Whether the node's value is needed, by an output or by the caller.
    live: Vec<bool>,
    /// The edges from live nodes, and the stores.
    uses: Vec<u32>,
    /// The first live node that reads the node.
    first_user: Vec<Option<NodeId>>,
    /// Whether a live node that is not elementwise reads the node, so that it must be in memory.
    demanded: Vec<bool>,
    /// Elementwise nodes that are computed in their user's loop.
    inlined: Vec<bool>,
    /// For nodes computed as part of another's instruction.
    absorbed: Vec<bool>,
    /// Loops that store, and which of them computes a node.
    updates: Vec<Update>,
    update_of: Vec<Option<usize>>,
    /// What is stored by copying.
    copies: Vec<Store>,
    /// Whether loops that store may be epilogues; matrix products for which they may not.
    products_store: bool,
    kept_apart: Vec<bool>,
    /// Instructions found ahead, by the position where they stand.
    ahead: Vec<Option<Instruction>>,
}

impl<'a> Fusion<'a> {
    fn new(graph: &'a Graph, wanted: Wanted<'_>, products_store: bool) -> Self {
        let none = vec![false; graph.len()];
        let mut fusion = Self {
            graph,
            known: known_values(graph),
            is_output: none.clone(),
            live: none.clone(),
            uses: vec![0; graph.len()],
            first_user: vec![None; graph.len()],
            demanded: none.clone(),
            inlined: none.clone(),
            absorbed: none.clone(),
            updates: Vec::new(),
            update_of: vec![None; graph.len()],
            copies: Vec::new(),
            products_store,
            kept_apart: none,
            ahead: vec![None; graph.len()],
        };
        for output in wanted.outputs {
            fusion.is_output[output.index()] = true;
            fusion.live[output.index()] = true;
        }
        for store in wanted.stores {
            fusion.live[store.value.index()] = true;
            fusion.uses[store.value.index()] += 1;
        }
        fusion.find_uses();
        fusion.find_cross_entropy();
        fusion.find_stores(wanted.stores);
        fusion.find_inlined();
        fusion
    }

    fn is_elementwise(&self, id: NodeId) -> bool {
        matches!(self.graph[id].op, Op::Unary(_) | Op::Binary(_))
    }

    fn known(&self, id: NodeId) -> Option<f64> {
        self.known[id.index()]
    }

    fn find_uses(&mut self) {
        for (id, node) in self.graph.iter().rev() {
            if !self.live[id.index()] || self.known(id).is_some() {
                continue;
            }
            let elementwise = self.is_elementwise(id);
            for input in &node.inputs {
                self.live[input.index()] = true;
                self.uses[input.index()] += 1;
                self.first_user[input.index()] = Some(id);
                self.demanded[input.index()] |= !elementwise;
            }
        }
    }

    /// Softmax cross-entropy whose gradient, scale · (softmax(z) − one-hot(labels)), is needed too.
    fn find_cross_entropy(&mut self) {
        let losses: Vec<NodeId> = self
            .graph
            .ids()
            .filter(|&id| {
                self.live[id.index()]
                    && self.graph[id].op == Op::Classification(Classification::SoftmaxCrossEntropy)
            })
            .collect();
        for loss in losses {
            let [logits, labels] = self.graph[loss].inputs[..] else { continue };
            let found = self.graph.ids().find_map(|id| {
                let (scale, parts) = self.scaled_softmax_minus_one_hot(id, logits, labels)?;
                Some((id, scale, parts))
            });
            let Some((gradient, scale, parts)) = found else { continue };
            for part in parts.into_iter().chain([loss, gradient]) {
                self.absorbed[part.index()] = true;
            }
            let work = Work::CrossEntropy { logits, labels, gradient, scale };
            self.ahead[loss.min(gradient).index()] = Some(Instruction { work, output: loss, stores: false });
        }
    }

    /// If the node is s · (softmax(logits) − one-hot(labels)) with a known s, and the parts serve
    /// nothing else: s and the parts.
    fn scaled_softmax_minus_one_hot(
        &self,
        id: NodeId,
        logits: NodeId,
        labels: NodeId,
    ) -> Option<(f64, [NodeId; 3])> {
        let only_here = |part: NodeId| self.uses[part.index()] == 1 && !self.is_output[part.index()];
        let operands = |id: NodeId, op: Op| match self.graph[id].inputs[..] {
            [a, b] if self.graph[id].op == op => Some((a, b)),
            _ => None,
        };
        if !self.live[id.index()] || self.absorbed[id.index()] {
            return None;
        }
        let (a, b) = operands(id, Op::Binary(Binary::Mul))?;
        let (scale, difference) = match (self.known(a), self.known(b)) {
            (Some(scale), None) => (scale, b),
            (None, Some(scale)) => (scale, a),
            _ => return None,
        };
        let (softmax, one_hot) = operands(difference, Op::Binary(Binary::Sub))?;
        let is_softmax = self.graph[softmax].op == Op::Classification(Classification::Softmax)
            && self.graph[softmax].inputs == [logits];
        let is_one_hot = matches!(self.graph[one_hot].op, Op::Classification(Classification::OneHot { .. }))
            && self.graph[one_hot].inputs == [labels];
        let parts = [difference, softmax, one_hot];
        (is_softmax && is_one_hot && parts.into_iter().all(only_here)).then_some((scale, parts))
    }

    /// Lets each elementwise node take in those operands that it alone uses, while registers last.
    fn find_inlined(&mut self) {
        let mut registers = vec![0; self.graph.len()];
        for (id, node) in self.graph.iter() {
            if !self.live[id.index()] || !self.is_elementwise(id) || self.update_of[id.index()].is_some() {
                continue;
            }
            // One for the result; one is held back for the product of a matmul.
            let mut used = 1;
            for &input in &node.inputs {
                if self.known(input).is_some() || self.view(input).is_some() {
                    used += 1;
                }
            }
            for &input in &node.inputs {
                let candidate = self.is_elementwise(input)
                    && self.known(input).is_none()
                    && self.uses[input.index()] == 1
                    && !self.is_output[input.index()]
                    && !self.absorbed[input.index()];
                if candidate && used + registers[input.index()] < MAX_REGISTERS {
                    used += registers[input.index()];
                    self.inlined[input.index()] = true;
                }
            }
            registers[id.index()] = used;
        }
    }

    /// How elementwise code reads a broadcast without its being computed, if it can.
    fn view(&self, id: NodeId) -> Option<View> {
        let node = &self.graph[id];
        let Op::Reduction(Reduction::Broadcast { axes, shape }) = &node.op else { return None };
        if self.demanded[id.index()] || self.is_output[id.index()] {
            return None;
        }
        let (operand, kept) = (node.inputs[0], shape.len() - axes.len());
        let repeats_last = axes.last().is_some_and(|&last| last + 1 == shape.len());
        match (kept, repeats_last) {
            (0, _) => Some(View::Scalar(operand)),
            (1, false) => Some(View::PerColumn(operand)),
            (_, true) if axes.len() == 1 => Some(View::PerRow(operand)),
            _ => None,
        }
    }

    fn instructions(mut self) -> Vec<Instruction> {
        let (mut instructions, mut storing) = (Vec::new(), Vec::new());
        for (id, node) in self.graph.iter() {
            if let Some(instruction) = self.ahead[id.index()].take() {
                instructions.push(instruction);
            }
            let here = id.index();
            if !self.live[here] || self.absorbed[here] || self.inlined[here] || self.graph.is_input(id) {
                continue;
            }
            if let Some(update) = self.update_of[here].map(|number| &self.updates[number]) {
                if update.members.last() == Some(&id) {
                    let work = self.loop_over(&update.members, &update.values);
                    storing.push(Instruction { work, output: id, stores: true });
                }
                continue;
            }
            let work = if let Some(value) = self.known(id) {
                if !self.is_output[here] && !self.demanded[here] {
                    continue; // a constant inside its users
                }
                Work::Fill(value)
            } else if self.view(id).is_some() || self.is_epilogues_product(id) {
                continue; // read in place, or computed by the instruction that alone reads it
            } else {
                match node.op {
                    Op::Unary(_) | Op::Binary(_) => self.loop_over(&self.members(id), &[id]),
                    Op::MatMul(matmul) => Work::Product {
                        matmul,
                        operands: [node.inputs[0], node.inputs[1]],
                        start: None,
                        epilogue: None,
                    },
                    _ => Work::Operation,
                }
            };
            instructions.push(Instruction { work, output: id, stores: false });
        }
        let copy =
            |store: &Store| Instruction { work: Work::Copy(store.value), output: store.into, stores: true };
        instructions.into_iter().chain(storing).chain(self.copies.iter().map(copy)).collect()
    }

    /// The elementwise nodes that are computed in the loop of `root`, operands first, `root` last.
    fn members(&self, root: NodeId) -> Vec<NodeId> {
        let (mut members, mut pending) = (Vec::new(), vec![root]);
        while let Some(id) = pending.pop() {
            members.push(id);
            let inputs = self.graph[id].inputs.iter().copied();
            pending.extend(inputs.filter(|input| self.inlined[input.index()]));
        }
        members.sort_unstable();
        members
    }

    /// The matrix product that the loop of these members can take over: all its uses are theirs.
    fn product_of(&self, members: &[NodeId]) -> Option<(NodeId, MatMul)> {
        let operands = || members.iter().flat_map(|&member| &self.graph[member].inputs).copied();
        operands().find_map(|id| {
            let Op::MatMul(matmul) = self.graph[id].op else { return None };
            let uses_here = operands().filter(|&other| other == id).count();
            let only_here = !self.is_output[id.index()] && uses_here == self.uses[id.index()] as usize;
            (only_here && !self.kept_apart[id.index()]).then_some((id, matmul))
        })
    }

    /// Whether some loop takes over this matrix product.
    fn is_epilogues_product(&self, id: NodeId) -> bool {
        if !matches!(self.graph[id].op, Op::MatMul(_)) || self.demanded[id.index()] {
            return false;
        }
        // Only its first user's loop can: go up to the loop's root and ask it.
        let mut root = self.first_user[id.index()];
        while let Some(inlined) = root.filter(|root| self.inlined[root.index()]) {
            root = self.first_user[inlined.index()];
        }
        let product = root.and_then(|root| match self.update_of[root.index()] {
            Some(number) => self.product_of(&self.updates[number].members),
            None => self.product_of(&self.members(root)),
        });
        product.is_some_and(|(product, _)| product == id)
    }

    /// A loop over some nodes, of which it leaves `results`; as an epilogue where it can be one.
    fn loop_over(&self, members: &[NodeId], results: &[NodeId]) -> Work {
        let product = self.product_of(members);
        let mut program = self.program(members, results, product.map(|(id, _)| id));
        match product {
            Some((id, matmul)) => {
                let inputs = &self.graph[id].inputs;
                Work::Product {
                    matmul,
                    operands: [inputs[0], inputs[1]],
                    start: None,
                    epilogue: Some(program),
                }
            }
            None => {
                let by_row = program.loads.iter().any(|load| matches!(load, Load::PerRow(_)));
                let mut sources = program.steps.iter().flat_map(|step| step.sources());
                let by_column = sources.any(|source| matches!(source, Source::PerColumn(_)));
                if !by_row && !by_column {
                    (program.rows, program.columns) = (1, program.rows * program.columns);
                }
                Work::Elementwise(program)
            }
        }
    }

    fn program(&self, members: &[NodeId], results: &[NodeId], product: Option<NodeId>) -> Program {
        // The loads come first, so that each register's number is known when a step refers to it.
        let mut loads: Vec<Load> = Vec::new();
        for &operand in members.iter().flat_map(|&member| &self.graph[member].inputs) {
            if let Some(load) = self.load(operand, product)
                && !loads.contains(&load)
            {
                loads.push(load);
            }
        }
        let source = |operand: NodeId| {
            let load = self.load(operand, product);
            let register = loads.iter().position(|&other| Some(other) == load);
            let step = members.binary_search(&operand).ok().map(|step| loads.len() + step);
            match (register.or(step), self.view(operand)) {
                (Some(register), _) => Source::Register(register),
                (None, Some(View::PerColumn(node))) => Source::PerColumn(node),
                (None, _) => Source::Full(operand),
            }
        };
        let steps = members.iter().filter_map(|&member| {
            let node = &self.graph[member];
            match node.op {
                Op::Unary(unary) => Some(ProgramStep::Unary(unary, source(node.inputs[0]))),
                Op::Binary(binary) => {
                    Some(ProgramStep::Binary(binary, source(node.inputs[0]), source(node.inputs[1])))
                }
                _ => None, // members are elementwise
            }
        });
        let steps = steps.collect();
        let root = members.last().map(|&root| self.graph[root].shape.rows_and_columns());
        let (rows, columns) = root.unwrap_or((0, 0));
        let results = members.iter().enumerate().filter(|(_, member)| results.contains(member));
        let results = results.map(|(step, &member)| (step, member)).collect();
        Program { loads, steps, rows, columns, results }
    }

    fn load(&self, operand: NodeId, product: Option<NodeId>) -> Option<Load> {
        if let Some(value) = self.known(operand) {
            return Some(Load::Constant(value.into()));
        }
        if product == Some(operand) {
            return Some(Load::Product);
        }
        match self.view(operand) {
            Some(View::Scalar(node)) => Some(Load::Scalar(node)),
            Some(View::PerRow(node)) => Some(Load::PerRow(node)),
            _ => None,
        }
    }
}

/// A broadcast as elementwise code reads it.
enum View {
    Scalar(NodeId),
    PerRow(NodeId),
    PerColumn(NodeId),
}

impl View {
    /// The node that is repeated.
    fn operand(&self) -> NodeId {
        match *self {
            Self::Scalar(node) | Self::PerRow(node) | Self::PerColumn(node) => node,
        }
    }
}

/// The nodes that are one number everywhere, whatever the inputs: constants and what is made of them.
fn known_values(graph: &Graph) -> Vec<Option<f64>> {
    let mut known: Vec<Option<f64>> = vec![None; graph.len()];
    for (id, node) in graph.iter() {
        known[id.index()] = match &node.op {
            Op::Leaf(Leaf::Constant(value)) => Some(value.get()),
            Op::Reduction(Reduction::Broadcast { .. })
            | Op::Layout(Layout::Reshape(_) | Layout::Transpose { .. }) => known[node.inputs[0].index()],
            Op::Unary(_) | Op::Binary(_) => {
                let shape = Default::default();
                let mut values = [0.0; MAX_ARITY];
                let all = node
                    .inputs
                    .iter()
                    .zip(&mut values)
                    .all(|(input, value)| known[input.index()].map(|number| *value = number).is_some());
                all.then(|| {
                    let tensor = |value| Tensor { shape: &shape, data: std::slice::from_ref(value) };
                    let [a, b] = &values;
                    let mut result = [0.0];
                    node.op.evaluate(
                        &[tensor(a), tensor(b)][..node.inputs.len()],
                        Draw::default(),
                        &mut result,
                    );
                    result[0]
                })
            }
            _ => None,
        };
    }
    known
}

#[cfg(test)]
mod tests;
