//! Adagrad (Duchi, Hazan and Singer 2011, "Adaptive subgradient methods", the diagonal form of
//! section 1.1), with ε outside the root, as PyTorch has it.
//!
//! ```text
//! G ← G + g²
//! θ ← θ − α g / (√G + ε)
//! ```

use super::latex::constant;
use super::{Piece, Step};
use crate::float::Float;

/// A learning rate for each parameter that falls with the gradients it has seen.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adagrad {
    /// ε, which keeps the first quotients finite.
    pub epsilon: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Self { epsilon: 1e-10 }
    }
}

impl Adagrad {
    pub(super) fn formula(&self) -> String {
        format!("G += g^2; theta -= alpha g / (sqrt(G) + {epsilon:e})", epsilon = self.epsilon)
    }

    pub(super) fn latex(&self, kept: &str) -> Vec<String> {
        let epsilon = constant(self.epsilon);
        vec![
            r"G_t = G_{t-1} + g_t^2".into(),
            format!(r"\theta_t = {kept} - \alpha\, \frac{{g_t}}{{\sqrt{{G_t}} + {epsilon}}}"),
        ]
    }

    /// G is the first number of state.
    #[inline(always)]
    pub fn update<'a, T: Float>(&self, step: Step, pieces: impl IntoIterator<Item = Piece<'a, T>>) {
        let (alpha, decay, epsilon) = (T::of(step.learning_rate), step.decay::<T>(), T::of(self.epsilon));
        for Piece { parameters, gradients, first, .. } in pieces {
            for ((theta, &g), sum) in parameters.iter_mut().zip(gradients).zip(first) {
                *sum += g * g;
                *theta = decay * *theta - alpha * g / (sum.sqrt() + epsilon);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        // G = 9: θ = 1 − 0.1·3/3 = 0.9; then G = 25: θ = 0.9 − 0.1·4/5 = 0.82.
        let (mut theta, mut sum) = ([1.0], [0.0]);
        let step = |number| Step { number, learning_rate: 0.1, weight_decay: 0.0 };
        Adagrad { epsilon: 0.0 }.update(step(1), [Piece::new(&mut theta, &[3.0], &mut sum, &mut [])]);
        assert!((theta[0] - 0.9_f64).abs() < 1e-15, "{theta:?}");
        Adagrad { epsilon: 0.0 }.update(step(2), [Piece::new(&mut theta, &[4.0], &mut sum, &mut [])]);
        assert!((theta[0] - 0.82_f64).abs() < 1e-15, "{theta:?}");
        assert_eq!(sum, [25.0]);
    }

    #[test]
    fn epsilon_stands_outside_the_root() {
        let (mut theta, mut sum) = ([0.0], [0.0]);
        let step = Step { number: 1, learning_rate: 1.0, weight_decay: 0.0 };
        Adagrad { epsilon: 1.0 }.update(step, [Piece::new(&mut theta, &[3.0], &mut sum, &mut [])]);
        assert_eq!(theta, [-0.75]); // 3 / (√9 + 1); inside it would be 3 / √10
    }

    #[test]
    fn a_gradient_of_zero_moves_nothing() {
        let (mut theta, mut sum) = ([0.5], [0.0]);
        let step = Step { number: 1, learning_rate: 1.0, weight_decay: 0.0 };
        Adagrad::default().update(step, [Piece::new(&mut theta, &[0.0], &mut sum, &mut [])]);
        assert_eq!(theta, [0.5]);
    }
}
