// sum: sums over the middle axis, in an order that the shape alone decides.
//
//   y[o,i] = sum_r x[o,r,i]      x (outer, reduced, inner), y (outer, inner), float32 sums
//
// Column sums, as of a bias's gradient, have outer = 1; row sums have inner = 1; the sum of all
// elements, as of a batch's losses, has both. The sum of nothing is 0.
//
// Traffic: x is read once, 16 bytes at a time where alignment allows; everything else is small. Where
// one block could not use the machine, the reduced axis is cut into parts, whose sums
// (outer, parts, inner) a second launch adds up. A thread adds up at most every 32nd element of a part's
// columns or every 4th of a short row, and the threads' sums are added pairwise, so the error grows with
// n/32 and less, not with n.
//
// Four neighbouring elements always go to the same thread, however they are read, so alignment does not
// change the order.
#include "common.cuh"

// Threads of a block, as in src/exec/cuda/kernels/sum.rs.
constexpr int SUM_THREADS = 256;

// Elements of one access.
constexpr int SUM_VECTOR = 4;

__device__ __forceinline__ void add_to(float4& sum, float4 value) {
    sum.x += value.x, sum.y += value.y, sum.z += value.z, sum.w += value.w;
}

__device__ __forceinline__ float across(float4 sum) { return (sum.x + sum.y) + (sum.z + sum.w); }

// x[0] to x[3], zero from x[available] on.
__device__ __forceinline__ float4 up_to_four(const float* __restrict__ x, int available) {
    return make_float4(available > 0 ? x[0] : 0.0f, available > 1 ? x[1] : 0.0f, available > 2 ? x[2] : 0.0f,
                       available > 3 ? x[3] : 0.0f);
}

// The sum of `count` vectors `stride` elements apart, each as up_to_four gives it. One branch before the
// loop, none in it, so that several loads are in flight.
__device__ __forceinline__ float4 sum_of_vectors(const float* __restrict__ x, int available, int count,
                                                 int64_t stride) {
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (available >= SUM_VECTOR && stride % SUM_VECTOR == 0 && is_aligned_16(x)) {
#pragma unroll 4
        for (int k = 0; k < count; k++) add_to(sum, *reinterpret_cast<const float4*>(x + k * stride));
    } else {
#pragma unroll 4
        for (int k = 0; k < count; k++) add_to(sum, up_to_four(x + k * stride, available));
    }
    return sum;
}

// The sum of the vectors that begin at elements first, first + step, ... of x[0] to x[length - 1].
__device__ __forceinline__ float4 sum_of_every(const float* __restrict__ x, int length, int first, int step) {
    const int whole = first + SUM_VECTOR <= length ? (length - SUM_VECTOR - first) / step + 1 : 0;
    float4 sum = sum_of_vectors(x + first, SUM_VECTOR, whole, step);
    const int64_t rest = first + int64_t(whole) * step;
    if (rest < length) add_to(sum, up_to_four(x + rest, int(length - rest)));
    return sum;
}

// inner > 1. A thread adds up four columns of every groups-th row; `lanes` threads stand side by side
// (128 bytes of a row for 8 lanes), and the groups' sums are then added pairwise in shared memory. `lanes`
// is a power of two. Blocks: (outer, parts, stripes of 4 lanes columns).
extern "C" __global__ void __launch_bounds__(SUM_THREADS)
    sum_columns(const float* __restrict__ x, float* __restrict__ y, int reduced, int inner, int lanes, int stripes,
                int parts, int part_rows) {
    __shared__ float4 sums[SUM_THREADS];
    const int thread = threadIdx.x, lane = thread % lanes, group = thread / lanes, groups = SUM_THREADS / lanes;
    const int stripe = blockIdx.x % stripes, part = blockIdx.x / stripes % parts;
    const int64_t outer = blockIdx.x / stripes / parts;
    const int64_t column = int64_t(stripe * lanes + lane) * SUM_VECTOR;
    const int available = int(inner - column);
    const int first = part * part_rows, left = reduced - first, rows = left < part_rows ? left : part_rows;
    const int count = (rows - group + groups - 1) / groups; // of this group's rows
    const float* from = x + (outer * reduced + first + group) * inner + column;

    float4 sum = sum_of_vectors(from, available, count, int64_t(groups) * inner);
    sums[thread] = sum;
    for (int half = groups / 2; half > 0; half /= 2) {
        __syncthreads(); // the sums of groups half to 2 half - 1 are there before they are read
        if (group < half) {
            add_to(sum, sums[thread + half * lanes]);
            sums[thread] = sum;
        }
    }

    if (group > 0) return;
    float* to = y + (outer * parts + part) * inner + column;
    if (available >= SUM_VECTOR && is_aligned_16(to)) {
        *reinterpret_cast<float4*>(to) = sum;
    } else {
        const float sum_of[SUM_VECTOR] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
        for (int k = 0; k < SUM_VECTOR; k++) {
            if (k < available) to[k] = sum_of[k];
        }
    }
}

// inner = 1, short rows: `lanes` threads of a warp a row, a power of two.
extern "C" __global__ void __launch_bounds__(SUM_THREADS)
    sum_short_rows(const float* __restrict__ x, float* __restrict__ y, int rows, int reduced, int lanes) {
    const int64_t row = (int64_t(blockIdx.x) * SUM_THREADS + threadIdx.x) / lanes;
    const int lane = threadIdx.x % lanes;
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (row < rows) sum = sum_of_every(x + row * reduced, reduced, lane * SUM_VECTOR, lanes * SUM_VECTOR);
    float total = across(sum);
    for (int distance = lanes / 2; distance > 0; distance /= 2) {
        total += __shfl_xor_sync(ALL_LANES, total, distance);
    }
    if (row < rows && lane == 0) y[row] = total;
}

// inner = 1, long rows: a block a part of a row. Blocks: (rows, parts); part_length is a multiple of 4.
extern "C" __global__ void __launch_bounds__(SUM_THREADS)
    sum_long_rows(const float* __restrict__ x, float* __restrict__ y, int reduced, int parts, int part_length) {
    const int64_t row = blockIdx.x / parts;
    const int first = blockIdx.x % parts * part_length, left = reduced - first;
    const int length = left < part_length ? left : part_length;
    const float4 sum =
        sum_of_every(x + row * reduced + first, length, threadIdx.x * SUM_VECTOR, SUM_THREADS * SUM_VECTOR);
    const float total = block_reduce<Sum, SUM_THREADS>(across(sum));
    if (threadIdx.x == 0) y[blockIdx.x] = total;
}

// The reference: a thread for each sum, its terms one after another.
extern "C" __global__ void __launch_bounds__(SUM_THREADS)
    sum_reference(const float* __restrict__ x, float* __restrict__ y, int sums, int reduced, int inner) {
    const int64_t position = int64_t(blockIdx.x) * SUM_THREADS + threadIdx.x;
    if (position >= sums) return;
    const int64_t outer = position / inner, column = position % inner;
    float sum = 0.0f;
    for (int r = 0; r < reduced; r++) sum += x[(outer * reduced + r) * inner + column];
    y[position] = sum;
}
