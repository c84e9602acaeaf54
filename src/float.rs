//! The number types that values are computed in.
//!
//! A graph does not say whether it runs in 32 or 64 bits; the executor does. Everything that touches
//! numbers is therefore written once, over this trait.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, MulAssign, SubAssign};

/// A floating-point element type: `f32` for training, `f64` for traces and as the oracle of tests.
pub trait Float:
    num_traits::Float
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + 'static
{
    /// `x`, rounded to this type.
    fn of(x: f64) -> Self;
    /// The number that a byte stands for, exactly.
    fn of_byte(byte: u8) -> Self;
    /// This number in 64 bits, exactly.
    fn wide(self) -> f64;
}

impl Float for f32 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn of_byte(byte: u8) -> Self {
        byte.into()
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Float for f64 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn of_byte(byte: u8) -> Self {
        byte.into()
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
}
