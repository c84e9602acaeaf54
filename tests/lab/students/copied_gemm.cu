// Tiles come by cp.async, one ahead of the products; element by element, so that any shape will do.
// launch: grid=(ceil(n, TILE), ceil(m, TILE)) block=(TILE, TILE)
#include "common.cuh"
#include "ptx.cuh"

constexpr int TILE = 16;

extern "C" __global__ void __launch_bounds__(TILE * TILE)
gemm(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, int m, int n, int k) {
    __shared__ float a_tile[2][TILE][TILE], b_tile[2][TILE][TILE];
    const int x = threadIdx.x, y = threadIdx.y;
    const int row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
    auto copy = [&](int round) {
        const int l = round * TILE + x, other = round * TILE + y;
        ptx::copy_async_4(&a_tile[round % 2][y][x], &a[row * k + l], row < m && l < k);
        ptx::copy_async_4(&b_tile[round % 2][y][x], &b[other * n + column], other < k && column < n);
        ptx::copy_async_commit();
    };
    const int rounds = (k + TILE - 1) / TILE;
    copy(0);
    float sum = 0.0f;
    for (int round = 0; round < rounds; round++) {
        if (round + 1 < rounds) {
            copy(round + 1);
            ptx::copy_async_wait<1>(); // all but the next tiles have come
        } else {
            ptx::copy_async_wait<0>();
        }
        __syncthreads(); // also those that others have asked for
        for (int i = 0; i < TILE; i++) sum += a_tile[round % 2][y][i] * b_tile[round % 2][i][x];
        __syncthreads(); // all have read before the next but one is copied over them
    }
    if (row < m && column < n) c[row * n + column] = sum;
}
