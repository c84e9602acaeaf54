// A launch: the blocks of the grid in waves. The blocks of a wave are live together and the waves follow one another.
//
// An ordinary launch has a wave for each block; one with clusters a wave for each cluster; a cooperative one, whose
// blocks may wait for each other, is one wave; and so are several grids of which each may begin before the last
// has ended.
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "counting.hpp"
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
// not be the same fiber as its namesakes in other waves: they move on by one from wave to wave.
static Fiber& fiber_of(const Machine& m, unsigned thread) {
    const unsigned shift = under_thread_sanitizer() ? m.waves : 0;
    return *m.pool[(thread + shift) % m.rotation];
}

// Room for a wave of so many threads.
static void make_room(Machine& m, unsigned threads) {
    const unsigned before = m.pool_size;
    m.rotation = threads + 1;
    if (before >= m.rotation) return;
    m.pool_size = m.rotation;
    m.pool = static_cast<Fiber**>(realloc(m.pool, m.pool_size * sizeof(Fiber*)));
    for (unsigned i = before; i < m.pool_size; i++) m.pool[i] = new Fiber();
    if (!m.ring) m.ring = 2 * LARGEST_BLOCK;
    while (m.ring < m.pool_size) m.ring *= 2;
    m.ready = static_cast<Fiber**>(realloc(m.ready, m.ring * sizeof(Fiber*)));
}

static void begin_wave(Machine& m) {
    m.waves++;
    m.block_count = m.thread_count = 0;
}

// A block more for the wave: of the cluster that begins with `first`, or of a new one.
static LiveBlock& add_block(Machine& m, Grid& grid, uint3 index, LiveBlock* first) {
    LiveBlock*& place = m.blocks[m.block_count++];
    if (!place) place = static_cast<LiveBlock*>(calloc(1, sizeof(LiveBlock)));
    LiveBlock& b = *place;
    const uint3 size = grid.request->configuration.block;
    static_cast<Block&>(b) = {index, size, grid.request->configuration.grid};
    b.launch = &grid;
    b.thread_count = b.live = grid.thread_count;
    b.begun = b.lets_next_begin = false;
    b.barrier.arrived = 0;
    Cluster& cluster = first ? first->own : b.own;
    if (!first) cluster.size = cluster.thread_count = cluster.returned = cluster.arrived = 0, cluster.waiting = nullptr;
    b.cluster = &cluster;
    b.rank = cluster.size++;
    cluster.blocks[b.rank] = &b;
    cluster.thread_count += b.thread_count;
    begin_shared(b);
    for (unsigned i = 0; i < b.thread_count; i++) {
        Fiber& fiber = fiber_of(m, m.thread_count + i);
        b.fibers[i] = &fiber;
        fiber.owner = &b;
        fiber.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
        fiber.linear = i;
        fiber.lane = i % WARP;
        fiber.warp = i / WARP;
        fiber.arrived = false;
        fiber.waits_for = nullptr;
        fiber.bulk_group = fiber.proxy_fences = 0;
        if (fiber.async) {
            fiber.async->oldest = fiber.async->open = 0;
            fiber.async->counts[0] = 0;
        }
    }
    for (unsigned warp = 0; warp * WARP < b.thread_count; warp++) {
        const unsigned lanes = b.thread_count - warp * WARP;
        b.warps[warp].absent = lanes >= WARP ? 0 : ~0u << lanes;
        b.warps[warp].returned = 0;
        b.warps[warp].count = 0;
    }
    begin_mbarriers(b);
    begin_warpgroups(b);
    begin_writers(b);
    m.thread_count += b.thread_count;
    return b;
}

static void run_wave(Machine& m) {
    // The launcher comes before all threads; threads of different blocks stay unordered.
    release_order(&m.starts);
    start_wave();
    if (count_ended) count_ended();
    for (unsigned i = 0; i < m.block_count && !m.failed; i++) {
        block = m.blocks[i]; // for messages
        check_shared(*m.blocks[i]);
    }
}

static unsigned long long count(uint3 extents) { return 1ull * extents.x * extents.y * extents.z; }

