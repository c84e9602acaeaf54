// accuracy: what a batch adds to the sums of an epoch, so that the host reads once an epoch.
//
//   count_correct:      correct += the number of rows r with argmax_c logits[r, c] == labels[r]
//   count_confusions:   counts[k, j] += the number of rows r with labels[r] == k and argmax_c logits[r, c] == j
//   accumulate_losses:  total   += sum_r losses[r], in float64
//
// logits (rows, classes) row-major, labels (rows), losses (rows), float32; correct one 64-bit integer,
// counts (classes, classes) of them, total one float64. A label that is no class number is never correct,
// and counts nowhere.
#include "common.cuh"
#include "label.cuh"
#include "step.cuh"

// Threads of a block of the counting kernels, a warp a row.
constexpr int COUNT_THREADS = 256; // src/exec/cuda/kernels/accuracy.rs has it too
constexpr int COUNT_WARPS = COUNT_THREADS / WARP;

struct Choice {
    float value;
    int position;
};

// The larger; of equals, the one that stands first. Values are not NaN.
__device__ __forceinline__ Choice better(Choice a, Choice b) {
    return b.value > a.value || (b.value == a.value && b.position < a.position) ? b : a;
}

// The argmax of a row, in all lanes of the warp that calls, whose lanes read neighbouring elements. It is
// the first of equals. A NaN is never chosen, but for the first element: it stays the choice if it is
// NaN (`largest` in src/exec/cpu/stage.rs).
__device__ __forceinline__ int argmax(const float* __restrict__ row, int classes) {
    const int lane = threadIdx.x % WARP;
    // Position 0 is at least minus infinity and stands first, so no other position wins by being so.
    Choice best = {-INFINITY, lane};
    for (int64_t position = lane; position < classes; position += WARP) {
        float value = row[position];
        if (value != value) value = position == 0 ? INFINITY : -INFINITY; // unbeatable, and never chosen
        best = better(best, {value, int(position)});
    }
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        const float value = __shfl_xor_sync(ALL_LANES, best.value, distance);
        const int position = __shfl_xor_sync(ALL_LANES, best.position, distance);
        best = better(best, {value, position});
    }
    return best.position;
}

// Traffic: logits and labels read once. The block's warps add up in shared memory, then one atomic
// addition a block. Integers: the order does not matter.
extern "C" __global__ void __launch_bounds__(COUNT_THREADS)
    count_correct(const float* __restrict__ logits, const float* __restrict__ labels, unsigned long long* correct,
                  int rows, int classes) {
    __shared__ int hits[COUNT_WARPS];
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const int64_t row = int64_t(blockIdx.x) * COUNT_WARPS + warp;
    const bool hit = row < rows && float(argmax(logits + row * classes, classes)) == labels[row];
    if (lane == 0) hits[warp] = hit;
    __syncthreads(); // all warps' hits are there before they are added
    if (threadIdx.x != 0) return;
    int sum = 0;
#pragma unroll
    for (int i = 0; i < COUNT_WARPS; i++) sum += hits[i];
    if (sum > 0) atomicAdd(correct, static_cast<unsigned long long>(sum));
}

// Traffic: logits and labels read once, and an atomic addition a row, which stays in the second-level
// cache. Integers: the order does not matter.
extern "C" __global__ void __launch_bounds__(COUNT_THREADS)
    count_confusions(const float* __restrict__ logits, const float* __restrict__ labels, unsigned long long* counts,
                     int rows, int classes) {
    const int64_t row = int64_t(blockIdx.x) * COUNT_WARPS + threadIdx.x / WARP;
    if (row >= rows) return; // the whole warp
    const int choice = argmax(logits + row * classes, classes);
    if (threadIdx.x % WARP != 0) return;
    const int label = class_of(labels[row], classes);
    if (label != NO_CLASS) atomicAdd(counts + int64_t(label) * classes + choice, 1ull);
}

// If the batch's sum is not finite, the step's number goes to step->first_not_finite, unless an
// earlier one is there. From then on updates do nothing (optimizers.cu), so that the parameters stay
// those that led to it and the step can be repeated.
//
// One block, whose thread i adds elements i, i + 256, ... in this order; then the lanes of a warp, pair by
// pair; then the warps, one after another. n is a batch: a few loads a thread, all under way at once.
constexpr int LOSS_THREADS = 256; // src/exec/cuda/kernels/accuracy.rs has it too
constexpr int LOSS_WARPS = LOSS_THREADS / WARP;

extern "C" __global__ void __launch_bounds__(LOSS_THREADS)
    accumulate_losses(const float* __restrict__ losses, int n, StepState* __restrict__ step,
                      double* __restrict__ total) {
    __shared__ double sums[LOSS_WARPS];
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    double sum = 0.0;
#pragma unroll 4
    for (int64_t i = threadIdx.x; i < n; i += LOSS_THREADS) sum += double(losses[i]);
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, distance);
    if (lane == 0) sums[warp] = sum;
    __syncthreads(); // all warps' sums are there before they are added
    if (threadIdx.x != 0) return;
    sum = 0.0;
#pragma unroll
    for (int i = 0; i < LOSS_WARPS; i++) sum += sums[i];
    *total += sum;
    const bool is_finite = fabs(sum) < double(INFINITY); // false for NaN
    if (!is_finite && step->first_not_finite == NO_STEP) step->first_not_finite = step->number;
}
