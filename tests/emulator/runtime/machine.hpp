// The state of one operating-system thread that launches kernels.
//
// Everything here is plain data: fibers must not touch containers of the standard library, whose
// memory operations ThreadSanitizer intercepts.
#pragma once
#include <csetjmp>

#include "emulator.hpp"
#include "tensor_map.hpp"

namespace emulator {

enum class Order { first_in_first_out, last_in_first_out, random };

constexpr unsigned LARGEST_BLOCK = 1024, WARP = 32, WARPS = LARGEST_BLOCK / WARP;
// Of what is live together: grids, blocks, threads.
constexpr unsigned MOST_GRIDS = 16, MOST_BLOCKS = 128, MOST_THREADS = 16 * LARGEST_BLOCK;
constexpr unsigned LARGEST_CLUSTER = 16, LARGEST_PORTABLE_CLUSTER = 8;
constexpr unsigned WARPGROUP = 128, WARPGROUPS = LARGEST_BLOCK / WARPGROUP;

struct AsyncQueue {
    static constexpr unsigned GROUPS = 8, COPIES = 32;
    AsyncCopy copies[GROUPS][COPIES];
    unsigned counts[GROUPS];
    unsigned oldest, open; // group numbers; open is not yet committed
};

struct LiveBlock;
struct MBarrier;
struct BulkCopy;
struct Warpgroup;

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
    const MBarrier* waits_for;
    static constexpr unsigned BULK_GROUPS = 8;
    unsigned bulk_group; // the one that its next bulk copy out of shared memory belongs to
    char bulk_order[2][BULK_GROUPS];
    unsigned proxy_fences; // fence.proxy.async so far
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
    size_t dynamic_offset; // once a thread has asked for it, as `has_dynamic` tells
    bool has_dynamic;
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
    MBarrier* mbarriers;
    unsigned mbarrier_count;
    uint32_t* writers; // of each byte of the arena: see proxies.cpp
    size_t written;    // bytes of the arena that may have one
    Warpgroup* warpgroups[WARPGROUPS];
    Fiber* waiting_for_registers;
};

// An mbarrier (PTX ISA, "mbarrier"). The object in shared memory holds a token; its state is here.
struct MBarrier {
    static constexpr unsigned MOST = 64; // of a block
    uint32_t offset;
    unsigned expected, pending; // arrivals of a phase; those that this one lacks
    int transactions;           // bytes that this phase lacks
    uint64_t phase;             // that is under way, from 0
    Place initialised;
    Fiber* initialiser;
    bool fenced_for_cluster, fenced_for_async;
    Fiber* waiting;
    Fiber* woken;      // a thread that has been woken up and has not looked again
    unsigned resuming; // how many of these there are
    void* order[2];    // alternately the synchronisation object
};

// A copy of TMA under way.
struct BulkCopy {
    enum Kind { load, store, reduce } kind;
    Fiber* issuer;
    LiveBlock* block;
    Place place;
    TensorMap map;
    int x, y;
    uint32_t offset; // in shared memory
    uint64_t due;    // the scheduling point at which it goes on by itself
    // A load: whose barriers it completes, in which phase.
    uint32_t blocks, barrier;
    uint64_t phases[LARGEST_CLUSTER];
    // A store: its group, and what it has read.
    unsigned group;
    char* box;
    void* issued; // synchronisation object
};

// What the threads of a warpgroup do together.
struct WgmmaAccumulators {
    float* d[WARPGROUP]; // a thread's
    unsigned registers, under_way;
    bool used;
    float* values; // of each thread
};
struct WgmmaUnderWay : Wgmma {
    unsigned accumulators;
    const uint32_t* a_of[WARPGROUP];
    uint32_t fragments[WARPGROUP][4];
    Place place;
    uint64_t due;
    void *issued, *done; // synchronisation objects
};
struct Warpgroup {
    static constexpr unsigned OPERATIONS = 64, GROUPS = 32, ACCUMULATORS = 8;
    LiveBlock* block;
    unsigned number; // in the block
    // A meeting of all its threads.
    unsigned arrived;
    const char* name;
    Place place;
    void* arguments[WARPGROUP];
    // wgmma: those issued, run and awaited so far; where each group ends.
    bool fenced;
    unsigned issued, run, awaited;
    unsigned committed, ends[GROUPS];
    WgmmaUnderWay operations[OPERATIONS];
    WgmmaAccumulators accumulators[ACCUMULATORS];
    unsigned registers; // of a thread
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
    // What happens beside the threads.
    static constexpr unsigned MOST_COPIES = 128, CONTEXTS = 64;
    BulkCopy* copies[MOST_COPIES]; // under way first, in the order of their issue
    unsigned copy_count, wgmma_count; // under way
    uint64_t points;                  // at which the scheduler has chosen a thread
    void* contexts[CONTEXTS];         // what ThreadSanitizer knows these by
    unsigned contexts_used;
    static constexpr unsigned ORDERS = 1 << 12;
    char orders[ORDERS]; // synchronisation objects of what is under way
    unsigned orders_used;
    // For tests of tests: a place that does nothing, or waits for the wrong thing, and how often it did so.
    char skipped_file[64];
    int skipped_line;
    bool shifts;
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
int shift_of(Place place); // 1 where a wait is to be off by one

// asynchronous.cpp
void advance_asynchronous();           // at a scheduling point
bool land_a_load();                    // because nothing else can happen; false if none is under way
uint64_t draw_due();                   // when something begun now goes on by itself
constexpr uint64_t NEVER = ~0ull;
void enter_context(Fiber* issuer);     // what follows is not that thread's doing
void leave_context();
// A synchronisation object that nothing lately has used: releases add up, and what is begun now must not come after what
// used the object before.
void* fresh_order();

// mbarrier.cpp
constexpr int MOST_TRANSACTIONS = (1 << 20) - 1;
void begin_mbarriers(LiveBlock& block);
MBarrier& mbarrier_at(LiveBlock& block, uint32_t offset, const char* what, Place place);
void complete_transactions(MBarrier& barrier, int bytes);
int describe_waiting(char* text, size_t size, const MBarrier& barrier);

// proxies.cpp
void begin_writers(LiveBlock& block);
void wrote_shared(const void* address, size_t size); // by an ordinary access
void read_by_async(LiveBlock& block, uint32_t offset, size_t size, const char* what, Place place);
void written_by_async(LiveBlock& block, uint32_t offset, size_t size, const char* what, Place place);

// tma.cpp
void run_copy(unsigned index);                  // its next part
void end_copies_of(LiveBlock& block);           // a block has ended
void finish_copies_of(const Grid& grid);
void forget_copies();                           // after a fault

// warpgroup.cpp
void begin_warpgroups(LiveBlock& block);
void begin_orders(Warpgroup& group); // the synchronisation objects of the next product to be issued
void warpgroup_operation(const char* name, void* argument, void (*work)(Warpgroup&), Place place);
void warpgroups_without(Fiber* fiber);

// wgmma.cpp
void run_wgmma(Warpgroup& group); // the oldest that has not run

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
// That so many bytes from there on lie in one variable or in the dynamic part.
void check_within_variable(const LiveBlock& block, uint32_t offset, size_t size, const char* what, Place place);

// cluster.cpp
// The block that such an address leads to, and the offset there; a fault if it has not begun, or has ended.
LiveBlock& cluster_block(uint32_t address, uint32_t& offset, const char* what);
void expect_live(const LiveBlock& block, const char* what);

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
