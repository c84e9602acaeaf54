// softmax_cross_entropy: each row's loss and its gradient by the logits; softmax alone; one-hot.
//
//   loss[r]       = ln(sum_c exp(z[r,c] - max_c z[r,c])) - (z[r,y[r]] - max_c z[r,c])
//   gradient[r,c] = (softmax(z[r])[c] - [c == y[r]]) * scale
//
// logits z (rows, classes) row-major, labels y (rows) class numbers as floats, loss (rows), gradient
// (rows, classes). A label that is no class number gives NaN in its row; so do logits that are NaN or +inf.
// Each output may be null and is then not computed. Without labels (null) the indicator [c == y[r]] is
// left out, and the gradient is scale * softmax(z).
//
// Traffic: z is read once and the gradient written once; rows stay on the chip in between. Where they lie, by the number
// of classes (src/exec/cuda/kernels/softmax_cross_entropy.rs has the table):
//
//   up to 32,768      in registers: of 8 or 32 lanes of a warp, or of a block
//   above, sm_90      cross_entropy_cluster: in registers and shared memory of a cluster of 2, 4 or 8 blocks of 512
//                     threads, two blocks a multiprocessor, so that one loads while the other computes. A block holds
//                     16,384 elements in registers and 512 vectors, 8 KiB, a step of shared memory: of 50,257 classes
//                     13 vectors a thread, 8 of them in registers, 40 KiB a block. Blocks exchange two floats
//   above, sm_80 on   cross_entropy_shared: the same of one block of 1024 threads, alone on its multiprocessor: of
//                     50,257 classes 80 KiB
//   else              cross_entropy_online: nowhere, and z is read twice: the maximum and the sum are found together,
//                     online (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax", algorithm
//                     3), and the gradient takes a second reading, which the second-level cache may still hold
//
// Which of the last three is the fastest on which card is not measured yet: the table takes the first that the device
// has and that holds the row. Bytes in flight: a thread asks for its whole share of the row before it waits for any.
//
// Accesses are of 16 bytes whatever the number of classes: vectors begin at multiples of four elements from the
// beginning of the matrix, not of the row, so that only a row's first and last vector can be partial. How a row lies in
// its vectors depends on shape and row number alone, and with it, in each form, the order of the sums; matrices that
// begin off a multiple of 16 bytes are read in the same order, one element at a time. In shared memory neighbouring
// threads' vectors are neighbours: no bank conflicts.
#include "common.cuh"
#include "label.cuh"
#include "ptx.cuh"
#include "softmax_cross_entropy.cuh"

// Elements of one access.
constexpr int VECTOR = 4;

// In place of a class number, where no label was given.
constexpr int NO_LABEL = -4;

// One row, or nothing where there is no row of that number.
struct Row {
    const float* __restrict__ logits = nullptr;
    const float* __restrict__ label = nullptr;
    float* __restrict__ gradient = nullptr;
    float* __restrict__ loss = nullptr;
    float scale = 0.0f;
    int classes = 0;
    int lead = 0;           // how many elements before the row its first vector begins
    unsigned whole_end = 0; // vectors that begin in columns 0 to whole_end - 1 are read and written at once

    __device__ __forceinline__ Row(const float* all_logits, const float* labels, float* losses, float* all_gradients,
                                   float scale, int rows, int classes, unsigned row) {
        if (row >= unsigned(rows)) return;
        const int64_t begin = int64_t(row) * classes;
        logits = all_logits + begin;
        if (labels != nullptr) label = labels + row;
        if (all_gradients != nullptr) gradient = all_gradients + begin;
        if (losses != nullptr) loss = losses + row;
        this->scale = scale;
        this->classes = classes;
        lead = int(begin % VECTOR);
        const bool aligned = is_aligned_16(all_logits) && is_aligned_16(all_gradients);
        whole_end = aligned && classes >= VECTOR ? classes - (VECTOR - 1) : 0;
    }

    // The column of the first element of a vector: less than 0 if it begins before the row.
    __device__ __forceinline__ int column(int vector) const { return vector * VECTOR - lead; }
    __device__ __forceinline__ bool is_whole(int column) const { return unsigned(column) < whole_end; }
    __device__ __forceinline__ bool contains(int column) const { return unsigned(column) < unsigned(classes); }

