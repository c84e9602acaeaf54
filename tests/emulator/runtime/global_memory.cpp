// Device memory: each allocation ends at a page that nobody may touch, and begins as NaN.
//
// Addresses are multiples of 16 only (hardware's are of 256), so that at most 15 bytes lie between an
// allocation's end and the guard page. Those, and the page's rest before its start, hold a pattern that
// depends on the position: what overwrites it with the same bytes would have to know it.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

namespace {

struct Allocation {
    size_t size;
    char *mapping, *body; // the whole mapping; the part between its guard pages
    size_t mapped, body_size;
    const Machine* owner;
};

std::mutex mutex;
std::map<char*, Allocation> allocations;
size_t total;

unsigned char pattern(const char* address) {
    const auto bits = reinterpret_cast<uintptr_t>(address);
    return (bits * 0x9E3779B97F4A7C15) >> 56 | 1;
}

void paint(char* from, char* to) {
    for (; from < to; from++) *from = static_cast<char>(pattern(from));
}

const char* first_damage(const char* from, const char* to) {
    for (; from < to; from++) {
        if (static_cast<unsigned char>(*from) != pattern(from)) return from;
    }
    return nullptr;
}

bool report(const char* start, const Allocation& a) {
    const char* past = first_damage(start + a.size, a.body + a.body_size);
    const char* before = past ? nullptr : first_damage(a.body, start);
    if (!past && !before) return true;
    Machine& m = machine();
    if (past) {
        snprintf(m.message, sizeof m.message, "memory was written %zu bytes past the end of an allocation of %zu",
                 size_t(past - (start + a.size)), a.size);
    } else {
        snprintf(m.message, sizeof m.message, "memory was written %zu bytes before an allocation of %zu",
                 size_t(start - before), a.size);
    }
    m.failed = true;
    return false;
}

} // namespace

void* allocate(size_t size) {
    const size_t page = sysconf(_SC_PAGESIZE);
    const size_t aligned = (size + 15) / 16 * 16, body_size = (aligned + page - 1) / page * page;
    const size_t mapped = body_size + 2 * page;
    void* memory = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    char* mapping = static_cast<char*>(memory);
    char* body = mapping + page;
    mprotect(body, body_size, PROT_READ | PROT_WRITE);
    char* start = body + body_size - aligned;
    paint(body, start);
    memset(start, 0xFF, size);
    paint(start + size, body + body_size);
    if (__asan_poison_memory_region) {
        __asan_poison_memory_region(body, start - body);
        __asan_poison_memory_region(start + size, aligned - size);
    }
    const std::lock_guard<std::mutex> lock(mutex);
    allocations[start] = {size, mapping, body, mapped, body_size, &machine()};
    total += size;
    return start;
}

Freed release(void* address) {
    Allocation found;
    char* start = static_cast<char*>(address);
    {
        const std::lock_guard<std::mutex> lock(mutex);
        const auto entry = allocations.find(start);
        if (entry == allocations.end()) return Freed::unknown;
        found = entry->second;
        allocations.erase(entry);
        total -= found.size;
    }
    if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(found.body, found.body_size);
    const bool intact = report(start, found);
    munmap(found.mapping, found.mapped);
    return intact ? Freed::intact : Freed::overrun;
}

bool is_allocated(const void* first, size_t size) {
    const std::lock_guard<std::mutex> lock(mutex);
    char* address = static_cast<char*>(const_cast<void*>(first));
    auto entry = allocations.upper_bound(address);
    if (entry == allocations.begin()) return false;
    --entry;
    return address + size <= entry->first + entry->second.size;
}

void* allocation_of(const void* address, size_t* size) {
    const std::lock_guard<std::mutex> lock(mutex);
    auto entry = allocations.upper_bound(static_cast<char*>(const_cast<void*>(address)));
    if (entry == allocations.begin()) return nullptr;
    --entry;
    *size = entry->second.size;
    return address < entry->first + *size ? entry->first : nullptr;
}

bool allocations_intact() {
    if (under_address_sanitizer()) return true; // it has looked at every access
    const std::lock_guard<std::mutex> lock(mutex);
    for (const auto& [start, allocation] : allocations) {
        if (allocation.owner != &machine()) continue;
        if (!report(start, allocation)) return false;
    }
    return true;
}

size_t allocated_bytes() {
    const std::lock_guard<std::mutex> lock(mutex);
    return total;
}

} // namespace emulator
