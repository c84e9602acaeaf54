// layout: moves and repeats values; computes nothing.
//
//   fill:          y[i] = value                                    i < n
//   strided_copy:  y[i] = x[sum_d index_d(i) * stride_d]           index(i): i over y's extents, row-major
//   transpose_*:   y[b, i, j] = x[b, j, i]                         x's neighbours along i, y's along j, b any axes
//
// A stride of 0 repeats x along an axis (broadcast); strides in another order than the extents permute
// the axes (transpose). The same bits: NaN and signed zeros are as they were.
//
// Traffic of a copy: y is written once, 16 bytes at a time where it is aligned so. x is read an element for each
// of y's; what is repeated comes from cache, neighbours are read 16 bytes at a time where they are aligned so. A
// thread writes four neighbouring elements. The host merges axes that lie in x as they do in y, so most
// copies have one to three; taking an index apart costs a division an axis, once a thread if the
// four lie in one run of the last axis.
//
// A copy that permutes reads x down its columns: 32 bytes come for each 4, the rest of which is of use only if it
// stays in cache until the next rows of y are written. Where both x's and y's neighbours form long axes (the rule
// stands in src/exec/cuda/kernels/layout.rs), transpose_* read and write every byte once instead, in whole sectors on
// both sides: tiles of 64 x 64 elements turn in shared memory.
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

// ---- Transposes. x is a batch of matrices (rows, columns), a row's elements neighbours; y one of (columns, rows).
//
// A block turns one tile of 64 x 64 elements, 16 KiB in and 16 KiB out. Shared memory holds the tile as y has it, in
// vectors of four rows: vector (column, group) is the elements of rows 4 group .. 4 group + 3 in that column. A
// thread loads four elements of each of its vectors, one below the other, all before it stores any: 64 bytes in
// flight a thread, 16 KiB a block, and six to eight blocks fit a multiprocessor of sm_80 or sm_90; 23 bytes a
// nanosecond, a multiprocessor's share of an H100's memory, times 800 ns of latency are 18 KiB. Not measured yet.
//
// WIDE_READS: 16 bytes at a time from x. A thread has four columns of four rows and turns them in registers.
// WIDE_WRITES: 16 bytes at a time to y. Without either, the 4-byte accesses of a warp are neighbours: as few sectors.
// The host chooses by alignment and extents, once for a launch.
//
// Bank conflicts: none, on either side, by the place of a vector: 16 column + (group ^ swizzle(column)), where
// swizzle(column) = column / 4 ^ 2 (column % 4). A 16-byte access is done for eight lanes at a time, and they must
// differ in the last three bits of their places:
//
//   stores after wide reads:    the same column % 4, column / 4 eight neighbours    swizzle takes 8 values modulo 8
//   stores after narrow reads:  eight neighbouring columns, the same group          swizzle takes 8 values modulo 8
//   loads for wide writes:      the same column, eight neighbouring groups          8 values, permuted by the swizzle
//   loads for narrow writes:    32 neighbouring rows of a column                    8 vectors of 4 banks each
//
// Counted for a whole tile whose rows begin at multiples of 32 bytes, on each side, all of them the least there can be:
// 512 sectors of memory, in 32 accesses of 16 sectors by a warp if wide and 128 of 4 if narrow; 128 passes through
// shared memory.
constexpr int TILE = 64;               // 256 bytes of a row, on both sides; more would cost shared memory, and blocks
constexpr int TRANSPOSE_THREADS = 256; // 16 elements each: what 32 to 36 registers hold in flight: 8 or 6 blocks fit
constexpr int GROUPS = TILE / VECTOR;  // vectors of a side
constexpr int PASSES = TILE * GROUPS / TRANSPOSE_THREADS; // vectors of a thread

// Tiles follow one another down strips of so many, then along x's rows. The blocks at work together then cover some
// 16 x 60 tiles: runs of 4 KiB along y's rows and 15 KiB along x's, where along x's rows alone y's were 2 KiB.
constexpr unsigned STRIP = 16;

// src/exec/cuda/kernels/layout.rs has the same struct.
constexpr int MAX_BATCH_AXES = MAX_AXES - 2;

struct Transpose {
    unsigned rows, columns;      // of a matrix of x
    unsigned x_stride, y_stride; // from row to row of x, and of y
    unsigned batch_axes;         // from the last to the first
    unsigned extents[MAX_BATCH_AXES];
    unsigned x_strides[MAX_BATCH_AXES];
    unsigned y_strides[MAX_BATCH_AXES];
};
static_assert(sizeof(Transpose) == 92, "as src/exec/cuda/kernels/layout.rs has it");

// The tile of this block: its first row and column, and where its matrices begin.
struct Tile {
    unsigned row, column, source = 0, target = 0;

