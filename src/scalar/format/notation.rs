//! How nodes, tangents, adjoints and expressions are written.

use super::letters;
use crate::document::number::{exact, latex_number};
use crate::ops::Binary;
use crate::scalar::Expression;
use crate::scalar::names::{BAR, DOT, Names};

/// The ways of writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notation {
    /// Of Griewank and Walther: `v̇1`, `v̄1`, `v1 · v2`.
    #[default]
    Griewank,
    /// In ASCII: `dot_v1`, `adj_v1`, `v1 * v2`.
    Plain,
    /// For LaTeX's mathematics.
    Latex,
}

/// How tightly an expression is bound together.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Strength {
    Sum,
    Product,
    Negation,
    Power,
    Atom,
}

/// A way of writing, with the names of a formula's nodes.
#[derive(Clone, Copy, Debug)]
pub struct Script<'n> {
    notation: Notation,
    names: &'n Names,
}

impl Notation {
    /// This notation for a formula whose nodes have these names.
    pub fn with(self, names: &Names) -> Script<'_> {
        Script { notation: self, names }
    }

    /// The partial derivative of one thing by another.
    pub fn partial(self, of: &str, by: &str) -> String {
        match self {
            Self::Griewank => format!("∂{of}/∂{by}"),
            Self::Plain => format!("d({of})/d({by})"),
            Self::Latex => format!(r"\frac{{\partial {of}}}{{\partial {by}}}"),
        }
    }

    /// Between two factors.
    pub fn times(self) -> &'static str {
        match self {
            Self::Griewank => " · ",
            Self::Plain => " * ",
            Self::Latex => r" \cdot ",
        }
    }

    /// In the place of a number that does not exist.
    pub fn none(self) -> &'static str {
        match self {
            Self::Griewank => "–",
            Self::Plain => "-",
            Self::Latex => r"\text{--}",
        }
    }

    /// Between a sum and what is added to it.
    pub fn adds(self) -> &'static str {
        if self == Self::Latex { r"\mathrel{+}=" } else { "+=" }
    }
}

