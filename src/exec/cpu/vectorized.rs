//! Code compiled for the widest vectors.

/// Runs `work` as compiled for the widest vectors that this processor has (AVX2 or AVX-512 on
/// x86-64), found out at run time: what is inlined into it is compiled once for each. Elementwise
/// code gives the same bits in each, as every element sees the same operations.
#[inline(always)]
pub fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
