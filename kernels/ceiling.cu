// ceiling: what a card can do, measured by kernels of no other use. benches/cuda.rs holds the others against them.
//
//   ceiling_copy:  y[i] = x[i]                                          x, y (n), float32
//   ceiling_fma:   y[i] = f(f(... f(x[i]))), f(z) = a z + b             x, y (n), float32; f `rounds` times
//   ceiling_mma:   c[w] = A B + A B + ... + A B, `rounds` terms         A (32, 16), B (16, 32), bfloat16;
//                                                                       c (warps, 32, 32), float32; all row-major
//
// Everything computed is stored, so no compiler can leave it out.
#include "common.cuh"
#include "ptx.cuh"

// Threads of a block, as in src/exec/cuda/kernels/ceiling.rs, which has the other constants too.
constexpr int CEILING_THREADS = 256;

// Traffic: 8 bytes an element. A block copies COPY_TILE neighbouring elements, and each thread issues all
// its loads before the first store: 64 bytes a thread, and 128 KiB a multiprocessor of 2048 threads, five
// times what covers the latency of an H100's memory (elementwise.cu has the calculation). Where x or y begins
// off a multiple of 16 bytes, and in the last tile, elements go one by one.
constexpr int COPY_VECTORS = 4;
constexpr int COPY_TILE = CEILING_THREADS * COPY_VECTORS * 4;

extern "C" __global__ void __launch_bounds__(CEILING_THREADS)
    ceiling_copy(const float* __restrict__ x, float* __restrict__ y, int n) {
    const int64_t first = int64_t(blockIdx.x) * COPY_TILE;
    if (first + COPY_TILE <= n && is_aligned_16(x) && is_aligned_16(y)) {
        const float4* from = reinterpret_cast<const float4*>(x + first) + threadIdx.x;
        float4* to = reinterpret_cast<float4*>(y + first) + threadIdx.x;
        float4 held[COPY_VECTORS];
#pragma unroll
        for (int j = 0; j < COPY_VECTORS; j++) held[j] = from[j * CEILING_THREADS];
#pragma unroll
        for (int j = 0; j < COPY_VECTORS; j++) to[j * CEILING_THREADS] = held[j];
        return;
    }
    const int64_t end = first + COPY_TILE <= n ? first + COPY_TILE : n;
    for (int64_t i = first + threadIdx.x; i < end; i += CEILING_THREADS) y[i] = x[i];
}

// 2 rounds operations an element, in registers, rounded once a round as by fmaf on the CPU. The eight chains of
// a thread do not depend on one another, so the latency of one (four cycles) is filled by the others even
// before other warps are counted. Sixteen rounds a turn of the loop: its own instructions are a few percent.
constexpr int CHAINS = 8;

extern "C" __global__ void __launch_bounds__(CEILING_THREADS)
    ceiling_fma(const float* __restrict__ x, float* __restrict__ y, int n, float a, float b, int rounds) {
    const int64_t first = int64_t(blockIdx.x) * (CEILING_THREADS * CHAINS) + threadIdx.x;
    float z[CHAINS];
#pragma unroll
    for (int j = 0; j < CHAINS; j++) {
        const int64_t i = first + j * CEILING_THREADS;
        z[j] = i < n ? x[i] : 0.0f;
    }
#pragma unroll 16
    for (int round = 0; round < rounds; round++) {
#pragma unroll
        for (int j = 0; j < CHAINS; j++) z[j] = fmaf(z[j], a, b);
    }
#pragma unroll
    for (int j = 0; j < CHAINS; j++) {
        const int64_t i = first + j * CEILING_THREADS;
        if (i < n) y[i] = z[j];
    }
}

// 2 * 32 * 32 * 16 operations a warp and round, by mma.sync m16n8k16 as in gemm_bf16.cu (sm_80; the host refuses
// older devices). A warp holds A, B and its 32 x 32 sums in registers: eight instructions a round that do not
// depend on one another. Hopper's wgmma and Blackwell's tcgen05, which no kernel here uses, go higher.
constexpr int MMA_THREADS = 128;
constexpr int MMA_WARPS = MMA_THREADS / WARP;
constexpr int EXTENT = 32, DEPTH = 16;            // of A (32, 16) and B (16, 32)
constexpr int MMA_ROWS = 16, MMA_COLUMNS = 8;     // of what one instruction adds to
constexpr int DOWN = EXTENT / MMA_ROWS, ACROSS = EXTENT / MMA_COLUMNS;

// Two elements as a fragment holds them; bfloat16 as bits.
__device__ __forceinline__ uint32_t pair(uint16_t low, uint16_t high) { return low | uint32_t(high) << 16; }

extern "C" __global__ void __launch_bounds__(MMA_THREADS)
    ceiling_mma(const uint16_t* __restrict__ a, const uint16_t* __restrict__ b, float* __restrict__ c, int warps,
                int rounds) {
    const int warp = blockIdx.x * MMA_WARPS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (warp >= warps) return; // the whole warp
    const int group = lane / 4, twice = lane % 4 * 2;

    uint32_t a_fragments[DOWN][4], b_fragments[ACROSS][2];
#pragma unroll
    for (int i = 0; i < DOWN; i++) {
#pragma unroll
        for (int part = 0; part < 4; part++) {
            const uint16_t* from = a + (i * MMA_ROWS + group + part % 2 * 8) * DEPTH + twice + part / 2 * 8;
            a_fragments[i][part] = pair(from[0], from[1]);
        }
    }
#pragma unroll
    for (int j = 0; j < ACROSS; j++) {
#pragma unroll
        for (int part = 0; part < 2; part++) {
            const uint16_t* from = b + (twice + part * 8) * EXTENT + j * MMA_COLUMNS + group;
            b_fragments[j][part] = pair(from[0], from[EXTENT]);
        }
    }

    float sums[DOWN][ACROSS][4] = {};
#pragma unroll 4
    for (int round = 0; round < rounds; round++) {
#pragma unroll
        for (int i = 0; i < DOWN; i++) {
#pragma unroll
            for (int j = 0; j < ACROSS; j++) ptx::mma_bf16(sums[i][j], a_fragments[i], b_fragments[j]);
        }
    }

    float* own = c + int64_t(warp) * (EXTENT * EXTENT);
#pragma unroll
    for (int i = 0; i < DOWN; i++) {
#pragma unroll
        for (int j = 0; j < ACROSS; j++) {
#pragma unroll
            for (int k = 0; k < 4; k++) {
                const int row = i * MMA_ROWS + group + k / 2 * 8, column = j * MMA_COLUMNS + twice + k % 2;
                own[row * EXTENT + column] = sums[i][j][k];
            }
        }
    }
}
