// gemm_ahead: the loop over k of a float32 product, in which every thread reads from shared memory a step ahead of what
// it multiplies, so that the arithmetic need not wait for it.
//
// A step is one k. It begins to read the next step's fragments, starts its share of the copies from global memory and
// multiplies its own fragments, which the step before has read. The last step of a tile waits for the next tile. All
// steps of a tile are one stretch of code without a branch, which the compiler orders as it likes.
//
// In shared memory all tiles lie with k down the rows, whatever the operand's own order, so that a step reads four
// neighbours at once. An operand whose rows run along k is transposed on its way there, 4 bytes at a time; another is
// copied 16 bytes at a time, which its address and its stride must allow: the host asks for this loop where they do.
#ifndef COTANGENT_GEMM_AHEAD_CUH
#define COTANGENT_GEMM_AHEAD_CUH

#include "gemm_threads.cuh"

// What a block reads of an operand, seen as (extent, k): EXTENT of its rows, DEPTH of k at a time. A thread starts
// COPIES of them for each tile.
//
// Transposed, a warp's copy is eight k of four rows: 32 bytes of each row in global memory, and in shared memory
// rows that PADDING puts into different banks.
template <bool K_CONTIGUOUS, int EXTENT, int DEPTH, int THREADS>
struct Feed {
    static constexpr int WIDTH = K_CONTIGUOUS ? 1 : 4; // elements of a copy
    static constexpr int PADDING = K_CONTIGUOUS ? 4 : 0;
    static constexpr int STRIDE = EXTENT + PADDING, SIZE = DEPTH * STRIDE;
    static constexpr int COPIES = EXTENT * DEPTH / WIDTH / THREADS;
    // Of the copies of a thread, how far one is from the last, along the extent or along k.
    static constexpr int EIGHTS = DEPTH / 8, WARPS = THREADS / WARP;
    static constexpr int STEP = K_CONTIGUOUS ? WARPS / EIGHTS * 4 : THREADS / (EXTENT / WIDTH);
    static_assert(DEPTH % 8 == 0 && COPIES > 0 && COPIES * WIDTH * THREADS == EXTENT * DEPTH, "all copy as much");
    static_assert(K_CONTIGUOUS ? WARPS % EIGHTS == 0 : THREADS % (EXTENT / WIDTH) == 0, "in the same k or row each");

    const float* next;             // this thread's next copy: stepping along takes fewer registers than addresses do
    int64_t to_next, to_next_tile; // from copy to copy, and from the end of a tile's copies to the next tile
    int offset;                    // of a thread's first copy in a tile in shared memory
    int k, rows_left;              // its k in a tile; how many rows of the operand there are from its own on
    int left;                      // of the tile at hand, those that lie STEP * number before `left` are inside

    __device__ __forceinline__ Feed(const float* matrix, int extent, int whole_k, int first, int k_begin) {
        const int thread = threadIdx.x, warp = thread / WARP;
        const int index = K_CONTIGUOUS ? warp / EIGHTS * 4 + thread / 8 % 4 : thread % (EXTENT / WIDTH) * WIDTH;
        k = K_CONTIGUOUS ? warp % EIGHTS * 8 + thread % 8 : thread / (EXTENT / WIDTH);
        offset = k * STRIDE + index;
        rows_left = extent - first - index;
        const int64_t stride = K_CONTIGUOUS ? whole_k : extent, row = first + index, column = k_begin + k;
        next = matrix + (K_CONTIGUOUS ? row * stride + column : column * stride + row);
        to_next = STEP * stride;
        to_next_tile = (K_CONTIGUOUS ? DEPTH : DEPTH * stride) - COPIES * to_next;
    }

    // Before the copies of a tile, of which `k_left` are inside.
    __device__ __forceinline__ void begin(int k_left) {
        if constexpr (K_CONTIGUOUS) {
            left = k < k_left ? rows_left : 0;
        } else {
            left = rows_left > 0 ? k_left - k : 0;
        }
    }

    // Starts the `number`-th copy of the tile; zeros where nothing is inside. All are started in turn.
    __device__ __forceinline__ void start(float* tile, int number) {
        const bool inside = number * STEP < left;
        if constexpr (K_CONTIGUOUS) {
            ptx::copy_async_4(tile + offset + number * STEP, next, inside);
        } else {
            ptx::copy_async_16(tile + offset + number * STEP * STRIDE, next, inside);
        }
        next += to_next;
    }

    // After all copies of a tile.
    __device__ __forceinline__ void advance() { next += to_next_tile; }

