// planted/order: mistakes in who waits for whom. Each `planted_` kernel has one, its `sound_` twin has not.
//
// All compute out[i] = in[63 - i] for blocks of 64 threads (i within the block), unless they say otherwise.
#include "../../../kernels/ptx.cuh"

constexpr int BLOCK = 64;

enum Meeting { NOTHING, WARP_ONLY, ALL };

template <Meeting MEETING>
__device__ __forceinline__ void meet() {
    if (MEETING == ALL) __syncthreads();
    if (MEETING == WARP_ONLY) __syncwarp();
}

template <Meeting MEETING>
__device__ __forceinline__ void reverse(const float* in, float* out) {
    __shared__ float values[BLOCK];
    const int i = threadIdx.x, first = blockIdx.x * BLOCK;
    values[i] = in[first + i];
    meet<MEETING>();
    out[first + i] = values[BLOCK - 1 - i];
}
extern "C" __global__ void sound_write_then_read(const float* in, float* out, int) { reverse<ALL>(in, out); }
extern "C" __global__ void planted_write_then_read(const float* in, float* out, int) { reverse<NOTHING>(in, out); }
extern "C" __global__ void planted_warp_for_block(const float* in, float* out, int) { reverse<WARP_ONLY>(in, out); }

// Several rounds through one array: its values must have been read before they are overwritten.
template <Meeting AT_END>
__device__ __forceinline__ void reverse_in_rounds(const float* in, float* out, int n) {
    __shared__ float values[BLOCK];
    const int i = threadIdx.x;
    for (int first = 0; first < n; first += BLOCK) {
        values[i] = in[first + i];
        __syncthreads();
        out[first + i] = values[BLOCK - 1 - i];
        meet<AT_END>();
    }
}
extern "C" __global__ void sound_read_then_write(const float* in, float* out, int n) { reverse_in_rounds<ALL>(in, out, n); }
extern "C" __global__ void planted_read_then_write(const float* in, float* out, int n) { reverse_in_rounds<NOTHING>(in, out, n); }

// out[i] = in[31 - i] within each warp.
template <Meeting MEETING>
__device__ __forceinline__ void reverse_warps(const float* in, float* out) {
    __shared__ float values[BLOCK];
    const int i = threadIdx.x, warp = i / 32 * 32;
    values[i] = in[i];
    meet<MEETING>();
    out[i] = values[warp + 31 - (i - warp)];
}
extern "C" __global__ void sound_within_a_warp(const float* in, float* out, int) { reverse_warps<WARP_ONLY>(in, out); }
extern "C" __global__ void planted_within_a_warp(const float* in, float* out, int) { reverse_warps<NOTHING>(in, out); }

extern "C" __global__ void planted_divergent_barrier(const float* in, float* out, int) {
    __shared__ float values[BLOCK];
    const int i = threadIdx.x;
    values[i] = in[i];
    if (i < 32) {
        __syncthreads(); // planted: two barriers, half of the block at each
        out[i] = values[BLOCK - 1 - i];
    } else {
        __syncthreads();
        out[i] = values[BLOCK - 1 - i];
    }
}

extern "C" __global__ void planted_barrier_after_return(const float* in, float* out, int n) {
    __shared__ float values[BLOCK];
    const int i = threadIdx.x;
    if (i >= n - 1) return; // planted: the barrier then waits for one thread in vain
    values[i] = in[i];
    __syncthreads();
    out[i] = values[BLOCK - 1 - i];
}

// out[i] = in[i] + in[i ^ 1] for one warp.
extern "C" __global__ void sound_shuffle(const float* in, float* out, int) {
    const float x = in[threadIdx.x];
    out[threadIdx.x] = x + __shfl_xor_sync(0xffffffffu, x, 1);
}
extern "C" __global__ void planted_divergent_shuffle(const float* in, float* out, int) {
    float x = in[threadIdx.x];
    if (threadIdx.x < 16) x += __shfl_xor_sync(0xffffffffu, x, 1); // planted: half the lanes never come
    out[threadIdx.x] = x;
}
extern "C" __global__ void planted_wrong_mask(const float* in, float* out, int) {
    const float x = in[threadIdx.x];
    out[threadIdx.x] = x + __shfl_xor_sync(0x0000ffffu, x, 1); // planted: the mask lacks half of the callers
}
extern "C" __global__ void planted_shuffle_from_absent(const float* in, float* out, int) {
    const float x = in[threadIdx.x];
    if (threadIdx.x < 24) out[threadIdx.x] = x + __shfl_xor_sync(0x00ffffffu, x, 16); // planted: from lanes 24 to 31
    else out[threadIdx.x] = x + in[threadIdx.x ^ 16];
}

// Tiles of 64 floats by cp.async, two buffers.
template <int PENDING, bool BARRIER_BEFORE_REUSE>
__device__ __forceinline__ void reverse_tiles(const float* in, float* out, int n) {
    __shared__ alignas(16) float tiles[2][BLOCK];
    const int i = threadIdx.x, count = n / BLOCK;
    auto copy = [&](int tile) {
        if (tile < count) ptx::copy_async_4(&tiles[tile % 2][i], in + tile * BLOCK + i, true);
        ptx::copy_async_commit();
    };
    copy(0);
    for (int tile = 0; tile < count; tile++) {
        copy(tile + 1);
        ptx::copy_async_wait<PENDING>();
        __syncthreads();
        out[tile * BLOCK + i] = tiles[tile % 2][BLOCK - 1 - i];
        if (BARRIER_BEFORE_REUSE) __syncthreads();
    }
}
extern "C" __global__ void sound_async_copy(const float* in, float* out, int n) { reverse_tiles<1, true>(in, out, n); }
extern "C" __global__ void planted_wait_one_short(const float* in, float* out, int n) { reverse_tiles<2, true>(in, out, n); }
extern "C" __global__ void planted_buffer_reused(const float* in, float* out, int n) { reverse_tiles<1, false>(in, out, n); }

// out[0] = the sum of in[0 .. number of blocks - 1].
extern "C" __global__ void planted_race_of_blocks(const float* in, float* out, int) {
    if (threadIdx.x != 0) return;
    if (blockIdx.x == 0) out[0] = 0.0f;
    out[0] = out[0] + in[blockIdx.x]; // planted: no block waits for another
}
