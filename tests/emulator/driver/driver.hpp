// The CUDA driver's interface as far as cudarc and the executor call it: the part of cuda.h that is
// needed, and what the files of this folder share.
//
// Work is carried out when it is asked for, on the calling thread. A fault in a kernel is reported
// as on hardware: by the next call that the fault can reach, and by every one after it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "../runtime/machine.hpp"

#define DRIVER_API extern "C" __attribute__((visibility("default")))

// The first statement of each of the driver's functions.
#define COUNT_CALL driver::count_call(__func__)

// CUresult, by the names of cuda.h.
enum Result : int {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_IMAGE = 200,
    CUDA_ERROR_INVALID_CONTEXT = 201,
    CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
    CUDA_ERROR_INVALID_HANDLE = 400,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_READY = 600,
    CUDA_ERROR_ILLEGAL_ADDRESS = 700,
    CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE = 720,
    CUDA_ERROR_NOT_SUPPORTED = 801,
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
    CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
    CUDA_ERROR_STREAM_CAPTURE_UNJOINED = 904,
    CUDA_ERROR_STREAM_CAPTURE_ISOLATION = 905,
    CUDA_ERROR_CAPTURED_EVENT = 907,
    CUDA_ERROR_INVALID_CLUSTER_SIZE = 912,
};

using DevicePointer = unsigned long long;

namespace driver {

// The emulated devices, one for each path that the kernels distinguish.
struct DeviceModel {
    const char* name;
    int major, minor;
    unsigned architecture; // its bit in Kernel::architectures
    int shared_per_block;  // the most that a kernel can ask for
    int threads;           // that a multiprocessor holds
};
constexpr DeviceModel DEVICES[] = {
    {"emulated sm_75", 7, 5, 1, 64 * 1024, 1024},
    {"emulated sm_80", 8, 0, 2, 163 * 1024, 2048},
    {"emulated sm_90", 9, 0, 4, 227 * 1024, 2048},
};
constexpr int MULTIPROCESSORS = 4, BLOCKS_PER_MULTIPROCESSOR = 32;
constexpr int DEVICE_COUNT = sizeof DEVICES / sizeof DEVICES[0];

// The machine, where COTANGENT_EMULATOR_... in the environment does not say otherwise.
int device_count();   // DEVICES: fewer than there are
size_t memory();      // MEMORY: bytes, 8 GiB
int driver_version(); // DRIVER: as cuDriverGetVersion says it, 13000
                      // CAPABILITY: of every device, such as 61

// The device of the calling thread's current context; null if it has none.
const DeviceModel* current_device();

// The fault that the calling thread's context has suffered, or CUDA_SUCCESS.
Result fault_so_far();
void record_fault();

// Whether a stream of the calling thread is being captured: then nobody may wait for the whole context.
bool is_capturing();

// Notes that the calling thread has called a function of the driver, before which held launches are carried out unless
// it is one of those that may stand between two launches.
void count_call(const char* function);

// An argument, aligned as any may be.
struct alignas(64) ArgumentPart {
    char bytes[64];
};
using Argument = std::vector<ArgumentPart>;

// A kernel's launch, with copies of its arguments: a captured one is carried out later.
struct Launch {
    const emulator::Kernel* kernel;
    emulator::Configuration configuration;
    std::vector<Argument> arguments;
    bool overlaps;   // may begin before the stream's last kernel has ended
    bool is_waiting; // for the next launch, which may overlap it
};
// Carries out launches of which each but the first overlaps the one before it.
Result run(const std::vector<Launch*>& launches);

// Does work in the order of a stream, now; or notes it in the graph that the stream is being captured into.
Result enqueue(void* stream, std::function<Result()> work);
Result enqueue(void* stream, Launch launch);
// Carries out the launches that wait for one that may overlap them.
void settle();

} // namespace driver
