//! Writing graphs in Rust: a copyable handle on a node, with the operators of arithmetic.
//!
//! Shapes are checked as the graph is built. The operators cannot return a `Result`, so a builder
//! remembers the *first* mistake, with the line of the caller's source, and hands it out in
//! [`Builder::finish`]; what is built after it changes nothing.
//!
//! An operation applied twice to the same operands is one node.

use std::cell::{Ref, RefCell};
use std::fmt;
use std::hash::BuildHasher;
use std::panic::Location;
use std::{mem, ptr};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::function::{Function, Store, Tree};
use super::{Graph, Leaf, Op, Reduction, Rule};
use crate::graph::{Node, NodeId, Shape};

/// An operation that does not fit its operands, or a function that does not fit its graph.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} of {}: {problem} (at {location})", list(.shapes))]
pub struct GraphError {
    operation: &'static str,
    shapes: Vec<Shape>,
    problem: String,
    location: &'static Location<'static>,
}

/// A node as messages name it: its name in quotation marks, or its number.
pub(super) fn name_of(graph: &Graph, id: NodeId) -> String {
    graph.name(id).map_or_else(|| format!("node {}", id.index()), |name| format!("{name:?}"))
}

fn list(shapes: &[Shape]) -> String {
    match shapes {
        [] => "nothing".into(),
        _ => shapes.iter().map(Shape::to_string).collect::<Vec<_>>().join(" and "),
    }
}

impl GraphError {
    #[track_caller]
    pub(super) fn new(op: &Op, inputs: &[&Shape], problem: String) -> Self {
        let shapes = inputs.iter().map(|&shape| shape.clone()).collect();
        Self { operation: op.name(), shapes, problem, location: Location::caller() }
    }
}

/// The shape of an operation's result, its number of operands checked too.
#[track_caller]
pub(super) fn infer_shape(op: &Op, inputs: &[&Shape]) -> Result<Shape, GraphError> {
    if inputs.len() != op.arity() {
        let problem = format!("it takes {} operands, not {}", op.arity(), inputs.len());
        return Err(GraphError::new(op, inputs, problem));
    }
    // No closure here: the caller's place in the source would end at it.
    match op.shape(inputs) {
        Ok(shape) => Ok(shape),
        Err(problem) => Err(GraphError::new(op, inputs, problem)),
    }
}

/// The function that [`Builder::finish`] makes of inputs and outputs.
type Finished<'g, I, O> = Function<<I as Tree<Var<'g>>>::With<NodeId>, <O as Tree<Var<'g>>>::With<NodeId>>;

/// A graph under construction.
///
/// ```
/// use cotangent::ops::Builder;
///
/// let builder = Builder::new();
/// let x = builder.input("x", [2, 3]);
/// let y = builder.input("y", [4, 5]);
/// let z = x.matmul(y); // does not fit
/// let error = builder.finish([x, y], z).unwrap_err().to_string();
/// assert!(error.starts_with("matmul of [2, 3] and [4, 5]: the sums would run over 3 elements of A and 4 of B"));
/// ```
#[derive(Default)]
pub struct Builder {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    graph: Graph,
    known: Known,
    stores: Vec<Store>,
    mistake: Option<GraphError>,
}

/// Where each operation on given operands already stands. The keys are read in the graph, not kept a second time.
#[derive(Default)]
struct Known {
    nodes: HashTable<NodeId>,
    hasher: DefaultHashBuilder,
}

impl Known {
    fn find(&self, graph: &Graph, op: &Op, inputs: &[NodeId]) -> Option<NodeId> {
        let same = |&id: &NodeId| graph[id].op == *op && graph[id].inputs == inputs;
        self.nodes.find(self.hasher.hash_one((op, inputs)), same).copied()
    }

    fn insert(&mut self, graph: &Graph, id: NodeId) {
        let hash = |&id: &NodeId| self.hasher.hash_one((&graph[id].op, &graph[id].inputs[..]));
        self.nodes.insert_unique(hash(&id), id, hash);
    }
}

