//! The functions and constants of formulas by name, and the nearest in meaning to a name that is unknown.
//!
//! Functions are those of the elementwise operations of [`crate::ops`] by their names there, so that a new operation is
//! known here as well.

use super::error::nearest;
use crate::ops::{Binary, Op, Rule, Unary};

/// A named constant of formulas.
pub(super) const CONSTANTS: [(&str, f64); 2] = [("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];

/// The constant of this name.
pub(super) fn constant(name: &str) -> Option<f64> {
    CONSTANTS.iter().find(|(constant, _)| *constant == name).map(|(_, value)| *value)
}

/// Functions of one argument and of two.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum NamedFunction {
    Unary(Unary),
    Binary(Binary),
}

impl NamedFunction {
    pub fn named(name: &str) -> Option<Self> {
        if name == "log" {
            return Some(Self::Unary(Unary::Ln));
        }
        let unary = Unary::FUNCTIONS.iter().find(|unary| unary.name() == name && **unary != Unary::Neg);
        let binary =
            Binary::FUNCTIONS.iter().find(|binary| binary.name() == name && symbol(**binary).is_none());
        unary.map(|&unary| Self::Unary(unary)).or(binary.map(|&binary| Self::Binary(binary)))
    }

    pub fn operation(self) -> Op {
        match self {
            Self::Unary(operation) => Op::Unary(operation),
            Self::Binary(operation) => Op::Binary(operation),
        }
    }

    pub fn arity(self) -> usize {
        match self {
            Self::Unary(_) => 1,
            Self::Binary(_) => 2,
        }
    }
}

/// The names of all functions.
pub fn functions() -> impl Iterator<Item = &'static str> {
    let unary = Unary::FUNCTIONS.iter().filter(|unary| **unary != Unary::Neg).map(|unary| unary.name());
    let binary =
        Binary::FUNCTIONS.iter().filter(|binary| symbol(**binary).is_none()).map(|binary| binary.name());
    unary.chain(binary).chain(["log"])
}

/// The operations that are written between their operands. `^` is also called pow.
pub(super) fn symbol(operation: Binary) -> Option<char> {
    match operation {
        Binary::Add => Some('+'),
        Binary::Sub => Some('-'),
        Binary::Mul => Some('*'),
        Binary::Div => Some('/'),
        _ => None,
    }
}

/// Other names of functions, in small letters without `_`: what they are called in other languages and libraries.
const ALIASES: [(&str, &str); 62] = [
    ("absolute", "abs"),
    ("absval", "abs"),
    ("arccos", "acos"),
    ("arccosh", "acosh"),
    ("arch", "acosh"),
    ("arcosh", "acosh"),
    ("arcsin", "asin"),
    ("arcsinh", "asinh"),
    ("arctan", "atan"),
    ("arctan2", "atan2"),
    ("arctanh", "atanh"),
    ("arctg", "atan"),
    ("argcosh", "acosh"),
    ("argsinh", "asinh"),
    ("argtanh", "atanh"),
    ("arsh", "asinh"),
    ("arsinh", "asinh"),
    ("artanh", "atanh"),
    ("arth", "atanh"),
    ("atg", "atan"),
    ("atn", "atan"),
    ("ch", "cosh"),
    ("cosec", "csc"),
    ("cosecant", "csc"),
    ("cosine", "cos"),
    ("cotan", "cot"),
    ("cotangent", "cot"),
    ("cotg", "cot"),
    ("ctan", "cot"),
    ("ctg", "cot"),
    ("cuberoot", "cbrt"),
    ("expit", "sigmoid"),
    ("exponential", "exp"),
    ("fabs", "abs"),
    ("fmax", "max"),
    ("fmin", "min"),
    ("greater", "above"),
    ("gt", "above"),
    ("heaviside", "step"),
    ("lb", "log2"),
    ("ld", "log2"),
    ("logarithm", "ln"),
    ("loge", "ln"),
    ("logistic", "sigmoid"),
    ("magnitude", "abs"),
    ("maximum", "max"),
    ("minimum", "min"),
    ("power", "pow"),
    ("ramp", "relu"),
    ("rect", "relu"),
    ("rectifier", "relu"),
    ("secant", "sec"),
    ("sen", "sin"),
    ("sgn", "sign"),
    ("sh", "sinh"),
    ("sig", "sigmoid"),
    ("sigm", "sigmoid"),
    ("signum", "sign"),
    ("sine", "sin"),
    ("softrelu", "softplus"),
    ("tg", "tan"),
    ("th", "tanh"),
];

