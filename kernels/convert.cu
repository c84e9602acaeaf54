// convert: float32 to bfloat16 and back.
//
//   y[i] = bfloat16(x[i]), rounded to the nearest, ties to even; NaN stays NaN
//   x[i] = float32(y[i]), exact
//
// n elements, any alignment. Traffic: 6 bytes an element. A thread converts four elements, so that a
// warp reads 512 and writes 256 bytes in a row; the last few, and arrays that begin off a multiple of
// 16 bytes, go one by one.
#include <cuda_bf16.h>

#include "common.cuh"

constexpr int CONVERT_THREADS = 256;
constexpr int PER_THREAD = 4;

struct alignas(8) Bf16x4 {
    __nv_bfloat16 element[PER_THREAD];
};

extern "C" __global__ void __launch_bounds__(CONVERT_THREADS)
    convert_f32_to_bf16(const float* __restrict__ x, __nv_bfloat16* __restrict__ y, int n) {
    const int64_t first = (int64_t(blockIdx.x) * CONVERT_THREADS + threadIdx.x) * PER_THREAD;
    if (first + PER_THREAD <= n && is_aligned_16(x) && is_aligned_16(y)) {
        const float4 in = *reinterpret_cast<const float4*>(x + first);
        Bf16x4 out;
        out.element[0] = __float2bfloat16_rn(in.x);
        out.element[1] = __float2bfloat16_rn(in.y);
        out.element[2] = __float2bfloat16_rn(in.z);
        out.element[3] = __float2bfloat16_rn(in.w);
        *reinterpret_cast<Bf16x4*>(y + first) = out;
        return;
    }
    for (int64_t i = first; i < first + PER_THREAD && i < n; i++) y[i] = __float2bfloat16_rn(x[i]);
}

extern "C" __global__ void __launch_bounds__(CONVERT_THREADS)
    convert_bf16_to_f32(const __nv_bfloat16* __restrict__ y, float* __restrict__ x, int n) {
    const int64_t first = (int64_t(blockIdx.x) * CONVERT_THREADS + threadIdx.x) * PER_THREAD;
    if (first + PER_THREAD <= n && is_aligned_16(x) && is_aligned_16(y)) {
        const Bf16x4 in = *reinterpret_cast<const Bf16x4*>(y + first);
        *reinterpret_cast<float4*>(x + first) =
            make_float4(__bfloat162float(in.element[0]), __bfloat162float(in.element[1]),
                        __bfloat162float(in.element[2]), __bfloat162float(in.element[3]));
        return;
    }
    for (int64_t i = first; i < first + PER_THREAD && i < n; i++) x[i] = __bfloat162float(y[i]);
}
