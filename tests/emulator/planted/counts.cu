// planted/counts: requests whose cost is known, for the counting of bank conflicts and sectors.
//
// One block of one warp. Each access that is counted is marked `counted:`, the only one of its kind on its line.
#include <cstdint>

constexpr int LANES = 32;

// ---- Global memory: in, out have 32 * 32 floats and more.

// Lane l reads in[first + stride l], and writes out[l].
extern "C" __global__ void counts_stride(const float* in, float* out, int stride, int first) {
    const int lane = threadIdx.x;
    out[lane] = in[first + stride * lane]; // counted: sectors of a stride
}

extern "C" __global__ void counts_vectors(const float4* in, float4* out) {
    out[threadIdx.x] = in[threadIdx.x]; // counted: sectors of vectors
}

struct Three {
    float x, y, z;
};
extern "C" __global__ void counts_structures(const Three* in, Three* out) {
    out[threadIdx.x] = in[threadIdx.x]; // counted: structures of 12 bytes
}

extern "C" __global__ void counts_bytes(const uchar4* in, float* out) {
    const uchar4 four = in[threadIdx.x]; // counted: four bytes at once
    out[threadIdx.x] = four.x + four.y + four.z + four.w;
}

// Every second turn is for even lanes, the others for odd ones.
extern "C" __global__ void counts_turns(const float* in, float* out) {
    const int lane = threadIdx.x;
    float sum = 0.0f;
#pragma unroll 1
    for (int turn = 0; turn < 4; turn++) {
        if (turn % 2 == lane % 2) sum += in[turn * LANES + lane]; // counted: half warps by turns
        __syncwarp();
    }
    out[lane] = sum;
}

// ---- Shared memory.

// Lane l reads word `stride` l of shared memory. A stride of 33 is the padded column.
extern "C" __global__ void counts_shared_stride(const float* in, float* out, int stride) {
    __shared__ float words[LANES * 33];
    const int lane = threadIdx.x;
    for (int i = lane; i < LANES * 33; i += LANES) words[i] = in[i]; // without conflicts
    __syncthreads();
    out[lane] = words[stride * lane]; // counted: words of a stride
}

// out = in transposed, both (32, 32), through a tile whose rows are COLUMNS words apart.
template <int COLUMNS>
__device__ __forceinline__ void transpose(const float* in, float* out) {
    __shared__ float tile[LANES][COLUMNS];
    const int lane = threadIdx.x;
    for (int row = 0; row < LANES; row++) tile[row][lane] = in[row * LANES + lane];
    __syncthreads();
    for (int row = 0; row < LANES; row++) out[row * LANES + lane] = tile[lane][row]; // counted: a tile's columns
}
extern "C" __global__ void counts_transpose_unpadded(const float* in, float* out) { transpose<32>(in, out); }
extern "C" __global__ void counts_transpose_padded(const float* in, float* out) { transpose<33>(in, out); }

// A product's operands: the lanes of a warp are 4 down and 8 across, and each reads 16 bytes of A by its row and
// 16 bytes of B by its column.
__device__ __forceinline__ void read_operands(const float* in, float* out, int row, int column) {
    __shared__ alignas(16) float words[32 * 4];
    const int lane = threadIdx.x;
    for (int i = lane; i < 32 * 4; i += LANES) words[i] = in[i];
    __syncthreads();
    const float4 a = *reinterpret_cast<const float4*>(words + 4 * row);    // counted: A
    const float4 b = *reinterpret_cast<const float4*>(words + 4 * column); // counted: B
    out[lane] = a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}
extern "C" __global__ void counts_operands_in_rows(const float* in, float* out) {
    const int lane = threadIdx.x;
    read_operands(in, out, lane / 8, lane % 8);
}
// The bits of a lane: column 2, row 1, column 1, row 0, column 0.
extern "C" __global__ void counts_operands_in_z_order(const float* in, float* out) {
    const int lane = threadIdx.x;
    read_operands(in, out, (lane >> 3 & 1) << 1 | (lane >> 1 & 1), (lane >> 4 & 1) << 2 | (lane >> 2 & 1) << 1 | (lane & 1));
}

// Each lane reads 16 bytes that begin 4 `stride` words after its neighbour's; and 8 bytes, 2 `stride` words.
extern "C" __global__ void counts_shared_vectors(const float* in, float* out, int stride) {
    __shared__ alignas(16) float words[32 * 4 * 8];
    const int lane = threadIdx.x;
    for (int i = lane; i < 32 * 4 * 8; i += LANES) words[i] = in[i % (LANES * 33)];
    __syncthreads();
    const float4 four = *reinterpret_cast<const float4*>(words + 4 * stride * lane); // counted: fours
    const float2 two = *reinterpret_cast<const float2*>(words + 2 * stride * lane);  // counted: twos
    out[lane] = four.x + four.w + two.x + two.y;
}

// ---- Instructions with functions of their own.

// Copies rows of 16 bytes that are `stride` words apart in shared memory; the upper half of the warp copies zeros.
// Then matrices are read from there.
extern "C" __global__ void counts_copies_and_matrices(const float* in, float* out, int stride) {
    __shared__ alignas(16) float words[32 * 36];
    const int lane = threadIdx.x;
    ptx::copy_async_16(words + stride * lane, in + 4 * lane, lane < 16); // counted: copies
    ptx::copy_async_commit();
    ptx::copy_async_wait<0>();
    __syncwarp();
    uint32_t fragment[4];
    ptx::load_matrices_4(fragment, words + stride * lane); // counted: matrices
    out[lane] = __uint_as_float(fragment[0] ^ fragment[1] ^ fragment[2] ^ fragment[3]);
}

// Two turns of copies that begin in the middle of a sector; the upper half of the warp sits out the first. The
// compiler does not know how many turns there are, and so makes one instruction for both.
extern "C" __global__ void counts_copies_by_turns(const float* in, float* out, int turns) {
    __shared__ float words[2 * LANES];
    const int lane = threadIdx.x;
#pragma unroll 1
    for (int turn = 0; turn < turns; turn++) {
        const int at = turn * LANES + lane;
        ptx::copy_async_4(words + at, in + 4 + at, turn == 1 || lane < 16); // counted: copies by turns
    }
    ptx::copy_async_commit();
    ptx::copy_async_wait<0>();
    out[lane] = words[lane] + words[LANES + lane];
}

extern "C" __global__ void counts_atomics(const float*, float* out) {
    atomicAdd(reinterpret_cast<unsigned*>(out) + threadIdx.x, 1u); // counted: atomics
}
