// Lanes' accesses become their warp's requests, and requests become counts.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../driver/driver.hpp"

namespace emulator::counting {

// The running thread has come to an instruction that accesses memory; `code` is the address after it. In local
// memory, or outside all that kernels may use, it is passed over.
void access(const void* code, const void* address, size_t bytes, Access kind);

} // namespace emulator::counting

// For tests: what an instruction's requests have cost on the calling thread since it cleared its counts.
struct EmulatorCount {
    uint64_t code; // the instruction's offset in this library
    uint32_t space, access, bytes;
    uint64_t requests, lanes, wavefronts, conflicts, ideal_wavefronts, sectors, ideal_sectors;
};
// Writes up to `room` counts, and says how many there are.
DRIVER_API size_t emulator_counts(EmulatorCount* out, size_t room);
DRIVER_API void emulator_clear_counts();
