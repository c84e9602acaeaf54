//! From text to graph: an operator-precedence parser (Dijkstra's shunting yard, 1961).
//!
//! It keeps what is open on a stack of its own instead of recursing, so that no nesting is too deep. From loosest to
//! tightest: `+ -`, `* /`, the signs before an operand (unary minus and `√`), `^`, which binds right, and raised digits.
//! No product is implicit, so that a `|` tells by its place whether it opens or closes.

use std::collections::HashMap;
use std::ops::Range;

use super::characters::is_blank;
use super::error::{TextError, shortened};
use super::formula::Formula;
use super::functions::{NamedFunction, constant, hint};
use super::names::Names;
use super::tokens::{Token, tokens};
use crate::ops::{Binary, Builder, Op, Unary, Var};

/// The longest text that is read, in bytes: the trace of as many operations takes 9 GB, which are asked for before it begins.
pub const LONGEST: usize = 8 << 20;

/// What has begun and waits for its end.
enum Open {
    /// An operator that waits for its right operand.
    Binary(Binary),
    /// A sign before its operand: `-` or a root.
    Sign(Unary, usize),
    /// A parenthesis, perhaps with a function in front and commas within.
    Parenthesis { at: Range<usize>, function: Option<NamedFunction>, commas: usize },
    /// The first bar of an absolute value, perhaps with a function in front, as in `ln|x|`.
    Bar { at: Range<usize>, function: Option<Unary> },
}

