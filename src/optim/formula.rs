//! An update rule as mathematics, read off the nodes that it writes: each named value is an equation.

use std::collections::BTreeMap;

use super::rule::Algorithm;
use super::scalar::Scalar;
use crate::document::number::{exact, latex_number};
use crate::graph::NodeId;
use crate::ops::{Binary, Builder, Graph, Leaf, Op, Rule, Unary, Var};

/// How mathematics is written.
#[derive(Clone, Copy)]
enum Notation {
    /// As assignments: `theta -= alpha u`.
    Text,
    /// As equations for step t, in which weight decay shrinks θ.
    Latex { weight_decay: f64 },
}

use Notation::{Latex, Text};

/// A rule as one line of text, with its constants and those of weight decay.
pub(super) fn text<const S: usize, const N: usize>(rule: &impl Algorithm<S, N>, weight_decay: f64) -> String {
    let rule = equations(rule, Text).join("; ");
    match weight_decay {
        0.0 => rule,
        _ => format!("theta *= 1 - alpha {weight_decay}; {rule}"),
    }
}

/// A rule as LaTeX, an equation a line.
pub(super) fn latex<const S: usize, const N: usize>(
    rule: &impl Algorithm<S, N>,
    weight_decay: f64,
) -> Vec<String> {
    equations(rule, Latex { weight_decay })
}

/// The equations of a rule, constants put in, in the order in which they are computed.
fn equations<const S: usize, const N: usize>(rule: &impl Algorithm<S, N>, notation: Notation) -> Vec<String> {
    let builder = Builder::new();
    let input = || builder.input("", []);
    let scalars = rule.all_scalars();
    let of_scalars: Vec<Var<'_>> = scalars.iter().map(|_| input()).collect();
    let (theta, g) = (input(), input());
    let state: Vec<Var<'_>> = (0..N).map(|_| input()).collect();
    let (moved, after) = rule.write(&of_scalars, theta, g, &state);
    moved.named("theta");

    let graph = builder.graph();
    let name = |var: Var<'_>| var.id().and_then(|id| graph.name(id)).unwrap_or_default();
    let mut leaves = vec![(of_scalars[0], notation.alpha().into()), (g, notation.name("g", "t"))];
    leaves.extend(state.into_iter().zip(after).map(|(old, new)| (old, notation.name(name(new), "t-1"))));
    drop(graph);
    leaves.push((of_scalars[1] * theta, notation.decayed())); // the node that `write` made

    let mut reader =
        Reader { graph: &builder.graph(), notation, leaves: BTreeMap::new(), corrections: BTreeMap::new() };
    reader.leaves.extend(leaves.into_iter().filter_map(|(var, text)| Some((var.id()?, text))));
    for (var, scalar) in of_scalars.into_iter().zip(scalars) {
        if let (Some(id), Scalar::Correction(beta)) = (var.id(), scalar) {
            reader.corrections.insert(id, beta);
        }
    }
    reader.equations()
}

/// How tightly what is written holds together: what is looser than its surroundings stands in parentheses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Sum,
    Quotient,
    Product,
    Atom,
}

use Binding::{Atom, Product, Quotient, Sum};

type Written = (String, Binding);

struct Reader<'a> {
    graph: &'a Graph,
    notation: Notation,
    /// What is there before the step.
    leaves: BTreeMap<NodeId, String>,
    /// The β of each [`Scalar::Correction`].
    corrections: BTreeMap<NodeId, f64>,
}

