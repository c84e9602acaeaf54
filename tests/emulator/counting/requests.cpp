// Which accesses of a warp's lanes are one request.
//
// On hardware the lanes that execute an instruction together make one request. Here each lane runs alone, so lanes
// are brought together by (instruction, the lane's n-th execution of it since all lanes met last): a barrier or an
// operation of the whole warp begins the count anew. That is right where the lanes go through a loop alike between
// two meetings. Where one lane skips an access in one turn and another lane in another turn, their later accesses are
// brought together one turn apart: fewer and other requests than hardware makes.
//
// A request is finished as soon as all lanes that the warp has have come, else where they meet, so memory holds
// what lanes are apart and no more.
#include "requests.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "../runtime/counting.hpp"
#include "model.hpp"

namespace emulator::counting {
namespace {

enum class Space : uint32_t { shared, global };

// What is counted together.
struct Key {
    const void* code;
    unsigned piece; // of an access that takes several instructions
    Space space;
    Access kind;
    unsigned bytes; // of a lane

    auto all() const { return std::tie(code, piece, space, kind, bytes); }
    bool operator<(const Key& other) const { return all() < other.all(); }
    bool operator==(const Key& other) const { return all() == other.all(); }
};

struct Hash {
    size_t operator()(const Key& key) const {
        const size_t small = key.piece << 8 | unsigned(key.space) << 7 | unsigned(key.kind) << 5 | key.bytes;
        return (reinterpret_cast<size_t>(key.code) ^ small << 48) * 0x9E3779B97F4A7C15 >> 7;
    }
};

struct Total {
    uint64_t requests, lanes, wavefronts, conflicts, ideal_wavefronts, sectors, ideal_sectors;
};

struct OpenRequest : WarpRequest {
    uint32_t arrived; // lanes that have come, with those that came to access nothing
};

// An instruction as one warp executes it.
struct Site {
    Key key;
    Total* total;
    unsigned executions[LANES]; // of each lane since the lanes met
    unsigned finished;          // of those, the number of the first open request
    std::deque<OpenRequest> open;
    bool used; // since the lanes met
};

struct WarpSites {
    std::unordered_map<Key, Site, Hash> sites;
    std::vector<Site*> used;
};

struct Allocation {
    const char *first = nullptr, *past = nullptr;
};

struct Counts {
    std::map<Key, Total> totals;
    std::unordered_map<const Warp*, WarpSites> warps;
    Allocation recent[4]; // those that accesses were in lately
    unsigned next_recent = 0;
};

thread_local Counts counts;

void finish(const Site& site, const OpenRequest& request) {
    if (!request.present) return;
    Total& total = *site.total;
    const Key& key = site.key;
    total.requests++;
    total.lanes += __builtin_popcount(request.present);
    if (key.space == Space::shared) {
        const Wavefronts cost = wavefronts(request, key.bytes, key.kind == Access::matrices);
        total.wavefronts += cost.needed;
        total.conflicts += cost.needed - cost.conflict_free;
        total.ideal_wavefronts += cost.ideal;
    } else {
        const Sectors cost = sectors(request, key.bytes);
        total.sectors += cost.needed;
        total.ideal_sectors += cost.ideal;
    }
}

void finish_all(WarpSites& warp) {
    for (Site* site : warp.used) {
        for (const OpenRequest& request : site->open) finish(*site, request);
        site->open.clear();
        site->finished = 0;
        std::fill_n(site->executions, LANES, 0);
        site->used = false;
    }
    warp.used.clear();
}

// The allocation that an address lies in; hardware begins each at a multiple of 256 bytes.
const char* allocation_around(const char* address) {
    for (const Allocation& known : counts.recent) {
        if (known.first <= address && address < known.past) return known.first;
    }
    Allocation& found = counts.recent[counts.next_recent++ % 4];
    found = {};
    size_t size = 0;
    found.first = static_cast<const char*>(allocation_of(address, &size));
    found.past = found.first + size;
    return found.first;
}

// The lane's part of its next execution of an instruction; one that accesses nothing counts as an execution too.
void take_part(const Fiber& fiber, const Key& key, const uint64_t* address) {
    Warp& warp = fiber.owner->warps[fiber.warp];
    WarpSites& own = counts.warps[&warp];
    const auto [entry, is_new] = own.sites.try_emplace(key);
    Site& site = entry->second;
    if (is_new) {
        site.key = key;
        site.total = &counts.totals[key];
    }
    if (!site.used) {
        site.used = true;
        own.used.push_back(&site);
    }
    const unsigned at = site.executions[fiber.lane]++ - site.finished;
    if (at >= site.open.size()) site.open.resize(at + 1);
    OpenRequest& request = site.open[at];
    request.arrived |= 1u << fiber.lane;
    if (address) {
        request.present |= 1u << fiber.lane;
        request.addresses[fiber.lane] = *address;
    }
    while (!site.open.empty() && (site.open.front().arrived | warp.absent) == ~0u) {
        finish(site, site.open.front());
        site.open.pop_front();
        site.finished++;
    }
}

// Any size: a structure's copy takes several instructions, as wide as its size and address allow. (Its declared alignment
// is not known here; it may allow less.)
void access_in(const Fiber& fiber, Key key, uint64_t address, size_t bytes) {
    key.bytes = 16;
    while (bytes % key.bytes != 0 || address % key.bytes != 0) key.bytes /= 2;
    for (const uint64_t past = address + bytes; address < past; address += key.bytes) {
        take_part(fiber, key, &address);
        key.piece++;
    }
}

} // namespace

void access(const void* code, const void* address, size_t bytes, Access kind) {
    if (!block) return; // not a kernel's
    const Fiber& fiber = *machine().running;
    const char* const byte = static_cast<const char*>(address);
    if (byte >= fiber.stack && byte < fiber.stack + fiber.stack_size) return;
    const char* const arena = fiber.owner->arena;
    const bool is_shared = byte >= arena && byte < arena + ARENA;
    const char* const start = is_shared ? arena : allocation_around(byte);
    if (!start) return;
    access_in(fiber, {code, 0, is_shared ? Space::shared : Space::global, kind, 0}, byte - start, bytes);
}

} // namespace emulator::counting

