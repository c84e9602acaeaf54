//! Random numbers that are the same for ever, everywhere.
//!
//! A run must be repeatable from its seed alone, years later and with other versions of every
//! dependency. So this module uses two published generators and writes down everything above them:
//! how seed and purpose become a key, how words become bounded integers, permutations and normals.
//!
//! - **ChaCha8** ([`chacha`]) where numbers are drawn in sequence on the host: initial weights,
//!   permutations.
//! - **Philox4x32-10** ([`Philox`]) where every element needs its own number in any order: dropout
//!   masks and shifts. It has no state, so a GPU thread computes its number from (step, element).
//!
//! Different [`Purpose`]s never share a stream: using more dropout does not change the permutation.

mod philox;
mod purpose;

use std::f64::consts::TAU;

pub use philox::{Philox, philox4x32};
pub use purpose::Purpose;
pub use rand_chacha::ChaCha8Rng;
pub use rand_chacha::rand_core::Rng;
use rand_chacha::rand_core::SeedableRng;

/// The ChaCha8 stream of (`seed`, `purpose`, `index`), from its first word.
///
/// Layout, all integers little-endian: key bytes 0–7 `seed`, 8–15 the purpose's number, 16–31 the
/// ASCII text `cotangent random`; nonce (ChaCha's stream number) `index`; block counter from zero.
/// Distinct arguments therefore give distinct (key, nonce) pairs, that is, independent streams.
///
/// Source: D. J. Bernstein, "ChaCha, a variant of Salsa20" (2008), with 8 rounds.
pub fn chacha(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = *b"................cotangent random";
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&u64::from(purpose.number()).to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// A uniform integer in `0..bound`, without bias; `bound` must not be zero (it would return zero).
///
/// Source: D. Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 29 (2019),
/// algorithm 5, with 32-bit words: the high half of word × bound, redrawn for the few words whose
/// low half would favour some results.
pub fn below(rng: &mut impl Rng, bound: u32) -> u32 {
    let mut product = u64::from(rng.next_u32()) * u64::from(bound);
    if (product as u32) < bound {
        // 2^32 mod bound, computed only on this rare path because a division is slow.
        let threshold = bound.wrapping_neg() % bound;
        while (product as u32) < threshold {
            product = u64::from(rng.next_u32()) * u64::from(bound);
        }
    }
    (product >> 32) as u32
}

/// Overwrites `out` with a uniformly drawn permutation of `0..out.len()`.
///
/// Source: Fisher and Yates in Durstenfeld's form (Knuth, TAOCP 2, algorithm 3.4.2P), from the last
/// element down.
///
/// # Panics
/// If `out` has more elements than a `u32` can number.
pub fn permutation(rng: &mut impl Rng, out: &mut [u32]) {
    assert!(
        u32::try_from(out.len()).is_ok(),
        "a permutation of {} elements does not fit u32 indices",
        out.len()
    );
    for (element, index) in out.iter_mut().zip(0..) {
        *element = index;
    }
    for last in (1..out.len()).rev() {
        let chosen = below(rng, last as u32 + 1) as usize;
        out.swap(last, chosen);
    }
}

/// A uniform number in [0, 1) with 53 random bits: two words, the first one the upper 27 bits.
pub fn uniform(rng: &mut impl Rng) -> f64 {
    let high = u64::from(rng.next_u32() >> 5);
    let low = u64::from(rng.next_u32() >> 6);
    ((high << 26) | low) as f64 / (1_u64 << 53) as f64
}

/// One draw from the normal distribution of mean 0 and variance 1.
///
/// The first of [`standard_normal_pair`]; the second is thrown away, so that a call has no memory.
pub fn standard_normal(rng: &mut impl Rng) -> f64 {
    standard_normal_pair(rng)[0]
}

/// Two independent draws from the normal distribution of mean 0 and variance 1.
///
/// The words are the same everywhere; `ln`, `sin` and `cos` are the platform's, which may differ in
/// the last bit.
///
/// Source: Box and Muller, "A Note on the Generation of Random Normal Deviates" (1958).
pub fn standard_normal_pair(rng: &mut impl Rng) -> [f64; 2] {
    // 1 − u lies in (0, 1], where the logarithm is finite.
    let radius = (-2.0 * (1.0 - uniform(rng)).ln()).sqrt();
    let (sine, cosine) = (TAU * uniform(rng)).sin_cos();
    [radius * cosine, radius * sine]
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected words come from a ChaCha8 written in Python from Bernstein's paper, keyed as the
    // documentation of `chacha` says; so they check that text as well.
    #[test]
    fn chacha_streams_follow_the_documented_layout() {
        let mut rng = chacha(7, Purpose::Permutation, 3);
        let words: [u32; 4] = std::array::from_fn(|_| rng.next_u32());
        assert_eq!(words, [0xe2bff2f3, 0x4485deca, 0x984700c2, 0xbcadff7b]);

        let mut rng = chacha(0x0123_4567_89ab_cdef, Purpose::Weights, (1 << 40) + 5);
        let words: [u32; 4] = std::array::from_fn(|_| rng.next_u32());
        assert_eq!(words, [0x24b05d92, 0x764074de, 0xe044d029, 0x0f6a554f]);
    }

    #[test]
    fn purposes_keep_their_numbers() {
        use Purpose::*;
        let numbers = [Weights, Permutation, Validation, Shifts, Dropout].map(Purpose::number);
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn permutation_is_the_one_computed_independently() {
        let mut order = [0; 12];
        permutation(&mut chacha(7, Purpose::Permutation, 3), &mut order);
        assert_eq!(order, [0, 8, 4, 3, 7, 11, 1, 9, 6, 5, 2, 10]);
    }

    #[test]
    fn permutation_holds_every_index_once() {
        for count in [0, 1, 2, 1000] {
            let mut order = vec![9; count];
            permutation(&mut chacha(1, Purpose::Permutation, 0), &mut order);
            order.sort_unstable();
            assert!(order.iter().copied().eq(0..count as u32));
        }
    }

    #[test]
    fn all_permutations_of_four_are_equally_likely() {
        let mut rng = chacha(5, Purpose::Permutation, 0);
        let mut seen = std::collections::HashMap::new();
        for _ in 0..24_000 {
            let mut order = [0; 4];
            permutation(&mut rng, &mut order);
            *seen.entry(order).or_insert(0_u32) += 1;
        }
        assert_eq!(seen.len(), 24);
        // Chi-squared with 23 degrees of freedom: above 49.7 with probability 0.001.
        let chi_squared: f64 = (seen.values()).map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi_squared < 49.7, "chi-squared {chi_squared}");
    }

    /// A generator that plays back given words.
    struct Playback<'a>(std::slice::Iter<'a, u32>);

    impl rand_chacha::rand_core::TryRng for Playback<'_> {
        type Error = std::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(*self.0.next().expect("the test gave enough words"))
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            unreachable!()
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
            unreachable!()
        }
    }

    #[test]
    fn below_redraws_exactly_the_words_that_would_bias() {
        // 2^32 mod 3 = 1: word 0, whose product has the low half 0, is the only one to redraw.
        assert_eq!(below(&mut Playback([0, u32::MAX].iter()), 3), 2);
        assert_eq!(below(&mut Playback([1, u32::MAX].iter()), 3), 0);
        // A power of two divides 2^32: nothing is redrawn.
        assert_eq!(below(&mut Playback([0].iter()), 4), 0);
        assert_eq!(below(&mut Playback([u32::MAX].iter()), 4), 3);
    }

    #[test]
    fn uniform_spans_zero_to_just_below_one() {
        assert_eq!(uniform(&mut Playback([31, 63].iter())), 0.0);
        assert_eq!(uniform(&mut Playback([0, 64].iter())), f64::EPSILON / 2.0);
        assert_eq!(uniform(&mut Playback([u32::MAX, u32::MAX].iter())), 1.0 - f64::EPSILON / 2.0);
    }

    #[test]
    fn normal_pair_is_the_one_computed_independently() {
        let [first, second] = standard_normal_pair(&mut chacha(7, Purpose::Weights, 0));
        assert!((first - -0.4548456470251034).abs() < 1e-15, "{first}");
        assert!((second - -0.03712675966810512).abs() < 1e-15, "{second}");
        assert_eq!(standard_normal(&mut chacha(7, Purpose::Weights, 0)), first);
    }

    #[test]
    fn normals_have_the_moments_of_the_normal_distribution() {
        let mut rng = chacha(3, Purpose::Weights, 0);
        let draws: Vec<f64> = (0..100_000).flat_map(|_| standard_normal_pair(&mut rng)).collect();
        let moment = |power| draws.iter().map(|x| x.powi(power)).sum::<f64>() / draws.len() as f64;
        // Five standard errors: sqrt(var(x^k) / 200000).
        for (power, expected, tolerance) in
            [(1, 0.0, 0.012), (2, 1.0, 0.016), (3, 0.0, 0.044), (4, 3.0, 0.11)]
        {
            let found = moment(power);
            assert!((found - expected).abs() < tolerance, "moment {power}: {found}");
        }
    }
}
