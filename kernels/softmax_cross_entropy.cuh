// softmax_cross_entropy.cuh: the threads that work on a row together, and their reductions: of a warp, a block, a cluster.
//
// Each says how many they are, which row is theirs and which of them this thread is, and reduces in an order that their
// number alone decides.
//
// Maxima here pass over NaN, as fmaxf does: exp(NaN - maximum) brings it back in the sum, which reaches the loss and all
// of the gradient.
#ifndef COTANGENT_SOFTMAX_CROSS_ENTROPY_CUH
#define COTANGENT_SOFTMAX_CROSS_ENTROPY_CUH

#include "common.cuh"
#include "ptx.cuh"

// Threads of a block that holds several rows, as in src/exec/cuda/kernels/softmax_cross_entropy.rs.
constexpr int SHARED_BLOCK_THREADS = 128;

// LANES neighbours of a warp. All lanes of a warp must call together.
template <int LANES>
struct Lanes {
    static constexpr int THREADS = LANES;
    static __device__ __forceinline__ int rank() { return threadIdx.x % LANES; }
    static __device__ __forceinline__ unsigned row() {
        return blockIdx.x * (SHARED_BLOCK_THREADS / LANES) + threadIdx.x / LANES;
    }
    static __device__ __forceinline__ float maximum(float value) {
#pragma unroll
        for (int distance = LANES / 2; distance > 0; distance /= 2) {
            value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, distance));
        }
        return value;
    }
    static __device__ __forceinline__ float sum(float value) {
#pragma unroll
        for (int distance = LANES / 2; distance > 0; distance /= 2) {
            value += __shfl_xor_sync(ALL_LANES, value, distance);
        }
        return value;
    }
};

// A block.
template <int BLOCK_THREADS>
struct Block {
    static constexpr int THREADS = BLOCK_THREADS;
    static __device__ __forceinline__ int rank() { return threadIdx.x; }
    static __device__ __forceinline__ unsigned row() { return blockIdx.x; }
    static __device__ __forceinline__ float maximum(float value) { return block_reduce<Maximum, THREADS>(value); }
    static __device__ __forceinline__ float sum(float value) { return block_reduce<Sum, THREADS>(value); }

    // For rows that registers do not hold: how many threads there are, and what comes last.
    static constexpr int OF_BLOCK = THREADS;
    static __device__ __forceinline__ int count() { return THREADS; }
    static __device__ __forceinline__ void finish() {}
};

// A cluster of blocks (sm_90).
template <int BLOCK_THREADS>
struct Cluster {
    static constexpr int OF_BLOCK = BLOCK_THREADS;
    static __device__ __forceinline__ int count() { return ptx::cluster_size() * BLOCK_THREADS; }
    static __device__ __forceinline__ int rank() { return ptx::cluster_rank() * BLOCK_THREADS + threadIdx.x; }
    static __device__ __forceinline__ unsigned row() { return blockIdx.x / ptx::cluster_size(); }
    static __device__ __forceinline__ float maximum(float value) { return reduce<Maximum>(value); }

    static __device__ __forceinline__ float sum(float value) {
        const float total = reduce<Sum>(value);
        ptx::cluster_arrive(); // for the last time: this thread has read what it needs of the others
        return total;
    }
    static __device__ __forceinline__ void finish() {
        ptx::cluster_wait(); // no block ends while others read its results
    }

  private:
    // Each lane of a warp reads one block's result, so that all warps of all blocks add the same pairs.
    template <class Reduction>
    static __device__ __forceinline__ float reduce(float value) {
        __shared__ float of_block; // each reduction has its own, which is written once
        value = block_reduce<Reduction, BLOCK_THREADS>(value);
        if (threadIdx.x == 0) of_block = value;
        ptx::cluster_arrive(), ptx::cluster_wait(); // all blocks' results are there before any is read
        const unsigned block = threadIdx.x % WARP;
        value = Reduction::identity();
        if (block < ptx::cluster_size()) {
            value = __uint_as_float(ptx::load_cluster_4(ptx::cluster_address(&of_block, block)));
        }
        return Reduction::of_warp(value);
    }
};

#endif
