// What the 128 threads of a warpgroup do together: meetings, and the registers that setmaxnreg moves between them.
#include <cstdlib>
#include <cstring>

#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

static unsigned warpgroups_of(const LiveBlock& block) { return (block.thread_count + WARPGROUP - 1) / WARPGROUP; }

// Registers of a thread: what each warpgroup begins with, as __launch_bounds__ has it of a multiprocessor's. setmaxnreg moves
// these between warpgroups ("per-CTA-register-pool"); what is left of the multiprocessor's is in no block's pool.
static constexpr unsigned REGISTERS = 64 * 1024 / WARPGROUP, MOST_REGISTERS = 256;
static unsigned first_registers(const LiveBlock& block) {
    const unsigned each = REGISTERS / block.launch->request->kernel->least_blocks / warpgroups_of(block) / 8 * 8;
    return each < MOST_REGISTERS ? each : MOST_REGISTERS;
}
// Of all warpgroups together.
static unsigned registers_of(const LiveBlock& block) { return first_registers(block) * warpgroups_of(block); }

void begin_orders(Warpgroup& group) {
    WgmmaUnderWay& next = group.operations[group.issued % Warpgroup::OPERATIONS];
    next.issued = fresh_order();
    next.done = fresh_order();
}

void begin_warpgroups(LiveBlock& block) {
    block.waiting_for_registers = nullptr;
    for (unsigned i = 0; i < WARPGROUPS; i++) {
        if (Warpgroup* group = block.warpgroups[i]) {
            group->block = &block;
            group->number = i;
            group->arrived = group->issued = group->run = group->awaited = group->committed = 0;
            group->fenced = false;
            group->registers = first_registers(block);
            for (WgmmaAccumulators& accumulators : group->accumulators) accumulators.used = false;
            begin_orders(*group);
        }
    }
}

static Warpgroup& own_warpgroup(Fiber* self) {
    LiveBlock& block = *self->owner;
    Warpgroup*& group = block.warpgroups[self->linear / WARPGROUP];
    if (!group) {
        group = static_cast<Warpgroup*>(calloc(1, sizeof(Warpgroup)));
        group->block = &block;
        group->number = self->linear / WARPGROUP;
        group->registers = first_registers(block);
        begin_orders(*group);
    }
    return *group;
}

void warpgroup_operation(const char* name, void* argument, void (*work)(Warpgroup&), Place place) {
    Machine& m = machine();
    Fiber* self = m.running;
    const LiveBlock& block = *self->owner;
    Warpgroup& group = own_warpgroup(self);
    const unsigned first = group.number * WARPGROUP;
    if (block.thread_count - first < WARPGROUP) {
        fault("%s at %s:%d: the last warpgroup of the block has %u threads, not 128", name, place.file, place.line,
              block.thread_count - first);
    }
    if (group.arrived == 0) {
        for (unsigned i = 0; i < WARPGROUP; i++) {
            if (block.fibers[first + i]->state != Fiber::done) continue;
            fault("%s at %s:%d after threads of the warpgroup have returned", name, place.file, place.line);
        }
        group.name = name;
        group.place = place;
    } else if (group.place.line != place.line || strcmp(group.name, name) != 0 || strcmp(group.place.file, place.file) != 0) {
        fault("divergent warpgroup operations: %s at %s:%d, while others wait in %s at %s:%d", name, place.file, place.line,
              group.name, group.place.file, group.place.line);
    }
    group.arguments[self->linear % WARPGROUP] = argument;
    if (++group.arrived < WARPGROUP) return wait(name, place);
    group.arrived = 0;
    work(group);
    for (unsigned i = 0; i < WARPGROUP; i++) {
        Fiber* other = block.fibers[first + i];
        if (other != self) make_ready(other);
    }
    give_way();
}

void warpgroups_without(Fiber* fiber) {
    const Warpgroup* group = fiber->owner->warpgroups[fiber->linear / WARPGROUP];
    if (!group) return;
    if (group->arrived != 0) {
        fault("a thread has returned while its warpgroup waits in %s at %s:%d", group->name, group->place.file,
              group->place.line);
    }
    if (group->awaited != group->issued) {
        const Place place = group->operations[group->awaited % Warpgroup::OPERATIONS].place;
        fault("a thread ends while the wgmma at %s:%d of its warpgroup is under way", place.file, place.line);
    }
}

// ---- setmaxnreg (PTX ISA, "setmaxnreg")

static void nothing(Warpgroup&) {}

static unsigned registers_in_use(const LiveBlock& block) {
    unsigned sum = 0;
    const unsigned count = warpgroups_of(block);
    for (unsigned i = 0; i < count; i++) {
        const Warpgroup* group = block.warpgroups[i];
        sum += group ? group->registers : first_registers(block);
    }
    return sum;
}

void set_registers(unsigned registers, bool more, Place place) {
    if (is_skipped(place)) return;
    const char* const name = more ? "setmaxnreg.inc" : "setmaxnreg.dec";
    Fiber* self = machine().running;
    LiveBlock& block = *self->owner;
    if (registers < 24 || registers > MOST_REGISTERS || registers % 8 != 0) {
        fault("%s at %s:%d: %u registers, no multiple of 8 from 24 to 256", name, place.file, place.line, registers);
    }
    Warpgroup& group = own_warpgroup(self);
    warpgroup_operation(name, nullptr, nothing, place);
    if (group.registers == registers) return; // another thread of the warpgroup has seen to it
    if (more ? registers < group.registers : registers > group.registers) {
        fault("%s at %s:%d: from %u registers to %u", name, place.file, place.line, group.registers, registers);
    }
    while (group.registers != registers && registers_in_use(block) - group.registers + registers > registers_of(block)) {
        self->next_waiting = block.waiting_for_registers;
        block.waiting_for_registers = self;
        wait(name, place);
    }
    group.registers = registers;
    if (!more) wake_all(block.waiting_for_registers, nullptr);
}

} // namespace emulator