impl Reader<'_> {
    fn equations(&self) -> Vec<String> {
        let values = self.graph.iter().filter(|(_, node)| !node.inputs.is_empty());
        values.filter_map(|(id, _)| Some(self.equation(self.graph.name(id)?, id))).collect()
    }

    fn equation(&self, name: &str, id: NodeId) -> String {
        let name = self.notation.name(name, "t");
        let node = &self.graph[id];
        match (self.notation, &node.op, &node.inputs[..]) {
            (Text, Op::Binary(Binary::Add), &[old, b]) if self.value(old).0 == name => {
                format!("{name} += {}", self.value(b).0)
            }
            (Text, Op::Binary(Binary::Sub), &[old, b]) if self.value(old).0 == name => {
                format!("{name} -= {}", self.value(b).0)
            }
            _ => format!("{name} = {}", self.operation(id).0),
        }
    }

    /// A value by its name, or as the operation that computes it.
    fn value(&self, id: NodeId) -> Written {
        match (self.leaves.get(&id), self.graph.name(id)) {
            (Some(text), _) => (text.clone(), Atom),
            (None, Some(name)) => (self.notation.name(name, "t"), Atom),
            (None, None) => self.operation(id),
        }
    }

    fn operation(&self, id: NodeId) -> Written {
        let node = &self.graph[id];
        match (&node.op, &node.inputs[..]) {
            (Op::Leaf(Leaf::Constant(number)), _) => (self.notation.number(number.get()), Atom),
            (Op::Binary(Binary::Mul), &[a, b]) if a == b => (format!("{}^2", self.within(a, Atom)), Atom),
            (Op::Binary(Binary::Mul), &[a, b]) => {
                let corrected =
                    |corrected: NodeId, by: NodeId| Some((corrected, *self.corrections.get(&by)?));
                match corrected(a, b).or_else(|| corrected(b, a)) {
                    Some((value, beta)) => {
                        self.quotient(value, (format!("1 - {}", self.notation.power(beta)), Sum))
                    }
                    None => self.product(&self.within(a, Product), &self.within(b, Product)),
                }
            }
            (Op::Binary(Binary::Div), &[a, b]) => self.quotient(a, self.value(b)),
            (Op::Binary(Binary::Add), &[a, b]) => (format!("{} + {}", self.value(a).0, self.addend(b)), Sum),
            (Op::Binary(Binary::Sub), &[a, b]) => {
                (format!("{} - {}", self.value(a).0, self.within(b, Quotient)), Sum)
            }
            (op, operands) => {
                let operands: Vec<String> = operands.iter().map(|&operand| self.value(operand).0).collect();
                (self.notation.call(op, &operands.join(", ")), Atom)
            }
        }
    }

    /// A value, in parentheses if it holds together less than that.
    fn within(&self, id: NodeId, least: Binding) -> String {
        parenthesized(self.value(id), least)
    }

    fn product(&self, a: &str, b: &str) -> Written {
        let space = if let Text = self.notation { " " } else { r"\, " };
        (format!("{a}{space}{b}"), Product)
    }

    fn quotient(&self, a: NodeId, b: Written) -> Written {
        match (self.notation, &self.graph[a].op, &self.graph[a].inputs[..]) {
            (Text, ..) => (format!("{} / {}", self.within(a, Product), parenthesized(b, Atom)), Quotient),
            // A factor in front of the fraction leaves it legible.
            (_, Op::Binary(Binary::Mul), &[factor, rest]) if factor != rest && self.is_spelled_out(a) => {
                self.product(&self.within(factor, Product), &fraction(&self.value(rest).0, &b.0))
            }
            _ => (fraction(&self.value(a).0, &b.0), Product),
        }
    }

    /// Whether a product stands there as such: neither under a name nor as a correction.
    fn is_spelled_out(&self, id: NodeId) -> bool {
        let is_correction = |input: &NodeId| self.corrections.contains_key(input);
        let has_name = self.leaves.contains_key(&id) || self.graph.name(id).is_some();
        !has_name && !self.graph[id].inputs.iter().any(is_correction)
    }

    /// What stands behind a plus. A number there is an ε, and may be tiny.
    fn addend(&self, id: NodeId) -> String {
        match (self.notation, &self.graph[id].op) {
            (Text, Op::Leaf(Leaf::Constant(number))) => format!("{:e}", number.get()),
            _ => self.value(id).0,
        }
    }
}

fn parenthesized((text, binding): Written, least: Binding) -> String {
    if binding < least { format!("({text})") } else { text }
}

fn fraction(a: &str, b: &str) -> String {
    format!(r"\frac{{{a}}}{{{b}}}")
}

impl Notation {
    /// `m_hat` as it is written, at a time.
    fn name(self, name: &str, time: &str) -> String {
        let letter = |name: &str| if name.len() == 1 { name.into() } else { format!(r"\{name}") };
        let time = if time.len() == 1 { time.into() } else { format!("{{{time}}}") };
        match (self, name.strip_suffix("_hat")) {
            (Text, _) => name.into(),
            (_, Some(name)) => format!(r"\hat{{{}}}_{time}", letter(name)),
            (_, None) => format!("{}_{time}", letter(name)),
        }
    }

