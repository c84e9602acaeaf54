// layout: values that are moved or repeated, and computed with in no way.
//
//   fill:          y[i] = value                                    i < n
//   strided_copy:  y[i] = x[sum_d index_d(i) * stride_d]           index(i): i over y's extents, row-major
//
// A stride of 0 repeats x along an axis (broadcast); strides in another order than the extents permute
// the axes (transpose). The same bits: NaN and signed zeros are as they were.
//
// Traffic: y is written once, 16 bytes at a time where it is aligned so. x is read an element for each
// of y's; what is repeated comes from cache, neighbours are read 16 bytes at a time where they are
// aligned so. A transposed matrix is read down its columns: 32 bytes come for each 4, the rest of which
// is of use only if it stays in cache until the next rows of y are written.
//
// A thread writes four neighbouring elements. The host merges axes that lie in x as they do in y, so most
// copies have one to three; taking an index apart costs a division an axis, once a thread if the
// four lie in one run of the last axis.
#include "common.cuh"

// Threads of a block, and the elements of one, as in src/exec/cuda/kernels/layout.rs.
constexpr int LAYOUT_THREADS = 256;
constexpr unsigned VECTOR = 4;

// The extents of y, from the last axis to the first, and how far x's elements are apart along them.
// src/exec/cuda/kernels/layout.rs has the same struct.
constexpr int MAX_AXES = 8;

struct Axes {
    unsigned count; // at least 1
    unsigned extents[MAX_AXES];
    unsigned strides[MAX_AXES];
};
static_assert(sizeof(Axes) == 68, "as src/exec/cuda/kernels/layout.rs has it");

// Where in x the element i of y is.
__device__ __forceinline__ unsigned source_of(unsigned i, const Axes& axes) {
    unsigned rest = i, source = 0;
#pragma unroll
    for (int axis = 0; axis < MAX_AXES; axis++) {
        if (axis == axes.count) break;
        const unsigned above = rest / axes.extents[axis];
        source += (rest - above * axes.extents[axis]) * axes.strides[axis];
        rest = above;
    }
    return source;
}

// The first element of the thread.
__device__ __forceinline__ unsigned first_element() {
    return (blockIdx.x * LAYOUT_THREADS + threadIdx.x) * VECTOR;
}

// Up to four values to where they belong.
__device__ __forceinline__ void store(float* __restrict__ to, unsigned count, const float (&values)[VECTOR]) {
    if (count == VECTOR && is_aligned_16(to)) {
        *reinterpret_cast<float4*>(to) = make_float4(values[0], values[1], values[2], values[3]);
        return;
    }
#pragma unroll
    for (unsigned k = 0; k < VECTOR; k++) {
        if (k < count) to[k] = values[k];
    }
}

extern "C" __global__ void __launch_bounds__(LAYOUT_THREADS) fill(float value, float* __restrict__ y, int n) {
    const unsigned first = first_element();
    if (first >= unsigned(n)) return;
    const float values[VECTOR] = {value, value, value, value};
    store(y + first, min(unsigned(n) - first, VECTOR), values);
}

extern "C" __global__ void __launch_bounds__(LAYOUT_THREADS)
    strided_copy(const float* __restrict__ x, const __grid_constant__ Axes axes, float* __restrict__ y, int n) {
    const unsigned first = first_element();
    if (first >= unsigned(n)) return;
    const unsigned count = min(unsigned(n) - first, VECTOR);
    const unsigned source = source_of(first, axes), stride = axes.strides[0];
    const bool is_one_run = count <= axes.extents[0] - first % axes.extents[0];
    float values[VECTOR] = {};
    if (is_one_run && stride == 1 && count == VECTOR && is_aligned_16(x + source)) {
        const float4 four = *reinterpret_cast<const float4*>(x + source);
        values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
    } else {
#pragma unroll
        for (unsigned k = 0; k < VECTOR; k++) {
            if (k < count) values[k] = x[is_one_run ? source + k * stride : source_of(first + k, axes)];
        }
    }
    store(y + first, count, values);
}