impl State {
    /// Why a value cannot be stored into a node, if so.
    fn problem_of_store(&self, Store { into, value }: Store) -> Option<String> {
        let [value_name, into_name] = [value, into].map(|id| name_of(&self.graph, id));
        if !self.graph.is_input(into) {
            Some(format!("{into_name} is computed, and only inputs are stored into"))
        } else if self.graph.is_input(value) {
            Some(format!("{value_name} is an input itself: store what is computed"))
        } else if self.graph[value].shape != self.graph[into].shape {
            Some(format!("{value_name} has another shape than {into_name}, which it is stored into"))
        } else if self.stores.iter().any(|store| store.into == into) {
            Some(format!("{into_name} is stored into already"))
        } else {
            None
        }
    }

    /// The first input that a function with these inputs and outputs must not have, or lacks, and why.
    fn problem_of_inputs(&self, given: &[NodeId], mut wanted: Vec<NodeId>) -> Option<(NodeId, &'static str)> {
        let mut is_given = vec![false; self.graph.len()];
        for &id in given {
            if !self.graph.is_input(id) {
                return Some((
                    id,
                    "is computed, and cannot be an input of the function: name what it depends on",
                ));
            }
            if mem::replace(&mut is_given[id.index()], true) {
                return Some((id, "is named twice among the function's inputs: name it once"));
            }
        }
        wanted.extend(self.stores.iter().flat_map(|store| [store.value, store.into]));
        let needed = self.graph.ancestors(&wanted);
        let lacks = |id: &NodeId| needed[id.index()] && self.graph.is_input(*id) && !is_given[id.index()];
        let missing = self.graph.ids().find(lacks)?;
        Some((missing, "is needed, and is not among the function's inputs: name it there"))
    }
}

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on building a finished graph; its identifiers stay what they were.
    pub fn extend(graph: Graph) -> Self {
        let mut known = Known::default();
        for id in graph.ids().filter(|&id| !graph.is_input(id)) {
            known.insert(&graph, id);
        }
        Self { state: RefCell::new(State { graph, known, stores: Vec::new(), mistake: None }) }
    }

    /// A new input: values of the given shape that come from outside.
    pub fn input(&self, name: &str, shape: impl Into<Shape>) -> Var<'_> {
        let shape = shape.into();
        let op = Op::Leaf(Leaf::Input(shape.clone()));
        let mut state = self.state.borrow_mut();
        let id = state.graph.push(Node { op, inputs: Vec::new(), shape });
        state.graph.set_name(id, name);
        Var { builder: self, id: Some(id) }
    }

    /// A number as a scalar node.
    pub fn constant(&self, value: f64) -> Var<'_> {
        self.apply(Op::Leaf(Leaf::Constant(value.into())), &[])
    }

    /// The handle of a node of this graph.
    ///
    /// # Panics
    /// When the graph has no such node.
    pub fn var(&self, id: NodeId) -> Var<'_> {
        assert!(id.index() < self.graph().len(), "node {} of a graph of {}", id.index(), self.graph().len());
        Var { builder: self, id: Some(id) }
    }

    /// The graph as it stands. Nothing can be built while this is held.
    pub fn graph(&self) -> Ref<'_, Graph> {
        Ref::map(self.state.borrow(), |state| &state.graph)
    }

    /// Applies an operation: the node that already does so, or a new one.
    #[track_caller]
    pub fn apply<'g>(&'g self, op: Op, operands: &[Var<'g>]) -> Var<'g> {
        let nowhere = Var { builder: self, id: None };
        self.owns(op.name(), operands.iter().copied());
        let mut state = self.state.borrow_mut();
        if state.mistake.is_some() {
            return nowhere;
        }
        // Without a mistake so far, every handle of this builder has a node.
        let inputs: Vec<NodeId> = operands.iter().filter_map(|operand| operand.id).collect();
        if let Some(id) = state.known.find(&state.graph, &op, &inputs) {
            return Var { builder: self, id: Some(id) };
        }
        let shapes: Vec<&Shape> = inputs.iter().map(|&input| &state.graph[input].shape).collect();
        match infer_shape(&op, &shapes) {
            Ok(shape) => {
                let State { graph, known, .. } = &mut *state;
                let id = graph.push(Node { op, inputs, shape });
                known.insert(graph, id);
                Var { builder: self, id: Some(id) }
            }
            Err(mistake) => {
                state.mistake = Some(mistake);
                nowhere
            }
        }
    }

    /// Whether all these handles are this builder's; if not, that is a mistake.
    #[track_caller]
    pub(crate) fn owns<'a>(&self, operation: &'static str, vars: impl IntoIterator<Item = Var<'a>>) -> bool {
        let Some(foreign) = vars.into_iter().find(|var| !ptr::eq(var.builder, self)) else { return true };
        let name = foreign.id.map_or("a node".into(), |id| name_of(&foreign.builder.graph(), id));
        let problem = format!("{name} belongs to another builder's graph: write all in one");
        self.refuse(operation, vec![foreign.shape()], problem);
        false
    }

    /// Lets a value replace an input's, once everything that reads the input has run.
    ///
    /// Every function that this builder finishes from then on has the store. It is a mistake to store what is an input
    /// itself, another shape than the input's, or twice into the same input.
    #[track_caller]
    pub fn store(&self, value: Var<'_>, into: Var<'_>) {
        if !self.owns("store", [value, into]) {
            return;
        }
        let (Some(value), Some(into)) = (value.id, into.id) else { return }; // a mistake stands in the builder
        let store = Store { into, value };
        let problem = self.state.borrow().problem_of_store(store);
        match problem {
            Some(problem) => self.refuse("store", self.shapes([value, into]), problem),
            None => self.state.borrow_mut().stores.push(store),
        }
    }

    fn shapes<const N: usize>(&self, nodes: [NodeId; N]) -> Vec<Shape> {
        let graph = self.graph();
        nodes.map(|node| graph[node].shape.clone()).into()
    }

    /// Remembers a mistake, if it is the first.
    #[track_caller]
    fn refuse(&self, operation: &'static str, shapes: Vec<Shape>, problem: String) {
        let location = Location::caller();
        let mistake = GraphError { operation, shapes, problem, location };
        self.state.borrow_mut().mistake.get_or_insert(mistake);
    }

    /// The program that computes `outputs` from `inputs`, and stores what [`store`](Self::store) was told. Both are
    /// handles in any arrangement, which the function's own nodes, arguments and results have as well.
    ///
    /// The builder keeps what was built, and can go on.
    ///
    /// # Errors
    /// The first mistake, with the shapes and the source line: an operation that did not fit its operands, or here
    /// something among `inputs` that is computed or named twice, an input that outputs or stores need and `inputs`
    /// lacks, or a handle of another builder.
    #[track_caller]
    pub fn finish<'g, I: Tree<Var<'g>>, O: Tree<Var<'g>>>(
        &'g self,
        inputs: I,
        outputs: O,
    ) -> Result<Finished<'g, I, O>, GraphError> {
        let (mut given, mut wanted) = (Vec::new(), Vec::new());
        let node = |var: Var<'g>, list: &mut Vec<Var<'g>>| {
            list.push(var);
            var.id.unwrap_or(NodeId::FIRST) // after a mistake, which is returned below
        };
        let inputs = inputs.map(&mut |var| node(var, &mut given));
        let outputs = outputs.map(&mut |var| node(var, &mut wanted));
        if self.owns("function", given.iter().chain(&wanted).copied()) {
            let ids = |vars: Vec<Var<'g>>| -> Vec<NodeId> { vars.iter().filter_map(|var| var.id).collect() };
            let problem = self.state.borrow().problem_of_inputs(&ids(given), ids(wanted));
            if let Some((id, problem)) = problem {
                self.var(id).refused("function", problem);
            }
        }
        let state = self.state.borrow();
        match &state.mistake {
            Some(mistake) => Err(mistake.clone()),
            None => {
                Ok(Function { graph: state.graph.clone(), inputs, outputs, stores: state.stores.clone() })
            }
        }
    }
}

