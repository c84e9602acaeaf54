//! Writing graphs in Rust: a copyable handle on a node, with the operators of arithmetic.
//!
//! Shapes are checked as the graph is built. The operators cannot return a `Result`, so a builder
//! remembers the *first* mistake, with the line of the caller's source, and hands it out in
//! [`Builder::finish`]; what is built after it changes nothing. Nothing panics.
//!
//! An operation applied twice to the same operands is one node.

use std::cell::{Ref, RefCell};
use std::fmt;
use std::hash::BuildHasher;
use std::panic::Location;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Graph, Leaf, Op, Reduction, Rule};
use crate::graph::{Node, NodeId, Shape};

/// An operation that does not fit its operands.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of {}: {problem} (at {location})", list(.shapes))]
pub struct GraphError {
    operation: &'static str,
    shapes: Vec<Shape>,
    problem: String,
    location: &'static Location<'static>,
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

/// A graph under construction.
///
/// ```
/// use cotangent::ops::Builder;
///
/// let builder = Builder::new();
/// let x = builder.input("x", [2, 3]);
/// let y = builder.input("y", [4, 5]);
/// let z = x.matmul(y); // does not fit
/// let error = builder.finish().unwrap_err().to_string();
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

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on building a finished graph; its identifiers stay what they were.
    pub fn extend(graph: Graph) -> Self {
        let mut known = Known::default();
        for (id, _) in graph.iter().filter(|(_, node)| !matches!(node.op, Op::Leaf(Leaf::Input(_)))) {
            known.insert(&graph, id);
        }
        Self { state: RefCell::new(State { graph, known, mistake: None }) }
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
        let mut state = self.state.borrow_mut();
        if state.mistake.is_some() {
            return nowhere;
        }
        if operands.iter().any(|operand| !std::ptr::eq(operand.builder, self)) {
            state.mistake = Some(GraphError::new(&op, &[], "the operands belong to different graphs".into()));
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
    pub(crate) fn owns<'a>(&self, vars: impl IntoIterator<Item = Var<'a>>) -> bool {
        let own = vars.into_iter().all(|var| std::ptr::eq(var.builder, self));
        if !own {
            self.state.borrow_mut().mistake.get_or_insert(GraphError {
                operation: "derivative",
                shapes: Vec::new(),
                problem: "the operands belong to different graphs".into(),
                location: Location::caller(),
            });
        }
        own
    }

    /// The finished graph.
    ///
    /// # Errors
    /// The first operation that did not fit its operands, with their shapes and the source line.
    pub fn finish(self) -> Result<Graph, GraphError> {
        let State { graph, mistake, .. } = self.state.into_inner();
        match mistake {
            None => Ok(graph),
            Some(mistake) => Err(mistake),
        }
    }
}

/// A node of a graph under construction: copied freely, combined with `+ - * /` and methods.
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

    /// The node, or nothing after a mistake.
    pub fn id(self) -> Option<NodeId> {
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
        self.builder.state.borrow_mut().mistake.get_or_insert(GraphError {
            operation: "derivative",
            shapes: vec![own, shape],
            problem: "a tangent or adjoint has the shape of its value".into(),
            location: Location::caller(),
        });
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
        let error = builder.finish().unwrap_err().to_string();
        assert!(error.starts_with("add of [2, 3] and [2, 4]: the shapes must be equal"), "{error}");
        assert!(error.contains(&format!("builder.rs:{line}:")), "{error}");
    }

    #[test]
    fn operands_of_two_graphs_are_a_mistake() {
        let (one, other) = (Builder::new(), Builder::new());
        let _ = one.input("x", [1]) + other.input("y", [1]);
        assert!(one.finish().unwrap_err().to_string().contains("different graphs"));
    }

    #[test]
    fn the_same_operation_on_the_same_operands_is_one_node() {
        let builder = Builder::new();
        let (x, y) = (builder.input("x", []), builder.input("y", []));
        assert_eq!((x * y).id(), (x * y).id());
        assert_ne!((x * y).id(), (y * x).id());
        assert_ne!(builder.input("x", []).id(), x.id());
        let graph = builder.finish().unwrap();
        let again = Builder::extend(graph.clone());
        let ids: Vec<_> = graph.ids().collect();
        let _ = again.var(ids[0]) * again.var(ids[1]);
        assert_eq!(again.finish().unwrap(), graph);
    }

    #[test]
    fn broadcasting_inserts_nodes_by_numpys_rule() {
        let builder = Builder::new();
        let matrix = builder.input("m", [2, 3]);
        assert_eq!((matrix + builder.input("row", [3])).shape(), [2, 3].into());
        assert_eq!((matrix + builder.input("column", [2, 1])).shape(), [2, 3].into());
        assert_eq!((builder.input("a", [4, 1]) + builder.input("b", [5])).shape(), [4, 5].into());
        assert_eq!((2.0 * matrix).shape(), [2, 3].into());
        assert!(builder.finish().is_ok());
    }
}
