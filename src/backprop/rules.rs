//! Nodes of the chain's graph as formulas to read: `W3ᵀ V5.g`, `V2.g ⊙ [V2 > 0]`.
//!
//! The rules of the gradients are not written down here a second time: they are read off the nodes that the
//! operations' own derivatives have appended, with like terms added up as one does by hand.

use super::chain::{Backprop, Variable};
use crate::graph::NodeId;
use crate::ops::{Binary, Leaf, MatMul, Op, Reduction, Rule, Unary};

/// How formulas are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixNotation {
    /// `W3ᵀ V5.g`
    Text,
    /// `{W_{3}}^{\mathsf{T}}\, V_{5}.\mathrm{g}`
    Latex,
}

impl MatrixNotation {
    /// A variable: `V5`.
    pub fn name(self, name: &str) -> String {
        let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
        match self {
            Self::Latex if letters.len() < name.len() => format!("{letters}_{{{}}}", &name[letters.len()..]),
            _ => name.into(),
        }
    }

    /// A variable's value: `V5.v`.
    pub fn value(self, name: &str) -> String {
        self.name(name) + self.suffix("v")
    }

    /// A variable's gradient: `V5.g`.
    pub fn gradient(self, name: &str) -> String {
        self.name(name) + self.suffix("g")
    }

    fn suffix(self, which: &'static str) -> &'static str {
        match (self, which) {
            (Self::Text, "v") => ".v",
            (Self::Text, _) => ".g",
            (Self::Latex, "v") => r".\mathrm{v}",
            (Self::Latex, _) => r".\mathrm{g}",
        }
    }
}

/// c · s₁ s₂ … · F₁ ⊙ F₂ …, with scalars s and matrices F.
#[derive(Clone, PartialEq)]
struct Term {
    coefficient: f64,
    scalars: Vec<String>,
    factors: Vec<String>,
}

impl Backprop {
    /// What a variable is computed from, such as `W3 V4`, as text; nothing for what is given.
    pub fn definition(&self, variable: &Variable) -> Option<String> {
        self.definition_in(variable, MatrixNotation::Text)
    }

    /// What a variable's gradient is computed from, such as `V4.g = W3ᵀ V5.g`, as text; nothing for the data.
    pub fn rule(&self, variable: &Variable) -> Option<String> {
        self.rule_in(variable, MatrixNotation::Text)
    }

    /// As [`Self::definition`], in the notation asked for.
    pub fn definition_in(&self, variable: &Variable, notation: MatrixNotation) -> Option<String> {
        let rules = Rules { found: self, notation };
        (!variable.is_input).then(|| rules.expression(variable.node))
    }

    /// As [`Self::rule`], in the notation asked for.
    pub fn rule_in(&self, variable: &Variable, notation: MatrixNotation) -> Option<String> {
        let rules = Rules { found: self, notation };
        let gradient = notation.gradient(&variable.name);
        variable.gradient_node.map(|node| format!("{gradient} = {}", rules.expression(node)))
    }
}

/// Reads formulas off the graph.
pub(super) struct Rules<'f> {
    pub found: &'f Backprop,
    pub notation: MatrixNotation,
}