/// A node of a graph under construction: copied freely, combined with `+ - * /` and methods. Two handles are equal if
/// they stand for the same node.
#[derive(Clone, Copy)]
pub struct Var<'g> {
    builder: &'g Builder,
    /// Nothing after a mistake.
    id: Option<NodeId>,
}

impl<'g> Var<'g> {
    /// The builder that the node belongs to.
    pub fn builder(self) -> &'g Builder {
        self.builder
    }

    /// The node, or nothing after a mistake. Others get nodes from [`Builder::finish`], which checks them.
    pub(crate) fn id(self) -> Option<NodeId> {
        self.id
    }

    /// The number that this node is everywhere, if it was written as one.
    pub(super) fn constant_value(self) -> Option<f64> {
        let graph = self.builder.graph();
        let mut node = &graph[self.id?];
        while let Op::Reduction(Reduction::Broadcast { .. }) = node.op {
            node = &graph[node.inputs[0]];
        }
        match node.op {
            Op::Leaf(Leaf::Constant(value)) => Some(value.get()),
            _ => None,
        }
    }

    /// The shape; a scalar's after a mistake.
    pub fn shape(self) -> Shape {
        self.id.map(|id| self.builder.graph()[id].shape.clone()).unwrap_or_default()
    }

    /// This value, which must have the shape of the one that it is a tangent or adjoint of.
    #[track_caller]
    pub(crate) fn expect_shape(self, shape: Shape) -> Self {
        let own = self.shape();
        if self.id.is_none() || own == shape {
            return self;
        }
        let problem = "a tangent or adjoint has the shape of its value".into();
        self.builder.refuse("derivative", vec![own, shape], problem);
        Self { builder: self.builder, id: None }
    }

    /// A handle without a node: this one cannot be had for an operation, for the reason given.
    #[track_caller]
    pub(crate) fn refused(self, operation: &'static str, problem: &str) -> Self {
        if let Some(id) = self.id {
            let problem = format!("{} {problem}", name_of(&self.builder.graph(), id));
            self.builder.refuse(operation, vec![self.shape()], problem);
        }
        Self { builder: self.builder, id: None }
    }

    /// Names the node for people to read.
    pub fn named(self, name: impl Into<String>) -> Self {
        if let Some(id) = self.id {
            self.builder.state.borrow_mut().graph.set_name(id, name);
        }
        self
    }
}

