// A launch: the blocks of the grid, one after another.
#include <cstring>
#include <mutex>

#include "faults.hpp"
#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

// Filled before main, in an order that nobody knows; so it is plain data too.
static Kernel kernels[1024];
static unsigned kernel_count;

Registration::Registration(const Kernel& kernel) {
    if (kernel_count < sizeof kernels / sizeof kernels[0]) kernels[kernel_count++] = kernel;
}

bool device_is_at_least(int architecture) { return machine().architecture >= architecture; }

const Kernel* find_kernel(const char* name, unsigned architecture) {
    for (unsigned i = 0; i < kernel_count; i++) {
        if ((kernels[i].architectures & architecture) && strcmp(kernels[i].name, name) == 0) return &kernels[i];
    }
    return nullptr;
}

// Who plays a thread. To ThreadSanitizer all that a fiber does comes in program order, so a thread must
// not be the same fiber as its namesakes in other blocks: they move on by one from block to block.
static Fiber& fiber_of(const Machine& m, unsigned thread) {
    const unsigned shift = under_thread_sanitizer() ? m.block_count : 0;
    return *m.pool[(thread + shift) % (m.thread_count + 1)];
}

static void begin_block(Machine& m, const Configuration& configuration, uint3 index) {
    block = {index, configuration.block, configuration.grid};
    begin_shared(m);
    m.barrier.arrived = 0;
    m.block_count++;
    const uint3 size = configuration.block;
    for (unsigned i = 0; i < m.thread_count; i++) {
        Fiber& fiber = fiber_of(m, i);
        m.fibers[i] = &fiber;
        fiber.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
        fiber.linear = i;
        fiber.lane = i % WARP;
        fiber.warp = i / WARP;
        if (fiber.async) {
            fiber.async->oldest = fiber.async->open = 0;
            fiber.async->counts[0] = 0;
        }
    }
    for (unsigned warp = 0; warp * WARP < m.thread_count; warp++) {
        const unsigned lanes = m.thread_count - warp * WARP;
        m.warps[warp].absent = lanes >= WARP ? 0 : ~0u << lanes;
        m.warps[warp].returned = 0;
        m.warps[warp].count = 0;
    }
    // The launcher comes before all threads; threads of different blocks stay unordered.
    release_order(&m.starts);
}

// Pointers must lead to live memory. (A null pointer is an operand left out.)
static void check_pointers(const Kernel& kernel, void** arguments) {
    for (unsigned i = 0; i < kernel.parameter_count; i++) {
        if (!kernel.parameters[i].is_pointer) continue;
        const void* pointer = *static_cast<void**>(arguments[i]);
        if (pointer && !is_allocated(pointer, 0)) {
            fault("argument %u, the pointer %p, leads to no live allocation", i, pointer);
        }
    }
}

bool launch(const Kernel& kernel, const Configuration& configuration, void** arguments) {
    static std::once_flag once;
    std::call_once(once, install_signal_handlers);
    SignalStack stack;
    Machine& m = machine();
    m.failed = false;
    m.architecture = configuration.architecture;
    m.kernel = &kernel;
    m.arguments = arguments;
    m.dynamic_size = configuration.dynamic_shared;
    m.thread_count = configuration.block.x * configuration.block.y * configuration.block.z;
    for (unsigned i = 0; i <= m.thread_count; i++) {
        if (!m.pool[i]) m.pool[i] = new Fiber();
    }
    m.running = &m.launcher;
    block = {{}, configuration.block, configuration.grid};
    if (__tsan_get_current_fiber) m.launcher.race_detector = __tsan_get_current_fiber();
    if (sigsetjmp(m.recovery, 1) == 0) {
        m.in_kernel = true;
        check_pointers(kernel, arguments);
        const uint3 grid = configuration.grid;
        for (unsigned z = 0; z < grid.z && !m.failed; z++) {
            for (unsigned y = 0; y < grid.y && !m.failed; y++) {
                for (unsigned x = 0; x < grid.x && !m.failed; x++) {
                    begin_block(m, configuration, {x, y, z});
                    start_block();
                    if (!m.failed) check_shared(m);
                }
            }
        }
    }
    m.in_kernel = false;
    m.running = &m.launcher;
    acquire_order(&m.ends);
    return !m.failed && allocations_intact();
}

} // namespace emulator
