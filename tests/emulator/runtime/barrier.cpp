// __syncthreads: all threads of the block must come to the same one, and none may have returned.
#include <cstring>

#include "counting.hpp"
#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

void barrier(Place place) {
    if (is_skipped(place)) return;
    Machine& m = machine();
    LiveBlock& block = *m.running->owner;
    Barrier& b = block.barrier;
    if (block.live != block.thread_count) {
        fault("__syncthreads at %s:%d after %u threads of the block have returned", place.file, place.line,
              block.thread_count - block.live);
    }
    if (b.arrived == 0) {
        b.place = place;
    } else if (b.place.line != place.line || strcmp(b.place.file, place.file) != 0) {
        fault("divergent barriers: __syncthreads at %s:%d, while others wait at %s:%d", place.file, place.line,
              b.place.file, b.place.line);
    }
    // Two objects in turn: whoever is still leaving one phase must not acquire the next.
    void* order = &b.order[b.phase % 2];
    release_order(order);
    if (++b.arrived < block.thread_count) {
        b.waiting[b.arrived - 1] = m.running;
        wait("__syncthreads", place);
        return;
    }
    met(block);
    for (unsigned i = 0; i + 1 < b.arrived; i++) {
        b.waiting[i]->acquires = order;
        make_ready(b.waiting[i]);
    }
    b.arrived = 0;
    b.phase++;
    acquire_order(order);
    give_way();
}

void barrier_without(Fiber* fiber) {
    const Barrier& b = fiber->owner->barrier;
    if (b.arrived != 0) {
        fault("a thread has returned while others wait in __syncthreads at %s:%d", b.place.file, b.place.line);
    }
}

} // namespace emulator