    // The label's class, NO_LABEL or NO_CLASS.
    __device__ __forceinline__ int target() const { return label == nullptr ? NO_LABEL : class_of(*label, classes); }

    // The logits of vectors first, first + step, ...; -inf beside the row, which adds nothing to the sum.
    // Whole vectors first, so that all of them are in flight together.
    template <int VECTORS>
    __device__ __forceinline__ void read(float (&value)[VECTORS][VECTOR], int first, int step) const {
#pragma unroll
        for (int j = 0; j < VECTORS; j++) {
            const int from = column(first + j * step);
            float4 four = make_float4(-INFINITY, -INFINITY, -INFINITY, -INFINITY);
            if (is_whole(from)) four = *reinterpret_cast<const float4*>(logits + from);
            value[j][0] = four.x, value[j][1] = four.y, value[j][2] = four.z, value[j][3] = four.w;
        }
#pragma unroll
        for (int j = 0; j < VECTORS; j++) {
            const int from = column(first + j * step);
            if (is_whole(from) || from >= classes) continue;
#pragma unroll
            for (int k = 0; k < VECTOR; k++) {
                if (contains(from + k)) value[j][k] = logits[from + k];
            }
        }
    }

    // Begins to copy a whole vector to shared memory, and puts another there, with -inf beside the row.
    __device__ __forceinline__ void copy(float4& to, int vector) const {
        const int from = column(vector);
        if (is_whole(from)) return ptx::copy_async_16(&to, logits + from, true);
        to.x = contains(from) ? logits[from] : -INFINITY;
        to.y = contains(from + 1) ? logits[from + 1] : -INFINITY;
        to.z = contains(from + 2) ? logits[from + 2] : -INFINITY;
        to.w = contains(from + 3) ? logits[from + 3] : -INFINITY;
    }

    // Writes the gradient at these vectors, where value is exp(z - max) and sum the sum of all of these.
    template <int VECTORS>
    __device__ __forceinline__ void write(const float (&value)[VECTORS][VECTOR], int first, int step,
                                          int target, float sum) const {
        const float factor = target == NO_CLASS ? NAN : scale / sum;
#pragma unroll
        for (int j = 0; j < VECTORS; j++) {
            const int to = column(first + j * step);
            float out[VECTOR];
#pragma unroll
            for (int k = 0; k < VECTOR; k++) out[k] = value[j][k] * factor - (to + k == target ? scale : 0.0f);
            if (is_whole(to)) {
                *reinterpret_cast<float4*>(gradient + to) = make_float4(out[0], out[1], out[2], out[3]);
                continue;
            }
#pragma unroll
            for (int k = 0; k < VECTOR; k++) {
                if (contains(to + k)) gradient[to + k] = out[k];
            }
        }
    }

    // The loss, ln(sum) - (z[target] - max), if this thread reports it. z[target] is in cache.
    __device__ __forceinline__ void report(int rank, int target, float max, float sum) const {
        if (rank > 0 || loss == nullptr) return;
        *loss = target >= 0 ? logf(sum) - (logits[target] - max) : NAN;
    }
};

// The greatest of max and a thread's values.
template <int VECTORS>
__device__ __forceinline__ float greatest(float max, const float (&value)[VECTORS][VECTOR]) {
#pragma unroll
    for (int j = 0; j < VECTORS; j++) {
#pragma unroll
        for (int k = 0; k < VECTOR; k++) max = fmaxf(max, value[j][k]);
    }
    return max;
}

// Makes value exp(value - max), and adds it to the sum.
template <int VECTORS>
__device__ __forceinline__ void exponentiate(float (&value)[VECTORS][VECTOR], float max, float& sum) {
#pragma unroll
    for (int j = 0; j < VECTORS; j++) {
#pragma unroll
        for (int k = 0; k < VECTOR; k++) {
            value[j][k] = expf(value[j][k] - max);
            sum += value[j][k];
        }
    }
}

// A row of which each thread holds VECTORS vectors.
template <class Threads, int VECTORS>
__device__ __forceinline__ void row_in_registers(const Row& row) {
    const int rank = Threads::rank();
    float value[VECTORS][VECTOR];
    row.read(value, rank, Threads::THREADS);
    const int target = row.target();
    const float max = Threads::maximum(greatest(-INFINITY, value));
    float sum = 0.0f;
    exponentiate(value, max, sum);
    sum = Threads::sum(sum);
    if (row.gradient != nullptr) row.write(value, rank, Threads::THREADS, target, sum);
    row.report(rank, target, max, sum);
}

