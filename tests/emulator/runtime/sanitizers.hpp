// The sanitizers' interfaces for fibers: null where the process does not carry that sanitizer.
#pragma once
#include <cstddef>

extern "C" {
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, size_t size);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, size_t* size);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void* address, size_t size);
__attribute__((weak)) void __asan_poison_memory_region(const volatile void* address, size_t size);
__attribute__((weak)) void* __tsan_get_current_fiber();
__attribute__((weak)) void* __tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_switch_to_fiber(void* fiber, unsigned flags);
__attribute__((weak)) void __tsan_read_range(void* address, size_t size);
__attribute__((weak)) void __tsan_write_range(void* address, size_t size);
__attribute__((weak)) void __tsan_acquire(void* object);
__attribute__((weak)) void __tsan_release(void* object);
}

namespace emulator {

inline bool under_address_sanitizer() { return __asan_poison_memory_region != nullptr; }
inline bool under_thread_sanitizer() { return __tsan_create_fiber != nullptr; }

// What happened before `release` is seen by whoever acquires the object afterwards.
inline void release_order(void* object) {
    if (__tsan_release) __tsan_release(object);
}
inline void acquire_order(void* object) {
    if (__tsan_acquire) __tsan_acquire(object);
}

} // namespace emulator
