// ptx_hopper: what compute capability 9.0 added, one small function an instruction: barriers in shared memory that also
// count bytes, the Tensor Memory Accelerator (TMA), the fences between it and ordinary accesses, registers that move from
// warp to warp. ptx_wgmma.cuh has the products.
//
// As with ptx.cuh, tests/emulator/ has the same functions in C++. Some of these instructions exist on sm_90a alone, so
// the files that include this lie in kernels/hopper/, which is compiled for it alone.
//
// Source: PTX ISA 9.0; the name of each instruction's section stands beside it.
#ifndef COTANGENT_PTX_HOPPER_CUH
#define COTANGENT_PTX_HOPPER_CUH

#include "ptx.cuh"

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#error "ptx_hopper.cuh is for -gencode=arch=compute_90a,code=sm_90a: a kernel that includes it belongs into kernels/hopper/"
#endif

namespace ptx {

// A matrix in global memory and the boxes that it is copied in: how the TMA finds its way. The host fills it
// (cuTensorMapEncodeTiled). A kernel takes it as `const __grid_constant__ ptx::TensorMap map` and passes `&map` on, never
// a copy: the TMA reads it where the launch put it.
struct alignas(64) TensorMap {
    uint64_t words[16];
};

// ---- Barriers in shared memory ("mbarrier"): a uint64_t each, of a block's own shared memory. A phase is over when all
// its arrivals have come and all bytes that it expects have landed; the next phase begins at once. Phases are told apart
// by parity: the first has parity 0, the next 1, then 0 again. So a thread must not fall two phases behind.

// Before any other use: each phase waits for so many arrivals, 1 to 2^20 - 1 ("mbarrier.init").
__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, unsigned arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

// This thread's mbarrier_init before whatever the TMA and other blocks of the cluster do with those barriers. The
// threads of its own block need __syncthreads besides, other blocks a barrier of the cluster ("membar, fence").
__device__ __forceinline__ void fence_mbarrier_init() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// Ends a barrier's life: its bytes may be used for anything again ("mbarrier.inval").
__device__ __forceinline__ void mbarrier_invalidate(uint64_t* barrier) {
    asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// One arrival; what this thread did before is there for those of its block that have waited ("mbarrier.arrive").
__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier) {
    asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// The phase expects so many bytes more, and then as mbarrier_arrive ("mbarrier.arrive", ".expect_tx").
__device__ __forceinline__ void mbarrier_arrive_expect_tx(uint64_t* barrier, unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(bytes)
                 : "memory");
}

// The phase expects so many bytes more; no arrival, and nothing is ordered ("mbarrier.expect_tx").
__device__ __forceinline__ void mbarrier_expect_tx(uint64_t* barrier, unsigned bytes) {
    asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
}

// One arrival at the barrier of any block of the cluster: cluster_address(&barrier, rank). What this thread did before is
// there for those of the cluster that have waited by mbarrier_wait_cluster ("mbarrier.arrive", ".shared::cluster").
__device__ __forceinline__ void mbarrier_arrive_remote(uint32_t cluster_address) {
    asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(cluster_address) : "memory");
}

// Whether the phase of that parity is over: the last one, not one before it. False after a while that the hardware
// chooses, in which the thread sleeps. If true, what threads of the block did before they arrived, and the bytes that
// have landed, are there for this thread ("mbarrier.test_wait, mbarrier.try_wait").
__device__ __forceinline__ bool mbarrier_try_wait(uint64_t* barrier, unsigned parity) {
    uint32_t is_over;
    asm volatile("{\n"
                 ".reg .pred is_over;\n"
                 "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 is_over, [%1], %2;\n"
                 "selp.b32 %0, 1, 0, is_over;\n"
                 "}"
                 : "=r"(is_over)
                 : "r"(shared_address(barrier)), "r"(parity)
                 : "memory");
    return is_over != 0;
}

// Waits until the phase of that parity is over.
__device__ __forceinline__ void mbarrier_wait(uint64_t* barrier, unsigned parity) {
    while (!mbarrier_try_wait(barrier, parity)) {
    }
}

// As mbarrier_wait, for what threads of any block of the cluster did before they arrived (".acquire.cluster").
__device__ __forceinline__ void mbarrier_wait_cluster(uint64_t* barrier, unsigned parity) {
    uint32_t is_over;
    do {
        asm volatile("{\n"
                     ".reg .pred is_over;\n"
                     "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 is_over, [%1], %2;\n"
                     "selp.b32 %0, 1, 0, is_over;\n"
                     "}"
                     : "=r"(is_over)
                     : "r"(shared_address(barrier)), "r"(parity)
                     : "memory");
    } while (is_over == 0);
}