impl Rules<'_> {
    /// What this node is computed from, in terms of variables and gradients.
    pub fn expression(&self, node: NodeId) -> String {
        let terms = self.terms_of_operation(node);
        self.sum(&terms)
    }

    /// The name of a node that is a variable or a gradient.
    fn name(&self, node: NodeId) -> Option<String> {
        let variables = &self.found.variables;
        let value = || variables.iter().find(|variable| variable.node == node);
        let gradient = || variables.iter().find(|variable| variable.gradient_node == Some(node));
        match (value(), gradient()) {
            (Some(variable), _) => Some(self.notation.name(&variable.name)),
            (None, Some(variable)) => Some(self.notation.gradient(&variable.name)),
            (None, None) => None,
        }
    }

    fn terms(&self, node: NodeId) -> Vec<Term> {
        match self.name(node) {
            Some(name) => vec![self.atom(node, name)],
            None => self.terms_of_operation(node),
        }
    }

    fn atom(&self, node: NodeId, name: String) -> Term {
        match self.found.graph[node].shape.is_empty() {
            true => Term { coefficient: 1.0, scalars: vec![name], factors: Vec::new() },
            false => Term { coefficient: 1.0, scalars: Vec::new(), factors: vec![name] },
        }
    }

    fn terms_of_operation(&self, node: NodeId) -> Vec<Term> {
        let of = &self.found.graph[node];
        let operand = |k: usize| of.inputs[k];
        match &of.op {
            Op::Leaf(Leaf::Constant(value)) => {
                vec![Term { coefficient: value.get(), scalars: Vec::new(), factors: Vec::new() }]
            }
            Op::Unary(Unary::Neg) => scaled(self.terms(operand(0)), -1.0),
            Op::Unary(Unary::Relu) => {
                let name = self.function("relu", operand(0));
                vec![self.atom(node, name)]
            }
            Op::Unary(Unary::Step) => {
                let name = self.indicator(operand(0));
                vec![self.atom(node, name)]
            }
            Op::Binary(Binary::Add) => collected([self.terms(operand(0)), self.terms(operand(1))].concat()),
            Op::Binary(Binary::Sub) => {
                collected([self.terms(operand(0)), scaled(self.terms(operand(1)), -1.0)].concat())
            }
            Op::Binary(Binary::Mul) => vec![self.product(operand(0), operand(1))],
            // A number repeated in every entry is a scalar factor.
            Op::Reduction(Reduction::Broadcast { .. }) => self.terms(operand(0)),
            Op::Reduction(Reduction::Sum { .. }) => vec![self.total(node, operand(0))],
            Op::MatMul(matmul) => {
                let name = self.matrix_product(*matmul, operand(0), operand(1));
                vec![self.atom(node, name)]
            }
            other => {
                let name = self.function(other.name(), operand(0));
                vec![self.atom(node, name)]
            }
        }
    }

    /// a ⊙ b, as one term.
    fn product(&self, a: NodeId, b: NodeId) -> Term {
        let [a, b] = [a, b].map(|node| {
            let mut terms = self.terms(node);
            match terms.len() {
                1 => terms.remove(0),
                _ => self.atom(node, format!("({})", self.sum(&terms))),
            }
        });
        Term {
            coefficient: a.coefficient * b.coefficient,
            scalars: [a.scalars, b.scalars].concat(),
            factors: [a.factors, b.factors].concat(),
        }
    }

    /// The sum over all entries: of x ⊙ x it is ‖x‖².
    fn total(&self, node: NodeId, of: NodeId) -> Term {
        let terms = self.terms(of);
        if let [Term { coefficient, scalars, factors }] = &terms[..]
            && let [a, b] = &factors[..]
            && a == b
        {
            let norm = match self.notation {
                MatrixNotation::Text => format!("‖{a}‖²"),
                MatrixNotation::Latex => format!(r"\lVert {a} \rVert^{{2}}"),
            };
            let scalars = [scalars.clone(), vec![norm]].concat();
            return Term { coefficient: *coefficient, scalars, factors: Vec::new() };
        }
        self.atom(node, self.function("sum", of))
    }

    fn matrix_product(&self, matmul: MatMul, a: NodeId, b: NodeId) -> String {
        let [a, b] = [(a, matmul.transpose_a), (b, matmul.transpose_b)].map(|(node, transposed)| {
            let factor = match self.name(node) {
                Some(name) => name,
                None => format!("({})", self.sum(&self.terms(node))),
            };
            match (transposed, self.notation) {
                (false, _) => factor,
                (true, MatrixNotation::Text) => format!("{factor}ᵀ"),
                (true, MatrixNotation::Latex) => format!(r"{{{factor}}}^{{\mathsf{{T}}}}"),
            }
        });
        match self.notation {
            MatrixNotation::Text => format!("{a} {b}"),
            MatrixNotation::Latex => format!(r"{a}\, {b}"),
        }
    }

    fn function(&self, name: &str, operand: NodeId) -> String {
        let inner = self.sum(&self.terms(operand));
        match self.notation {
            MatrixNotation::Text => format!("{name}({inner})"),
            MatrixNotation::Latex => format!(r"\operatorname{{{name}}}({inner})"),
        }
    }

    /// 1 in each entry where the operand is positive, else 0.
    fn indicator(&self, operand: NodeId) -> String {
        format!("[{} > 0]", self.sum(&self.terms(operand)))
    }

    fn sum(&self, terms: &[Term]) -> String {
        let mut out = String::new();
        for (position, term) in terms.iter().enumerate() {
            let negative = term.coefficient < 0.0;
            out += match (position, negative, self.notation) {
                (0, false, _) => "",
                (0, true, MatrixNotation::Text) => "−",
                (0, true, MatrixNotation::Latex) => "-",
                (_, false, _) => " + ",
                (_, true, MatrixNotation::Text) => " − ",
                (_, true, MatrixNotation::Latex) => " - ",
            };
            out += &self.term(term);
        }
        if out.is_empty() { "0".into() } else { out }
    }

    /// A term without its sign.
    fn term(&self, term: &Term) -> String {
        let (half, between, times) = match self.notation {
            MatrixNotation::Text => ("½", " ", " ⊙ "),
            MatrixNotation::Latex => (r"\tfrac{1}{2}", r"\, ", r" \odot "),
        };
        let coefficient = match term.coefficient.abs() {
            1.0 => None,
            0.5 => Some(half.to_owned()),
            other => Some(other.to_string()),
        };
        let alone = term.scalars.is_empty() && term.factors.is_empty();
        if alone {
            return coefficient.unwrap_or_else(|| "1".into());
        }
        let mut front: Vec<String> = term.scalars.clone();
        if let (Some(number), Some(first)) = (&coefficient, front.first_mut()) {
            *first = format!("{number}{first}"); // ½‖D‖²
        } else {
            front.extend(coefficient);
        }
        if !term.factors.is_empty() {
            front.push(term.factors.join(times));
        }
        front.join(between)
    }
}

