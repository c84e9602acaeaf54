// Shared memory: an arena with the dynamic part first, then each __shared__ variable, with red zones
// around them. It holds NaN (all bits set) at the start of a block, as hardware promises nothing. Each block has
// its own arena, all of a launch laid out alike.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

static constexpr size_t RED_ZONE = 128, BEST_ALIGNMENT = 1024;
static constexpr unsigned char CANARY = 0xA5, UNSET = 0xFF;

// memset would be intercepted by ThreadSanitizer, and seen as an access.
static void fill(char* memory, unsigned char value, size_t size) {
    volatile unsigned char* bytes = reinterpret_cast<unsigned char*>(memory);
#if defined(__x86_64__)
    asm volatile("rep stosb" : "+D"(bytes), "+c"(size) : "a"(value) : "memory");
#else
    while (size--) *bytes++ = value;
#endif
}

static size_t round_up(size_t size, size_t alignment) { return (size + alignment - 1) / alignment * alignment; }

void begin_layout(SharedLayout& layout, const Configuration& configuration) {
    const size_t dynamic_size = configuration.dynamic_shared;
    layout.dynamic_size = dynamic_size;
    layout.most = configuration.asked_for_shared ? LARGEST_SHARED : LARGEST_STATIC_SHARED;
    layout.top = dynamic_size ? round_up(BEST_ALIGNMENT / 2 + dynamic_size + RED_ZONE, BEST_ALIGNMENT) : 0;
    layout.static_size = layout.count = layout.dynamic_offset = 0;
    layout.has_dynamic = false;
}

static void set_anew(const LiveBlock& b, size_t offset, size_t size) {
    if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(b.arena + offset, size);
    fill(b.arena + offset, UNSET, size);
}

// In all blocks of the running one's launch.
static void set_anew_in_all(size_t offset, size_t size) {
    Machine& m = machine();
    for (unsigned i = 0; i < m.block_count; i++) {
        LiveBlock& b = *m.blocks[i];
        if (b.launch != m.running->owner->launch) continue;
        set_anew(b, offset, size);
        if (b.dirty < offset + size) b.dirty = offset + size; // it has ended, and had not met the variable
    }
}

void begin_shared(LiveBlock& b) {
    if (!b.arena) {
        const size_t page = sysconf(_SC_PAGESIZE);
        void* memory = mmap(nullptr, ARENA + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) abort();
        b.arena = static_cast<char*>(memory) + page;
        mprotect(b.arena, ARENA, PROT_READ | PROT_WRITE);
        b.dirty = ARENA;
    }
    if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(b.arena, ARENA);
    if (under_thread_sanitizer()) {
        // Mapped anew, so that the last block's accesses are forgotten.
        mmap(b.arena, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        b.dirty = ARENA;
    }
    const SharedLayout& layout = b.launch->layout;
    fill(b.arena, CANARY, b.dirty);
    b.dirty = ARENA; // until check_shared has found how much
    if (__asan_poison_memory_region) __asan_poison_memory_region(b.arena, ARENA);
    if (layout.has_dynamic) set_anew(b, layout.dynamic_offset, layout.dynamic_size);
    for (unsigned i = 0; i < layout.count; i++) set_anew(b, layout.variables[i].offset, layout.variables[i].size);
}

void* shared_variable(const void* site, size_t size, size_t alignment, const char* name) {
    const LiveBlock& own = *machine().running->owner;
    SharedLayout& layout = own.launch->layout;
    for (unsigned i = 0; i < layout.count; i++) {
        if (layout.variables[i].site == site) return own.arena + layout.variables[i].offset;
    }
    layout.static_size += size;
    if (layout.static_size > LARGEST_STATIC_SHARED) {
        fault("static shared memory over %zu bytes with '%s', which makes %zu", LARGEST_STATIC_SHARED, name,
              layout.static_size);
    }
    // Aligned as declared and not better, so that a wider access than the declaration allows faults.
    const bool is_best = alignment >= BEST_ALIGNMENT;
    const size_t unit = is_best ? BEST_ALIGNMENT : alignment < 64 ? 128 : 2 * alignment;
    const size_t offset = round_up(layout.top, unit) + (is_best ? 0 : alignment);
    if (layout.static_size + layout.dynamic_size > layout.most || offset + size + RED_ZONE > ARENA) {
        fault("shared memory over %zu bytes with '%s', static and dynamic together%s", layout.most, name,
              layout.most < LARGEST_SHARED ? "; more must be asked for" : "");
    }
    if (layout.count == sizeof layout.variables / sizeof layout.variables[0]) fault("too many shared variables");
    const SharedVariable& variable = layout.variables[layout.count++] = {site, name, offset, size};
    layout.top = round_up(offset + size + RED_ZONE, 128);
    set_anew_in_all(variable.offset, variable.size);
    return own.arena + offset;
}

void* dynamic_shared(size_t alignment) {
    const LiveBlock& own = *machine().running->owner;
    SharedLayout& layout = own.launch->layout;
    if (!layout.has_dynamic && layout.dynamic_size > 0) { // a launch may give none
        const size_t least = alignment < 16 ? 16 : alignment; // which hardware keeps
        layout.dynamic_offset = least < BEST_ALIGNMENT ? least : 0;
        layout.has_dynamic = true;
        set_anew_in_all(layout.dynamic_offset, layout.dynamic_size);
    }
    return own.arena + layout.dynamic_offset;
}

void check_within_variable(const LiveBlock& b, uint32_t offset, size_t size, const char* what, Place place) {
    const SharedLayout& layout = b.launch->layout;
    const auto holds = [&](size_t first, size_t bytes) { return offset >= first && offset + size <= first + bytes; };
    if (layout.has_dynamic && holds(layout.dynamic_offset, layout.dynamic_size)) return;
    for (unsigned i = 0; i < layout.count; i++) {
        if (holds(layout.variables[i].offset, layout.variables[i].size)) return;
    }
    fault("%s at %s:%d: %zu bytes at shared address %u: that leaves every shared variable", what, place.file, place.line,
          size, offset);
}

uint32_t shared_offset(const void* address) {
    const char* arena = machine().running->owner->arena;
    const char* byte = static_cast<const char*>(address);
    if (byte < arena || byte >= arena + ARENA) fault("the address %p is not in shared memory", address);
    return byte - arena;
}

// The red zones, and the gaps that alignment leaves, must be untouched.
void check_shared(LiveBlock& b) {
    const SharedLayout& layout = b.launch->layout;
    b.dirty = layout.top;
    if (under_address_sanitizer()) return; // it has looked at every access
    const bool has_dynamic = layout.has_dynamic;
    for (size_t at = 0; has_dynamic && at < layout.dynamic_offset; at++) {
        if (static_cast<unsigned char>(b.arena[at]) != CANARY) {
            fault("shared memory was written %zu bytes before the dynamic part", layout.dynamic_offset - at);
        }
    }
    size_t from = has_dynamic ? layout.dynamic_offset + layout.dynamic_size : 0;
    const char* before = has_dynamic ? "the dynamic part" : "nothing";
    for (unsigned i = 0; i <= layout.count; i++) {
        const size_t to = i < layout.count ? layout.variables[i].offset : layout.top;
        for (size_t at = from; at < to; at++) {
            if (static_cast<unsigned char>(b.arena[at]) != CANARY) {
                fault("shared memory was written %zu bytes past the end of '%s'", at - from, before);
            }
        }
        if (i == layout.count) break;
        from = layout.variables[i].offset + layout.variables[i].size;
        before = layout.variables[i].name;
    }
}

} // namespace emulator
