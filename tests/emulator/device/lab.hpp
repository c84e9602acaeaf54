// What a kernel from elsewhere sees instead of CUDA's headers (tests/lab): all that the crate's own kernels see, and
// what they do without.
//
// Atomic operations on floats stand here and not in atomic.hpp: their sums depend on the order of threads, so that the
// crate's kernels must not have them.
#pragma once
#define COTANGENT_LAB 1 // by which a file keeps its host code out: #ifndef COTANGENT_LAB

#include <cfloat>

#include "cuda.hpp"

#include <math.h> // exp, sqrt and others of a float outside of std

#define __constant__
#define __managed__
#define __noinline__ __attribute__((noinline))

// ---- Types

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct float3 {
    float x, y, z;
};
struct int3 {
    int x, y, z;
};
struct alignas(16) double2 {
    double x, y;
};

inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline int3 make_int3(int x, int y, int z) { return {x, y, z}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

// ---- Arithmetic. The fast ones are as exact as the others here, and a little less on a card.

inline float __expf(float x) { return std::exp(x); }
inline float __exp10f(float x) { return std::pow(10.0f, x); }
inline float __logf(float x) { return std::log(x); }
inline float __log2f(float x) { return std::log2(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __sinf(float x) { return std::sin(x); }
inline float __cosf(float x) { return std::cos(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frsqrt_rn(float x) { return 1.0f / std::sqrt(x); }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline int __mul24(int a, int b) { return a * b; }
inline int __float2int_rn(float x) { return int(std::nearbyint(x)); }
inline int __float2int_rd(float x) { return int(std::floor(x)); }
inline int __float2int_rz(float x) { return int(x); }
inline float __int2float_rn(int x) { return float(x); }
inline int __float_as_int(float x) { return int(__float_as_uint(x)); }
inline float __int_as_float(int x) { return __uint_as_float(unsigned(x)); }

inline unsigned min(unsigned a, int b) { return std::min(a, unsigned(b)); }
inline unsigned min(int a, unsigned b) { return std::min(unsigned(a), b); }
inline unsigned max(unsigned a, int b) { return std::max(a, unsigned(b)); }
inline unsigned max(int a, unsigned b) { return std::max(unsigned(a), b); }

// ---- Atomic operations. A function of the old value, tried until nobody has come between.

namespace emulator {

template <class Value, class Bits, class Change>
Value atomically(Value* address, Change change) {
    static_assert(sizeof(Value) == sizeof(Bits));
    Bits* const bits = reinterpret_cast<Bits*>(address);
    Bits before = __atomic_load_n(bits, __ATOMIC_RELAXED), after;
    Value old;
    do {
        std::memcpy(&old, &before, sizeof old);
        const Value changed = change(old);
        std::memcpy(&after, &changed, sizeof after);
    } while (!__atomic_compare_exchange_n(bits, &before, after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    progress();
    return old;
}

} // namespace emulator

inline float atomicAdd(float* address, float value) {
    return emulator::atomically<float, uint32_t>(address, [=](float old) { return old + value; });
}
inline double atomicAdd(double* address, double value) {
    return emulator::atomically<double, uint64_t>(address, [=](double old) { return old + value; });
}
inline int atomicSub(int* address, int value) { return __atomic_fetch_sub(address, value, __ATOMIC_RELAXED); }
inline unsigned atomicSub(unsigned* address, unsigned value) {
    return __atomic_fetch_sub(address, value, __ATOMIC_RELAXED);
}
inline int atomicMax(int* address, int value) {
    return emulator::atomically<int, uint32_t>(address, [=](int old) { return std::max(old, value); });
}
inline int atomicMin(int* address, int value) {
    return emulator::atomically<int, uint32_t>(address, [=](int old) { return std::min(old, value); });
}
inline unsigned atomicMax(unsigned* address, unsigned value) {
    return emulator::atomically<unsigned, uint32_t>(address, [=](unsigned old) { return std::max(old, value); });
}
inline unsigned atomicMin(unsigned* address, unsigned value) {
    return emulator::atomically<unsigned, uint32_t>(address, [=](unsigned old) { return std::min(old, value); });
}
inline int atomicExch(int* address, int value) { return __atomic_exchange_n(address, value, __ATOMIC_RELAXED); }
inline unsigned atomicExch(unsigned* address, unsigned value) {
    return __atomic_exchange_n(address, value, __ATOMIC_RELAXED);
}
inline float atomicExch(float* address, float value) {
    return emulator::atomically<float, uint32_t>(address, [=](float) { return value; });
}
inline int atomicCAS(int* address, int expected, int value) {
    __atomic_compare_exchange_n(address, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
inline unsigned atomicCAS(unsigned* address, unsigned expected, unsigned value) {
    __atomic_compare_exchange_n(address, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
// The last of a grid's blocks finds itself by this one.
inline unsigned atomicInc(unsigned* address, unsigned limit) {
    return emulator::atomically<unsigned, uint32_t>(address,
                                                    [=](unsigned old) { return old >= limit ? 0 : old + 1; });
}

inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