// A row of which each thread holds its first VECTORS vectors in registers and the others in shared memory, where no
// other thread looks at them: so there is no barrier but the reductions' own.
template <class Threads, int VECTORS>
__device__ __forceinline__ void row_in_shared_memory(const Row& row) {
    extern __shared__ float4 held[]; // the block's threads' next vectors, neighbours' side by side, then those after
    const int rank = Threads::rank(), threads = Threads::count();
    const auto each = [&](auto act) { // of this thread's vectors in shared memory
        float4* at = held + threadIdx.x;
#pragma unroll 1 // unrolled, it would spill on sm_100: value takes half of the 64 registers
        for (int vector = rank + VECTORS * threads; row.column(vector) < row.classes; vector += threads) {
            act(vector, *at);
            at += Threads::OF_BLOCK;
        }
    };
    each([&](int vector, float4& at) { row.copy(at, vector); });
    ptx::copy_async_commit();
    float value[VECTORS][VECTOR];
    row.read(value, rank, threads);
    const int target = row.target();

    float max = greatest(-INFINITY, value);
    ptx::copy_async_wait<0>(); // this thread's copies are there
    each([&](int, const float4& at) {
        const float4 four = at;
        const float one[1][VECTOR] = {{four.x, four.y, four.z, four.w}};
        max = greatest(max, one);
    });
    max = Threads::maximum(max);

    float sum = 0.0f;
    exponentiate(value, max, sum);
    each([&](int, float4& at) {
        const float4 four = at;
        float one[1][VECTOR] = {{four.x, four.y, four.z, four.w}};
        exponentiate(one, max, sum);
        at = make_float4(one[0][0], one[0][1], one[0][2], one[0][3]);
    });
    sum = Threads::sum(sum);

    if (row.gradient != nullptr) {
        row.write(value, rank, threads, target, sum);
        each([&](int vector, const float4& at) {
            const float4 four = at;
            const float one[1][VECTOR] = {{four.x, four.y, four.z, four.w}};
            row.write(one, vector, threads, target, sum);
        });
    }
    row.report(rank, target, max, sum);
    Threads::finish();
}

// A row of any length, VECTORS vectors of each thread at a time. The sum so far is of exp(z - max) for the
// maximum so far, and is scaled when that grows.
template <class Threads, int VECTORS>
__device__ __forceinline__ void row_online(const Row& row) {
    const int rank = Threads::rank();
    float value[VECTORS][VECTOR];

    float max = -INFINITY, sum = 0.0f;
    for (int first = 0; row.column(first) < row.classes; first += VECTORS * Threads::THREADS) {
        row.read(value, first + rank, Threads::THREADS);
        const float larger = greatest(max, value);
        const float shift = larger == -INFINITY ? 0.0f : larger; // -inf - -inf would be NaN
        sum *= expf(max - shift);
        max = larger;
        exponentiate(value, shift, sum);
    }
    const float thread_max = max;
    max = Threads::maximum(thread_max);
    sum = Threads::sum(sum * expf(thread_max - max));

    const int target = row.target();
    if (row.gradient != nullptr) {
        for (int first = 0; row.column(first) < row.classes; first += VECTORS * Threads::THREADS) {
            row.read(value, first + rank, Threads::THREADS);
#pragma unroll
            for (int j = 0; j < VECTORS; j++) {
#pragma unroll
                for (int k = 0; k < VECTOR; k++) value[j][k] = expf(value[j][k] - max);
            }
            row.write(value, first + rank, Threads::THREADS, target, sum);
        }
    }
    row.report(rank, target, max, sum);
}

#define CROSS_ENTROPY(name, bounds, work, threads, vectors)                                                \
    extern "C" __global__ void __launch_bounds__ bounds                                                    \
        name(const float* __restrict__ logits, const float* __restrict__ labels, float* __restrict__ loss, \
             float* __restrict__ gradient, float scale, int rows, int classes) {                           \
        work<threads, vectors>(Row(logits, labels, loss, gradient, scale, rows, classes, threads::row())); \
    }

