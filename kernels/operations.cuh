// operations: the elementwise operations, one line of a table each.
//
// A line holds an operation's name and its value at x, or at a and b. They mean what their rows in
// src/ops/elementwise.rs mean, special cases included, have the same names and stand in the same order:
// it numbers the operations, so that a program can be sent to the device (program.cu).
#ifndef COTANGENT_OPERATIONS_CUH
#define COTANGENT_OPERATIONS_CUH

// The logistic function without overflow: expf is only ever taken of a number <= 0.
__device__ __forceinline__ float logistic(float x) {
    const float e = expf(-fabsf(x));
    return x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

// 1 where x > 0, else 0.
__device__ __forceinline__ float unit_step(float x) { return x > 0.0f ? 1.0f : 0.0f; }

// -1 where x < 0, 1 where x > 0, else 0.
__device__ __forceinline__ float sign_of(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f; }

// The larger of two, or NaN where one is: fmaxf would return the other.
__device__ __forceinline__ float larger(float a, float b) { return a >= b ? a : a < b ? b : a + b; }

// 1 where a > b, 1/2 where they are equal, else 0.
__device__ __forceinline__ float above_half(float a, float b) { return a > b ? 1.0f : a == b ? 0.5f : 0.0f; }

// ln(1 + e^x) without overflow.
__device__ __forceinline__ float softplus_of(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }

#define UNARY_OPERATIONS(ROW)              \
    ROW(negate, -x)                        \
    ROW(exp, expf(x))                      \
    ROW(ln, logf(x))                       \
    ROW(log10, log10f(x))                  \
    ROW(sin, sinf(x))                      \
    ROW(cos, cosf(x))                      \
    ROW(tan, tanf(x))                      \
    ROW(sqrt, sqrtf(x))                    \
    ROW(asin, asinf(x))                    \
    ROW(acos, acosf(x))                    \
    ROW(atan, atanf(x))                    \
    ROW(sinh, sinhf(x))                    \
    ROW(cosh, coshf(x))                    \
    ROW(tanh, tanhf(x))                    \
    ROW(sigmoid, logistic(x))              \
    ROW(relu, x <= 0.0f ? 0.0f : x)        \
    ROW(step, unit_step(x))                \
    ROW(sign, sign_of(x))                  \
    ROW(abs, fabsf(x))                     \
    ROW(log2, log2f(x))                    \
    ROW(log1p, log1pf(x))                  \
    ROW(expm1, expm1f(x))                  \
    ROW(cbrt, cbrtf(x))                    \
    ROW(softplus, softplus_of(x))          \
    ROW(asinh, asinhf(x))                  \
    ROW(acosh, acoshf(x))                  \
    ROW(atanh, atanhf(x))                  \
    ROW(sec, 1.0f / cosf(x))               \
    ROW(csc, 1.0f / sinf(x))               \
    ROW(cot, 1.0f / tanf(x))               \
    ROW(erf, erff(x))

#define BINARY_OPERATIONS(ROW)             \
    ROW(add, a + b)                        \
    ROW(sub, a - b)                        \
    ROW(mul, a * b)                        \
    ROW(div, a / b)                        \
    ROW(pow, powf(a, b))                   \
    ROW(max, larger(a, b))                 \
    ROW(min, -larger(-a, -b))              \
    ROW(above, above_half(a, b))           \
    ROW(hypot, hypotf(a, b))               \
    ROW(atan2, atan2f(a, b))

#endif
