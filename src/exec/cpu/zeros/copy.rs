//! The copy of a graph in other layouts, with images as what deviates from their background.

use super::given::Given;
use super::layout::Layouts;
use crate::graph::{Node, NodeId, Shape};
use crate::ops::{Binary, Builder, Leaf, MatMul, Op, Reduction, Var};

/// A copy in the making.
pub(super) struct Copied<'a, 'g> {
    given: &'a Given<'a>,
    layouts: &'a Layouts,
    builder: &'g Builder,
    /// The copies of each node: of its matrix as it is, and of the transpose.
    copies: Vec<[Option<Var<'g>>; 2]>,
    /// The input of images that are given as deviations.
    examples: Option<NodeId>,
    background: Option<Var<'g>>,
    /// Products with images that nothing reads but the addition of a bias, which is copied together with them.
    absorbed: Vec<bool>,
}

impl<'a, 'g> Copied<'a, 'g> {
    pub fn new(
        given: &'a Given<'a>,
        layouts: &'a Layouts,
        examples: Option<NodeId>,
        builder: &'g Builder,
    ) -> Self {
        let (copies, absorbed) = (vec![[None; 2]; given.graph.len()], vec![false; given.graph.len()]);
        Self { given, layouts, builder, copies, examples, background: None, absorbed }
    }

    /// The input of the background.
    pub fn background(&self) -> Option<Var<'g>> {
        self.background
    }

    /// Copies each node in its layout; broadcasts and transposes when something reads them.
    pub fn copy(&mut self) -> Option<()> {
        let given = self.given;
        let mut uses = vec![0; given.graph.len()];
        for read in given.nodes().flat_map(|(_, node)| &node.inputs).chain(&given.wanted) {
            uses[read.index()] += 1;
        }
        for (_, node) in given.nodes() {
            if let Some((product, _)) = self.product_and_bias(node) {
                self.absorbed[product.index()] = uses[product.index()] == 1;
            }
        }
        for (id, node) in given.nodes() {
            let follows = matrix_from_row(node).is_some() || given.behind(id).0 != id;
            if !follows && !self.absorbed[id.index()] {
                let copy = self.copy_of(id, node)?;
                self.copies[id.index()][usize::from(self.layouts.is_transposed(id))] = Some(copy);
            }
        }
        Some(())
    }

