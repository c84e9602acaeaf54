//! Adagrad (Duchi, Hazan and Singer 2011, "Adaptive subgradient methods", the diagonal form of
//! section 1.1), with ε outside the root, as PyTorch has it.
//!
//! ```text
//! G ← G + g²
//! θ ← θ − α g / (√G + ε)
//! ```

use super::rule::{Algorithm, rule};
use super::value::Value;

rule! {
    /// A learning rate for each parameter that falls with the gradients it has seen.
    Adagrad: "adagrad", "Duchi, Hazan and Singer (2011), section 1.1, the diagonal form", learning rate 0.05

    /// ε, which keeps the first quotients finite.
    epsilon = 1e-10 in EPSILON, "epsilon"
}

impl Algorithm<0, 1> for Adagrad {
    #[inline(always)]
    fn update<V: Value>(&self, alpha: V, []: [V; 0], theta: V, g: V, [sum]: [V; 1]) -> (V, [V; 1]) {
        let [epsilon] = g.constants([self.epsilon]);

        let sum = (sum + g.squared()).named("G");
        (theta - alpha * g / (sum.sqrt() + epsilon), [sum])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::formula::{latex, text};

    #[test]
    fn two_steps_by_hand() {
        // G = 9: θ = 1 − 0.1·3/3 = 0.9; then G = 25: θ = 0.9 − 0.1·4/5 = 0.82.
        let rule = Adagrad { epsilon: 0.0 };
        let (theta, [sum, _]) = rule.by_hand(0.1, 0.0, 1.0, &[3.0, 4.0]);
        assert!((theta - 0.82).abs() < 1e-15, "{theta}");
        assert_eq!(sum, 25.0);
    }

    #[test]
    fn epsilon_stands_outside_the_root() {
        let rule = Adagrad { epsilon: 1.0 };
        assert_eq!(rule.by_hand(1.0, 0.0, 0.0, &[3.0]).0, -0.75); // 3 / (√9 + 1); inside it would be 3 / √10
    }

    #[test]
    fn a_gradient_of_zero_moves_nothing() {
        let rule = Adagrad::default();
        assert_eq!(rule.by_hand(1.0, 0.0, 0.5, &[0.0]), (0.5, [0.0; 2]));
    }

    #[test]
    fn its_formula_is_read_off_its_nodes() {
        let rule = Adagrad { epsilon: 2.5e-7 };
        assert_eq!(text(&rule, 0.0), "G += g^2; theta -= alpha g / (sqrt(G) + 2.5e-7)");
        let lines = [
            r"G_t = G_{t-1} + g_t^2",
            r"\theta_t = \theta_{t-1} - \alpha\, \frac{g_t}{\sqrt{G_t} + 2.5 \cdot 10^{-7}}",
        ];
        assert_eq!(latex(&rule, 0.0), lines);
    }
}
