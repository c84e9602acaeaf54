//! Where a formula or a derivative has no finite value: which operation, at which values, why, and what to do.

use std::collections::HashMap;

use super::error::{TextError, shortened};
use super::expression::Expression;
use super::format::Notation;
use super::formula::Formula;
use super::range::{Cause, Survey};
use super::steps::Edge;
use crate::document::number::exact;
use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::{Binary, Op, Rule, Unary};

/// What has no finite value.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what it is")]
pub enum DomainError {
    #[error("{0}")]
    Value(TextError),
    #[error("{0}")]
    Partial(TextError),
    #[error("{0}")]
    Derivative(TextError),
    #[error("the second derivative of {of} by {by} and {and} {why}; leave --hessian out, or move the point")]
    Second { of: String, by: String, and: String, why: String },
}

/// The numbers for which an operation has a value.
fn domain(op: &Op) -> &'static str {
    match op {
        Op::Unary(Unary::Ln | Unary::Log10 | Unary::Log2) => ": its operand must be larger than 0",
        Op::Unary(Unary::Log1p) => ": its operand must be larger than -1",
        Op::Unary(Unary::Acosh) => ": its operand must be 1 or larger",
        Op::Unary(Unary::Atanh) => ": its operand must be between -1 and 1",
        Op::Unary(Unary::Csc | Unary::Cot) => ": its operand must not be 0",
        Op::Unary(Unary::Sqrt) => ": its operand must be 0 or larger",
        Op::Unary(Unary::Asin | Unary::Acos) => ": its operand must be from -1 to 1",
        Op::Binary(Binary::Div) => ": its divisor must not be 0",
        Op::Binary(Binary::Pow) => ": a negative base needs a whole exponent, a base of 0 a positive one",
        _ => "",
    }
}

/// What the nodes of a formula are called in messages.
pub(super) struct NodeNames<'f> {
    formula: &'f Formula,
    /// The rows' numbers, by node; nothing for constants, which stand inline. A name is made of it when it is asked for.
    numbers: Vec<Option<i64>>,
    /// The inputs' own names, where these are used.
    inputs: HashMap<NodeId, String>,
}

impl<'f> NodeNames<'f> {
    /// As the tables call them.
    pub fn of_rows(formula: &'f Formula, rows: &[(NodeId, i64)]) -> Self {
        let mut numbers = vec![None; formula.graph().len()];
        for &(node, number) in rows {
            numbers[node.index()] = Some(number);
        }
        Self { formula, numbers, inputs: HashMap::new() }
    }

    /// For messages without a table beside them: inputs by their own names.
    pub fn of_inputs(formula: &'f Formula, rows: &[(NodeId, i64)]) -> Self {
        let mut found = Self::of_rows(formula, rows);
        for (name, node) in formula.variables() {
            found.inputs.insert(*node, shortened(name));
        }
        found
    }

    pub fn get(&self, node: NodeId) -> Option<String> {
        let number = (*self.numbers.get(node.index())?)?;
        Some(self.inputs.get(&node).cloned().unwrap_or_else(|| self.formula.names().row(number)))
    }

    /// The node by name, or as an operation if it has none.
    pub fn short(&self, node: NodeId, value: &dyn Fn(NodeId) -> f64) -> String {
        self.get(node).unwrap_or_else(|| self.operation(node, value))
    }

    /// The node written out in inputs and constants, as where no table shows the rows: `x - 1`. A large one by its name.
    pub fn written(&self, node: NodeId, value: &dyn Fn(NodeId) -> f64) -> String {
        const MOST: usize = 8;
        match self.in_inputs(node, value, &mut MOST.clone()) {
            Some(expression) => Notation::Plain.with(self.formula.names()).write(&expression),
            None => self.short(node, value),
        }
    }

    /// The node as an expression of at most so many nodes more.
    fn in_inputs(&self, node: NodeId, value: &dyn Fn(NodeId) -> f64, more: &mut usize) -> Option<Expression> {
        *more = more.checked_sub(1)?;
        let found = &self.formula.graph()[node];
        match self.get(node) {
            None => Some(Expression::Number(value(node))),
            Some(name) if found.op.arity() == 0 => Some(Expression::Name(name)),
            Some(_) => {
                let operands: Option<Vec<Expression>> =
                    found.inputs.iter().map(|&input| self.in_inputs(input, value, more)).collect();
                Some(Expression::of(&found.op, operands?))
            }
        }
    }

    /// `v3 = ln(v2)`, or the name of an input.
    pub fn definition(&self, node: NodeId, value: &dyn Fn(NodeId) -> f64) -> String {
        let operation = self.operation(node, value);
        match self.get(node) {
            Some(name) if self.formula.graph()[node].op.arity() == 0 => name,
            Some(name) => format!("{name} = {operation}"),
            None => operation,
        }
    }

