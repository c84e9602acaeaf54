// Which fiber runs next: the one that has been ready longest, the latest, or a random one.
//
// Each order finds other mistakes. In first-in-first-out order threads advance in step, as on a
// friendly GPU; in last-in-first-out order one thread runs as far ahead as it can; random orders
// find what needs a particular overlap.
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

__thread Thread* current;
__thread Block block;

// Machines outlive their threads, as their stacks are costly: the next thread takes one over.
static std::mutex mutex;
static std::vector<Machine*> unused;
static __thread Machine* mine EMULATOR_FAST_TLS;

struct Lease {
    Lease() {
        const std::lock_guard<std::mutex> lock(mutex);
        if (unused.empty()) {
            mine = new Machine();
            return;
        }
        mine = unused.back();
        unused.pop_back();
        mine->order = Order::first_in_first_out;
        mine->skipped_line = 0;
    }
    ~Lease() {
        const std::lock_guard<std::mutex> lock(mutex);
        unused.push_back(mine);
        mine = nullptr;
    }
};

Machine& machine() {
    if (!mine) static thread_local Lease lease;
    return *mine;
}

uint64_t random() {
    uint64_t& state = machine().random_state; // xorshift64 (Marsaglia 2003)
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static constexpr unsigned RING = 2 * LARGEST_BLOCK;

void make_ready(Fiber* fiber) {
    Machine& m = machine();
    fiber->state = Fiber::ready;
    m.ready[m.tail++ % RING] = fiber;
}

static Fiber* next_ready(Machine& m) {
    if (m.head == m.tail) return nullptr;
    switch (m.order) {
    case Order::last_in_first_out:
        return m.ready[--m.tail % RING];
    case Order::random:
        std::swap(m.ready[m.head % RING], m.ready[(m.head + random() % (m.tail - m.head)) % RING]);
        [[fallthrough]];
    case Order::first_in_first_out:
        return m.ready[m.head++ % RING];
    }
    return nullptr;
}

void leave_kernel() {
    switch_to(&machine().launcher, true);
    __builtin_unreachable();
}

[[noreturn]] static void deadlock(Machine& m) {
    char text[sizeof m.message];
    int length = snprintf(text, sizeof text, "deadlock:");
    unsigned named = 0;
    for (unsigned i = 0; i < m.thread_count && named < 4; i++) {
        const Fiber& fiber = *m.fibers[i];
        if (fiber.state != Fiber::blocked) continue;
        length += snprintf(text + length, sizeof text - length, " thread %u waits in %s at %s:%d;", i,
                           fiber.waits_in, fiber.waits_at.file, fiber.waits_at.line);
        if (length >= int(sizeof text)) break;
        named++;
    }
    fault("%s", text);
}

static void run_next(Machine& m, bool leaving_for_good) {
    Fiber* next = next_ready(m);
    if (!next) deadlock(m);
    next->state = Fiber::running;
    switch_to(next, leaving_for_good);
}

void wait(const char* what, Place place) {
    Machine& m = machine();
    Fiber* self = m.running;
    self->state = Fiber::blocked;
    self->waits_in = what;
    self->waits_at = place;
    run_next(m, false);
    if (self->acquires) acquire_order(std::exchange(self->acquires, nullptr));
}

void give_way() {
    Machine& m = machine();
    if (m.order == Order::first_in_first_out) return;
    make_ready(m.running);
    run_next(m, false);
}

void finish_thread() {
    Machine& m = machine();
    Fiber* self = m.running;
    self->state = Fiber::done;
    m.live--;
    warps_without(self);
    barrier_without(self);
    release_order(&m.ends);
    if (m.live == 0) leave_kernel();
    run_next(m, true);
}

void start_block() {
    Machine& m = machine();
    m.head = m.tail = 0;
    m.live = m.thread_count;
    for (unsigned i = 0; i < m.thread_count; i++) {
        Fiber* fiber = m.fibers[i];
        prepare_fiber(fiber);
        make_ready(fiber);
    }
    run_next(m, false);
}

bool is_skipped(Place place) {
    Machine& m = machine();
    if (place.line != m.skipped_line) return false;
    const size_t length = strlen(place.file), wanted = strlen(m.skipped_file);
    if (length < wanted || strcmp(place.file + length - wanted, m.skipped_file) != 0) return false;
    m.skips++;
    return true;
}

} // namespace emulator