// The blocks of a grid, cluster by cluster: in a wave of its own each, or all in the wave that has begun.
static void run_blocks(Machine& m, Grid& grid, bool together) {
    const Configuration& configuration = grid.request->configuration;
    const uint3 blocks = configuration.grid, cluster = configuration.cluster;
    for (unsigned z = 0; z < blocks.z && !m.failed; z += cluster.z) {
        for (unsigned y = 0; y < blocks.y && !m.failed; y += cluster.y) {
            for (unsigned x = 0; x < blocks.x && !m.failed; x += cluster.x) {
                if (!together) begin_wave(m);
                LiveBlock* first = nullptr;
                for (unsigned i = 0; i < count(cluster); i++) {
                    const uint3 index = {x + i % cluster.x, y + i / cluster.x % cluster.y, z + i / (cluster.x * cluster.y)};
                    LiveBlock& added = add_block(m, grid, index, first);
                    if (!first) first = &added;
                }
                if (!together) {
                    grid.live_blocks = grid.holding_blocks = m.block_count;
                    run_wave(m);
                }
            }
        }
    }
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

// Runs grids that are live together: several, or one that is cooperative; or one in waves.
static void run_grids(Machine& m, Grid* grids, unsigned count_of_grids) {
    if (count_of_grids == 1 && !grids[0].request->configuration.cooperative) return run_blocks(m, grids[0], false);
    begin_wave(m);
    for (unsigned i = 0; i < count_of_grids; i++) {
        run_blocks(m, grids[i], true);
        grids[i].live_blocks = grids[i].holding_blocks = count(grids[i].request->configuration.grid);
    }
    run_wave(m);
}

bool launch(const Request* requests, unsigned count_of_grids) {
    unsigned long long blocks = 0, threads = 0;
    unsigned most = 0; // threads of a wave that is not all of the grid
    for (unsigned i = 0; i < count_of_grids; i++) {
        const Configuration& configuration = requests[i].configuration;
        blocks += count(configuration.grid);
        threads += count(configuration.grid) * count(configuration.block);
        most = count(configuration.cluster) * count(configuration.block);
    }
    const bool together = count_of_grids > 1 || requests[0].configuration.cooperative;
    if (count_of_grids > 1 && (count_of_grids > MOST_GRIDS || blocks > MOST_BLOCKS || threads > MOST_THREADS)) {
        // Too much to be live at once: one after the other, which is allowed too.
        for (unsigned i = 0; i < count_of_grids; i++) {
            if (!launch(&requests[i], 1)) return false;
        }
        return true;
    }
    static std::once_flag once;
    std::call_once(once, install_signal_handlers);
    SignalStack stack;
    Machine& m = machine();
    m.failed = false;
    forget_copies();
    m.architecture = requests[0].configuration.architecture;
    make_room(m, together ? threads : most);
    Grid* const grids = m.grids;
    for (unsigned i = 0; i < count_of_grids; i++) {
        const Configuration& configuration = requests[i].configuration;
        Grid& grid = grids[i];
        grid.request = &requests[i];
        begin_layout(grid.layout, configuration);
        grid.thread_count = count(configuration.block);
        grid.before = i > 0 ? &grids[i - 1] : nullptr;
        grid.after = i + 1 < count_of_grids ? &grids[i + 1] : nullptr;
        grid.waiting = nullptr;
    }
    m.running = &m.launcher;
    current = nullptr;
    block = nullptr;
    if (__tsan_get_current_fiber) m.launcher.race_detector = __tsan_get_current_fiber();
    if (sigsetjmp(m.recovery, 1) == 0) {
        m.in_kernel = true;
        for (unsigned i = 0; i < count_of_grids; i++) check_pointers(*requests[i].kernel, requests[i].arguments);
        run_grids(m, grids, count_of_grids);
    }
    m.in_kernel = false;
    m.running = &m.launcher;
    if (count_ended) count_ended(); // also after a fault
    acquire_order(&m.ends);
    return !m.failed && allocations_intact();
}

} // namespace emulator
