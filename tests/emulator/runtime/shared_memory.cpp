// Shared memory: an arena with the dynamic part first, then each __shared__ variable, with red zones
// between them. It holds NaN (all bits set) at the start of a block, as hardware promises nothing.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

static constexpr size_t ARENA = 256 * 1024, RED_ZONE = 128;
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

void begin_shared(Machine& m) {
    if (!m.arena) {
        const size_t page = sysconf(_SC_PAGESIZE);
        void* memory = mmap(nullptr, ARENA + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) abort();
        m.arena = static_cast<char*>(memory) + page;
        mprotect(m.arena, ARENA, PROT_READ | PROT_WRITE);
        m.top = ARENA;
    }
    if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(m.arena, ARENA);
    if (under_thread_sanitizer()) {
        // Mapped anew, so that the last block's accesses are forgotten.
        mmap(m.arena, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        m.top = ARENA;
    }
    fill(m.arena, CANARY, m.top);
    fill(m.arena, UNSET, m.dynamic_size);
    m.top = m.dynamic_size ? round_up(m.dynamic_size + RED_ZONE, 1024) : 0;
    m.static_size = 0;
    m.variable_count = 0;
    if (__asan_poison_memory_region) {
        __asan_poison_memory_region(m.arena + m.dynamic_size, ARENA - m.dynamic_size);
    }
}

void* shared_variable(const void* site, size_t size, size_t alignment, const char* name) {
    Machine& m = machine();
    for (unsigned i = 0; i < m.variable_count; i++) {
        if (m.variables[i].site == site) return m.arena + m.variables[i].offset;
    }
    m.static_size += size;
    if (m.static_size > LARGEST_STATIC_SHARED) {
        fault("static shared memory over %zu bytes with '%s'", LARGEST_STATIC_SHARED, name);
    }
    // Aligned as declared and not better, so that a wider access than the declaration allows faults.
    const size_t offset = round_up(m.top, 128) + (alignment < 128 ? alignment : 0);
    if (m.static_size + m.dynamic_size > LARGEST_SHARED || offset + size + RED_ZONE > ARENA) {
        fault("shared memory over %zu bytes with '%s'", LARGEST_SHARED, name);
    }
    if (m.variable_count == sizeof m.variables / sizeof m.variables[0]) fault("too many shared variables");
    m.variables[m.variable_count++] = {site, name, offset, size};
    if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(m.arena + offset, size);
    fill(m.arena + offset, UNSET, size);
    m.top = round_up(offset + size + RED_ZONE, 128);
    return m.arena + offset;
}

void* dynamic_shared() { return machine().arena; }

uint32_t shared_offset(const void* address) {
    const Machine& m = machine();
    const char* byte = static_cast<const char*>(address);
    if (byte < m.arena || byte >= m.arena + ARENA) fault("the address %p is not in shared memory", address);
    return byte - m.arena;
}

// The red zones, and the gaps that alignment leaves, must be untouched.
void check_shared(Machine& m) {
    if (under_address_sanitizer()) return; // it has looked at every access
    size_t from = m.dynamic_size;
    const char* before = "the dynamic part";
    for (unsigned i = 0; i <= m.variable_count; i++) {
        const size_t to = i < m.variable_count ? m.variables[i].offset : m.top;
        for (size_t at = from; at < to; at++) {
            if (static_cast<unsigned char>(m.arena[at]) != CANARY) {
                fault("shared memory was written %zu bytes past the end of '%s'", at - from, before);
            }
        }
        if (i == m.variable_count) break;
        from = m.variables[i].offset + m.variables[i].size;
        before = m.variables[i].name;
    }
}

} // namespace emulator
