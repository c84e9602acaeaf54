// Operations of a warp: shuffles, votes, __syncwarp, ldmatrix, mma.
//
// The lanes of a mask must come to the same operation at the same place with the same mask; lanes that
// have returned can never come.
#include <cstring>

#include "counting.hpp"
#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

static WarpMeeting& meeting_of(Warp& warp, const char* name, uint32_t mask, Place place) {
    for (unsigned i = 0; i < warp.count; i++) {
        WarpMeeting& other = warp.meetings[i];
        if (!(other.mask & mask)) continue;
        const bool same = other.mask == mask && other.place.line == place.line &&
                          strcmp(other.place.file, place.file) == 0 && strcmp(other.name, name) == 0;
        if (!same) {
            fault("divergent warp operations: %s with mask %08x at %s:%d, while others wait in %s with mask %08x at %s:%d",
                  name, mask, place.file, place.line, other.name, other.mask, other.place.file, other.place.line);
        }
        return other;
    }
    WarpMeeting& fresh = warp.meetings[warp.count++];
    fresh = WarpMeeting{mask, 0, name, place, {}};
    return fresh;
}

void warp_operation(const char* name, uint32_t mask, void* argument, WarpWork work, bool orders, Place place) {
    if (orders && is_skipped(place)) return;
    Machine& m = machine();
    Fiber* self = m.running;
    Warp& warp = self->owner->warps[self->warp];
    const uint32_t bit = 1u << self->lane;
    if (!(mask & bit)) {
        fault("%s at %s:%d: the mask %08x lacks the calling lane %u", name, place.file, place.line, mask, self->lane);
    }
    if (mask & warp.returned) {
        fault("%s at %s:%d: the mask %08x names lanes that have returned (%08x)", name, place.file, place.line, mask,
              mask & warp.returned);
    }
    WarpMeeting& meeting = meeting_of(warp, name, mask, place);
    meeting.arguments[self->lane] = argument;
    meeting.arrived |= bit;
    if (orders) release_order(&warp.order);
    // Lanes beyond the end of the block do not exist; CUDA allows them in a mask.
    if ((meeting.arrived | warp.absent) != (mask | warp.absent)) {
        wait(name, place);
        return;
    }
    if ((meeting.arrived | warp.absent) == ~0u) met(warp);
    const WarpMeeting complete = meeting;
    meeting = warp.meetings[--warp.count];
    work(complete.arguments, complete.arrived);
    for (unsigned lane = 0; lane < WARP; lane++) {
        if (lane == self->lane || !(complete.arrived >> lane & 1)) continue;
        Fiber* other = self->owner->fibers[self->warp * WARP + lane];
        other->acquires = orders ? &warp.order : nullptr;
        make_ready(other);
    }
    if (orders) acquire_order(&warp.order);
    give_way();
}

void warps_without(Fiber* fiber) {
    Warp& warp = fiber->owner->warps[fiber->warp];
    warp.absent |= 1u << fiber->lane;
    warp.returned |= 1u << fiber->lane;
    for (unsigned i = 0; i < warp.count; i++) {
        const WarpMeeting& meeting = warp.meetings[i];
        if (meeting.mask >> fiber->lane & 1) {
            fault("lane %u has returned while its warp waits in %s at %s:%d", fiber->lane, meeting.name,
                  meeting.place.file, meeting.place.line);
        }
    }
}

} // namespace emulator
