// The counting of memory requests (counting/): null where the kernels are not compiled for it.
#pragma once
#include "machine.hpp"

namespace emulator {

// All threads of a block, or all lanes of a warp, are at one place: requests that they have not all made by now
// they will not make together.
__attribute__((weak)) void count_met(const LiveBlock& block);
__attribute__((weak)) void count_met(const Warp& warp);
// The blocks of a wave have ended.
__attribute__((weak)) void count_ended();

template <class Met>
inline void met(const Met& who) {
    void (*const count)(const Met&) = count_met;
    if (count) count(who);
}

} // namespace emulator
