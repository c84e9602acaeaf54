// What the compiler calls before every access of a kernel that is compiled with -fsanitize=thread.
//
// The functions are ThreadSanitizer's by name and not by what they do: this library stands in for its runtime,
// which would claim the whole process. The compiler has found and marked every access, and that is all that
// is needed of it: to count requests (counting/), and to know who has written which byte of shared memory
// (runtime/proxies.cpp).
#include <cstddef>

#include "../runtime/machine.hpp"

using emulator::Access;

namespace emulator::counting {
__attribute__((weak)) void access(const void* code, const void* address, size_t bytes, Access kind);
}

static void access(const void* code, const void* address, size_t bytes, Access kind) {
    if (emulator::counting::access) emulator::counting::access(code, address, bytes, kind);
    if (kind != Access::load) emulator::wrote_shared(address, bytes);
}

#define HERE __builtin_return_address(0)

#define ACCESSES(bytes)                                                                                              \
    extern "C" void __tsan_read##bytes(void* address) { access(HERE, address, bytes, Access::load); }                \
    extern "C" void __tsan_write##bytes(void* address) { access(HERE, address, bytes, Access::store); }              \
    extern "C" void __tsan_volatile_read##bytes(void* address) { access(HERE, address, bytes, Access::load); }       \
    extern "C" void __tsan_volatile_write##bytes(void* address) { access(HERE, address, bytes, Access::store); }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

#define UNALIGNED(bytes)                                                                                             \
    extern "C" void __tsan_unaligned_read##bytes(void* address) { access(HERE, address, bytes, Access::load); }      \
    extern "C" void __tsan_unaligned_write##bytes(void* address) { access(HERE, address, bytes, Access::store); }
UNALIGNED(2)
UNALIGNED(4)
UNALIGNED(8)
UNALIGNED(16)

extern "C" void __tsan_read_range(void* address, size_t bytes) { access(HERE, address, bytes, Access::load); }
extern "C" void __tsan_write_range(void* address, size_t bytes) { access(HERE, address, bytes, Access::store); }

// The atomic operations that kernels use are done here, since the compiler leaves that to the runtime.
#define ATOMICS(bits, Integer)                                                                                       \
    extern "C" Integer __tsan_atomic##bits##_load(const volatile Integer* address, int) {                            \
        access(HERE, const_cast<Integer*>(address), bits / 8, Access::load);                                         \
        return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                                           \
    }                                                                                                                \
    extern "C" void __tsan_atomic##bits##_store(volatile Integer* address, Integer value, int) {                     \
        access(HERE, const_cast<Integer*>(address), bits / 8, Access::store);                                        \
        __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                                          \
    }                                                                                                                \
    extern "C" Integer __tsan_atomic##bits##_fetch_add(volatile Integer* address, Integer value, int) {              \
        access(HERE, const_cast<Integer*>(address), bits / 8, Access::atomic);                                       \
        return __atomic_fetch_add(address, value, __ATOMIC_SEQ_CST);                                                 \
    }                                                                                                                \
    extern "C" int __tsan_atomic##bits##_compare_exchange_strong(volatile Integer* address, Integer* expected,       \
                                                                 Integer value, int, int) {                          \
        access(HERE, const_cast<Integer*>(address), bits / 8, Access::atomic);                                       \
        return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);     \
    }                                                                                                                \
    extern "C" Integer __tsan_atomic##bits##_compare_exchange_val(volatile Integer* address, Integer expected,       \
                                                                  Integer value, int, int) {                         \
        access(HERE, const_cast<Integer*>(address), bits / 8, Access::atomic);                                       \
        __atomic_compare_exchange_n(address, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);           \
        return expected;                                                                                             \
    }
ATOMICS(32, unsigned)
ATOMICS(64, unsigned long long)

extern "C" void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Nothing to see in these.
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_vptr_update(void**, void*) {}
extern "C" void __tsan_vptr_read(void**) {}
