// The state of one operating-system thread that launches kernels.
//
// Everything here is plain data: fibers must not touch containers of the standard library, whose
// memory operations ThreadSanitizer intercepts.
#pragma once
#include <csetjmp>

#include "emulator.hpp"

namespace emulator {

enum class Order { first_in_first_out, last_in_first_out, random };

constexpr unsigned LARGEST_BLOCK = 1024, WARP = 32, WARPS = LARGEST_BLOCK / WARP;
// Of what is live together: grids, blocks, threads.
constexpr unsigned MOST_GRIDS = 16, MOST_BLOCKS = 128, MOST_THREADS = 16 * LARGEST_BLOCK;
constexpr unsigned LARGEST_CLUSTER = 16, LARGEST_PORTABLE_CLUSTER = 8;

struct AsyncQueue {
    static constexpr unsigned GROUPS = 8, COPIES = 32;
    AsyncCopy copies[GROUPS][COPIES];
    unsigned counts[GROUPS];
    unsigned oldest, open; // group numbers; open is not yet committed
};

struct LiveBlock;

// A CUDA thread with its stack.
struct Fiber : Thread {
    LiveBlock* owner; // the block that it is a thread of
    enum State { ready, running, blocked, done } state;
    void* stack_pointer;
    char* stack;
    size_t stack_size;
    // Why it is blocked, for reports.
    const char* waits_in;
    Place waits_at;
    // What ThreadSanitizer and AddressSanitizer know it by; the order it takes over when it wakes up.
    void* race_detector;
    void* fake_stack;
    void* acquires;
    AsyncQueue* async;
    Fiber* next_waiting;   // of a list
    bool arrived;          // at its cluster's barrier, and has not waited since
    unsigned arrival_phase; // of that barrier, when it arrived
};

// Lanes of a warp that have arrived at one operation.
struct WarpMeeting {
    uint32_t mask, arrived;
    const char* name;
    Place place;
    void* arguments[WARP];
};

struct Warp {
    uint32_t absent;   // lanes that do not exist or have returned
    uint32_t returned; // lanes that have returned
    unsigned count;
    WarpMeeting meetings[WARP];
    char order; // its address is the synchronisation object of __syncwarp
};

struct Barrier {
    unsigned arrived, phase;
    Place place;
    Fiber* waiting[LARGEST_BLOCK];
    char order[2]; // alternately the synchronisation object
};

struct SharedVariable {
    const void* site;
    const char* name;
    size_t offset, size;
};

// Where a kernel's shared variables lie: the same in all blocks of a launch, for a cluster's blocks find each
// other's by their own. Laid out as they are met.
struct SharedLayout {
    size_t dynamic_size, static_size, top;
    size_t most; // of both together
    SharedVariable variables[64];
    unsigned count;
};

struct Configuration {
    uint3 grid, block;
    size_t dynamic_shared;
    int architecture; // of the device: 750, 800, 900
    uint3 cluster = {1, 1, 1};
    bool cooperative = false;
    bool asked_for_shared = false; // how much dynamic shared memory the kernel may have
};

// A launch that is asked for.
struct Request {
    const Kernel* kernel;
    Configuration configuration;
    void** arguments;
};

// A launch under way.
struct Grid {
    const Request* request;
    SharedLayout layout;
    unsigned thread_count; // of a block
    // Of those that run together (see launch.cpp): the grids before and after this one; blocks that have not
    // ended, and those that have not let the next grid begin; who waits for this grid's end.
    Grid *before, *after;
    unsigned live_blocks, holding_blocks;
    Fiber* waiting;
    char ends; // synchronisation object
};

// The blocks that share a barrier and see each other's shared memory.
struct Cluster {
    LiveBlock* blocks[LARGEST_CLUSTER];
    unsigned size, thread_count, returned;
    unsigned arrived, phase;
    Place place; // where the first of them arrived
    Fiber* waiting;
    char order[2]; // alternately the synchronisation object
};

// A block whose threads have begun or are to begin.
struct LiveBlock : Block {
    Grid* launch;
    Cluster* cluster;
    unsigned rank; // in the cluster
    Cluster own;   // the cluster that it is the first block of
    unsigned thread_count, live;
    bool begun, lets_next_begin;
    Fiber* fibers[LARGEST_BLOCK];
    Barrier barrier;
    Warp warps[WARPS];
    char* arena;  // shared memory
    size_t dirty; // bytes of it that may hold something
};

struct Machine {
    // Schedule.
    Order order = Order::first_in_first_out;
    uint64_t random_state = 1;
    // Fibers, and those that can run: a ring of a power of two.
    Fiber** pool;
    unsigned pool_size, rotation; // and how many of them take turns
    Fiber** ready;
    unsigned ring, head, tail;
    Fiber launcher; // stands for the code that called launch
    Fiber* running;
    // What runs together: a wave of blocks, of one grid or several.
    Grid grids[MOST_GRIDS];
    LiveBlock* blocks[MOST_BLOCKS]; // those there are room for
    unsigned block_count;           // of this wave
    unsigned thread_count, live;    // of this wave
    unsigned waves;                 // begun so far
    unsigned spins;                 // since something else happened
    int architecture;               // of the device: 750, 800, 900
    char starts, ends;              // synchronisation objects
    // Faults.
    char message[1024];
    bool failed, in_kernel;
    sigjmp_buf recovery;
    // For tests of tests: a place that does nothing, and how often it did so.
    char skipped_file[64];
    int skipped_line;
    uint64_t skips;
};

// The calling thread's.
Machine& machine();

// scheduler.cpp
void make_ready(Fiber* fiber);
[[noreturn]] void leave_kernel();               // back to the launcher
void wait(const char* what, Place place);       // until someone makes this fiber ready
void give_way();                                // after having made others ready
void run_others();                              // after having made itself and others ready
void finish_thread();                           // the kernel function has returned
void start_wave();                              // runs the machine's blocks until they are done
void wake_all(Fiber*& waiting, void* order);    // who take over what the object orders
bool is_skipped(Place place);

// barrier.cpp, warp.cpp, cluster.cpp: what a returning thread means for those that wait.
void barrier_without(Fiber* fiber);
void warps_without(Fiber* fiber);
void cluster_without(Fiber* fiber);

// dependents.cpp: a block has ended.
void end_block(LiveBlock* block);

// fiber.cpp
void prepare_fiber(Fiber* fiber);
void switch_to(Fiber* fiber, bool leaving_for_good);

// shared_memory.cpp
void begin_shared(LiveBlock& block);
void check_shared(LiveBlock& block);
void begin_layout(SharedLayout& layout, const Configuration& configuration);
constexpr size_t ARENA = 256 * 1024; // that a block has, more than the largest and all red zones
constexpr size_t LARGEST_STATIC_SHARED = 48 * 1024, LARGEST_SHARED = 227 * 1024;

// launch.cpp
// Runs kernels; false after a fault, whose message is then in the machine. Each but the first may overlap the one
// before it, as programmatic dependent launch allows.
bool launch(const Request* requests, unsigned count);
const Kernel* find_kernel(const char* name, unsigned architecture);

// global_memory.cpp
void* allocate(size_t size);
enum class Freed { intact, overrun, unknown };
Freed release(void* address);
bool is_allocated(const void* first, size_t size);
void* allocation_of(const void* address, size_t* size); // where it begins, and how long it is; null if there is none
bool allocations_intact(); // of this thread; if not, a message is in the machine
size_t allocated_bytes();

} // namespace emulator
