//! Philox4x32-10: a random word for every (step, element), without state.
//!
//! Ten rounds of multiplications turn a 128-bit counter and a 64-bit key into four random words.
//! Written out here, not taken from a library, because the CUDA kernels compute the very same words
//! and a reader should find both side by side.
//!
//! Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

use super::Purpose;

/// The paper's multipliers, widened for a 32 x 32 -> 64 bit product.
const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// The paper's key increments: the golden ratio and the square root of 3, less 1.
const INCREMENTS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Blocks that [`Philox::fill`] computes side by side: their four words fill the sixteen AVX2 registers.
const LANES: usize = 16;

/// The four random words of one counter under one key.
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    rounds::<1>(counter.map(|word| [word.into()]), key).map(|[word]| word as u32)
}

/// Philox4x32-10 on `N` counters at once; word `w` of counter `n` is the low half of `[w][n]`.
///
/// Each 32-bit word lives in a 64-bit lane whose high half is arbitrary, because that is what the
/// vector multiplication (`pmuludq`: low half x low half -> 64 bits) wants: no lane ever has to be
/// shuffled, and the masks cost nothing. LLVM turns the array operations into vector code for
/// whatever instruction set the caller is compiled for; hence `inline(always)`.
#[inline(always)]
fn rounds<const N: usize>(counters: [[u64; N]; 4], mut key: [u32; 2]) -> [[u64; N]; 4] {
    const LOW: u64 = 0xffff_ffff;
    let [mut x0, mut x1, mut x2, mut x3] = counters;
    for _ in 0..ROUNDS {
        for lane in 0..N {
            let left = MULTIPLIERS[0] * (x0[lane] & LOW);
            let right = MULTIPLIERS[1] * (x2[lane] & LOW);
            x0[lane] = (right >> 32) ^ x1[lane] ^ u64::from(key[0]);
            x1[lane] = right;
            x2[lane] = (left >> 32) ^ x3[lane] ^ u64::from(key[1]);
            x3[lane] = left;
        }
        key[0] = key[0].wrapping_add(INCREMENTS[0]);
        key[1] = key[1].wrapping_add(INCREMENTS[1]);
    }
    [x0, x1, x2, x3]
}

/// A word for every (step, element), for one seed, purpose and stream.
///
/// Element `i` of step `t` is word `i mod 4` of the block whose counter is
/// `[low(i / 4), high(i / 4), low(t), high(t)]` (halves of 64-bit integers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    key: [u32; 2],
}

