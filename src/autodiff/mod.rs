//! Differentiation: graph in, graph out.
//!
//! Both modes walk the nodes once and append the nodes that compute the derivative, so what they
//! return can be differentiated again, in either mode. They know no operation's rule; those are
//! [`Rule::jvp`](crate::ops::Rule::jvp) and [`Rule::vjp`](crate::ops::Rule::vjp).

mod jvp;
mod vjp;

pub use jvp::jvp;
pub use vjp::{Adjoints, Contribution, gradient, vjp};
