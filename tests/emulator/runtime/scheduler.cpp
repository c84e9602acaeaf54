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
__thread const Block* block;

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
        mine->shifts = false;
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

// The ring's place of that number; numbers run on and wrap around.
static Fiber*& ready(Machine& m, unsigned number) { return m.ready[number & (m.ring - 1)]; }

void make_ready(Fiber* fiber) {
    Machine& m = machine();
    fiber->state = Fiber::ready;
    ready(m, m.tail++) = fiber;
}

static Fiber* next_ready(Machine& m) {
    if (m.head == m.tail) return nullptr;
    switch (m.order) {
    case Order::last_in_first_out:
        return ready(m, --m.tail);
    case Order::random:
        std::swap(ready(m, m.head), ready(m, m.head + random() % (m.tail - m.head)));
        [[fallthrough]];
    case Order::first_in_first_out:
        return ready(m, m.head++);
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
    for (unsigned i = 0; i < m.block_count; i++) {
        const LiveBlock& b = *m.blocks[i];
        for (unsigned thread = 0; thread < b.thread_count && named < 4; thread++) {
            const Fiber& fiber = *b.fibers[thread];
            if (fiber.state != Fiber::blocked) continue;
            length += snprintf(text + length, sizeof text - length, " thread %u", thread);
            if (m.block_count > 1) {
                length += snprintf(text + length, sizeof text - length, " of block (%u, %u, %u)", b.index.x, b.index.y,
                                   b.index.z);
            }
            length += snprintf(text + length, sizeof text - length, " waits in %s at %s:%d", fiber.waits_in,
                               fiber.waits_at.file, fiber.waits_at.line);
            if (fiber.waits_for) length += describe_waiting(text + length, sizeof text - length, *fiber.waits_for);
            length += snprintf(text + length, sizeof text - length, ";");
            if (length >= int(sizeof text) - 400) named = 4; // no room for another
            named++;
        }
    }
    fault("%s", text);
}

static void run_next(Machine& m, bool leaving_for_good) {
    advance_asynchronous();
    Fiber* next = next_ready(m);
    while (!next && land_a_load()) next = next_ready(m);
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
    m.spins = 0;
    run_next(m, false);
    if (self->acquires) acquire_order(std::exchange(self->acquires, nullptr));
}

void run_others() { run_next(machine(), false); }

void give_way() {
    Machine& m = machine();
    if (m.order == Order::first_in_first_out) return;
    make_ready(m.running);
    run_next(m, false);
}

void wake_all(Fiber*& waiting, void* order) {
    for (Fiber* fiber = std::exchange(waiting, nullptr); fiber; fiber = fiber->next_waiting) {
        fiber->acquires = order;
        make_ready(fiber);
    }
    progress();
}

void progress() { machine().spins = 0; }

bool releases(Place place) {
    if (is_skipped(place)) return false;
    progress();
    return true;
}

unsigned unawaited() { return unsigned(machine().skips % 64) - 2; }

bool spin(Place place) {
    if (is_skipped(place)) return false;
    static constexpr unsigned MOST = 1 << 20; // thousands of turns of every thread that can be there
    static constexpr unsigned PATIENCE = 1 << 12; // then nothing else will happen before a copy lands
    Machine& m = machine();
    if (m.spins % PATIENCE == PATIENCE - 1 && land_a_load()) m.spins = 0;
    if (++m.spins > MOST) {
        fault("deadlock: every thread that can run waits in a loop; this one's is at %s:%d", place.file, place.line);
    }
    // Every other look comes before others have had a turn: a loop that takes too old a value for the one it waits for shows.
    if (m.spins % 2 == 1) return true;
    Fiber* self = m.running;
    self->state = Fiber::ready;
    // Behind all others, also where the last goes first.
    ready(m, m.order == Order::last_in_first_out ? --m.head : m.tail++) = self;
    run_next(m, false);
    return true;
}

void finish_thread() {
    Machine& m = machine();
    Fiber* self = m.running;
    LiveBlock& own = *self->owner;
    self->state = Fiber::done;
    m.spins = 0;
    m.live--;
    own.live--;
    warps_without(self);
    warpgroups_without(self);
    barrier_without(self);
    cluster_without(self);
    release_order(&own.launch->ends);
    release_order(&m.ends);
    if (own.live == 0) end_block(&own);
    if (m.live == 0) leave_kernel();
    run_next(m, true);
}

void start_wave() {
    Machine& m = machine();
    m.head = m.tail = 0;
    m.live = m.thread_count;
    m.spins = 0;
    for (unsigned i = 0; i < m.block_count; i++) {
        LiveBlock& b = *m.blocks[i];
        for (unsigned thread = 0; thread < b.thread_count; thread++) {
            Fiber* fiber = b.fibers[thread];
            prepare_fiber(fiber);
            if (!b.launch->before) make_ready(fiber); // the others when they are let
        }
    }
    run_next(m, false);
}

// Whether it is the place of a test's mutation; counted.
static bool is_mutated(Machine& m, Place place) {
    if (place.line != m.skipped_line) return false;
    const size_t length = strlen(place.file), wanted = strlen(m.skipped_file);
    if (length < wanted || strcmp(place.file + length - wanted, m.skipped_file) != 0) return false;
    m.skips++;
    return true;
}

bool is_skipped(Place place) {
    Machine& m = machine();
    return !m.shifts && is_mutated(m, place);
}

int shift_of(Place place) {
    Machine& m = machine();
    return m.shifts && is_mutated(m, place);
}

} // namespace emulator
