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

struct AsyncQueue {
    static constexpr unsigned GROUPS = 8, COPIES = 32;
    AsyncCopy copies[GROUPS][COPIES];
    unsigned counts[GROUPS];
    unsigned oldest, open; // group numbers; open is not yet committed
};

// A CUDA thread with its stack.
struct Fiber : Thread {
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

struct Machine {
    // Schedule.
    Order order = Order::first_in_first_out;
    uint64_t random_state = 1;
    // Fibers, and those that can run: a ring.
    Fiber* pool[LARGEST_BLOCK + 1];
    Fiber* fibers[LARGEST_BLOCK]; // of the block's threads
    Fiber* ready[2 * LARGEST_BLOCK];
    unsigned head, tail;
    Fiber launcher; // stands for the code that called launch
    Fiber* running;
    unsigned thread_count, live;
    unsigned block_count; // of blocks begun so far
    // What they run.
    int architecture; // of the device: 750, 800, 900
    const Kernel* kernel;
    void** arguments;
    Barrier barrier;
    Warp warps[WARPS];
    char starts, ends; // synchronisation objects
    // Shared memory.
    char* arena;
    size_t dynamic_size, static_size, top;
    SharedVariable variables[64];
    unsigned variable_count;
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
void finish_thread();                           // the kernel function has returned
void start_block();                             // makes all fibers ready and runs until they are done
bool is_skipped(Place place);

// barrier.cpp, warp.cpp: what a returning thread means for those that wait.
void barrier_without(Fiber* fiber);
void warps_without(Fiber* fiber);

// fiber.cpp
void prepare_fiber(Fiber* fiber);
void switch_to(Fiber* fiber, bool leaving_for_good);

// shared_memory.cpp
void begin_shared(Machine& m);
void check_shared(Machine& m);
constexpr size_t LARGEST_STATIC_SHARED = 48 * 1024, LARGEST_SHARED = 227 * 1024;

// launch.cpp
struct Configuration {
    uint3 grid, block;
    size_t dynamic_shared;
    int architecture; // of the device: 750, 800, 900
};
// Runs a kernel; false after a fault, whose message is then in the machine.
bool launch(const Kernel& kernel, const Configuration& configuration, void** arguments);
const Kernel* find_kernel(const char* name, unsigned architecture);

// global_memory.cpp
void* allocate(size_t size);
enum class Freed { intact, overrun, unknown };
Freed release(void* address);
bool is_allocated(const void* first, size_t size);
bool allocations_intact(); // of this thread; if not, a message is in the machine
size_t allocated_bytes();

} // namespace emulator
