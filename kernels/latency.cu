// latency: what designs need to know of a card: the price of a launch, of a barrier, of a word from each memory.
// benches/latency.rs times these kernels, tests/kernels/latency.rs checks them.
//
//   latency_node, latency_edge:    trail = 31 trail + node, modulo 2^32; nothing where trail is null
//   latency_grid_barrier:          `rounds` barriers of all blocks of a grid
//   latency_cluster_barrier:       `rounds` barriers of the blocks of each cluster
//   latency_chase:                 end = *...*first, `steps` loads           links anywhere in global memory
//   latency_shared_chase:          end = next[...next[0]], `steps` times     next (LINKS), in shared memory
//   latency_cluster_chase:         ends[b] = next[...next[b]]                the same, in the neighbour's
//   latency_cluster_read:          sums[b, t] = the sum of what thread t reads of b's neighbour, `rounds` times
//   latency_atomic:                count += 1, `steps` times; last = what the last one found
//
// In each, every step waits for the one before it, so the time is that of a launch and `steps` or `rounds` times the
// price: two numbers of them, their difference divided, give the price alone. A block's neighbour is the next of its
// cluster, and the last one's is the first.
//
// Sources: PTX ISA 9.0, "griddepcontrol", "barrier.cluster", "mapa", "ld", "red", memory consistency model; pointer
// chases after Saavedra and Smith (1995), "Measuring cache and TLB performance and their effect on benchmark runtimes".
#include "common.cuh"
#include "ptx.cuh"

// Threads of a block, as in src/exec/cuda/kernels/latency.rs, which has the other constants too.
constexpr int NODE_THREADS = 32;
constexpr int BARRIER_THREADS = 128;
constexpr int READ_THREADS = 512;

// ---- Nodes of a graph. The trail tells their order: a node that does not wait for the one before it leaves another.

