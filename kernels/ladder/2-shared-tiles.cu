// 2. Shared tiles: a block reads each number once for all of its threads.
//
//   C (m, n) = A (m, k) B (k, n), all row-major
//
// What changed: a block computes a tile of 32 x 32 of C. It walks along k, 32 at a time: its threads copy a tile of A and
// one of B into shared memory, each thread one number of each, and then multiply from there. A number that came from
// global memory serves 32 threads, so global memory is read 32 times less than in rung 1.
//
// What did not: there are still 2 loads for 1 multiply-add, now from shared memory. It is nearer, but hands out no more
// than 128 bytes a cycle to a whole multiprocessor: an eighth of what its multiply-adds could take.
//
// Two barriers a tile: one between filling and reading, one between reading and filling again.
//
// Banks: shared memory lies in 32 banks of 4 bytes, and lanes that want different words of one bank wait for each other.
// Here a warp's lanes share a row (threadIdx.y): of A they read one word together, of B 32 neighbours. Neither conflicts.
//
// launch: grid=(ceil(n, 32), ceil(m, 32)) block=(32, 32)
#include <cstdint>

constexpr int TILE = 32;

extern "C" __global__ void __launch_bounds__(TILE * TILE)
    gemm(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float a_tile[TILE][TILE];
    __shared__ float b_tile[TILE][TILE];
    const int x = threadIdx.x, y = threadIdx.y;
    const int row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
    float sum = 0.0f;
    for (int first = 0; first < k; first += TILE) {
        // Zeros outside, which add nothing. Every thread copies, also one whose element of C does not exist.
        a_tile[y][x] = row < m && first + x < k ? a[int64_t(row) * k + first + x] : 0.0f;
        b_tile[y][x] = first + y < k && column < n ? b[int64_t(first + y) * n + column] : 0.0f;
        __syncthreads(); // the tiles are full before anybody reads them
        for (int l = 0; l < TILE; l++) sum += a_tile[y][l] * b_tile[l][x];
        __syncthreads(); // all have read them before anybody fills them again
    }
    if (row < m && column < n) c[int64_t(row) * n + column] = sum;
}