namespace emulator {

using counting::counts;

void count_access(const void* address, size_t bytes, Access kind) {
    counting::access(__builtin_return_address(0), address, bytes, kind);
}

void count_copy(void* shared, const void* global, size_t bytes) {
    const void* code = __builtin_return_address(0);
    counting::access(code, shared, bytes, Access::store);
    if (global) return counting::access(code, global, bytes, Access::load);
    // The lane copies nothing this time, and may the next time: it must not fall behind.
    const counting::Key key = {code, 0, counting::Space::global, Access::load, unsigned(bytes)};
    counting::take_part(*machine().running, key, nullptr);
}

void count_met(const Warp& warp) {
    const auto found = counts.warps.find(&warp);
    if (found != counts.warps.end()) counting::finish_all(found->second);
}

void count_met(const LiveBlock& block) {
    for (unsigned warp = 0; warp * WARP < block.thread_count; warp++) count_met(block.warps[warp]);
}

void count_ended() {
    for (auto& [warp, sites] : counts.warps) counting::finish_all(sites);
    counts.warps.clear();
    for (auto& known : counts.recent) known = {};
}

} // namespace emulator

void emulator_clear_counts() { emulator::counts.totals.clear(); }

size_t emulator_counts(EmulatorCount* out, size_t room) {
    size_t count = 0;
    Dl_info library = {};
    for (const auto& [key, total] : emulator::counts.totals) {
        if (count++ >= room) continue;
        dladdr(key.code, &library);
        // One byte back, into the instruction.
        const size_t offset = static_cast<const char*>(key.code) - 1 - static_cast<const char*>(library.dli_fbase);
        *out++ = {offset, uint32_t(key.space), uint32_t(key.kind), key.bytes, total.requests, total.lanes,
                  total.wavefronts, total.conflicts, total.ideal_wavefronts, total.sectors, total.ideal_sectors};
    }
    return count;
}
