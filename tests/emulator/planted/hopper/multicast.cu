// planted/hopper/multicast: mistakes among the blocks of a cluster that fill each other's shared memory. Each `planted_`
// kernel has one, its `sound_` twin has not.
#include "../../../../kernels/ptx_hopper.cuh"

constexpr int COLUMNS = 64, ROWS = 2, STAGES = 2, CONSUMERS = 64;
constexpr unsigned BOX = COLUMNS * sizeof(float);

__device__ __forceinline__ void meet_cluster() { ptx::cluster_arrive(), ptx::cluster_wait(); }

// ---- Four blocks of 96 threads in two clusters. As ring.cu, but each block of a cluster has one row of a tile loaded,
// into its own stage and its neighbour's; both blocks read the tile. `from` describes (4 tiles, 64) float32, half of the
// rows for each cluster: out[b, r, c] = in[2 tiles (b / 2) + r, 63 - c].

enum Mistake {
    NONE,
    NO_CLUSTER_BARRIER_BEFORE,
    NO_INIT_FENCE,
    NEIGHBOUR_LEAVES,
    NO_CLUSTER_BARRIER_AFTER,
    COUNTS_OWN_READERS,
    NEIGHBOUR_NOT_TOLD,
    EXPECTS_OWN_ROW,
};

template <Mistake MISTAKE>
__device__ __forceinline__ void multicast(const ptx::TensorMap* from, float* out, int tiles) {
    __shared__ alignas(128) float stages[STAGES][ROWS][COLUMNS];
    __shared__ uint64_t full[STAGES], empty[STAGES];
    const unsigned rank = ptx::cluster_rank();
    const int first = blockIdx.x / 2 * tiles * ROWS; // row of this cluster
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < STAGES; stage++) {
            ptx::mbarrier_init(&full[stage], 1);
            // planted: the neighbour's readers are not waited for
            ptx::mbarrier_init(&empty[stage], MISTAKE == COUNTS_OWN_READERS ? CONSUMERS : 2 * CONSUMERS);
        }
        if (MISTAKE != NO_INIT_FENCE) ptx::fence_mbarrier_init(); // planted: the neighbour may not see the barriers
    }
    if (MISTAKE == NO_CLUSTER_BARRIER_BEFORE) __syncthreads(); // planted: the neighbour may not be as far
    if (MISTAKE != NO_CLUSTER_BARRIER_BEFORE) meet_cluster();

    if (threadIdx.x == 0) {
        for (int tile = 0; tile < tiles; tile++) {
            const int stage = tile % STAGES;
            ptx::mbarrier_wait_cluster(&empty[stage], (tile / STAGES & 1) ^ 1);
            ptx::mbarrier_arrive_expect_tx(&full[stage], MISTAKE == EXPECTS_OWN_ROW ? BOX : ROWS * BOX); // planted
            ptx::tma_load_multicast(stages[stage][rank], from, 0, first + tile * ROWS + rank, &full[stage], 3);
        }
    }
    // planted: one block is done a tile before the other
    const int read = MISTAKE == NEIGHBOUR_LEAVES && rank == 1 ? tiles - 1 : tiles;
    if (threadIdx.x >= 32) {
        const int i = threadIdx.x - 32;
        for (int tile = 0; tile < read; tile++) {
            const int stage = tile % STAGES;
            ptx::mbarrier_wait(&full[stage], tile / STAGES & 1);
            for (int row = 0; row < ROWS; row++) {
                out[((blockIdx.x * tiles + tile) * ROWS + row) * COLUMNS + i] = stages[stage][row][COLUMNS - 1 - i];
            }
            const bool tells_both = MISTAKE != COUNTS_OWN_READERS && MISTAKE != NEIGHBOUR_NOT_TOLD; // planted
            for (unsigned block = 0; block < 2; block++) {
                if (block == rank || tells_both) ptx::mbarrier_arrive_remote(ptx::cluster_address(&empty[stage], block));
            }
        }
    }
    // The neighbour loads into this block's stages, and arrives at its barriers.
    if (MISTAKE != NO_CLUSTER_BARRIER_AFTER && MISTAKE != NEIGHBOUR_LEAVES) meet_cluster(); // planted: none
}

