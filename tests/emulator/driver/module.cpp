// Modules and kernels.
//
// An image is the text that the emulator's build writes: a first line, then the name of each kernel.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "driver.hpp"

using namespace driver;

static const char FIRST_LINE[] = "emulated kernels\n";

namespace {

// A kernel in a module, on the device that the module was loaded for.
struct Function {
    const emulator::Kernel* kernel;
    const DeviceModel* device;
    size_t largest_dynamic_shared = emulator::LARGEST_STATIC_SHARED; // more must be asked for
    unsigned largest_cluster = emulator::LARGEST_PORTABLE_CLUSTER;   // likewise
    bool asked_for_shared = false;
};

struct Module {
    std::string names; // each on a line
    const DeviceModel* device;
    std::vector<std::unique_ptr<Function>> functions;
};

std::mutex mutex;

} // namespace

DRIVER_API Result cuModuleLoadData(Module** module, const void* image) {
    COUNT_CALL;
    if (!current_device()) return CUDA_ERROR_INVALID_CONTEXT;
    const char* text = static_cast<const char*>(image);
    if (strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0) return CUDA_ERROR_INVALID_IMAGE;
    *module = new Module{text + strlen(FIRST_LINE) - 1, current_device(), {}};
    return CUDA_SUCCESS;
}

DRIVER_API Result cuModuleUnload(Module* module) {
    COUNT_CALL;
    delete module;
    return CUDA_SUCCESS;
}

DRIVER_API Result cuModuleGetFunction(Function** function, Module* module, const char* name) {
    COUNT_CALL;
    const emulator::Kernel* kernel = emulator::find_kernel(name, module->device->architecture);
    if (!kernel || module->names.find("\n" + std::string(name) + "\n") == std::string::npos) return CUDA_ERROR_NOT_FOUND;
    const std::lock_guard<std::mutex> lock(mutex);
    module->functions.push_back(std::make_unique<Function>(Function{kernel, module->device}));
    *function = module->functions.back().get();
    return CUDA_SUCCESS;
}

// CUfunction_attribute
static constexpr int MAX_THREADS_PER_BLOCK = 0, MAX_DYNAMIC_SHARED_SIZE_BYTES = 8, NON_PORTABLE_CLUSTER_SIZE_ALLOWED = 14;

DRIVER_API Result cuFuncGetAttribute(int* value, int attribute, Function* function) {
    COUNT_CALL;
    switch (attribute) {
    case MAX_THREADS_PER_BLOCK:
        *value = function->kernel->largest_block;
        return CUDA_SUCCESS;
    case MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = function->largest_dynamic_shared;
        return CUDA_SUCCESS;
    default: // registers and the like, which the emulator does not know
        *value = 0;
        return CUDA_SUCCESS;
    }
}