    /// `ln(v2)`
    fn operation(&self, node: NodeId, value: &dyn Fn(NodeId) -> f64) -> String {
        let node = &self.formula.graph()[node];
        let operand =
            |id: &NodeId| self.get(*id).map_or_else(|| Expression::Number(value(*id)), Expression::Name);
        Notation::Plain
            .with(self.formula.names())
            .write(&Expression::of(&node.op, node.inputs.iter().map(operand).collect()))
    }

    /// ` at v1 = 2, v2 = 0`: what the operands are; of an input, what it is itself.
    pub fn at(&self, node: NodeId, value: &dyn Fn(NodeId) -> f64) -> String {
        let operands = &self.formula.graph()[node].inputs;
        let nodes = if operands.is_empty() { std::slice::from_ref(&node) } else { operands };
        let mut known: Vec<String> = Vec::new();
        for &operand in nodes {
            if let Some(name) = self.get(operand) {
                let entry = format!("{name} = {}", exact(value(operand)));
                if !known.contains(&entry) {
                    known.push(entry);
                }
            }
        }
        if known.is_empty() { String::new() } else { format!(" at {}", known.join(", ")) }
    }
}

/// Says why a number of a trace is not finite.
pub(super) struct Explain<'e> {
    pub formula: &'e Formula,
    pub names: &'e NodeNames<'e>,
    pub values: &'e Interpreter<'e, f64>,
    pub survey: &'e Survey,
}

