//! The operations: everything the engine knows about each, in one place.
//!
//! An operation is a value of [`Op`]; its family's file holds how it is built ([`Var`] methods), its
//! shape rule, its derivative, its CPU code and its test. Executors and transforms go through the one
//! trait [`Rule`] and never look inside.
//!
//! A derivative rule maps graph to graph: it writes the nodes that compute the derivative, so a
//! derivative can be printed, planned and differentiated again. It is given the operation's output
//! too, so that `exp` can say `t * y`, and it returns nothing where nothing flows, not zeros.

mod builder;
mod classification;
mod elementwise;
mod function;
mod layout;
mod leaf;
mod matmul;
mod random;
mod reduction;

pub use builder::{Builder, GraphError, Var};
pub use classification::{Classification, cross_entropy_with_gradient};
pub use elementwise::{Binary, Unary};
pub(crate) use function::tree_of_fields;
pub use function::{CallError, Function, Store, Tree, Unequal};
pub use layout::Layout;
pub use leaf::{Leaf, Real};
pub use matmul::{Extents, MatMul};
pub use random::{Draw, DropoutMask};
pub use reduction::Reduction;

use crate::float::Float;
use crate::graph::{self, NodeId, Shape};

/// A program over the operations of this module.
pub type Graph = graph::Dag<Op>;

/// An operation, by family.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "each variant is documented at its family's type")]
pub enum Op {
    Leaf(Leaf),
    Unary(Unary),
    Binary(Binary),
    Reduction(Reduction),
    Layout(Layout),
    MatMul(MatMul),
    Classification(Classification),
    DropoutMask(DropoutMask),
}

/// The values of a node as an operation reads them: row-major elements and their shape.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a, T> {
    /// The extents.
    pub shape: &'a Shape,
    /// `shape.size()` elements.
    pub data: &'a [T],
}

/// Where a derivative is taken: the operation's inputs and its output, as nodes.
#[derive(Clone, Copy)]
pub struct At<'a, 'g> {
    /// The operands.
    pub inputs: &'a [Var<'g>],
    /// The result.
    pub output: Var<'g>,
}

/// The most operands that any operation has.
pub const MAX_ARITY: usize = 2;

/// What there is to know about an operation.
pub trait Rule {
    /// The operation's name, as errors and traces print it.
    fn name(&self) -> &'static str;

    /// The number of operands.
    fn arity(&self) -> usize;

    /// The shape of the result, or what is wrong with the operands' shapes.
    ///
    /// # Errors
    /// A phrase that completes "matmul of [2, 3] and [4, 5]: ...".
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, String>;

    /// Forward mode: the part of the output's tangent that comes from operand `k`, J_k t.
    fn jvp<'g>(&self, k: usize, tangent: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>>;

    /// Reverse mode: what the output's adjoint adds to operand `k`'s, J_kᵀ g.
    ///
    /// Where the Jacobian is symmetric (elementwise operations, softmax) this is `jvp`, and one rule
    /// serves both modes.
    fn vjp<'g>(&self, k: usize, adjoint: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        self.jvp(k, adjoint, at)
    }

    /// Computes the result on the CPU. `output` holds as many elements as the shape rule says and
    /// is wholly overwritten; nothing is allocated.
    fn evaluate<T: Float>(&self, inputs: &[Tensor<'_, T>], draw: Draw, output: &mut [T]);
}

/// Hands a call on to the family that the operation belongs to: the one list of the families.
macro_rules! for_family {
    ($op:expr, $rule:ident => $call:expr) => {
        match $op {
            Op::Leaf($rule) => $call,
            Op::Unary($rule) => $call,
            Op::Binary($rule) => $call,
            Op::Reduction($rule) => $call,
            Op::Layout($rule) => $call,
            Op::MatMul($rule) => $call,
            Op::Classification($rule) => $call,
            Op::DropoutMask($rule) => $call,
        }
    };
}

impl Rule for Op {
    fn name(&self) -> &'static str {
        for_family!(self, rule => rule.name())
    }
    fn arity(&self) -> usize {
        for_family!(self, rule => rule.arity())
    }
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        for_family!(self, rule => rule.shape(inputs))
    }
    fn jvp<'g>(&self, k: usize, tangent: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        for_family!(self, rule => rule.jvp(k, tangent, at))
    }
    fn vjp<'g>(&self, k: usize, adjoint: Var<'g>, at: At<'_, 'g>) -> Option<Var<'g>> {
        for_family!(self, rule => rule.vjp(k, adjoint, at))
    }
    fn evaluate<T: Float>(&self, inputs: &[Tensor<'_, T>], draw: Draw, output: &mut [T]) {
        for_family!(self, rule => rule.evaluate(inputs, draw, output))
    }
}

/// A node a line: `4: mul(2, 3) [2, 5] "name"`.
impl Graph {
    /// Whether a node's values come from outside.
    pub fn is_input(&self, id: NodeId) -> bool {
        matches!(self[id].op, Op::Leaf(Leaf::Input(_)))
    }

    /// The nodes whose values come from outside.
    pub fn inputs(&self) -> impl Iterator<Item = NodeId> {
        self.ids().filter(|&id| self.is_input(id))
    }
}

impl std::fmt::Display for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (id, node) in self.iter() {
            let inputs: Vec<String> = node.inputs.iter().map(|input| input.index().to_string()).collect();
            write!(f, "{}: {}({}) {}", id.index(), node.op.name(), inputs.join(", "), node.shape)?;
            match (&node.op, self.name(id)) {
                (Op::Leaf(Leaf::Constant(value)), _) => writeln!(f, " = {value:?}")?,
                (_, Some(name)) => writeln!(f, " \"{name}\"")?,
                _ => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// Checks a whole graph anew: every node's shape is what its operation's rule says.
///
/// # Errors
/// The first node that disagrees, with its operation and shapes.
pub fn check(graph: &Graph) -> Result<(), GraphError> {
    for (_, node) in graph.iter() {
        let inputs: Vec<&Shape> = node.inputs.iter().map(|&input| &graph[input].shape).collect();
        let shape = builder::infer_shape(&node.op, &inputs)?;
        if shape != node.shape {
            return Err(GraphError::new(
                &node.op,
                &inputs,
                format!("the node says {}, the shape rule says {shape}", node.shape),
            ));
        }
    }
    Ok(())
}
