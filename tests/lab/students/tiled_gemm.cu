// A tile of C for each block; A and B pass through shared memory a tile at a time.
// launch: grid=((N + TILE - 1) / TILE, (M + TILE - 1) / TILE) block=(TILE, TILE)
#include <cuda_runtime.h>

#define TILE 16

__global__ void gemm(const float* A, const float* B, float* C, int M, int N, int K) {
    __shared__ float a_tile[TILE][TILE], b_tile[TILE][TILE];
    const int row = blockIdx.y * TILE + threadIdx.y, column = blockIdx.x * TILE + threadIdx.x;
    float sum = 0.0f;
    for (int first = 0; first < K; first += TILE) {
        const int l = first + threadIdx.x, other = first + threadIdx.y;
        a_tile[threadIdx.y][threadIdx.x] = row < M && l < K ? A[row * K + l] : 0.0f;
        b_tile[threadIdx.y][threadIdx.x] = column < N && other < K ? B[other * N + column] : 0.0f;
        __syncthreads(); // both tiles are there before anyone reads them
#pragma unroll
        for (int i = 0; i < TILE; i++) sum += a_tile[threadIdx.y][i] * b_tile[i][threadIdx.x];
        __syncthreads(); // all have read before the next tiles are written
    }
    if (row < M && column < N) C[row * N + column] = sum;
}