impl Explain<'_> {
    pub fn value(&self, node: NodeId) -> f64 {
        self.values.get(node)[0]
    }

    fn definition(&self, node: NodeId) -> String {
        self.names.definition(node, &|id| self.value(id))
    }

    fn at(&self, node: NodeId) -> String {
        self.names.at(node, &|id| self.value(id))
    }

    /// How a node that is not finite came to be so, after the name of what it is: `is infinite at v1 = 0`. `place` is the
    /// node of the formula that it belongs to, and `hint` what to do where the range of float64 is no reason.
    fn why(&self, node: NodeId, place: NodeId, hint: &str) -> String {
        let kind = if self.value(node).is_nan() { "is not defined" } else { "is infinite" };
        let at = self.at(place);
        match self.survey.cause(self.values, node) {
            Cause::Undefined | Cause::Infinite => format!("{kind}{at}{hint}"),
            Cause::Overflow(origin) => {
                let what = if origin == node { "it" } else { "it, or a number on the way to it," };
                format!("overflows{at}: {what} is larger than float64 holds; {}", self.remedy(place))
            }
            Cause::Underflow(origin) if self.is_of_formula(origin) => {
                let (source, remedy) = (self.underflow(origin), self.remedy(origin));
                format!("{kind}{at}, because {source}; {remedy}")
            }
            Cause::Underflow(_) => {
                format!(
                    "{kind}{at}, because a number on the way to it underflows to 0; {}",
                    self.remedy(place)
                )
            }
        }
    }

    fn is_of_formula(&self, node: NodeId) -> bool {
        node.index() < self.formula.graph().len()
    }

    /// `v1 = x * x underflows to 0 at x = 1e-200`
    pub fn underflow(&self, node: NodeId) -> String {
        format!("{} underflows to {}{}", self.definition(node), exact(self.value(node)), self.at(node))
    }

    /// What to do where an operation leaves the range of float64.
    pub fn remedy(&self, node: NodeId) -> String {
        match self.is_square(node).and_then(|_| self.length(node)) {
            Some(hypot) => format!("write {hypot}, which does not square, or rescale the inputs"),
            None => "rescale the inputs".into(),
        }
    }

    /// What the node is the square of.
    fn is_square(&self, node: NodeId) -> Option<NodeId> {
        let found = &self.formula.graph()[node];
        match (&found.op, &found.inputs[..]) {
            (Op::Binary(Binary::Mul), &[a, b]) if a == b => Some(a),
            (Op::Binary(Binary::Pow), &[a, b]) if self.value(b) == 2.0 && self.names.get(b).is_none() => {
                Some(a)
            }
            _ => None,
        }
    }

    /// The root of the sum of squares that a square is part of, written by hypot.
    fn length(&self, square: NodeId) -> Option<String> {
        let graph = self.formula.graph();
        let is_root = |op: &Op, inputs: &[NodeId]| match (op, inputs) {
            (Op::Unary(Unary::Sqrt), _) => true,
            (Op::Binary(Binary::Pow), &[_, b]) => self.value(b) == 0.5 && self.names.get(b).is_none(),
            _ => false,
        };
        let roots = graph.iter().filter(|(_, node)| is_root(&node.op, &node.inputs));
        roots.map(|(_, root)| self.summands(root.inputs[0])).find_map(|summands| {
            let roots: Option<Vec<NodeId>> = summands.iter().map(|&node| self.is_square(node)).collect();
            let roots = roots.filter(|roots| summands.contains(&square) && (2..=4).contains(&roots.len()))?;
            let mut names = roots.iter().map(|&node| self.names.written(node, &|id| self.value(id)));
            let first = names.next()?;
            Some(names.fold(first, |length, name| format!("hypot({length}, {name})")))
        })
    }

    /// What a node is the sum of, from left to right; a few at most.
    fn summands(&self, node: NodeId) -> Vec<NodeId> {
        let (mut open, mut found) = (vec![node], Vec::new());
        while let Some(node) = open.pop() {
            let operands = &self.formula.graph()[node].inputs;
            if self.formula.graph()[node].op == Op::Binary(Binary::Add) && found.len() + open.len() < 8 {
                open.extend(operands.iter().rev());
            } else {
                found.push(node);
            }
        }
        found
    }

    /// That every node of the formula has a finite value.
    pub fn check_value(&self) -> Result<(), DomainError> {
        let graph = self.formula.graph();
        let Some(node) = graph.ids().find(|&id| !self.value(id).is_finite()) else { return Ok(()) };
        let why = self.why(node, node, domain(&graph[node].op));
        Err(DomainError::Value(self.formula.error_at(node, format!("{} {why}", self.definition(node)))))
    }

    /// That a local partial has no finite value, in words.
    pub fn partial(&self, edge: &Edge) -> String {
        let node = &self.formula.graph()[edge.from];
        let hint = match node.op {
            Op::Binary(Binary::Pow) if node.inputs[1] == edge.to => {
                "; if the exponent does not vary, write it as a number, and move the point off 0 if the base is 0"
            }
            _ => "; move the point",
        };
        let by = self.names.short(edge.to, &|id| self.value(id));
        let why = self.why(edge.partial, edge.from, hint);
        format!("the derivative of {} by {by} {why}", self.definition(edge.from))
    }

    /// A local partial, or what flows back along an edge, that has no finite value. `instead` says what can be asked for.
    pub fn backwards(&self, edge: &Edge, adjoint: f64, instead: &str) -> DomainError {
        if !self.value(edge.partial).is_finite() {
            let problem = self.partial(edge) + instead;
            return DomainError::Partial(self.formula.error_at(edge.from, problem));
        }
        let factors = format!("{} · {}", exact(adjoint), exact(self.value(edge.partial)));
        let problem = format!(
            "the adjoint of {} overflows: {factors}, the adjoint of {} times its partial, is larger than float64 holds; \
             scale the formula, or the inputs{instead}",
            self.definition(edge.to),
            self.definition(edge.from)
        );
        DomainError::Derivative(self.formula.error_at(edge.to, problem))
    }

    /// An adjoint that is not finite though its summands are.
    pub fn sum(&self, node: NodeId) -> DomainError {
        let problem = format!(
            "the adjoint of {} overflows: the sum of what flows back is larger than float64 holds; scale the formula, or \
             the inputs",
            self.definition(node)
        );
        DomainError::Derivative(self.formula.error_at(node, problem))
    }

    /// A tangent that is not finite, where its operands' tangents are.
    pub fn tangent(&self, row: NodeId, tangent: NodeId) -> DomainError {
        let why = self.why(tangent, row, "; move the point, or scale the direction");
        let problem = format!("the tangent of {} {why}", self.definition(row));
        DomainError::Derivative(self.formula.error_at(row, problem))
    }

    /// A second derivative that is not finite.
    pub fn second(&self, [by, and]: [&str; 2], second: NodeId) -> DomainError {
        let why = match self.survey.cause(self.values, second) {
            Cause::Undefined => "is not defined at this point".into(),
            Cause::Infinite => "is infinite at this point".into(),
            Cause::Overflow(_) => {
                "overflows at this point: it, or a number on the way to it, is larger than float64 holds"
                    .into()
            }
            Cause::Underflow(origin) if self.is_of_formula(origin) => {
                format!("has no finite value, because {}", self.underflow(origin))
            }
            Cause::Underflow(_) => {
                "has no finite value, because a number on the way to it underflows to 0".into()
            }
        };
        DomainError::Second {
            of: self.formula.names().value().into(),
            by: shortened(by),
            and: shortened(and),
            why,
        }
    }
}
