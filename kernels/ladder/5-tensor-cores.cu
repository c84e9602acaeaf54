// 5. Tensor cores: a warp multiplies small matrices in one instruction.
//
//   C (m, n) = A (m, k) B (k, n), all row-major; the operands are rounded to bfloat16, the sums are float32
//
// What changed: mma.sync multiplies (16, 16) of A by (16, 8) of B, 2048 multiply-adds, in one instruction of a warp. On an
// H100 that is ten times as fast as multiply-adds of threads. The price is precision: bfloat16 has 8 bits of a number's
// 24, so an operand is off by up to 1 part in 256. Products and sums are still float32.
//
// A block computes 64 x 64 of C, each of its 4 warps 32 x 32. As operands come into shared memory they are rounded.
// ldmatrix then hands a warp four matrices of 8 x 8 at once, in the registers where mma expects them; B's it transposes,
// for mma wants k along its rows.
//
// Banks: ldmatrix reads 16 bytes of eight rows at a time. In rows of 40 (A) and 72 (B) elements, 20 and 36 words, the
// eight lie in all 32 banks.
//
// What changed back: there is one tile of each operand, copied through registers as in rung 3, so that this page shows
// one thing. A card waits for memory here.
//
// What is left: kernels/gemm_bf16.cu takes operands that are bfloat16 already, with cp.async and more stages.
//
// launch: grid=(ceil(n, 64), ceil(m, 64)) block=(128)
// precision: bf16
#include <cuda_bf16.h>

#include <cstdint>

#include "ptx.cuh"

constexpr int TILE = 64, DEPTH = 32, THREADS = 128, WARP_TILE = 32;
constexpr int MMA_ROWS = 16, MMA_COLUMNS = 8, MMA_DEPTH = 16;
constexpr int DOWN = WARP_TILE / MMA_ROWS, ACROSS = WARP_TILE / MMA_COLUMNS;

extern "C" __global__ void __launch_bounds__(THREADS)
    gemm(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ alignas(16) __nv_bfloat16 a_tile[TILE][DEPTH + 8];
    __shared__ alignas(16) __nv_bfloat16 b_tile[DEPTH][TILE + 8];
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int first_row = blockIdx.y * TILE, first_column = blockIdx.x * TILE;
    const int warp_row = warp / 2 * WARP_TILE, warp_column = warp % 2 * WARP_TILE;
    // Whose row a lane names to ldmatrix: lanes 0-7 those of the first matrix, 8-15 of the second, and so on.
    const int low = lane % 16, high = lane / 16 * 8;
    float sums[DOWN][ACROSS][4] = {};
    for (int first = 0; first < k; first += DEPTH) {
#pragma unroll 4 // all sixteen would take the registers of three more blocks
        for (int turn = 0; turn < TILE * DEPTH / THREADS; turn++) {
            const int i = thread + turn * THREADS;
            const int row = first_row + i / DEPTH, l = first + i % DEPTH;
            a_tile[i / DEPTH][i % DEPTH] = __float2bfloat16_rn(row < m && l < k ? a[int64_t(row) * k + l] : 0.0f);
        }
#pragma unroll 4
        for (int turn = 0; turn < TILE * DEPTH / THREADS; turn++) {
            const int i = thread + turn * THREADS;
            const int l = first + i / TILE, column = first_column + i % TILE;
            b_tile[i / TILE][i % TILE] = __float2bfloat16_rn(l < k && column < n ? b[int64_t(l) * n + column] : 0.0f);
        }
        __syncthreads(); // the tiles are full before anybody reads them
#pragma unroll
        for (int l = 0; l < DEPTH; l += MMA_DEPTH) {
            uint32_t from_a[DOWN][4];
            for (int i = 0; i < DOWN; i++) {
                ptx::load_matrices_4(from_a[i], &a_tile[warp_row + i * MMA_ROWS + low][l + high]);
            }
            for (int j = 0; j < ACROSS; j += 2) { // 16 columns at a time: both halves of k of eight, then of eight more
                uint32_t both[4];
                ptx::load_matrices_4_transposed(both, &b_tile[l + low][warp_column + j * MMA_COLUMNS + high]);
                const uint32_t left[2] = {both[0], both[1]}, right[2] = {both[2], both[3]};
                for (int i = 0; i < DOWN; i++) {
                    ptx::mma_bf16(sums[i][j], from_a[i], left);
                    ptx::mma_bf16(sums[i][j + 1], from_a[i], right);
                }
            }
        }
        __syncthreads(); // all have read them before anybody fills them again
    }
    // A lane has columns 2(lane % 4) and the next of rows lane / 4 and lane / 4 + 8.
    for (int i = 0; i < DOWN; i++) {
        for (int j = 0; j < ACROSS; j++) {
            for (int e = 0; e < 4; e++) {
                const int row = first_row + warp_row + i * MMA_ROWS + lane / 4 + e / 2 * 8;
                const int column = first_column + warp_column + j * MMA_COLUMNS + lane % 4 * 2 + e % 2;
                if (row < m && column < n) c[int64_t(row) * n + column] = sums[i][j][e];
            }
        }
    }
}