    // The fours of the thread at `position` of POSITIONS, of one k of a tile.
    template <int POSITIONS, int FOURS>
    static __device__ __forceinline__ void read(float (&fragment)[FOURS][4], const float* tile, int position, int k) {
#pragma unroll
        for (int four = 0; four < FOURS; four++) {
            const float* from = tile + k * STRIDE + first_of_four<POSITIONS>(position, four);
            const float4 x = *reinterpret_cast<const float4*>(from);
            fragment[four][0] = x.x, fragment[four][1] = x.y, fragment[four][2] = x.z, fragment[four][3] = x.w;
        }
    }
};

// `output` makes the Output after the loop: what it holds would take registers from the sums.
template <class Shape, bool TRANSPOSE_A, bool TRANSPOSE_B, class MakeOutput>
__device__ __forceinline__ void gemm_ahead(const float* __restrict__ a, const float* __restrict__ b, int m, int n,
                                           int k, int k_per_split, MakeOutput output) {
    constexpr int DEPTH = Shape::DEPTH, STAGES = Shape::STAGES;
    using A = Feed<!TRANSPOSE_A, Shape::ROWS, DEPTH, Shape::THREADS>;
    using B = Feed<TRANSPOSE_B, Shape::COLUMNS, DEPTH, Shape::THREADS>;
    extern __shared__ float4 tiles[]; // of A by stage, then of B; float4 for its alignment
    float* const a_tiles = reinterpret_cast<float*>(tiles);
    float* const b_tiles = a_tiles + STAGES * A::SIZE;

    const Corner corner = corner_of_block<Shape::ROWS, Shape::COLUMNS>(m, n);
    const Stretch stretch(k, k_per_split);
    A a_feed(a, m, k, corner.row, stretch.begin);
    B b_feed(b, n, k, corner.column, stretch.begin);
    const int count = stretch.tiles(DEPTH);
    int k_left = stretch.length; // from the next tile to copy on

    // Starts those of a tile's copies that belong to a step: the steps share them evenly, but the last has none.
    const auto start_copies = [&](int step, int steps, int stage) {
#pragma unroll
        for (int i = 0; i < A::COPIES; i++) {
            if (i * steps / A::COPIES == step) a_feed.start(a_tiles + stage * A::SIZE, i);
        }
#pragma unroll
        for (int i = 0; i < B::COPIES; i++) {
            if (i * steps / B::COPIES == step) b_feed.start(b_tiles + stage * B::SIZE, i);
        }
    };
    const auto begin_copies = [&] {
        a_feed.begin(k_left), b_feed.begin(k_left);
        k_left -= DEPTH;
    };
    const auto end_copies = [&] { a_feed.advance(), b_feed.advance(); };
    for (int tile = 0; tile < STAGES - 1; tile++) {
        begin_copies();
        if (tile < count) start_copies(0, 1, tile);
        end_copies();
        ptx::copy_async_commit(); // also where there is nothing: the waits below count groups
    }

    const Place place = Shape::place();
    Sums<Shape> sums;
    float a_fragments[2][Shape::FOURS_DOWN][4], b_fragments[2][Shape::FOURS_ACROSS][4]; // of even k and of odd
    const auto read = [&](int stage, int k) {
        A::template read<Shape::THREADS_DOWN>(a_fragments[k % 2], a_tiles + stage * A::SIZE, place.down, k);
        B::template read<Shape::THREADS_ACROSS>(b_fragments[k % 2], b_tiles + stage * B::SIZE, place.across, k);
    };

    ptx::copy_async_wait<STAGES - 2>();
    __syncthreads(); // the first tile's copies by all threads have arrived
    int stage = 0, spare = STAGES - 1;
    read(stage, 0);
    for (int tile = 0; tile < count; tile++) {
        const bool copies = tile + STAGES - 1 < count;
        begin_copies();
#pragma unroll
        for (int step = 0; step < DEPTH; step++) {
            if (step == DEPTH - 1) {
                ptx::copy_async_wait<STAGES - 2>();
                // The next tile's copies by all threads have arrived; and all have read this tile, whose stage the
                // copies of the steps to come overwrite.
                __syncthreads();
                spare = stage;
                stage = stage == STAGES - 1 ? 0 : stage + 1;
            }
            read(stage, (step + 1) % DEPTH); // after the last tile: something, which nobody multiplies
            // Of two stages the next tile's copies must arrive within this one: all begin at once.
            if (copies) start_copies(step, STAGES == 2 ? 1 : DEPTH - 1, spare);
            if (step == DEPTH - 2) ptx::copy_async_commit();
#pragma unroll
            for (int i = 0; i < Shape::FOURS_DOWN; i++) {
#pragma unroll
                for (int j = 0; j < Shape::FOURS_ACROSS; j++) {
                    sums.add(i, j, a_fragments[step % 2][i], b_fragments[step % 2][j]);
                }
            }
        }
        end_copies();
    }
    sums.store(output().from(corner.row, corner.column), place);
}

#endif
