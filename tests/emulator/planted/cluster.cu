// planted/cluster: mistakes among blocks that run together. Each `planted_` kernel has one, its `sound_` twin has not.
//
// Launched in clusters of two blocks of 64 threads, or as a cooperative grid. All compute what a neighbour holds:
// out[b, i] = in[b ^ 1, 63 - i], unless they say otherwise.
#include "../../../kernels/ptx.cuh"

constexpr int BLOCK = 64;

enum Mistake {
    NONE,
    NO_BARRIER_BEFORE,
    NO_BARRIER_AFTER,
    BLOCK_NEVER_ARRIVES,
    ARRIVES_TWICE,
    WAITS_FOR_BLOCK_ONLY,
    ARRIVES_IN_HALVES,
    WAITS_IN_HALVES,
};

template <Mistake MISTAKE>
__device__ __forceinline__ void read_neighbour(const float* in, float* out) {
    __shared__ uint32_t values[BLOCK];
    const unsigned i = threadIdx.x, rank = ptx::cluster_rank(), first = blockIdx.x * BLOCK;
    values[i] = __float_as_uint(in[first + i]);
    if (MISTAKE == BLOCK_NEVER_ARRIVES && rank == 1) return; // planted: the other block waits in vain
    if (MISTAKE == WAITS_FOR_BLOCK_ONLY) __syncthreads();    // planted: the neighbour is not waited for
    if (MISTAKE != NO_BARRIER_BEFORE && MISTAKE != WAITS_FOR_BLOCK_ONLY) {
        const bool early = i % 32 < 16;
        if (MISTAKE == ARRIVES_IN_HALVES && early) ptx::cluster_arrive(); // planted: half a warp
        if (MISTAKE != ARRIVES_IN_HALVES || !early) ptx::cluster_arrive();
        if (MISTAKE == ARRIVES_TWICE) ptx::cluster_arrive(); // planted: where it should wait
        if (MISTAKE == WAITS_IN_HALVES && early) ptx::cluster_wait(); // planted: half a warp
        if (MISTAKE != WAITS_IN_HALVES || !early) ptx::cluster_wait();
    }
    const uint32_t found = ptx::load_cluster_4(ptx::cluster_address(&values[BLOCK - 1 - i], rank ^ 1));
    out[first + i] = __uint_as_float(found);
    if (MISTAKE != NO_BARRIER_AFTER) ptx::cluster_arrive(), ptx::cluster_wait(); // planted: it may end while it is read
}
extern "C" __global__ void sound_neighbour(const float* in, float* out, int) { read_neighbour<NONE>(in, out); }
extern "C" __global__ void planted_neighbour_not_waited_for(const float* in, float* out, int) { read_neighbour<NO_BARRIER_BEFORE>(in, out); }
extern "C" __global__ void planted_neighbour_ends(const float* in, float* out, int) { read_neighbour<NO_BARRIER_AFTER>(in, out); }
extern "C" __global__ void planted_block_never_arrives(const float* in, float* out, int) { read_neighbour<BLOCK_NEVER_ARRIVES>(in, out); }
extern "C" __global__ void planted_arrives_twice(const float* in, float* out, int) { read_neighbour<ARRIVES_TWICE>(in, out); }
extern "C" __global__ void planted_block_for_cluster(const float* in, float* out, int) { read_neighbour<WAITS_FOR_BLOCK_ONLY>(in, out); }
extern "C" __global__ void planted_arrives_in_halves(const float* in, float* out, int) { read_neighbour<ARRIVES_IN_HALVES>(in, out); }
extern "C" __global__ void planted_waits_in_halves(const float* in, float* out, int) { read_neighbour<WAITS_IN_HALVES>(in, out); }

// As read_neighbour, twice through the same memory: it must have been read before it is overwritten.
template <bool SOUND>
__device__ __forceinline__ void read_neighbour_in_rounds(const float* in, float* out) {
    __shared__ uint32_t values[BLOCK];
    const unsigned i = threadIdx.x, rank = ptx::cluster_rank(), first = blockIdx.x * BLOCK;
    float sum = 0;
    for (int round = 0; round < 2; round++) {
        values[i] = __float_as_uint(round == 0 ? 0.0f : in[first + i]);
        ptx::cluster_arrive(), ptx::cluster_wait();
        sum += __uint_as_float(ptx::load_cluster_4(ptx::cluster_address(&values[BLOCK - 1 - i], rank ^ 1)));
        if (SOUND || round == 1) ptx::cluster_arrive(), ptx::cluster_wait(); // planted: not between the rounds
    }
    out[first + i] = sum;
}
extern "C" __global__ void sound_neighbour_in_rounds(const float* in, float* out, int) { read_neighbour_in_rounds<true>(in, out); }
extern "C" __global__ void planted_neighbour_overwrites(const float* in, float* out, int) { read_neighbour_in_rounds<false>(in, out); }

// A rank that the cluster has not.
extern "C" __global__ void planted_no_such_block(const float* in, float* out, int) {
    __shared__ uint32_t values[BLOCK];
    values[threadIdx.x] = 0;
    out[threadIdx.x] = in[threadIdx.x] + __uint_as_float(ptx::cluster_address(values, 2)); // planted: of two blocks
}

// A cooperative grid: n elements in `out` hold those of `in` after every block has counted itself in the word behind
// them (bits of a float). Blocks of 64 threads.
template <bool RELEASES, bool ALL_COUNT>
__device__ __forceinline__ void reverse_across_the_grid(const float* in, float* out, float* scratch, int n) {
    unsigned* arrived = reinterpret_cast<unsigned*>(scratch);
    const int i = blockIdx.x * BLOCK + threadIdx.x;
    scratch[1 + i] = in[i];
    __syncthreads();
    if (threadIdx.x == 0) {
        const bool counts = ALL_COUNT || blockIdx.x != 0; // planted: one block does not
        if (counts && RELEASES) ptx::add_release(arrived, 1);
        if (counts && !RELEASES) atomicAdd(arrived, 1u); // planted: what was written before it is not ordered by it
        while (ptx::load_acquire(arrived) < gridDim.x) {
        }
    }
    __syncthreads();
    out[i] = scratch[1 + n - 1 - i];
}
extern "C" __global__ void sound_grid_barrier(const float* in, float* out, float* scratch, int n) {
    reverse_across_the_grid<true, true>(in, out, scratch, n);
}
extern "C" __global__ void planted_barrier_without_release(const float* in, float* out, float* scratch, int n) {
    reverse_across_the_grid<false, true>(in, out, scratch, n);
}
extern "C" __global__ void planted_block_does_not_count(const float* in, float* out, float* scratch, int n) {
    reverse_across_the_grid<true, false>(in, out, scratch, n);
}

// Grids that overlap, numbered: each doubles what the one before it has made, and adds its input so many times.
template <bool WAITS>
__device__ __forceinline__ void add_to_the_last(const float* in, float* out, int number) {
    ptx::launch_dependents();
    if (WAITS) ptx::wait_for_prerequisites(); // planted: what the last grid writes is read before it is there
    const int i = blockIdx.x * BLOCK + threadIdx.x;
    out[i] = 2 * out[i] + number * in[i];
}
extern "C" __global__ void sound_dependent(const float* in, float* out, int number) { add_to_the_last<true>(in, out, number); }
extern "C" __global__ void planted_dependent_does_not_wait(const float* in, float* out, int number) { add_to_the_last<false>(in, out, number); }
