// What kernels and the runtime share: the running thread, and the operations that involve others.
//
// A launch runs the blocks of a grid one after another, or together where the launch asks for it: those
// of a cluster, those of a cooperative grid, those of grids that may overlap. Threads are fibers on the
// calling operating-system thread; they give way only where CUDA threads meet (barriers, warp operations,
// waits, acquiring loads), so a launch is a sequence that the schedule's order and seed decide. All state
// belongs to the calling thread (see machine.hpp): launches from several threads run side by side.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../device/vector_types.hpp"

#define EMULATOR_FAST_TLS __attribute__((tls_model("initial-exec")))

namespace emulator {

// The sanitizers must not look at the emulation of an instruction, only at what kernels access.
#define EMULATOR_UNSEEN __attribute__((no_sanitize("thread")))

// Where in a kernel's source something happens. As a default argument, `{}` is where the call stands.
struct Place {
    const char* file;
    int line;
    constexpr Place(const char* file = __builtin_FILE(), int line = __builtin_LINE()) : file(file), line(line) {}
};

// A CUDA thread.
struct Thread {
    uint3 index;     // threadIdx
    unsigned linear; // its number in the block
    unsigned lane, warp;
};

// A block as its threads see it.
struct Block {
    uint3 index; // blockIdx
    uint3 size;  // blockDim
    uint3 grid;  // gridDim
};

// __thread, not thread_local: no check at each access whether they are initialised.
extern __thread Thread* current EMULATOR_FAST_TLS;
extern __thread const Block* block EMULATOR_FAST_TLS; // that of the running thread

// Whether the running device is of this architecture (as __CUDA_ARCH__ numbers them) or a later one.
bool device_is_at_least(int architecture);

// Ends the launch with an error that names block and thread.
[[noreturn]] void fault(const char* format, ...) __attribute__((format(printf, 1, 2)));

// __syncthreads.
void barrier(Place place);

// An operation that the lanes of a mask do together. Each lane hands in its argument; the last to
// arrive runs `work` over all 32 of them (those of absent lanes are null). `orders` tells whether
// the operation orders memory accesses, as __syncwarp does and shuffles do not.
using WarpWork = void (*)(void* const* arguments, uint32_t present);
void warp_operation(const char* name, uint32_t mask, void* argument, WarpWork work, bool orders, Place place);

// A random number of the schedule's seed.
uint64_t random();

// Shared memory: a __shared__ variable's storage in this block, and the dynamic part.
void* shared_variable(const void* site, size_t size, size_t alignment, const char* name);
void* dynamic_shared(size_t alignment);
// An address as __cvta_generic_to_shared gives it; a fault if it is not in shared memory.
uint32_t shared_offset(const void* address);

// Clusters. The running block's number in its cluster, and how many blocks that has; a launch without
// clusters has one of one block for each. Its barrier, in two halves, to each of which a warp comes as a whole.
unsigned cluster_rank();
unsigned cluster_size();
void cluster_arrive(Place place);
void cluster_wait(Place place);
// mapa: the address in the cluster's shared memory of what lies at `address` in this block's, but in the block of
// that number.
uint32_t cluster_address(const void* address, unsigned rank);
// Where such an address leads; a fault if its block has not begun, or has ended.
const void* cluster_shared(uint32_t address, size_t size);

// griddepcontrol: lets the next grid begin, and waits for the one before.
void launch_dependents(Place place);
void wait_for_prerequisites(Place place);

// Before a load that may be one of a loop which waits for another thread: lets others run. False if the line is
// skipped. A fault once nobody does anything but such loads.
bool spin(Place place);
// What such a load finds where its line is skipped: the largest number and small ones in turn, so that a loop ends
// whichever it waits for.
unsigned unawaited();
// Something that ends others' loops may have happened.
void progress();
// As progress, before a release. False if the line is skipped.
bool releases(Place place);

// cp.async: copies that a thread has asked for and that have not happened yet.
struct AsyncCopy {
    void (*run)(const AsyncCopy&);
    void* shared;
    const void* global; // null: zeros
};
void async_copy(const AsyncCopy& copy);
void async_commit();
void async_wait(int pending, Place place);

// What the kernels access, for those compiled to count it (counting/). The compiler marks every access itself, but
// for those inside the emulation of an instruction: these are counted where the instruction stands, and so the
// functions around these calls must be a part of their callers.
enum class Access : uint32_t { load, store, atomic, matrices };
#if defined(EMULATOR_COUNTS)
#define EMULATOR_UNCOUNTED __attribute__((no_sanitize("thread")))
void count_access(const void* address, size_t bytes, Access kind);
void count_copy(void* shared, const void* global, size_t bytes); // from null: zeros
#else
#define EMULATOR_UNCOUNTED
inline void count_access(const void*, size_t, Access) {}
inline void count_copy(void*, const void*, size_t) {}
#endif

// ---- Hopper: what TMA and tensor cores do beside the threads (asynchronous.cpp tells when).

// mbarrier: an object in shared memory that counts arrivals and bytes (mbarrier.cpp).
void mbarrier_init(void* barrier, unsigned arrivals, Place place);
void mbarrier_invalidate(void* barrier, Place place);
void fence_mbarrier_init(Place place);
void mbarrier_arrive(void* barrier, Place place);
void mbarrier_arrive_expect_tx(void* barrier, unsigned bytes, Place place);
void mbarrier_expect_tx(void* barrier, unsigned bytes, Place place);
void mbarrier_arrive_remote(uint32_t address, Place place);
bool mbarrier_try_wait(void* barrier, unsigned parity, Place place);
void mbarrier_wait(void* barrier, unsigned parity, Place place);

// fence.proxy.async (proxies.cpp).
void fence_proxy_async(Place place);

// TMA (tma.cpp). `map` is what the driver's cuTensorMapEncodeTiled made; `blocks` a mask of the cluster's, or OWN_BLOCK.
constexpr uint32_t OWN_BLOCK = 1u << 16;
void tma_prefetch(const void* map, Place place);
void tma_load(void* shared, const void* map, int x, int y, void* barrier, uint32_t blocks, Place place);
void tma_store(const void* map, int x, int y, const void* shared, bool adds, Place place);
void bulk_commit(Place place);
void bulk_wait(int pending, Place place);
void bulk_wait_read(int pending, Place place);

// setmaxnreg (warpgroup.cpp).
void set_registers(unsigned registers, bool more, Place place);

// wgmma (wgmma.cpp): one instruction as a thread hands it in. All but the registers is the same in all threads.
struct Wgmma {
    float* d;
    const uint32_t* a; // null where A lies in shared memory
    uint64_t a_matrix, b_matrix;
    unsigned columns;
    bool is_tf32, a_is_mn_major, b_is_mn_major, accumulates;
};
void wgmma_fence(Place place);
void wgmma(const Wgmma& instruction, Place place);
void wgmma_commit(Place place);
void wgmma_wait(int pending, const float* d, unsigned registers, Place place);
void wgmma_keep(const uint32_t* a, unsigned registers, Place place);

// A kernel: found by name by the driver. Registered before main by what rewrite.rs appends to each file.
struct Parameter {
    size_t size;
    bool is_pointer;
};
struct Kernel {
    const char* name;
    void (*call)(void** arguments);
    const Parameter* parameters;
    unsigned parameter_count;
    unsigned largest_block; // of __launch_bounds__, or 1024
    unsigned least_blocks;  // of a multiprocessor: its second argument, or 1
    unsigned architectures; // the emulated architectures that this is the code of, a bit each
};
struct Registration {
    explicit Registration(const Kernel& kernel);
};

} // namespace emulator
