// program: a fused elementwise program, interpreted: all its operations in one pass over memory.
//
//   step s:  result_s[r,c] = f_s(a_s at (r, c), b_s at (r, c))      r < rows, c < columns
//   y_k[r,c] = result of step s_k, for up to four k                 n = rows * columns elements
//
// f is an operation of operations.cuh. An operand is the result of an earlier step, a number, or memory:
//
//   Full (rows, columns)   PerColumn (columns)   PerRow (rows)   Scalar (1)
//
// A Full operand may lie where a result goes: as the product whose epilogue the program is, or as a parameter and
// its optimizer's state, of which the program is the update. So results are written when all steps of an element
// have run. Four are enough for a parameter and three numbers of state. Such programs can be told to leave everything
// as it is after a loss that was not finite, as all updates do (accuracy.cu).
//
// Traffic: a Full operand is read each time a step names it, each result is written once: 4 bytes an element each.
// What is repeated stays in cache.
//
// A thread makes four neighbouring elements of each result and carries out all steps on them, so no intermediate
// result reaches memory, and what lay where results go is read before it is overwritten. Full operands and results
// are accessed 16 bytes at a time where they are aligned so, others one element at a time; so are those
// that are repeated, where the four elements lie in several rows.
//
// The program is a kernel parameter: it is in the constant cache, all threads read the same step and
// take the same branches. Which register a step names is known only then, and registers of the machine
// cannot be indexed, so the program's are in shared memory: each thread has a column of its own, four
// floats wide, that no other thread touches. So nothing has to wait, and there are no bank conflicts. (The
// 32 bytes of stack are sinf's, cosf's and tanf's own, for arguments beyond 10^5.)
#include "common.cuh"
#include "operations.cuh"
#include "step.cuh"

// Threads of a block, and the most steps and results of a program, as in src/exec/cuda/kernels/program.rs.
constexpr int PROGRAM_THREADS = 128;
constexpr int MAX_STEPS = 32;
constexpr int MAX_RESULTS = 4;

// Elements of a thread.
constexpr unsigned VECTOR = 4;

// The operations by number, unary ones first.
enum Operation {
#define UNARY_NUMBER(name, value) UNARY_##name,
#define BINARY_NUMBER(name, value) BINARY_##name,
    UNARY_OPERATIONS(UNARY_NUMBER) BINARY_OPERATIONS(BINARY_NUMBER)
};

// Where an operand is found.
enum Kind { REGISTER, NUMBER, FULL, PER_COLUMN, PER_ROW, SCALAR };

// src/exec/cuda/kernels/program.rs has the same layout of these four.
struct Source {
    const float* memory; // null if the kind needs none
    unsigned kind;
    unsigned content; // the register, or the bits of the number
};

struct Step {
    unsigned operation;
    unsigned result; // a register
    Source a, b;     // b of a unary operation is any number
};

struct Result {
    float* memory;
    unsigned content; // the register that holds it in the end
};

struct Program {
    Step steps[MAX_STEPS];
    Result results[MAX_RESULTS];
    unsigned length; // at least 1
    unsigned left;   // results, at least 1
};
static_assert(sizeof(Program) == 1352, "as src/exec/cuda/kernels/program.rs has it");

// The elements of a thread: `count` of them, which begin at (row, column).
struct Stretch {
    unsigned first, count;
    unsigned row, column, columns;

    __device__ __forceinline__ bool is_in_one_row() const { return count <= columns - column; }
};

__device__ __forceinline__ float4 repeat(float value) { return make_float4(value, value, value, value); }

// Neighbouring elements; 0 past the last one.
__device__ __forceinline__ float4 load(const float* from, unsigned count) {
    if (count == VECTOR && is_aligned_16(from)) return *reinterpret_cast<const float4*>(from);
    return make_float4(from[0], count > 1 ? from[1] : 0.0f, count > 2 ? from[2] : 0.0f, count > 3 ? from[3] : 0.0f);
}

__device__ __forceinline__ void store(float* to, unsigned count, float4 values) {
    if (count == VECTOR && is_aligned_16(to)) {
        *reinterpret_cast<float4*>(to) = values;
        return;
    }
    to[0] = values.x;
    if (count > 1) to[1] = values.y;
    if (count > 2) to[2] = values.z;
    if (count > 3) to[3] = values.w;
}

