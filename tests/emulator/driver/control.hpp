// What tests ask of the emulator, beside the driver's interface. All of it concerns the calling thread.
#pragma once
#include "driver.hpp"

// COTANGENT_EMULATOR_SCHEDULE: fifo, lifo, or random:SEED. For programs that do not call the functions below.
void schedule_from_environment();

// 0: first in first out, 1: last in first out, 2: random with the seed.
DRIVER_API void emulator_set_schedule(int order, uint64_t seed);
// Makes whatever waits, arrives or fences at this line of this file (the end of its path) do nothing.
DRIVER_API void emulator_skip(const char* file, int line);
// Makes a wait there be off by one: for the other parity, or for a group less.
DRIVER_API void emulator_shift(const char* file, int line);
// How often one of these happened since then.
DRIVER_API uint64_t emulator_skips();
// How often the driver's function of that name was called, and forgetting all calls.
DRIVER_API uint64_t emulator_calls(const char* function);
DRIVER_API void emulator_clear_calls();
// The last fault's description, empty if there was none; and forgetting it.
DRIVER_API const char* emulator_fault();
DRIVER_API void emulator_clear_fault();
