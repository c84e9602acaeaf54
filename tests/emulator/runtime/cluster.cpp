// Clusters: the barrier of their blocks, and shared memory that all of them see.
//
// Both halves of the barrier are `.aligned`: the lanes of a warp come to each together.
//
// Stricter than hardware in one point: PTX does not wait for threads that have returned, and here a thread
// that returns while others stand at the barrier is a fault, as for __syncthreads.
#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

unsigned cluster_rank() { return machine().running->owner->rank; }
unsigned cluster_size() { return machine().running->owner->cluster->size; }

static void nothing(void* const*, uint32_t) {}

// All lanes that the warp has come to the same place.
static void meet_warp(const char* name, Place place) {
    warp_operation(name, 0xffffffffu, nullptr, nothing, false, place);
}

void cluster_arrive(Place place) {
    if (is_skipped(place)) return;
    meet_warp("barrier.cluster.arrive.aligned", place);
    Fiber* self = machine().running;
    Cluster& c = *self->owner->cluster;
    if (self->arrived) {
        fault("barrier.cluster.arrive at %s:%d by a thread that has arrived before and not waited", place.file,
              place.line);
    }
    if (c.returned != 0) {
        fault("barrier.cluster.arrive at %s:%d after %u threads of the cluster have returned", place.file, place.line,
              c.returned);
    }
    if (c.arrived == 0) c.place = place;
    self->arrived = true;
    self->arrival_phase = c.phase;
    void* order = &c.order[c.phase % 2];
    release_order(order);
    progress();
    if (++c.arrived < c.thread_count) return give_way();
    c.arrived = 0;
    c.phase++;
    wake_all(c.waiting, order);
    give_way();
}

void cluster_wait(Place place) {
    if (is_skipped(place)) return;
    meet_warp("barrier.cluster.wait.aligned", place);
    Fiber* self = machine().running;
    Cluster& c = *self->owner->cluster;
    if (!self->arrived) {
        fault("barrier.cluster.wait at %s:%d by a thread that has not arrived", place.file, place.line);
    }
    self->arrived = false;
    if (self->arrival_phase != c.phase) { // all have arrived
        acquire_order(&c.order[self->arrival_phase % 2]);
        return;
    }
    self->next_waiting = c.waiting;
    c.waiting = self;
    wait("barrier.cluster.wait", place);
}

void cluster_without(Fiber* fiber) {
    Cluster& c = *fiber->owner->cluster;
    c.returned++;
    if (c.arrived != 0) {
        fault("a thread has returned while others of its cluster wait in barrier.cluster at %s:%d", c.place.file,
              c.place.line);
    }
}

// ---- Shared memory of the cluster: an address holds a block's number, from 1, above the offset in its arena.
// Without a number it is the own block's.
static constexpr unsigned OFFSET_BITS = 18;

uint32_t cluster_address(const void* address, unsigned rank) {
    const uint32_t offset = shared_offset(address);
    const unsigned size = cluster_size();
    if (rank >= size) fault("mapa: block %u of a cluster of %u", rank, size);
    return (rank + 1) << OFFSET_BITS | offset;
}

void expect_live(const LiveBlock& block, const char* what) {
    if (!block.begun) {
        fault("block %u of the cluster has not begun, and %s: a barrier must come first", block.rank, what);
    }
    if (block.live == 0) fault("block %u of the cluster has ended, and %s", block.rank, what);
}

LiveBlock& cluster_block(uint32_t address, uint32_t& offset, const char* what) {
    const unsigned number = address >> OFFSET_BITS;
    offset = address & ((1u << OFFSET_BITS) - 1);
    LiveBlock& own = *machine().running->owner;
    const Cluster& c = *own.cluster;
    if (number > c.size) fault("the address %08x is not in the cluster's shared memory", address);
    LiveBlock& other = number == 0 ? own : *c.blocks[number - 1];
    expect_live(other, what);
    return other;
}

const void* cluster_shared(uint32_t address, size_t size) {
    uint32_t offset;
    const LiveBlock& other = cluster_block(address, offset, "its shared memory is read");
    if (offset % size != 0) fault("ld.shared::cluster of %zu bytes at %08x: misaligned", size, address);
    return other.arena + offset;
}

} // namespace emulator
