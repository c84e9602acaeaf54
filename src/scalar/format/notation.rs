//! How nodes, tangents, adjoints and expressions are written.

use crate::document::number::{exact, latex_number};
use crate::ops::Binary;
use crate::scalar::Expression;

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

impl Notation {
    /// A node's value.
    pub fn primal(self, number: i64) -> String {
        match self {
            Self::Latex => format!("v_{{{number}}}"),
            _ => format!("v{number}"),
        }
    }

    /// A node's tangent.
    pub fn tangent(self, number: i64) -> String {
        match self {
            Self::Griewank => format!("v\u{307}{number}"),
            Self::Plain => format!("dot_v{number}"),
            Self::Latex => format!(r"\dot{{v}}_{{{number}}}"),
        }
    }

    /// A node's adjoint.
    pub fn adjoint(self, number: i64) -> String {
        match self {
            Self::Griewank => format!("v\u{304}{number}"),
            Self::Plain => format!("adj_v{number}"),
            Self::Latex => format!(r"\bar{{v}}_{{{number}}}"),
        }
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
            Self::Latex => r"	ext{--}",
        }
    }

    /// Between a sum and what is added to it.
    pub fn adds(self) -> &'static str {
        if self == Self::Latex { r"\mathrel{+}=" } else { "+=" }
    }

    /// A name of the user's.
    pub fn name(self, name: &str) -> String {
        match self {
            Self::Latex => match name {
                "pi" => r"\pi".into(),
                "e" => r"\mathrm{e}".into(),
                _ => latex_name(name),
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
        match (op, self) {
            (Binary::Add, _) => {
                (format!("{} + {}", side(a, Strength::Sum), side(b, Strength::Product)), Strength::Sum)
            }
            (Binary::Sub, _) => {
                (format!("{} - {}", side(a, Strength::Sum), side(b, Strength::Product)), Strength::Sum)
            }
            (Binary::Mul, _) => {
                let text =
                    format!("{}{}{}", side(a, Strength::Product), self.times(), side(b, Strength::Power));
                (text, Strength::Product)
            }
            (Binary::Div, Self::Latex) => {
                (format!(r"\frac{{{}}}{{{}}}", self.write(a), self.write(b)), Strength::Product)
            }
            (Binary::Div, _) => {
                (format!("{} / {}", side(a, Strength::Product), side(b, Strength::Power)), Strength::Product)
            }
            (_, Self::Latex) => {
                (format!("{}^{{{}}}", side(a, Strength::Atom), self.write(b)), Strength::Power)
            }
            (..) => (format!("{}^{}", side(a, Strength::Atom), side(b, Strength::Atom)), Strength::Power),
        }
    }

    fn call(self, name: &str, operands: &[Expression]) -> (String, Strength) {
        let inner: Vec<String> = operands.iter().map(|x| self.write(x)).collect();
        let inner = inner.join(", ");
        let text = match (self, name) {
            (Self::Latex, "sqrt") => format!(r"\sqrt{{{inner}}}"),
            (Self::Latex, "abs") => format!(r"\left|{inner}\right|"),
            (Self::Latex, "asin" | "acos" | "atan") => format!(r"\arc{}\left({inner}\right)", &name[1..]),
            (Self::Latex, "log10") => format!(r"\log_{{10}}\left({inner}\right)"),
            (
                Self::Latex,
                "sin" | "cos" | "tan" | "sinh" | "cosh" | "tanh" | "exp" | "ln" | "min" | "max",
            ) => {
                format!(r"\{name}\left({inner}\right)")
            }
            (Self::Latex, _) => format!(r"\operatorname{{{name}}}\left({inner}\right)"),
            _ => format!("{name}({inner})"),
        };
        (text, Strength::Atom)
    }

    /// In parentheses if it is bound less tightly.
    fn at_least(self, expression: &Expression, strength: Strength) -> String {
        match self.bound(expression) {
            (text, own) if own >= strength => text,
            (text, _) if self == Self::Latex => format!(r"\left({text}\right)"),
            (text, _) => format!("({text})"),
        }
    }

    fn number(self, x: f64) -> String {
        match self {
            Self::Latex => latex_number(&exact(x)),
            _ => exact(x),
        }
    }
}

/// `x1` as x with the index 1; names of several letters upright.
fn latex_name(name: &str) -> String {
    let escape = |text: &str| text.replace('_', r"\_");
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let (base, index) = (letters.trim_end_matches('_'), &name[letters.len()..]);
    let base = if base.is_empty() { letters } else { base };
    let base = match base.chars().count() {
        1 if base.is_ascii() => escape(base),
        _ if base.is_ascii() => format!(r"\mathrm{{{}}}", escape(base)),
        _ => base.chars().map(latex_letter).collect(),
    };
    if index.is_empty() { base } else { format!("{base}_{{{index}}}") }
}

/// A letter of a name that is not all ASCII: a Greek one's command; of others that plain LaTeX does not know, the code.
fn latex_letter(letter: char) -> String {
    const NAMES: [(&str, &str); 32] = [
        ("α", "alpha"),
        ("β", "beta"),
        ("γ", "gamma"),
        ("δ", "delta"),
        ("ε", "varepsilon"),
        ("ζ", "zeta"),
        ("η", "eta"),
        ("θ", "theta"),
        ("ι", "iota"),
        ("κ", "kappa"),
        ("λ", "lambda"),
        ("μ", "mu"),
        ("ν", "nu"),
        ("ξ", "xi"),
        ("π", "pi"),
        ("ρ", "rho"),
        ("ς", "varsigma"),
        ("σ", "sigma"),
        ("τ", "tau"),
        ("υ", "upsilon"),
        ("φ", "varphi"),
        ("χ", "chi"),
        ("ψ", "psi"),
        ("ω", "omega"),
        ("Γ", "Gamma"),
        ("Δ", "Delta"),
        ("Θ", "Theta"),
        ("Λ", "Lambda"),
        ("Σ", "Sigma"),
        ("Φ", "Phi"),
        ("Ψ", "Psi"),
        ("Ω", "Omega"),
    ];
    match NAMES.iter().find(|(greek, _)| greek.starts_with(letter)) {
        Some((_, name)) => format!(r"\{name}{{}}"),
        None if letter == '_' => r"\_".into(),
        None if letter.is_ascii() => format!(r"\mathrm{{{letter}}}"),
        None => format!(r"\mathrm{{u{:04x}}}", u32::from(letter)),
    }
}
