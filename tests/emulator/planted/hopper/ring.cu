// planted/hopper/ring: mistakes in a ring of stages that TMA fills and threads read. Each `planted_` kernel has one, its
// `sound_` twin has not.
//
// One block of 96 threads: thread 0 has rows loaded, warps 1 and 2 read them. `from` describes (2 tiles, 64) float32 in
// boxes of one row; a stage holds a tile, which is two rows. out[r, c] = in[r, 63 - c].
#include "../../../../kernels/ptx_hopper.cuh"

constexpr int COLUMNS = 64, ROWS = 2, STAGES = 2, CONSUMERS = 64;
constexpr unsigned BOX = COLUMNS * sizeof(float);

enum Mistake {
    NONE,
    NO_BARRIER_AFTER_INIT,
    NO_INIT_FENCE,
    INITIALISED_BY_ALL,
    ONE_ARRIVAL_TOO_MANY,
    ONE_ARRIVAL_TOO_FEW,
    FULL_LACKS_AN_ARRIVAL,
    LANES_ARRIVE,
    PARITY_NEVER_FLIPS,
    PRODUCER_STARTS_LATE,
    CONSUMERS_START_EARLY,
    EXPECTS_TOO_LITTLE,
    EXPECTS_TOO_MUCH,
    EXPECTS_NOTHING,
    STAGE_NOT_WAITED_FOR,
    ARRIVES_BEFORE_READING,
    ONE_WARP_ARRIVES,
    TILE_NOT_WAITED_FOR,
    DESTINATION_MISALIGNED,
    STAGE_TOO_SMALL,
    LOADS_ONE_TOO_MANY,
    NO_FENCE_AFTER_CLEARING,
    FENCE_BEFORE_CLEARING,
};

template <Mistake MISTAKE, bool CLEARS>
__device__ __forceinline__ void ring(const ptx::TensorMap* from, float* out, int tiles) {
    constexpr int ALL = STAGES * ROWS * COLUMNS, FLOATS = MISTAKE == STAGE_TOO_SMALL ? ALL - COLUMNS : ALL; // planted
    __shared__ alignas(128) float stages[FLOATS];
    __shared__ uint64_t full[STAGES], empty[STAGES];

    // planted: an arrival that never comes; or the last reader is not waited for
    constexpr unsigned READERS = MISTAKE == ONE_ARRIVAL_TOO_MANY  ? CONSUMERS + 1
                                 : MISTAKE == ONE_ARRIVAL_TOO_FEW ? CONSUMERS - 1
                                 : MISTAKE == ONE_WARP_ARRIVES    ? 32
                                                                  : CONSUMERS;
    const unsigned initialisers = MISTAKE == INITIALISED_BY_ALL ? 32 : 1; // planted: every lane
    if (threadIdx.x < initialisers) {
        for (int stage = 0; stage < STAGES; stage++) {
            ptx::mbarrier_init(&full[stage], MISTAKE == FULL_LACKS_AN_ARRIVAL ? 2 : 1); // planted: one thread arrives
            ptx::mbarrier_init(&empty[stage], READERS);
        }
        if (MISTAKE != NO_INIT_FENCE) ptx::fence_mbarrier_init(); // planted: TMA may not see the barriers
    }
    if (MISTAKE != NO_BARRIER_AFTER_INIT) __syncthreads(); // planted: others may not either

    const unsigned producers = MISTAKE == LANES_ARRIVE ? 32 : 1; // planted: where one should
    if (threadIdx.x < producers) {
        const int loaded = MISTAKE == LOADS_ONE_TOO_MANY ? tiles + 1 : tiles; // planted: nobody waits for the last
        for (int tile = 0; tile < loaded; tile++) {
            const int stage = tile % STAGES;
            const unsigned parity = tile / STAGES & 1;
            // planted: the stage is overwritten while it is read; or waits for a phase that has not begun
            if (MISTAKE != STAGE_NOT_WAITED_FOR) {
                ptx::mbarrier_wait(&empty[stage], MISTAKE == PRODUCER_STARTS_LATE ? parity : parity ^ 1);
            }
            // planted: fewer bytes than are loaded; more; none
            const unsigned bytes = MISTAKE == EXPECTS_TOO_LITTLE ? BOX : MISTAKE == EXPECTS_TOO_MUCH ? 3 * BOX : 2 * BOX;
            if (MISTAKE == EXPECTS_NOTHING) ptx::mbarrier_arrive(&full[stage]);
            if (MISTAKE != EXPECTS_NOTHING) ptx::mbarrier_arrive_expect_tx(&full[stage], bytes);
            if (threadIdx.x != 0) continue;
            for (int row = 0; row < ROWS; row++) {
                float* to = &stages[(stage * ROWS + row) * COLUMNS];
                if (MISTAKE == DESTINATION_MISALIGNED && row == 0) to += 16; // planted: 64 bytes on
                ptx::tma_load(to, from, 0, tile * ROWS + row, &full[stage]);
            }
        }
    }
    if (threadIdx.x < 32) return;

    const int i = threadIdx.x - 32;
    for (int tile = 0; tile < tiles; tile++) {
        const int stage = tile % STAGES;
        const unsigned parity = tile / STAGES & 1;
        if (MISTAKE != TILE_NOT_WAITED_FOR) { // planted: read before it is there
            // planted: that of the first tile for ever; of the phase before the first
            const unsigned early = parity ^ unsigned(MISTAKE == CONSUMERS_START_EARLY);
            ptx::mbarrier_wait(&full[stage], MISTAKE == PARITY_NEVER_FLIPS ? 0 : early);
        }
        if (MISTAKE == ARRIVES_BEFORE_READING) ptx::mbarrier_arrive(&empty[stage]); // planted
        for (int row = 0; row < ROWS; row++) {
            float& element = stages[(stage * ROWS + row) * COLUMNS + COLUMNS - 1 - i];
            out[(tile * ROWS + row) * COLUMNS + i] = element;
            if (CLEARS && MISTAKE == FENCE_BEFORE_CLEARING) ptx::fence_proxy_async(); // planted: the order
            if (CLEARS) element = 0;
        }
        // TMA overwrites what this thread has written.
        if (CLEARS && MISTAKE == NONE) ptx::fence_proxy_async(); // planted: none
        const bool arrives = MISTAKE != ONE_WARP_ARRIVES || i < 32; // planted: the other warp is not waited for
        if (MISTAKE != ARRIVES_BEFORE_READING && arrives) ptx::mbarrier_arrive(&empty[stage]);
    }
}