// ---- Proxies. The TMA and wgmma reach shared memory by another way than a thread's own loads and stores: the async
// proxy. What the TMA brings is there for who has waited at its barrier; what threads write is not there for the TMA.

// This thread's accesses of shared memory so far come before what the TMA and wgmma do there later. Each thread that has
// written calls it, before the barrier that tells others of it ("membar, fence", "fence.proxy.async").
__device__ __forceinline__ void fence_proxy_async() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// ---- The TMA ("cp.async.bulk.tensor", "cp.reduce.async.bulk.tensor"): one thread asks for a box of a matrix. x counts
// elements along rows, y rows, of the box's first element; either may lie outside, below zero too. Loads put zeros where
// the box leaves the matrix, and their bytes count; stores leave those elements out. The box in shared memory is whole,
// row after row unless the map says how its units of 16 bytes are swizzled; it begins at a multiple of 128 bytes, with a
// swizzle at a multiple of that pattern: 8 rows of it.

// Brings the map near, before its first use ("prefetch", ".tensormap").
__device__ __forceinline__ void tma_prefetch(const TensorMap* map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// Loads a box. When it has landed its bytes count at `barrier`, which has to expect them.
__device__ __forceinline__ void tma_load(void* shared, const TensorMap* map, int x, int y, uint64_t* barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%2, %3}], [%4];" ::"r"(shared_address(shared)),
                 "l"(map), "r"(x), "r"(y), "r"(shared_address(barrier))
                 : "memory");
}

// As tma_load, into each block of the cluster whose bit is set in `blocks`: at the offset that `shared` has in this
// block, and counted at that block's barrier at the offset of `barrier` (".multicast::cluster").
__device__ __forceinline__ void tma_load_multicast(void* shared, const TensorMap* map, int x, int y, uint64_t* barrier,
                                                   uint16_t blocks) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
                 "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared_address(shared)),
                 "l"(map), "r"(x), "r"(y), "r"(shared_address(barrier)), "h"(blocks)
                 : "memory");
}

// Stores a box. It belongs to this thread's next bulk_commit.
__device__ __forceinline__ void tma_store(const TensorMap* map, int x, int y, const void* shared) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map), "r"(x),
                 "r"(y), "r"(shared_address(shared))
                 : "memory");
}

// As tma_store, but adds to what is there: each element at once, in no order.
__device__ __forceinline__ void tma_reduce_add(const TensorMap* map, int x, int y, const void* shared) {
    asm volatile(
        "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map),
        "r"(x), "r"(y), "r"(shared_address(shared))
        : "memory");
}

// Makes a group of this thread's stores since the last group ("cp.async.bulk.commit_group").
__device__ __forceinline__ void bulk_commit() {
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

// Waits until at most PENDING of this thread's groups are unfinished, the latest ones: what the others have stored is
// there for this thread ("cp.async.bulk.wait_group").
template <int PENDING>
__device__ __forceinline__ void bulk_wait() {
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Waits for less: until of all groups but the PENDING latest the sources have been read, and may be overwritten (".read").
template <int PENDING>
__device__ __forceinline__ void bulk_wait_read() {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(PENDING) : "memory");
}

// ---- Registers ("setmaxnreg"): REGISTERS a thread, from 24 to 256, a multiple of 8. All warps of a warpgroup call it
// alike. ptxas ignores it, and says so, unless it knows how many registers a thread begins with: __launch_bounds__ with
// both numbers, threads of a block and blocks of a multiprocessor.

// Waits until so many are to be had, and takes them.
template <int REGISTERS>
__device__ __forceinline__ void setmaxnreg_inc() {
    static_assert(REGISTERS >= 24 && REGISTERS <= 256 && REGISTERS % 8 == 0, "no such number of registers");
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS) : "memory");
}

// Gives back all but so many.
template <int REGISTERS>
__device__ __forceinline__ void setmaxnreg_dec() {
    static_assert(REGISTERS >= 24 && REGISTERS <= 256 && REGISTERS % 8 == 0, "no such number of registers");
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS) : "memory");
}

} // namespace ptx

#endif
