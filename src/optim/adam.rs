//! Adam (Kingma and Ba 2015, "Adam: a method for stochastic optimization", Algorithm 1, to the
//! letter: both bias corrections as such, ε outside the root).
//!
//! ```text
//! m ← β₁ m + (1 − β₁) g          m̂ = m / (1 − β₁ᵗ)
//! v ← β₂ v + (1 − β₂) g²         v̂ = v / (1 − β₂ᵗ)
//! θ ← θ − α m̂ / (√v̂ + ε)
//! ```

use super::rule::{Algorithm, rule};
use super::scalar::Scalar;
use super::value::Value;

rule! {
    /// Running means of the gradient and of its square, corrected for their start at zero.
    Adam: "adam", "Kingma and Ba (2015), Algorithm 1", learning rate 0.002

    /// β₁: the decay of the gradient's mean.
    beta1 = 0.9 in FRACTION, "decay of the mean"
    /// β₂: the decay of the squared gradient's mean.
    beta2 = 0.999 in FRACTION, "decay of the mean square"
    /// ε, which keeps the quotient finite.
    epsilon = 1e-8 in EPSILON, "epsilon"
}

impl Algorithm<2, 2> for Adam {
    fn scalars(&self) -> Vec<Scalar> {
        vec![Scalar::Correction(self.beta1), Scalar::Correction(self.beta2)]
    }

    #[inline(always)]
    fn update<V: Value>(
        &self,
        alpha: V,
        [correction1, correction2]: [V; 2], // 1 / (1 − β₁ᵗ) and 1 / (1 − β₂ᵗ)
        theta: V,
        g: V,
        [m, v]: [V; 2],
    ) -> (V, [V; 2]) {
        let [one, beta1, beta2, epsilon] = g.constants([1.0, self.beta1, self.beta2, self.epsilon]);

        let m = (beta1 * m + (one - beta1) * g).named("m");
        let v = (beta2 * v + (one - beta2) * g.squared()).named("v");
        let m_hat = (m * correction1).named("m_hat");
        let v_hat = (v * correction2).named("v_hat");
        (theta - alpha * m_hat / (v_hat.sqrt() + epsilon), [m, v])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::formula::{latex, text};

    #[test]
    fn the_first_step_is_the_learning_rate_whatever_the_gradient() {
        // t = 1: m̂ = g and v̂ = g², so θ moves by α g/(|g| + ε).
        for g in [1e-3, 1.0, 1e3] {
            let (theta, _) = Adam::default().by_hand(0.1, 0.0, 1.0, &[g]);
            let expected = 1.0 - 0.1 * g / (g + 1e-8);
            assert!((theta - expected).abs() < 1e-14, "g = {g}: {theta}");
        }
    }

    #[test]
    fn the_second_step_by_hand() {
        // β₁ = ½, β₂ = ¾, g = 1 then 3: m = ½ then 1¾, m̂ = 1¾/¾ = 7/3;
        // v = ¼ then 3/16 + 9/4 = 39/16, v̂ = (39/16)/(7/16) = 39/7.
        let rule = Adam { beta1: 0.5, beta2: 0.75, epsilon: 0.0 };
        assert_eq!(rule.by_hand(1.0, 0.0, 0.0, &[1.0]).0, -1.0);
        let (theta, state) = rule.by_hand(1.0, 0.0, 0.0, &[1.0, 3.0]);
        let expected = -1.0 - (7.0 / 3.0) / (39.0_f64 / 7.0).sqrt();
        assert!((theta - expected).abs() < 1e-15, "{theta}");
        assert_eq!(state, [1.75, 39.0 / 16.0]);
    }

    #[test]
    fn its_formula_is_set_as_in_the_paper() {
        let rule = Adam::default();
        let line = "m = 0.9 m + (1 - 0.9) g; v = 0.999 v + (1 - 0.999) g^2; m_hat = m / (1 - 0.9^t); \
                    v_hat = v / (1 - 0.999^t); theta -= alpha m_hat / (sqrt(v_hat) + 1e-8)";
        assert_eq!(text(&rule, 0.0), line);
        let lines = [
            r"m_t = 0.9\, m_{t-1} + (1 - 0.9)\, g_t",
            r"v_t = 0.999\, v_{t-1} + (1 - 0.999)\, g_t^2",
            r"\hat{m}_t = \frac{m_t}{1 - 0.9^t}",
            r"\hat{v}_t = \frac{v_t}{1 - 0.999^t}",
            r"\theta_t = \theta_{t-1} - \alpha\, \frac{\hat{m}_t}{\sqrt{\hat{v}_t} + 10^{-8}}",
        ];
        assert_eq!(latex(&rule, 0.0), lines);
    }

    #[test]
    fn tiny_constants_are_written_out_as_factors_and_bracketed_under_an_exponent() {
        let rule = Adam { beta1: 3e-6, beta2: 3e-6, epsilon: 0.125 };
        let formula = text(&rule, 0.0);
        assert!(formula.contains("m = 0.000003 m + (1 - 0.000003) g;"), "{formula}");
        assert!(formula.ends_with("/ (sqrt(v_hat) + 1.25e-1)"), "{formula}");
        assert_eq!(latex(&rule, 0.0)[3], r"\hat{v}_t = \frac{v_t}{1 - \left(3 \cdot 10^{-6}\right)^t}");
    }

    #[test]
    fn a_mean_that_decays_ends_at_zero_and_never_among_the_subnormal_numbers() {
        let optimizer = crate::optim::Optimizer::Adam(Adam::default());
        let scalars = optimizer.at::<f32>(1, 1e-3, 0.0);
        let (mut theta, mut m, mut v) = ([1.0_f32], [1e-37_f32], [1.0_f32]);
        for _ in 0..60 {
            optimizer.run(&scalars, [crate::optim::Piece::new(&mut theta, &[0.0], &mut m, &mut v)]);
            assert!(m[0] == 0.0 || m[0].is_normal(), "{:e}", m[0]);
        }
        assert_eq!(m, [0.0]);
    }
}
