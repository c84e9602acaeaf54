// What a .cu file sees instead of CUDA's headers: included before its first line.
//
// Keywords that C++ lacks are handled by rewrite.rs, which also registers the entry points.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../runtime/emulator.hpp"

#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__

#define threadIdx (emulator::current->index)
#define blockIdx (emulator::block->index)
#define blockDim (emulator::block->size)
#define gridDim (emulator::block->grid)
#define warpSize 32

inline void __syncthreads(emulator::Place place = {}) { emulator::barrier(place); }

#include "entry.hpp"

#include "atomic.hpp"
#include "cuda_bf16.h"
#include "math.hpp"
#include "ptx.hpp"
#include "ptx_hopper.hpp"
#include "ptx_wgmma.hpp"
#include "warp.hpp"
