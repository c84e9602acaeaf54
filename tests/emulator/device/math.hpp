// CUDA's mathematical functions, by the C library's.
#pragma once

using std::abs;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

// Products and sums that are rounded once each: the compiler is told not to contract either.
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __uint2float_rn(unsigned x) { return float(x); }

inline unsigned __umulhi(unsigned a, unsigned b) { return uint64_t(a) * b >> 32; }
// The low word of (high, low) shifted right by the shift modulo 32.
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return unsigned((uint64_t(high) << 32 | low) >> shift % 32);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }

inline float __uint_as_float(unsigned x) {
    float result;
    std::memcpy(&result, &x, sizeof result);
    return result;
}
inline unsigned __float_as_uint(float x) {
    unsigned result;
    std::memcpy(&result, &x, sizeof result);
    return result;
}

template <class T>
__forceinline__ T __ldg(const T* pointer) {
    return *pointer;
}

template <class T>
__forceinline__ T __ldcg(const T* pointer) {
    return *pointer;
}

[[noreturn]] inline void __trap() { emulator::fault("__trap()"); }
