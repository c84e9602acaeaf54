//! Optimizers: how parameters move, given gradients. One file each, with its paper and its formula.
//!
//! An optimizer is no operation of the graph: it updates (parameter, gradient, state) in place, one
//! element like any other, so a network's parameters can be updated in any pieces. Libraries differ in where ε stands and in the bias corrections, so each optimizer can
//! say its formula, and a run's configuration records it.

mod adagrad;
mod adam;
mod latex;
mod rmsprop;
mod sgd;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use rmsprop::RmsProp;
pub use sgd::Sgd;

use crate::float::Float;

/// The circumstances of one update.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Step {
    /// t: the number of this update, from 1.
    pub number: u64,
    /// α.
    pub learning_rate: f64,
    /// λ of decoupled weight decay (Loshchilov and Hutter 2019, equation for θ in Algorithm 2): before
    /// its update each parameter is multiplied by 1 − αλ.
    pub weight_decay: f64,
}

impl Step {
    /// What each parameter is multiplied by before its update: exactly 1 without weight decay.
    fn decay<T: Float>(&self) -> T {
        T::of(1.0 - self.learning_rate * self.weight_decay)
    }
}

/// Some parameters with what moves them: slices of one length.
#[derive(Debug)]
pub struct Piece<'a, T> {
    /// θ.
    pub parameters: &'a mut [T],
    /// g.
    pub gradients: &'a [T],
    /// The optimizer's first number of state for each parameter.
    pub first: &'a mut [T],
    /// Its second one: empty where it keeps but one.
    pub second: &'a mut [T],
}

impl<'a, T> Piece<'a, T> {
    /// Of its fields in their order.
    pub fn new(parameters: &'a mut [T], gradients: &'a [T], first: &'a mut [T], second: &'a mut [T]) -> Self {
        Self { parameters, gradients, first, second }
    }
}

/// An optimizer with its constants.
#[derive(Clone, Copy, PartialEq, Debug)]
#[allow(missing_docs, reason = "each variant is documented at its type")]
pub enum Optimizer {
    Sgd(Sgd),
    Adagrad(Adagrad),
    RmsProp(RmsProp),
    Adam(Adam),
}

impl Optimizer {
    /// The numbers of state that it keeps for each parameter.
    pub fn state_per_parameter(&self) -> usize {
        match self {
            Self::Sgd(_) | Self::Adagrad(_) | Self::RmsProp(_) => 1,
            Self::Adam(_) => 2,
        }
    }

    /// The update rule, with its constants and those of weight decay, as one line of mathematics.
    pub fn formula(&self, weight_decay: f64) -> String {
        let rule = match self {
            Self::Sgd(rule) => rule.formula(),
            Self::Adagrad(rule) => rule.formula(),
            Self::RmsProp(rule) => rule.formula(),
            Self::Adam(rule) => rule.formula(),
        };
        match weight_decay {
            0.0 => rule,
            _ => format!("theta *= 1 - alpha {weight_decay}; {rule}"),
        }
    }

    /// The update rule as LaTeX, constants put in: an equation a line, in the order in which they are computed.
    pub fn latex(&self, weight_decay: f64) -> Vec<String> {
        let kept = match weight_decay {
            0.0 => r"\theta_{t-1}".into(),
            _ => format!(r"\left(1 - {}\, \alpha\right) \theta_{{t-1}}", latex::constant(weight_decay)),
        };
        match self {
            Self::Sgd(rule) => rule.latex(&kept),
            Self::Adagrad(rule) => rule.latex(&kept),
            Self::RmsProp(rule) => rule.latex(&kept),
            Self::Adam(rule) => rule.latex(&kept),
        }
    }

    /// Who published the rule, and where it stands.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "Polyak (1964), in the form of Sutskever et al. (2013)",
            Self::Adagrad(_) => "Duchi, Hazan and Singer (2011), section 1.1, the diagonal form",
            Self::RmsProp(_) => "Tieleman and Hinton (2012), Lecture 6.5",
            Self::Adam(_) => "Kingma and Ba (2015), Algorithm 1",
        }
    }

    /// One update of some parameters, wherever they lie.
    #[inline(always)]
    pub fn update<'a, T: Float>(&self, step: Step, pieces: impl IntoIterator<Item = Piece<'a, T>>) {
        match self {
            Self::Sgd(rule) => rule.update(step, pieces),
            Self::Adagrad(rule) => rule.update(step, pieces),
            Self::RmsProp(rule) => rule.update(step, pieces),
            Self::Adam(rule) => rule.update(step, pieces),
        }
    }
}
