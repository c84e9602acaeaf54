// gemm_threads: how the threads of a block share its tile of C, in products of float32 matrices.
#ifndef COTANGENT_GEMM_THREADS_CUH
#define COTANGENT_GEMM_THREADS_CUH

#include "gemm.cuh"

// A warp's lanes are 4 down C and 8 across: one fragment of A and B each serves 8 and 4 of them.
constexpr int LANES_DOWN = 4;
constexpr int LANES_ACROSS = 8;

// In which order they are.
//
// Shared memory hands out 128 bytes a cycle. A warp's loads of 16 bytes a lane go by eights of lanes; two eights go
// together if in both each lane has the address of its neighbour, or of its neighbour but one (as measured by many;
// NVIDIA documents neither). Cycles for a four of A and a four of B:
//
//   ROWS  lane = 8 down + across                     A 2, B 4: neighbours across differ in B
//   Z     lane = bits across 2, down 1, across 1, down 0, across 0     A 2, B 2: neighbours share A, neighbours
//                                                                      but one share B
enum class LaneOrder { ROWS, Z };

// Where a thread is in its block's tile: its number down the rows and across the columns, of THREADS_DOWN x
// THREADS_ACROSS.
struct Place {
    int down, across;
};

// ROWS x COLUMNS of C, of which a thread computes PER_THREAD_ROWS x PER_THREAD_COLUMNS; DEPTH of k in each of
// STAGES tiles of an operand, which shared memory bounds; FRAGMENTS of each that a thread holds, which registers bound.
template <int ROWS_, int COLUMNS_, int DEPTH_, int PER_THREAD_ROWS_, int PER_THREAD_COLUMNS_, int STAGES_, LaneOrder LANES,
          int FRAGMENTS_>
struct TileShape {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, DEPTH = DEPTH_, STAGES = STAGES_, FRAGMENTS = FRAGMENTS_;
    static constexpr int PER_THREAD_ROWS = PER_THREAD_ROWS_, PER_THREAD_COLUMNS = PER_THREAD_COLUMNS_;
    static constexpr int FOURS_DOWN = PER_THREAD_ROWS / 4, FOURS_ACROSS = PER_THREAD_COLUMNS / 4;
    static constexpr int THREADS_DOWN = ROWS / PER_THREAD_ROWS, THREADS_ACROSS = COLUMNS / PER_THREAD_COLUMNS;
    static constexpr int THREADS = THREADS_DOWN * THREADS_ACROSS;
    static_assert(THREADS_DOWN % LANES_DOWN == 0 && THREADS_ACROSS % LANES_ACROSS == 0, "warps fill the tile");
    static_assert(PER_THREAD_ROWS % 4 == 0 && PER_THREAD_COLUMNS % 4 == 0, "a thread takes fours");

    static __device__ __forceinline__ Place place() {
        constexpr int WARPS_ACROSS = THREADS_ACROSS / LANES_ACROSS;
        const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
        const bool z = LANES == LaneOrder::Z;
        const int down = z ? lane / 8 % 2 * 2 + lane / 2 % 2 : lane / LANES_ACROSS;
        const int across = z ? lane / 16 * 4 + lane / 4 % 2 * 2 + lane % 2 : lane % LANES_ACROSS;
        return {warp / WARPS_ACROSS * LANES_DOWN + down, warp % WARPS_ACROSS * LANES_ACROSS + across};
    }
};

// Of the rows of op(A), or the columns of op(B), the thread at `position` of POSITIONS takes fours of neighbours: from
// 4 position on, from 4 (position + POSITIONS) on, and so on. The first of its `four`-th.
template <int POSITIONS>
__device__ __forceinline__ int first_of_four(int position, int four) {
    return 4 * (position + four * POSITIONS);
}

// The sums of a thread, in registers: of C's elements in its fours of rows and of columns.
template <class Shape>
struct Sums {
    float of[Shape::FOURS_DOWN][Shape::FOURS_ACROSS][4][4] = {};

    // Adds a[row] b[column] for one k: the products of a four of A and a four of B.
    __device__ __forceinline__ void add(int down, int across, const float (&a)[4], const float (&b)[4]) {
#pragma unroll
        for (int row = 0; row < 4; row++) {
#pragma unroll
            for (int column = 0; column < 4; column++) of[down][across][row][column] += a[row] * b[column];
        }
    }

    // Finishes them and stores them in the block's part of C.
    __device__ __forceinline__ void store(const Output& part, Place place) const {
#pragma unroll
        for (int i = 0; i < Shape::FOURS_DOWN; i++) {
#pragma unroll
            for (int j = 0; j < Shape::FOURS_ACROSS; j++) {
#pragma unroll
                for (int row = 0; row < 4; row++) {
                    part.store(first_of_four<Shape::THREADS_DOWN>(place.down, i) + row,
                               first_of_four<Shape::THREADS_ACROSS>(place.across, j), of[i][j][row]);
                }
            }
        }
    }
};

#endif
