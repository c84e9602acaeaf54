// ptx_wgmma: products of matrices by a whole warpgroup, 128 threads whose first is a multiple of 128 (sm_90a).
//
//   D (64, N) += A (64, K) B (K, N)    bfloat16: K = 16; float32 of which 19 bits count ("TF32"): K = 8
//
// B comes from shared memory, A from shared memory or registers, D stays in registers: d[i] of thread t, R = N / 2 of them,
// is row 16 (t/32) + t%32/4 + 8 (i/2%2), column 8 (i/4) + 2 (t%4) + i%2. The product is under way while the threads go on:
//
//   wgmma_fence, wgmma_bf16 (several), wgmma_commit, ..., wgmma_wait
//
// Between, nobody may touch d or A's registers, nor what the descriptors name. All 128 threads call together, with the
// same descriptors.
//
// Source: PTX ISA 9.0, "Asynchronous Warpgroup Level Matrix Instructions".
#ifndef COTANGENT_PTX_WGMMA_CUH
#define COTANGENT_PTX_WGMMA_CUH

#include "ptx_hopper.cuh"

namespace ptx {

// Along which axis an operand's neighbours in memory lie: k, or the other one (m of A, n of B). "Strides".
enum class Major { K, MN };

// How the units of 16 bytes of a tile are swizzled, as a descriptor numbers it: by patterns of 8 rows of so many bytes.
// As a tensor map's, so that what the TMA has loaded is what wgmma reads. "Swizzling Modes".
enum class Swizzle { NONE = 0, BYTES_128 = 1, BYTES_64 = 2, BYTES_32 = 3 };

// A tile in shared memory ("Matrix Descriptor Format"): its address, a multiple of 16, and the distances in bytes between
// its patterns, multiples of 16. With Major::K and a swizzle, `stride_bytes` leads to the next 8 rows, and `leading_bytes`
// is not used; with Major::MN and a swizzle, `leading_bytes` leads to the next swizzled width along MN, `stride_bytes` to
// the next 8 of k. Patterns begin at multiples of their size: 1024, 512 or 256 bytes.
__device__ __forceinline__ uint64_t wgmma_descriptor(const void* shared, unsigned leading_bytes, unsigned stride_bytes,
                                                     Swizzle swizzle) {
    return uint64_t((shared_address(shared) & 0x3ffff) >> 4) | uint64_t((leading_bytes & 0x3ffff) >> 4) << 16 |
           uint64_t((stride_bytes & 0x3ffff) >> 4) << 32 | uint64_t(swizzle) << 62;
}

// Registers that this thread has written (d, A's fragments) before the products that follow; also before the first one.
// Products that only add to the same d need none between them. "wgmma.fence".
__device__ __forceinline__ void wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

// Makes a group of this warpgroup's products since the last group. "wgmma.commit_group".
__device__ __forceinline__ void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// The operands of an instruction that has R registers of d: their names in its text, which come first, and what they
// are. asm takes no loop over operands, so each list is the one before it and the rest.
#define COTANGENT_NAMES_4 "%0, %1, %2, %3"
#define COTANGENT_NAMES_8 COTANGENT_NAMES_4 ", %4, %5, %6, %7"
#define COTANGENT_NAMES_16 COTANGENT_NAMES_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define COTANGENT_NAMES_24 COTANGENT_NAMES_16 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define COTANGENT_NAMES_32 COTANGENT_NAMES_24 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define COTANGENT_NAMES_48 COTANGENT_NAMES_32 \
    ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define COTANGENT_NAMES_64 COTANGENT_NAMES_48 \
    ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define COTANGENT_NAMES_80 COTANGENT_NAMES_64 \
    ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define COTANGENT_NAMES_96 COTANGENT_NAMES_80 \
    ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define COTANGENT_NAMES_128 COTANGENT_NAMES_96 \
    ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
    ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

#define COTANGENT_SUMS_AT(I) "+f"(d[I]), "+f"(d[I + 1]), "+f"(d[I + 2]), "+f"(d[I + 3])
#define COTANGENT_SUMS_4 COTANGENT_SUMS_AT(0)
#define COTANGENT_SUMS_8 COTANGENT_SUMS_4, COTANGENT_SUMS_AT(4)
#define COTANGENT_SUMS_16 COTANGENT_SUMS_8, COTANGENT_SUMS_AT(8), COTANGENT_SUMS_AT(12)
#define COTANGENT_SUMS_24 COTANGENT_SUMS_16, COTANGENT_SUMS_AT(16), COTANGENT_SUMS_AT(20)
#define COTANGENT_SUMS_32 COTANGENT_SUMS_24, COTANGENT_SUMS_AT(24), COTANGENT_SUMS_AT(28)
#define COTANGENT_SUMS_48 COTANGENT_SUMS_32, \
    COTANGENT_SUMS_AT(32), COTANGENT_SUMS_AT(36), COTANGENT_SUMS_AT(40), COTANGENT_SUMS_AT(44)
#define COTANGENT_SUMS_64 COTANGENT_SUMS_48, \
    COTANGENT_SUMS_AT(48), COTANGENT_SUMS_AT(52), COTANGENT_SUMS_AT(56), COTANGENT_SUMS_AT(60)
#define COTANGENT_SUMS_80 COTANGENT_SUMS_64, \
    COTANGENT_SUMS_AT(64), COTANGENT_SUMS_AT(68), COTANGENT_SUMS_AT(72), COTANGENT_SUMS_AT(76)
#define COTANGENT_SUMS_96 COTANGENT_SUMS_80, \
    COTANGENT_SUMS_AT(80), COTANGENT_SUMS_AT(84), COTANGENT_SUMS_AT(88), COTANGENT_SUMS_AT(92)
#define COTANGENT_SUMS_128 COTANGENT_SUMS_96, \
    COTANGENT_SUMS_AT(96), COTANGENT_SUMS_AT(100), COTANGENT_SUMS_AT(104), COTANGENT_SUMS_AT(108), \
    COTANGENT_SUMS_AT(112), COTANGENT_SUMS_AT(116), COTANGENT_SUMS_AT(120), COTANGENT_SUMS_AT(124)

// OF(N, R, names of the operands after d), for each N that is offered.
#define COTANGENT_EACH_WGMMA(OF) \
    OF(8, 4, "%4", "%5", "%6", "%7", "%8", "%9", "%10") \
    OF(16, 8, "%8", "%9", "%10", "%11", "%12", "%13", "%14") \
    OF(32, 16, "%16", "%17", "%18", "%19", "%20", "%21", "%22") \
    OF(48, 24, "%24", "%25", "%26", "%27", "%28", "%29", "%30") \
    OF(64, 32, "%32", "%33", "%34", "%35", "%36", "%37", "%38") \
    OF(96, 48, "%48", "%49", "%50", "%51", "%52", "%53", "%54") \
    OF(128, 64, "%64", "%65", "%66", "%67", "%68", "%69", "%70") \
    OF(160, 80, "%80", "%81", "%82", "%83", "%84", "%85", "%86") \
    OF(192, 96, "%96", "%97", "%98", "%99", "%100", "%101", "%102") \
    OF(256, 128, "%128", "%129", "%130", "%131", "%132", "%133", "%134")

// Whether the instruction takes so many registers of d: N = 2 R columns.
template <int R>
constexpr bool IS_WGMMA_SUMS = R == 4 || R == 8 || R == 16 || R == 24 || R == 32 || R == 48 || R == 64 || R == 80 ||
                               R == 96 || R == 128;

// ---- bfloat16 ("wgmma.mma_async"). `accumulate` false: D = A B, whatever d holds. What the assembly of these functions
// reads of shared memory is ordered by fences and waits, which the compiler moves nothing across.

// A (64, 16) and B (16, 2 R) by descriptors.
template <Major A = Major::K, Major B = Major::K, int R>
__device__ __forceinline__ void wgmma_bf16(float (&d)[R], uint64_t a, uint64_t b, bool accumulate = true) {
    static_assert(IS_WGMMA_SUMS<R>, "wgmma has no such number of columns here");
#define COTANGENT_WGMMA(N, REGISTERS, ARG0, ARG1, ARG2, ARG3, ARG4, ARG5, ARG6) \
    if constexpr (R == REGISTERS) { \
        asm volatile("{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, " ARG2 ", 0;\n" \
                     "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 " \
                     "{" COTANGENT_NAMES_##REGISTERS "}, " ARG0 ", " ARG1 ", accumulate, 1, 1, " ARG3 ", " ARG4 ";\n}" \
                     : COTANGENT_SUMS_##REGISTERS \
                     : "l"(a), "l"(b), "r"(int(accumulate)), "n"(int(A)), "n"(int(B))); \
    }
    COTANGENT_EACH_WGMMA(COTANGENT_WGMMA)
#undef COTANGENT_WGMMA
}

// A (64, 16) from registers, two elements each, the lower k in the low half: with l = t % 32, a[0] and a[1] are rows
// 16 (t/32) + l/4 and 8 further, columns 2(l%4) and the next; a[2] and a[3] the same, columns + 8. B by a descriptor.
template <Major B = Major::K, int R>
__device__ __forceinline__ void wgmma_bf16(float (&d)[R], const uint32_t (&a)[4], uint64_t b, bool accumulate = true) {
    static_assert(IS_WGMMA_SUMS<R>, "wgmma has no such number of columns here");
#define COTANGENT_WGMMA(N, REGISTERS, ARG0, ARG1, ARG2, ARG3, ARG4, ARG5, ARG6) \
    if constexpr (R == REGISTERS) { \
        asm volatile("{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, " ARG5 ", 0;\n" \
                     "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 " \
                     "{" COTANGENT_NAMES_##REGISTERS "}, {" ARG0 ", " ARG1 ", " ARG2 ", " ARG3 "}, " ARG4 ", " \
                     "accumulate, 1, 1, " ARG6 ";\n}" \
                     : COTANGENT_SUMS_##REGISTERS \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(accumulate)), "n"(int(B))); \
    }
    COTANGENT_EACH_WGMMA(COTANGENT_WGMMA)
#undef COTANGENT_WGMMA
}

// ---- TF32: float32 operands whose lowest 13 bits are ignored. Both lie along k, the only way there is.

// A (64, 8) and B (8, 2 R) by descriptors.
template <int R>
__device__ __forceinline__ void wgmma_tf32(float (&d)[R], uint64_t a, uint64_t b, bool accumulate = true) {
    static_assert(IS_WGMMA_SUMS<R>, "wgmma has no such number of columns here");
#define COTANGENT_WGMMA(N, REGISTERS, ARG0, ARG1, ARG2, ARG3, ARG4, ARG5, ARG6) \
    if constexpr (R == REGISTERS) { \
        asm volatile("{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, " ARG2 ", 0;\n" \
                     "wgmma.mma_async.sync.aligned.m64n" #N "k8.f32.tf32.tf32 " \
                     "{" COTANGENT_NAMES_##REGISTERS "}, " ARG0 ", " ARG1 ", accumulate, 1, 1;\n}" \
                     : COTANGENT_SUMS_##REGISTERS \
                     : "l"(a), "l"(b), "r"(int(accumulate))); \
    }
    COTANGENT_EACH_WGMMA(COTANGENT_WGMMA)
#undef COTANGENT_WGMMA
}

// A (64, 8) from registers: with l = t % 32, a[0] and a[1] are rows 16 (t/32) + l/4 and 8 further, column l%4; a[2] and
// a[3] the same, column + 4. B by a descriptor.
template <int R>
__device__ __forceinline__ void wgmma_tf32(float (&d)[R], const uint32_t (&a)[4], uint64_t b, bool accumulate = true) {
    static_assert(IS_WGMMA_SUMS<R>, "wgmma has no such number of columns here");
#define COTANGENT_WGMMA(N, REGISTERS, ARG0, ARG1, ARG2, ARG3, ARG4, ARG5, ARG6) \
    if constexpr (R == REGISTERS) { \
        asm volatile("{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, " ARG5 ", 0;\n" \
                     "wgmma.mma_async.sync.aligned.m64n" #N "k8.f32.tf32.tf32 " \
                     "{" COTANGENT_NAMES_##REGISTERS "}, {" ARG0 ", " ARG1 ", " ARG2 ", " ARG3 "}, " ARG4 ", " \
                     "accumulate, 1, 1;\n}" \
                     : COTANGENT_SUMS_##REGISTERS \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(accumulate))); \
    }
    COTANGENT_EACH_WGMMA(COTANGENT_WGMMA)
#undef COTANGENT_WGMMA
}

// ---- Waiting ("wgmma.wait_group").

// The compiler reads d no earlier than here.
template <int R>
__device__ __forceinline__ void wgmma_sums_from_here(float (&d)[R]) {
#pragma unroll
    for (int i = 0; i < R; i++) asm volatile("" : "+f"(d[i])::"memory");
}

// Waits until at most PENDING of this warpgroup's groups are under way, the latest ones. d: the accumulators of the
// groups that it waits for, which may be touched from here on.
template <int PENDING, int R>
__device__ __forceinline__ void wgmma_wait(float (&d)[R]) {
    static_assert(IS_WGMMA_SUMS<R>, "wgmma has no such number of columns here");
#define COTANGENT_WAIT(N, REGISTERS, ARG0, ARG1, ARG2, ARG3, ARG4, ARG5, ARG6) \
    if constexpr (R == REGISTERS) { \
        asm volatile("wgmma.wait_group.sync.aligned " ARG0 ";" : COTANGENT_SUMS_##REGISTERS : "n"(PENDING) : "memory"); \
    }
    COTANGENT_EACH_WGMMA(COTANGENT_WAIT)
#undef COTANGENT_WAIT
}

// The same, where a warpgroup has several tiles of 64 rows or of 2 R columns.
template <int PENDING, int T, int R>
__device__ __forceinline__ void wgmma_wait(float (&d)[T][R]) {
    wgmma_wait<PENDING>(d[0]);
#pragma unroll
    for (int tile = 1; tile < T; tile++) wgmma_sums_from_here(d[tile]);
}

// A's fragments stay in their registers up to here: called after the wait for the products that read them.
template <int R>
__device__ __forceinline__ void wgmma_keep(const uint32_t (&a)[R]) {
#pragma unroll
    for (int i = 0; i < R; i++) asm volatile("" ::"r"(a[i]) : "memory");
}

#undef COTANGENT_EACH_WGMMA
#undef COTANGENT_NAMES_4
#undef COTANGENT_NAMES_8
#undef COTANGENT_NAMES_16
#undef COTANGENT_NAMES_24
#undef COTANGENT_NAMES_32
#undef COTANGENT_NAMES_48
#undef COTANGENT_NAMES_64
#undef COTANGENT_NAMES_80
#undef COTANGENT_NAMES_96
#undef COTANGENT_NAMES_128
#undef COTANGENT_SUMS_AT
#undef COTANGENT_SUMS_4
#undef COTANGENT_SUMS_8
#undef COTANGENT_SUMS_16
#undef COTANGENT_SUMS_24
#undef COTANGENT_SUMS_32
#undef COTANGENT_SUMS_48
#undef COTANGENT_SUMS_64
#undef COTANGENT_SUMS_80
#undef COTANGENT_SUMS_96
#undef COTANGENT_SUMS_128

} // namespace ptx

#endif
