// Errors: their names, and faults, which stay.
#include "control.hpp"
#include "driver.hpp"

using namespace driver;

static thread_local bool faulted;

Result driver::fault_so_far() { return faulted ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS; }
void driver::record_fault() { faulted = true; }

DRIVER_API void emulator_clear_fault() {
    settle();
    faulted = false;
}
DRIVER_API const char* emulator_fault() {
    settle();
    return faulted ? emulator::machine().message : "";
}

DRIVER_API Result cuGetErrorName(Result error, const char** name) {
#define NAME(error) \
    case error: \
        *name = #error; \
        return CUDA_SUCCESS;
    switch (error) {
        NAME(CUDA_SUCCESS)
        NAME(CUDA_ERROR_INVALID_VALUE)
        NAME(CUDA_ERROR_OUT_OF_MEMORY)
        NAME(CUDA_ERROR_NO_DEVICE)
        NAME(CUDA_ERROR_INVALID_DEVICE)
        NAME(CUDA_ERROR_INVALID_IMAGE)
        NAME(CUDA_ERROR_INVALID_CONTEXT)
        NAME(CUDA_ERROR_NO_BINARY_FOR_GPU)
        NAME(CUDA_ERROR_INVALID_HANDLE)
        NAME(CUDA_ERROR_NOT_FOUND)
        NAME(CUDA_ERROR_NOT_READY)
        NAME(CUDA_ERROR_ILLEGAL_ADDRESS)
        NAME(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE)
        NAME(CUDA_ERROR_NOT_SUPPORTED)
        NAME(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
        NAME(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)
        NAME(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED)
        NAME(CUDA_ERROR_STREAM_CAPTURE_UNJOINED)
        NAME(CUDA_ERROR_STREAM_CAPTURE_ISOLATION)
        NAME(CUDA_ERROR_CAPTURED_EVENT)
        NAME(CUDA_ERROR_INVALID_CLUSTER_SIZE)
    }
#undef NAME
    *name = nullptr;
    return CUDA_ERROR_INVALID_VALUE;
}

// The emulator's own words, where it has any.
DRIVER_API Result cuGetErrorString(Result error, const char** text) {
    COUNT_CALL;
    *text = error == CUDA_ERROR_ILLEGAL_ADDRESS ? emulator::machine().message : "";
    return CUDA_SUCCESS;
}
