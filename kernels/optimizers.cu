// optimizers: the start of a step, and the updates of all parameters, one launch each.
//
//   SGD       u = mu u + g                        theta = decay theta - alpha u
//   Adagrad   G = G + g^2                         theta = decay theta - alpha g / (sqrt(G) + epsilon)
//   RMSprop   v = rho v + (1 - rho) g^2           theta = decay theta - alpha g / (sqrt(v) + epsilon)
//   Adam      m = beta1 m + (1 - beta1) g         theta = decay theta - alpha m_hat / (sqrt(v_hat) + epsilon)
//             v = beta2 v + (1 - beta2) g^2       m_hat = m / (1 - beta1^t), v_hat = v / (1 - beta2^t)
//
// parameters, gradients and one or two states (n), float32, any alignment. What changes from step to step, alpha, decay
// and Adam's corrections 1 / (1 - beta^t), is one float each in device memory: the host computes them for a whole
// epoch, in float64 because 1 - 0.999^t loses three digits to cancellation, and begin_step puts a step's in place.
// Other rules run through the interpreter (program.cu). Papers: src/optim/.
//
// Traffic: 20 bytes a parameter, Adam 28; no reuse, so the kernels are bound by memory. A block updates
// a tile of TILE neighbouring elements, and its threads issue all their loads before they need the first.
// Tiles begin where 16-byte accesses are allowed, if that is the same place in all buffers; else, and
// in the tiles at either end, a warp reads and writes 32 neighbouring elements at a time.
#include "common.cuh"
#include "step.cuh"

// ---- The start of a step.

// t = t + 1; scalars[k] = table[t - 1 - epoch_start, k]. One thread.
//
// table (steps, count): of each of the epoch's steps the numbers that it is made with. A step past them gets NaN, so
// that it shows.
extern "C" __global__ void begin_step(StepState* __restrict__ step, const float* __restrict__ table, int steps,
                                      int count, float* __restrict__ scalars) {
    const uint64_t position = step->number++ - step->epoch_start;
#pragma unroll 4
    for (int k = 0; k < count; k++) {
        scalars[k] = position < uint64_t(steps) ? table[int64_t(position) * count + k] : NAN;
    }
}

// ---- The rules, for one parameter.

// A rule's scalars.
struct Rates {
    float alpha, decay, m_correction, v_correction;
};

// A rule's constant c, and 1 - c, each rounded from float64.
struct Constant {
    float value, rest;
};

struct Sgd {
    float mu;
    static constexpr bool HAS_SECOND = false;
    __device__ __forceinline__ void operator()(const Rates& rates, float& theta, float g, float& u, float&) const {
        u = mu * u + g;
        theta = rates.decay * theta - rates.alpha * u;
    }
};

struct Adagrad {
    float epsilon;
    static constexpr bool HAS_SECOND = false;
    __device__ __forceinline__ void operator()(const Rates& rates, float& theta, float g, float& sum, float&) const {
        sum += g * g;
        theta = rates.decay * theta - rates.alpha * g / (sqrtf(sum) + epsilon);
    }
};

struct RmsProp {
    Constant rho;
    float epsilon;
    static constexpr bool HAS_SECOND = false;
    __device__ __forceinline__ void operator()(const Rates& rates, float& theta, float g, float& v, float&) const {
        v = rho.value * v + rho.rest * (g * g);
        theta = rates.decay * theta - rates.alpha * g / (sqrtf(v) + epsilon);
    }
};

struct Adam {
    Constant beta1, beta2;
    float epsilon;
    static constexpr bool HAS_SECOND = true;
    __device__ __forceinline__ void operator()(const Rates& rates, float& theta, float g, float& m, float& v) const {
        m = beta1.value * m + beta1.rest * g;
        v = beta2.value * v + beta2.rest * (g * g);
        const float m_hat = m * rates.m_correction, v_hat = v * rates.v_correction;
        theta = rates.decay * theta - rates.alpha * m_hat / (sqrtf(v_hat) + epsilon);
    }
};

// ---- One rule on all parameters.

constexpr int UPDATE_THREADS = 256; // src/exec/cuda/kernels/optimizers.rs has it and TILE too
constexpr int PER_ACCESS = 4;       // 16 bytes
// Two accesses to each buffer: Adam has 128 bytes under way in a thread, in at most 64 registers up to
// compute capability 9.0, which leave room for 1024 threads on a multiprocessor (70 on 12.0, for 768).
constexpr int ACCESSES = 2;
constexpr int PER_THREAD = PER_ACCESS * ACCESSES;
constexpr int TILE = UPDATE_THREADS * PER_THREAD;

// How many elements the address is past a multiple of 16 bytes.
__device__ __forceinline__ int past_alignment(const void* address) {
    return int(reinterpret_cast<uintptr_t>(address) / sizeof(float) % PER_ACCESS);
}

// A thread's elements of a tile that begins at element `tile` (may be negative) of a buffer of n.
// WHOLE: all of the tile lies in the buffer and 16-byte accesses are allowed.
template <bool WHOLE>
__device__ __forceinline__ void load(float (&values)[PER_THREAD], const float* buffer, int64_t tile, int n) {
#pragma unroll
    for (int access = 0; access < ACCESSES; access++) {
        float* const four = values + access * PER_ACCESS;
        const int64_t here = tile + access * UPDATE_THREADS * PER_ACCESS;
        if (WHOLE) {
            const float4 loaded = *reinterpret_cast<const float4*>(buffer + here + threadIdx.x * PER_ACCESS);
            four[0] = loaded.x;
            four[1] = loaded.y;
            four[2] = loaded.z;
            four[3] = loaded.w;
        } else {
#pragma unroll
            for (int i = 0; i < PER_ACCESS; i++) {
                const int64_t element = here + i * UPDATE_THREADS + threadIdx.x;
                four[i] = element >= 0 && element < n ? buffer[element] : 0.0f;
            }
        }
    }
}

