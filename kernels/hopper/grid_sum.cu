// grid_sum: one sum over everything, by blocks that wait for one another through flags in global memory.
//
//   sum = x[0] + ... + x[count - 1]    float32
//
// Each block leaves its partial sum and then raises its flag; the first block waits for the flags of all and adds what
// they left. One kernel instead of two, and additions in an order that count and blocks alone decide. The blocks
// have to be on the device together, or the first might wait for one that never gets its turn: a cooperative launch.
//
// Memory order: a flag is raised by a release and looked at by an acquire, so who sees it raised sees the partial sum
// too. A barrier of the block stands before the release if other threads than the releasing one have written; here it
// has written the sum itself.
//
// Rounds: nobody lowers the flags again. Each call raises every flag by one, and the first block, alone with its own
// flag, reads there which number the others' will have: calls with the same memory, and a graph that is replayed, go on
// counting, 2^32 - 1 of them; then the flags have to be lowered.
//
// Traffic: x read once. partials (blocks); flags (blocks), zero before the first call.
//
// launch: grid=(as many blocks as the device holds at once, or fewer) block=(128), cooperative
#include "../common.cuh"
#include "ptx_hopper.cuh"

constexpr int THREADS = 128;

extern "C" __global__ void __launch_bounds__(THREADS)
    grid_sum(const float* x, float* sum, float* partials, unsigned* flags, int64_t count) {
    float own = 0.0f;
    for (int64_t i = int64_t(blockIdx.x) * THREADS + threadIdx.x; i < count; i += int64_t(gridDim.x) * THREADS) own += x[i];
    own = block_reduce<Sum, THREADS>(own);
    const unsigned round = blockIdx.x == 0 ? flags[0] + 1 : 0;
    if (blockIdx.x == 0) __syncthreads(); // all threads know the round before thread 0 raises the flag that tells it
    if (threadIdx.x == 0) {
        partials[blockIdx.x] = own;
        ptx::add_release(&flags[blockIdx.x], 1); // the partial sum before the flag
    }
    if (blockIdx.x != 0) return;
    float total = 0.0f;
    for (unsigned block = threadIdx.x; block < gridDim.x; block += THREADS) {
        while (ptx::load_acquire(&flags[block]) < round) { // the flag before the partial sum
        }
        total += partials[block];
    }
    total = block_reduce<Sum, THREADS>(total);
    if (threadIdx.x == 0) *sum = total;
}
