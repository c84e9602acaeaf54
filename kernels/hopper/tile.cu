// tile: one tile of a product by a warpgroup's tensor-core instruction, fed by the Tensor Memory Accelerator.
//
//   C (m, n) = A B, float32 sums
//
//   tile_bf16, tile_bf16_pair   A (m, k), B (n, k)   bfloat16, both along k ("K-major")
//   tile_bf16_mn                A (k, m), B (k, n)   bfloat16, both across it ("MN-major")
//   tile_bf16_registers         A (m, k), B (n, k)   A goes through registers, where it could be changed on its way
//   tile_tf32                   A (m, k), B (n, k)   float32, whose lowest 13 bits the tensor cores ignore
//
// What changed since rung 5 of the ladder: wgmma multiplies 64 x 16 by 16 x 64 for 128 threads at once and reads the
// operands from shared memory itself, so no thread spends instructions or registers on loading them. It runs on while
// the threads do something else, and only this instruction reaches the full rate of an H100.
//
// A block computes 64 x 64 of C, or 128 x 32 with two consumers (_pair). Its last warpgroup is the producer: one thread
// asks the TMA for tiles of 128 bytes along the operand's rows, which is 64 bfloat16 or 32 float32 of k (or m, n). The
// others are consumers: a wgmma for each 32 bytes of k. Between them is a ring of two stages, with the barriers of
// ring.cu.
//
// Swizzle: rows of 128 bytes one under another lie in the same banks, and wgmma reads 8 of them at once. So the TMA puts
// unit u (16 bytes) of row r at unit u ^ (r % 8), and wgmma, told so by its descriptor, undoes it. The pattern is
// 8 rows, 1024 bytes, and tiles begin at a multiple of it. A step along k:
//
//   K-major:  32 bytes further in the same rows; 8 rows of m or n are 1024 bytes apart
//   MN-major: 16 rows, 2048 bytes; 8 rows of k are 1024 bytes apart
//
// Waiting: a product reads its stage until it is done, so a stage is released one step later, when a newer product is
// under way: the tensor cores never run dry. From registers there would have to be two sets of them for that; this page
// waits for each step instead.
//
// Registers: the producer needs few and gives the rest to the consumers (setmaxnreg). A kernel in earnest has 64 x 256
// sums a warpgroup, 128 registers a thread, and could not without.
//
// Edges: the TMA fills with zeros beyond all of them, which add nothing; what lies beyond C is not stored. k is at least 1.
//
// launch: grid=(ceil(n, 64 or 32), ceil(m, 64 or 128)) block=(256 or 384)
#include <cuda_bf16.h>

#include <cstdint>

#include "ptx_wgmma.cuh"

using ptx::Major;

constexpr int WARPGROUP = 128, STAGES = 2;
constexpr int WIDTH = 128;               // bytes of a tile's row, which the swizzle works in
constexpr int PATTERN = 8 * WIDTH;       // bytes
constexpr int STEP = 32;                 // bytes of k that one wgmma takes
constexpr int OF_CONSUMER = 64;          // rows of C
constexpr int AT_ONCE = 512;             // threads of a multiprocessor, whole blocks of them: threads begin with 128 or
constexpr int FEW = 40, MANY = 200;      // 168 registers; those of the producer keep FEW, those of consumers get MANY
constexpr unsigned NOT_USED = 16;        // a distance between patterns in a direction that has only one

enum class From { SHARED, REGISTERS };

template <class Element, Major MAJOR, From FROM, int CONSUMERS, int COLUMNS>
struct Tile {
    static constexpr int ROWS = CONSUMERS * OF_CONSUMER;
    static constexpr int DEPTH = WIDTH / int(sizeof(Element)); // k of a stage
    static constexpr int A_BYTES = ROWS * WIDTH, B_BYTES = COLUMNS * WIDTH;
    static constexpr int SUMS = COLUMNS / 2;
    static_assert(MAJOR == Major::K || (CONSUMERS == 1 && COLUMNS * int(sizeof(Element)) == WIDTH),
                  "one box of an operand that lies across k");

