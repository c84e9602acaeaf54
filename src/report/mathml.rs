//! From LaTeX's mathematics to MathML, which browsers set themselves.

use math_core::{LatexToMathML, MathDisplay};

use super::ReportError;

/// A formula within a line.
pub(super) fn inline(latex: &str) -> Result<String, ReportError> {
    convert(latex, MathDisplay::Inline)
}

/// A formula on a line of its own.
pub(super) fn display(latex: &str) -> Result<String, ReportError> {
    convert(latex, MathDisplay::Block)
}

fn convert(latex: &str, display: MathDisplay) -> Result<String, ReportError> {
    // The only relation that is made of two signs: an operator of that name is one in MathML too.
    let known = settle(latex).replace(r"\mathrel{+}=", r"\;{\operatorname{+=}}\;");
    let mathml = LatexToMathML::default()
        .convert_with_local_counter(&known, display)
        .map_err(|error| ReportError::Formula { latex: latex.into(), problem: error.to_string() })?;
    // Browsers draw a combining accent beside its letter, and what is marked as an accent on top of capitals. The same
    // sign by itself, unmarked, keeps its distance.
    Ok(mathml.replace('\u{302}', "ˆ").replace('\u{303}', "˜").replace(" accent=\"true\"", ""))
}

/// What makes a formula taller than a line.
const TALL: [&str; 4] = ["frac", r"\sum", r"\begin", LEFT];
const LEFT: &str = r"\left";
const RIGHT: &str = r"\right";

