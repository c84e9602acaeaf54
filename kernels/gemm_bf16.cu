// gemm_bf16: products of bfloat16 matrices on tensor cores, summed in float32.
//
//   C (m, n) = op(A) (m, k) op(B) (k, n), all row-major; A lies as (m, k) or (k, m), B as (k, n) or (n, k)
//   A and B bfloat16, C float32; then the epilogue of gemm.cuh
//
// 2 m n k operations, by mma.sync m16n8k16 (sm_80; the host refuses older devices). A block computes one
// tile of C, and each warp a part of it, whose sums stay in registers. The block walks along k; while it
// multiplies a tile of A and one of B, the next ones are on their way into shared memory (cp.async).
// ldmatrix transposes where rows do not run along k, so all four cases are one body and nothing is
// transposed in memory. k is split among blocks as in gemm.cu, and variants.csv lists the instances.
//
// Matrices whose rows do not begin at multiples of 16 bytes are copied element by element: correct,
// and slow.
//
// After the PTX ISA, "Matrix multiply-accumulate operation using mma instruction".
#include "gemm.cuh"
#include "variants.cuh"

// What one instruction multiplies: (16, 16) of A and (16, 8) of B.
constexpr int MMA_ROWS = 16;
constexpr int MMA_COLUMNS = 8;
constexpr int MMA_DEPTH = 16;

// ROWS x COLUMNS of C, of which a warp computes WARP_ROWS x WARP_COLUMNS; DEPTH of k in each of STAGES tiles of an
// operand, which shared memory bounds.
template <int ROWS_, int COLUMNS_, int DEPTH_, int WARP_ROWS_, int WARP_COLUMNS_, int STAGES_>
struct TileShape {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, DEPTH = DEPTH_, STAGES = STAGES_;
    static constexpr int WARP_ROWS = WARP_ROWS_, WARP_COLUMNS = WARP_COLUMNS_;
    static constexpr int WARPS_ACROSS = COLUMNS / WARP_COLUMNS;
    static constexpr int THREADS = ROWS / WARP_ROWS * WARPS_ACROSS * WARP;
};

// How a tile of an operand lies in shared memory, and what a warp reads of it.
//
// ldmatrix reads 16 bytes (a chunk) of eight neighbouring rows at a time. Without padding, rows are 64
// bytes or a multiple of 128 apart; exchanging a row's chunks by bits of its number makes the eight lie
// in different banks.
template <bool K_CONTIGUOUS_, int EXTENT, int DEPTH>
struct Layout {
    using Element = __nv_bfloat16;
    static constexpr bool K_CONTIGUOUS = K_CONTIGUOUS_;
    static constexpr int ROWS = K_CONTIGUOUS ? EXTENT : DEPTH, COLUMNS = K_CONTIGUOUS ? DEPTH : EXTENT;
    static constexpr int CHUNK = 8;
    static constexpr int SIZE = ROWS * COLUMNS;
    static_assert(COLUMNS == 32 || COLUMNS % 64 == 0, "rows are 64 bytes or a multiple of 128");

    static __device__ __forceinline__ int offset(int row, int column) {
        const int exchange = COLUMNS == 32 ? row / 2 % 4 : row % 8;
        return row * COLUMNS + (column / CHUNK ^ exchange) * CHUNK + column % CHUNK;
    }

    static __device__ __forceinline__ void copy_element(Element* shared, const Element* global, bool valid) {
        *shared = valid ? *global : __float2bfloat16_rn(0.0f); // cp.async knows no fewer than 4 bytes
    }

    // The 16 x 16 elements of op(A) from (first, first_k) on, as the mma takes them: rows 0-7 and 8-15 of
    // the first eight k, then of the next eight.
    static __device__ __forceinline__ void read_a(uint32_t (&fragment)[4], const Element* tile, int first,
                                                  int first_k) {
        const int matrix = threadIdx.x % WARP / 8;
        read(fragment, tile, first + matrix % 2 * 8, first_k + matrix / 2 * 8);
    }

    // The 16 x 16 elements of op(B) from (first_k, first) on, as two mma take them: both eights of k of
    // columns 0-7, then of columns 8-15.
    static __device__ __forceinline__ void read_b(uint32_t (&fragment)[4], const Element* tile, int first,
                                                  int first_k) {
        const int matrix = threadIdx.x % WARP / 8;
        read(fragment, tile, first + matrix / 2 * 8, first_k + matrix % 2 * 8);
    }

  private:
    // Four 8x8 matrices, the one of this lane's eight from `first` and `first_k` on.
    static __device__ __forceinline__ void read(uint32_t (&fragment)[4], const Element* tile, int first, int first_k) {
        const int lane = threadIdx.x % 8;
        if constexpr (K_CONTIGUOUS) {
            ptx::load_matrices_4(fragment, tile + offset(first + lane, first_k));
        } else {
            ptx::load_matrices_4_transposed(fragment, tile + offset(first_k + lane, first));
        }
    }
};