#define RING(NAME, MISTAKE, CLEARS)                                                                        \
    extern "C" __global__ void NAME(const __grid_constant__ ptx::TensorMap from, float* out, int tiles) { \
        ring<MISTAKE, CLEARS>(&from, out, tiles);                                                          \
    }
RING(sound_ring, NONE, false)
RING(planted_ring_barrier_not_there, NO_BARRIER_AFTER_INIT, false)
RING(planted_ring_no_init_fence, NO_INIT_FENCE, false)
RING(planted_ring_initialised_by_all, INITIALISED_BY_ALL, false)
RING(planted_ring_one_arrival_too_many, ONE_ARRIVAL_TOO_MANY, false)
RING(planted_ring_one_arrival_too_few, ONE_ARRIVAL_TOO_FEW, false)
RING(planted_ring_full_lacks_an_arrival, FULL_LACKS_AN_ARRIVAL, false)
RING(planted_ring_lanes_arrive, LANES_ARRIVE, false)
RING(planted_ring_parity_never_flips, PARITY_NEVER_FLIPS, false)
RING(planted_ring_producer_starts_late, PRODUCER_STARTS_LATE, false)
RING(planted_ring_consumers_start_early, CONSUMERS_START_EARLY, false)
RING(planted_ring_expects_too_little, EXPECTS_TOO_LITTLE, false)
RING(planted_ring_expects_too_much, EXPECTS_TOO_MUCH, false)
RING(planted_ring_expects_nothing, EXPECTS_NOTHING, false)
RING(planted_ring_stage_not_waited_for, STAGE_NOT_WAITED_FOR, false)
RING(planted_ring_arrives_before_reading, ARRIVES_BEFORE_READING, false)
RING(planted_ring_one_warp_arrives, ONE_WARP_ARRIVES, false)
RING(planted_ring_tile_not_waited_for, TILE_NOT_WAITED_FOR, false)
RING(planted_ring_misaligned, DESTINATION_MISALIGNED, false)
RING(planted_ring_stage_too_small, STAGE_TOO_SMALL, false)
RING(planted_ring_loads_one_too_many, LOADS_ONE_TOO_MANY, false)
// As ring; threads clear what they have read.
RING(sound_ring_cleared, NONE, true)
RING(planted_ring_cleared_without_fence, NO_FENCE_AFTER_CLEARING, true)
RING(planted_ring_cleared_after_fence, FENCE_BEFORE_CLEARING, true)

// Barriers without TMA. One block of 64 threads: warp 0 hands 32 numbers a round to warp 1.
// out[round, i] = in[round, 31 - i].
enum RelayMistake { NO_RELAY_MISTAKE, RUNS_AHEAD, INVALIDATED_EARLY, OVERWRITTEN };

template <RelayMistake MISTAKE>
__device__ __forceinline__ void relay(const float* in, float* out, int rounds) {
    struct Handed {
        float values[32];
        uint64_t ready, taken;
    };
    __shared__ Handed handed;
    if (threadIdx.x == 0) ptx::mbarrier_init(&handed.ready, 32), ptx::mbarrier_init(&handed.taken, 32);
    __syncthreads();
    const int i = threadIdx.x % 32;
    for (int round = 0; round < rounds; round++) {
        if (threadIdx.x < 32) {
            // planted: the last round may not have been read
            if (MISTAKE != RUNS_AHEAD) ptx::mbarrier_wait(&handed.taken, (round & 1) ^ 1);
            handed.values[i] = in[round * 32 + i];
            if (MISTAKE == OVERWRITTEN && i == 0) handed.values[32] = 0; // planted: one past the end
            ptx::mbarrier_arrive(&handed.ready);
        } else {
            ptx::mbarrier_wait(&handed.ready, round & 1);
            out[round * 32 + i] = handed.values[31 - i];
            ptx::mbarrier_arrive(&handed.taken);
        }
        // planted: others still use it
        if (MISTAKE == INVALIDATED_EARLY && threadIdx.x == 0) ptx::mbarrier_invalidate(&handed.ready);
    }
    __syncthreads();
    if (MISTAKE != INVALIDATED_EARLY && threadIdx.x == 0) ptx::mbarrier_invalidate(&handed.ready);
}
extern "C" __global__ void sound_relay(const float* in, float* out, int n) { relay<NO_RELAY_MISTAKE>(in, out, n); }
extern "C" __global__ void planted_relay_runs_ahead(const float* in, float* out, int n) { relay<RUNS_AHEAD>(in, out, n); }
extern "C" __global__ void planted_relay_invalidated_early(const float* in, float* out, int n) { relay<INVALIDATED_EARLY>(in, out, n); }
extern "C" __global__ void planted_relay_overwritten(const float* in, float* out, int n) { relay<OVERWRITTEN>(in, out, n); }