/// Functions that there are elsewhere, whose names are near to those of others: what to write, or nothing.
const FORMULAS: [(&str, &str); 84] = [
    ("acot", "atan(1/x)"),
    ("acoth", "atanh(1/x)"),
    ("acsc", "asin(1/x)"),
    ("acsch", "asinh(1/x)"),
    ("arccot", "atan(1/x)"),
    ("arccoth", "atanh(1/x)"),
    ("arccsc", "asin(1/x)"),
    ("arcoth", "atanh(1/x)"),
    ("arcsch", "asinh(1/x)"),
    ("arcsec", "acos(1/x)"),
    ("arsech", "acosh(1/x)"),
    ("asec", "acos(1/x)"),
    ("asech", "acosh(1/x)"),
    ("ceil", ""),
    ("celu", "max(x, 0) + min(a*expm1(x/a), 0)"),
    ("cis", ""),
    ("clamp", "max(a, min(x, b))"),
    ("clip", "max(a, min(x, b))"),
    ("cosd", "cos(x*pi/180)"),
    ("cospi", "cos(pi*x)"),
    ("coth", "1/tanh(x)"),
    ("csch", "1/sinh(x)"),
    ("ctanh", "1/tanh(x)"),
    ("cth", "1/tanh(x)"),
    ("cube", "x^3"),
    ("deg2rad", "x*pi/180"),
    ("degrees", "x*180/pi"),
    ("elu", "max(x, 0) + min(expm1(x), 0)"),
    ("erfc", "1 - erf(x)"),
    ("erfcx", ""),
    ("erfi", ""),
    ("erfinv", ""),
    ("exp1", ""),
    ("exp10", "10^x"),
    ("exp2", "2^x"),
    ("floor", ""),
    ("fmod", ""),
    ("frac", ""),
    ("gamma", ""),
    ("gelu", "x*(1 + erf(x/sqrt(2)))/2"),
    ("hardsigmoid", "max(0, min(x/6 + 1/2, 1))"),
    ("hardtanh", "max(-1, min(x, 1))"),
    ("haversine", "sin(x/2)^2"),
    ("inv", "1/x"),
    ("leakyrelu", "max(x, 0.01*x)"),
    ("lg", "log10(x) or ln(x)/ln(2), whichever it is"),
    ("lgamma", ""),
    ("ln10", "ln(10)"),
    ("ln2", "ln(2)"),
    ("logit", "ln(x/(1 - x))"),
    ("logsigmoid", "-softplus(-x)"),
    ("mean", ""),
    ("median", ""),
    ("mish", "x*tanh(softplus(x))"),
    ("mod", ""),
    ("neg", "-x"),
    ("nroot", "x^(1/n)"),
    ("prelu", "max(x, 0) + a*min(x, 0)"),
    ("prod", ""),
    ("rad2deg", "x*180/pi"),
    ("radians", "x*pi/180"),
    ("recip", "1/x"),
    ("reciprocal", "1/x"),
    ("relu6", "min(relu(x), 6)"),
    ("root", "sqrt(x) or x^(1/n), whichever it is"),
    ("round", ""),
    ("rsqrt", "1/sqrt(x)"),
    ("sech", "1/cosh(x)"),
    ("selu", ""),
    ("silu", "x*sigmoid(x)"),
    ("sinc", "sin(x)/x"),
    ("sind", "sin(x*pi/180)"),
    ("sinpi", "sin(pi*x)"),
    ("softmax", ""),
    ("softsign", "x/(1 + abs(x))"),
    ("sqr", "x^2, or sqrt(x), whichever it is"),
    ("square", "x^2"),
    ("std", ""),
    ("sum", ""),
    ("swish", "x*sigmoid(x)"),
    ("tand", "tan(x*pi/180)"),
    ("tanpi", "tan(pi*x)"),
    ("var", ""),
    ("versin", "1 - cos(x)"),
];

