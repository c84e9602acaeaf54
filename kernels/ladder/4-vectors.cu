// 4. Vectors and double buffering: four numbers a load, and the next tile on its way.
//
//   C (m, n) = A (m, k) B (k, n), all row-major
//
// What changed, one: a thread has 8 x 8 sums, two fours of rows and two of columns, and reads fours of neighbours, 16 bytes
// a load: 4 loads for 64 multiply-adds. They take 12 cycles of shared memory for 16 of arithmetic.
//
// What changed, two: there are two tiles of each operand in shared memory. While a block multiplies one, cp.async fills the
// other without passing through registers, and nobody waits for global memory. That also takes one barrier of the two:
// the one that tells that a tile has arrived tells that all have read the last one.
//
// B is copied 16 bytes at a time where its rows begin at multiples of 16 bytes, else 4 bytes at a time. A is transposed
// on its way, 4 bytes at a time: a warp copies 8 k of 4 rows, and in rows of 132 words those lie in 32 banks.
//
// What is left: kernels/gemm.cu takes operands that lie transposed, finishes C (bias, ReLU, mask), splits long sums
// among blocks, and has the order of a warp's lanes that needs 8 cycles of shared memory instead of 12
// (kernels/gemm_threads.cuh). In kernels/gemm_ahead.cuh a thread also reads its numbers a step ahead.
//
// launch: grid=(ceil(n, 128), ceil(m, 128)) block=(256)
#include <cstdint>

#include "ptx.cuh"

constexpr int TILE = 128, DEPTH = 8, THREADS = 256, ACROSS = 16; // threads across the tile, and as many down

struct Tiles {
    float a[DEPTH][TILE + 4];
    float b[DEPTH][TILE];
};

// Two fours: from `first` on, and from 64 further on.
__device__ __forceinline__ void read(float (&x)[8], const float* row, int first) {
    for (int half = 0; half < 2; half++) {
        const float4 four = *reinterpret_cast<const float4*>(row + first + half * TILE / 2);
        x[4 * half] = four.x, x[4 * half + 1] = four.y, x[4 * half + 2] = four.z, x[4 * half + 3] = four.w;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
    gemm(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ alignas(16) Tiles tiles[2];
    const int thread = threadIdx.x, x = thread % ACROSS, y = thread / ACROSS;
    const int first_row = blockIdx.y * TILE, first_column = blockIdx.x * TILE;

    const auto start_copies = [&](Tiles& into, int first) {
        for (int i = 0; i < TILE * DEPTH / THREADS; i++) {
            const int row = thread / DEPTH + i * THREADS / DEPTH, l = thread % DEPTH;
            const bool inside = first_row + row < m && first + l < k;
            ptx::copy_async_4(&into.a[l][row], a + int64_t(first_row + row) * k + first + l, inside);
        }
        const int l = thread / 32, column = thread % 32 * 4;
        const float* from = b + int64_t(first + l) * n + first_column + column;
        if (n % 4 == 0) {
            ptx::copy_async_16(&into.b[l][column], from, first + l < k && first_column + column < n);
        } else {
            for (int j = 0; j < 4; j++) {
                ptx::copy_async_4(&into.b[l][column + j], from + j, first + l < k && first_column + column + j < n);
            }
        }
    };

    float sums[8][8] = {};
    start_copies(tiles[0], 0);
    for (int first = 0, turn = 0; first < k; first += DEPTH, turn ^= 1) {
        ptx::copy_async_commit();
        ptx::copy_async_wait<0>();
        __syncthreads(); // everybody's copies have arrived; and all have read the last tile, which the next overwrites
        if (first + DEPTH < k) start_copies(tiles[turn ^ 1], first + DEPTH);
#pragma unroll
        for (int l = 0; l < DEPTH; l++) {
            float from_a[8], from_b[8];
            read(from_a, tiles[turn].a[l], 4 * y);
            read(from_b, tiles[turn].b[l], 4 * x);
            for (int i = 0; i < 8; i++) {
                for (int j = 0; j < 8; j++) sums[i][j] += from_a[i] * from_b[j];
            }
        }
    }
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 8; j += 4) {
            const int row = first_row + i / 4 * 64 + 4 * y + i % 4, column = first_column + j / 4 * 64 + 4 * x;
            if (row >= m || column >= n) continue;
            float* to = c + int64_t(row) * n + column;
            if (n % 4 == 0) {
                *reinterpret_cast<float4*>(to) =
                    make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]);
            } else {
                for (int l = 0; l < 4; l++) {
                    if (column + l < n) to[l] = sums[i][j + l];
                }
            }
        }
    }
}
