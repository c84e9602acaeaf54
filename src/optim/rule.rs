//! What a rule's file holds, and what is made of it: the nodes of an update, and its compiled loop.

use std::array::from_fn;
use std::ops::Range;

use super::scalar::Scalar;
use super::value::{Lane, Value};
use crate::float::Float;
use crate::ops::Var;

/// A rule, whatever its constants: what options, help texts and files know about it.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name on the command line and in files.
    pub name: &'static str,
    /// Who published it, and where it stands.
    pub source: &'static str,
    /// The peak learning rate unless said otherwise.
    pub learning_rate: f64,
    /// In the order of the rule's fields.
    pub constants: &'static [Constant],
}

/// A constant of a rule.
#[derive(Clone, Debug)]
pub struct Constant {
    /// Its name on the command line and in files.
    pub name: &'static str,
    /// Its value unless said otherwise.
    pub default: f64,
    /// A phrase that says what it is, such as "decay of the mean".
    pub help: &'static str,
    /// The values that make sense.
    pub range: Range<f64>,
}

/// The most numbers of state of a rule that has a compiled loop; one of more is interpreted.
pub const MOST_STATES: usize = 2;

/// Constants that are a part of one.
pub(super) const FRACTION: Range<f64> = 0.0..1.0;

/// An ε that float32 rounds to zero divides zero by zero wherever a gradient has always been zero.
pub(super) const EPSILON: Range<f64> = f32::MIN_POSITIVE as f64..1.0;