fn scaled(terms: Vec<Term>, by: f64) -> Vec<Term> {
    terms.into_iter().map(|term| Term { coefficient: by * term.coefficient, ..term }).collect()
}

/// Like terms added up.
fn collected(terms: Vec<Term>) -> Vec<Term> {
    let mut sums: Vec<Term> = Vec::new();
    for term in terms {
        let like = |other: &&mut Term| other.scalars == term.scalars && other.factors == term.factors;
        match sums.iter_mut().find(like) {
            Some(sum) => sum.coefficient += term.coefficient,
            None => sums.push(term),
        }
    }
    sums.retain(|term| term.coefficient != 0.0);
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backprop::Problem;

    fn formulas(shape: &[usize], notation: MatrixNotation) -> Vec<(Option<String>, Option<String>)> {
        let found = Backprop::of(&Problem::random(shape, 3, 1).unwrap()).unwrap();
        let both = |v| (found.definition_in(v, notation), found.rule_in(v, notation));
        found.variables.iter().map(both).collect()
    }

    #[test]
    fn the_exercises_rules_read_as_in_a_textbook() {
        let formulas = formulas(&[5, 4, 3, 2], MatrixNotation::Text);
        let definitions: Vec<&str> =
            formulas.iter().filter_map(|(definition, _)| definition.as_deref()).collect();
        assert_eq!(definitions, ["W1 X", "relu(V1)", "W2 V2", "relu(V3)", "W3 V4", "Y − V5", "½‖D‖²"]);
        let rules: Vec<&str> = formulas.iter().filter_map(|(_, rule)| rule.as_deref()).collect();
        assert_eq!(
            rules,
            [
                "W1.g = V1.g Xᵀ",
                "W2.g = V3.g V2ᵀ",
                "W3.g = V5.g V4ᵀ",
                "V1.g = V2.g ⊙ [V2 > 0]",
                "V2.g = W2ᵀ V3.g",
                "V3.g = V4.g ⊙ [V4 > 0]",
                "V4.g = W3ᵀ V5.g",
                "V5.g = −D.g",
                "D.g = z.g D",
                "z.g = 1",
            ]
        );
    }

    #[test]
    fn latex_says_the_same() {
        let formulas = formulas(&[5, 2], MatrixNotation::Latex);
        let all: Vec<&str> =
            formulas.iter().flat_map(|(a, b)| [a, b]).flatten().map(String::as_str).collect();
        assert_eq!(
            all,
            [
                r"W_{1}.\mathrm{g} = V_{1}.\mathrm{g}\, {X}^{\mathsf{T}}",
                r"W_{1}\, X",
                r"V_{1}.\mathrm{g} = -D.\mathrm{g}",
                r"Y - V_{1}",
                r"D.\mathrm{g} = z.\mathrm{g}\, D",
                r"\tfrac{1}{2}\lVert D \rVert^{2}",
                r"z.\mathrm{g} = 1",
            ]
        );
    }
}
