// dropout: the mask of inverted dropout.
//
//   mask[i] = word(t, i) < threshold ? 0 : kept
//
// with threshold = p 2^32, kept = 1 / (1 - p), and word(t, i) that of element i in Philox (philox.cuh), t the
// updates before this step. mask (n), any alignment; the same bits as on the CPU.
//
// Traffic: 4 bytes written an element. A thread computes one Philox block, so four elements, and
// writes them at once where the mask begins on a multiple of 16 bytes.
//
// Source: Srivastava et al. 2014, "Dropout", section 10.
#include "common.cuh"
#include "philox.cuh"
#include "step.cuh"

constexpr int DROPOUT_THREADS = 256; // src/exec/cuda/kernels/dropout.rs has it too
constexpr int PER_BLOCK = 4;         // elements of a Philox block

extern "C" __global__ void __launch_bounds__(DROPOUT_THREADS)
    dropout_mask(const StepState* __restrict__ step, float* __restrict__ mask, int n, uint32_t key_0, uint32_t key_1,
                 uint32_t threshold, float kept) {
    const int64_t block = int64_t(blockIdx.x) * DROPOUT_THREADS + threadIdx.x;
    const int64_t first = block * PER_BLOCK;
    if (first >= n) return;
    const uint4 words = philox_block(draw_step(step), uint64_t(block), make_uint2(key_0, key_1));
    const float4 four = make_float4(words.x < threshold ? 0.0f : kept, words.y < threshold ? 0.0f : kept,
                                    words.z < threshold ? 0.0f : kept, words.w < threshold ? 0.0f : kept);
    if (first + PER_BLOCK <= n && is_aligned_16(mask)) {
        *reinterpret_cast<float4*>(mask + first) = four;
        return;
    }
    mask[first] = four.x;
    if (first + 1 < n) mask[first + 1] = four.y;
    if (first + 2 < n) mask[first + 2] = four.z;
    if (first + 3 < n) mask[first + 3] = four.w;
}