template <class Shape, bool TRANSPOSE_A, bool TRANSPOSE_B>
__device__ __forceinline__ void gemm(const __nv_bfloat16* __restrict__ a, const __nv_bfloat16* __restrict__ b, int m,
                                     int n, int k, int k_per_split, const Output& c) {
    constexpr int DEPTH = Shape::DEPTH, STAGES = Shape::STAGES;
    using A = Layout<!TRANSPOSE_A, Shape::ROWS, DEPTH>;
    using B = Layout<TRANSPOSE_B, Shape::COLUMNS, DEPTH>;
    extern __shared__ uint4 tiles[]; // of A by stage, then of B; uint4 for its alignment
    __nv_bfloat16* const a_tiles = reinterpret_cast<__nv_bfloat16*>(tiles);
    __nv_bfloat16* const b_tiles = a_tiles + STAGES * A::SIZE;

    const Corner corner = corner_of_block<Shape::ROWS, Shape::COLUMNS>(m, n);
    const Operand<A, Shape::THREADS> a_operand(a, m, k, corner.row);
    const Operand<B, Shape::THREADS> b_operand(b, n, k, corner.column);
    const Stretch stretch(k, k_per_split);

    const auto start_copy = [&](int tile, int stage) {
        const int done = tile * DEPTH;
        a_operand.copy(a_tiles + stage * A::SIZE, stretch.begin + done, stretch.length - done);
        b_operand.copy(b_tiles + stage * B::SIZE, stretch.begin + done, stretch.length - done);
    };

    constexpr int DOWN = Shape::WARP_ROWS / MMA_ROWS, ACROSS = Shape::WARP_COLUMNS / MMA_COLUMNS;
    const unsigned warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const int first_row = warp / Shape::WARPS_ACROSS * Shape::WARP_ROWS;
    const int first_column = warp % Shape::WARPS_ACROSS * Shape::WARP_COLUMNS;
    float sums[DOWN][ACROSS][4] = {};

    const auto multiply_tile = [&](int stage) {
        const __nv_bfloat16* a_tile = a_tiles + stage * A::SIZE;
        const __nv_bfloat16* b_tile = b_tiles + stage * B::SIZE;
#pragma unroll
        for (int first_k = 0; first_k < DEPTH; first_k += MMA_DEPTH) {
            uint32_t a_fragments[DOWN][4];
#pragma unroll
            for (int i = 0; i < DOWN; i++) A::read_a(a_fragments[i], a_tile, first_row + i * MMA_ROWS, first_k);
#pragma unroll
            for (int j = 0; j < ACROSS; j += 2) {
                uint32_t both[4];
                B::read_b(both, b_tile, first_column + j * MMA_COLUMNS, first_k);
                const uint32_t left[2] = {both[0], both[1]}, right[2] = {both[2], both[3]};
#pragma unroll
                for (int i = 0; i < DOWN; i++) {
                    ptx::mma_bf16(sums[i][j], a_fragments[i], left);
                    ptx::mma_bf16(sums[i][j + 1], a_fragments[i], right);
                }
            }
        }
    };
    pipeline<STAGES>(stretch.tiles(DEPTH), start_copy, multiply_tile);

    // A lane holds columns 2(lane%4) and the next of rows lane/4 and lane/4 + 8. Neighbouring lanes
    // exchange halves, so that an even one holds four neighbours of the first row, an odd one of the second.
    const Output part = c.from(corner.row + first_row, corner.column + first_column);
    const bool odd = lane % 2;
    const int row = lane / 4 + (odd ? 8 : 0), column = lane % 4 / 2 * 4;
#pragma unroll
    for (int i = 0; i < DOWN; i++) {
#pragma unroll
        for (int j = 0; j < ACROSS; j++) {
            const float(&sum)[4] = sums[i][j];
            const float first = __shfl_xor_sync(ALL_LANES, odd ? sum[0] : sum[2], 1);
            const float second = __shfl_xor_sync(ALL_LANES, odd ? sum[1] : sum[3], 1);
            const float four[4] = {odd ? first : sum[0], odd ? second : sum[1], odd ? sum[2] : first,
                                   odd ? sum[3] : second};
            part.store(row + i * MMA_ROWS, column + j * MMA_COLUMNS, four);
        }
    }
}

#define ENTRY(name, BLOCKS, TRANSPOSE_A, TRANSPOSE_B, ...)                                                         \
    extern "C" __global__ void __launch_bounds__(__VA_ARGS__::THREADS, BLOCKS)                                     \
        name(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int m, int n, int k, int k_per_split,       \
             const float* bias, const float* mask, int relu, int accumulate) {                                     \
        float* part = c + int64_t(blockIdx.z) * m * n;                                                             \
        const Output output(part, bias, mask, relu, accumulate, m, n);                                             \
        gemm<__VA_ARGS__, TRANSPOSE_A, TRANSPOSE_B>(a, b, m, n, k, k_per_split, output);                           \
    }
#define VARIANT(...) VARIANT_OF(gemm_bf16, __VA_ARGS__)
GEMM_BF16_VARIANTS
