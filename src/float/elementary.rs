//! The exponential and the hyperbolic tangent of float32 in additions and multiplications, so that loops over them are compiled
//! to vectors; a library's would be called element by element, at ten times the cost. They give the same bits on every
//! processor, whatever C library it has.
//!
//! Source of both ways to go about it, and of the polynomials: Moshier, Cephes Mathematical Library 2.2 (1992), `expf` and
//! `tanhf`.

/// eˣ = 2ⁿ eʳ, with the integer n next to x / ln 2. At most 1 unit in the last place off.
#[inline(always)]
pub(super) fn exponential(x: f32) -> f32 {
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4]; // the first so short that its product with n is exact
    const ROUND: f32 = (3 << 22) as f32; // a sum with this has no place for digits behind the point
    // Beyond, the result is infinite, or zero. NaN stays.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -105.0 { -105.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let p = 1.987_569_2e-4_f32;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * (r * r) + r + 1.0;
    // 2ⁿ in two factors, as neither it nor the result need be a normal number.
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
    y * power(n >> 1) * power(n - (n >> 1))
}

/// tanh x: an odd polynomial near zero, 1 − 2 / (e²ˣ + 1) elsewhere. At most 1.5 units in the last place off.
#[inline(always)]
pub(super) fn hyperbolic_tangent(x: f32) -> f32 {
    let square = x * x;
    let p = -5.704_988_7e-3_f32;
    let p = p * square + 2.063_909e-2;
    let p = p * square - 5.373_971_6e-2;
    let p = p * square + 1.333_144_2e-1;
    let p = p * square - 3.333_328e-1;
    let near = p * square * x + x;
    let far = 1.0 - 2.0 / (exponential(2.0 * x.abs()) + 1.0);
    (if x.abs() < 0.625 { near } else { far }).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error of a function on every 1999th float32, in units in the last place of what it should be.
    fn worst(found: impl Fn(f32) -> f32, expected: impl Fn(f64) -> f64) -> f64 {
        let mut worst = 0.0_f64;
        for x in (0..=u32::MAX).step_by(1999).map(f32::from_bits) {
            let (found, expected) = (found(x), expected(f64::from(x)));
            let rounded = expected as f32;
            if !rounded.is_finite() {
                assert!(found == rounded || found.is_nan() && rounded.is_nan(), "{x:e}: {found}");
                continue;
            }
            let size = rounded.abs().max(f32::MIN_POSITIVE);
            let unit = f64::from(f32::from_bits(size.to_bits() + 1)) - f64::from(size);
            worst = worst.max((f64::from(found) - expected).abs() / unit);
            assert!(!found.is_nan(), "{x:e}");
        }
        worst
    }

    #[test]
    fn both_are_as_near_as_they_say() {
        let [exponential, tangent] = [worst(exponential, f64::exp), worst(hyperbolic_tangent, f64::tanh)];
        assert!((0.5..1.0).contains(&exponential), "{exponential}");
        assert!((0.5..1.5).contains(&tangent), "{tangent}");
    }

    #[test]
    fn ends_and_zeros_are_exact() {
        for (x, y) in [(0.0, 1.0), (-0.0, 1.0), (f32::INFINITY, f32::INFINITY), (f32::NEG_INFINITY, 0.0)] {
            assert_eq!(exponential(x).to_bits(), f32::to_bits(y));
        }
        for (x, y) in [(0.0, 0.0), (f32::INFINITY, 1.0), (20.0, 1.0), (1e-40, 1e-40)] {
            for sign in [1.0, -1.0] {
                assert_eq!(hyperbolic_tangent(sign * x).to_bits(), f32::to_bits(sign * y));
            }
        }
    }
}
