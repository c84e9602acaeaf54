// A tensor map as the emulated driver writes it (CUDA driver API, "Tensor Map Object Management"): in place of the
// 128 bytes whose layout NVIDIA does not tell.
#pragma once
#include <cstdint>

namespace emulator {

constexpr unsigned MOST_DIMENSIONS = 5;

struct TensorMap {
    static constexpr uint32_t MAGIC = 0x7e450a9u;
    uint32_t magic;
    uint8_t rank, type, swizzle; // as the driver's enumerations number type and swizzle
    uint8_t element;             // bytes
    char* address;
    uint64_t strides[MOST_DIMENSIONS - 1]; // bytes
    uint32_t last[MOST_DIMENSIONS];        // the extents less one
    uint16_t box[MOST_DIMENSIONS];
};
static_assert(sizeof(TensorMap) <= 128, "a tensor map has 128 bytes");

// CUtensorMapDataType
enum TensorType : uint8_t { TENSOR_UINT32 = 2, TENSOR_INT32 = 3, TENSOR_FLOAT32 = 7, TENSOR_BFLOAT16 = 9 };

// Bytes of a row after which a swizzle's pattern ends: 0 without. (CUtensorMapSwizzle: none, 32, 64, 128 bytes.)
constexpr uint32_t swizzle_span(unsigned swizzle) { return swizzle == 0 ? 0 : 16u << swizzle; }

// Where a swizzle of so many bytes puts what without it lies at this address of shared memory.
constexpr uint32_t swizzled(uint32_t address, uint32_t span) {
    return span == 0 ? address : address ^ ((address >> 7 & (span / 16 - 1)) << 4);
}

} // namespace emulator
