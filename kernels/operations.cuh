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

// e^(-x^2): what x^2 loses in rounding is put back, as the exponential would amplify it.
__device__ __forceinline__ float gaussian_of(float x) {
    const float square = x * x, value = expf(-square);
    return value == 0.0f ? value : value - value * fmaf(x, x, -square);
}

// 1 / (3 cbrt(x)^2), as cbrt(x) / x / 3: one rounding fewer, and no digits of the smallest numbers are lost.
__device__ __forceinline__ float cbrt_slope_of(float x) {
    return x == 0.0f ? 1.0f / fabsf(x) : cbrtf(x) / x / 3.0f;
}

// 1 / cosh^2 x = 4e / (1 + e)^2 with e = e^(-2|x|), without overflow. What 1 + e loses is put into the square.
__device__ __forceinline__ float sech_squared(float x) {
    const float e = expf(-2.0f * fabsf(x)), sum = 1.0f + e;
    return 4.0f * e / fmaf(sum, sum, 2.0f * sum * (e - (sum - 1.0f)));
}

// sigmoid(x) sigmoid(-x) = 1 / (4 cosh^2 (x/2))
__device__ __forceinline__ float logistic_slope(float x) { return 0.25f * sech_squared(0.5f * x); }

// A power of two that brings the larger of two numbers to where squares neither over- nor underflow.
__device__ __forceinline__ float scale_of(float a, float b) {
    const float size = fmaxf(fabsf(a), fabsf(b));
    return size > 0x1p60f ? 0x1p-100f : size < 0x1p-50f ? 0x1p100f : 1.0f;
}

// b / (a^2 + b^2)
__device__ __forceinline__ float inversion_of(float a, float b) {
    const float scale = scale_of(a, b);
    a *= scale, b *= scale;
    return b / fmaf(a, a, b * b) * scale;
}

// a / sqrt(a^2 + b^2)
__device__ __forceinline__ float direction_of(float a, float b) {
    const float scale = scale_of(a, b);
    a *= scale, b *= scale;
    return a / hypotf(a, b);
}

// a^(b - n); a^b / a^n where b - n is not exact; at a = 0, 0 where b is 0 or 1 and less than n.
__device__ __forceinline__ float lower_power(float a, float b, int n) {
    const float lowered = b - n;
    if (a == 0.0f && (b == 0.0f || b == 1.0f) && lowered < 0.0f) return 0.0f;
    const bool fits = fabsf(b) >= n ? b - lowered == n : lowered + n == b;
    const bool is_exact = fits || a == 0.0f || isinf(a);
    float power = powf(a, is_exact ? lowered : b);
    if (!is_exact) power /= a;
    if (!is_exact && n == 2) power /= a;
    return power;
}

// a^b ln a; at a = 0 its limit; in two halves where a^b is below the normal numbers.
__device__ __forceinline__ float power_times_log(float a, float b) {
    if (a == 0.0f && b > 0.0f) return 0.0f;
    const float power = powf(a, b);
    const bool is_small = fabsf(power) < 0x1p-126f;
    const float half = is_small ? powf(a, 0.5f * b) : 1.0f;
    return is_small ? half * logf(a) * half : power * logf(a);
}

// y ln a, and 0 where y is, at a = 0 too.
__device__ __forceinline__ float product_with_log(float y, float a) {
    return y == 0.0f && a >= 0.0f ? 0.0f : y * logf(a);
}

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
    ROW(erf, erff(x))                      \
    ROW(gaussian, gaussian_of(x))          \
    ROW(cbrt_slope, cbrt_slope_of(x))      \
    ROW(sigmoid_slope, logistic_slope(x))  \
    ROW(sech2, sech_squared(x))            \
    ROW(one_minus_square, fmaf(-x, x, 1.0f))

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
    ROW(atan2, atan2f(a, b))               \
    ROW(direction, direction_of(a, b))     \
    ROW(inversion, inversion_of(a, b))     \
    ROW(power_below, lower_power(a, b, 1)) \
    ROW(power_below2, lower_power(a, b, 2)) \
    ROW(power_log, power_times_log(a, b))  \
    ROW(xlogy, product_with_log(a, b))

#endif
