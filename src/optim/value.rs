//! What a rule computes with: handles on the nodes of a graph, or the numbers of one element.
//!
//! A rule is written once over [`Value`]. Given handles it writes nodes, which executors fuse and [`formula`](super::formula)
//! reads; given numbers it compiles to a loop.

use std::ops::{Add, Div, Mul, Sub};

use crate::float::Float;
use crate::ops::{Unary, Var};

/// A value that differs from parameter to parameter, or from step to step.
pub trait Value:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<<Self as Value>::Constant, Output = Self>
{
    /// A number of the rule. It stays in float64 until it meets a value, so that 1 − β is rounded once.
    type Constant: Copy + Sub<Output = Self::Constant> + Mul<Self, Output = Self>;

    /// These numbers, where `self` is computed.
    fn constants<const N: usize>(self, numbers: [f64; N]) -> [Self::Constant; N];

    /// √x
    fn sqrt(self) -> Self;

    /// −1, 0 or 1.
    fn sign(self) -> Self;

    /// x²
    #[inline(always)]
    fn squared(self) -> Self {
        self * self
    }

    /// Names the value as the paper does. Each named value is an equation of its own in the formula; an estimate's hat is
    /// written `m_hat`.
    fn named(self, name: &'static str) -> Self;
}

impl<'g> Value for Var<'g> {
    type Constant = Self;

    fn constants<const N: usize>(self, numbers: [f64; N]) -> [Self; N] {
        numbers.map(|number| self.builder().constant(number))
    }

    fn sqrt(self) -> Self {
        self.sqrt()
    }

    fn sign(self) -> Self {
        self.sign()
    }

    fn named(self, name: &'static str) -> Self {
        self.named(name)
    }
}

/// A number of the compiled loop.
#[derive(Clone, Copy)]
pub(super) struct Lane<T>(pub T);

macro_rules! operators {
    ($($Trait:ident $method:ident),+) => {$(
        impl<T: Float> $Trait for Lane<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0.$method(other.0))
            }
        }
    )+};
}

operators!(Add add, Sub sub, Mul mul, Div div);

impl<T: Float> Add<f64> for Lane<T> {
    type Output = Self;
    #[inline(always)]
    fn add(self, constant: f64) -> Self {
        Self(self.0 + T::of(constant))
    }
}

impl<T: Float> Mul<Lane<T>> for f64 {
    type Output = Lane<T>;
    #[inline(always)]
    fn mul(self, value: Lane<T>) -> Lane<T> {
        Lane(T::of(self) * value.0)
    }
}

impl<T: Float> Value for Lane<T> {
    type Constant = f64;

    #[inline(always)]
    fn constants<const N: usize>(self, numbers: [f64; N]) -> [f64; N] {
        numbers
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }

    #[inline(always)]
    fn sign(self) -> Self {
        let mut sign = [T::zero()];
        Unary::Sign.map(&[self.0], &mut sign);
        Self(sign[0])
    }

    #[inline(always)]
    fn named(self, _: &'static str) -> Self {
        self
    }
}