impl Script<'_> {
    /// What nodes are called in it.
    pub fn names(&self) -> &Names {
        self.names
    }

    /// A node's value.
    pub fn primal(self, number: i64) -> String {
        match self.notation {
            Notation::Latex => format!("{}_{{{number}}}", letters::latex(self.names.letter())),
            _ => self.names.row(number),
        }
    }

    /// A node's tangent.
    pub fn tangent(self, number: i64) -> String {
        self.marked(DOT, number)
    }

    /// A node's adjoint.
    pub fn adjoint(self, number: i64) -> String {
        self.marked(BAR, number)
    }

    fn marked(self, mark: &str, number: i64) -> String {
        let letter = self.names.letter();
        match self.notation {
            Notation::Griewank if mark == DOT => format!("{letter}\u{307}{number}"),
            Notation::Griewank => format!("{letter}\u{304}{number}"),
            Notation::Plain => format!("{mark}{}", self.names.row(number)),
            Notation::Latex => {
                let accent = if mark == DOT { "dot" } else { "bar" };
                format!(r"\{accent}{{{}}}_{{{number}}}", letters::latex(letter))
            }
        }
    }

    /// The inner product of the adjoint and the tangent of what this letter stands for.
    pub fn pairing(self, letter: &str) -> String {
        match self.notation {
            Notation::Griewank => format!("⟨{letter}\u{304}, {letter}\u{307}⟩"),
            Notation::Plain => format!("<{BAR}{letter}, {DOT}{letter}>"),
            Notation::Latex => {
                let letter = letters::latex(letter);
                format!(r"\langle\bar{{{letter}}}, \dot{{{letter}}}\rangle")
            }
        }
    }

    /// The formula's value.
    pub fn value(self) -> String {
        match self.notation {
            Notation::Latex => letters::latex(self.names.value()),
            _ => self.names.value().into(),
        }
    }

    /// A name of the user's, or a constant's. In LaTeX `x1` is x with the index 1.
    pub fn name(self, name: &str) -> String {
        match (self.notation, self.names.indexed(name)) {
            (Notation::Latex, Some((base, index))) => format!("{}_{{{index}}}", letters::latex(base)),
            (Notation::Latex, None) => match name {
                "pi" => r"\pi".into(),
                "e" => r"\mathrm{e}".into(),
                _ => letters::latex(name),
            },
            _ => name.into(),
        }
    }

    /// An expression.
    pub fn write(self, expression: &Expression) -> String {
        self.bound(expression).0
    }

    /// An expression as a factor on the right.
    pub fn write_factor(self, expression: &Expression) -> String {
        self.at_least(expression, Strength::Power)
    }

    fn bound(self, expression: &Expression) -> (String, Strength) {
        match expression {
            Expression::Primal(number) => (self.primal(*number), Strength::Atom),
            Expression::Tangent(number) => (self.tangent(*number), Strength::Atom),
            Expression::Adjoint(number) => (self.adjoint(*number), Strength::Atom),
            Expression::Name(name) => (self.name(name), Strength::Atom),
            Expression::Number(x) => {
                let strength = if x.is_sign_negative() { Strength::Negation } else { Strength::Atom };
                (self.number(*x), strength)
            }
            Expression::Negate(x) => {
                (format!("-{}", self.at_least(x, Strength::Product)), Strength::Negation)
            }
            Expression::Infix(op, a, b) => self.infix(*op, a, b),
            Expression::Call(name, operands) => self.call(name, operands),
        }
    }

    fn infix(self, op: Binary, a: &Expression, b: &Expression) -> (String, Strength) {
        let side = |x, strength| self.at_least(x, strength);
        match (op, self.notation) {
            (Binary::Add, _) => {
                (format!("{} + {}", side(a, Strength::Sum), side(b, Strength::Product)), Strength::Sum)
            }
            (Binary::Sub, _) => {
                (format!("{} - {}", side(a, Strength::Sum), side(b, Strength::Product)), Strength::Sum)
            }
            (Binary::Mul, _) => {
                let text = format!(
                    "{}{}{}",
                    side(a, Strength::Product),
                    self.notation.times(),
                    side(b, Strength::Power)
                );
                (text, Strength::Product)
            }
            (Binary::Div, Notation::Latex) => {
                (format!(r"\frac{{{}}}{{{}}}", self.write(a), self.write(b)), Strength::Product)
            }
            (Binary::Div, _) => {
                (format!("{} / {}", side(a, Strength::Product), side(b, Strength::Power)), Strength::Product)
            }
            (_, Notation::Latex) => {
                (format!("{}^{{{}}}", side(a, Strength::Atom), self.write(b)), Strength::Power)
            }
            (..) => (format!("{}^{}", side(a, Strength::Atom), side(b, Strength::Atom)), Strength::Power),
        }
    }

    fn call(self, name: &str, operands: &[Expression]) -> (String, Strength) {
        let inner: Vec<String> = operands.iter().map(|x| self.write(x)).collect();
        let inner = inner.join(", ");
        let text = match (self.notation, name) {
            (Notation::Latex, "sqrt") => format!(r"\sqrt{{{inner}}}"),
            (Notation::Latex, "abs") => format!(r"\left|{inner}\right|"),
            (Notation::Latex, "cbrt") => format!(r"\sqrt[3]{{{inner}}}"),
            (Notation::Latex, "asin" | "acos" | "atan") => format!(r"\arc{}\left({inner}\right)", &name[1..]),
            (Notation::Latex, "asinh" | "acosh" | "atanh") => {
                format!(r"\operatorname{{ar{}}}\left({inner}\right)", &name[1..])
            }
            (Notation::Latex, "log2" | "log10") => format!(r"\log_{{{}}}\left({inner}\right)", &name[3..]),
            (
                Notation::Latex,
                "sin" | "cos" | "tan" | "sec" | "csc" | "cot" | "sinh" | "cosh" | "tanh" | "exp" | "ln"
                | "min" | "max",
            ) => {
                format!(r"\{name}\left({inner}\right)")
            }
            (Notation::Latex, _) => format!(r"\operatorname{{{name}}}\left({inner}\right)"),
            _ => format!("{name}({inner})"),
        };
        (text, Strength::Atom)
    }

    /// In parentheses if it is bound less tightly.
    fn at_least(self, expression: &Expression, strength: Strength) -> String {
        match self.bound(expression) {
            (text, own) if own >= strength => text,
            (text, _) if self.notation == Notation::Latex => format!(r"\left({text}\right)"),
            (text, _) => format!("({text})"),
        }
    }

    fn number(self, x: f64) -> String {
        match self.notation {
            Notation::Latex => latex_number(&exact(x)),
            _ => exact(x),
        }
    }
}
