// Programmatic dependent launch: a grid begins when all blocks of the one before it have let it
// (griddepcontrol.launch_dependents) or have ended, and waits for that grid's end where it must
// (griddepcontrol.wait).
//
// Hostile where the schedule is: last in first out, the next grid runs up to its wait before the one that lets
// it goes on; so a wait that is missing shows.
#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

// Whether the next grid begins now: the block is the last that has held it up.
static bool lets_next_begin(LiveBlock& b) {
    if (b.lets_next_begin) return false;
    b.lets_next_begin = true;
    return --b.launch->holding_blocks == 0 && b.launch->after;
}

template <class Act>
static void for_threads_of(Grid* grid, Act act) {
    Machine& m = machine();
    for (unsigned i = 0; i < m.block_count; i++) {
        LiveBlock& b = *m.blocks[i];
        if (b.launch == grid) act(b.fibers, b.thread_count);
    }
}

void launch_dependents(Place place) {
    if (is_skipped(place)) return;
    Machine& m = machine();
    LiveBlock& own = *m.running->owner;
    if (!lets_next_begin(own)) return;
    progress();
    const bool they_first = m.order != Order::first_in_first_out;
    if (they_first) make_ready(m.running);
    for_threads_of(own.launch->after, [](Fiber* const* fibers, unsigned count) {
        for (unsigned i = 0; i < count; i++) make_ready(fibers[i]);
    });
    if (they_first) run_others();
}

void wait_for_prerequisites(Place place) {
    if (is_skipped(place)) return;
    Fiber* self = machine().running;
    Grid* before = self->owner->launch->before;
    if (!before) return; // an ordinary launch: all that came before it has ended
    if (before->live_blocks == 0) return acquire_order(&before->ends);
    self->next_waiting = before->waiting;
    before->waiting = self;
    wait("griddepcontrol.wait", place);
}

void end_block(LiveBlock* block) {
    Grid& grid = *block->launch;
    end_copies_of(*block);
    if (lets_next_begin(*block)) {
        for_threads_of(grid.after, [](Fiber* const* fibers, unsigned count) {
            for (unsigned i = 0; i < count; i++) make_ready(fibers[i]);
        });
    }
    if (--grid.live_blocks > 0) return;
    finish_copies_of(grid);
    wake_all(grid.waiting, &grid.ends);
}

} // namespace emulator
