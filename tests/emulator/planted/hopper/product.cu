// planted/hopper/product: mistakes around wgmma. Each `planted_` kernel has one, its `sound_` twin has not.
//
// One block computes D (64, 16) = A (64, k) B^T, B (16, k), both bfloat16 and row-major (K-major); D float32.
#include "../../../../kernels/ptx_wgmma.cuh"

constexpr int M = 64, N = 16, STEP = 16; // of k, of one wgmma

// A warpgroup's accumulators, where the PTX ISA has them.
__device__ __forceinline__ void write_out(float* out, const float (&d)[N / 2]) {
    const int t = threadIdx.x;
    for (int i = 0; i < N / 2; i++) {
        out[(16 * (t / 32) + t % 32 / 4 + 8 * (i / 2 % 2)) * N + 8 * (i / 4) + 2 * (t % 4) + i % 2] = d[i];
    }
}

// ---- Tiles by TMA: thread 128 has them loaded, threads 0 to 127 multiply. A tile is 64 wide, with the swizzle of 128
// bytes.

constexpr int WIDTH = 64, STAGES = 2, ROW_BYTES = 2 * WIDTH, A_BYTES = M * ROW_BYTES, B_BYTES = N * ROW_BYTES;

enum Mistake {
    NONE,
    TILE_NOT_WAITED_FOR,
    NO_WGMMA_FENCE,
    NO_WGMMA_COMMIT,
    WAITS_ONE_SHORT,
    READS_BEFORE_WAIT,
    ARRIVES_BEFORE_WAIT,
    WRONG_STRIDE,
    WRONG_SWIZZLE,
    ATOM_MISALIGNED,
    HALF_A_WARPGROUP,
    LANES_DISAGREE,
    NO_WAIT_AT_END,
};

template <Mistake MISTAKE>
__device__ __forceinline__ void product(const ptx::TensorMap* a, const ptx::TensorMap* b, float* out, int tiles) {
    constexpr int ATOM = 1024, STAGE_BYTES = A_BYTES + B_BYTES;
    __shared__ alignas(1024) unsigned char memory[STAGES * STAGE_BYTES + ATOM / 2];
    __shared__ uint64_t full[STAGES], empty[STAGES];
    unsigned char* stages = MISTAKE == ATOM_MISALIGNED ? memory + ATOM / 2 : memory; // planted: rows 4 to 7 come first
    if (threadIdx.x == 128) {
        for (int stage = 0; stage < STAGES; stage++) {
            ptx::mbarrier_init(&full[stage], 1);
            ptx::mbarrier_init(&empty[stage], 128);
        }
        ptx::fence_mbarrier_init();
    }
    __syncthreads();

    if (threadIdx.x >= 128) {
        if (threadIdx.x != 128) return;
        for (int tile = 0; tile < tiles; tile++) {
            const int stage = tile % STAGES;
            ptx::mbarrier_wait(&empty[stage], (tile / STAGES & 1) ^ 1);
            ptx::mbarrier_arrive_expect_tx(&full[stage], STAGE_BYTES);
            ptx::tma_load(stages + stage * STAGE_BYTES, a, tile * WIDTH, 0, &full[stage]);
            ptx::tma_load(stages + stage * STAGE_BYTES + A_BYTES, b, tile * WIDTH, 0, &full[stage]);
        }
        return;
    }

    float d[N / 2] = {};
    for (int tile = 0; tile < tiles; tile++) {
        const int stage = tile % STAGES;
        if (MISTAKE != TILE_NOT_WAITED_FOR) ptx::mbarrier_wait(&full[stage], tile / STAGES & 1); // planted: none
        const unsigned char* tile_a = stages + stage * STAGE_BYTES;
        const unsigned char* tile_b = tile_a + A_BYTES;
        constexpr unsigned STRIDE = MISTAKE == WRONG_STRIDE ? 512 : 1024; // planted: eight rows are 1024 bytes
        // planted: another swizzle than the map's
        constexpr ptx::Swizzle SWIZZLE = MISTAKE == WRONG_SWIZZLE ? ptx::Swizzle::BYTES_64 : ptx::Swizzle::BYTES_128;
        if (MISTAKE != NO_WGMMA_FENCE) ptx::wgmma_fence(); // planted: none
        for (int k = 0; k < WIDTH; k += STEP) {
            uint64_t from_a = ptx::wgmma_descriptor(tile_a + 2 * k, 16, STRIDE, SWIZZLE);
            const uint64_t from_b = ptx::wgmma_descriptor(tile_b + 2 * k, 16, STRIDE, SWIZZLE);
            if (MISTAKE == LANES_DISAGREE && threadIdx.x == 5) from_a = from_b; // planted: in one thread
            const bool comes = MISTAKE != HALF_A_WARPGROUP || threadIdx.x < 64; // planted: warps 2 and 3 do not
            if (comes) ptx::wgmma_bf16(d, from_a, from_b, tile > 0 || k > 0);
        }
        if (MISTAKE != NO_WGMMA_COMMIT) ptx::wgmma_commit(); // planted: there is no group to wait for
        if (MISTAKE == ARRIVES_BEFORE_WAIT) ptx::mbarrier_arrive(&empty[stage]); // planted: it may be read yet
        ptx::wgmma_wait<1>(d); // the group before this one has read its stage
        if (MISTAKE != ARRIVES_BEFORE_WAIT && tile > 0) ptx::mbarrier_arrive(&empty[(tile - 1) % STAGES]);
    }
    if (MISTAKE == READS_BEFORE_WAIT) write_out(out, d); // planted
    if (MISTAKE == NO_WAIT_AT_END) return; // planted: the last group is under way
    ptx::wgmma_wait<MISTAKE == WAITS_ONE_SHORT>(d); // planted: 1, and the last group may be under way
    if (MISTAKE != READS_BEFORE_WAIT) write_out(out, d);
}

