//! RMSprop (Tieleman and Hinton 2012, "Lecture 6.5: rmsprop", Coursera: Neural Networks for Machine
//! Learning), with ε outside the root.
//!
//! ```text
//! v ← ρ v + (1 − ρ) g²
//! θ ← θ − α g / (√v + ε)
//! ```

use super::rule::{Algorithm, rule};
use super::value::Value;

rule! {
    /// Gradients divided by a running root mean square of themselves.
    RmsProp: "rmsprop", "Tieleman and Hinton (2012), Lecture 6.5", learning rate 0.001

    /// ρ: the lecture's 0.9.
    rho = 0.9 in FRACTION, "decay of the mean square"
    /// ε, which keeps the quotient finite.
    epsilon = 1e-8 in EPSILON, "epsilon"
}

impl Algorithm<0, 1> for RmsProp {
    #[inline(always)]
    fn update<V: Value>(&self, alpha: V, []: [V; 0], theta: V, g: V, [v]: [V; 1]) -> (V, [V; 1]) {
        let [one, rho, epsilon] = g.constants([1.0, self.rho, self.epsilon]);

        let v = (rho * v + (one - rho) * g.squared()).named("v");
        (theta - alpha * g / (v.sqrt() + epsilon), [v])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::formula::{latex, text};

    #[test]
    fn the_first_step_by_hand() {
        // v = (1 − 0.75)·4² = 4: θ = 1 − 0.1·4/2 = 0.8.
        let rule = RmsProp { rho: 0.75, epsilon: 0.0 };
        let (theta, [v, _]) = rule.by_hand(0.1, 0.0, 1.0, &[4.0]);
        assert!((theta - 0.8).abs() < 1e-15, "{theta}");
        assert_eq!(v, 4.0);
    }

    #[test]
    fn epsilon_stands_outside_the_root() {
        let rule = RmsProp { rho: 0.75, epsilon: 2.0 };
        assert_eq!(rule.by_hand(1.0, 0.0, 0.0, &[4.0]).0, -1.0); // 4 / (√4 + 2)
    }

    #[test]
    fn its_formula_is_read_off_its_nodes() {
        let rule = RmsProp { rho: 0.95, epsilon: 1e-6 };
        let line = "v = 0.95 v + (1 - 0.95) g^2; theta -= alpha g / (sqrt(v) + 1e-6)";
        assert_eq!(text(&rule, 0.0), line);
        assert_eq!(text(&rule, 0.03), format!("theta *= 1 - alpha 0.03; {line}"));
        let lines = [
            r"v_t = 0.95\, v_{t-1} + (1 - 0.95)\, g_t^2",
            r"\theta_t = \theta_{t-1} - \alpha\, \frac{g_t}{\sqrt{v_t} + 10^{-6}}",
        ];
        assert_eq!(latex(&rule, 0.0), lines);
    }
}
