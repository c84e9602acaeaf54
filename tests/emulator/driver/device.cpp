// Initialisation, devices, contexts.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "control.hpp"
#include "driver.hpp"

using namespace driver;

static thread_local const DeviceModel* current_context;

const DeviceModel* driver::current_device() { return current_context; }

DRIVER_API Result cuInit(unsigned) {
    schedule_from_environment();
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDriverGetVersion(int* version) {
    *version = 13000;
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceGetCount(int* count) {
    *count = DEVICE_COUNT;
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return ordinal >= 0 && ordinal < DEVICE_COUNT ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

DRIVER_API Result cuDeviceGetName(char* name, int size, int device) {
    snprintf(name, size, "%s", DEVICES[device].name);
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceGetUuid_v2(char* uuid, int device) {
    memset(uuid, 0, 16);
    uuid[15] = static_cast<char>(device);
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceTotalMem_v2(size_t* bytes, int) {
    *bytes = MEMORY;
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceGetAttribute(int* value, int attribute, int device) {
    const DeviceModel& model = DEVICES[device];
    switch (attribute) { // CUdevice_attribute
    case 1: // MAX_THREADS_PER_BLOCK
        *value = emulator::LARGEST_BLOCK;
        break;
    case 8: // MAX_SHARED_MEMORY_PER_BLOCK
        *value = emulator::LARGEST_STATIC_SHARED;
        break;
    case 10: // WARP_SIZE
        *value = emulator::WARP;
        break;
    case 16: // MULTIPROCESSOR_COUNT
        *value = 4;
        break;
    case 75: // COMPUTE_CAPABILITY_MAJOR
        *value = model.major;
        break;
    case 76: // COMPUTE_CAPABILITY_MINOR
        *value = model.minor;
        break;
    case 97: // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        *value = model.shared_per_block;
        break;
    case 115: // MEMORY_POOLS_SUPPORTED
        *value = 1;
        break;
    default:
        *value = 0;
    }
    return CUDA_SUCCESS;
}

// A context is its device.
DRIVER_API Result cuDevicePrimaryCtxRetain(const void** context, int device) {
    *context = &DEVICES[device];
    return CUDA_SUCCESS;
}
DRIVER_API Result cuDevicePrimaryCtxRelease_v2(int) { return CUDA_SUCCESS; }
DRIVER_API Result cuCtxSetCurrent(const void* context) {
    current_context = static_cast<const DeviceModel*>(context);
    return CUDA_SUCCESS;
}
DRIVER_API Result cuCtxGetCurrent(const void** context) {
    *context = current_context;
    return CUDA_SUCCESS;
}
DRIVER_API Result cuCtxSynchronize() { return fault_so_far(); }
