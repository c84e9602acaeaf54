// gemm_reference: products as plainly as they can be written, which the fast ones are held against.
//
//   C (m, n) = op(A) (m, k) op(B) (k, n), all row-major; A lies as (m, k) or (k, m), B as (k, n) or (n, k)
//   A and B float32 or bfloat16, C float32; then the epilogue of gemm.cuh
//
// A thread for each element of C, nothing shared, no tensor core; sums over rising k.
#include "gemm.cuh"

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

constexpr int REFERENCE_THREADS = 256;

template <class Element>
__device__ __forceinline__ void plain_product(const Element* __restrict__ a, const Element* __restrict__ b, float* c,
                                              int m, int n, int k, bool transpose_a, bool transpose_b,
                                              const float* bias, const float* mask, bool relu, bool accumulate) {
    const int64_t element = int64_t(blockIdx.x) * REFERENCE_THREADS + threadIdx.x;
    if (element >= int64_t(m) * n) return;
    const int row = int(element / n), column = int(element % n);
    float x = 0.0f;
    for (int l = 0; l < k; l++) {
        const Element from_a = a[transpose_a ? int64_t(l) * m + row : int64_t(row) * k + l];
        const Element from_b = b[transpose_b ? int64_t(column) * k + l : int64_t(l) * n + column];
        x += to_float(from_a) * to_float(from_b);
    }
    if (bias) x += bias[column];
    if (relu) x = x <= 0.0f ? 0.0f : x;
    if (mask) x *= mask[element] > 0.0f ? 1.0f : 0.0f;
    c[element] = accumulate ? c[element] + x : x;
}

extern "C" __global__ void __launch_bounds__(REFERENCE_THREADS)
    gemm_reference(const float* a, const float* b, float* c, int m, int n, int k, int transpose_a, int transpose_b,
                   const float* bias, const float* mask, int relu, int accumulate) {
    plain_product(a, b, c, m, n, k, transpose_a, transpose_b, bias, mask, relu, accumulate);
}

extern "C" __global__ void __launch_bounds__(REFERENCE_THREADS)
    gemm_bf16_reference(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int m, int n, int k, int transpose_a,
                        int transpose_b, const float* bias, const float* mask, int relu, int accumulate) {
    plain_product(a, b, c, m, n, k, transpose_a, transpose_b, bias, mask, relu, accumulate);
}
