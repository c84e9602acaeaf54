// elementwise: the elementwise operations of operations.cuh, a kernel each.
//
//   y[i]   = f(x[i])                                   i < n
//   y[r,c] = f(a at (r, c), b at (r, c))               r < rows, c < columns, n = rows * columns
//
// An operand of a binary operation has two strides, by row and by column, which say how it is repeated:
//
//   Full (columns, 1)   PerColumn (0, 1)   PerRow (1, 0)   Scalar (0, 0)
//
// Traffic: an element is read once from x or each Full operand and written once to y, 8 or 12 bytes; what
// is repeated stays in cache. y and Full operands are read and written 16 bytes at a time, whatever the
// number of columns; the last few elements, and all of them if one of these arrays begins off a multiple
// of 16 bytes, go one by one. The grid has at least n / (4 VECTORS) threads.
#include "common.cuh"
#include "operations.cuh"

// Threads of a block, as in src/exec/cuda/kernels/elementwise.rs.
constexpr int ELEMENTWISE_THREADS = 256;

// Independent 16-byte loads of a thread, from each operand. With two and all the threads that a
// multiprocessor holds (2048), 64 KiB are in flight there, which covers the latency of memory (on an H100
// about 25 KiB: 3.35 TB/s over 132 multiprocessors, times 1 us); more would cost registers and code.
constexpr int VECTORS = 2;

// An operand of a binary operation.
struct Operand {
    const float* __restrict__ base;
    int row_stride, column_stride;

    // Whether elements lie as the output's do.
    __device__ __forceinline__ bool is_full(unsigned columns) const {
        return unsigned(row_stride) == columns && column_stride == 1;
    }

    // The operand at output element i.
    __device__ __forceinline__ float element(unsigned i, unsigned columns) const {
        const unsigned row = i / columns, column = i - row * columns;
        return base[int64_t(row) * row_stride + column * column_stride];
    }

    // The operand at output elements i to i + 3, which may lie in several rows.
    __device__ __forceinline__ float4 elements(unsigned i, unsigned columns, bool full) const {
        if (full) return *reinterpret_cast<const float4*>(base + i);
        unsigned row = i / columns, column = i - row * columns;
        float value[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            value[k] = base[int64_t(row) * row_stride + column * column_stride];
            if (++column == columns) column = 0, row++;
        }
        return make_float4(value[0], value[1], value[2], value[3]);
    }
};

template <class Function>
__device__ __forceinline__ void map_unary(const float* __restrict__ x, float* __restrict__ y, unsigned n, Function f) {
    const unsigned threads = gridDim.x * ELEMENTWISE_THREADS;
    const unsigned thread = blockIdx.x * ELEMENTWISE_THREADS + threadIdx.x;
    const unsigned vectors = is_aligned_16(x) && is_aligned_16(y) ? n / 4 : 0;
    float4 in[VECTORS];
#pragma unroll
    for (int j = 0; j < VECTORS; j++) {
        const unsigned v = thread + j * threads;
        if (v < vectors) in[j] = reinterpret_cast<const float4*>(x)[v];
    }
#pragma unroll
    for (int j = 0; j < VECTORS; j++) {
        const unsigned v = thread + j * threads;
        if (v >= vectors) break;
        reinterpret_cast<float4*>(y)[v] = make_float4(f(in[j].x), f(in[j].y), f(in[j].z), f(in[j].w));
    }
#pragma unroll 1 // rarely more than one, and f may be long
    for (unsigned i = 4 * vectors + thread; i < n; i += threads) y[i] = f(x[i]);
}

template <class Function>
__device__ __forceinline__ void map_binary(Operand a, Operand b, float* __restrict__ y, unsigned columns, unsigned n,
                                           Function f) {
    const unsigned threads = gridDim.x * ELEMENTWISE_THREADS;
    const unsigned thread = blockIdx.x * ELEMENTWISE_THREADS + threadIdx.x;
    const bool a_full = a.is_full(columns), b_full = b.is_full(columns);
    const bool aligned = is_aligned_16(y) && (!a_full || is_aligned_16(a.base)) && (!b_full || is_aligned_16(b.base));
    const unsigned vectors = aligned ? n / 4 : 0;
    float4 left[VECTORS], right[VECTORS];
#pragma unroll
    for (int j = 0; j < VECTORS; j++) {
        const unsigned v = thread + j * threads;
        if (v >= vectors) break;
        left[j] = a.elements(4 * v, columns, a_full);
        right[j] = b.elements(4 * v, columns, b_full);
    }
#pragma unroll
    for (int j = 0; j < VECTORS; j++) {
        const unsigned v = thread + j * threads;
        if (v >= vectors) break;
        reinterpret_cast<float4*>(y)[v] = make_float4(f(left[j].x, right[j].x), f(left[j].y, right[j].y),
                                                      f(left[j].z, right[j].z), f(left[j].w, right[j].w));
    }
#pragma unroll 1 // rarely more than one, and f may be long
    for (unsigned i = 4 * vectors + thread; i < n; i += threads) {
        y[i] = f(a.element(i, columns), b.element(i, columns));
    }
}

#define UNARY(name, value)                                                                                  \
    extern "C" __global__ void __launch_bounds__(ELEMENTWISE_THREADS)                                       \
        unary_##name(const float* __restrict__ x, float* __restrict__ y, int n) {                           \
        map_unary(x, y, n, [](float x) { return value; });                                                  \
    }

#define BINARY(name, value)                                                                                 \
    extern "C" __global__ void __launch_bounds__(ELEMENTWISE_THREADS)                                       \
        binary_##name(const float* __restrict__ a, int a_row_stride, int a_column_stride,                   \
                      const float* __restrict__ b, int b_row_stride, int b_column_stride,                   \
                      float* __restrict__ y, int columns, int n) {                                          \
        map_binary(Operand{a, a_row_stride, a_column_stride}, Operand{b, b_row_stride, b_column_stride}, y, \
                   columns, n, [](float a, float b) { return value; });                                     \
    }

UNARY_OPERATIONS(UNARY)
BINARY_OPERATIONS(BINARY)

// What a plan fuses. The adjoint of relu's operand: a is the adjoint of its output, b the output.
BINARY(relu_backward, a * unit_step(b))