/// What to write for a function that is unknown: its name here if it has another, a formula if it is one, else a name
/// that is spelt nearly so; nothing where the nearest means something else.
pub(super) fn hint(name: &str) -> String {
    let small: String = match name.len() {
        0..=40 => name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect(),
        _ => return String::new(),
    };
    let alias = ALIASES.iter().find(|(other, _)| *other == small).map(|(_, own)| *own);
    let formula = FORMULAS.iter().find(|(other, _)| *other == small).map(|(_, formula)| *formula);
    let own = alias.or(Some(&small)).and_then(|name| functions().find(|own| *own == name));
    // log2 is not log10: what a number says is never a slip of the finger.
    let digits = |name: &str| name.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>();
    let near = || nearest(&small, functions().filter(|own| digits(own) == digits(&small)));
    match (own, alias, formula) {
        (Some(own), ..) => format!("; did you mean {own}?"),
        (None, _, Some("")) | (None, Some(_), _) => String::new(),
        (None, None, Some(formula)) => format!("; write {formula}"),
        (None, None, None) => near().map_or(String::new(), |own| format!("; did you mean {own}?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_nearest_meaning_and_never_another() {
        for (name, expected) in [
            ("sgn", "did you mean sign?"),
            ("ReLU", "did you mean relu?"),
            ("Relu", "did you mean relu?"),
            ("SIN", "did you mean sin?"),
            ("arcsin", "did you mean asin?"),
            ("ArcTan", "did you mean atan?"),
            ("arc_tan", "did you mean atan?"),
            ("tg", "did you mean tan?"),
            ("power", "did you mean pow?"),
            ("maximum", "did you mean max?"),
            ("fabs", "did you mean abs?"),
            ("logistic", "did you mean sigmoid?"),
            ("heaviside", "did you mean step?"),
            ("sine", "did you mean sin?"),
            ("sigmod", "did you mean sigmoid?"),
            ("exp2", "write 2^x"),
            ("coth", "write 1/tanh(x)"),
            ("ctanh", "write 1/tanh(x)"),
            ("asech", "write acosh(1/x)"),
            ("arcsec", "write acos(1/x)"),
            ("atn", "did you mean atan?"),
            ("sigm", "did you mean sigmoid?"),
            ("ln2", "write ln(2)"),
            ("sinpi", "write sin(pi*x)"),
            ("gelu", "write x*(1 + erf(x/sqrt(2)))/2"),
            ("sinc", "write sin(x)/x"),
            ("neg", "write -x"),
        ] {
            assert_eq!(hint(name), format!("; {expected}"), "{name}");
        }
        for name in ["log3", "log7", "sin2", "erfi", "mean", "prod", "quux", "floor", "", &"sin".repeat(20)] {
            assert_eq!(hint(name), "", "{name}");
        }
    }

    #[test]
    fn each_alias_and_formula_is_another_name_than_the_functions_own() {
        let mut names: Vec<&str> = ALIASES.iter().chain(&FORMULAS).map(|(other, _)| *other).collect();
        assert!(names.iter().all(|name| NamedFunction::named(name).is_none()));
        assert!(names.iter().all(|name| !name.contains(|c: char| c.is_uppercase() || c == '_')));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands twice");
        // What is to be written is what is read, but for words beside it.
        for (name, formula) in
            FORMULAS.iter().filter(|(_, formula)| !formula.contains(',') || formula.contains('('))
        {
            let first = formula.split(" or ").next().unwrap_or_default();
            if !first.is_empty() && !first.starts_with("x^2,") {
                assert!(super::super::parse(first).is_ok(), "{name}: {formula}");
            }
        }
    }
}