#define PRODUCT(NAME, MISTAKE)                                                                            \
    extern "C" __global__ void NAME(const __grid_constant__ ptx::TensorMap a,                             \
                                    const __grid_constant__ ptx::TensorMap b, float* out, int tiles) { \
        product<MISTAKE>(&a, &b, out, tiles);                                                             \
    }
PRODUCT(sound_product, NONE)
PRODUCT(planted_product_tile_not_waited_for, TILE_NOT_WAITED_FOR)
PRODUCT(planted_product_no_wgmma_fence, NO_WGMMA_FENCE)
PRODUCT(planted_product_no_commit, NO_WGMMA_COMMIT)
PRODUCT(planted_product_waits_one_short, WAITS_ONE_SHORT)
PRODUCT(planted_product_reads_before_wait, READS_BEFORE_WAIT)
PRODUCT(planted_product_arrives_before_wait, ARRIVES_BEFORE_WAIT)
PRODUCT(planted_product_wrong_stride, WRONG_STRIDE)
PRODUCT(planted_product_wrong_swizzle, WRONG_SWIZZLE)
PRODUCT(planted_product_atom_misaligned, ATOM_MISALIGNED)
PRODUCT(planted_product_half_a_warpgroup, HALF_A_WARPGROUP)
PRODUCT(planted_product_lanes_disagree, LANES_DISAGREE)
PRODUCT(planted_product_no_wait_at_end, NO_WAIT_AT_END)

// ---- Tiles by threads: 256 of them write 16 columns of A and B, in matrices of 8 rows of 16 bytes, and half of them
// multiply.

constexpr int WRITERS = 256;

enum WritersMistake { SOUND, NO_FENCE, FENCE_BEFORE_WRITING, FENCE_BY_ONE, NO_BARRIER, OVERWRITTEN_BEFORE_WAIT };

// Where element (row, k) lies.
__device__ __forceinline__ int place(int row, int k) { return (row / 8 * 2 + k / 8) * 64 + row % 8 * 8 + k % 8; }

template <WritersMistake MISTAKE>
__device__ __forceinline__ void product_of_written(const uint16_t* a, const uint16_t* b, float* out, int k) {
    __shared__ alignas(16) uint16_t tile_a[M * STEP], tile_b[N * STEP];
    float d[N / 2] = {};
    for (int first = 0; first < k; first += STEP) {
        if (MISTAKE == FENCE_BEFORE_WRITING) ptx::fence_proxy_async(); // planted: it orders what came before it
        for (int i = threadIdx.x; i < M * STEP; i += WRITERS) {
            tile_a[place(i / STEP, i % STEP)] = a[i / STEP * k + first + i % STEP];
        }
        for (int i = threadIdx.x; i < N * STEP; i += WRITERS) {
            tile_b[place(i / STEP, i % STEP)] = b[i / STEP * k + first + i % STEP];
        }
        const bool fences = MISTAKE == SOUND || MISTAKE == NO_BARRIER || MISTAKE == OVERWRITTEN_BEFORE_WAIT;
        if (fences) ptx::fence_proxy_async(); // planted: none
        if (MISTAKE != NO_BARRIER) __syncthreads(); // planted: others have not written
        if (MISTAKE == FENCE_BY_ONE && threadIdx.x == 0) ptx::fence_proxy_async(); // planted: for its own writes alone
        if (threadIdx.x < 128) {
            ptx::wgmma_fence();
            ptx::wgmma_bf16(d, ptx::wgmma_descriptor(tile_a, 128, 256, ptx::Swizzle::NONE),
                            ptx::wgmma_descriptor(tile_b, 128, 256, ptx::Swizzle::NONE), first > 0);
            ptx::wgmma_commit();
            if (MISTAKE != OVERWRITTEN_BEFORE_WAIT) ptx::wgmma_wait<0>(d); // planted: the next tile overwrites this one
        }
        __syncthreads();
    }
    if (threadIdx.x >= 128) return;
    ptx::wgmma_wait<0>(d);
    write_out(out, d);
}
#define WRITTEN(NAME, MISTAKE)                                                                 \
    extern "C" __global__ void NAME(const uint16_t* a, const uint16_t* b, float* out, int k) { \
        product_of_written<MISTAKE>(a, b, out, k);                                             \
    }
