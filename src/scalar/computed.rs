//! The numbers of a trace while it is made: all nodes computed, and looked at for what has no finite value.

use std::ops::Range;

use super::asked::{Asked, unit};
use super::domain::{DomainError, Explain, NodeNames};
use super::error::shortened;
use super::formula::Formula;
use super::notes::{self, Losses};
use super::range::Survey;
use super::steps::Steps;
use super::trace::{Summand, TraceRow};
use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::{Draw, Graph};

/// The numbers of a trace while they are computed.
pub(super) struct Computed<'c> {
    formula: &'c Formula,
    graph: &'c Graph,
    steps: &'c Steps,
    asked: &'c Asked,
    pub values: Interpreter<'c, f64>,
    survey: Survey,
    /// The rows of nodes, by position; no position for those that have none.
    pub places: Vec<usize>,
    /// Whether a node of the formula depends on an input that moves: its adjoint and its tangent must exist.
    needed: Vec<bool>,
    /// What rows are called in errors and in notes.
    names: [NodeNames<'c>; 2],
    /// Numbers that left the range of float64.
    pub losses: Losses,
}

impl<'c> Computed<'c> {
    pub fn new(formula: &'c Formula, graph: &'c Graph, steps: &'c Steps, asked: &'c Asked) -> Self {
        let mut places = vec![usize::MAX; formula.graph().len()];
        for (position, (node, _)) in steps.rows.iter().enumerate() {
            places[node.index()] = position;
        }
        let names = [NodeNames::of_inputs(formula, &steps.rows), NodeNames::of_rows(formula, &steps.rows)];
        let needed = formula.graph().descendants(&asked.moving_inputs());
        let (values, survey) = (Interpreter::new(graph), Survey::new(graph));
        Self {
            formula,
            graph,
            steps,
            asked,
            values,
            survey,
            places,
            needed,
            names,
            losses: Losses::default(),
        }
    }

    pub fn run(&mut self, nodes: Range<usize>) {
        self.values.run(nodes.clone(), Draw::default());
        self.survey.look(self.graph, &self.values, nodes);
    }

    /// Computes the tangents of all rows from these of the inputs.
    pub fn sweep(&mut self, tangents: &[f64]) {
        for (seed, &tangent) in self.steps.seeds.iter().zip(tangents) {
            if let Some(seed) = *seed {
                self.values.set(seed, &[tangent]);
            }
        }
        self.run(self.steps.tangents_begin..self.steps.tangents_end);
    }

    pub fn at(&self, node: NodeId) -> f64 {
        self.values.get(node)[0]
    }

