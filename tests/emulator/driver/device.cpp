// Initialisation, devices, contexts.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "control.hpp"
#include "driver.hpp"

using namespace driver;

static thread_local const DeviceModel* current_context;

// A number from the environment.
static size_t from_environment(const char* name, size_t otherwise) {
    const char* text = getenv(name);
    return text ? strtoull(text, nullptr, 10) : otherwise;
}
int driver::device_count() {
    return std::min<int>(DEVICE_COUNT, from_environment("COTANGENT_EMULATOR_DEVICES", DEVICE_COUNT));
}
size_t driver::memory() { return from_environment("COTANGENT_EMULATOR_MEMORY", size_t(8) << 30); }
int driver::driver_version() { return from_environment("COTANGENT_EMULATOR_DRIVER", 13000); }

static int capability(const DeviceModel& model) {
    return from_environment("COTANGENT_EMULATOR_CAPABILITY", 10 * model.major + model.minor);
}

const DeviceModel* driver::current_device() { return current_context; }

DRIVER_API Result cuInit(unsigned) {
    COUNT_CALL;
    schedule_from_environment();
    return device_count() == 0 ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}

DRIVER_API Result cuDriverGetVersion(int* version) {
    COUNT_CALL;
    *version = driver_version();
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceGetCount(int* count) {
    COUNT_CALL;
    *count = device_count();
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceGet(int* device, int ordinal) {
    COUNT_CALL;
    *device = ordinal;
    return ordinal >= 0 && ordinal < device_count() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

DRIVER_API Result cuDeviceGetName(char* name, int size, int device) {
    COUNT_CALL;
    snprintf(name, size, "%s", DEVICES[device].name);
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceGetUuid_v2(char* uuid, int device) {
    COUNT_CALL;
    memset(uuid, 0, 16);
    uuid[15] = static_cast<char>(device);
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceTotalMem_v2(size_t* bytes, int) {
    COUNT_CALL;
    *bytes = memory();
    return CUDA_SUCCESS;
}

DRIVER_API Result cuDeviceGetAttribute(int* value, int attribute, int device) {
    COUNT_CALL;
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
        *value = MULTIPROCESSORS;
        break;
    case 75: // COMPUTE_CAPABILITY_MAJOR
        *value = capability(model) / 10;
        break;
    case 76: // COMPUTE_CAPABILITY_MINOR
        *value = capability(model) % 10;
        break;
    case 95: // COOPERATIVE_LAUNCH
        *value = 1;
        break;
    case 97: // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        *value = model.shared_per_block;
        break;
    case 115: // MEMORY_POOLS_SUPPORTED
        *value = 1;
        break;
    case 120: // CLUSTER_LAUNCH
        *value = capability(model) >= 90;
        break;
    default:
        *value = 0;
    }
    return CUDA_SUCCESS;
}

// A context is its device.
DRIVER_API Result cuDevicePrimaryCtxRetain(const void** context, int device) {
    COUNT_CALL;
    *context = &DEVICES[device];
    return CUDA_SUCCESS;
}
DRIVER_API Result cuDevicePrimaryCtxRelease_v2(int) { COUNT_CALL; return CUDA_SUCCESS; }
DRIVER_API Result cuCtxSetCurrent(const void* context) {
    COUNT_CALL;
    current_context = static_cast<const DeviceModel*>(context);
    return CUDA_SUCCESS;
}
DRIVER_API Result cuCtxGetCurrent(const void** context) {
    COUNT_CALL;
    *context = current_context;
    return CUDA_SUCCESS;
}
DRIVER_API Result cuCtxSynchronize() {
    COUNT_CALL;
    return is_capturing() ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : fault_so_far();
}
