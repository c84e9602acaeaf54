// planted/hopper/dependent: mistakes among grids and blocks that wait by other means than barriers, and in the registers
// that warpgroups ask for. Each `planted_` kernel has one, its `sound_` twin has not.
#include "../../../../kernels/ptx_hopper.cuh"

// ---- Three grids in a row, each of which may begin before the last has ended: numbers 0, 1 and 2, three blocks of 64
// threads each. Number 0 writes first = in, number 1 second = 2 in and number 2 third = first + second, both reversed.

constexpr int BLOCK = 64;

enum Mistake { NONE, LAST_DOES_NOT_WAIT, SECOND_DOES_NOT_WAIT, LETS_OTHERS_BEGIN_TOO_EARLY };

template <Mistake MISTAKE>
__device__ __forceinline__ void three_grids(const float* in, float* first, float* second, float* third, int number) {
    const int i = blockIdx.x * BLOCK + threadIdx.x, mirrored = gridDim.x * BLOCK - 1 - i;
    if (number == 0) {
        ptx::launch_dependents();
        first[i] = in[i];
    } else if (number == 1) {
        // planted: number 1 needs nothing of number 0, but with number 1 over, number 2 takes number 0 to be over too
        if (MISTAKE != SECOND_DOES_NOT_WAIT) ptx::wait_for_prerequisites();
        if (MISTAKE == LETS_OTHERS_BEGIN_TOO_EARLY) ptx::launch_dependents(); // planted: before second is there
        second[i] = 2 * in[i];
        ptx::launch_dependents();
    } else {
        // planted: with number 1 over or not
        const bool waits = MISTAKE != LAST_DOES_NOT_WAIT && MISTAKE != LETS_OTHERS_BEGIN_TOO_EARLY;
        if (waits) ptx::wait_for_prerequisites();
        third[i] = first[mirrored] + second[mirrored];
    }
}
#define THREE_GRIDS(NAME, MISTAKE)                                                                             \
    extern "C" __global__ void NAME(const float* in, float* first, float* second, float* third, int number) { \
        three_grids<MISTAKE>(in, first, second, third, number);                                                \
    }
THREE_GRIDS(sound_three_grids, NONE)
THREE_GRIDS(planted_grids_last_does_not_wait, LAST_DOES_NOT_WAIT)
THREE_GRIDS(planted_grids_second_does_not_wait, SECOND_DOES_NOT_WAIT)
THREE_GRIDS(planted_grids_begin_too_early, LETS_OTHERS_BEGIN_TOO_EARLY)

// ---- A cooperative grid of four blocks: each waits for the sum of the one before it and adds its own number.
// out[b] = in[0] + ... + in[b]. `flags` are zeros, one a block.

enum ChainMistake { SOUND_CHAIN, FLAG_NEVER_SET, WAIT_FOR_ONE_ANOTHER };

template <ChainMistake MISTAKE>
__device__ __forceinline__ void chain(const float* in, float* out, unsigned* flags) {
    if (threadIdx.x != 0) return;
    const unsigned b = blockIdx.x, last = gridDim.x - 1;
    const bool waits = b > 0 || MISTAKE == WAIT_FOR_ONE_ANOTHER; // planted: the first for the last
    while (waits && ptx::load_acquire(&flags[b > 0 ? b - 1 : last]) == 0) {
    }
    out[b] = (b > 0 ? out[b - 1] : 0.0f) + in[b];
    if (MISTAKE != FLAG_NEVER_SET || b != 1) ptx::add_release(&flags[b], 1); // planted: block 1 does not say so
}
extern "C" __global__ void sound_chain(const float* in, float* out, unsigned* flags) { chain<SOUND_CHAIN>(in, out, flags); }
extern "C" __global__ void planted_chain_flag_never_set(const float* in, float* out, unsigned* flags) { chain<FLAG_NEVER_SET>(in, out, flags); }
extern "C" __global__ void planted_chain_wait_for_one_another(const float* in, float* out, unsigned* flags) { chain<WAIT_FOR_ONE_ANOTHER>(in, out, flags); }

// ---- Three warpgroups, which have 168 registers a thread when they begin: the first gives up what the others take.
// out[i] = in[i].
template <int KEEPS, int TAKES, int COME>
__device__ __forceinline__ void move_registers(const float* in, float* out) {
    if (threadIdx.x < 128) ptx::setmaxnreg_dec<KEEPS>();
    if (threadIdx.x >= 128 && threadIdx.x < COME) ptx::setmaxnreg_inc<TAKES>();
    out[threadIdx.x] = in[threadIdx.x];
}
extern "C" __global__ void __launch_bounds__(384, 1) sound_registers(const float* in, float* out, int) { move_registers<24, 240, 384>(in, out); }
// planted: 32 + 2 * 240 are more than 3 * 168, though the multiprocessor has 512
extern "C" __global__ void __launch_bounds__(384, 1) planted_too_many_registers(const float* in, float* out, int) { move_registers<32, 240, 384>(in, out); }
// planted: half of the last warpgroup
extern "C" __global__ void __launch_bounds__(384, 1) planted_registers_for_half(const float* in, float* out, int) { move_registers<40, 232, 320>(in, out); }