    struct Shared {
        alignas(PATTERN) unsigned char a[STAGES][A_BYTES];
        alignas(PATTERN) unsigned char b[STAGES][B_BYTES];
        uint64_t full[STAGES], empty[STAGES];
    };

    // One thread: fills stages as they become empty.
    static __device__ __forceinline__ void produce(Shared& shared, const ptx::TensorMap* a, const ptx::TensorMap* b,
                                                   int first_row, int first_column, int steps) {
        ptx::tma_prefetch(a), ptx::tma_prefetch(b);
        for (int step = 0; step < steps; step++) {
            const int stage = step % STAGES, turn = step / STAGES, k = step * DEPTH;
            if (turn > 0) ptx::mbarrier_wait(&shared.empty[stage], (turn - 1) % 2); // its products are done
            ptx::mbarrier_arrive_expect_tx(&shared.full[stage], A_BYTES + B_BYTES);
            if constexpr (MAJOR == Major::K) {
                ptx::tma_load(shared.a[stage], a, k, first_row, &shared.full[stage]);
                ptx::tma_load(shared.b[stage], b, k, first_column, &shared.full[stage]);
            } else {
                ptx::tma_load(shared.a[stage], a, first_row, k, &shared.full[stage]);
                ptx::tma_load(shared.b[stage], b, first_column, k, &shared.full[stage]);
            }
        }
    }

    // The tile `at`, from the product of number `step` along k on.
    static __device__ __forceinline__ uint64_t operand(const unsigned char* at, int step) {
        const int further = MAJOR == Major::K ? step * STEP : step * STEP / int(sizeof(Element)) * WIDTH;
        return ptx::wgmma_descriptor(at + further, NOT_USED, PATTERN, ptx::Swizzle::BYTES_128);
    }

    // A warpgroup: sums of the rows from OF_CONSUMER * consumer on.
    static __device__ __forceinline__ void consume(Shared& shared, int consumer, int steps, float (&sums)[SUMS]) {
        for (int step = 0; step < steps; step++) {
            const int stage = step % STAGES;
            const unsigned char *a = shared.a[stage] + consumer * OF_CONSUMER * WIDTH, *b = shared.b[stage];
            ptx::mbarrier_wait(&shared.full[stage], step / STAGES % 2); // both tiles have landed
            if constexpr (FROM == From::SHARED) {
                ptx::wgmma_fence(); // the first product; later ones touch the same sums only
#pragma unroll
                for (int i = 0; i < WIDTH / STEP; i++) multiply(sums, operand(a, i), operand(b, i), step + i > 0);
                ptx::wgmma_commit();
                ptx::wgmma_wait<1>(sums); // the step before is done: nobody reads its stage any more
                if (step > 0) ptx::mbarrier_arrive(&shared.empty[(step - 1) % STAGES]);
            } else {
                uint32_t fragments[WIDTH / STEP][4];
                load(fragments, a);
                ptx::wgmma_fence(); // the fragments are in their registers
#pragma unroll
                for (int i = 0; i < WIDTH / STEP; i++) multiply(sums, fragments[i], operand(b, i), step + i > 0);
                ptx::wgmma_commit();
                ptx::wgmma_wait<0>(sums); // nobody reads the stage or the fragments any more
#pragma unroll
                for (int i = 0; i < WIDTH / STEP; i++) ptx::wgmma_keep(fragments[i]);
                ptx::mbarrier_arrive(&shared.empty[stage]);
            }
        }
        ptx::wgmma_wait<0>(sums); // all products are done: the sums may be read
    }

