// gemm_reduce: adds the parts of a product whose sums over k were split among blocks, of either number type.
//
//   C (m, n) = epilogue(parts[0] + parts[1] + ...), added in that order: parts (splits, m, n) are what the blocks of
//   each stretch of k left. The epilogue is that of gemm.cuh.
//
// Traffic: parts read once, C written once. A thread finishes four neighbours of a row.
#include "gemm.cuh"

constexpr int REDUCE_THREADS = 256;

extern "C" __global__ void __launch_bounds__(REDUCE_THREADS)
    gemm_reduce(const float* __restrict__ parts, float* c, int m, int n, int splits, const float* bias,
                const float* mask, int relu, int accumulate) {
    const Output output(c, bias, mask, relu, accumulate, m, n);
    const int fours = (n - 1) / 4 + 1;
    const int64_t index = int64_t(blockIdx.x) * REDUCE_THREADS + threadIdx.x;
    if (index >= int64_t(m) * fours) return;
    const int row = int(index / fours), column = int(index % fours) * 4;
    const bool aligned = output.aligned && is_aligned_16(parts);
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f}, part[4];
    const float* from = parts + int64_t(row) * n + column;
#pragma unroll 2 // four spill on sm_80
    for (int split = 0; split < splits; split++) {
        load_4(part, from, n - column, aligned);
        for (int j = 0; j < 4; j++) sum[j] += part[j];
        from += int64_t(m) * n;
    }
    output.store(row, column, sum);
}