#define MULTICAST(NAME, MISTAKE)                                                                           \
    extern "C" __global__ void NAME(const __grid_constant__ ptx::TensorMap from, float* out, int tiles) { \
        multicast<MISTAKE>(&from, out, tiles);                                                             \
    }
MULTICAST(sound_multicast, NONE)
MULTICAST(planted_multicast_before_neighbour_begins, NO_CLUSTER_BARRIER_BEFORE)
MULTICAST(planted_multicast_no_init_fence, NO_INIT_FENCE)
MULTICAST(planted_multicast_neighbour_leaves, NEIGHBOUR_LEAVES)
MULTICAST(planted_multicast_arrives_at_ended, NO_CLUSTER_BARRIER_AFTER)
MULTICAST(planted_multicast_counts_own_readers, COUNTS_OWN_READERS)
MULTICAST(planted_multicast_neighbour_not_told, NEIGHBOUR_NOT_TOLD)
MULTICAST(planted_multicast_expects_own_row, EXPECTS_OWN_ROW)

// ---- Four blocks of 64 threads in two clusters: each reads its neighbour's numbers and says when it has.
// out[b, i] = in[b ^ 1, 63 - i].

enum HandshakeMistake { POLITE, NO_HANDSHAKE_FENCE, READS_AT_ONCE, LEAVES_AT_ONCE, ARRIVES_ONCE_MORE };

template <HandshakeMistake MISTAKE>
__device__ __forceinline__ void handshake(const float* in, float* out) {
    __shared__ uint32_t values[CONSUMERS];
    __shared__ uint64_t ready, done;
    const unsigned i = threadIdx.x, first = blockIdx.x * CONSUMERS, neighbour = ptx::cluster_rank() ^ 1;
    if (i == 0) {
        ptx::mbarrier_init(&ready, CONSUMERS), ptx::mbarrier_init(&done, CONSUMERS);
        if (MISTAKE != NO_HANDSHAKE_FENCE) ptx::fence_mbarrier_init(); // planted: the neighbour may not see the barriers
    }
    meet_cluster();
    values[i] = __float_as_uint(in[first + i]);
    ptx::mbarrier_arrive_remote(ptx::cluster_address(&ready, neighbour));
    if (MISTAKE != READS_AT_ONCE) ptx::mbarrier_wait_cluster(&ready, 0); // planted: its numbers are not there
    const uint32_t found = ptx::load_cluster_4(ptx::cluster_address(&values[CONSUMERS - 1 - i], neighbour));
    out[first + i] = __uint_as_float(found);
    ptx::mbarrier_arrive_remote(ptx::cluster_address(&done, neighbour));
    if (MISTAKE != LEAVES_AT_ONCE) ptx::mbarrier_wait_cluster(&done, 0); // planted: the neighbour reads them yet
    // planted: the neighbour does not wait for this one
    if (MISTAKE == ARRIVES_ONCE_MORE) ptx::mbarrier_arrive_remote(ptx::cluster_address(&done, neighbour));
}
extern "C" __global__ void sound_handshake(const float* in, float* out, int) { handshake<POLITE>(in, out); }
extern "C" __global__ void planted_handshake_no_init_fence(const float* in, float* out, int) { handshake<NO_HANDSHAKE_FENCE>(in, out); }
extern "C" __global__ void planted_handshake_reads_at_once(const float* in, float* out, int) { handshake<READS_AT_ONCE>(in, out); }
extern "C" __global__ void planted_handshake_leaves_at_once(const float* in, float* out, int) { handshake<LEAVES_AT_ONCE>(in, out); }
extern "C" __global__ void planted_handshake_arrives_once_more(const float* in, float* out, int) { handshake<ARRIVES_ONCE_MORE>(in, out); }