impl Open {
    /// How tightly an operator binds; what has its own end is never bound.
    fn precedence(&self) -> u8 {
        match self {
            Self::Parenthesis { .. } | Self::Bar { .. } => 0,
            Self::Binary(Binary::Add | Binary::Sub) => 1,
            Self::Binary(Binary::Mul | Binary::Div) => 2,
            Self::Sign(..) => 3,
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
    variables: Vec<(String, Var<'g>)>,
    known: HashMap<String, Var<'g>>,
    places: Vec<Range<usize>>,
    operands: Vec<Operand<'g>>,
    open: Vec<Open>,
}

/// Reads a formula.
///
/// Numbers, names, `+ - * / ^`, parentheses, `pi`, `e`, and [`functions`](super::functions) of one argument or two;
/// `log` is the natural logarithm. What is pasted is read as well: `x²`, `x⁻¹` and `x**2` are powers, `√x` is a root,
/// `|x|` an absolute value, `× · ⋅ ÷ −`, dashes, `½`, `π` and letters of any script mean what they show.
///
/// - `-x^2` is -(x²) and `√x²` is √(x²), as in mathematics, but `√x*y` is (√x)·y and `√x/2` is (√x)/2.
/// - Raised digits belong to what stands just before them: `2^x²` is 2^(x²), `sin(x)²` is (sin x)².
/// - A function of one argument takes `|x|` without parentheses, as in `ln|x|`; others take parentheses.
/// - No product is implicit: `2x` is a mistake, and a `|` after an operand closes.
/// - Names that differ in their coding alone, as `x₁` and `x1` or a letter in two alphabets of mathematics, are one.
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
    let names = Names::beside(variables.iter().map(|(name, _)| &name[..]));
    let (variables, inputs): (Vec<String>, Vec<Var<'_>>) = variables.into_iter().unzip();
    let function = builder.finish(inputs, output);
    let function = function.map_err(|error| TextError::new(text, 0..text.len(), error.to_string()))?;
    let (graph, output) = (function.graph, function.outputs);
    let variables = variables.into_iter().zip(function.inputs).collect();
    Ok(Formula { text: text.into(), graph, output, variables, names, places })
}

impl<'t, 'g> Parser<'t, 'g> {
    fn error<T>(&self, at: Range<usize>, problem: impl Into<String>) -> Result<T, TextError> {
        Err(TextError::new(self.text, at, problem))
    }

    fn formula(&mut self) -> Result<Var<'g>, TextError> {
        // All of it is cut up first, so that no work begins on a text with a mistake in it. To keep what it is cut into would
        // take more than the text by far.
        let is_empty = tokens(self.text).try_fold(true, |_, token| token.map(|_| false))?;
        if is_empty {
            return self.error(0..0, "the formula is empty; write one, such as \"x*sin(x)\"");
        }
        let mut operand_next = true;
        let mut tokens = tokens(self.text).peekable();
        while let Some(token) = tokens.next() {
            let (token, at) = token?;
            operand_next = match token {
                Token::Name(name) if operand_next => {
                    let next = tokens.peek().and_then(|token| token.as_ref().ok()).map(|(token, _)| token);
                    let (is_open, opens) = self.name(&name, at, next)?;
                    if opens {
                        tokens.next();
                    }
                    is_open
                }
                token if operand_next => self.operand_begins(token, at)?,
                token => self.operand_ended(token, at)?,
            };
        }
        let end = self.text.trim_end_matches(is_blank).len();
        if operand_next {
            return self.error(end..end, "the formula ends where an operand is missing");
        }
        while let Some(open) = self.open.pop() {
            self.never_closed(&open)?;
            self.finish(open);
        }
        match self.operands.pop() {
            Some(operand) => Ok(operand.var),
            None => self.error(0..end, "the formula is too large for a graph"),
        }
    }

    /// What ends where it may not: a parenthesis or a bar that is open.
    fn never_closed(&self, open: &Open) -> Result<(), TextError> {
        match open {
            Open::Parenthesis { at, .. } => {
                self.error(at.clone(), "this parenthesis is never closed: a ) is missing")
            }
            Open::Bar { at, .. } => {
                self.error(at.clone(), "this | is never closed: an absolute value is written |x|")
            }
            _ => Ok(()),
        }
    }

    /// Takes a token where an operand begins, which is no name; returns whether one is still to come.
    fn operand_begins(&mut self, token: Token<'_>, at: Range<usize>) -> Result<bool, TextError> {
        match token {
            Token::Number(number) => self.push(self.builder.constant(number), Some(number), at),
            Token::Name(_) => {}
            Token::Raised(_) => {
                return self.error(at, "an operand is missing before this exponent, as x in x²");
            }
            Token::Symbol('(') => {
                self.open.push(Open::Parenthesis { at, function: None, commas: 0 });
                return Ok(true);
            }
            Token::Symbol('-') => {
                self.open.push(Open::Sign(Unary::Neg, at.start));
                return Ok(true);
            }
            Token::Symbol(sign @ ('√' | '∛')) => {
                let root = if sign == '√' { Unary::Sqrt } else { Unary::Cbrt };
                self.open.push(Open::Sign(root, at.start));
                return Ok(true);
            }
            Token::Symbol('|') => {
                self.open.push(Open::Bar { at, function: None });
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
                        "an operand is missing before *; a power is written ^ or **".into()
                    }
                    _ => format!("an operand is missing before {symbol}"),
                };
                return self.error(at, problem);
            }
        }
        Ok(false)
    }

    /// A name where an operand begins, and what comes next: a constant, a variable, or a function with its arguments.
    /// Returns whether an operand is still to come, and whether the next token was the opening of the arguments.
    fn name(
        &mut self,
        name: &str,
        at: Range<usize>,
        next: Option<&Token<'_>>,
    ) -> Result<(bool, bool), TextError> {
        let function = NamedFunction::named(name);
        match (function, next) {
            (Some(_), Some(Token::Symbol('('))) => {
                self.open.push(Open::Parenthesis { at, function, commas: 0 });
                return Ok((true, true));
            }
            (Some(NamedFunction::Unary(function)), Some(Token::Symbol('|'))) => {
                self.open.push(Open::Bar { at, function: Some(function) });
                return Ok((true, true));
            }
            (Some(_), Some(Token::Raised(power))) => {
                let inverse = format!("a{name}");
                let inverse = match *power == -1.0 && NamedFunction::named(&inverse).is_some() {
                    true => format!(", its inverse function {inverse}(x)"),
                    false => String::new(),
                };
                let problem =
                    format!("{name} is a function: its power is written {name}(x)^{power}{inverse}");
                return self.error(at, problem);
            }
            (Some(function), _) => {
                let arguments = if function.arity() == 1 { "x" } else { "a, b" };
                let its = if function.arity() == 1 { "argument stands" } else { "arguments stand" };
                let problem = format!("{name} is a function: its {its} in parentheses, {name}({arguments})");
                return self.error(at, problem);
            }
            (None, Some(Token::Symbol('('))) => {
                let hint = match self.known.contains_key(name) || constant(name).is_some() {
                    true => format!("; for a product write {}*(", shortened(name)),
                    false => hint(name),
                };
                return self.error(at, format!("there is no function {}{hint}", shortened(name)));
            }
            _ => {}
        }
        if let Some(value) = constant(name) {
            self.push(self.builder.constant(value), None, at);
            return Ok((false, false));
        }
        let var = match self.known.get(name) {
            Some(&var) => var,
            None => {
                let var = self.builder.input(name, []);
                self.known.insert(name.to_owned(), var);
                self.variables.push((name.to_owned(), var));
                var
            }
        };
        self.push(var, None, at);
        Ok((false, false))
    }