WRITTEN(sound_product_of_written, SOUND)
WRITTEN(planted_product_no_proxy_fence, NO_FENCE)
WRITTEN(planted_product_fence_before_writing, FENCE_BEFORE_WRITING)
WRITTEN(planted_product_fence_by_one, FENCE_BY_ONE)
WRITTEN(planted_product_no_barrier, NO_BARRIER)
WRITTEN(planted_product_overwritten, OVERWRITTEN_BEFORE_WAIT)

// ---- A in registers: 128 threads hold fragments of A, and B lies in shared memory as above.

enum FragmentsMistake { INTACT, CHANGED_BEFORE_WAIT, LOADED_BEFORE_WAIT, SCALED_WITHOUT_FENCE };

template <FragmentsMistake MISTAKE>
__device__ __forceinline__ void product_of_fragments(const uint16_t* a, const uint16_t* b, float* out, int k) {
    __shared__ alignas(16) uint16_t tile_b[4][N * STEP]; // k is 64 at most
    for (int i = threadIdx.x; i < N * k; i += 128) tile_b[i % k / STEP][place(i / k, i % STEP)] = b[i];
    ptx::fence_proxy_async();
    __syncthreads();
    const int t = threadIdx.x;
    float d[N / 2] = {};
    uint32_t fragments[4];
    if (MISTAKE == SCALED_WITHOUT_FENCE) ptx::wgmma_fence(); // planted: before the first, and never again
    for (int first = 0; first < k; first += STEP) {
        for (int i = 0; i < 4; i++) {
            const int row = 16 * (t / 32) + t % 32 / 4 + i % 2 * 8, column = first + 2 * (t % 4) + i / 2 * 8;
            fragments[i] = a[row * k + column] | uint32_t(a[row * k + column + 1]) << 16;
        }
        if (MISTAKE != SCALED_WITHOUT_FENCE) ptx::wgmma_fence();
        ptx::wgmma_bf16(d, fragments, ptx::wgmma_descriptor(tile_b[first / STEP], 128, 256, ptx::Swizzle::NONE), first > 0);
        ptx::wgmma_commit();
        if (MISTAKE == LOADED_BEFORE_WAIT) continue; // planted: the next fragments take the registers of these
        if (MISTAKE == CHANGED_BEFORE_WAIT) fragments[0] = 0; // planted: wgmma may read it yet
        ptx::wgmma_wait<0>(d);
        ptx::wgmma_keep(fragments);
        for (float& element : d) element *= 0.5f; // so that accumulators change between two wgmma
        for (float& element : d) element *= 2;
    }
    ptx::wgmma_wait<0>(d);
    write_out(out, d);
}
extern "C" __global__ void sound_product_of_fragments(const uint16_t* a, const uint16_t* b, float* out, int k) {
    product_of_fragments<INTACT>(a, b, out, k);
}
extern "C" __global__ void planted_product_fragments_changed(const uint16_t* a, const uint16_t* b, float* out, int k) {
    product_of_fragments<CHANGED_BEFORE_WAIT>(a, b, out, k);
}
extern "C" __global__ void planted_product_fragments_replaced(const uint16_t* a, const uint16_t* b, float* out, int k) {
    product_of_fragments<LOADED_BEFORE_WAIT>(a, b, out, k);
}
extern "C" __global__ void planted_product_scaled_without_fence(const uint16_t* a, const uint16_t* b, float* out, int k) {
    product_of_fragments<SCALED_WITHOUT_FENCE>(a, b, out, k);
}
