// Device memory and copies.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.hpp"

using namespace driver;

static void* address(DevicePointer pointer) { return reinterpret_cast<void*>(pointer); }

DRIVER_API Result cuMemGetInfo_v2(size_t* free, size_t* total) {
    COUNT_CALL;
    *total = memory();
    *free = memory() - emulator::allocated_bytes();
    return CUDA_SUCCESS;
}

DRIVER_API Result cuMemAlloc_v2(DevicePointer* pointer, size_t size) {
    COUNT_CALL;
    if (Result fault = fault_so_far()) return fault;
    if (size == 0) return CUDA_ERROR_INVALID_VALUE;
    if (size > memory() - std::min(memory(), emulator::allocated_bytes())) return CUDA_ERROR_OUT_OF_MEMORY;
    void* memory = emulator::allocate(size);
    *pointer = reinterpret_cast<DevicePointer>(memory);
    return memory ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

DRIVER_API Result cuMemFree_v2(DevicePointer pointer) {
    COUNT_CALL;
    switch (emulator::release(address(pointer))) {
    case emulator::Freed::unknown:
        return CUDA_ERROR_INVALID_VALUE;
    case emulator::Freed::overrun:
        record_fault();
        break;
    case emulator::Freed::intact:
        break;
    }
    return fault_so_far();
}

DRIVER_API Result cuMemAllocAsync(DevicePointer* pointer, size_t size, void*) { COUNT_CALL; return cuMemAlloc_v2(pointer, size); }
DRIVER_API Result cuMemFreeAsync(DevicePointer pointer, void*) { COUNT_CALL; return cuMemFree_v2(pointer); }

DRIVER_API Result cuMemHostAlloc(void** memory, size_t size, unsigned) {
    COUNT_CALL;
    *memory = malloc(size);
    return *memory ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
DRIVER_API Result cuMemFreeHost(void* memory) {
    COUNT_CALL;
    free(memory);
    return CUDA_SUCCESS;
}

// ---- Copies: the device's side must be allocated, all of it.

static Result copy(void* stream, void* to, const void* from, size_t size, const void* device_side) {
    if (size == 0) return CUDA_SUCCESS;
    if (!emulator::is_allocated(device_side, size)) return CUDA_ERROR_INVALID_VALUE;
    return enqueue(stream, [=] {
        memmove(to, from, size);
        return CUDA_SUCCESS;
    });
}

DRIVER_API Result cuMemcpyHtoDAsync_v2(DevicePointer to, const void* from, size_t size, void* stream) {
    COUNT_CALL;
    return copy(stream, address(to), from, size, address(to));
}
DRIVER_API Result cuMemcpyDtoHAsync_v2(void* to, DevicePointer from, size_t size, void* stream) {
    COUNT_CALL;
    return copy(stream, to, address(from), size, address(from));
}
DRIVER_API Result cuMemcpyDtoDAsync_v2(DevicePointer to, DevicePointer from, size_t size, void* stream) {
    COUNT_CALL;
    if (size != 0 && !emulator::is_allocated(address(from), size)) return CUDA_ERROR_INVALID_VALUE;
    return copy(stream, address(to), address(from), size, address(to));
}
DRIVER_API Result cuMemcpyHtoD_v2(DevicePointer to, const void* from, size_t size) {
    COUNT_CALL;
    return cuMemcpyHtoDAsync_v2(to, from, size, nullptr);
}
DRIVER_API Result cuMemcpyDtoH_v2(void* to, DevicePointer from, size_t size) {
    COUNT_CALL;
    return cuMemcpyDtoHAsync_v2(to, from, size, nullptr);
}
DRIVER_API Result cuMemcpyDtoD_v2(DevicePointer to, DevicePointer from, size_t size) {
    COUNT_CALL;
    return cuMemcpyDtoDAsync_v2(to, from, size, nullptr);
}

DRIVER_API Result cuMemsetD8Async(DevicePointer to, unsigned char value, size_t size, void* stream) {
    COUNT_CALL;
    if (size == 0) return CUDA_SUCCESS;
    if (!emulator::is_allocated(address(to), size)) return CUDA_ERROR_INVALID_VALUE;
    return enqueue(stream, [=] {
        memset(address(to), value, size);
        return CUDA_SUCCESS;
    });
}
DRIVER_API Result cuMemsetD8_v2(DevicePointer to, unsigned char value, size_t size) {
    COUNT_CALL;
    return cuMemsetD8Async(to, value, size, nullptr);
}
