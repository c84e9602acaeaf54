//! Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms", Algorithm 2).
//!
//! ```text
//! c = β₁ m + (1 − β₁) g
//! θ ← θ − α sign(c)
//! m ← β₂ m + (1 − β₂) g
//! ```

use super::rule::{Algorithm, rule};
use super::value::Value;

rule! {
    /// Steps of one size, in the direction of the signs of a mean of gradients.
    Lion: "lion", "Chen et al. (2023), Algorithm 2", learning rate 0.0002

    /// β₁: how much of the mean is in the direction of a step; the rest is the gradient.
    beta1 = 0.9 in FRACTION, "share of the mean in a step"
    /// β₂: the decay of the gradient's mean.
    beta2 = 0.99 in FRACTION, "decay of the mean"
}

impl Algorithm<0, 1> for Lion {
    #[inline(always)]
    fn update<V: Value>(&self, alpha: V, []: [V; 0], theta: V, g: V, [m]: [V; 1]) -> (V, [V; 1]) {
        let [one, beta1, beta2] = g.constants([1.0, self.beta1, self.beta2]);

        let c = (beta1 * m + (one - beta1) * g).named("c");
        let theta = theta - alpha * c.sign();
        let m = (beta2 * m + (one - beta2) * g).named("m");
        (theta, [m])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::formula::{latex, text};

    #[test]
    fn a_step_has_the_sign_of_the_mean_before_it_and_the_gradient() {
        // g = 1: c = ¼ and m = ½; then g = −1: c = ⅜ − ¼ > 0, though m falls to ¼ − ½; then g = 0: c < 0.
        let rule = Lion { beta1: 0.75, beta2: 0.5 };
        assert_eq!(rule.by_hand(0.25, 0.0, 0.0, &[1.0]), (-0.25, [0.5, 0.0]));
        assert_eq!(rule.by_hand(0.25, 0.0, 0.0, &[1.0, -1.0]), (-0.5, [-0.25, 0.0]));
        assert_eq!(rule.by_hand(0.25, 0.0, 0.0, &[1.0, -1.0, 0.0]).0, -0.25);
        assert_eq!(rule.by_hand(0.25, 0.0, 0.5, &[0.0]).0, 0.5, "nothing has a sign of 0");
    }

    #[test]
    fn its_formula_is_read_off_its_nodes() {
        let rule = Lion::default();
        let line = "c = 0.9 m + (1 - 0.9) g; theta -= alpha sign(c); m = 0.99 m + (1 - 0.99) g";
        assert_eq!(text(&rule, 0.0), line);
        let lines = [
            r"c_t = 0.9\, m_{t-1} + (1 - 0.9)\, g_t",
            r"\theta_t = \theta_{t-1} - \alpha\, \operatorname{sign}(c_t)",
            r"m_t = 0.99\, m_{t-1} + (1 - 0.99)\, g_t",
        ];
        assert_eq!(latex(&rule, 0.0), lines);
    }
}
