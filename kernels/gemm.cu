// gemm: products of float32 matrices, in float32 throughout.
//
//   C (m, n) = op(A) (m, k) op(B) (k, n), all row-major; A lies as (m, k) or (k, m), B as (k, n) or (n, k)
//   then the epilogue of gemm.cuh
//
// 2 m n k operations. A block computes one tile of C. It walks along k; while it multiplies a tile of A
// and one of B, the next are on their way into shared memory (cp.async; sm_75 has none and copies at
// once). A thread holds 4 x 4 to 16 x 8 sums in registers, so that each number it reads from shared memory
// serves as many multiplications: with few, shared memory could not feed the arithmetic. Each sum is over
// rising k, so all instances give the same bits.
//
// Where C has few tiles and k is long, blockIdx.z splits k: each stretch's sums go to a workspace
// (splits, m, n), and gemm_reduce.cu adds them and applies the epilogue.
//
// variants.csv lists the instances of the template, tuning.csv says where which is the fastest. Two loops
// over k serve them, by how many fragments (what a thread has read of a tile) a thread holds:
//
//   1  reads what it multiplies next, four k at a time; takes operands at any address. Below.
//   2  reads a step ahead of what it multiplies. gemm_ahead.cuh.
//
// After the CUDA C++ Best Practices Guide, "Shared memory in matrix multiplication", and CUTLASS's
// account of a hierarchical product ("Efficient GEMM in CUDA").
#include "gemm.cuh"
#include "gemm_ahead.cuh"
#include "gemm_threads.cuh"
#include "variants.cuh"

// How a tile of an operand lies in shared memory, and what a thread reads of it.
//
// Of EXTENT rows of op(A) (or columns of op(B)), the thread at `position` of POSITIONS takes fours of
// neighbours (gemm_threads.cuh). Up to eight neighbouring positions read 16 bytes each at a time, which must lie
// in different banks of shared memory. Where rows run along k, they read the same four columns of rows that are
// four apart. A stride of 20 words
// puts those into both halves of the banks by turns; exchanging the row's four chunks by bits 3 and 4 of
// its number puts them into different quarters of each. Rows of 36 words are alike.
template <bool K_CONTIGUOUS_, int EXTENT, int DEPTH, int POSITIONS>
struct Layout {
    using Element = float;
    static constexpr bool K_CONTIGUOUS = K_CONTIGUOUS_;
    static constexpr int ROWS = K_CONTIGUOUS ? EXTENT : DEPTH, COLUMNS = K_CONTIGUOUS ? DEPTH : EXTENT;
    static constexpr int STRIDE = K_CONTIGUOUS ? DEPTH + 4 : EXTENT;
    static constexpr int SIZE = ROWS * STRIDE;
    static constexpr int PER_THREAD = EXTENT / POSITIONS;
    static_assert((DEPTH == 16 || DEPTH == 32) && POSITIONS % 8 == 0 && PER_THREAD % 4 == 0, "what the above rests on");

    static __device__ __forceinline__ int offset(int row, int column) {
        const int chunk = K_CONTIGUOUS ? column / 4 ^ row / 8 % 4 : column / 4;
        return row * STRIDE + chunk * 4 + column % 4;
    }

    static __device__ __forceinline__ void copy_element(float* shared, const float* global, bool valid) {
        ptx::copy_async_4(shared, global, valid);
    }

    // fragment[l][i] = element (first + i, k + l), first being that of the thread's four, for a k that is a multiple
    // of 4.
    static __device__ __forceinline__ void read(float (&fragment)[4][4], const float* tile, int position, int four,
                                                int k) {
        const int first = first_of_four<POSITIONS>(position, four);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float* from = tile + (K_CONTIGUOUS ? offset(first + i, k) : offset(k + i, first));
            const float4 x = *reinterpret_cast<const float4*>(from);
            if (K_CONTIGUOUS) {
                fragment[0][i] = x.x, fragment[1][i] = x.y, fragment[2][i] = x.z, fragment[3][i] = x.w;
            } else {
                fragment[i][0] = x.x, fragment[i][1] = x.y, fragment[i][2] = x.z, fragment[i][3] = x.w;
            }
        }
    }
};

