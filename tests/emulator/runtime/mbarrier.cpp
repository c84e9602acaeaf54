// mbarrier (PTX ISA, "Parallel Synchronization and Communication Instructions: mbarrier"): an object that counts
// arrivals and bytes, phase by phase.
//
// A phase is over when as many threads have arrived as the barrier expects and as many bytes have landed as were
// announced. Whoever waits tells phases apart by their parity alone; so a barrier that goes on by two phases while
// a waiter has not looked is a fault here, since on hardware that waiter may never see the first of them end.
//
// The object in shared memory holds a token, and the state is in the block: an object that was never initialised,
// or that an ordinary store has hit, is told from one that works.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

static constexpr unsigned MOST_ARRIVALS = (1 << 20) - 1;
static constexpr uint32_t INVALIDATED = ~0u; // where no object lies

static uint64_t token(uint32_t offset) { return 0x6d62'6172'7269'6572 ^ uint64_t(offset) << 24; }

// The object's words, accessed as a thread of the kernel does: initialisation is a write, all else a read.
static uint64_t* object(LiveBlock& block, uint32_t offset) { return reinterpret_cast<uint64_t*>(block.arena + offset); }

static MBarrier* find(LiveBlock& block, uint32_t offset) {
    for (unsigned i = 0; i < block.mbarrier_count; i++) {
        if (block.mbarriers[i].offset == offset) return &block.mbarriers[i];
    }
    return nullptr;
}

void begin_mbarriers(LiveBlock& block) { block.mbarrier_count = 0; }

MBarrier& mbarrier_at(LiveBlock& block, uint32_t offset, const char* what, Place place) {
    if (offset % 8 != 0) fault("%s at %s:%d: the mbarrier at shared address %u is misaligned", what, place.file, place.line, offset);
    MBarrier* found = find(block, offset);
    if (!found) {
        fault("%s at %s:%d: the mbarrier at shared address %u is not initialised", what, place.file, place.line, offset);
    }
    if (*object(block, offset) != token(offset)) {
        fault("%s at %s:%d: the mbarrier at shared address %u was overwritten by ordinary stores", what, place.file,
              place.line, offset);
    }
    if (__tsan_read_range && under_thread_sanitizer()) __tsan_read_range(object(block, offset), 8);
    return *found;
}

// One of the own block's.
static MBarrier& own(void* barrier, const char* what, Place place) {
    return mbarrier_at(*machine().running->owner, shared_offset(barrier), what, place);
}

void mbarrier_init(void* barrier, unsigned arrivals, Place place) {
    if (is_skipped(place)) return;
    Fiber* self = machine().running;
    LiveBlock& block = *self->owner;
    const uint32_t offset = shared_offset(barrier);
    if (offset % 8 != 0) fault("mbarrier.init at %s:%d: shared address %u is misaligned", place.file, place.line, offset);
    if (arrivals == 0 || arrivals > MOST_ARRIVALS) {
        fault("mbarrier.init at %s:%d: %u arrivals, not 1 to %u", place.file, place.line, arrivals, MOST_ARRIVALS);
    }
    check_within_variable(block, offset, 8, "mbarrier.init", place);
    if (MBarrier* before = find(block, offset)) {
        fault("mbarrier.init at %s:%d: the mbarrier is initialised twice, first at %s:%d, without mbarrier.inval between",
              place.file, place.line, before->initialised.file, before->initialised.line);
    }
    if (!block.mbarriers) block.mbarriers = static_cast<MBarrier*>(calloc(MBarrier::MOST, sizeof(MBarrier)));
    MBarrier* unused = find(block, INVALIDATED);
    if (!unused && block.mbarrier_count == MBarrier::MOST) fault("more mbarriers in a block than the emulator holds");
    MBarrier& b = unused ? *unused : block.mbarriers[block.mbarrier_count++];
    b = MBarrier{};
    for (void*& order : b.order) order = fresh_order();
    b.offset = offset;
    b.expected = b.pending = arrivals;
    b.initialised = place;
    b.initialiser = self;
    *object(block, offset) = token(offset);
    if (__tsan_write_range && under_thread_sanitizer()) __tsan_write_range(object(block, offset), 8);
}

void mbarrier_invalidate(void* barrier, Place place) {
    MBarrier& b = own(barrier, "mbarrier.inval", place);
    LiveBlock& block = *machine().running->owner;
    if (b.waiting || b.resuming) fault("mbarrier.inval at %s:%d while threads wait for it", place.file, place.line);
    *object(block, b.offset) = ~0ull;
    if (__tsan_write_range && under_thread_sanitizer()) __tsan_write_range(object(block, b.offset), 8);
    b.offset = INVALIDATED;
}

void fence_mbarrier_init(Place place) {
    if (is_skipped(place)) return;
    Fiber* self = machine().running;
    LiveBlock& block = *self->owner;
    for (unsigned i = 0; i < block.mbarrier_count; i++) {
        MBarrier& b = block.mbarriers[i];
        if (b.initialiser == self) b.fenced_for_cluster = b.fenced_for_async = true;
    }
}

// Ends the phase if nothing is lacking.
static void end_phase_if_due(MBarrier& b) {
    if (b.pending != 0 || b.transactions != 0) return;
    if (b.resuming != 0) {
        const Fiber* waiter = b.woken;
        while (waiter->waits_for != &b && waiter->next_waiting) waiter = waiter->next_waiting; // who has looked waits no more
        const Fiber& late = *waiter;
        const uint3 t = late.index;
        fault("the mbarrier initialised at %s:%d ends phase %llu while thread (%u, %u, %u), which waits at %s:%d, has not seen "
              "the end of phase %llu: it is two phases behind",
              b.initialised.file, b.initialised.line, static_cast<unsigned long long>(b.phase), t.x, t.y, t.z,
              late.waits_at.file, late.waits_at.line, static_cast<unsigned long long>(b.phase - 1));
    }
    void* order = b.order[b.phase % 2];
    b.phase++;
    b.pending = b.expected;
    b.woken = b.waiting;
    for (Fiber* fiber = b.waiting; fiber; fiber = fiber->next_waiting) b.resuming++;
    wake_all(b.waiting, order);
}

static void expect(MBarrier& b, unsigned bytes, const char* what, Place place) {
    if (bytes > MOST_TRANSACTIONS || b.transactions + int(bytes) > MOST_TRANSACTIONS) {
        fault("%s at %s:%d: the transaction count would be %lld, beyond %d", what, place.file, place.line,
              b.transactions + static_cast<long long>(bytes), MOST_TRANSACTIONS);
    }
    b.transactions += int(bytes);
}

static void arrive(MBarrier& b, const char* what, Place place) {
    if (b.pending == 0) {
        fault("%s at %s:%d: more arrivals than the %u that the mbarrier initialised at %s:%d expects in a phase", what,
              place.file, place.line, b.expected, b.initialised.file, b.initialised.line);
    }
    release_order(b.order[b.phase % 2]);
    progress();
    b.pending--;
    end_phase_if_due(b);
}

void mbarrier_arrive(void* barrier, Place place) {
    if (is_skipped(place)) return;
    arrive(own(barrier, "mbarrier.arrive", place), "mbarrier.arrive", place);
    give_way();
}

void mbarrier_arrive_expect_tx(void* barrier, unsigned bytes, Place place) {
    if (is_skipped(place)) return;
    MBarrier& b = own(barrier, "mbarrier.arrive.expect_tx", place);
    expect(b, bytes, "mbarrier.arrive.expect_tx", place);
    arrive(b, "mbarrier.arrive.expect_tx", place);
    give_way();
}

void mbarrier_expect_tx(void* barrier, unsigned bytes, Place place) {
    if (is_skipped(place)) return;
    expect(own(barrier, "mbarrier.expect_tx", place), bytes, "mbarrier.expect_tx", place);
}

void mbarrier_arrive_remote(uint32_t address, Place place) {
    if (is_skipped(place)) return;
    const char* const what = "mbarrier.arrive.shared::cluster";
    uint32_t offset;
    LiveBlock& block = cluster_block(address, offset, "another block arrives at its mbarrier");
    MBarrier& b = mbarrier_at(block, offset, what, place);
    if (&block != machine().running->owner && !b.fenced_for_cluster) {
        fault("%s at %s:%d: block %u initialised the mbarrier at %s:%d without fence.mbarrier_init", what, place.file,
              place.line, block.rank, b.initialised.file, b.initialised.line);
    }
    arrive(b, what, place);
    give_way();
}

void complete_transactions(MBarrier& b, int bytes) {
    release_order(b.order[b.phase % 2]);
    b.transactions -= bytes;
    if (b.transactions < -MOST_TRANSACTIONS) fault("the transaction count falls below %d", -MOST_TRANSACTIONS);
    progress();
    end_phase_if_due(b);
}

// Whether the phase of that parity is over: the one before the one under way, from hardware's point of view.
static bool is_over(const MBarrier& b, unsigned parity) { return (b.phase & 1) != (parity & 1); }

bool mbarrier_try_wait(void* barrier, unsigned parity, Place place) {
    if (!spin(place)) return true;
    MBarrier& b = own(barrier, "mbarrier.try_wait", place);
    if (!is_over(b, parity + shift_of(place))) return false;
    acquire_order(b.order[(b.phase + 1) % 2]);
    return true;
}

void mbarrier_wait(void* barrier, unsigned parity, Place place) {
    if (is_skipped(place)) return;
    parity += shift_of(place);
    Fiber* self = machine().running;
    for (;;) {
        MBarrier& b = own(barrier, "mbarrier.try_wait", place);
        if (is_over(b, parity)) return acquire_order(b.order[(b.phase + 1) % 2]);
        self->next_waiting = b.waiting;
        b.waiting = self;
        self->waits_for = &b;
        wait("mbarrier.try_wait", place);
        self->waits_for = nullptr;
        b.resuming--;
    }
}

int describe_waiting(char* text, size_t size, const MBarrier& b) {
    return snprintf(text, size, " (phase %llu lacks %u arrivals and %d bytes)", static_cast<unsigned long long>(b.phase),
                    b.pending, b.transactions);
}

} // namespace emulator
