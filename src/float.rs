//! The number types that values are computed in.
//!
//! A graph does not say whether it runs in 32 or 64 bits; the executor does. Everything that touches
//! numbers is therefore written once, over this trait.

mod elementary;

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, MulAssign, SubAssign};

use bytemuck::Pod;
use pulp::Simd;

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
    + Pod
    + Send
    + Sync
    + 'static
{
    /// As many of these numbers as a register of the instruction set `S` holds.
    type Lanes<S: Simd>: Pod;

    /// Squares of numbers up to this one do not overflow.
    const LARGE: Self;
    /// Squares of numbers from this one on lose no digits to underflow.
    const SMALL: Self;
    /// A power of two that takes every number below [`SMALL`](Self::SMALL), and its inverse every number above
    /// [`LARGE`](Self::LARGE), in between.
    const SCALE: Self;

    /// `x`, rounded to this type.
    fn of(x: f64) -> Self;
    /// The number that a byte stands for, exactly.
    fn of_byte(byte: u8) -> Self;
    /// This number in 64 bits, exactly.
    fn wide(self) -> f64;
    /// eˣ; in float32 the same bits on every processor, and compiled to vectors in loops. So with the next.
    fn exponential(self) -> Self;
    /// tanh x
    fn hyperbolic_tangent(self) -> Self;
    /// erf(x), which the standard library lacks.
    fn error_function(self) -> Self;
    /// asinh(x), where `asinh` of the standard library loses digits; so with the next two.
    fn inverse_sinh(self) -> Self;
    /// acosh(x)
    fn inverse_cosh(self) -> Self;
    /// atanh(x)
    fn inverse_tanh(self) -> Self;
    /// ∛x, where C libraries' `cbrt` is up to four units in the last place off.
    fn cube_root(self) -> Self;
    /// The same numbers, where these are float32; for code that is written for their bits.
    fn as_float32(_numbers: &[Self]) -> Option<&[f32]> {
        None
    }
    /// As [`as_float32`](Self::as_float32).
    fn as_float32_mut(_numbers: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
    /// This number, or zero where it is subnormal.
    #[inline(always)]
    fn normal_or_zero(self) -> Self {
        if self.abs() < Self::min_positive_value() { Self::zero() } else { self }
    }
    /// This number in each lane.
    fn splat<S: Simd>(self, simd: S) -> Self::Lanes<S>;
    /// `a · b + c` in each lane: rounded once where the processor has such an instruction, as those with AVX2,
    /// AVX-512 or NEON do, and twice elsewhere.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Lanes<S>,
        b: Self::Lanes<S>,
        c: Self::Lanes<S>,
    ) -> Self::Lanes<S>;
    /// The sum of the lanes, in halves: the upper ones are added to the lower until one is left.
    fn reduce_sum<S: Simd>(simd: S, lanes: Self::Lanes<S>) -> Self;
}

impl Float for f32 {
    type Lanes<S: Simd> = S::f32s;

    const LARGE: Self = Self::from_bits((127 + 60) << 23); // 2⁶⁰
    const SMALL: Self = Self::from_bits((127 - 50) << 23);
    const SCALE: Self = Self::from_bits((127 + 100) << 23);

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
    fn as_float32(numbers: &[Self]) -> Option<&[f32]> {
        Some(numbers)
    }
    fn as_float32_mut(numbers: &mut [Self]) -> Option<&mut [f32]> {
        Some(numbers)
    }
    #[inline(always)]
    fn exponential(self) -> Self {
        elementary::exponential(self)
    }
    #[inline(always)]
    fn hyperbolic_tangent(self) -> Self {
        elementary::hyperbolic_tangent(self)
    }
    #[inline(always)]
    fn error_function(self) -> Self {
        libm::erff(self)
    }
    #[inline(always)]
    fn inverse_sinh(self) -> Self {
        libm::asinhf(self)
    }
    #[inline(always)]
    fn inverse_cosh(self) -> Self {
        libm::acoshf(self)
    }
    #[inline(always)]
    fn inverse_tanh(self) -> Self {
        libm::atanhf(self)
    }
    #[inline(always)]
    fn cube_root(self) -> Self {
        libm::cbrtf(self)
    }
    #[inline(always)]
    fn splat<S: Simd>(self, simd: S) -> S::f32s {
        simd.splat_f32s(self)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        simd.mul_add_e_f32s(a, b, c)
    }
    #[inline(always)]
    fn reduce_sum<S: Simd>(simd: S, lanes: S::f32s) -> Self {
        simd.reduce_sum_f32s(lanes)
    }
}

impl Float for f64 {
    type Lanes<S: Simd> = S::f64s;

    const LARGE: Self = Self::from_bits((1023 + 500) << 52); // 2⁵⁰⁰
    const SMALL: Self = Self::from_bits((1023 - 480) << 52);
    const SCALE: Self = Self::from_bits((1023 + 600) << 52);

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
    #[inline(always)]
    fn exponential(self) -> Self {
        self.exp()
    }
    #[inline(always)]
    fn hyperbolic_tangent(self) -> Self {
        self.tanh()
    }
    #[inline(always)]
    fn error_function(self) -> Self {
        libm::erf(self)
    }
    #[inline(always)]
    fn inverse_sinh(self) -> Self {
        libm::asinh(self)
    }
    #[inline(always)]
    fn inverse_cosh(self) -> Self {
        libm::acosh(self)
    }
    #[inline(always)]
    fn inverse_tanh(self) -> Self {
        libm::atanh(self)
    }
    #[inline(always)]
    fn cube_root(self) -> Self {
        libm::cbrt(self)
    }
    #[inline(always)]
    fn splat<S: Simd>(self, simd: S) -> S::f64s {
        simd.splat_f64s(self)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        simd.mul_add_e_f64s(a, b, c)
    }
    #[inline(always)]
    fn reduce_sum<S: Simd>(simd: S, lanes: S::f64s) -> Self {
        simd.reduce_sum_f64s(lanes)
    }
}
