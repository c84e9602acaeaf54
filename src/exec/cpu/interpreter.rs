//! The plain executor: node by node in evaluation order, and every value is kept.
//!
//! A plan computes only what its outputs need, in fused passes over memory that values share. Whoever wants to see
//! *all* values, as a trace does, reads them here; and may compute a stretch of the nodes again
//! after some inputs have changed.

use std::ops::Range;

use crate::float::Float;
use crate::graph::NodeId;
use crate::ops::{Draw, Graph, MAX_ARITY, Rule, Tensor};

/// A graph with a value for every node.
#[derive(Clone, Debug)]
pub struct Interpreter<'g, T> {
    graph: &'g Graph,
    /// Where each node's values begin; one more entry for the end.
    places: Vec<usize>,
    values: Vec<T>,
}

impl<'g, T: Float> Interpreter<'g, T> {
    /// All values are zero.
    pub fn new(graph: &'g Graph) -> Self {
        let mut places = vec![0];
        let mut end = 0;
        for (_, node) in graph.iter() {
            end += node.shape.size();
            places.push(end);
        }
        Self { graph, places, values: vec![T::zero(); end] }
    }

    /// Gives an input its values.
    ///
    /// # Panics
    /// When they are not as many as its shape says.
    pub fn set(&mut self, input: NodeId, values: &[T]) {
        let place = self.place(input);
        self.values[place].copy_from_slice(values);
    }

    /// Computes the nodes at these positions of the evaluation order from those before.
    pub fn run(&mut self, nodes: Range<usize>, draw: Draw) {
        for id in self.graph.ids().take(nodes.end).skip(nodes.start) {
            let node = &self.graph[id];
            let place = self.place(id);
            let (earlier, rest) = self.values.split_at_mut(place.start);
            let empty = Tensor { shape: &node.shape, data: &[] };
            let mut inputs = [empty; MAX_ARITY];
            for (tensor, &input) in inputs.iter_mut().zip(&node.inputs) {
                let place = self.places[input.index()]..self.places[input.index() + 1];
                *tensor = Tensor { shape: &self.graph[input].shape, data: &earlier[place] };
            }
            node.op.evaluate(&inputs[..node.inputs.len()], draw, &mut rest[..place.len()]);
        }
    }

    /// The values of a node: zeros before they are computed.
    pub fn get(&self, node: NodeId) -> &[T] {
        &self.values[self.place(node)]
    }

    fn place(&self, node: NodeId) -> Range<usize> {
        self.places[node.index()]..self.places[node.index() + 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Builder;

    #[test]
    fn every_value_is_kept_and_a_stretch_is_computed_again() {
        let builder = Builder::new();
        let (x, y) = (builder.input("x", [2]), builder.input("y", [2]));
        let square = x * x;
        let total = (square + y).sum();
        let function = builder.finish([x, y], [square, total]).unwrap();
        let (graph, [x, y], [square, total]) = (function.graph, function.inputs, function.outputs);
        let mut values = Interpreter::<f64>::new(&graph);
        values.set(x, &[1.0, 3.0]);
        values.set(y, &[0.5, 0.5]);
        values.run(0..graph.len(), Draw::default());
        assert_eq!((values.get(square), values.get(total)), (&[1.0, 9.0][..], &[11.0][..]));
        values.set(y, &[1.0, 1.0]);
        values.set(x, &[7.0, 7.0]);
        values.run(square.index() + 1..graph.len(), Draw::default());
        assert_eq!((values.get(square), values.get(total)), (&[1.0, 9.0][..], &[12.0][..]));
    }
}
