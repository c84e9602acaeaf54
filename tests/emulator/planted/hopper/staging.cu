// planted/hopper/staging: mistakes where threads write rows in shared memory and TMA stores them. Each `planted_` kernel
// has one, its `sound_` twin has not.
//
// One block of 64 threads; thread 0 has rows stored. `to` describes (rows, 64) float32 in boxes of one row. The kernels
// compute out[r, c] = in[r, 63 - c], unless they say otherwise.
#include "../../../../kernels/ptx_hopper.cuh"

constexpr int COLUMNS = 64, BUFFERS = 2;

enum Mistake {
    NONE,
    NO_FENCE,
    FENCE_BY_ANOTHER,
    FENCE_BEFORE_WRITING,
    NO_BARRIER,
    SOURCE_NOT_WAITED_FOR,
    WAITS_ONE_SHORT,
    ANOTHER_WAITS,
    NO_WAIT_AT_END,
    NO_COMMIT,
    SOURCE_MISALIGNED,
};

// `ADDS`: to what `to` holds.
template <Mistake MISTAKE, bool ADDS>
__device__ __forceinline__ void stage(const float* in, const ptx::TensorMap* to, int rows) {
    __shared__ alignas(128) float buffers[BUFFERS][COLUMNS];
    const int i = threadIdx.x;
    const bool stores = i == 0;
    const bool waits = i == (MISTAKE == ANOTHER_WAITS ? 32 : 0); // planted: a thread that has stored nothing
    for (int row = 0; row < rows; row++) {
        float* const buffer = buffers[row % BUFFERS];
        // The store before the last one has read the buffer.
        constexpr int PENDING = MISTAKE == WAITS_ONE_SHORT ? BUFFERS : BUFFERS - 1; // planted
        if (waits && MISTAKE != SOURCE_NOT_WAITED_FOR) ptx::bulk_wait_read<PENDING>(); // planted: none
        __syncthreads();
        if (MISTAKE == FENCE_BEFORE_WRITING) ptx::fence_proxy_async(); // planted: it orders what came before it
        buffer[i] = in[row * COLUMNS + COLUMNS - 1 - i];
        const bool fences = MISTAKE != NO_FENCE && MISTAKE != FENCE_BEFORE_WRITING && MISTAKE != FENCE_BY_ANOTHER;
        if (fences) ptx::fence_proxy_async(); // planted: none
        if (MISTAKE != NO_BARRIER) __syncthreads(); // planted: other threads have not written
        if (!stores) continue;
        if (MISTAKE == FENCE_BY_ANOTHER) ptx::fence_proxy_async(); // planted: for its own writes alone
        const float* source = MISTAKE == SOURCE_MISALIGNED ? buffer + 4 : buffer; // planted: 16 bytes on
        if (ADDS) ptx::tma_reduce_add(to, 0, row, source);
        if (!ADDS) ptx::tma_store(to, 0, row, source);
        if (MISTAKE != NO_COMMIT) ptx::bulk_commit(); // planted: there is no group to wait for
    }
    if (waits && MISTAKE != NO_WAIT_AT_END) ptx::bulk_wait_read<0>(); // planted: shared memory ends before it is read
}

#define STAGE(NAME, MISTAKE, ADDS)                                                                            \
    extern "C" __global__ void NAME(const float* in, const __grid_constant__ ptx::TensorMap to, int rows) { \
        stage<MISTAKE, ADDS>(in, &to, rows);                                                                  \
    }
STAGE(sound_staging, NONE, false)
STAGE(planted_staging_no_fence, NO_FENCE, false)
STAGE(planted_staging_fence_by_another, FENCE_BY_ANOTHER, false)
STAGE(planted_staging_fence_before_writing, FENCE_BEFORE_WRITING, false)
STAGE(planted_staging_no_barrier, NO_BARRIER, false)
STAGE(planted_staging_source_not_waited_for, SOURCE_NOT_WAITED_FOR, false)
STAGE(planted_staging_waits_one_short, WAITS_ONE_SHORT, false)
STAGE(planted_staging_another_waits, ANOTHER_WAITS, false)
STAGE(planted_staging_no_wait_at_end, NO_WAIT_AT_END, false)
STAGE(planted_staging_no_commit, NO_COMMIT, false)
STAGE(planted_staging_misaligned, SOURCE_MISALIGNED, false)
// Adds to what is there.
STAGE(sound_staging_adds, NONE, true)

// `stored` is the memory that `to` describes: thread 0 reads it again, into `copy`.
template <bool WAITS_FOR_WRITING>
__device__ __forceinline__ void read_back(const float* in, const ptx::TensorMap* to, const float* stored, float* copy,
                                          int rows) {
    __shared__ alignas(128) float buffer[COLUMNS];
    const int i = threadIdx.x;
    for (int row = 0; row < rows; row++) {
        buffer[i] = in[row * COLUMNS + COLUMNS - 1 - i];
        ptx::fence_proxy_async();
        __syncthreads();
        if (i == 0) {
            ptx::tma_store(to, 0, row, buffer);
            ptx::bulk_commit();
            if (WAITS_FOR_WRITING) ptx::bulk_wait<0>();
            if (!WAITS_FOR_WRITING) ptx::bulk_wait_read<0>(); // planted: read, but perhaps not written
            for (int column = 0; column < COLUMNS; column++) {
                copy[row * COLUMNS + column] = stored[row * COLUMNS + column];
            }
        }
        __syncthreads();
    }
}
extern "C" __global__ void sound_read_back(const float* in, const __grid_constant__ ptx::TensorMap to,
                                           const float* stored, float* copy, int rows) {
    read_back<true>(in, &to, stored, copy, rows);
}
extern "C" __global__ void planted_read_back_too_early(const float* in, const __grid_constant__ ptx::TensorMap to,
                                                       const float* stored, float* copy, int rows) {
    read_back<false>(in, &to, stored, copy, rows);
}

// Thread 0 has rows loaded and stored again from where they are: out[r, c] = in[r, c]. No thread touches them, so there
// is nothing to fence.
template <bool WAITS_FOR_STORE>
__device__ __forceinline__ void copy(const ptx::TensorMap* from, const ptx::TensorMap* to, int rows) {
    __shared__ alignas(128) float buffer[COLUMNS];
    __shared__ uint64_t full;
    if (threadIdx.x != 0) return;
    ptx::mbarrier_init(&full, 1);
    ptx::fence_mbarrier_init();
    for (int row = 0; row < rows; row++) {
        ptx::mbarrier_arrive_expect_tx(&full, sizeof buffer);
        ptx::tma_load(buffer, from, 0, row, &full);
        ptx::mbarrier_wait(&full, row & 1);
        ptx::tma_store(to, 0, row, buffer);
        ptx::bulk_commit();
        if (WAITS_FOR_STORE || row + 1 == rows) ptx::bulk_wait_read<0>(); // planted: the next load overwrites the source
    }
}
extern "C" __global__ void sound_copy(const __grid_constant__ ptx::TensorMap from,
                                      const __grid_constant__ ptx::TensorMap to, int rows) {
    copy<true>(&from, &to, rows);
}
extern "C" __global__ void planted_copy_overwrites_source(const __grid_constant__ ptx::TensorMap from,
                                                          const __grid_constant__ ptx::TensorMap to, int rows) {
    copy<false>(&from, &to, rows);
}
