//! Nesterov's accelerated gradient (Nesterov 1983; Sutskever, Martens, Dahl and Hinton 2013, "On the importance of
//! initialization and momentum in deep learning", section 2), in the form that PyTorch has: θ is where the gradient is
//! taken, ahead of the paper's by one move of the momentum.
//!
//! ```text
//! u ← μ u + g
//! θ ← θ − α (g + μ u)
//! ```

use super::rule::{Algorithm, rule};
use super::value::Value;

rule! {
    /// Gradient descent with momentum whose gradient is taken ahead, where the momentum leads.
    Nesterov: "nesterov", "Nesterov (1983), in the form of Sutskever et al. (2013), section 2", learning rate 0.1

    /// μ: 0 is plain gradient descent.
    momentum = 0.9 in FRACTION, "momentum"
}

impl Algorithm<0, 1> for Nesterov {
    #[inline(always)]
    fn update<V: Value>(&self, alpha: V, []: [V; 0], theta: V, g: V, [u]: [V; 1]) -> (V, [V; 1]) {
        let [mu] = g.constants([self.momentum]);

        let u = (mu * u + g).named("u");
        (theta - alpha * (g + mu * u), [u])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::formula::{latex, text};

    #[test]
    fn the_momentum_counts_ahead_of_the_step() {
        // u = 2: θ = 0 − (2 + 1) = −3; then u = 1 + 1 = 2: θ = −3 − (1 + 1) = −5.
        let rule = Nesterov { momentum: 0.5 };
        assert_eq!(rule.by_hand(1.0, 0.0, 0.0, &[2.0]), (-3.0, [2.0, 0.0]));
        assert_eq!(rule.by_hand(1.0, 0.0, 0.0, &[2.0, 1.0]), (-5.0, [2.0, 0.0]));
    }

    #[test]
    fn its_formula_is_read_off_its_nodes() {
        let rule = Nesterov::default();
        assert_eq!(text(&rule, 0.0), "u = 0.9 u + g; theta -= alpha (g + 0.9 u)");
        let lines = [r"u_t = 0.9\, u_{t-1} + g_t", r"\theta_t = \theta_{t-1} - \alpha\, (g_t + 0.9\, u_t)"];
        assert_eq!(latex(&rule, 0.0), lines);
    }
}
