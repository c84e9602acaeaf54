// What happens beside the threads: copies of TMA, products of tensor cores.
//
// When is up to the schedule. First in first out: as late as can be, when something waits for it or nobody else can
// run. Last in first out: at once. Random: at once, some scheduling points later, or as late as can be, each drawn
// anew; so copies land in any order, and a buffer that is used too early, or again too early, shows.
//
// To ThreadSanitizer each is a thread of its own, which comes after whoever asked for it and before whoever waits.
#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

uint64_t draw_due() {
    Machine& m = machine();
    switch (m.order) {
    case Order::first_in_first_out:
        return NEVER;
    case Order::last_in_first_out:
        return m.points;
    case Order::random:
        break;
    }
    switch (random() % 4) {
    case 0:
        return m.points;
    case 1:
        return m.points + random() % 64;
    case 2:
        return m.points + random() % 1024;
    default:
        return NEVER;
    }
}

void advance_asynchronous() {
    Machine& m = machine();
    m.points++;
    for (unsigned i = 0; i < m.copy_count; i++) {
        if (m.copies[i]->due > m.points) continue;
        run_copy(i);
        return; // one for each point
    }
    if (m.wgmma_count == 0) return;
    for (unsigned i = 0; i < m.block_count; i++) {
        for (Warpgroup* group : m.blocks[i]->warpgroups) {
            if (!group || group->run == group->issued) continue;
            if (group->operations[group->run % Warpgroup::OPERATIONS].due > m.points) continue;
            return run_wgmma(*group);
        }
    }
}

bool land_a_load() {
    Machine& m = machine();
    unsigned loads = 0;
    for (unsigned i = 0; i < m.copy_count; i++) loads += m.copies[i]->kind == BulkCopy::load;
    if (loads == 0) return false;
    unsigned chosen = m.order == Order::random ? random() % loads : 0;
    for (unsigned i = 0; i < m.copy_count; i++) {
        if (m.copies[i]->kind == BulkCopy::load && chosen-- == 0) {
            run_copy(i);
            return true;
        }
    }
    return false;
}

// Faults name the thread that asked.
static thread_local Thread* thread_before;
static thread_local const Block* block_before;

void enter_context(Fiber* issuer) {
    Machine& m = machine();
    thread_before = current;
    block_before = block;
    current = issuer;
    block = issuer->owner;
    if (!under_thread_sanitizer()) return;
    void*& context = m.contexts[m.contexts_used++ % Machine::CONTEXTS];
    if (!context) {
        // A new one comes after its creator: after the launch's begin, and not after what the running thread did.
        __tsan_switch_to_fiber(m.launcher.race_detector, 1);
        context = __tsan_create_fiber(0);
    }
    __tsan_switch_to_fiber(context, 1 /* orders nothing */);
}

void* fresh_order() {
    Machine& m = machine();
    return &m.orders[m.orders_used++ % Machine::ORDERS];
}

void leave_context() {
    if (under_thread_sanitizer()) __tsan_switch_to_fiber(machine().running->race_detector, 1);
    current = thread_before;
    block = block_before;
}

} // namespace emulator
