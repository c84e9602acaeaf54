//! RMSprop (Tieleman and Hinton 2012, "Lecture 6.5: rmsprop", Coursera: Neural Networks for Machine
//! Learning), with ε outside the root.
//!
//! ```text
//! v ← ρ v + (1 − ρ) g²
//! θ ← θ − α g / (√v + ε)
//! ```

use super::latex::constant;
use super::{Piece, Step};
use crate::float::Float;

/// Gradients divided by a running root mean square of themselves.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RmsProp {
    /// ρ: the lecture's 0.9.
    pub rho: f64,
    /// ε, which keeps the quotient finite.
    pub epsilon: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { rho: 0.9, epsilon: 1e-8 }
    }
}

impl RmsProp {
    pub(super) fn formula(&self) -> String {
        let Self { rho, epsilon } = self;
        format!("v = {rho} v + (1 - {rho}) g^2; theta -= alpha g / (sqrt(v) + {epsilon:e})")
    }

    pub(super) fn latex(&self, kept: &str) -> Vec<String> {
        let (rho, epsilon) = (constant(self.rho), constant(self.epsilon));
        vec![
            format!(r"v_t = {rho}\, v_{{t-1}} + (1 - {rho})\, g_t^2"),
            format!(r"\theta_t = {kept} - \alpha\, \frac{{g_t}}{{\sqrt{{v_t}} + {epsilon}}}"),
        ]
    }

    /// v is the first number of state.
    #[inline(always)]
    pub fn update<'a, T: Float>(&self, step: Step, pieces: impl IntoIterator<Item = Piece<'a, T>>) {
        let (alpha, decay) = (T::of(step.learning_rate), step.decay::<T>());
        let (rho, rest, epsilon) = (T::of(self.rho), T::of(1.0 - self.rho), T::of(self.epsilon));
        for Piece { parameters, gradients, first, .. } in pieces {
            for ((theta, &g), v) in parameters.iter_mut().zip(gradients).zip(first) {
                *v = rho * *v + rest * (g * g);
                *theta = decay * *theta - alpha * g / (v.sqrt() + epsilon);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_by_hand() {
        // v = (1 − 0.75)·4² = 4: θ = 1 − 0.1·4/2 = 0.8.
        let (mut theta, mut v) = ([1.0], [0.0]);
        let step = Step { number: 1, learning_rate: 0.1, weight_decay: 0.0 };
        RmsProp { rho: 0.75, epsilon: 0.0 }.update(step, [Piece::new(&mut theta, &[4.0], &mut v, &mut [])]);
        assert!((theta[0] - 0.8_f64).abs() < 1e-15, "{theta:?}");
        assert_eq!(v, [4.0]);
    }

    #[test]
    fn epsilon_stands_outside_the_root() {
        let (mut theta, mut v) = ([0.0], [0.0]);
        let step = Step { number: 1, learning_rate: 1.0, weight_decay: 0.0 };
        RmsProp { rho: 0.75, epsilon: 2.0 }.update(step, [Piece::new(&mut theta, &[4.0], &mut v, &mut [])]);
        assert_eq!(theta, [-1.0]); // 4 / (√4 + 2)
    }
}
