// Tensor maps: the checks of a real driver, as its documentation lists them.
#include <cstring>

#include "../runtime/tensor_map.hpp"
#include "driver.hpp"

using emulator::MOST_DIMENSIONS;
using emulator::TensorMap;

// Bytes of an element, by CUtensorMapDataType; 0 for none.
static unsigned element_size(unsigned type) {
    static constexpr unsigned char SIZES[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
    return type < sizeof SIZES ? SIZES[type] : 0;
}

DRIVER_API Result cuTensorMapEncodeTiled(void* encoded, unsigned type, unsigned rank, void* address,
                                         const uint64_t* extents, const uint64_t* strides, const uint32_t* box,
                                         const uint32_t* element_strides, unsigned interleave, unsigned swizzle,
                                         unsigned promotion, unsigned fill) {
    COUNT_CALL;
    const auto start = reinterpret_cast<uintptr_t>(address);
    const unsigned element = element_size(type);
    const bool known = element != 0 && rank >= 1 && rank <= MOST_DIMENSIONS && interleave <= 2 && swizzle <= 3 &&
                       promotion <= 3 && fill <= 1;
    if (!known || !encoded || reinterpret_cast<uintptr_t>(encoded) % 64 != 0) return CUDA_ERROR_INVALID_VALUE;
    if (start == 0 || start % 16 != 0) return CUDA_ERROR_INVALID_VALUE;
    if (interleave != 0 || fill != 0) return CUDA_ERROR_NOT_SUPPORTED; // by the emulator
    TensorMap map = {};
    map.magic = TensorMap::MAGIC;
    map.rank = rank, map.type = type, map.swizzle = swizzle, map.element = element;
    map.address = static_cast<char*>(address);
    uint64_t before = element; // bytes of all that a stride steps over
    for (unsigned i = 0; i < rank; i++) {
        if (extents[i] == 0 || extents[i] > 1ull << 32 || box[i] == 0 || box[i] > 256) return CUDA_ERROR_INVALID_VALUE;
        if (element_strides[i] != 1) return element_strides[i] - 1u > 7 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
        if (i + 1 < rank) {
            before = i == 0 ? extents[0] * element : extents[i] * strides[i - 1];
            if (strides[i] % 16 != 0 || strides[i] >= 1ull << 40 || strides[i] < before) return CUDA_ERROR_INVALID_VALUE;
            map.strides[i] = strides[i];
        }
        map.last[i] = extents[i] - 1;
        map.box[i] = box[i];
    }
    const unsigned row = box[0] * element, span = emulator::swizzle_span(swizzle);
    if (row % 16 != 0 || (span != 0 && row > span)) return CUDA_ERROR_INVALID_VALUE;
    memset(encoded, 0, 128);
    memcpy(encoded, &map, sizeof map);
    return CUDA_SUCCESS;
}
