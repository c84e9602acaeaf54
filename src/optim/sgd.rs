//! Stochastic gradient descent with momentum (Polyak 1964; the form of Sutskever et al. 2013 as
//! PyTorch has it, without dampening).
//!
//! ```text
//! u ← μ u + g
//! θ ← θ − α u
//! ```

use super::latex::constant;
use super::{Piece, Step};
use crate::float::Float;

/// Gradient descent with momentum.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sgd {
    /// μ: 0 is plain gradient descent.
    pub momentum: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { momentum: 0.9 }
    }
}

impl Sgd {
    pub(super) fn formula(&self) -> String {
        format!("u = {mu} u + g; theta -= alpha u", mu = self.momentum)
    }

    pub(super) fn latex(&self, kept: &str) -> Vec<String> {
        let mu = constant(self.momentum);
        vec![format!(r"u_t = {mu}\, u_{{t-1}} + g_t"), format!(r"\theta_t = {kept} - \alpha\, u_t")]
    }

    /// u is the first number of state.
    #[inline(always)]
    pub fn update<'a, T: Float>(&self, step: Step, pieces: impl IntoIterator<Item = Piece<'a, T>>) {
        let (alpha, decay, mu) = (T::of(step.learning_rate), step.decay::<T>(), T::of(self.momentum));
        for Piece { parameters, gradients, first, .. } in pieces {
            for ((theta, &g), u) in parameters.iter_mut().zip(gradients).zip(first) {
                *u = mu * *u + g;
                *theta = decay * *theta - alpha * *u;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        // u = 0.5: θ = 1 − 0.1·0.5 = 0.95; then u = 0.9·0.5 + 1 = 1.45: θ = 0.95 − 0.145.
        let (mut theta, mut u) = ([1.0], [0.0]);
        let step = |number| Step { number, learning_rate: 0.1, weight_decay: 0.0 };
        Sgd::default().update(step(1), [Piece::new(&mut theta, &[0.5], &mut u, &mut [])]);
        assert_eq!(theta, [0.95]);
        Sgd::default().update(step(2), [Piece::new(&mut theta, &[1.0], &mut u, &mut [])]);
        assert!((theta[0] - 0.805_f64).abs() < 1e-15, "{theta:?}");
    }

    #[test]
    fn weight_decay_shrinks_the_parameter_apart_from_the_gradient() {
        let (mut theta, mut u) = ([2.0], [0.0]);
        let step = Step { number: 1, learning_rate: 0.5, weight_decay: 0.1 };
        Sgd::default().update(step, [Piece::new(&mut theta, &[0.0], &mut u, &mut [])]);
        assert_eq!((theta, u), ([1.9], [0.0]));
    }
}
