//! From text to graph: an operator-precedence parser (Dijkstra's shunting yard, 1961).
//!
//! It keeps what is open on a stack of its own instead of recursing, so that no nesting is too deep. From loosest to
//! tightest: `+ -`, `* /`, unary minus, `^`, which binds right. Functions are the elementwise operations of
//! [`crate::ops`] by their names there, so that a new operation is known here as well.

use std::ops::Range;

use super::error::{TextError, suggestion};
use super::tokens::{Token, tokens};
use crate::graph::NodeId;
use crate::ops::{Binary, Builder, Graph, Op, Rule, Unary, Var};

/// The longest text that is read, in bytes: the trace of some two million operations takes 2.5 GB.
pub const LONGEST: usize = 8 << 20;

/// A formula as a graph of scalars, in which common subexpressions are one node.
#[derive(Clone, Debug)]
pub struct Formula {
    text: String,
    graph: Graph,
    output: NodeId,
    variables: Vec<(String, NodeId)>,
    /// Where a node's first occurrence stands in the text, by node.
    places: Vec<Range<usize>>,
}

impl Formula {
    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One node for each variable, constant and operation; every node is a scalar.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The node that is the formula's value.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// The variables in order of their first occurrence, with their nodes.
    pub fn variables(&self) -> &[(String, NodeId)] {
        &self.variables
    }

    /// A mistake at the place of a node of this formula.
    pub(super) fn error_at(&self, node: NodeId, problem: String) -> TextError {
        let place = self.places.get(node.index()).cloned().unwrap_or(0..self.text.len());
        TextError::new(&self.text, place, problem)
    }
}

/// A named constant of formulas.
pub(super) const CONSTANTS: [(&str, f64); 2] = [("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];

/// Functions of one argument and of two.
#[derive(Clone, Copy)]
enum Function {
    Unary(Unary),
    Binary(Binary),
}

impl Function {
    fn named(name: &str) -> Option<Self> {
        if name == "log" {
            return Some(Self::Unary(Unary::Ln));
        }
        let unary = Unary::ALL.iter().find(|unary| unary.name() == name && **unary != Unary::Neg);
        let binary = Binary::ALL.iter().find(|binary| binary.name() == name && symbol(**binary).is_none());
        unary.map(|&unary| Self::Unary(unary)).or(binary.map(|&binary| Self::Binary(binary)))
    }

    fn names() -> impl Iterator<Item = &'static str> {
        let unary = Unary::ALL.iter().filter(|unary| **unary != Unary::Neg).map(|unary| unary.name());
        let binary =
            Binary::ALL.iter().filter(|binary| symbol(**binary).is_none()).map(|binary| binary.name());
        unary.chain(binary).chain(["log"])
    }

    fn arity(self) -> usize {
        match self {
            Self::Unary(_) => 1,
            Self::Binary(_) => 2,
        }
    }
}

/// The operations that are written between their operands. `^` is also called pow.
fn symbol(operation: Binary) -> Option<char> {
    match operation {
        Binary::Add => Some('+'),
        Binary::Sub => Some('-'),
        Binary::Mul => Some('*'),
        Binary::Div => Some('/'),
        _ => None,
    }
}

/// What has begun and waits for its end.
enum Open {
    /// An operator that waits for its right operand.
    Binary(Binary),
    Negate {
        at: usize,
    },
    /// A parenthesis, perhaps with a function in front and commas within.
    Parenthesis {
        at: Range<usize>,
        function: Option<Function>,
        commas: usize,
    },
}

impl Open {
    /// How tightly an operator binds; a parenthesis is never bound.
    fn precedence(&self) -> u8 {
        match self {
            Self::Parenthesis { .. } => 0,
            Self::Binary(Binary::Add | Binary::Sub) => 1,
            Self::Binary(Binary::Mul | Binary::Div) => 2,
            Self::Negate { .. } => 3,
            Self::Binary(_) => 4,
        }
    }
}

/// A part of the formula that is finished.
#[derive(Clone)]
struct Operand<'g> {
    var: Var<'g>,
    /// The number, if that is all it is.
    literal: Option<f64>,
    at: Range<usize>,
}

struct Parser<'t, 'g> {
    text: &'t str,
    builder: &'g Builder,
    variables: Vec<(String, NodeId)>,
    known: std::collections::HashMap<&'t str, Var<'g>>,
    places: Vec<Range<usize>>,
    operands: Vec<Operand<'g>>,
    open: Vec<Open>,
}