    /// The copy of a node in its own layout.
    fn copy_of(&mut self, id: NodeId, node: &Node<Op>) -> Option<Var<'g>> {
        let transposed = self.layouts.is_transposed(id);
        match &node.op {
            Op::Leaf(Leaf::Input(shape)) => {
                let name = self.given.graph.name(id).unwrap_or("input");
                let copy = self.builder.input(name, shape_of(shape, transposed));
                if self.examples == Some(id) {
                    self.background = Some(self.builder.input("background", []));
                }
                Some(copy)
            }
            Op::MatMul(matmul) => {
                let (product, share) = self.product(*matmul, &node.inputs, transposed)?;
                Some(share.map_or(product, |share| product + share))
            }
            Op::Unary(_) | Op::Binary(_) => match self.product_and_bias(node) {
                Some((product, bias)) if self.absorbed[product.index()] => {
                    let product = &self.given.graph[product];
                    let Op::MatMul(matmul) = product.op else { return None };
                    let (product, share) = self.product(matmul, &product.inputs, transposed)?;
                    let bias = self.of(bias, false)?;
                    Some(product + share.map_or(bias, |share| share + bias))
                }
                _ => self.apply(node, transposed),
            },
            Op::Reduction(Reduction::Sum { axes })
                if !axes.is_empty() && self.given.graph[node.inputs[0]].shape.len() == 2 =>
            {
                let (operand, transposed) = self.operand(node.inputs[0])?;
                Some(operand.sum_axes(&axes_of(axes, transposed)))
            }
            _ => self.apply(node, false),
        }
    }

    /// A node's operation on operands of some layout.
    fn apply(&mut self, node: &Node<Op>, transposed: bool) -> Option<Var<'g>> {
        let operands = node.inputs.iter().map(|&input| self.of(input, transposed));
        let operands = operands.collect::<Option<Vec<_>>>()?;
        Some(self.builder.apply(node.op.clone(), &operands))
    }

    /// The copy of a node in some layout: a transpose, if the node's own is the other one.
    pub fn of(&mut self, id: NodeId, transposed: bool) -> Option<Var<'g>> {
        let (id, flipped) = self.given.behind(id);
        let transposed = transposed != flipped;
        let [copy, other] = match self.copies[id.index()] {
            [plain, other] if transposed => [other, plain],
            copies => copies,
        };
        if copy.is_some() {
            return copy;
        }
        let copy = match matrix_from_row(&self.given.graph[id]) {
            Some((row, axes, shape)) => {
                self.of(row, false)?.broadcast_along(&axes_of(axes, transposed), shape_of(shape, transposed))
            }
            None => other?.t(),
        };
        self.copies[id.index()][usize::from(transposed)] = Some(copy);
        Some(copy)
    }

    /// The copy of a node in its own layout, and whether that is the transpose of what its reader expects.
    fn operand(&mut self, id: NodeId) -> Option<(Var<'g>, bool)> {
        let (id, flipped) = self.given.behind(id);
        let transposed = self.layouts.is_transposed(id);
        Some((self.of(id, transposed)?, transposed != flipped))
    }

    /// A product or its transpose, (A B)ᵀ = Bᵀ Aᵀ; if its first operand is images, without the background's share, which
    /// is to be added to each row: the background times the sums of the second operand.
    fn product(
        &mut self,
        matmul: MatMul,
        operands: &[NodeId],
        transposed: bool,
    ) -> Option<(Var<'g>, Option<Var<'g>>)> {
        let [a, b] = operands[..] else { return None };
        let ((a, a_flipped), (b, b_flipped)) = (self.operand(a)?, self.operand(b)?);
        let (flag_a, flag_b) = (matmul.transpose_a != a_flipped, matmul.transpose_b != b_flipped);
        let (matmul, [a, b]) = match transposed {
            false => (MatMul { transpose_a: flag_a, transpose_b: flag_b }, [a, b]),
            true => (MatMul { transpose_a: !flag_b, transpose_b: !flag_a }, [b, a]),
        };
        let product = self.builder.apply(Op::MatMul(matmul), &[a, b]);
        let summed = usize::from(matmul.transpose_b);
        let background = self.background.filter(|_| self.reads_images(operands));
        Some((product, background.map(|background| b.sum_axes(&[summed]) * background)))
    }

    fn reads_images(&self, operands: &[NodeId]) -> bool {
        operands.iter().any(|&operand| Some(self.given.behind(operand).0) == self.examples)
    }

    /// If a node adds the same row to all rows of a product with images, as they lie: the product and the row.
    fn product_and_bias(&self, node: &Node<Op>) -> Option<(NodeId, NodeId)> {
        let (Op::Binary(Binary::Add), &[a, b]) = (&node.op, &node.inputs[..]) else { return None };
        [(a, b), (b, a)].into_iter().find_map(|(product, other)| {
            let (row, axes, _) = matrix_from_row(&self.given.graph[other])?;
            let Node { op: Op::MatMul(_), inputs, .. } = &self.given.graph[product] else { return None };
            let along_rows = axes_of(axes, self.layouts.is_transposed(product))[..] == [0];
            (along_rows && self.reads_images(inputs)).then_some((product, row))
        })
    }

    /// Gives the copies the names of the nodes.
    pub fn name(&self) {
        let graph = self.given.graph;
        for (id, name) in graph.ids().filter_map(|id| Some((id, graph.name(id)?))) {
            let (id, transposed) = self.given.behind(id);
            let [plain, other] = self.copies[id.index()];
            let copy = if transposed { other.or(plain) } else { plain.or(other) };
            let is_named =
                |copy: &Var<'g>| copy.id().is_none_or(|id| self.builder.graph().name(id).is_some());
            if let Some(copy) = copy.filter(|copy| !is_named(copy)) {
                copy.named(name);
            }
        }
    }
}

/// If a node repeats a row, a column or a number to a matrix, which is as easily the matrix's transpose: what is repeated,
/// the new axes, and the shape.
fn matrix_from_row(node: &Node<Op>) -> Option<(NodeId, &[usize], &Shape)> {
    match &node.op {
        Op::Reduction(Reduction::Broadcast { axes, shape }) if shape.len() == 2 && !axes.is_empty() => {
            Some((node.inputs[0], axes, shape))
        }
        _ => None,
    }
}

/// Axes of a matrix, or the same of its transpose.
fn axes_of(axes: &[usize], transposed: bool) -> Vec<usize> {
    match axes {
        [axis] if transposed => vec![usize::from(*axis == 0)],
        _ => axes.to_vec(),
    }
}

/// The shape of a matrix, or of its transpose.
fn shape_of(shape: &Shape, transposed: bool) -> Shape {
    match shape[..] {
        [rows, columns] if transposed => [columns, rows].into(),
        _ => shape.clone(),
    }
}
