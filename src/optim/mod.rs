//! Optimizers: how parameters move, given gradients. One file each, with its paper and its algorithm, written once over
//! what it computes with ([`Value`]): nodes of a graph, which executors fuse and which are read as text and LaTeX, or the
//! numbers of a loop.
//!
//! Every element is updated like any other, so a network's parameters can be updated in any pieces. Libraries differ in
//! where ε stands and in the bias corrections, so each optimizer says its formula, and a run's configuration records it.

mod formula;
mod rule;
mod scalar;
mod value;

mod adadelta;
mod adagrad;
mod adam;
mod lion;
mod nesterov;
mod rmsprop;
mod sgd;

pub use rule::{Constant, Family, MOST_STATES, Piece};
pub use scalar::Scalar;
pub use value::Value;

use crate::float::Float;
use crate::names::named;
use crate::ops::Var;
use rule::Algorithm;

/// The list of the optimizers, by file and rule, in the order of lists, tables and plots.
macro_rules! optimizers {
    ($($file:ident::$Rule:ident),+ $(,)? instead of $advice:tt) => {
        $(pub use $file::$Rule;)+

        /// An optimizer with its constants.
        #[derive(Clone, Copy, PartialEq, Debug)]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        pub enum Optimizer { $($Rule($Rule)),+ }

        /// The optimizers by name.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "documented at the optimizers")]
        pub enum OptimizerName { $($Rule),+ }

        named! {
            OptimizerName { $($Rule = $Rule::FAMILY.name),+ }
            instead of $advice
        }

        impl OptimizerName {
            /// What there is to know about the optimizer.
            pub fn family(self) -> &'static Family {
                match self { $(Self::$Rule => &$Rule::FAMILY),+ }
            }

            /// The optimizer with a value for each of its constants, asked for in the order of [`Family::constants`].
            pub fn build(self, value: impl FnMut(&Constant) -> f64) -> Optimizer {
                match self { $(Self::$Rule => Optimizer::$Rule($Rule::build(value))),+ }
            }
        }

        impl Optimizer {
            /// Its name.
            pub fn name(&self) -> OptimizerName {
                match self { $(Self::$Rule(_) => OptimizerName::$Rule),+ }
            }

            /// Its constants, in the order of [`Family::constants`].
            pub fn constants(&self) -> Vec<f64> {
                match self { $(Self::$Rule(rule) => rule.constants()),+ }
            }

            /// The scalars of a step: the learning rate, the decay of parameters, and what else the rule needs.
            pub fn scalars(&self) -> Vec<Scalar> {
                match self { $(Self::$Rule(rule) => rule.all_scalars()),+ }
            }

            /// The numbers of state that it keeps for each parameter.
            pub fn states(&self) -> usize {
                match self { $(Self::$Rule(rule) => rule.states()),+ }
            }

            /// Writes the nodes of an update: θ and the state after it. Parameters `theta`, gradients `g` and each of the
            /// [`states`](Self::states) are of one shape; the `scalars`, of shape [], are those of
            /// [`scalars`](Self::scalars).
            ///
            /// # Panics
            /// When there are more or fewer scalars or states than that.
            pub fn write<'g>(
                &self,
                scalars: &[Var<'g>],
                theta: Var<'g>,
                g: Var<'g>,
                state: &[Var<'g>],
            ) -> (Var<'g>, Vec<Var<'g>>) {
                match self { $(Self::$Rule(rule) => rule.write(scalars, theta, g, state)),+ }
            }

            /// Updates some parameters, wherever they lie, with the numbers that [`at`](Self::at) gives for
            /// the [`scalars`](Self::scalars): what the nodes of [`write`](Self::write) compute, compiled as one loop.
            ///
            /// # Panics
            /// When there are more or fewer scalars than that; when a slice is shorter than its parameters.
            #[inline(always)]
            pub fn run<'a, T: Float>(&self, scalars: &[T], pieces: impl IntoIterator<Item = Piece<'a, T>>) {
                match self { $(Self::$Rule(rule) => rule.run(scalars, pieces)),+ }
            }

            /// The update rule, with its constants and those of weight decay, as one line of mathematics.
            pub fn formula(&self, weight_decay: f64) -> String {
                match self { $(Self::$Rule(rule) => formula::text(rule, weight_decay)),+ }
            }

            /// The update rule as LaTeX, constants put in: an equation a line, in the order in which they are computed.
            pub fn latex(&self, weight_decay: f64) -> Vec<String> {
                match self { $(Self::$Rule(rule) => formula::latex(rule, weight_decay)),+ }
            }
        }
    };
}

optimizers! {
    adagrad::Adagrad, rmsprop::RmsProp, adam::Adam, sgd::Sgd, adadelta::Adadelta, nesterov::Nesterov, lion::Lion
    instead of {
        "adamw" => "weight decay is decoupled here already: use --opt adam --weight-decay X",
        "momentum" | "sgdm" => "that is sgd here, whose momentum is 0.9: use --opt sgd --momentum X",
        "nag" => "use --opt nesterov --momentum X",
        "gd" | "gradientdescent" => "for gradient descent use --opt sgd --momentum 0, with the training images as one batch \
                                     (--batch-size)",
        "adamax" | "nadam" | "amsgrad" | "radam" | "adan" => "of Adam's family there is adam alone: use --opt adam",
    }
}

impl Optimizer {
    /// The numbers that its [`scalars`](Self::scalars) are in the update of this number, from 1, each rounded once.
    pub fn at<T: Float>(&self, number: u64, learning_rate: f64, weight_decay: f64) -> Vec<T> {
        let at = |scalar: Scalar| T::of(scalar.at(number, learning_rate, weight_decay));
        self.scalars().into_iter().map(at).collect()
    }
}