// The reverse of load.
template <bool WHOLE>
__device__ __forceinline__ void store(const float (&values)[PER_THREAD], float* buffer, int64_t tile, int n) {
#pragma unroll
    for (int access = 0; access < ACCESSES; access++) {
        const float* const four = values + access * PER_ACCESS;
        const int64_t here = tile + access * UPDATE_THREADS * PER_ACCESS;
        if (WHOLE) {
            *reinterpret_cast<float4*>(buffer + here + threadIdx.x * PER_ACCESS) =
                make_float4(four[0], four[1], four[2], four[3]);
        } else {
#pragma unroll
            for (int i = 0; i < PER_ACCESS; i++) {
                const int64_t element = here + i * UPDATE_THREADS + threadIdx.x;
                if (element >= 0 && element < n) buffer[element] = four[i];
            }
        }
    }
}

struct Buffers {
    float* parameters;
    const float* gradients;
    float* first;
    float* second; // null if the rule has none
};

// Where a rule's scalars are.
struct Scalars {
    const float *alpha, *decay, *m_correction, *v_correction; // the last two are null if the rule has none

    __device__ __forceinline__ Rates read() const {
        return {*alpha, *decay, m_correction ? *m_correction : 1.0f, v_correction ? *v_correction : 1.0f};
    }
};

template <class Rule, bool WHOLE>
__device__ __forceinline__ void update_tile(const Rule& rule, const StepState* __restrict__ step,
                                            const Scalars& scalars, const Buffers& buffers, int64_t tile, int n) {
    float theta[PER_THREAD], g[PER_THREAD], first[PER_THREAD], second[PER_THREAD];
    load<WHOLE>(theta, buffers.parameters, tile, n);
    load<WHOLE>(g, buffers.gradients, tile, n);
    load<WHOLE>(first, buffers.first, tile, n);
    if (Rule::HAS_SECOND) load<WHOLE>(second, buffers.second, tile, n);
    const Rates rates = scalars.read();
    // After a loss that was not finite everything keeps its value (see accuracy.cu). No branch: the
    // compiler would move the loads behind it, and they would wait for the step.
    const bool frozen = step->first_not_finite != NO_STEP;
#pragma unroll
    for (int i = 0; i < PER_THREAD; i++) {
        const float old_theta = theta[i], old_first = first[i], old_second = Rule::HAS_SECOND ? second[i] : 0.0f;
        rule(rates, theta[i], g[i], first[i], second[i]);
        if (frozen) theta[i] = old_theta;
        if (frozen) first[i] = old_first;
        if (frozen) second[i] = old_second;
    }
    store<WHOLE>(theta, buffers.parameters, tile, n);
    store<WHOLE>(first, buffers.first, tile, n);
    if (Rule::HAS_SECOND) store<WHOLE>(second, buffers.second, tile, n);
}

template <class Rule>
__device__ __forceinline__ void update(const Rule& rule, const StepState* __restrict__ step,
                                       const Scalars& scalars, const Buffers& buffers, int n) {
    const int past = past_alignment(buffers.parameters);
    const bool alike = past_alignment(buffers.gradients) == past && past_alignment(buffers.first) == past &&
                       (!Rule::HAS_SECOND || past_alignment(buffers.second) == past);
    const int64_t tile = int64_t(blockIdx.x) * TILE - past;
    if (alike && tile >= 0 && tile + TILE <= n) {
        update_tile<Rule, true>(rule, step, scalars, buffers, tile, n);
    } else {
        update_tile<Rule, false>(rule, step, scalars, buffers, tile, n);
    }
}

// ---- Entries: update_ and the rule's name. After step and n each takes the rule's scalars, parameters and gradients, its
// states, and its constants, in the orders of its file in src/optim/. No two of the buffers overlap.

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
    update_sgd(const StepState* __restrict__ step, int n, const float* __restrict__ alpha,
               const float* __restrict__ decay, float* __restrict__ parameters, const float* __restrict__ gradients,
               float* __restrict__ velocity, Constant mu) {
    update(Sgd{mu.value}, step, {alpha, decay, nullptr, nullptr}, {parameters, gradients, velocity, nullptr}, n);
}

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
    update_adagrad(const StepState* __restrict__ step, int n, const float* __restrict__ alpha,
                   const float* __restrict__ decay, float* __restrict__ parameters,
                   const float* __restrict__ gradients, float* __restrict__ squares, Constant epsilon) {
    update(Adagrad{epsilon.value}, step, {alpha, decay, nullptr, nullptr}, {parameters, gradients, squares, nullptr},
           n);
}

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
    update_rmsprop(const StepState* __restrict__ step, int n, const float* __restrict__ alpha,
                   const float* __restrict__ decay, float* __restrict__ parameters,
                   const float* __restrict__ gradients, float* __restrict__ squares, Constant rho, Constant epsilon) {
    update(RmsProp{rho, epsilon.value}, step, {alpha, decay, nullptr, nullptr},
           {parameters, gradients, squares, nullptr}, n);
}

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
    update_adam(const StepState* __restrict__ step, int n, const float* __restrict__ alpha,
                const float* __restrict__ decay, const float* __restrict__ m_correction,
                const float* __restrict__ v_correction, float* __restrict__ parameters,
                const float* __restrict__ gradients, float* __restrict__ means, float* __restrict__ squares,
                Constant beta1, Constant beta2, Constant epsilon) {
    update(Adam{beta1, beta2, epsilon.value}, step, {alpha, decay, m_correction, v_correction},
           {parameters, gradients, means, squares}, n);
}
