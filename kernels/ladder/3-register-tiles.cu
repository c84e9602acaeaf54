// 3. Register tiles: a thread reads each number once for several multiplications.
//
//   C (m, n) = A (m, k) B (k, n), all row-major
//
// What changed: a thread computes 4 x 4 elements of C, whose sums it holds in registers. For each k it reads 4 numbers of A
// and 4 of B and does 16 multiply-adds with them: half a load for each, a quarter of rung 2. The block's tile is 64 x 64
// now, so that global memory is read half as often too.
//
// Why not more at once: 8 x 8 sums are 64 registers, which the next rung has; 16 x 16 would be one register more than the
// 255 that a thread can have.
//
// Banks: a thread's rows and columns are 16 apart, not neighbours, so that 16 neighbouring threads read 16 neighbouring
// words of B. (Four neighbours each would be 4 words from thread to thread: two words in each bank, and twice the time.) A's tile lies
// with k down the rows, as its rows are read. A warp fills it with 16 k of 2 rows; in rows of 66 words k and k + 1 are 2
// banks apart, and the 32 words lie in all 32 banks. In rows of 64, all k would be in the same one.
//
// launch: grid=(ceil(n, 64), ceil(m, 64)) block=(256)
#include <cstdint>

constexpr int TILE = 64, DEPTH = 16, THREADS = 256, ACROSS = 16; // threads across the tile, and as many down
constexpr int EACH = TILE / ACROSS;

extern "C" __global__ void __launch_bounds__(THREADS)
    gemm(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float a_tile[DEPTH][TILE + 2];
    __shared__ float b_tile[DEPTH][TILE];
    const int thread = threadIdx.x, x = thread % ACROSS, y = thread / ACROSS;
    const int first_row = blockIdx.y * TILE, first_column = blockIdx.x * TILE;
    float sums[EACH][EACH] = {};
    for (int first = 0; first < k; first += DEPTH) {
        for (int turn = 0; turn < TILE * DEPTH / THREADS; turn++) {
            const int i = thread + turn * THREADS;
            const int row = first_row + i / DEPTH, l = first + i % DEPTH; // neighbours along k, as A lies
            a_tile[i % DEPTH][i / DEPTH] = row < m && l < k ? a[int64_t(row) * k + l] : 0.0f;
        }
        for (int turn = 0; turn < TILE * DEPTH / THREADS; turn++) {
            const int i = thread + turn * THREADS;
            const int l = first + i / TILE, column = first_column + i % TILE; // neighbours along a row, as B lies
            b_tile[i / TILE][i % TILE] = l < k && column < n ? b[int64_t(l) * n + column] : 0.0f;
        }
        __syncthreads(); // the tiles are full before anybody reads them
#pragma unroll
        for (int l = 0; l < DEPTH; l++) {
            float from_a[EACH], from_b[EACH];
            for (int i = 0; i < EACH; i++) from_a[i] = a_tile[l][y + i * ACROSS];
            for (int j = 0; j < EACH; j++) from_b[j] = b_tile[l][x + j * ACROSS];
            for (int i = 0; i < EACH; i++) {
                for (int j = 0; j < EACH; j++) sums[i][j] += from_a[i] * from_b[j];
            }
        }
        __syncthreads(); // all have read them before anybody fills them again
    }
    for (int i = 0; i < EACH; i++) {
        for (int j = 0; j < EACH; j++) {
            const int row = first_row + y + i * ACROSS, column = first_column + x + j * ACROSS;
            if (row < m && column < n) c[int64_t(row) * n + column] = sums[i][j];
        }
    }
}
