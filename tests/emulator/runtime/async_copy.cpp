// cp.async: a copy may happen when it is asked for, or only when its group is waited for.
//
// Late in first-in-first-out order, at once in last-in-first-out order, either at random: so a wait
// that is missing or one group short shows, and so does a buffer that is used again too early.
#include "machine.hpp"

namespace emulator {

void async_copy(const AsyncCopy& copy) {
    Machine& m = machine();
    const bool at_once = m.order == Order::last_in_first_out || (m.order == Order::random && (random() & 1));
    if (at_once) return copy.run(copy);
    AsyncQueue& queue = *m.running->async;
    const unsigned group = queue.open % AsyncQueue::GROUPS;
    if (queue.counts[group] == AsyncQueue::COPIES) fault("more copies in one cp.async group than the emulator holds");
    queue.copies[group][queue.counts[group]++] = copy;
}

void async_commit() {
    AsyncQueue& queue = *machine().running->async;
    queue.open++;
    queue.counts[queue.open % AsyncQueue::GROUPS] = 0;
    if (queue.open - queue.oldest >= AsyncQueue::GROUPS) fault("more cp.async groups than the emulator holds");
}

void async_wait(int pending, Place place) {
    if (is_skipped(place)) return;
    pending += shift_of(place);
    AsyncQueue& queue = *machine().running->async;
    for (; int(queue.open - queue.oldest) > pending; queue.oldest++) {
        const unsigned group = queue.oldest % AsyncQueue::GROUPS;
        for (unsigned i = 0; i < queue.counts[group]; i++) {
            const AsyncCopy& copy = queue.copies[group][i];
            copy.run(copy);
        }
        queue.counts[group] = 0;
    }
}

} // namespace emulator
