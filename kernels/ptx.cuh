// ptx: every instruction that C++ has no name for, one small function each.
//
// Inline assembly stands nowhere else. tests/emulator/ has the same functions in C++, so each must
// do what its comment says and no more.
#ifndef COTANGENT_PTX_CUH
#define COTANGENT_PTX_CUH

#include <cstdint>

namespace ptx {

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// ---- cp.async (sm_80): copies from global to shared memory that need no registers and are waited
// for later. Where the instruction does not exist they happen at once.

// Copies 16 bytes; if not `valid`, writes zeros and reads nothing. Both addresses are multiples of 16.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global, bool valid) {
#if __CUDA_ARCH__ >= 800
    const int size = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(size)
                 : "memory");
#else
    *static_cast<uint4*>(shared) = valid ? *static_cast<const uint4*>(global) : make_uint4(0, 0, 0, 0);
#endif
}

// As copy_async_16, 4 bytes.
__device__ __forceinline__ void copy_async_4(void* shared, const void* global, bool valid) {
#if __CUDA_ARCH__ >= 800
    const int size = valid ? 4 : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(size)
                 : "memory");
#else
    *static_cast<uint32_t*>(shared) = valid ? *static_cast<const uint32_t*>(global) : 0;
#endif
}

// Makes a group of this thread's copies since the last group.
__device__ __forceinline__ void copy_async_commit() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most PENDING of this thread's groups are unfinished, the latest ones. Other threads'
// copies are seen only after a barrier that follows their wait.
template <int PENDING>
__device__ __forceinline__ void copy_async_wait() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

// ---- Tensor cores. Fragments are spread over a warp as the PTX ISA's tables for ldmatrix and
// mma.m16n8k16 say; all 32 lanes must call together.

// Loads four 8x8 matrices of 16-bit elements from shared memory. Lanes 8i .. 8i+7 hold the addresses of
// matrix i's rows (16 bytes each, aligned to 16). Lane l gets elements (l/4, 2(l%4)) and (l/4, 2(l%4)+1)
// of matrix i in the low and high half of fragment[i].
__device__ __forceinline__ void load_matrices_4(uint32_t (&fragment)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// As load_matrices_4, each matrix transposed: lane l gets elements (2(l%4), l/4) and (2(l%4)+1, l/4).
__device__ __forceinline__ void load_matrices_4_transposed(uint32_t (&fragment)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// D (16, 8) += A (16, 16) B (16, 8): bfloat16 operands, float32 sums (sm_80).
// a[0], a[1]: rows l/4 and l/4 + 8, columns 2(l%4) and the next; a[2], a[3]: the same, columns + 8.
// b[0]: rows 2(l%4) and the next, column l/4; b[1]: rows + 8.
// d[0], d[1]: row l/4, columns 2(l%4) and the next; d[2], d[3]: row l/4 + 8.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    __trap(); // the host refuses to launch such kernels on these devices
#endif
}

// ---- Waiting across a grid (PTX ISA, "red" and "ld", memory consistency model; sm_70). What a thread wrote before
// its release, and what others wrote before barriers that it had come to, is there for whoever acquires a value
// that the release has made.

// *address += value, on the whole device, after all that came before.
__device__ __forceinline__ void add_release(unsigned* address, unsigned value) {
    asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
}

// *address, read anew, before all that follows.
__device__ __forceinline__ unsigned load_acquire(const unsigned* address) {
    unsigned value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
    return value;
}

// ---- Programmatic dependent launch (PTX ISA, "griddepcontrol"; sm_90). Both do nothing in a launch that nobody
// may overlap.

// Lets the next grid begin, once all blocks have said so or ended. It orders no memory accesses.
__device__ __forceinline__ void launch_dependents() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#else
    __trap(); // the host refuses to launch such kernels on these devices
#endif
}

// Waits until the grids before this one have ended and what they wrote is there.
__device__ __forceinline__ void wait_for_prerequisites() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#else
    __trap();
#endif
}

// ---- Clusters of blocks (PTX ISA, "barrier.cluster", "mapa", "ld"; sm_90).

// This block's number in its cluster, and how many blocks that has.
__device__ __forceinline__ unsigned cluster_rank() {
    unsigned rank = 0;
#if __CUDA_ARCH__ >= 900
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#else
    __trap();
#endif
    return rank;
}
__device__ __forceinline__ unsigned cluster_size() {
    unsigned size = 1;
#if __CUDA_ARCH__ >= 900
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
#else
    __trap();
#endif
    return size;
}

// The barrier of a cluster in two halves: what its threads did before they arrived is there for those that have
// waited. All threads of the cluster arrive, then wait, in turn; whole warps together.
__device__ __forceinline__ void cluster_arrive() {
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#else
    __trap();
#endif
}
__device__ __forceinline__ void cluster_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
    __trap();
#endif
}

// The address, among those of the cluster's shared memory, of what lies at `shared` in this block's, but in the
// block of that number.
__device__ __forceinline__ uint32_t cluster_address(const void* shared, unsigned rank) {
    uint32_t address = 0;
#if __CUDA_ARCH__ >= 900
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(shared_address(shared)), "r"(rank));
#else
    __trap();
#endif
    return address;
}

// 4 bytes from such an address, a multiple of 4. The other block must have begun and must not have ended.
__device__ __forceinline__ uint32_t load_cluster_4(uint32_t address) {
    uint32_t value = 0;
#if __CUDA_ARCH__ >= 900
    asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
#else
    __trap();
#endif
    return value;
}

// As load_cluster_4, 16 bytes.
__device__ __forceinline__ uint4 load_cluster_16(uint32_t address) {
    uint4 value = make_uint4(0, 0, 0, 0);
#if __CUDA_ARCH__ >= 900
    asm volatile("ld.shared::cluster.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "r"(address)
                 : "memory");
#else
    __trap();
#endif
    return value;
}

} // namespace ptx

#endif
