//! The values of operations that take more than a call: without overflow or loss of digits on the way.
//!
//! `kernels/operations.cuh` has each of them for the device.

use crate::float::Float;

/// The logistic function without overflow: `exp` is only ever taken of a number ≤ 0.
#[inline(always)]
pub(super) fn sigmoid<T: Float>(x: T) -> T {
    let e = (-x.abs()).exponential();
    let denominator = T::one() + e;
    if x >= T::zero() { T::one() / denominator } else { e / denominator }
}

/// 0 for NaN too, as for [`step`](super::Unary::Step).
#[inline(always)]
pub(super) fn sign<T: Float>(x: T) -> T {
    if x > T::zero() {
        T::one()
    } else if x < T::zero() {
        -T::one()
    } else {
        T::zero()
    }
}

/// The larger of two, or NaN where one is; unlike [`f64::max`], which then returns the other.
#[inline(always)]
pub(super) fn larger<T: Float>(a: T, b: T) -> T {
    if a >= b {
        a
    } else if a < b {
        b
    } else {
        a + b
    }
}

/// 1 where a > b, ½ where they are equal, else 0.
#[inline(always)]
pub(super) fn above<T: Float>(a: T, b: T) -> T {
    if a > b {
        T::one()
    } else if a == b {
        T::of(0.5)
    } else {
        T::zero()
    }
}

/// ln(1 + eˣ) without overflow.
#[inline(always)]
pub(super) fn softplus<T: Float>(x: T) -> T {
    x.max(T::zero()) + (-x.abs()).exponential().ln_1p()
}

/// e^(-x²). The exponential turns an absolute error into a relative one, so what x² loses in rounding is put back.
#[inline(always)]
pub(super) fn gaussian<T: Float>(x: T) -> T {
    let square = x * x;
    let value = (-square).exponential();
    if value == T::zero() { value } else { value - value * x.mul_add(x, -square) }
}

/// 1 / (3 ∛x²), as ∛x / x / 3: one rounding fewer, and no digits of the smallest numbers are lost.
#[inline(always)]
pub(super) fn cbrt_slope<T: Float>(x: T) -> T {
    if x == T::zero() { T::infinity() } else { x.cube_root() / x / T::of(3.0) }
}

/// 1 / cosh² x = 4e / (1 + e)² with e = e^(-2|x|), without overflow. What 1 + e loses in rounding is put into the square.
#[inline(always)]
pub(super) fn sech2<T: Float>(x: T) -> T {
    let e = (T::of(-2.0) * x.abs()).exponential();
    let sum = T::one() + e;
    let lost = e - (sum - T::one());
    T::of(4.0) * e / sum.mul_add(sum, T::of(2.0) * sum * lost)
}

/// σ(x) σ(-x) = 1 / (4 cosh² (x/2)): one exponential, and fewer roundings than the product.
#[inline(always)]
pub(super) fn sigmoid_slope<T: Float>(x: T) -> T {
    T::of(0.25) * sech2(T::of(0.5) * x)
}

/// A power of two that brings the larger of two numbers to where squares neither over- nor underflow.
#[inline(always)]
fn scale<T: Float>(a: T, b: T) -> T {
    let size = a.abs().max(b.abs());
    if size > T::LARGE {
        T::SCALE.recip()
    } else if size < T::SMALL {
        T::SCALE
    } else {
        T::one()
    }
}

/// b / (a² + b²)
#[inline(always)]
pub(super) fn inversion<T: Float>(a: T, b: T) -> T {
    let scale = scale(a, b);
    let (a, b) = (a * scale, b * scale);
    b / a.mul_add(a, b * b) * scale
}

/// a / √(a² + b²)
#[inline(always)]
pub(super) fn direction<T: Float>(a: T, b: T) -> T {
    let scale = scale(a, b);
    let (a, b) = (a * scale, b * scale);
    a / a.hypot(b)
}

/// b - n, if that is exact (Dekker 1971: the rounding of a sum, from its larger summand).
#[inline(always)]
pub(super) fn lowered<T: Float>(b: T, n: u8) -> Option<T> {
    let n = T::of_byte(n);
    let lowered = b - n;
    let is_exact = if b.abs() >= n { b - lowered == n } else { lowered + n == b };
    is_exact.then_some(lowered)
}

/// aᵇ⁻ⁿ for n of 1 or 2. Where b - n is not exact, as at b = 0.3, its rounding would come out multiplied by ln a: there
/// it is aᵇ / aⁿ. At a = 0 it is 0 for whole b from 0 to n - 1, where it is multiplied by a factor of 0.
#[inline(always)]
pub(super) fn power_below<T: Float>(a: T, b: T, n: u8) -> T {
    let rounded = b - T::of_byte(n);
    if a == T::zero() && (b == T::zero() || b == T::one()) && rounded < T::zero() {
        return T::zero();
    }
    match lowered(b, n) {
        Some(lowered) => a.powf(lowered),
        None if a == T::zero() || a.is_infinite() => a.powf(rounded),
        None => (0..n).fold(a.powf(b), |power, _| power / a),
    }
}

/// aᵇ ln a; at a = 0 its limit; in two halves where aᵇ is below the normal numbers.
#[inline(always)]
pub(super) fn power_log<T: Float>(a: T, b: T) -> T {
    if a == T::zero() && b > T::zero() {
        return T::zero();
    }
    let power = a.powf(b);
    if power.abs() < T::min_positive_value() {
        let half = a.powf(b * T::of(0.5));
        half * a.ln() * half
    } else {
        power * a.ln()
    }
}

/// y ln a, and 0 where y is, at a = 0 too.
#[inline(always)]
pub(super) fn xlogy<T: Float>(y: T, a: T) -> T {
    if y == T::zero() && a >= T::zero() { T::zero() } else { y * a.ln() }
}
