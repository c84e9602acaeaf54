// step: where a training run stands, in device memory.
//
// What changes from step to step is no kernel argument but read from here, or from a scalar's place in device memory,
// so that a captured graph of one step serves every step. begin_step (optimizers.cu) is the first kernel of a step and
// counts it; every other kernel of the step comes after it.
#ifndef COTANGENT_STEP_CUH
#define COTANGENT_STEP_CUH

#include <cstdint>

// src/exec/cuda/kernels/step.rs has the same layout.
struct StepState {
    uint64_t number;           // t: the updates begun so far, this one among them: from 1
    uint64_t epoch_start;      // the updates before this epoch
    uint64_t first_not_finite; // the number of the first step whose loss was not finite, or NO_STEP
};
static_assert(sizeof(StepState) == 24, "as src/exec/cuda/kernels/step.rs has it");

constexpr uint64_t NO_STEP = UINT64_MAX;

// The step as random numbers are counted: by the updates before it, from 0.
__device__ __forceinline__ uint64_t draw_step(const StepState* __restrict__ step) { return step->number - 1; }

// The step's number within its epoch, from 0.
__device__ __forceinline__ uint64_t step_of_epoch(const StepState* __restrict__ step) {
    return step->number - 1 - step->epoch_start;
}

#endif