/// The struct of a rule: its constants with their defaults, ranges and help texts, and its [`Family`].
macro_rules! rule {
    (
        $(#[$about:meta])* $Rule:ident: $name:literal, $source:literal, learning rate $rate:literal
        $($(#[$doc:meta])* $constant:ident = $default:literal in $range:ident, $help:literal)+
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub struct $Rule { $($(#[$doc])* pub $constant: f64),+ }

        impl $Rule {
            /// What there is to know about the rule.
            pub(super) const FAMILY: $crate::optim::rule::Family = $crate::optim::rule::Family {
                name: $name,
                source: $source,
                learning_rate: $rate,
                constants: &[$($crate::optim::rule::Constant {
                    name: stringify!($constant),
                    default: $default,
                    help: $help,
                    range: $crate::optim::rule::$range,
                }),+],
            };

            pub(super) fn build(value: impl FnMut(&$crate::optim::rule::Constant) -> f64) -> Self {
                // Each field has its constant, in this order.
                let mut constants = Self::FAMILY.constants.iter().map(value);
                Self { $($constant: constants.next().unwrap_or($default)),+ }
            }

            pub(super) fn constants(&self) -> Vec<f64> {
                vec![$(self.$constant),+]
            }
        }

        impl Default for $Rule {
            fn default() -> Self {
                Self { $($constant: $default),+ }
            }
        }
    };
}

pub(super) use rule;

/// Some parameters with what moves them: slices of one length.
#[derive(Debug)]
pub struct Piece<'a, T> {
    /// θ.
    pub parameters: &'a mut [T],
    /// g.
    pub gradients: &'a [T],
    /// The optimizer's numbers of state for each parameter; what it does not keep is empty.
    pub state: [&'a mut [T]; MOST_STATES],
}

impl<'a, T> Piece<'a, T> {
    /// Of its fields in their order.
    pub fn new(parameters: &'a mut [T], gradients: &'a [T], first: &'a mut [T], second: &'a mut [T]) -> Self {
        Self { parameters, gradients, state: [first, second] }
    }
}

/// An update rule, with `SCALARS` scalars of its own and `STATES` numbers of state for each parameter.
pub(super) trait Algorithm<const SCALARS: usize, const STATES: usize>: Copy {
    /// Those beside the learning rate and the decay of parameters: as many as `SCALARS`.
    fn scalars(&self) -> Vec<Scalar> {
        Vec::new()
    }

    /// θ and the state after a step; `g` is the gradient. Weight decay has shrunk `theta` already.
    fn update<V: Value>(
        &self,
        alpha: V,
        scalars: [V; SCALARS],
        theta: V,
        g: V,
        state: [V; STATES],
    ) -> (V, [V; STATES]);

    /// The whole step, with decoupled weight decay (Loshchilov and Hutter 2019, equation for θ in Algorithm 2).
    #[inline(always)]
    fn step<V: Value>(
        &self,
        [alpha, decay]: [V; 2],
        scalars: [V; SCALARS],
        theta: V,
        g: V,
        state: [V; STATES],
    ) -> (V, [V; STATES]) {
        self.update(alpha, scalars, decay * theta, g, state)
    }

    /// All scalars of a step: the learning rate and the decay, then the rule's own.
    fn all_scalars(&self) -> Vec<Scalar> {
        [Scalar::Rate, Scalar::Decay].into_iter().chain(self.scalars()).collect()
    }

    /// The numbers of state for each parameter.
    fn states(&self) -> usize {
        STATES
    }

    /// The nodes of a step.
    fn write<'g>(
        &self,
        scalars: &[Var<'g>],
        theta: Var<'g>,
        g: Var<'g>,
        state: &[Var<'g>],
    ) -> (Var<'g>, Vec<Var<'g>>) {
        assert_eq!(state.len(), STATES, "numbers of state");
        let (common, own) = split(scalars);
        let (theta, state) = self.step(common, own, theta, g, from_fn(|k| state[k]));
        (theta, state.into())
    }

    /// The step of each element, as one loop.
    #[inline(always)]
    fn run<'a, T: Float>(&self, scalars: &[T], pieces: impl IntoIterator<Item = Piece<'a, T>>) {
        let rule = *self;
        let (common, own) = split(scalars);
        let (common, own): ([T; 2], [T; SCALARS]) = (common, own);
        for Piece { parameters, gradients, state } in pieces {
            // All of one length, so that the loop checks no index.
            let n = parameters.len();
            let gradients = &gradients[..n];
            let mut given = state.into_iter();
            let mut state: [&mut [T]; STATES] = from_fn(|_| &mut given.next().unwrap_or_default()[..n]);
            for i in 0..n {
                let before = from_fn(|k| Lane(state[k][i]));
                let (theta, g) = (Lane(parameters[i]), Lane(gradients[i]));
                let (theta, after) = rule.step(common.map(Lane), own.map(Lane), theta, g, before);
                parameters[i] = theta.0;
                for (state, Lane(value)) in state.iter_mut().zip(after) {
                    // A mean of zeros decays into the subnormal numbers and, rounded to nearest, stays there: each step would cost
                    // some processors a hundred cycles a number.
                    state[i] = value.normal_or_zero();
                }
            }
        }
    }

    /// A parameter and its state after steps with these gradients, from a state of zero.
    #[cfg(test)]
    fn by_hand(
        &self,
        learning_rate: f64,
        weight_decay: f64,
        theta: f64,
        gradients: &[f64],
    ) -> (f64, [f64; 2]) {
        let (mut theta, mut first, mut second) = ([theta], [0.0], [0.0]);
        for (number, gradient) in (1..).zip(gradients) {
            let scalars = self.all_scalars().into_iter();
            let scalars: Vec<f64> =
                scalars.map(|scalar| scalar.at(number, learning_rate, weight_decay)).collect();
            self.run(&scalars, [Piece::new(&mut theta, &[*gradient], &mut first, &mut second)]);
        }
        (theta[0], [first[0], second[0]])
    }
}

/// The learning rate and the decay, and the rule's own scalars.
#[inline(always)]
fn split<V: Copy, const SCALARS: usize>(scalars: &[V]) -> ([V; 2], [V; SCALARS]) {
    assert_eq!(scalars.len(), 2 + SCALARS, "scalars");
    (from_fn(|k| scalars[k]), from_fn(|k| scalars[2 + k]))
}