impl Philox {
    /// The generator of (`seed`, `purpose`, `stream`); `stream` tells users of one purpose apart,
    /// such as the layers of a network.
    ///
    /// A key has 64 bits, too few to lay seed, purpose and stream side by side, so Philox itself
    /// mixes them: the key is the first two words of
    /// `philox4x32([low(seed), high(seed), purpose, stream], [0x636f7461, 0x6e67656e])`
    /// (the ASCII text `cotangen`). Kernels receive the finished [`key`](Self::key).
    pub fn new(seed: u64, purpose: Purpose, stream: u32) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let [k0, k1, _, _] = philox4x32([low, high, purpose.number(), stream], [0x636f_7461, 0x6e67_656e]);
        Self { key: [k0, k1] }
    }

    /// The key, for a kernel that draws the same numbers.
    pub const fn key(&self) -> [u32; 2] {
        self.key
    }

    /// The four words of elements `4 * block .. 4 * block + 4` of `step`.
    #[inline(always)]
    pub fn block(&self, step: u64, block: u64) -> [u32; 4] {
        self.blocks::<1>(step, block).map(|[word]| word as u32)
    }

    /// Writes the words of elements `first_element ..` of `step` to `out`.
    ///
    /// The words depend on (step, element) alone, so any cut of the elements into calls gives the
    /// same ones. Allocates nothing. Fastest when `first_element` is a multiple of four.
    #[inline(always)]
    pub fn fill(&self, step: u64, first_element: u64, out: &mut [u32]) {
        let mut block = first_element / 4;
        let skipped = (first_element % 4) as usize;
        // The unaligned head: the rest of a block that begins before `first_element`.
        let head = if skipped == 0 { 0 } else { out.len().min(4 - skipped) };
        let (head, aligned) = out.split_at_mut(head);
        if !head.is_empty() {
            head.copy_from_slice(&self.block(step, block)[skipped..skipped + head.len()]);
            block += 1;
        }
        let mut groups = aligned.chunks_exact_mut(4 * LANES);
        for group in &mut groups {
            let words = self.blocks::<LANES>(step, block);
            for (lane, four) in group.chunks_exact_mut(4).enumerate() {
                for (word, lanes) in four.iter_mut().zip(&words) {
                    *word = lanes[lane] as u32;
                }
            }
            block = block.wrapping_add(LANES as u64);
        }
        for four in groups.into_remainder().chunks_mut(4) {
            four.copy_from_slice(&self.block(step, block)[..four.len()]);
            block = block.wrapping_add(1);
        }
    }

    /// Blocks `first .. first + N` of `step`, as [`rounds`] lays them out.
    #[inline(always)]
    fn blocks<const N: usize>(&self, step: u64, first: u64) -> [[u64; N]; 4] {
        // Only low halves count, so a whole 64-bit integer stands for its low word.
        let low = std::array::from_fn(|lane| first.wrapping_add(lane as u64));
        let high = std::array::from_fn(|lane| first.wrapping_add(lane as u64) >> 32);
        rounds::<N>([low, high, [step; N], [step >> 32; N]], self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // kat_vectors of the authors' Random123 library, "philox4x32 10".
    #[test]
    fn philox_gives_the_known_answers_of_random123() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]
        );
        // The digits of pi.
        assert_eq!(
            philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    // Computed by a Philox written in Python from the paper, keyed as `Philox::new` documents.
    #[test]
    fn key_and_counter_follow_the_documented_layout() {
        let philox = Philox::new(0x0123_4567_89ab_cdef, Purpose::Dropout, 2);
        assert_eq!(philox.key(), [0x37be86f5, 0x1f99e142]);
        let mut words = [0; 4];
        philox.fill((1 << 33) + 1, (1 << 34) + 6, &mut words);
        assert_eq!(words, [0xa496b669, 0xa8a94de1, 0xb2687163, 0xfc2f82c2]);
    }

    #[test]
    fn fill_equals_the_definition_element_by_element() {
        let philox = Philox::new(3, Purpose::Shifts, 0);
        // The second start makes the low half of the block number overflow inside a group.
        for first in [0, 4 * ((1 << 32) - 20), 1, 6, 11] {
            let mut words = [0; 4 * LANES * 2 + 15];
            philox.fill(9, first, &mut words);
            for (element, word) in (first..).zip(words) {
                let block = element / 4;
                let counter = [block as u32, (block >> 32) as u32, 9, 0];
                assert_eq!(word, philox4x32(counter, philox.key())[(element % 4) as usize]);
            }
        }
    }

    #[test]
    fn fill_does_not_depend_on_how_the_elements_are_cut() {
        let philox = Philox::new(11, Purpose::Dropout, 1);
        let mut whole = [0; 300];
        philox.fill(5, 2, &mut whole);
        for size in [1, 2, 3, 4, 5, 63, 64, 65, 299] {
            let mut cut = [0; 300];
            for (chunk, start) in cut.chunks_mut(size).zip((2..).step_by(size)) {
                philox.fill(5, start, chunk);
            }
            assert_eq!(cut, whole, "chunks of {size}");
        }
    }

    #[test]
    fn seed_purpose_and_stream_each_change_the_key() {
        let key = |seed, purpose, stream| Philox::new(seed, purpose, stream).key();
        let base = key(1, Purpose::Dropout, 0);
        assert_ne!(base, key(2, Purpose::Dropout, 0));
        assert_ne!(base, key(1 + (1 << 32), Purpose::Dropout, 0));
        assert_ne!(base, key(1, Purpose::Shifts, 0));
        assert_ne!(base, key(1, Purpose::Dropout, 1));
    }
}
