// ring: a pipeline of copies by the Tensor Memory Accelerator. One warp fetches, two compute, nobody waits in between.
//
//   Y (rows, columns) = 2 X (rows, columns), float32, row-major
//
// A matrix is cut into boxes of 8 x 32, which the blocks take in turn: block b boxes b, b + blocks, and so on. In a block
// the producer, one thread of the first warp, asks the TMA for a box, and goes on to ask for the next: the TMA computes
// addresses, fills with zeros beyond the edges and leaves them out when it stores. The consumers, the other two warps,
// double what has come.
//
// Between them is a ring of STAGES boxes. Of each stage two barriers tell who may touch it:
//
//   full[s]:  1 arrival and a box's bytes     its box has landed: consumers may read
//   empty[s]: 64 arrivals                     all consumers have read it: the producer may have it filled again
//
// Both start over by themselves, so a wait names the phase by its parity: the turn of the ring, modulo 2.
//
// On the way out there is one tile, and two barriers more that only the consumers know: `written` (64 arrivals) before the
// TMA reads it, `taken` (1 arrival) before they write it again. They could be one barrier of the whole block, if the
// producer were not ahead of it.
//
// Proxies: the TMA reaches shared memory by a path of its own. A thread that has written the tile says so by
// fence.proxy.async before it arrives at `written`. The way in needs none: the bytes that a barrier counts are there.
//
// Traffic: X read once, Y written once. Shared memory: 4 KiB, so that the whole ring is seen to turn in small matrices;
// a kernel in earnest has boxes of 16 KiB and more, as many as lie between asking and landing.
//
// launch: grid=(up to the number of boxes) block=(96)
#include <cstdint>

#include "ptx_hopper.cuh"

constexpr int ROWS = 8, COLUMNS = 32, BOX = ROWS * COLUMNS, BOX_BYTES = BOX * 4;
constexpr int STAGES = 3;
constexpr int PRODUCERS = 32, CONSUMERS = 64, THREADS = PRODUCERS + CONSUMERS;

extern "C" __global__ void __launch_bounds__(THREADS)
    ring_scale(const __grid_constant__ ptx::TensorMap x, const __grid_constant__ ptx::TensorMap y, int rows, int columns) {
    __shared__ alignas(128) float ring[STAGES][BOX];
    __shared__ alignas(128) float tile[BOX];
    __shared__ uint64_t full[STAGES], empty[STAGES], written, taken;
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < STAGES; stage++) {
            ptx::mbarrier_init(&full[stage], 1);
            ptx::mbarrier_init(&empty[stage], CONSUMERS);
        }
        ptx::mbarrier_init(&written, CONSUMERS);
        ptx::mbarrier_init(&taken, 1);
        ptx::fence_mbarrier_init(); // the TMA will count at them
    }
    __syncthreads(); // the barriers are there for all threads
    const int across = (columns + COLUMNS - 1) / COLUMNS, boxes = across * ((rows + ROWS - 1) / ROWS);
    if (threadIdx.x < PRODUCERS) {
        if (threadIdx.x != 0) return;
        ptx::tma_prefetch(&x), ptx::tma_prefetch(&y);
        int turn = 0, stage = 0;
        for (int box = blockIdx.x; box < boxes; box += gridDim.x) {
            if (turn > 0) ptx::mbarrier_wait(&empty[stage], (turn - 1) % 2); // the box before has been read
            ptx::mbarrier_arrive_expect_tx(&full[stage], BOX_BYTES);
            ptx::tma_load(ring[stage], &x, box % across * COLUMNS, box / across * ROWS, &full[stage]);
            if (++stage == STAGES) stage = 0, turn++;
        }
        return; // the consumers wait for all that was loaded
    }
    const int thread = threadIdx.x - PRODUCERS;
    int turn = 0, stage = 0, parity = 0; // parity: of the phase that `written` is in
    for (int box = blockIdx.x; box < boxes; box += gridDim.x) {
        float held[BOX / CONSUMERS];
        ptx::mbarrier_wait(&full[stage], turn % 2); // the box has landed
        for (int i = 0; i < BOX / CONSUMERS; i++) held[i] = ring[stage][i * CONSUMERS + thread];
        ptx::mbarrier_arrive(&empty[stage]); // this thread's part of it is in registers
        if (box != int(blockIdx.x)) {        // the tile has held a box already
            if (thread == 0) {
                ptx::bulk_wait_read<0>();     // the TMA has read the tile
                ptx::mbarrier_arrive(&taken); // and the other consumers hear of it
            }
            ptx::mbarrier_wait(&taken, parity ^ 1); // the tile may be written again
        }
        for (int i = 0; i < BOX / CONSUMERS; i++) tile[i * CONSUMERS + thread] = 2.0f * held[i];
        ptx::fence_proxy_async(); // these numbers before the TMA's reads, which do not follow a thread's order
        ptx::mbarrier_arrive(&written);
        if (thread == 0) {
            ptx::mbarrier_wait(&written, parity); // all consumers have written and fenced
            ptx::tma_store(&y, box % across * COLUMNS, box / across * ROWS, tile);
            ptx::bulk_commit();
        }
        parity ^= 1;
        if (++stage == STAGES) stage = 0, turn++;
    }
    if (thread == 0) ptx::bulk_wait<0>(); // the last box is in Y before the block ends, and its tile with it
}
