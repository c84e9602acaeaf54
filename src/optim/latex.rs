//! Constants of update rules, as LaTeX.

use crate::document::number::{exact, latex_number};

/// A constant as a factor or a term: `0.9`, `10^{-8}`, `2.5 \cdot 10^{-7}`.
pub(super) fn constant(x: f64) -> String {
    let text = latex_number(&exact(x));
    text.strip_prefix(r"1 \cdot ").map_or(text.clone(), str::to_owned)
}

/// A constant to the power of t. One that has an exponent of its own stands in parentheses, as LaTeX
/// refuses a second.
pub(super) fn power(x: f64) -> String {
    let base = constant(x);
    if base.contains('^') { format!(r"\left({base}\right)^t") } else { format!("{base}^t") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::{Adagrad, Adam, Optimizer, RmsProp, Sgd};

    /// Rules whose constants are no defaults, and large, small and tiny.
    fn rules() -> [Optimizer; 6] {
        [
            Optimizer::Sgd(Sgd { momentum: 0.85 }),
            Optimizer::Adagrad(Adagrad { epsilon: 2.5e-7 }),
            Optimizer::RmsProp(RmsProp { rho: 0.95, epsilon: 1e-6 }),
            Optimizer::Adam(Adam { beta1: 0.8, beta2: 0.99, epsilon: 1e-7 }),
            Optimizer::Adam(Adam { beta1: 3e-6, beta2: 0.0, epsilon: 0.125 }),
            Optimizer::Sgd(Sgd { momentum: 0.0 }),
        ]
    }

    #[test]
    fn adam_is_set_as_in_the_paper() {
        let lines = [
            r"m_t = 0.9\, m_{t-1} + (1 - 0.9)\, g_t",
            r"v_t = 0.999\, v_{t-1} + (1 - 0.999)\, g_t^2",
            r"\hat{m}_t = \frac{m_t}{1 - 0.9^t}",
            r"\hat{v}_t = \frac{v_t}{1 - 0.999^t}",
            r"\theta_t = \theta_{t-1} - \alpha\, \frac{\hat{m}_t}{\sqrt{\hat{v}_t} + 10^{-8}}",
        ];
        assert_eq!(Optimizer::Adam(Adam::default()).latex(0.0), lines);
    }

    #[test]
    fn every_number_of_the_formula_stands_in_the_latex_as_often() {
        for (rule, decay) in rules().into_iter().flat_map(|rule| [(rule, 0.0), (rule, 0.03), (rule, 1e-6)]) {
            let formula = rule.formula(decay);
            let latex = rule.latex(decay).join("; ");
            let words = formula.split([' ', '(', ')', '^', ';']);
            let mut numbers: Vec<String> = words.filter_map(|word| word.parse().ok()).map(constant).collect();
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
        for line in rules().iter().flat_map(|rule| rule.latex(0.5)) {
            for (open, close) in [("{", "}"), ("(", ")"), (r"\left(", r"\right)")] {
                assert_eq!(line.matches(open).count(), line.matches(close).count(), "{open} in {line}");
            }
            assert!(!line.contains("}^"), "{line}");
        }
    }

    #[test]
    fn weight_decay_shrinks_the_parameter_in_its_equation() {
        let last = |decay| Optimizer::Sgd(Sgd::default()).latex(decay).remove(1);
        assert_eq!(last(0.0), r"\theta_t = \theta_{t-1} - \alpha\, u_t");
        assert_eq!(last(1e-6), r"\theta_t = \left(1 - 10^{-6}\, \alpha\right) \theta_{t-1} - \alpha\, u_t");
    }

    #[test]
    fn each_rule_names_its_source_with_its_year() {
        let years = ["1964", "2011", "2012", "2015"];
        for (rule, year) in rules().iter().zip(years) {
            assert!(rule.source().contains(year), "{}", rule.source());
        }
    }
}
