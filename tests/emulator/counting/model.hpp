// What a warp's memory request costs, by a model of the hardware from compute capability 5.0 on.
//
// Shared memory. Consecutive 4-byte words lie in consecutive ones of 32 banks; a bank delivers one word at a time,
// to as many lanes as want it (CUDA C++ Programming Guide, "Shared Memory" of compute capability 5.x, which the
// later ones refer to). A wavefront is what the banks do at once (Nsight Compute, "Memory Tables"), so a group of
// lanes needs as many as the most words that it wants of one bank.
//
//   bytes a lane   groups of lanes      wavefronts without conflicts
//   up to 4        the warp             1
//   8              2 halves             2, or 1 where they are merged
//   16             4 quarters           4, or 2 where the quarters of each half are merged
//
// Two neighbouring groups are merged where every lane i of both has the address of lane i ^ 1, or every lane i that
// of lane i ^ 2; a lane that takes no part agrees with every other. NVIDIA documents neither the groups nor the
// merging: both were observed, by timing cards and by their counters. ldmatrix has four groups of 8 rows of 16 bytes,
// one for each matrix, never merged.
//
// Global memory is read and written in sectors of 32 bytes, each once for a request (Nsight Compute, "Memory
// Tables"; Best Practices Guide, "Coalesced Access to Global Memory").
#pragma once
#include <cstdint>

namespace emulator::counting {

constexpr unsigned LANES = 32;

// What the lanes that take part in a request access: `bytes` each.
struct WarpRequest {
    uint32_t present;
    uint64_t addresses[LANES];
};

struct Wavefronts {
    unsigned needed;        // of the request as it is
    unsigned conflict_free; // of one with the same groups whose words lie in different banks
    unsigned ideal;         // that could hold the request's bytes: 128 in each
};
Wavefronts wavefronts(const WarpRequest& request, unsigned bytes, bool matrices);

struct Sectors {
    unsigned needed;
    unsigned ideal; // that could hold the request's bytes
};
Sectors sectors(const WarpRequest& request, unsigned bytes);

} // namespace emulator::counting
