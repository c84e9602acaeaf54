//! Adadelta (Zeiler 2012, "Adadelta: an adaptive learning rate method", Algorithm 1), with the learning rate that PyTorch
//! adds; 1 is the paper.
//!
//! ```text
//! v ← ρ v + (1 − ρ) g²
//! δ = √(w + ε) / √(v + ε) · g
//! w ← ρ w + (1 − ρ) δ²
//! θ ← θ − α δ
//! ```
//!
//! v is the paper's E[g²], w its E[Δx²], and δ its −Δx.

use super::rule::{Algorithm, rule};
use super::value::Value;

rule! {
    /// Gradients in the units of the parameters: divided by their own root mean square, times that of the moves.
    Adadelta: "adadelta", "Zeiler (2012), Algorithm 1", learning rate 1.0

    /// ρ: the decay of both mean squares.
    rho = 0.9 in FRACTION, "decay of the mean squares"
    /// ε: what the first moves are made of.
    epsilon = 1e-6 in EPSILON, "epsilon"
}

impl Algorithm<0, 2> for Adadelta {
    #[inline(always)]
    fn update<V: Value>(&self, alpha: V, []: [V; 0], theta: V, g: V, [v, w]: [V; 2]) -> (V, [V; 2]) {
        let [one, rho, epsilon] = g.constants([1.0, self.rho, self.epsilon]);

        let v = (rho * v + (one - rho) * g.squared()).named("v");
        let delta = ((w + epsilon).sqrt() / (v + epsilon).sqrt() * g).named("delta");
        let w = (rho * w + (one - rho) * delta.squared()).named("w");
        (theta - alpha * delta, [v, w])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::formula::{latex, text};

    #[test]
    fn the_first_step_by_hand() {
        // v = ¼·4² = 4: δ = √½ / √(4 + ½) · 4 = 4/3; w = ¼·(4/3)² = 4/9; θ = 1 − ½·4/3.
        let rule = Adadelta { rho: 0.75, epsilon: 0.5 };
        let (theta, [v, w]) = rule.by_hand(0.5, 0.0, 1.0, &[4.0]);
        assert!((theta - 1.0 / 3.0).abs() < 1e-15 && (w - 4.0 / 9.0).abs() < 1e-15, "{theta}, {w}");
        assert_eq!(v, 4.0);
    }

    #[test]
    fn its_formula_is_read_off_its_nodes() {
        let rule = Adadelta::default();
        let line = "v = 0.9 v + (1 - 0.9) g^2; delta = (sqrt(w + 1e-6) / sqrt(v + 1e-6)) g; \
                    w = 0.9 w + (1 - 0.9) delta^2; theta -= alpha delta";
        assert_eq!(text(&rule, 0.0), line);
        let lines = [
            r"v_t = 0.9\, v_{t-1} + (1 - 0.9)\, g_t^2",
            r"\delta_t = \frac{\sqrt{w_{t-1} + 10^{-6}}}{\sqrt{v_t + 10^{-6}}}\, g_t",
            r"w_t = 0.9\, w_{t-1} + (1 - 0.9)\, \delta_t^2",
            r"\theta_t = \theta_{t-1} - \alpha\, \delta_t",
        ];
        assert_eq!(latex(&rule, 0.0), lines);
    }
}
