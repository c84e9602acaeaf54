// gemm: what the products in float32 and in bfloat16 share: which tile of C is a block's, how tiles of
// the operands come into shared memory, what happens to a sum before it is stored, and how the parts
// of a sum that several blocks computed are added.
//
//   C (m, n) = op(A) (m, k) op(B) (k, n), all row-major, then the epilogue:
//   x = sum;  x += bias[column];  x = max(x, 0);  x *= [mask[row, column] > 0];  C (+)= x
//
// where every step but the first and the last may be absent. C is read only to be added to.
#ifndef COTANGENT_GEMM_CUH
#define COTANGENT_GEMM_CUH

#include <cuda_bf16.h>

#include "common.cuh"
#include "ptx.cuh"

// Where a block's tile of C begins.
struct Corner {
    int row, column;
};

// Tiles are numbered down bands of BAND rows of tiles, so that blocks that run at the same time share
// rows of A and columns of B in the second-level cache.
constexpr int BAND = 8;

template <int ROWS, int COLUMNS>
__device__ __forceinline__ Corner corner_of_block(int m, int n) {
    const int down = (m - 1) / ROWS + 1, across = (n - 1) / COLUMNS + 1;
    const int band = int(blockIdx.x) / (BAND * across), within = int(blockIdx.x) % (BAND * across);
    const int height = down - band * BAND < BAND ? down - band * BAND : BAND;
    return {(band * BAND + within % height) * ROWS, within / height * COLUMNS};
}

// The stretch of k that a block sums over: the blockIdx.z-th of those that k is split into.
struct Stretch {
    int begin, length;

    __device__ __forceinline__ Stretch(int k, int k_per_split) : begin(int(blockIdx.z) * k_per_split) {
        length = k - begin < k_per_split ? k - begin : k_per_split;
    }

    __device__ __forceinline__ int tiles(int depth) const { return length / depth + (length % depth != 0); }
};

// An operand as one block sees it. Seen as (extent, k), the block needs some rows of it, and a tile of
// them at a time. The operand is stored that way or transposed, and a tile lies in shared memory as the
// operand does in global memory, so that 16 bytes are copied at once in either case.
//
// Layout says how a tile lies there: Element, K_CONTIGUOUS (whether stored rows run along k), ROWS and
// COLUMNS of a tile as stored, the offset of (row, column), and how to copy one element that begins
// anywhere.
template <class Layout, int THREADS>
struct Operand {
    using Element = typename Layout::Element;
    static constexpr int CHUNK = 16 / sizeof(Element);

    const Element* matrix; // from the first element that the block needs
    int extent_left, stride;
    bool aligned;

    __device__ __forceinline__ Operand(const Element* whole, int extent, int k, int first) {
        extent_left = extent - first;
        stride = Layout::K_CONTIGUOUS ? k : extent;
        matrix = whole + (Layout::K_CONTIGUOUS ? int64_t(first) * stride : first);
        aligned = is_aligned_16(whole) && stride % CHUNK == 0;
    }

    // Starts to copy the tile that begins at `k_begin`, of which `k_left` are inside; zeros outside.
    __device__ __forceinline__ void copy(Element* tile, int k_begin, int k_left) const {
        const Element* source = matrix + (Layout::K_CONTIGUOUS ? k_begin : int64_t(k_begin) * stride);
        const int rows = Layout::K_CONTIGUOUS ? extent_left : k_left;
        const int columns = Layout::K_CONTIGUOUS ? k_left : extent_left;
        if (aligned) {
            copy_by<CHUNK>(tile, source, rows, columns);
        } else {
            copy_by<1>(tile, source, rows, columns);
        }
    }

  private:
    // WIDTH elements at a time, each thread in the same columns of every ROWS_AT_ONCE-th row.
    template <int WIDTH>
    __device__ __forceinline__ void copy_by(Element* tile, const Element* source, int rows, int columns) const {
        constexpr int THREADS_A_ROW = Layout::COLUMNS / WIDTH, ROWS_AT_ONCE = THREADS / THREADS_A_ROW;
        static_assert(THREADS % THREADS_A_ROW == 0 && Layout::ROWS % ROWS_AT_ONCE == 0, "all copy as much");
        const int column = threadIdx.x % THREADS_A_ROW * WIDTH;
#pragma unroll 2
        for (int first = 0; first < Layout::ROWS; first += ROWS_AT_ONCE) {
            const int row = first + threadIdx.x / THREADS_A_ROW;
            Element* to = tile + Layout::offset(row, column);
            const Element* from = source + int64_t(row) * stride + column;
            const bool inside = row < rows && column < columns;
            if constexpr (WIDTH == 1) {
                Layout::copy_element(to, from, inside);
            } else {
                ptx::copy_async_16(to, from, inside);
            }
        }
    }
};