/// Reads a formula.
///
/// Numbers, names, `+ - * / ^`, parentheses, `pi`, `e`, and functions: `sin cos tan sec csc cot asin acos atan atan2
/// sinh cosh tanh asinh acosh atanh exp expm1 ln log log1p log2 log10 sqrt cbrt hypot erf abs sign relu step sigmoid
/// softplus pow min max above`; `log` is the natural logarithm.
///
/// # Errors
/// The first mistake, with its column.
pub fn parse(text: &str) -> Result<Formula, TextError> {
    if text.len() > LONGEST {
        let problem = format!("the formula has {} bytes, and at most {LONGEST} are read", text.len());
        return Err(TextError::new("", 0..0, problem));
    }
    let builder = Builder::new();
    let mut parser = Parser {
        text,
        builder: &builder,
        variables: Vec::new(),
        known: Default::default(),
        places: Vec::new(),
        operands: Vec::new(),
        open: Vec::new(),
    };
    let output = parser.formula()?;
    let Parser { variables, places, .. } = parser;
    let graph = builder.finish().map_err(|error| TextError::new(text, 0..text.len(), error.to_string()))?;
    Ok(Formula { text: text.into(), graph, output, variables, places })
}

impl<'t, 'g> Parser<'t, 'g> {
    fn error<T>(&self, at: Range<usize>, problem: impl Into<String>) -> Result<T, TextError> {
        Err(TextError::new(self.text, at, problem))
    }

    fn formula(&mut self) -> Result<NodeId, TextError> {
        let tokens = tokens(self.text)?;
        if tokens.is_empty() {
            return self.error(0..0, "the formula is empty; write one, such as \"x*sin(x)\"");
        }
        let mut operand_next = true;
        let mut position = 0;
        while let Some((token, at)) = tokens.get(position) {
            let next = tokens.get(position + 1).map(|(token, _)| *token);
            position += 1;
            operand_next = if operand_next {
                self.operand_begins(*token, at.clone(), next, &mut position)?
            } else {
                self.operand_ended(*token, at.clone())?
            };
        }
        let end = self.text.trim_end().len();
        if operand_next {
            return self.error(end..end, "the formula ends where an operand is missing");
        }
        while let Some(open) = self.open.pop() {
            if let Open::Parenthesis { at, .. } = open {
                return self.error(at, "this parenthesis is never closed: a ) is missing");
            }
            self.finish(open);
        }
        match self.operands.pop().and_then(|operand| operand.var.id()) {
            Some(output) => Ok(output),
            None => self.error(0..end, "the formula is too large for a graph"),
        }
    }

    /// Takes a token where an operand begins; returns whether one is still to come.
    fn operand_begins(
        &mut self,
        token: Token<'t>,
        at: Range<usize>,
        next: Option<Token<'t>>,
        position: &mut usize,
    ) -> Result<bool, TextError> {
        match token {
            Token::Number(number) => self.push(self.builder.constant(number), Some(number), at),
            Token::Name(name) if next == Some(Token::Symbol('(')) => {
                let Some(function) = Function::named(name) else {
                    let hint =
                        match self.known.contains_key(name) || CONSTANTS.iter().any(|(c, _)| *c == name) {
                            true => format!("; for a product write {name}*("),
                            false => suggestion(name, Function::names()),
                        };
                    return self.error(at, format!("there is no function {}{hint}", shortened(name)));
                };
                *position += 1;
                self.open.push(Open::Parenthesis { at, function: Some(function), commas: 0 });
                return Ok(true);
            }
            Token::Name(name) => self.name(name, at)?,
            Token::Symbol('(') => {
                self.open.push(Open::Parenthesis { at, function: None, commas: 0 });
                return Ok(true);
            }
            Token::Symbol('-') => {
                self.open.push(Open::Negate { at: at.start });
                return Ok(true);
            }
            Token::Symbol('+') => return Ok(true), // a sign that changes nothing
            Token::Symbol(symbol) => {
                let problem = match (symbol, self.open.last()) {
                    (')', Some(Open::Parenthesis { function: Some(function), commas: 0, at })) => {
                        format!("{} takes {}, not 0", &self.text[at.clone()], arguments(function.arity()))
                    }
                    (')', Some(Open::Parenthesis { function: None, .. })) => {
                        "nothing stands in these parentheses".into()
                    }
                    ('*', Some(Open::Binary(Binary::Mul))) => {
                        "an operand is missing before *; a power is written ^".into()
                    }
                    _ => format!("an operand is missing before {symbol}"),
                };
                return self.error(at, problem);
            }
        }
        Ok(false)
    }

