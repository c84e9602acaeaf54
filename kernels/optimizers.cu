// optimizers: the start of a step, and the updates of all parameters, one launch each.
//
//   SGD       u = mu u + g                        theta = decay theta - alpha u
//   Adagrad   G = G + g^2                         theta = decay theta - alpha g / (sqrt(G) + epsilon)
//   RMSprop   v = rho v + (1 - rho) g^2           theta = decay theta - alpha g / (sqrt(v) + epsilon)
//   Adam      m = beta1 m + (1 - beta1) g         theta = decay theta - alpha m_hat / (sqrt(v_hat) + epsilon)
//             v = beta2 v + (1 - beta2) g^2       m_hat = m / (1 - beta1^t), v_hat = v / (1 - beta2^t)
//
// parameters, gradients and one or two states (n), float32, any alignment. alpha, decay and Adam's
// corrections come from device memory (step.cuh). Papers: src/optim/.
//
// Traffic: 20 bytes a parameter, Adam 28; no reuse, so the kernels are bound by memory. A block updates
// a tile of TILE neighbouring elements, and its threads issue all their loads before they need the first.
// Tiles begin where 16-byte accesses are allowed, if that is the same place in all buffers; else, and
// in the tiles at either end, a warp reads and writes 32 neighbouring elements at a time.
#include "common.cuh"
#include "step.cuh"

// ---- The start of a step.

// t = t + 1; alpha = learning_rates[t - 1 - epoch_start]; and what follows from them, computed in
// float64, because 1 - 0.999^t loses three digits to cancellation. One thread.
//
// learning_rates (count): those of the epoch's steps. A step past them gets NaN, so that it shows.
extern "C" __global__ void begin_step(StepState* __restrict__ step, const double* __restrict__ learning_rates,
                                      int count, double weight_decay, double beta1, double beta2) {
    const uint64_t number = step->number + 1;
    const uint64_t position = number - 1 - step->epoch_start;
    const double learning_rate = position < uint64_t(count) ? learning_rates[position] : double(NAN);
    const double t = double(number);
    step->number = number;
    step->learning_rate = float(learning_rate);
    step->decay = float(1.0 - learning_rate * weight_decay);
    step->m_correction = float(1.0 / (1.0 - pow(beta1, t)));
    step->v_correction = float(1.0 / (1.0 - pow(beta2, t)));
}

// epoch_start = t: the updates so far are those before this epoch. One thread.
extern "C" __global__ void begin_epoch(StepState* step) { step->epoch_start = step->number; }

// ---- The rules, for one parameter.

// What a rule takes from the StepState.
struct Rates {
    float alpha, decay, m_correction, v_correction;
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
    float rho, rest, epsilon; // rest = 1 - rho
    static constexpr bool HAS_SECOND = false;
    __device__ __forceinline__ void operator()(const Rates& rates, float& theta, float g, float& v, float&) const {
        v = rho * v + rest * (g * g);
        theta = rates.decay * theta - rates.alpha * g / (sqrtf(v) + epsilon);
    }
};

struct Adam {
    float beta1, rest1, beta2, rest2, epsilon; // rest = 1 - beta
    static constexpr bool HAS_SECOND = true;
    __device__ __forceinline__ void operator()(const Rates& rates, float& theta, float g, float& m, float& v) const {
        m = beta1 * m + rest1 * g;
        v = beta2 * v + rest2 * (g * g);
        const float m_hat = m * rates.m_correction, v_hat = v * rates.v_correction;
        theta = rates.decay * theta - rates.alpha * m_hat / (sqrtf(v_hat) + epsilon);
    }
};

// ---- One rule on all parameters.

constexpr int UPDATE_THREADS = 256; // src/exec/cuda/kernels/optimizers.rs has it and TILE too
constexpr int PER_ACCESS = 4;       // 16 bytes
// Two accesses to each buffer: Adam has 128 bytes under way in a thread, in at most 64 registers up to
// compute capability 9.0, which leave room for 1024 threads on a multiprocessor (72 on 12.0, for 768).
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

template <class Rule, bool WHOLE>
__device__ __forceinline__ void update_tile(const Rule& rule, const StepState* __restrict__ step,
                                            const Buffers& buffers, int64_t tile, int n) {
    float theta[PER_THREAD], g[PER_THREAD], first[PER_THREAD], second[PER_THREAD];
    load<WHOLE>(theta, buffers.parameters, tile, n);
    load<WHOLE>(g, buffers.gradients, tile, n);
    load<WHOLE>(first, buffers.first, tile, n);
    if (Rule::HAS_SECOND) load<WHOLE>(second, buffers.second, tile, n);
    const Rates rates = {step->learning_rate, step->decay, step->m_correction, step->v_correction};
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
__device__ __forceinline__ void update(const Rule& rule, const StepState* __restrict__ step, const Buffers& buffers,
                                       int n) {
    const int past = past_alignment(buffers.parameters);
    const bool alike = past_alignment(buffers.gradients) == past && past_alignment(buffers.first) == past &&
                       (!Rule::HAS_SECOND || past_alignment(buffers.second) == past);
    const int64_t tile = int64_t(blockIdx.x) * TILE - past;
    if (alike && tile >= 0 && tile + TILE <= n) {
        update_tile<Rule, true>(rule, step, buffers, tile, n);
    } else {
        update_tile<Rule, false>(rule, step, buffers, tile, n);
    }
}

// ---- Entries. No two of the buffers overlap.

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
    update_sgd(const StepState* __restrict__ step, float* __restrict__ parameters, const float* __restrict__ gradients,
               float* __restrict__ velocity, int n, float mu) {
    update(Sgd{mu}, step, {parameters, gradients, velocity, nullptr}, n);
}

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
    update_adagrad(const StepState* __restrict__ step, float* __restrict__ parameters,
                   const float* __restrict__ gradients, float* __restrict__ squares, int n, float epsilon) {
    update(Adagrad{epsilon}, step, {parameters, gradients, squares, nullptr}, n);
}

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
    update_rmsprop(const StepState* __restrict__ step, float* __restrict__ parameters,
                   const float* __restrict__ gradients, float* __restrict__ squares, int n, float rho, float rest,
                   float epsilon) {
    update(RmsProp{rho, rest, epsilon}, step, {parameters, gradients, squares, nullptr}, n);
}

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
    update_adam(const StepState* __restrict__ step, float* __restrict__ parameters, const float* __restrict__ gradients,
                float* __restrict__ means, float* __restrict__ squares, int n, float beta1, float rest1, float beta2,
                float rest2, float epsilon) {
    update(Adam{beta1, rest1, beta2, rest2, epsilon}, step, {parameters, gradients, means, squares}, n);
}