// Elements that are repeated along rows or columns, where the stretch crosses the end of a row.
__device__ __forceinline__ float4 load_across_rows(const float* memory, bool per_row, const Stretch& at) {
    unsigned row = at.row, column = at.column;
    float values[VECTOR];
#pragma unroll
    for (unsigned k = 0; k < VECTOR; k++) {
        values[k] = k < at.count ? memory[per_row ? row : column] : 0.0f;
        if (++column == at.columns) column = 0, row++;
    }
    return make_float4(values[0], values[1], values[2], values[3]);
}

// An operand's elements. `registers` is the thread's column.
__device__ __forceinline__ float4 read(const Source& source, const float4* registers, const Stretch& at) {
    const float* const memory = source.memory;
    switch (source.kind) {
    case REGISTER: return registers[source.content * PROGRAM_THREADS];
    case NUMBER: return repeat(__uint_as_float(source.content));
    case SCALAR: return repeat(memory[0]);
    case FULL: return load(memory + at.first, at.count);
    case PER_COLUMN:
        if (at.is_in_one_row()) return load(memory + at.column, at.count);
        break;
    case PER_ROW:
        if (at.is_in_one_row()) return repeat(memory[at.row]);
        break;
    }
    return load_across_rows(memory, source.kind == PER_ROW, at);
}

template <class Function>
__device__ __forceinline__ float4 map(float4 a, float4 b, Function f) {
    return make_float4(f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w));
}

__device__ __forceinline__ float4 apply(unsigned operation, float4 a, float4 b) {
    switch (operation) {
#define UNARY_CASE(name, value) \
    case UNARY_##name: return map(a, b, [](float x, float) { return value; });
#define BINARY_CASE(name, value) \
    case BINARY_##name: return map(a, b, [](float a, float b) { return value; });
        UNARY_OPERATIONS(UNARY_CASE)
        BINARY_OPERATIONS(BINARY_CASE)
    }
    return repeat(NAN); // no operation has this number
}

// Results may lie where a step reads, and nothing says that operands are different memory: no __restrict__.
template <int REGISTERS>
__device__ __forceinline__ void run(const Program& program, const StepState* step, unsigned columns, unsigned n) {
    __shared__ float4 all_registers[REGISTERS * PROGRAM_THREADS];
    float4* const registers = all_registers + threadIdx.x;
    Stretch at;
    at.first = (blockIdx.x * PROGRAM_THREADS + threadIdx.x) * VECTOR;
    if (at.first >= n) return;
    if (step && step->first_not_finite != NO_STEP) return;
    at.count = min(n - at.first, VECTOR);
    at.row = at.first / columns;
    at.column = at.first - at.row * columns;
    at.columns = columns;
#pragma unroll 1 // the operations are long
    for (unsigned s = 0; s < program.length; s++) {
        const Step& step = program.steps[s];
        const float4 a = read(step.a, registers, at);
        const float4 b = read(step.b, registers, at);
        registers[step.result * PROGRAM_THREADS] = apply(step.operation, a, b);
    }
#pragma unroll 1
    for (unsigned k = 0; k < program.left; k++) {
        const Result& result = program.results[k];
        store(result.memory + at.first, at.count, registers[result.content * PROGRAM_THREADS]);
    }
}

// `step` is null where the results are written whatever the losses were.
//
// 4 registers leave room for all the threads that a multiprocessor holds (8 KiB a block). Those of 8 serve every program
// of 16 steps and one result, each of whose steps is read: no more than 8 wait at a time. Those of 18 (36 KiB) serve
// every program: of 32 steps and 4 results no more than 18 wait.
#define ENTRY(registers)                                                                            \
    extern "C" __global__ void __launch_bounds__(PROGRAM_THREADS)                                   \
        program_##registers(const __grid_constant__ Program program, const StepState* step,         \
                            int columns, int n) {                                                   \
        run<registers>(program, step, columns, n);                                                  \
    }

ENTRY(4)
ENTRY(8)
ENTRY(18)
