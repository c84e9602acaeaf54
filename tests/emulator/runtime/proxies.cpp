// The two proxies of shared memory (PTX ISA, "Memory Consistency Model: Proxies"): what a thread has written by an
// ordinary store, TMA and tensor cores see only after that thread's fence.proxy.async.
//
// The compiler marks every store of a kernel that uses them (watching/), and for each byte of shared memory this
// keeps who has stored there, and after how many of his fences. So a fence that is missing is found whatever the
// order of threads. The formal model would also let another thread fence, once it has synchronised with the writer;
// here each writer must, as NVIDIA's guides have it.
#include <cstdlib>
#include <cstring>

#include "machine.hpp"

namespace emulator {

// A byte's writer: the thread's number in the block, from 1, below its fences so far. 0: nobody, or TMA.
static constexpr unsigned THREAD_BITS = 11;
static uint32_t mark(const Fiber& writer) { return writer.proxy_fences << THREAD_BITS | (writer.linear + 1); }

void begin_writers(LiveBlock& block) {
    if (block.writers) memset(block.writers, 0, block.written * sizeof(uint32_t));
    block.written = 0;
}

void wrote_shared(const void* address, size_t size) {
    Machine& m = machine();
    if (!m.in_kernel || m.running == &m.launcher) return;
    LiveBlock& block = *m.running->owner;
    const char* first = static_cast<const char*>(address);
    if (first < block.arena || first + size > block.arena + ARENA) return; // not shared memory
    if (!block.writers) block.writers = static_cast<uint32_t*>(calloc(ARENA, sizeof(uint32_t)));
    const size_t offset = first - block.arena;
    const uint32_t own = mark(*m.running);
    for (size_t i = 0; i < size; i++) block.writers[offset + i] = own;
    if (offset + size > block.written) block.written = offset + size;
}

void fence_proxy_async(Place place) {
    if (is_skipped(place)) return;
    Fiber* self = machine().running;
    self->proxy_fences++;
    LiveBlock& block = *self->owner;
    for (unsigned i = 0; i < block.mbarrier_count; i++) {
        if (block.mbarriers[i].initialiser == self) block.mbarriers[i].fenced_for_async = true;
    }
}

static void expect_fenced(const LiveBlock& block, uint32_t offset, size_t size, const char* what, Place place) {
    if (!block.writers) return;
    for (size_t i = offset; i < offset + size && i < block.written; i++) {
        const uint32_t written = block.writers[i];
        if (written == 0) continue;
        const Fiber& writer = *block.fibers[(written & ((1u << THREAD_BITS) - 1)) - 1];
        if (written != mark(writer)) continue; // it has fenced since
        const uint3 t = writer.index;
        fault("%s at %s:%d meets shared address %zu, which thread (%u, %u, %u) has written without fence.proxy.async",
              what, place.file, place.line, i, t.x, t.y, t.z);
    }
}

void read_by_async(LiveBlock& block, uint32_t offset, size_t size, const char* what, Place place) {
    expect_fenced(block, offset, size, what, place);
}

void written_by_async(LiveBlock& block, uint32_t offset, size_t size, const char* what, Place place) {
    expect_fenced(block, offset, size, what, place);
    if (!block.writers || offset >= block.written) return;
    const size_t end = offset + size < block.written ? offset + size : block.written;
    memset(block.writers + offset, 0, (end - offset) * sizeof(uint32_t));
}

} // namespace emulator
