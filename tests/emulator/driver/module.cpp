// Modules and kernels.
//
// An image is the text that the emulator's build writes: a first line, then the name of each kernel.
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

static constexpr int MAX_THREADS_PER_BLOCK = 0, MAX_DYNAMIC_SHARED_SIZE_BYTES = 8; // CUfunction_attribute

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
    if (attribute != MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
    if (value < 0 || value > function->device->shared_per_block) return CUDA_ERROR_INVALID_VALUE;
    function->largest_dynamic_shared = value;
    return CUDA_SUCCESS;
}

// A launch's arguments, copied: a captured launch is carried out later.
static std::vector<std::vector<char>> copy_arguments(const emulator::Kernel& kernel, void** arguments) {
    std::vector<std::vector<char>> copies;
    for (unsigned i = 0; i < kernel.parameter_count; i++) {
        const char* argument = static_cast<const char*>(arguments[i]);
        copies.emplace_back(argument, argument + kernel.parameters[i].size);
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

DRIVER_API Result cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                                 unsigned block_y, unsigned block_z, unsigned dynamic_shared, void* stream,
                                 void** arguments, void** extra) {
    COUNT_CALL;
    if (Result fault = fault_so_far()) return fault;
    const emulator::Kernel& kernel = *function->kernel;
    const emulator::Configuration configuration = {
        {grid_x, grid_y, grid_z},
        {block_x, block_y, block_z},
        dynamic_shared,
        100 * function->device->major + 10 * function->device->minor,
    };
    // The limits of the CUDA C++ Programming Guide's table of technical specifications.
    const bool allowed = grid_x >= 1 && grid_y >= 1 && grid_z >= 1 && grid_x <= 0x7fffffff && grid_y <= 65535 &&
                         grid_z <= 65535 && block_x >= 1 && block_y >= 1 && block_z >= 1 && block_z <= 64 &&
                         size_t(block_x) * block_y * block_z <= kernel.largest_block &&
                         dynamic_shared <= function->largest_dynamic_shared && !extra;
    if (!allowed) return CUDA_ERROR_INVALID_VALUE;
    return enqueue(stream, [&kernel, configuration, copies = copy_arguments(kernel, arguments)]() mutable {
        const Defect defect = defect_of(kernel);
        if (defect == Defect::idle) return CUDA_SUCCESS;
        if (defect == Defect::faulty) {
            emulator::Machine& machine = emulator::machine();
            snprintf(machine.message, sizeof machine.message, "the kernel is faulty");
            record_fault();
            return CUDA_SUCCESS;
        }
        std::vector<void*> pointers;
        for (std::vector<char>& copy : copies) pointers.push_back(copy.data());
        if (!emulator::launch(kernel, configuration, pointers.data())) record_fault();
        return CUDA_SUCCESS;
    });
}