template <class Shape, bool TRANSPOSE_A, bool TRANSPOSE_B>
__device__ __forceinline__ void gemm(const float* __restrict__ a, const float* __restrict__ b, int m, int n, int k,
                                     int k_per_split, const Output& c) {
    constexpr int DEPTH = Shape::DEPTH, STAGES = Shape::STAGES;
    using A = Layout<!TRANSPOSE_A, Shape::ROWS, DEPTH, Shape::THREADS_DOWN>;
    using B = Layout<TRANSPOSE_B, Shape::COLUMNS, DEPTH, Shape::THREADS_ACROSS>;
    extern __shared__ float4 tiles[]; // of A by stage, then of B; float4 for its alignment
    float* const a_tiles = reinterpret_cast<float*>(tiles);
    float* const b_tiles = a_tiles + STAGES * A::SIZE;

    const Corner corner = corner_of_block<Shape::ROWS, Shape::COLUMNS>(m, n);
    const Operand<A, Shape::THREADS> a_operand(a, m, k, corner.row);
    const Operand<B, Shape::THREADS> b_operand(b, n, k, corner.column);
    const Stretch stretch(k, k_per_split);

    const auto start_copy = [&](int tile, int stage) {
        const int done = tile * DEPTH;
        a_operand.copy(a_tiles + stage * A::SIZE, stretch.begin + done, stretch.length - done);
        b_operand.copy(b_tiles + stage * B::SIZE, stretch.begin + done, stretch.length - done);
    };

    const Place place = Shape::place();
    Sums<Shape> sums;

    const auto multiply_tile = [&](int stage) {
        const float* a_tile = a_tiles + stage * A::SIZE;
        const float* b_tile = b_tiles + stage * B::SIZE;
// Not unrolled: fragments and addresses of several steps would crowd the sums out of registers.
#pragma unroll 1
        for (int first_k = 0; first_k < DEPTH; first_k += 4) {
            float a_fragments[Shape::FOURS_DOWN][4][4];
#pragma unroll
            for (int i = 0; i < Shape::FOURS_DOWN; i++) A::read(a_fragments[i], a_tile, place.down, i, first_k);
#pragma unroll
            for (int j = 0; j < Shape::FOURS_ACROSS; j++) {
                float b_fragment[4][4];
                B::read(b_fragment, b_tile, place.across, j, first_k);
#pragma unroll
                for (int i = 0; i < Shape::FOURS_DOWN; i++) {
#pragma unroll
                    for (int l = 0; l < 4; l++) sums.add(i, j, a_fragments[i][l], b_fragment[l]);
                }
            }
        }
    };
    pipeline<STAGES>(stretch.tiles(DEPTH), start_copy, multiply_tile);
    sums.store(c.from(corner.row, corner.column), place);
}

#define ENTRY(name, BLOCKS, TRANSPOSE_A, TRANSPOSE_B, ...)                                                         \
    extern "C" __global__ void __launch_bounds__(__VA_ARGS__::THREADS, BLOCKS)                                     \
        name(const float* a, const float* b, float* c, int m, int n, int k, int k_per_split, const float* bias,    \
             const float* mask, int relu, int accumulate) {                                                        \
        const auto output = [&] {                                                                                  \
            return Output(c + int64_t(blockIdx.z) * m * n, bias, mask, relu, accumulate, m, n);                    \
        };                                                                                                         \
        if constexpr (__VA_ARGS__::FRAGMENTS == 2) {                                                               \
            gemm_ahead<__VA_ARGS__, TRANSPOSE_A, TRANSPOSE_B>(a, b, m, n, k, k_per_split, output);                 \
        } else {                                                                                                   \
            gemm<__VA_ARGS__, TRANSPOSE_A, TRANSPOSE_B>(a, b, m, n, k, k_per_split, output());                     \
        }                                                                                                          \
    }
#define VARIANT(...) VARIANT_OF(gemm, __VA_ARGS__)
GEMM_VARIANTS
