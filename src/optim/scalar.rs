//! What changes from step to step and is one number for all parameters.

/// Such a number. The host computes it in float64 and rounds it once; in a graph it is an input of shape [].
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scalar {
    /// α: the learning rate.
    Rate,
    /// 1 − αλ: what each parameter is multiplied by before its update.
    Decay,
    /// 1 / (1 − βᵗ): what makes up for a mean of decay β that started at zero.
    Correction(f64),
}

impl Scalar {
    /// The scalar in the step of this number, from 1; `weight_decay` is λ.
    pub fn at(&self, number: u64, learning_rate: f64, weight_decay: f64) -> f64 {
        match *self {
            Self::Rate => learning_rate,
            // exactly 1 without weight decay
            Self::Decay => 1.0 - learning_rate * weight_decay,
            // 1 − 0.999ᵗ loses three digits to cancellation, which float32 could not spare.
            Self::Correction(beta) => 1.0 / (1.0 - beta.powf(number as f64)),
        }
    }
}
