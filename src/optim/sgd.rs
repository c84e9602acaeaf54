//! Stochastic gradient descent with momentum (Polyak 1964; the form of Sutskever et al. 2013 as
//! PyTorch has it, without dampening).
//!
//! ```text
//! u ← μ u + g
//! θ ← θ − α u
//! ```

use super::rule::{Algorithm, rule};
use super::value::Value;

rule! {
    /// Gradient descent with momentum.
    Sgd: "sgd", "Polyak (1964), in the form of Sutskever et al. (2013)", learning rate 0.1

    /// μ: 0 is plain gradient descent.
    momentum = 0.9 in FRACTION, "momentum"
}

impl Algorithm<0, 1> for Sgd {
    #[inline(always)]
    fn update<V: Value>(&self, alpha: V, []: [V; 0], theta: V, g: V, [u]: [V; 1]) -> (V, [V; 1]) {
        let [mu] = g.constants([self.momentum]);

        let u = (mu * u + g).named("u");
        (theta - alpha * u, [u])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::formula::{latex, text};

    #[test]
    fn momentum_gathers_over_two_steps() {
        // u = 0.5: θ = 0.95; then u = 0.45 + 1 = 1.45: θ = 0.805.
        let rule = Sgd::default();
        assert_eq!(rule.by_hand(0.1, 0.0, 1.0, &[0.5]).0, 0.95);
        let (theta, _) = rule.by_hand(0.1, 0.0, 1.0, &[0.5, 1.0]);
        assert!((theta - 0.805).abs() < 1e-15, "{theta}");
    }

    #[test]
    fn weight_decay_shrinks_the_parameter_apart_from_the_gradient() {
        assert_eq!(Sgd::default().by_hand(0.5, 0.1, 2.0, &[0.0]), (1.9, [0.0; 2]));
    }

    #[test]
    fn its_formula_has_weight_decay_before_the_move() {
        let rule = Sgd { momentum: 0.0 };
        assert_eq!(text(&rule, 1e-6), "theta *= 1 - alpha 0.000001; u = 0 u + g; theta -= alpha u");
        let u = r"u_t = 0\, u_{t-1} + g_t";
        assert_eq!(latex(&rule, 0.0), [u, r"\theta_t = \theta_{t-1} - \alpha\, u_t"]);
        let theta = r"\theta_t = \left(1 - 10^{-6}\, \alpha\right) \theta_{t-1} - \alpha\, u_t";
        assert_eq!(latex(&rule, 1e-6), [u, theta]);
    }
}
