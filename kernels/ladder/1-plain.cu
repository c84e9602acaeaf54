// 1. Plain: a thread for each element of C.
//
//   C (m, n) = A (m, k) B (k, n), all row-major
//
// Nothing is shared: for each multiplication a thread reads a number of A and a number of B, so n threads read each
// number of A and m threads each of B. Caches catch most of that, but every read still takes an instruction and a
// request: 2 loads for 1 multiply-add, where a multiprocessor could do 4 multiply-adds in the time of a load.
//
// What is right already: neighbouring threads (threadIdx.x) have neighbouring columns. A warp's 32 reads of B are 128
// bytes in a row, 4 sectors of 32 bytes, the fewest there can be; its reads of A are one number for all. With rows and
// columns exchanged, each warp would read 32 sectors for B's 32 numbers: 8 times the traffic.
//
// launch: grid=(ceil(n, 32), ceil(m, 8)) block=(32, 8)
#include <cstdint>

extern "C" __global__ void __launch_bounds__(256)
    gemm(const float* a, const float* b, float* c, int m, int n, int k) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    const int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= m || column >= n) return; // the last blocks stick out of C
    float sum = 0.0f;
    for (int l = 0; l < k; l++) sum += a[int64_t(row) * k + l] * b[int64_t(l) * n + column];
    c[int64_t(row) * n + column] = sum;
}