    fn alpha(self) -> &'static str {
        if let Text = self { "alpha" } else { r"\alpha" }
    }

    /// θ before its update, shrunk by weight decay. In text that is an assignment of its own.
    fn decayed(self) -> String {
        match self {
            Text => "theta".into(),
            Latex { weight_decay: 0.0 } => r"\theta_{t-1}".into(),
            Latex { weight_decay } => {
                format!(r"\left(1 - {}\, \alpha\right) \theta_{{t-1}}", self.number(weight_decay))
            }
        }
    }

    /// A factor or a term: `0.9`, `10^{-8}`, `2.5 \cdot 10^{-7}`.
    fn number(self, value: f64) -> String {
        if let Text = self {
            return value.to_string();
        }
        let text = latex_number(&exact(value));
        text.strip_prefix(r"1 \cdot ").map_or(text.clone(), str::to_owned)
    }

    /// A constant to the power of t. LaTeX refuses a second exponent, so one that has its own stands in parentheses.
    fn power(self, beta: f64) -> String {
        let base = self.number(beta);
        if base.contains('^') { format!(r"\left({base}\right)^t") } else { format!("{base}^t") }
    }

    fn call(self, op: &Op, operands: &str) -> String {
        match (self, op) {
            (Text, _) => format!("{}({operands})", op.name()),
            (_, Op::Unary(Unary::Sqrt)) => format!(r"\sqrt{{{operands}}}"),
            _ => format!(r"\operatorname{{{}}}({operands})", op.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::value::Value;
    use crate::optim::{Constant, Optimizer, OptimizerName};

    /// Every optimizer, with constants that are no defaults, large, small, tiny and zero.
    fn rules() -> impl Iterator<Item = Optimizer> {
        let sizes = [0.85, 2.5e-7, 3e-6, 0.0, 0.125].into_iter().enumerate();
        let value = |size: f64, constant: &Constant| size + 1e-9 * constant.name.len() as f64;
        sizes.flat_map(move |(i, size)| {
            OptimizerName::ALL.map(|name| name.build(|of| if i == 3 { size } else { value(size, of) }))
        })
    }

    #[test]
    fn every_number_of_the_formula_stands_in_the_latex_as_often() {
        for (rule, decay) in rules().flat_map(|rule| [(rule, 0.0), (rule, 0.03), (rule, 1e-6)]) {
            let formula = rule.formula(decay);
            let latex = rule.latex(decay).join("; ");
            let words = formula.split([' ', '(', ')', '^', ';']);
            let number = |value: f64| Latex { weight_decay: 0.0 }.number(value);
            let mut numbers: Vec<String> = words.filter_map(|word| word.parse().ok()).map(number).collect();
            numbers.sort_by_key(|text| std::cmp::Reverse(text.len())); // 1 is also a part of others
            let mut left = latex.replace("{t-1}", "");
            for text in numbers {
                assert!(left.contains(&text), "{text} of {formula:?} is missing in {latex:?}");
                left = left.replacen(&text, "", 1);
            }
            assert!(!left.contains(|c: char| c.is_ascii_digit()), "{left:?} is left of {latex:?}");
        }
    }

    #[test]
    fn braces_and_parentheses_balance_and_no_exponent_follows_another() {
        for line in rules().flat_map(|rule| rule.latex(0.5)) {
            for (open, close) in [("{", "}"), ("(", ")"), (r"\left(", r"\right)")] {
                assert_eq!(line.matches(open).count(), line.matches(close).count(), "{open} in {line}");
            }
            assert!(!line.contains("}^"), "{line}");
        }
    }

    #[test]
    fn every_number_of_state_has_a_name_and_an_equation() {
        for rule in rules() {
            let formula = rule.formula(0.0);
            let is_assigned =
                |name: &str| formula.split("; ").any(|line| line.starts_with(&format!("{name} ")));
            let latex = rule.latex(0.0).join("; ");
            let before = latex.split(' ').filter_map(|word| word.split_once("_{t-1}")).map(|(name, _)| name);
            let mut names: Vec<&str> = before.filter_map(|name| name.rsplit(['\\', '{']).next()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), rule.states() + 1, "θ and the state in {latex:?}");
            assert!(names.iter().all(|name| is_assigned(name)), "{names:?} in {formula:?}");
        }
    }

    /// A rule that divides what others do not: a corrected mean, and parameters.
    #[derive(Clone, Copy)]
    struct Divides;

    impl Algorithm<1, 1> for Divides {
        fn scalars(&self) -> Vec<Scalar> {
            vec![Scalar::Correction(0.5)]
        }

        fn update<V: Value>(&self, _: V, [correction]: [V; 1], theta: V, g: V, [m]: [V; 1]) -> (V, [V; 1]) {
            let m = (m + g).named("m");
            let m_hat = (correction * m).named("m_hat");
            (theta / g - m_hat / g - m * correction / g, [m])
        }
    }

    #[test]
    fn what_has_a_name_is_divided_under_it() {
        let latex = latex(&Divides, 0.25);
        let corrected = r"\frac{m_t}{1 - 0.5^t}";
        assert_eq!(latex[1], format!(r"\hat{{m}}_t = {corrected}"));
        let decayed = r"\left(1 - 0.25\, \alpha\right) \theta_{t-1}";
        let terms = [decayed, r"\hat{m}_t", corrected].map(|term| format!(r"\frac{{{term}}}{{g_t}}"));
        assert_eq!(latex[2], format!(r"\theta_t = {}", terms.join(" - ")));
    }

    #[test]
    fn each_rule_names_its_source_with_its_year() {
        for source in OptimizerName::ALL.map(|name| name.family().source) {
            let year = source.split_once('(').and_then(|(_, rest)| rest.get(..5)).unwrap_or_default();
            assert!(year.ends_with(')') && year[..4].parse::<u16>().is_ok(), "{source}");
        }
    }
}