    template <class A>
    static __device__ __forceinline__ void multiply(float (&sums)[SUMS], const A& a, uint64_t b, bool accumulate) {
        if constexpr (sizeof(Element) == 4) {
            ptx::wgmma_tf32(sums, a, b, accumulate);
        } else if constexpr (FROM == From::SHARED) {
            ptx::wgmma_bf16<MAJOR, MAJOR>(sums, a, b, accumulate);
        } else {
            ptx::wgmma_bf16<MAJOR>(sums, a, b, accumulate);
        }
    }

    // A's fragments, as ldmatrix deals them, out of swizzled rows: lanes 0-15 name the rows of a warp's 16 x 16 for the
    // lower half of k, lanes 16-31 for the upper.
    static __device__ __forceinline__ void load(uint32_t (&fragments)[WIDTH / STEP][4], const unsigned char* a) {
        const int lane = threadIdx.x % 32, row = threadIdx.x % WARPGROUP / 32 * 16 + lane % 16;
#pragma unroll
        for (int i = 0; i < WIDTH / STEP; i++) {
            const int unit = i * STEP / 16 + lane / 16;
            ptx::load_matrices_4(fragments[i], a + row * WIDTH + (unit ^ (row % 8)) * 16);
        }
    }

    static __device__ __forceinline__ void run(Shared& shared, const ptx::TensorMap* a, const ptx::TensorMap* b, float* c,
                                               int m, int n, int k) {
        const int first_row = blockIdx.y * ROWS, first_column = blockIdx.x * COLUMNS;
        const int group = threadIdx.x / WARPGROUP, steps = (k + DEPTH - 1) / DEPTH;
        if (threadIdx.x == 0) {
            for (int stage = 0; stage < STAGES; stage++) {
                ptx::mbarrier_init(&shared.full[stage], 1);
                ptx::mbarrier_init(&shared.empty[stage], CONSUMERS * WARPGROUP);
            }
            ptx::fence_mbarrier_init(); // the TMA will count at them
        }
        __syncthreads(); // the barriers are there for all threads
        if (group == CONSUMERS) {
            ptx::setmaxnreg_dec<FEW>();
            if (threadIdx.x % WARPGROUP == 0) produce(shared, a, b, first_row, first_column, steps);
            return; // the consumers wait for all that was loaded
        }
        ptx::setmaxnreg_inc<MANY>();
        float sums[SUMS];
        consume(shared, group, steps, sums);
        const int lane = threadIdx.x % 32, warp = threadIdx.x % WARPGROUP / 32;
#pragma unroll
        for (int i = 0; i < SUMS; i++) {
            const int row = first_row + group * OF_CONSUMER + warp * 16 + lane / 4 + i / 2 % 2 * 8;
            const int column = first_column + i / 4 * 8 + lane % 4 * 2 + i % 2;
            if (row < m && column < n) c[int64_t(row) * n + column] = sums[i];
        }
    }
};

#define TILE(NAME, CONSUMERS, ...)                                                                          \
    extern "C" __global__ void __launch_bounds__((CONSUMERS + 1) * WARPGROUP, AT_ONCE / ((CONSUMERS + 1) * WARPGROUP)) \
        NAME(const __grid_constant__ ptx::TensorMap a, const __grid_constant__ ptx::TensorMap b, float* c, int m, int n, \
             int k) {                                                                                       \
        using Of = Tile<__VA_ARGS__>;                                                                       \
        __shared__ typename Of::Shared shared;                                                              \
        Of::run(shared, &a, &b, c, m, n, k);                                                                \
    }

TILE(tile_bf16, 1, __nv_bfloat16, Major::K, From::SHARED, 1, 64)
TILE(tile_bf16_pair, 2, __nv_bfloat16, Major::K, From::SHARED, 2, 32)
TILE(tile_bf16_mn, 1, __nv_bfloat16, Major::MN, From::SHARED, 1, 64)
TILE(tile_bf16_registers, 1, __nv_bfloat16, Major::K, From::REGISTERS, 1, 64)
TILE(tile_tf32, 1, float, Major::K, From::SHARED, 1, 64)
