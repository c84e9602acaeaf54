// cluster_sum: sums of long rows, by several blocks a row that read each other's shared memory.
//
//   sums[r] = x[r, 0] + ... + x[r, columns - 1]    x (rows, columns), row-major, float32
//
// A cluster takes a row, each of its blocks a stretch of it. A block's sum stays in its shared memory, from where the
// first block fetches it (distributed shared memory): no scratch in global memory, no second kernel, no atomics whose
// order differs from run to run. Two barriers of the cluster: the sums are there before they are fetched, and they are
// fetched before their blocks end, for a block that has ended has no shared memory.
//
// Traffic: x read once, a number a row written. The order of additions depends on the shape alone.
//
// launch: grid=(rows * size) block=(128), in clusters of `size` blocks
#include "../common.cuh"
#include "ptx_hopper.cuh"

constexpr int THREADS = 128;

extern "C" __global__ void __launch_bounds__(THREADS) cluster_sum(const float* x, float* sums, int columns) {
    __shared__ float own;
    const int rank = ptx::cluster_rank(), size = ptx::cluster_size();
    const int row = blockIdx.x / size, stretch = (columns + size - 1) / size;
    const int begin = min(rank * stretch, columns), end = min(begin + stretch, columns);
    float sum = 0.0f;
    for (int column = begin + int(threadIdx.x); column < end; column += THREADS) sum += x[int64_t(row) * columns + column];
    sum = block_reduce<Sum, THREADS>(sum);
    if (threadIdx.x == 0) own = sum;
    ptx::cluster_arrive(), ptx::cluster_wait(); // the blocks' sums are there
    if (rank == 0 && threadIdx.x == 0) {
        float total = 0.0f;
        for (int other = 0; other < size; other++) {
            total += __uint_as_float(ptx::load_cluster_4(ptx::cluster_address(&own, other)));
        }
        sums[row] = total;
    }
    ptx::cluster_arrive(), ptx::cluster_wait(); // no block ends before its sum has been fetched
}