    /// Takes a token after an operand; returns whether another operand must follow.
    fn operand_ended(&mut self, token: Token<'_>, at: Range<usize>) -> Result<bool, TextError> {
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
            Token::Symbol('|') => {
                self.finish_above(0, false);
                self.close_bar(at)?;
                return Ok(false);
            }
            Token::Raised(power) => {
                if let Some(base) = self.operands.pop() {
                    let exponent = self.builder.constant(power);
                    let var = self.builder.apply(Op::Binary(Binary::Pow), &[base.var, exponent]);
                    self.push(var, None, base.at.start..at.end);
                }
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
            Open::Sign(sign, at) => {
                if let Some(x) = self.operands.pop() {
                    let at = at..x.at.end;
                    match x.literal.filter(|_| sign == Unary::Neg) {
                        Some(number) => self.push(self.builder.constant(-number), Some(-number), at),
                        None => self.push(self.builder.apply(Op::Unary(sign), &[x.var]), None, at),
                    }
                }
            }
            Open::Parenthesis { .. } | Open::Bar { .. } => {}
        }
    }

    /// A closing parenthesis, whose operators are done.
    fn close(&mut self, at: Range<usize>) -> Result<(), TextError> {
        let (begin, function, commas) = match self.open.pop() {
            Some(Open::Parenthesis { at, function, commas }) => (at, function, commas),
            Some(bar) => return self.never_closed(&bar),
            None => {
                return self.error(at, "this ) closes nothing: a ( is missing, or it is one too many");
            }
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
        let begin = self.operands.len().saturating_sub(function.arity());
        let vars: Vec<Var<'g>> = self.operands.drain(begin..).map(|operand| operand.var).collect();
        self.push(self.builder.apply(function.operation(), &vars), None, whole);
        Ok(())
    }

    /// The second bar of an absolute value, whose operators are done.
    fn close_bar(&mut self, at: Range<usize>) -> Result<(), TextError> {
        let (begin, function) = match self.open.pop() {
            Some(Open::Bar { at, function }) => (at, function),
            Some(inner) if self.open.iter().any(|open| matches!(open, Open::Bar { .. })) => {
                return self.never_closed(&inner);
            }
            _ => {
                let problem = "an operator is missing before this |: a product is written with *, an absolute value |x|";
                return self.error(at, problem);
            }
        };
        if let Some(x) = self.operands.pop() {
            let absolute = self.builder.apply(Op::Unary(Unary::Abs), &[x.var]);
            let var =
                function.map_or(absolute, |function| self.builder.apply(Op::Unary(function), &[absolute]));
            self.push(var, None, begin.start..at.end);
        }
        Ok(())
    }

    fn push(&mut self, var: Var<'g>, literal: Option<f64>, at: Range<usize>) {
        // Nodes that it brought stand for this stretch of the text.
        self.places.resize(self.builder.graph().len(), at.clone());
        self.operands.push(Operand { var, literal, at });
    }
}

fn arguments(count: usize) -> String {
    format!("{count} argument{}", if count == 1 { "" } else { "s" })
}
