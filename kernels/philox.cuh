// philox: Philox4x32-10, four random words for a 128-bit counter under a 64-bit key, without state.
//
// The same words as src/random/philox.rs, bit for bit. The key comes finished from the host, which
// mixes it from (seed, purpose, stream). Element i of step t is word i mod 4 of the block whose counter is
// (low(i / 4), high(i / 4), low(t), high(t)), the halves of 64-bit integers; t counts from 0.
//
// Arithmetic: 20 wide multiplications and as many three-operand exclusive ors a block, integers alone.
// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
#ifndef COTANGENT_PHILOX_CUH
#define COTANGENT_PHILOX_CUH

#include <cstdint>

constexpr int PHILOX_ROUNDS = 10;

__device__ __forceinline__ uint4 philox4x32(uint4 counter, uint2 key) {
#pragma unroll
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        // The paper's multipliers; its key increments are the golden ratio and the root of 3, less 1.
        const uint64_t left = uint64_t(counter.x) * 0xD2511F53u;
        const uint64_t right = uint64_t(counter.z) * 0xCD9E8D57u;
        counter = make_uint4(uint32_t(right >> 32) ^ counter.y ^ key.x, uint32_t(right),
                             uint32_t(left >> 32) ^ counter.w ^ key.y, uint32_t(left));
        key = make_uint2(key.x + 0x9E3779B9u, key.y + 0xBB67AE85u);
    }
    return counter;
}

// The words of elements 4 block .. 4 block + 3 of a step.
__device__ __forceinline__ uint4 philox_block(uint64_t step, uint64_t block, uint2 key) {
    return philox4x32(
        make_uint4(uint32_t(block), uint32_t(block >> 32), uint32_t(step), uint32_t(step >> 32)), key);
}

#endif