// Walks along k with STAGES tiles of both operands in shared memory: while `multiply(stage)` works on one,
// those of the next tiles are on their way, each begun by `start_copy(tile, stage)`.
template <int STAGES, class StartCopy, class Multiply>
__device__ __forceinline__ void pipeline(int tiles, StartCopy start_copy, Multiply multiply) {
    for (int tile = 0; tile < STAGES - 1; tile++) {
        if (tile < tiles) start_copy(tile, tile);
        ptx::copy_async_commit(); // also where there is nothing: the waits below count groups
    }
    for (int tile = 0; tile < tiles; tile++) {
        ptx::copy_async_wait<STAGES - 2>();
        // This tile's copies by all threads have arrived; and all have read the last tile, whose stage
        // the next copy overwrites.
        __syncthreads();
        const int next = tile + STAGES - 1;
        if (next < tiles) start_copy(next, next % STAGES);
        ptx::copy_async_commit();
        multiply(tile % STAGES);
    }
}

// Four neighbours of a row, of which `inside` exist: 16 bytes at once where `aligned`, which promises
// that all exist; else one by one.
__device__ __forceinline__ void load_4(float (&x)[4], const float* from, int inside, bool aligned) {
    if (aligned) {
        const float4 four = *reinterpret_cast<const float4*>(from);
        x[0] = four.x, x[1] = four.y, x[2] = four.z, x[3] = four.w;
    } else {
#pragma unroll
        for (int j = 0; j < 4; j++) x[j] = j < inside ? from[j] : 0.0f;
    }
}

__device__ __forceinline__ void store_4(float* to, const float (&x)[4], int inside, bool aligned) {
    if (aligned) {
        *reinterpret_cast<float4*>(to) = make_float4(x[0], x[1], x[2], x[3]);
    } else {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (j < inside) to[j] = x[j];
        }
    }
}

// C, from an element on, and what is done to a sum before it is stored there.
struct Output {
    float* c;
    const float* bias; // of C's columns, or null
    const float* mask; // of C's elements, or null
    bool relu, accumulate, aligned;
    int rows_left, columns_left, stride;

    __device__ __forceinline__ Output(float* c, const float* bias, const float* mask, bool relu, bool accumulate,
                                      int m, int n)
        : c(c), bias(bias), mask(mask), relu(relu), accumulate(accumulate), rows_left(m), columns_left(n), stride(n) {
        aligned = is_aligned_16(c) && is_aligned_16(bias) && is_aligned_16(mask) && n % 4 == 0;
    }

    // The same from a later element on, in a column that is a multiple of 4.
    __device__ __forceinline__ Output from(int row, int column) const {
        const int64_t skipped = int64_t(row) * stride + column;
        Output rest = *this;
        rest.c += skipped;
        if (bias) rest.bias += column;
        if (mask) rest.mask += skipped;
        rest.rows_left -= row;
        rest.columns_left -= column;
        return rest;
    }

    // Finishes and stores the elements (row, column) to (row, column + 3), those that exist.
    __device__ __forceinline__ void store(int row, int column, const float (&sum)[4]) const {
        const int inside = columns_left - column;
        if (row >= rows_left || inside <= 0) return;
        const int64_t at = int64_t(row) * stride + column;
        float x[4] = {sum[0], sum[1], sum[2], sum[3]}, y[4];
        if (bias) {
            load_4(y, bias + column, inside, aligned);
#pragma unroll
            for (int j = 0; j < 4; j++) x[j] += y[j];
        }
        if (relu) {
#pragma unroll
            for (int j = 0; j < 4; j++) x[j] = x[j] <= 0.0f ? 0.0f : x[j]; // NaN stays
        }
        if (mask) {
            load_4(y, mask + at, inside, aligned);
#pragma unroll
            for (int j = 0; j < 4; j++) x[j] *= y[j] > 0.0f ? 1.0f : 0.0f; // NaN stays
        }
        if (accumulate) {
            load_4(y, c + at, inside, aligned);
#pragma unroll
            for (int j = 0; j < 4; j++) x[j] += y[j];
        }
        store_4(c + at, x, inside, aligned);
    }
};

// The entries of one line of variants.csv, in a file whose ENTRY(name, BLOCKS, TRANSPOSE_A, TRANSPOSE_B, TileShape)
// makes one: one for each way the operands are stored, gemm_nt_128x128x16_8x8_s2_b2. The build writes variants.cuh,
// which says what lines: #define GEMM_VARIANTS VARIANT(128x128x16_8x8_s2_b2, 2, ...) ..., the arguments of TileShape last.
#define VARIANT_OF(FAMILY, NAME, BLOCKS, ...)                                                                      \
    ENTRY(FAMILY##_nn_##NAME, BLOCKS, false, false, TileShape<__VA_ARGS__>)                                        \
    ENTRY(FAMILY##_nt_##NAME, BLOCKS, false, true, TileShape<__VA_ARGS__>)                                         \
    ENTRY(FAMILY##_tn_##NAME, BLOCKS, true, false, TileShape<__VA_ARGS__>)                                         \
    ENTRY(FAMILY##_tt_##NAME, BLOCKS, true, true, TileShape<__VA_ARGS__>)

#endif
