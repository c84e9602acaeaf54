// common: what several kernel families share: warp and block reductions in a fixed order, and checks
// of alignment.
//
// Every reduction here adds in an order that the shape alone decides, so results are the same bits
// on every run. `float` throughout.
#ifndef COTANGENT_COMMON_CUH
#define COTANGENT_COMMON_CUH

#include <cstdint>

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

// Whether 16-byte accesses through this address are allowed.
__device__ __forceinline__ bool is_aligned_16(const void* address) {
    return reinterpret_cast<uintptr_t>(address) % 16 == 0;
}

// The sum over a warp's 32 lanes, in every lane. Butterfly: all lanes add the same pairs.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    }
    return value;
}

// The maximum over a warp's 32 lanes, in every lane. NaN is passed over, as by fmaxf.
__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, distance));
    }
    return value;
}

struct Sum {
    static __device__ __forceinline__ float identity() { return 0.0f; }
    static __device__ __forceinline__ float of_warp(float value) { return warp_sum(value); }
};

struct Maximum {
    static __device__ __forceinline__ float identity() { return -INFINITY; }
    static __device__ __forceinline__ float of_warp(float value) { return warp_max(value); }
};

// Room for the warps' results, the same for all reductions of a kernel.
__device__ __forceinline__ float* warp_results() {
    __shared__ float results[WARP];
    return results;
}

// A reduction (Sum or Maximum) over a block of THREADS threads (a multiple of 32), in every thread.
// May be called any number of times in a row.
template <class Reduction, int THREADS>
__device__ __forceinline__ float block_reduce(float value) {
    constexpr int WARPS = THREADS / WARP;
    static_assert(THREADS % WARP == 0 && WARPS <= WARP, "one warp must hold the warps' results");
    float* const results = warp_results();
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    value = Reduction::of_warp(value);
    __syncthreads(); // the previous call's results have been read before they are overwritten
    if (lane == 0) results[warp] = value;
    __syncthreads(); // all warps' results are there before any is read
    return Reduction::of_warp(lane < WARPS ? results[lane] : Reduction::identity());
}

#endif