DRIVER_API Result cuFuncSetAttribute(Function* function, int attribute, int value) {
    COUNT_CALL;
    if (attribute == NON_PORTABLE_CLUSTER_SIZE_ALLOWED) {
        function->largest_cluster = value ? emulator::LARGEST_CLUSTER : emulator::LARGEST_PORTABLE_CLUSTER;
    }
    if (attribute != MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
    if (value < 0 || value > function->device->shared_per_block) return CUDA_ERROR_INVALID_VALUE;
    function->largest_dynamic_shared = value;
    function->asked_for_shared = true;
    return CUDA_SUCCESS;
}

static std::vector<Argument> copy_arguments(const emulator::Kernel& kernel, void** arguments) {
    std::vector<Argument> copies;
    for (unsigned i = 0; i < kernel.parameter_count; i++) {
        const size_t size = kernel.parameters[i].size;
        Argument& copy = copies.emplace_back((size + sizeof(ArgumentPart) - 1) / sizeof(ArgumentPart));
        memcpy(copy.data(), arguments[i], size);
    }
    return copies;
}

// What is wrong with the kernels of a broken card, as COTANGENT_EMULATOR_KERNELS says: `idle` ones do nothing,
// `faulty` ones fault; `faulty:KERNEL:N` is the N-th launch of one kernel, from 1.
enum class Defect { none, idle, faulty };

static Defect defect_of(const emulator::Kernel& kernel) {
    static const char* const set = getenv("COTANGENT_EMULATOR_KERNELS");
    if (!set) return Defect::none;
    const std::string defect = set;
    if (defect == "idle") return Defect::idle;
    if (defect == "faulty") return Defect::faulty;
    const size_t last = defect.rfind(':');
    if (defect.substr(0, last) != std::string("faulty:") + kernel.name) return Defect::none;
    thread_local int launches = 0;
    return ++launches == atoi(set + last + 1) ? Defect::faulty : Defect::none;
}

Result driver::run(const std::vector<Launch*>& launches) {
    std::vector<std::vector<void*>> pointers;
    std::vector<emulator::Request> requests;
    for (Launch* launch : launches) {
        const Defect defect = defect_of(*launch->kernel);
        if (defect == Defect::idle) continue;
        if (defect == Defect::faulty) {
            emulator::Machine& machine = emulator::machine();
            snprintf(machine.message, sizeof machine.message, "the kernel is faulty");
            record_fault();
            return CUDA_SUCCESS;
        }
        std::vector<void*>& own = pointers.emplace_back();
        for (Argument& copy : launch->arguments) own.push_back(copy.data());
        requests.push_back({launch->kernel, launch->configuration, own.data()});
    }
    if (!requests.empty() && !emulator::launch(requests.data(), requests.size())) record_fault();
    return CUDA_SUCCESS;
}

// How many blocks of a launch the device holds at once, as far as threads and dynamic shared memory tell.
static unsigned long long blocks_at_once(const DeviceModel& device, const emulator::Configuration& configuration) {
    const uint3 block = configuration.block;
    unsigned long long each = std::min(BLOCKS_PER_MULTIPROCESSOR, device.threads / int(block.x * block.y * block.z));
    if (configuration.dynamic_shared) {
        each = std::min<unsigned long long>(each, device.shared_per_block / configuration.dynamic_shared);
    }
    return each * MULTIPROCESSORS;
}

static Result launch(Function* function, const emulator::Configuration& configuration, void* stream, void** arguments,
                     void** extra, bool overlaps, bool waits) {
    if (Result fault = fault_so_far()) return fault;
    const emulator::Kernel& kernel = *function->kernel;
    const auto [grid, block, dynamic_shared, architecture, cluster, cooperative, asked] = configuration;
    // The limits of the CUDA C++ Programming Guide's table of technical specifications.
    const bool allowed = grid.x >= 1 && grid.y >= 1 && grid.z >= 1 && grid.x <= 0x7fffffff && grid.y <= 65535 &&
                         grid.z <= 65535 && block.x >= 1 && block.y >= 1 && block.z >= 1 && block.z <= 64 &&
                         size_t(block.x) * block.y * block.z <= kernel.largest_block &&
                         dynamic_shared <= function->largest_dynamic_shared && !extra;
    if (!allowed) return CUDA_ERROR_INVALID_VALUE;
    const unsigned long long in_cluster = 1ull * cluster.x * cluster.y * cluster.z;
    if ((in_cluster > 1 || overlaps) && architecture < 900) return CUDA_ERROR_NOT_SUPPORTED;
    if (in_cluster == 0 || in_cluster > function->largest_cluster || grid.x % cluster.x != 0 ||
        grid.y % cluster.y != 0 || grid.z % cluster.z != 0) {
        return CUDA_ERROR_INVALID_CLUSTER_SIZE;
    }
    if (cooperative && 1ull * grid.x * grid.y * grid.z > blocks_at_once(*function->device, configuration)) {
        return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    }
    return enqueue(stream, Launch{&kernel, configuration, copy_arguments(kernel, arguments), overlaps, waits});
}

static int architecture_of(const Function* function) {
    return 100 * function->device->major + 10 * function->device->minor;
}

DRIVER_API Result cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                                 unsigned block_y, unsigned block_z, unsigned dynamic_shared, void* stream,
                                 void** arguments, void** extra) {
    COUNT_CALL;
    emulator::Configuration configuration = {
        {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, dynamic_shared, architecture_of(function)};
    configuration.asked_for_shared = function->asked_for_shared;
    return launch(function, configuration, stream, arguments, extra, false, false);
}

// CUlaunchAttribute and CUlaunchConfig, as cuda.h has them.
enum AttributeId : int { IGNORE = 0, COOPERATIVE = 2, CLUSTER_DIMENSION = 4, PROGRAMMATIC_STREAM_SERIALIZATION = 6 };

struct LaunchAttribute {
    int id;
    char pad[4];
    union {
        char bytes[64];
        int flag;
        uint3 extents;
    };
};
static_assert(sizeof(LaunchAttribute) == 72, "as in cuda.h");

struct LaunchConfig {
    uint3 grid, block;
    unsigned dynamic_shared;
    void* stream;
    const LaunchAttribute* attributes;
    unsigned count;
};

// What a launch with attributes asks for; false where the emulator does not know an attribute.
static bool read_config(const Function* function, const LaunchConfig& config, emulator::Configuration& configuration,
                        bool& overlaps) {
    configuration = {config.grid, config.block, config.dynamic_shared, architecture_of(function)};
    configuration.asked_for_shared = function->asked_for_shared;
    overlaps = false;
    for (unsigned i = 0; i < config.count; i++) {
        const LaunchAttribute& attribute = config.attributes[i];
        switch (attribute.id) {
        case IGNORE:
            break;
        case COOPERATIVE:
            configuration.cooperative = attribute.flag != 0;
            break;
        case CLUSTER_DIMENSION:
            configuration.cluster = attribute.extents;
            break;
        case PROGRAMMATIC_STREAM_SERIALIZATION:
            overlaps = attribute.flag != 0;
            break;
        default:
            return false;
        }
    }
    return true;
}

DRIVER_API Result cuLaunchKernelEx(const LaunchConfig* config, Function* function, void** arguments, void** extra) {
    COUNT_CALL;
    emulator::Configuration configuration;
    bool overlaps;
    if (!read_config(function, *config, configuration, overlaps)) return CUDA_ERROR_NOT_SUPPORTED;
    return launch(function, configuration, config->stream, arguments, extra, overlaps, true);
}

DRIVER_API Result cuOccupancyMaxActiveClusters(int* count, Function* function, const LaunchConfig* config) {
    COUNT_CALL;
    emulator::Configuration configuration;
    bool overlaps;
    if (!read_config(function, *config, configuration, overlaps)) return CUDA_ERROR_NOT_SUPPORTED;
    const uint3 cluster = configuration.cluster;
    const unsigned size = cluster.x * cluster.y * cluster.z;
    if (size == 0 || size > function->largest_cluster) return CUDA_ERROR_INVALID_CLUSTER_SIZE;
    *count = blocks_at_once(*function->device, configuration) / size;
    return CUDA_SUCCESS;
}
