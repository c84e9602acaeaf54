//! Adam (Kingma and Ba 2015, "Adam: a method for stochastic optimization", Algorithm 1, to the
//! letter: both bias corrections as such, ε outside the root).
//!
//! ```text
//! m ← β₁ m + (1 − β₁) g          m̂ = m / (1 − β₁ᵗ)
//! v ← β₂ v + (1 − β₂) g²         v̂ = v / (1 − β₂ᵗ)
//! θ ← θ − α m̂ / (√v̂ + ε)
//! ```

use super::latex::{constant, power};
use super::{Piece, Step};
use crate::float::Float;

/// Running means of the gradient and of its square, corrected for their start at zero.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adam {
    /// β₁: the decay of the gradient's mean.
    pub beta1: f64,
    /// β₂: the decay of the squared gradient's mean.
    pub beta2: f64,
    /// ε, which keeps the quotient finite.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl Adam {
    pub(super) fn formula(&self) -> String {
        let Self { beta1, beta2, epsilon } = self;
        format!(
            "m = {beta1} m + (1 - {beta1}) g; v = {beta2} v + (1 - {beta2}) g^2; \
             m_hat = m / (1 - {beta1}^t); v_hat = v / (1 - {beta2}^t); \
             theta -= alpha m_hat / (sqrt(v_hat) + {epsilon:e})"
        )
    }

    pub(super) fn latex(&self, kept: &str) -> Vec<String> {
        let [beta1, beta2, epsilon] = [self.beta1, self.beta2, self.epsilon].map(constant);
        let [power1, power2] = [self.beta1, self.beta2].map(power);
        vec![
            format!(r"m_t = {beta1}\, m_{{t-1}} + (1 - {beta1})\, g_t"),
            format!(r"v_t = {beta2}\, v_{{t-1}} + (1 - {beta2})\, g_t^2"),
            format!(r"\hat{{m}}_t = \frac{{m_t}}{{1 - {power1}}}"),
            format!(r"\hat{{v}}_t = \frac{{v_t}}{{1 - {power2}}}"),
            format!(r"\theta_t = {kept} - \alpha\, \frac{{\hat{{m}}_t}}{{\sqrt{{\hat{{v}}_t}} + {epsilon}}}"),
        ]
    }

    /// m is the first number of state, v the second.
    #[inline(always)]
    pub fn update<'a, T: Float>(&self, step: Step, pieces: impl IntoIterator<Item = Piece<'a, T>>) {
        let Self { beta1, beta2, epsilon } = *self;
        let t = step.number as f64;
        let (alpha, decay, epsilon) = (T::of(step.learning_rate), step.decay::<T>(), T::of(epsilon));
        // The corrections are taken in 64 bits: 1 − 0.999ᵗ loses three digits to cancellation.
        let (m_correction, v_correction) =
            (T::of(1.0 / (1.0 - beta1.powf(t))), T::of(1.0 / (1.0 - beta2.powf(t))));
        let (beta1, rest1) = (T::of(beta1), T::of(1.0 - beta1));
        let (beta2, rest2) = (T::of(beta2), T::of(1.0 - beta2));
        for Piece { parameters, gradients, first, second } in pieces {
            for (((theta, &g), m), v) in parameters.iter_mut().zip(gradients).zip(first).zip(second) {
                *m = beta1 * *m + rest1 * g;
                *v = beta2 * *v + rest2 * (g * g);
                let m_hat = *m * m_correction;
                let v_hat = *v * v_correction;
                *theta = decay * *theta - alpha * m_hat / (v_hat.sqrt() + epsilon);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_learning_rate_whatever_the_gradient() {
        // t = 1: m̂ = g and v̂ = g², so θ moves by α g/(|g| + ε).
        for g in [1e-3, 1.0, 1e3_f64] {
            let (mut theta, mut m, mut v) = ([1.0], [0.0], [0.0]);
            let step = Step { number: 1, learning_rate: 0.1, weight_decay: 0.0 };
            Adam::default().update(step, [Piece::new(&mut theta, &[g], &mut m, &mut v)]);
            let expected = 1.0 - 0.1 * g / (g + 1e-8);
            assert!((theta[0] - expected).abs() < 1e-14, "g = {g}: {theta:?}");
        }
    }

    #[test]
    fn the_second_step_by_hand() {
        // β₁ = ½, β₂ = ¾, g = 1 then 3: m = ½ then 1¾, m̂ = 1¾/¾ = 7/3;
        // v = ¼ then 3/16 + 9/4 = 39/16, v̂ = (39/16)/(7/16) = 39/7.
        let adam = Adam { beta1: 0.5, beta2: 0.75, epsilon: 0.0 };
        let (mut theta, mut m, mut v) = ([0.0_f64], [0.0], [0.0]);
        let step = |number| Step { number, learning_rate: 1.0, weight_decay: 0.0 };
        adam.update(step(1), [Piece::new(&mut theta, &[1.0], &mut m, &mut v)]);
        assert_eq!(theta, [-1.0]);
        adam.update(step(2), [Piece::new(&mut theta, &[3.0], &mut m, &mut v)]);
        let expected = -1.0 - (7.0 / 3.0) / (39.0_f64 / 7.0).sqrt();
        assert!((theta[0] - expected).abs() < 1e-15, "{theta:?}");
    }
}
