// planted/memory: mistakes in what is accessed. Each `planted_` kernel has one, its `sound_` twin has not.
//
// All compute out[i] = 2 in[i] for n elements.
#include <cstdint>

template <bool SOUND>
__device__ __forceinline__ void double_four_at_a_time(const float* in, float* out, int n) {
    const int first = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
    const bool whole = SOUND ? first + 4 <= n : first < n; // planted: the tail as if it were whole
    if (whole) {
        const float4 x = *reinterpret_cast<const float4*>(in + first);
        *reinterpret_cast<float4*>(out + first) = make_float4(2 * x.x, 2 * x.y, 2 * x.z, 2 * x.w);
        return;
    }
    for (int i = first; i < n; i++) out[i] = 2 * in[i];
}
extern "C" __global__ void sound_vector_tail(const float* in, float* out, int n) { double_four_at_a_time<true>(in, out, n); }
extern "C" __global__ void planted_vector_tail(const float* in, float* out, int n) { double_four_at_a_time<false>(in, out, n); }

template <bool SOUND>
__device__ __forceinline__ void double_unaligned(const float* in, float* out, int n) {
    // `in` begins 4 bytes after a multiple of 16.
    for (int i = 0; i + 4 <= n && !SOUND; i += 4) { // planted: a vector access there
        const float4 x = *reinterpret_cast<const float4*>(in + i);
        *reinterpret_cast<float4*>(out + i) = make_float4(2 * x.x, 2 * x.y, 2 * x.z, 2 * x.w);
    }
    for (int i = 0; i < n && SOUND; i++) out[i] = 2 * in[i];
}
extern "C" __global__ void sound_misaligned(const float* in, float* out, int n) { double_unaligned<true>(in, out, n); }
extern "C" __global__ void planted_misaligned(const float* in, float* out, int n) { double_unaligned<false>(in, out, n); }

template <bool SOUND>
__device__ __forceinline__ void double_through_shared(const float* in, float* out, int n) {
    __shared__ float values[64];
    __shared__ float others[64];
    const int i = threadIdx.x, place = SOUND ? i : i + 1; // planted: one too far
    others[i] = 0.0f;
    if (i < n) values[place] = in[i];
    __syncthreads();
    if (i < n) out[i] = 2 * values[place] + others[i];
}
extern "C" __global__ void sound_shared_overrun(const float* in, float* out, int n) { double_through_shared<true>(in, out, n); }
extern "C" __global__ void planted_shared_overrun(const float* in, float* out, int n) { double_through_shared<false>(in, out, n); }

template <class Tile>
__device__ __forceinline__ void double_through_tile(Tile& tile, const float* in, float* out, int n) {
    const int i = threadIdx.x;
    if (i < n) tile[i] = in[i];
    __syncthreads();
    if (i >= n / 4) return;
    const float4 x = reinterpret_cast<const float4*>(tile)[i];
    for (int j = 0; j < 4; j++) out[4 * i + j] = 2 * (j == 0 ? x.x : j == 1 ? x.y : j == 2 ? x.z : x.w);
}
extern "C" __global__ void sound_shared_alignment(const float* in, float* out, int n) {
    __shared__ alignas(16) float tile[64];
    double_through_tile(tile, in, out, n);
}
extern "C" __global__ void planted_shared_alignment(const float* in, float* out, int n) {
    __shared__ float tile[64]; // planted: aligned for floats, and read as float4
    double_through_tile(tile, in, out, n);
}

template <bool SOUND>
__device__ __forceinline__ void double_with_neighbour(const float* in, float* out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const float next = SOUND && i + 1 == n ? 0.0f : in[i + 1]; // planted: the last one has no neighbour
    out[i] = next > 1e30f ? next : 2 * in[i];
}
extern "C" __global__ void sound_read_past_end(const float* in, float* out, int n) { double_with_neighbour<true>(in, out, n); }
extern "C" __global__ void planted_read_past_end(const float* in, float* out, int n) { double_with_neighbour<false>(in, out, n); }

template <bool SOUND>
__device__ __forceinline__ void double_with_sum(const float* in, float* out, int n) {
    __shared__ float total;
    if (SOUND && threadIdx.x == 0) total = 0.0f; // planted: never set
    __syncthreads();
    const int i = threadIdx.x;
    if (i < n) out[i] = 2 * in[i] + total;
}
extern "C" __global__ void sound_unset_shared(const float* in, float* out, int n) { double_with_sum<true>(in, out, n); }
extern "C" __global__ void planted_unset_shared(const float* in, float* out, int n) { double_with_sum<false>(in, out, n); }

extern "C" __global__ void sound_grid_size(const float* in, float* out, int n) { // planted: by who launches it
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = 2 * in[i];
}

extern "C" __global__ void planted_too_much_shared(const float* in, float* out, int n) {
    __shared__ float half[6200]; // planted: with the other one more than 48 KiB
    __shared__ float rest[6200];
    const int i = threadIdx.x;
    if (i < n) half[i] = in[i], rest[i] = in[i];
    __syncthreads();
    if (i < n) out[i] = half[i] + rest[i];
}

extern "C" __global__ void __launch_bounds__(128) sound_bounded(const float* in, float* out, int n) {
    if (int(threadIdx.x) < n) out[threadIdx.x] = 2 * in[threadIdx.x];
}

extern "C" __global__ void sound_static_and_dynamic_shared(const float* in, float* out, int n) {
    extern __shared__ float values[];
    __shared__ float factor;
    const int i = threadIdx.x;
    if (i == 0) factor = 2;
    if (i < n) values[i] = in[i];
    __syncthreads();
    if (i < n) out[i] = factor * values[i];
}

extern "C" __global__ void sound_dynamic_shared(const float* in, float* out, int n) {
    extern __shared__ float values[];
    const int i = threadIdx.x;
    if (i < n) values[i] = in[i];
    __syncthreads();
    if (i < n) out[i] = 2 * values[i];
}