impl PartialEq for Var<'_> {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.builder, other.builder) && self.id == other.id
    }
}

impl fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "Var({}: {})", id.index(), self.shape()),
            None => write!(f, "Var(after a mistake)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mistake_is_kept_with_its_source_line() {
        let builder = Builder::new();
        let x = builder.input("x", [2, 3]);
        let bad = x + builder.input("y", [2, 4]);
        let line = line!() - 1;
        let _later = bad.matmul(x).sum() * 2.0;
        let error = builder.finish((), ()).unwrap_err().to_string();
        assert!(error.starts_with("add of [2, 3] and [2, 4]: the shapes must be equal"), "{error}");
        assert!(error.contains(&format!("builder.rs:{line}:")), "{error}");
    }

    #[test]
    fn operands_of_two_graphs_are_a_mistake() {
        let (one, other) = (Builder::new(), Builder::new());
        let _ = one.input("x", [1]) + other.input("y", [1]);
        assert!(
            one.finish((), ()).unwrap_err().to_string().contains("\"y\" belongs to another builder's graph")
        );
    }

    #[test]
    fn the_same_operation_on_the_same_operands_is_one_node() {
        let builder = Builder::new();
        let (x, y) = (builder.input("x", []), builder.input("y", []));
        assert_eq!(x * y, x * y);
        assert_ne!(x * y, y * x);
        assert_ne!(builder.input("x", []), x);
        let graph = builder.finish((), ()).unwrap().graph;
        let again = Builder::extend(graph.clone());
        let ids: Vec<_> = graph.ids().collect();
        let _ = again.var(ids[0]) * again.var(ids[1]);
        assert_eq!(again.finish((), ()).unwrap().graph, graph);
    }

    #[test]
    fn broadcasting_inserts_nodes_by_numpys_rule() {
        let builder = Builder::new();
        let matrix = builder.input("m", [2, 3]);
        assert_eq!((matrix + builder.input("row", [3])).shape(), [2, 3].into());
        assert_eq!((matrix + builder.input("column", [2, 1])).shape(), [2, 3].into());
        assert_eq!((builder.input("a", [4, 1]) + builder.input("b", [5])).shape(), [4, 5].into());
        assert_eq!((2.0 * matrix).shape(), [2, 3].into());
        assert!(builder.finish((), ()).is_ok());
    }
}