    __device__ __forceinline__ explicit Tile(const Transpose& of) {
        const unsigned down = (of.rows + TILE - 1) / TILE, across = (of.columns + TILE - 1) / TILE;
        unsigned batch = blockIdx.x / (down * across);
        const unsigned number = blockIdx.x - batch * (down * across);
        const unsigned strip = number / (STRIP * across), within = number - strip * (STRIP * across);
        const unsigned height = min(STRIP, down - strip * STRIP);
        row = (strip * STRIP + within % height) * TILE, column = within / height * TILE;
#pragma unroll
        for (int axis = 0; axis < MAX_BATCH_AXES; axis++) {
            if (axis == of.batch_axes) break;
            const unsigned above = batch / of.extents[axis], index = batch - above * of.extents[axis];
            source += index * of.x_strides[axis], target += index * of.y_strides[axis];
            batch = above;
        }
    }
};

// Where in shared memory the vector of four rows is.
__device__ __forceinline__ int place(int column, int group) {
    return column * GROUPS + (group ^ column / 4 ^ 2 * (column % 4));
}

// Four rows of x from its element `from` on, at one column.
__device__ __forceinline__ float4 load_column(const float* __restrict__ x, unsigned from, unsigned stride,
                                              unsigned rows) {
    return make_float4(rows > 0 ? x[from] : 0.0f, rows > 1 ? x[from + stride] : 0.0f,
                       rows > 2 ? x[from + 2 * stride] : 0.0f, rows > 3 ? x[from + 3 * stride] : 0.0f);
}

template <bool WIDE_READS, bool WIDE_WRITES>
__device__ __forceinline__ void transpose(const float* __restrict__ x, const Transpose& of, float* __restrict__ y) {
    __shared__ float4 turned[TILE * GROUPS];
    const Tile tile(of);
    const int thread = threadIdx.x;

    if (WIDE_READS) {
        const int group = thread / GROUPS, column = thread % GROUPS * VECTOR;
        const unsigned first = tile.row + group * VECTOR;
        const unsigned from = tile.source + first * of.x_stride + tile.column + column;
        float4 row[VECTOR];
#pragma unroll
        for (unsigned k = 0; k < VECTOR; k++) {
            row[k] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (first + k < of.rows && tile.column + column < of.columns) {
                row[k] = *reinterpret_cast<const float4*>(x + (from + k * of.x_stride));
            }
        }
        turned[place(column, group)] = make_float4(row[0].x, row[1].x, row[2].x, row[3].x);
        turned[place(column + 1, group)] = make_float4(row[0].y, row[1].y, row[2].y, row[3].y);
        turned[place(column + 2, group)] = make_float4(row[0].z, row[1].z, row[2].z, row[3].z);
        turned[place(column + 3, group)] = make_float4(row[0].w, row[1].w, row[2].w, row[3].w);
    } else {
        const int column = thread % TILE, group = thread / TILE * PASSES;
        float4 four[PASSES];
#pragma unroll
        for (int pass = 0; pass < PASSES; pass++) {
            const unsigned first = tile.row + (group + pass) * VECTOR;
            const unsigned rows = first < of.rows && tile.column + column < of.columns ? of.rows - first : 0;
            four[pass] = load_column(x, tile.source + first * of.x_stride + tile.column + column, of.x_stride, rows);
        }
#pragma unroll
        for (int pass = 0; pass < PASSES; pass++) turned[place(column, group + pass)] = four[pass];
    }
    __syncthreads(); // the tile is there before any of it is written to y

    if (WIDE_WRITES) {
        const int group = thread % GROUPS;
        const unsigned row = tile.row + group * VECTOR;
#pragma unroll
        for (int pass = 0; pass < PASSES; pass++) {
            const int column = thread / GROUPS + pass * (TRANSPOSE_THREADS / GROUPS);
            if (row >= of.rows || tile.column + column >= of.columns) continue;
            float* const to = y + (tile.target + (tile.column + column) * of.y_stride + row);
            *reinterpret_cast<float4*>(to) = turned[place(column, group)];
        }
    } else {
        const int along = thread % TILE;
        const unsigned row = tile.row + along;
        const float* const elements = reinterpret_cast<const float*>(turned);
#pragma unroll
        for (int pass = 0; pass < PASSES * int(VECTOR); pass++) {
            const int column = thread / TILE + pass * (TRANSPOSE_THREADS / TILE);
            if (row >= of.rows || tile.column + column >= of.columns) continue;
            const int element = place(column, along / int(VECTOR)) * int(VECTOR) + along % int(VECTOR);
            y[tile.target + (tile.column + column) * of.y_stride + row] = elements[element];
        }
    }
}

#define TRANSPOSE(name, wide_reads, wide_writes)                                                           \
    extern "C" __global__ void __launch_bounds__(TRANSPOSE_THREADS)                                        \
        name(const float* __restrict__ x, const __grid_constant__ Transpose of, float* __restrict__ y) {   \
        transpose<wide_reads, wide_writes>(x, of, y);                                                      \
    }

TRANSPOSE(transpose_wide, true, true)
TRANSPOSE(transpose_wide_reads, true, false)
TRANSPOSE(transpose_wide_writes, false, true)
TRANSPOSE(transpose_narrow, false, false)