__device__ __forceinline__ void leave_trail(unsigned* trail, unsigned node) {
    if (trail != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *trail = 31 * *trail + node;
}

extern "C" __global__ void __launch_bounds__(NODE_THREADS) latency_node(unsigned* trail, unsigned node) {
    leave_trail(trail, node);
}

// The next node may begin as soon as this one has, and waits where this one does: only the wait remains of an edge.
extern "C" __global__ void __launch_bounds__(NODE_THREADS) latency_edge(unsigned* trail, unsigned node) {
    ptx::launch_dependents();
    ptx::wait_for_prerequisites(); // the nodes before have left their trail
    leave_trail(trail, node);
}

// ---- Barriers. Checked where there is memory for it: each round every thread leaves the round's number, and after the
// barrier looks for those of other blocks; `early` counts the missing. Two rounds' numbers are kept apart, as a block
// may be one barrier ahead of whoever still looks.

// All blocks of the grid have to be on the device together: a cooperative launch. `arrived` only grows: `target` is
// the number of arrivals of this barrier and all before it.
__device__ __forceinline__ void grid_barrier(unsigned* arrived, unsigned target) {
    __syncthreads(); // all that the block's threads have written comes before its arrival
    if (threadIdx.x == 0) {
        ptx::add_release(arrived, 1);
        while (ptx::load_acquire(arrived) < target) {
        }
    }
    __syncthreads(); // no thread goes on before the last block has arrived
}

// arrived: 1, zero at first; stamps (2, blocks, BARRIER_THREADS); early: 1.
extern "C" __global__ void __launch_bounds__(BARRIER_THREADS)
    latency_grid_barrier(unsigned* arrived, unsigned* stamps, unsigned* early, int rounds) {
    const unsigned blocks = gridDim.x, threads = blocks * BARRIER_THREADS;
    for (unsigned round = 0; round < unsigned(rounds); round++) {
        unsigned* stamp = stamps + round % 2 * threads + threadIdx.x; // of each block's thread of this number
        if (stamps != nullptr) stamp[blockIdx.x * BARRIER_THREADS] = round + 1;
        grid_barrier(arrived, (round + 1) * blocks);
        if (stamps == nullptr) continue;
        for (unsigned other = 0; other < blocks; other++) {
            if (stamp[other * BARRIER_THREADS] != round + 1) atomicAdd(early, 1u);
        }
    }
}

// early: 1.
extern "C" __global__ void __launch_bounds__(BARRIER_THREADS) latency_cluster_barrier(unsigned* early, int rounds) {
    __shared__ unsigned stamps[2][BARRIER_THREADS];
    const unsigned size = ptx::cluster_size();
    for (unsigned round = 0; round < unsigned(rounds); round++) {
        unsigned* stamp = &stamps[round % 2][threadIdx.x];
        if (early != nullptr) *stamp = round + 1;
        ptx::cluster_arrive(), ptx::cluster_wait(); // what is timed; and all have stamped before anyone looks
        if (early == nullptr) continue;
        for (unsigned other = 0; other < size; other++) {
            if (ptx::load_cluster_4(ptx::cluster_address(stamp, other)) != round + 1) atomicAdd(early, 1u);
        }
    }
    ptx::cluster_arrive(), ptx::cluster_wait(); // no block ends while others look at its stamps
}

// ---- Chases: a link holds the address of the next, so that a step is a load and nothing else.

// One thread, past the first-level cache. The links lie where the host has put them: as many as the second-level
// cache holds, or more.
extern "C" __global__ void latency_chase(const unsigned long long* first, unsigned long long* end, int steps) {
    unsigned long long at = reinterpret_cast<unsigned long long>(first);
#pragma unroll 8
    for (int step = 0; step < steps; step++) at = __ldcg(reinterpret_cast<const unsigned long long*>(at));
    *end = at;
}

constexpr int LINKS = 1024; // 4 KiB

// One warp, all of whose lanes go the same way.
extern "C" __global__ void __launch_bounds__(WARP)
    latency_shared_chase(const unsigned* __restrict__ next, unsigned* __restrict__ end, int steps) {
    __shared__ unsigned links[LINKS]; // offsets in bytes: the array's address is part of the instruction
    for (int i = threadIdx.x; i < LINKS; i += WARP) links[i] = 4 * next[i];
    __syncthreads(); // the links of all lanes are there
    unsigned at = 0;
#pragma unroll 8
    for (int step = 0; step < steps; step++) {
        at = *reinterpret_cast<const unsigned*>(reinterpret_cast<const char*>(links) + at);
    }
    if (threadIdx.x == 0) *end = at / 4;
}

// One warp a block; ends (blocks). Link i of block b lies at place (i + b) modulo LINKS, so that a chase through another
// block's memory than the neighbour's ends elsewhere.
extern "C" __global__ void __launch_bounds__(WARP)
    latency_cluster_chase(const unsigned* __restrict__ next, unsigned* __restrict__ ends, int steps) {
    __shared__ unsigned links[LINKS];
    const unsigned rank = ptx::cluster_rank(), size = ptx::cluster_size();
    const unsigned other = (rank + 1) % size, neighbour = blockIdx.x - rank + other;
    const uint32_t own = ptx::cluster_address(links, rank), first = ptx::cluster_address(links, other);
    for (int i = threadIdx.x; i < LINKS; i += WARP) {
        links[(i + blockIdx.x) % LINKS] = own + 4 * ((next[i] + blockIdx.x) % LINKS);
    }
    ptx::cluster_arrive(), ptx::cluster_wait(); // the neighbour's links are there
    uint32_t at = first + 4 * ((blockIdx.x + neighbour) % LINKS);
#pragma unroll 8
    for (int step = 0; step < steps; step++) at = ptx::load_cluster_4(at);
    ptx::cluster_arrive(), ptx::cluster_wait(); // no block ends while its links are followed
    if (threadIdx.x == 0) ends[blockIdx.x] = ((at - first) / 4 - neighbour) % LINKS;
}

// ---- The rate of distributed shared memory: 32 KiB a block and round, 16 bytes a lane. A thread has four loads in
// flight and a multiprocessor 32 KiB, several times what a latency of 200 cycles takes at 32 bytes a cycle.
constexpr int READ_VECTORS = 2048;

// Word w of block b is b * 4 READ_VECTORS + w; sums (blocks, READ_THREADS), modulo 2^32.
extern "C" __global__ void __launch_bounds__(READ_THREADS) latency_cluster_read(unsigned* sums, int rounds) {
    __shared__ uint4 vectors[READ_VECTORS];
    const unsigned rank = ptx::cluster_rank(), size = ptx::cluster_size();
    for (unsigned i = threadIdx.x; i < READ_VECTORS; i += READ_THREADS) {
        const unsigned word = 4 * (blockIdx.x * READ_VECTORS + i);
        vectors[i] = make_uint4(word, word + 1, word + 2, word + 3);
    }
    ptx::cluster_arrive(), ptx::cluster_wait(); // the neighbour's words are there
    const uint32_t from = ptx::cluster_address(vectors, (rank + 1) % size) + 16 * threadIdx.x;
    uint4 sum = make_uint4(0, 0, 0, 0);
#pragma unroll 2
    for (int round = 0; round < rounds; round++) {
        uint4 held[READ_VECTORS / READ_THREADS];
#pragma unroll
        for (int i = 0; i < READ_VECTORS / READ_THREADS; i++) {
            held[i] = ptx::load_cluster_16(from + 16 * READ_THREADS * i);
        }
#pragma unroll
        for (int i = 0; i < READ_VECTORS / READ_THREADS; i++) {
            sum.x += held[i].x, sum.y += held[i].y, sum.z += held[i].z, sum.w += held[i].w;
        }
    }
    ptx::cluster_arrive(), ptx::cluster_wait(); // no block ends while its words are read
    sums[blockIdx.x * READ_THREADS + threadIdx.x] = sum.x + sum.y + sum.z + sum.w;
}

// ---- Atomic operations of one thread: what is added comes of what the last one found, though it is always 1.
extern "C" __global__ void latency_atomic(unsigned* count, unsigned* last, int steps) {
    unsigned found = 0;
#pragma unroll 8
    for (int step = 0; step < steps; step++) found = atomicAdd(count, 1 + (found >> 31));
    *last = found;
}