    pub fn explain(&self, in_error: bool) -> Explain<'_> {
        let names = &self.names[usize::from(!in_error)];
        Explain { formula: self.formula, names, values: &self.values, survey: &self.survey }
    }

    pub fn rows(&self) -> Vec<TraceRow> {
        let steps = self.steps;
        // Of most rows there is one; a list that grows by itself begins with room for four.
        let mut counts = vec![0_usize; steps.rows.len()];
        for edge in &steps.edges {
            counts[self.places[edge.to.index()]] += 1;
        }
        let row = |(position, &(node, number)): (usize, &(NodeId, i64))| TraceRow {
            node,
            number,
            value: self.at(node),
            tangents: Vec::with_capacity(self.asked.directions.len()),
            tangent: steps.tangents[position],
            adjoint: steps.adjoints[position].map_or(0.0, |adjoint| self.at(adjoint)),
            contributions: Vec::with_capacity(counts[position]),
        };
        let mut rows: Vec<TraceRow> = steps.rows.iter().enumerate().map(row).collect();
        for edge in &steps.edges {
            rows[self.places[edge.to.index()]].contributions.push(Summand {
                from: self.places[edge.from.index()],
                partial: self.at(edge.partial),
                partial_node: edge.partial,
                amount: self.at(edge.amount),
            });
        }
        if let Some(output) = rows.last_mut() {
            output.adjoint = 1.0; // what reverse mode begins with, also where the formula is a constant
        }
        rows
    }

    /// The adjoint of a row of the formula.
    fn adjoint(&self, node: NodeId) -> f64 {
        let adjoint = self.places.get(node.index()).and_then(|&place| *self.steps.adjoints.get(place)?);
        adjoint.map_or(0.0, |adjoint| self.at(adjoint))
    }

    /// That all adjoints that are asked for are finite.
    pub fn check_reverse(&self) -> Result<(), DomainError> {
        // In the order of the sweep, so that what flows along the first such edge is a product of finite numbers.
        for edge in self.steps.edges.iter().filter(|edge| self.needed[edge.to.index()]) {
            let adjoint = self.adjoint(edge.from);
            if !adjoint.is_finite() {
                return Err(self.explain(true).sum(edge.from));
            }
            if !self.at(edge.amount).is_finite() {
                return Err(self.explain(true).backwards(edge, adjoint, &self.instead()));
            }
        }
        let inputs = self.asked.inputs.iter().filter(|input| self.needed[input.index()]);
        match inputs.into_iter().find(|&&input| !self.adjoint(input).is_finite()) {
            Some(&input) => Err(self.explain(true).sum(input)),
            None => Ok(()),
        }
    }

    /// Which derivatives could be asked for where not all exist.
    fn instead(&self) -> String {
        let broken = self.steps.edges.iter().filter(|edge| !self.at(edge.amount).is_finite());
        let broken: Vec<NodeId> = broken.map(|edge| edge.to).collect();
        let behind = self.formula.graph().ancestors(&broken);
        let is_whole = |input: &&NodeId| !behind[input.index()];
        let name = |input: NodeId| shortened(self.formula.graph().name(input).unwrap_or_default());
        let mut whole = self.asked.inputs.iter().filter(is_whole);
        match (self.asked.moving.contains(&false), whole.next(), whole.count()) {
            (false, Some(&first), 0) => {
                let first = name(first);
                format!("; the derivative by {first} exists, and is given alone with --wrt {first}")
            }
            (false, Some(&first), more) => {
                let first = name(first);
                format!(
                    "; the derivatives by {first} and {more} more exist: ask for one, as --wrt {first} does"
                )
            }
            _ => String::new(),
        }
    }

    /// That the tangents of the last sweep are finite.
    pub fn check_tangents(&mut self) -> Result<(), DomainError> {
        let tangents = || self.steps.rows.iter().zip(&self.steps.tangents);
        let mut tangents = tangents().filter_map(|(&(node, _), tangent)| Some((node, (*tangent)?)));
        // The first: its operands' tangents are finite.
        if let Some((node, tangent)) = tangents.find(|&(_, tangent)| !self.at(tangent).is_finite()) {
            return Err(self.explain(true).tangent(node, tangent));
        }
        let mut losses = std::mem::take(&mut self.losses);
        let explain = self.explain(false);
        for (&(node, _), tangent) in self.steps.rows.iter().zip(&self.steps.tangents) {
            if let Some(tangent) = *tangent {
                let name =
                    || format!("the tangent of {}", explain.names.short(node, &|id| explain.value(id)));
                losses.derivative(&explain, tangent, name);
            }
        }
        self.losses = losses;
        Ok(())
    }

    /// The matrix of second derivatives, by a sweep for each input that moves; not a number for those that do not.
    pub fn hessian(&mut self, point: &[(String, f64)]) -> Result<Vec<Vec<f64>>, DomainError> {
        let count = point.len();
        let mut matrix = Vec::with_capacity(count);
        for by in 0..count {
            if self.steps.seeds[by].is_none() {
                matrix.push(vec![f64::NAN; count]);
                continue;
            }
            self.sweep(&unit(count, by));
            self.run(self.steps.tangents_end..self.graph.len());
            let mut row = Vec::with_capacity(count);
            for and in 0..count {
                let second = self.steps.second[and];
                let number = second.map_or(0.0, |second| self.at(second));
                let names = [&point[by].0[..], &point[and].0];
                if let Some(second) = second {
                    if !number.is_finite() && self.asked.moving[by] && self.asked.moving[and] {
                        return Err(self.explain(true).second(names, second));
                    }
                    let mut losses = std::mem::take(&mut self.losses);
                    let name = || format!("the second derivative by {} and {}", names[0], names[1]);
                    losses.derivative(&self.explain(false), second, name);
                    self.losses = losses;
                }
                row.push(number);
            }
            matrix.push(row);
        }
        Ok(matrix)
    }

    /// A note on the derivatives by inputs that do not move, where there are none.
    pub fn unasked(&self, point: &[(String, f64)]) -> Option<String> {
        let inputs = self.asked.inputs.iter().zip(point);
        let inputs = inputs.filter(|(input, _)| !self.adjoint(**input).is_finite());
        let inputs: Vec<&str> = inputs.map(|(_, (name, _))| &name[..]).collect();
        let broken = self.steps.edges.iter().find(|edge| !self.at(edge.amount).is_finite());
        notes::unasked(&self.explain(false), &inputs, broken)
    }

    /// Looks for values, partials and adjoints that left the range of float64.
    pub fn find_losses(&mut self) {
        let mut losses = std::mem::take(&mut self.losses);
        let explain = self.explain(false);
        losses.values(&explain);
        self.steps.edges.iter().for_each(|edge| losses.edge(&explain, edge));
        self.losses = losses;
    }
}