/// Brackets that need not grow, without the commands that let them: browsers leave room beside those that might.
fn settle(latex: &str) -> String {
    let mut out = String::new();
    let mut rest = latex;
    let mut opened = Vec::new(); // where in `out`
    while let Some(at) = rest.find(LEFT).into_iter().chain(rest.find(RIGHT)).min() {
        out += &rest[..at];
        let command = if rest[at..].starts_with(LEFT) { LEFT } else { RIGHT };
        rest = &rest[at + command.len()..];
        let is_bracket = rest.starts_with(['(', '[', ')', ']']);
        if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            out += command; // an arrow
        } else if command == LEFT {
            opened.push(out.len());
            out += LEFT;
        } else if let Some(begin) = opened.pop()
            && let inside = &out[begin + LEFT.len()..]
            && is_bracket
            && inside.starts_with(['(', '['])
            && !TALL.iter().any(|tall| inside.contains(tall))
        {
            out.replace_range(begin..begin + LEFT.len(), "");
        } else {
            out += RIGHT;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements of a formula that hold text, in order, as `name:text`; the whole must be well-formed.
    fn leaves(latex: &str) -> Vec<String> {
        let mathml = inline(latex).unwrap();
        let xml = roxmltree::Document::parse(&mathml).unwrap_or_else(|error| panic!("{error}: {mathml}"));
        assert!(xml.root_element().has_tag_name("math"));
        let texts = xml.descendants().filter(|node| node.is_text());
        texts
            .map(|text| format!("{}:{}", text.parent().unwrap().tag_name().name(), text.text().unwrap()))
            .collect()
    }

    /// How often an element stands in a formula.
    fn count(latex: &str, element: &str) -> usize {
        inline(latex).unwrap().matches(&format!("<{element}")).count()
    }

    #[test]
    fn derivatives_are_fractions() {
        assert_eq!(leaves(r"\frac{\partial f}{\partial x_{1}}"), ["mi:∂", "mi:f", "mi:∂", "mi:x", "mn:1"]);
        assert_eq!(count(r"\frac{\partial f}{\partial x_{1}}", "mfrac"), 1);
        assert_eq!(count(r"\tfrac12", "mfrac displaystyle=\"false\""), 1);
    }

    #[test]
    fn adjoints_tangents_and_estimates_have_their_accents() {
        for (latex, accent) in [(r"\bar{v}_{1}", '¯'), (r"\dot{v}_{-1}", '˙'), (r"\hat{m}_t", 'ˆ')] {
            assert_eq!(count(latex, "mover>"), 1, "{latex}");
            assert_eq!(leaves(latex)[1], format!("mo:{accent}"));
        }
    }

    #[test]
    fn a_sum_that_is_added_to_is_one_sign() {
        let rule = leaves(r"\bar{v}_{1} \mathrel{+}= \bar{v}_{3} \cdot 2");
        assert!(rule.contains(&"mo:+=".into()) && !rule.contains(&"mo:+".into()), "{rule:?}");
        assert!(rule.contains(&"mo:·".into()));
    }

    #[test]
    fn functions_are_upright_operators() {
        assert_eq!(leaves(r"\sin\left(x_{3}\right)"), ["mo:sin", "mo:(", "mi:x", "mn:3", "mo:)"]);
        for name in
            ["cos", "tan", "sinh", "cosh", "tanh", "exp", "ln", "min", "max", "arcsin", "arccos", "arctan"]
        {
            assert_eq!(leaves(&format!(r"\{name}\left(x\right)"))[0], format!("mo:{name}"));
        }
        assert_eq!(leaves(r"\operatorname{relu}\left(x\right)")[0], "mo:relu");
        assert_eq!(leaves(r"\log_{10}\left(x\right)")[..2], ["mo:log", "mn:10"]);
        assert_eq!(leaves(r"\left|x\right|"), ["mo:|", "mi:x", "mo:|"]);
        assert_eq!(count(r"\sqrt{\hat{v}_t} + \varepsilon", "msqrt"), 1);
    }

    #[test]
    fn brackets_grow_only_around_what_is_tall() {
        assert_eq!(settle(r"\left(x\right)^{2}"), "(x)^{2}");
        assert_eq!(settle(r"\exp\left(-\frac{1}{2}\right)"), r"\exp\left(-\frac{1}{2}\right)");
        assert_eq!(
            settle(r"\left(\left(x\right) + \left(\frac12\right)\right)"),
            r"\left((x) + \left(\frac12\right)\right)"
        );
        assert_eq!(settle(r"A\left[V > 0\right]"), "A[V > 0]");
        for untouched in
            [r"\left|x\right|", r"a \leftarrow b \rightarrow c", r"\right)", r"\left(", r"\left.x\right)"]
        {
            assert_eq!(settle(untouched), untouched);
        }
    }

    #[test]
    fn numbers_powers_and_names() {
        assert_eq!(leaves(r"1.5 \cdot 10^{-5}"), ["mn:1.5", "mo:·", "mn:10", "mo:−", "mn:5"]);
        assert_eq!(leaves(r"\mathrm{learning\_rate}_{2}"), ["mi:learning_rate", "mn:2"]);
        assert_eq!(leaves(r"\mathrm{e}^{x}")[0], "mi:e");
        assert_eq!(leaves(r"\alpha{}_{1}"), ["mi:α", "mn:1"]);
        assert_eq!(leaves(r"\theta_{t+1} \infty"), ["mi:θ", "mi:t", "mo:+", "mn:1", "mi:∞"]);
    }

    #[test]
    fn names_are_set_in_their_own_letters() {
        assert_eq!(leaves(r"\text{日本}_{2}"), ["mtext:日本", "mn:2"]);
        assert_eq!(leaves(r"\mathrm{caf}\text{é}"), ["mi:caf", "mtext:é"]);
        assert_eq!(leaves(r"\hbar{}\omega{} + \mathrm{x\_}_{1}"), ["mi:ℏ", "mi:ω", "mo:+", "mi:x_", "mn:1"]);
        assert_eq!(leaves(r"\dot{\mathrm{vv}}_{1}")[..2], ["mi:vv", "mo:˙"]);
        assert_eq!(leaves(r"\sqrt[3]{x} + \cot\left(x\right)")[..3], ["mi:x", "mn:3", "mo:+"]);
        assert_eq!(leaves(r"\log_{2}\left(x\right) \operatorname{arsinh}")[..2], ["mo:log", "mn:2"]);
    }

    #[test]
    fn matrices_have_their_signs() {
        assert_eq!(leaves(r"W_3^{\mathsf T}"), ["mi:W", "mn:3", "mi:𝖳"]);
        assert_eq!(leaves(r"A \odot B"), ["mi:A", "mo:⊙", "mi:B"]);
        assert_eq!(leaves(r"\lVert\cdot\rVert^2"), ["mo:‖", "mo:·", "mo:‖", "mn:2"]);
        assert_eq!(leaves(r"\mathbf{1}"), ["mi:𝟏"]);
        assert_eq!(leaves(r"X \in \mathbb{R}^{4 \times 50}")[2..], ["mi:ℝ", "mn:4", "mo:×", "mn:50"]);
        assert_eq!(leaves(r"\langle\bar{y}, \dot{y}\rangle").len(), 7);
        assert_eq!(count(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "mtr"), 2);
    }

    #[test]
    fn signs_of_markup_are_escaped() {
        assert_eq!(leaves(r"x < y > z"), ["mi:x", "mo:<", "mi:y", "mo:>", "mi:z"]);
        assert_eq!(leaves(r"\text{</math>}"), ["mtext:</math>"]);
    }

    #[test]
    fn a_formula_stands_in_a_line_or_alone() {
        assert!(inline("x").unwrap().starts_with("<math>"));
        assert!(display("x").unwrap().starts_with("<math display=\"block\">"));
    }

    #[test]
    fn what_cannot_be_set_is_named_with_the_problem() {
        for (latex, problem) in [(r"\nosuch x", "nosuch"), (r"\frac{1", "}"), ("a & b", "&")] {
            let error = inline(latex).unwrap_err().to_string();
            assert!(error.contains(&format!("`{latex}`")) && error.contains(problem), "{error}");
        }
    }
}