    /// A constant or a variable.
    fn name(&mut self, name: &'t str, at: Range<usize>) -> Result<(), TextError> {
        if let Some((_, value)) = CONSTANTS.iter().find(|(constant, _)| *constant == name) {
            self.push(self.builder.constant(*value), None, at);
            return Ok(());
        }
        if Function::named(name).is_some() {
            return self
                .error(at, format!("{name} is a function: its argument stands in parentheses, {name}(x)"));
        }
        let var = match self.known.get(name) {
            Some(&var) => var,
            None => {
                let var = self.builder.input(name, []);
                self.known.insert(name, var);
                self.variables.extend(var.id().map(|id| (name.to_owned(), id)));
                var
            }
        };
        self.push(var, None, at);
        Ok(())
    }

    /// Takes a token after an operand; returns whether another operand must follow.
    fn operand_ended(&mut self, token: Token<'t>, at: Range<usize>) -> Result<bool, TextError> {
        let operation = match token {
            Token::Symbol('+') => Binary::Add,
            Token::Symbol('-') => Binary::Sub,
            Token::Symbol('*') => Binary::Mul,
            Token::Symbol('/') => Binary::Div,
            Token::Symbol('^') => Binary::Pow,
            Token::Symbol(',') => {
                self.finish_above(0, false);
                return match self.open.last_mut() {
                    Some(Open::Parenthesis { function: Some(_), commas, .. }) => {
                        *commas += 1;
                        Ok(true)
                    }
                    _ => self
                        .error(at, "this comma is not between a function's arguments; decimals have a point"),
                };
            }
            Token::Symbol(')') => {
                self.finish_above(0, false);
                self.close(at)?;
                return Ok(false);
            }
            _ => return self.error(at, "an operator is missing here; a product is written with *"),
        };
        let binary = Open::Binary(operation);
        self.finish_above(binary.precedence(), operation == Binary::Pow);
        self.open.push(binary);
        Ok(true)
    }

    /// Applies the open operators that bind more tightly, or as tightly where the next one binds left.
    fn finish_above(&mut self, precedence: u8, binds_right: bool) {
        while let Some(open) = self.open.pop_if(|open| {
            open.precedence() > precedence
                || (open.precedence() == precedence && precedence > 0 && !binds_right)
        }) {
            self.finish(open);
        }
    }

    /// Applies an operator to the last operands.
    fn finish(&mut self, open: Open) {
        match open {
            Open::Binary(operation) => {
                if let (Some(b), Some(a)) = (self.operands.pop(), self.operands.pop()) {
                    let var = self.builder.apply(Op::Binary(operation), &[a.var, b.var]);
                    self.push(var, None, a.at.start..b.at.end);
                }
            }
            Open::Negate { at } => {
                if let Some(x) = self.operands.pop() {
                    let at = at..x.at.end;
                    match x.literal {
                        Some(number) => self.push(self.builder.constant(-number), Some(-number), at),
                        None => self.push(self.builder.apply(Op::Unary(Unary::Neg), &[x.var]), None, at),
                    }
                }
            }
            Open::Parenthesis { .. } => {}
        }
    }

    /// A closing parenthesis, whose operators are done.
    fn close(&mut self, at: Range<usize>) -> Result<(), TextError> {
        let Some(Open::Parenthesis { at: begin, function, commas }) = self.open.pop() else {
            return self.error(at, "this ) closes nothing: a ( is missing, or it is one too many");
        };
        let whole = begin.start..at.end;
        let Some(function) = function else {
            if let Some(operand) = self.operands.last_mut() {
                operand.at = whole;
            }
            return Ok(());
        };
        if commas + 1 != function.arity() {
            let name = &self.text[begin.clone()];
            return self
                .error(whole, format!("{name} takes {}, not {}", arguments(function.arity()), commas + 1));
        }
        let var = match function {
            Function::Unary(operation) => {
                let x = self.operands.pop();
                x.map(|x| self.builder.apply(Op::Unary(operation), &[x.var]))
            }
            Function::Binary(operation) => {
                let (b, a) = (self.operands.pop(), self.operands.pop());
                a.zip(b).map(|(a, b)| self.builder.apply(Op::Binary(operation), &[a.var, b.var]))
            }
        };
        if let Some(var) = var {
            self.push(var, None, whole);
        }
        Ok(())
    }

    fn push(&mut self, var: Var<'g>, literal: Option<f64>, at: Range<usize>) {
        if let Some(id) = var.id()
            && id.index() >= self.places.len()
        {
            self.places.resize(id.index() + 1, at.clone());
        }
        self.operands.push(Operand { var, literal, at });
    }
}

fn arguments(count: usize) -> String {
    format!("{count} argument{}", if count == 1 { "" } else { "s" })
}

/// A name that fits into a message.
pub(super) fn shortened(name: &str) -> String {
    if name.chars().count() <= 40 {
        name.into()
    } else {
        format!("{}…", name.chars().take(40).collect::<String>())
    }
}