// Which of these serves how many classes stands in src/exec/cuda/kernels/softmax_cross_entropy.rs: a row, with the
// vector that sticks out before it, must fit into threads * vectors * 4 elements. Registers bound the
// vectors: 8 of them are 32, half of a thread's share where 1024 threads are on a multiprocessor. What the last two
// forms hold beyond that, shared memory bounds.
CROSS_ENTROPY(cross_entropy_32, (SHARED_BLOCK_THREADS), row_in_registers, Lanes<8>, 1)
CROSS_ENTROPY(cross_entropy_128, (SHARED_BLOCK_THREADS), row_in_registers, Lanes<32>, 1)
CROSS_ENTROPY(cross_entropy_512, (SHARED_BLOCK_THREADS), row_in_registers, Lanes<32>, 4)
CROSS_ENTROPY(cross_entropy_1024, (SHARED_BLOCK_THREADS), row_in_registers, Lanes<32>, 8)
CROSS_ENTROPY(cross_entropy_4096, (256), row_in_registers, Block<256>, 4)
CROSS_ENTROPY(cross_entropy_16384, (512, 2), row_in_registers, Block<512>, 8)
CROSS_ENTROPY(cross_entropy_32768, (1024), row_in_registers, Block<1024>, 8)
CROSS_ENTROPY(cross_entropy_cluster, (512, 2), row_in_shared_memory, Cluster<512>, 8)
CROSS_ENTROPY(cross_entropy_shared, (1024), row_in_shared_memory, Block<1024>, 8)
CROSS_ENTROPY(cross_entropy_online, (512), row_online, Block<512>, 4)

// The reference: a thread for each row, which it reads three times.
extern "C" __global__ void __launch_bounds__(SHARED_BLOCK_THREADS)
    cross_entropy_reference(const float* __restrict__ logits, const float* __restrict__ labels,
                            float* __restrict__ loss, float* __restrict__ gradient, float scale, int rows,
                            int classes) {
    const int row = blockIdx.x * SHARED_BLOCK_THREADS + threadIdx.x;
    if (row >= rows) return;
    const float* z = logits + int64_t(row) * classes;
    float max = -INFINITY, sum = 0.0f;
    for (int c = 0; c < classes; c++) max = fmaxf(max, z[c]);
    for (int c = 0; c < classes; c++) sum += expf(z[c] - max);
    const int target = labels == nullptr ? NO_LABEL : class_of(labels[row], classes);
    if (loss != nullptr) loss[row] = target >= 0 ? logf(sum) - (z[target] - max) : NAN;
    if (gradient == nullptr) return;
    for (int c = 0; c < classes; c++) {
        const float indicator = target == NO_CLASS ? NAN : c == target ? 1.0f : 0.0f;
        gradient[int64_t(row) * classes + c] = (expf(z[c] - max) / sum - indicator) * scale;
    }
}

// Threads of a block of one_hot, as in src/exec/cuda/kernels/softmax_cross_entropy.rs.
constexpr int ONE_HOT_THREADS = 256;

// y[r,c] = [c == label[r]], NaN in the row of a label that is no class number. n = rows * classes elements
// are written, four by each thread.
extern "C" __global__ void __launch_bounds__(ONE_HOT_THREADS)
    one_hot(const float* __restrict__ labels, float* __restrict__ y, int classes, int n) {
    const unsigned first = (blockIdx.x * ONE_HOT_THREADS + threadIdx.x) * VECTOR;
    if (first >= unsigned(n)) return;
    int row = first / classes, column = first % classes;
    int target = class_of(labels[row], classes);
    float out[VECTOR];
#pragma unroll
    for (int k = 0; k < VECTOR; k++) {
        out[k] = target == NO_CLASS ? NAN : column == target ? 1.0f : 0.0f;
        if (++column == classes) {
            column = 0, row++;
            if (first + k + 1 < unsigned(n)) target = class_of(labels[row], classes);
        }
    }
    if (first + VECTOR <= unsigned(n) && is_aligned_16(y)) {
        *reinterpret_cast<float4*>(y + first) = make_float4(out[0], out[1], out[2], out[3]);
        return;
    }
#pragma unroll
    for (int k = 0; k < VECTOR; k++) {
        if (first + k < unsigned(n)) y[first + k] = out[k];
    }
}
