// broadcast: what several blocks need, they fetch once: each a part, for all of a cluster. And sums by the TMA.
//
//   Y_b (rows, columns) += M (rows, columns) for every block b of a cluster, float32
//
// A cluster takes boxes of 8 x 32 of M. Of each, block b of `size` loads 8 / size rows and has the TMA put them into the
// shared memory of all blocks at once (multicast): the box crosses the second-level cache's wires once instead of
// `size` times. When a block has the whole box, the TMA adds it to the block's own Y_b, straight out of shared memory:
// no thread touches a number. Clusters share the boxes: cluster c takes boxes c, c + clusters, and so on.
//
// The barriers of a stage, in every block:
//
//   full[s]:  1 arrival and the bytes of the whole box    all parts have landed here
//   empty[s]: `size` arrivals                             all blocks are done with theirs
//
// A part lands everywhere, so a block may ask for the next only when the stage is empty everywhere: each block tells
// every other, across the cluster. A part may land before the block that it lands in has said how many bytes it expects.
// That is fine: the phase lacks that block's arrival until then.
//
// y (size, part, columns), part = rows rounded up to a multiple of 8: a box that reaches below M adds its zeros between
// Y_b and the next.
//
// launch: grid=(clusters * size) block=(64), in clusters of 1, 2, 4 or 8 blocks
#include <cstdint>

#include "ptx_hopper.cuh"

constexpr int ROWS = 8, COLUMNS = 32, BOX_BYTES = ROWS * COLUMNS * 4;
constexpr int STAGES = 2, THREADS = 64;
constexpr int PRODUCER = 0, CONSUMER = 32; // threads, of two warps, so that neither waits for the other's branch

extern "C" __global__ void __launch_bounds__(THREADS)
    broadcast_add(const __grid_constant__ ptx::TensorMap m, const __grid_constant__ ptx::TensorMap y, int rows,
                  int columns) {
    __shared__ alignas(128) float ring[STAGES][ROWS][COLUMNS];
    __shared__ uint64_t full[STAGES], empty[STAGES];
    const int rank = ptx::cluster_rank(), size = ptx::cluster_size();
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < STAGES; stage++) {
            ptx::mbarrier_init(&full[stage], 1);
            ptx::mbarrier_init(&empty[stage], size);
        }
        ptx::fence_mbarrier_init(); // other blocks and their copies will use them
    }
    ptx::cluster_arrive(), ptx::cluster_wait(); // all blocks have begun, and their barriers are there
    const int across = (columns + COLUMNS - 1) / COLUMNS, down = (rows + ROWS - 1) / ROWS, boxes = across * down;
    const int clusters = gridDim.x / size, first = blockIdx.x / size;
    int turn = 0, stage = 0;
    if (threadIdx.x == PRODUCER) {
        const int own = rank * (ROWS / size); // the first row of this block's part
        for (int box = first; box < boxes; box += clusters) {
            if (turn > 0) ptx::mbarrier_wait_cluster(&empty[stage], (turn - 1) % 2); // all blocks have added the box before
            ptx::mbarrier_arrive_expect_tx(&full[stage], BOX_BYTES);
            ptx::tma_load_multicast(ring[stage][own], &m, box % across * COLUMNS, box / across * ROWS + own, &full[stage],
                                    uint16_t((1 << size) - 1));
            if (++stage == STAGES) stage = 0, turn++;
        }
    } else if (threadIdx.x == CONSUMER) {
        for (int box = first; box < boxes; box += clusters) {
            ptx::mbarrier_wait(&full[stage], turn % 2); // the parts of all blocks have landed
            ptx::tma_reduce_add(&y, box % across * COLUMNS, (rank * down + box / across) * ROWS, ring[stage]);
            ptx::bulk_commit();
            ptx::bulk_wait_read<0>(); // the TMA has read the stage, the last one before the block ends
#pragma unroll 1 // each arrival waits for this thread's accesses anyway
            for (int other = 0; other < size; other++) {
                ptx::mbarrier_arrive_remote(ptx::cluster_address(&empty[stage], other));
            }
            if (++stage == STAGES) stage = 0, turn++;
        }
    }
    ptx::cluster_arrive(), ptx::cluster_wait(); // no block ends while others arrive at its barriers
}
