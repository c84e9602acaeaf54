// wgmma: products that a warpgroup asks for and that tensor cores compute beside it (PTX ISA, "Asynchronous
// Warpgroup Level Matrix Instructions").
//
// An instruction reads its matrices in shared memory at some moment up to the wait that covers it, in the order of
// issue. Its accumulators hold NaN until that wait, so that reading them early shows.
//
// Products are exact in float32 and added in the order of k; hardware adds in blocks and truncates, so only agreement
// to rounding may be asked of either.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

static constexpr unsigned ROWS = 64, DEPTH_BYTES = 32, UNIT = 16; // of an instruction; what layouts are made of

// ---- Matrices in shared memory

// A matrix descriptor's fields (PTX ISA, "Matrix Descriptor Format").
struct Matrix {
    uint32_t start, leading, stride; // bytes
    uint32_t span;                   // of the swizzle, 0 without
};

static Matrix decode(uint64_t descriptor, const char* name, Place place) {
    static constexpr uint32_t SPANS[] = {0, 128, 64, 32};
    const auto field = [&](unsigned bit) { return uint32_t(descriptor >> bit & 0x3fff) << 4; };
    const Matrix matrix = {field(0), field(16), field(32), SPANS[descriptor >> 62]};
    if (descriptor >> 49 & 7) fault("wgmma at %s:%d: a base offset in %s is not emulated", place.file, place.line, name);
    if (matrix.span && (matrix.start >> 7 & (matrix.span / UNIT - 1)) != 0) {
        fault("wgmma at %s:%d: %s at shared address %u is misaligned: a swizzle of %u bytes repeats every %u, and it begins "
              "within",
              place.file, place.line, name, matrix.start, matrix.span, matrix.span * 8);
    }
    return matrix;
}

// Where 16 bytes lie: of a K-major matrix, the `unit`-th of the row `line`; of an MN-major one, of the k `line`.
// After CUTLASS's canonical layouts (include/cute/atom/mma_traits_sm90_gmma.hpp), in units of 16 bytes:
//   K-major   ((8, n), 2):   none ((1, stride), leading),      else ((span / 16, stride), 1)
//   MN-major  ((w, n), (8, k)): none ((-, stride), (1, leading)), else ((1, leading), (w, stride)), w = span / 16
static uint32_t unit_address(const Matrix& m, bool is_mn_major, unsigned line, unsigned unit) {
    const uint32_t pitch = m.span ? m.span : UNIT, width = pitch / UNIT;
    uint32_t address = m.start + line % 8 * pitch;
    if (!is_mn_major) {
        address += line / 8 * m.stride + unit * (m.span ? UNIT : m.leading);
    } else {
        const uint32_t across = m.span ? m.leading : m.stride, down = m.span ? m.stride : m.leading;
        address += unit / width * across + unit % width * UNIT + line / 8 * down;
    }
    return swizzled(address, m.span);
}

// A number of an operand: bfloat16, or the upper 19 bits of a float32.
static float number_at(const char* address, bool is_tf32) {
    uint32_t bits = 0;
    if (is_tf32) {
        memcpy(&bits, address, 4);
        bits &= ~0x1fffu;
    } else {
        memcpy(reinterpret_cast<char*>(&bits) + 2, address, 2);
    }
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static constexpr unsigned MOST_COLUMNS = 256, MOST_DEPTH = 16;

// Reads an operand of `extent` rows (of A) or columns (of B) as numbers[k][i].
static void read_matrix(LiveBlock& block, const WgmmaUnderWay& op, uint64_t descriptor, bool is_mn_major, const char* name,
                        unsigned extent, float (*numbers)[MOST_COLUMNS]) {
    const Matrix matrix = decode(descriptor, name, op.place);
    const unsigned size = op.is_tf32 ? 4 : 2, in_unit = UNIT / size, depth = DEPTH_BYTES / size;
    const unsigned lines = is_mn_major ? depth : extent, units = (is_mn_major ? extent : depth) / in_unit;
    for (unsigned line = 0; line < lines; line++) {
        for (unsigned unit = 0; unit < units; unit++) {
            const uint32_t address = unit_address(matrix, is_mn_major, line, unit);
            check_within_variable(block, address, UNIT, "wgmma", op.place);
            read_by_async(block, address, UNIT, "wgmma", op.place);
            const char* from = block.arena + address;
            if (under_thread_sanitizer()) __tsan_read_range(const_cast<char*>(from), UNIT);
            for (unsigned i = 0; i < in_unit; i++) {
                const unsigned k = is_mn_major ? line : unit * in_unit + i, at = is_mn_major ? unit * in_unit + i : line;
                numbers[k][at] = number_at(from + i * size, op.is_tf32);
            }
        }
    }
}

// A from registers, as mma's: of a warp's 16 rows, rows l/4 and l/4 + 8 of the lower half of k, then of the upper.
static void read_fragments(const WgmmaUnderWay& op, float (*numbers)[MOST_COLUMNS]) {
    const unsigned in_register = op.is_tf32 ? 1 : 2;
    for (unsigned thread = 0; thread < WARPGROUP; thread++) {
        const unsigned lane = thread % WARP, row = thread / WARP * 16 + lane / 4;
        for (unsigned i = 0; i < 4; i++) {
            for (unsigned half = 0; half < in_register; half++) {
                const unsigned k = (lane % 4 + i / 2 * 4) * in_register + half;
                const char* from = reinterpret_cast<const char*>(&op.fragments[thread][i]) + 2 * half;
                numbers[k][row + i % 2 * 8] = number_at(from, op.is_tf32);
            }
        }
    }
}

// ---- Accumulators: register i of a thread holds this row and column.
static unsigned row_of(unsigned thread, unsigned i) { return thread / WARP * 16 + thread % WARP / 4 + i / 2 % 2 * 8; }
static unsigned column_of(unsigned thread, unsigned i) { return i / 4 * 8 + thread % 4 * 2 + i % 2; }

// Of a product under way. Not in the thread's static storage: 96 KiB of that are more than a library gets that is loaded
// by dlopen (glibc).
struct Matrices {
    float a[MOST_DEPTH][MOST_COLUMNS], b[MOST_DEPTH][MOST_COLUMNS], d[ROWS][MOST_COLUMNS];
};

void run_wgmma(Warpgroup& group) {
    static thread_local const std::unique_ptr<Matrices> matrices(new Matrices);
    auto& [a, b, d] = *matrices;
    WgmmaUnderWay& op = group.operations[group.run % Warpgroup::OPERATIONS];
    WgmmaAccumulators& accumulators = group.accumulators[op.accumulators];
    LiveBlock& block = *group.block;
    enter_context(block.fibers[group.number * WARPGROUP]);
    acquire_order(op.issued);
    const unsigned columns = op.columns, depth = op.is_tf32 ? 8 : 16;
    if (op.a) read_fragments(op, a);
    else read_matrix(block, op, op.a_matrix, op.a_is_mn_major, "A", ROWS, a);
    read_matrix(block, op, op.b_matrix, op.b_is_mn_major, "B", columns, b);
    release_order(op.done);
    leave_context();

    const auto value = [&](unsigned thread, unsigned i) -> float& {
        return accumulators.values[thread * accumulators.registers + i];
    };
    for (unsigned thread = 0; thread < WARPGROUP; thread++) {
        for (unsigned i = 0; i < accumulators.registers; i++) {
            d[row_of(thread, i)][column_of(thread, i)] = op.accumulates ? value(thread, i) : 0.0f;
        }
    }
    for (unsigned row = 0; row < ROWS; row++) {
        for (unsigned k = 0; k < depth; k++) {
            for (unsigned column = 0; column < columns; column++) d[row][column] += a[k][row] * b[k][column];
        }
    }
    for (unsigned thread = 0; thread < WARPGROUP; thread++) {
        for (unsigned i = 0; i < accumulators.registers; i++) value(thread, i) = d[row_of(thread, i)][column_of(thread, i)];
    }
    accumulators.under_way--;
    group.run++;
    machine().wgmma_count--;
}

// ---- Instructions

static void note_fence(Warpgroup& group) { group.fenced = true; }

void wgmma_fence(Place place) {
    if (!is_skipped(place)) warpgroup_operation("wgmma.fence", nullptr, note_fence, place);
}

// The accumulators in these registers: those under way, or taken over from the threads.
static unsigned take_accumulators(Warpgroup& group, const WgmmaUnderWay& op) {
    const auto* first = static_cast<const Wgmma*>(group.arguments[0]);
    const unsigned registers = op.columns / 2;
    unsigned unused = Warpgroup::ACCUMULATORS;
    for (unsigned i = 0; i < Warpgroup::ACCUMULATORS; i++) {
        const WgmmaAccumulators& known = group.accumulators[i];
        if (!known.used) {
            unused = i;
        } else if (known.d[0] == first->d) {
            if (known.registers != registers) {
                fault("wgmma at %s:%d: accumulators of another shape are under way in its registers", op.place.file,
                      op.place.line);
            }
            return i;
        }
    }
    if (unused == Warpgroup::ACCUMULATORS) fault("more accumulators under way than the emulator holds");
    if (!group.fenced) {
        fault("wgmma without wgmma.fence at %s:%d: its accumulators were touched since the last", op.place.file,
              op.place.line);
    }
    WgmmaAccumulators& taken = group.accumulators[unused];
    if (!taken.values) taken.values = static_cast<float*>(malloc(WARPGROUP * MOST_COLUMNS / 2 * sizeof(float)));
    taken.registers = registers;
    taken.under_way = 0;
    taken.used = true;
    for (unsigned thread = 0; thread < WARPGROUP; thread++) {
        taken.d[thread] = static_cast<const Wgmma*>(group.arguments[thread])->d;
        memcpy(taken.values + thread * registers, taken.d[thread], registers * sizeof(float));
        memset(taken.d[thread], 0xFF, registers * sizeof(float)); // nobody's until the wait
    }
    return unused;
}

static void issue(Warpgroup& group) {
    Machine& m = machine();
    if (group.issued - group.awaited == Warpgroup::OPERATIONS) fault("more wgmma under way than the emulator holds");
    WgmmaUnderWay& op = group.operations[group.issued % Warpgroup::OPERATIONS];
    static_cast<Wgmma&>(op) = *static_cast<const Wgmma*>(group.arguments[0]);
    op.place = group.place;
    for (unsigned thread = 0; thread < WARPGROUP; thread++) {
        const auto& own = *static_cast<const Wgmma*>(group.arguments[thread]);
        if (own.b_matrix != op.b_matrix || (!op.a && own.a_matrix != op.a_matrix) || own.accumulates != op.accumulates) {
            fault("wgmma at %s:%d: descriptors differ between threads", op.place.file, op.place.line);
        }
        op.a_of[thread] = own.a;
        if (own.a) memcpy(op.fragments[thread], own.a, sizeof op.fragments[thread]);
        for (unsigned i = group.awaited; own.a && i != group.issued; i++) {
            const WgmmaUnderWay& before = group.operations[i % Warpgroup::OPERATIONS];
            if (before.a_of[thread] != own.a || memcmp(before.fragments[thread], own.a, sizeof op.fragments[thread]) == 0) continue;
            fault("the fragments of A were changed before %s:%d, while the wgmma at %s:%d read them", op.place.file,
                  op.place.line, before.place.file, before.place.line);
        }
    }
    op.accumulators = take_accumulators(group, op);
    group.accumulators[op.accumulators].under_way++;
    op.due = draw_due();
    group.issued++;
    begin_orders(group);
    m.wgmma_count++;
}

static void run_those_due(Warpgroup& group) {
    const uint64_t now = machine().points;
    while (group.run != group.issued && group.operations[group.run % Warpgroup::OPERATIONS].due <= now) run_wgmma(group);
}

// The operation that a meeting of this warpgroup has issued: what came before it in any thread comes before it.
static void release_issued(const Fiber* self) {
    if (!under_thread_sanitizer()) return;
    Warpgroup* group = self->owner->warpgroups[self->linear / WARPGROUP];
    const unsigned next = group ? group->issued : 0;
    if (group) release_order(group->operations[next % Warpgroup::OPERATIONS].issued);
}

void wgmma(const Wgmma& instruction, Place place) {
    Wgmma own = instruction;
    release_issued(machine().running);
    warpgroup_operation(
        "wgmma.mma_async", &own,
        [](Warpgroup& group) {
            issue(group);
            run_those_due(group);
        },
        place);
}

static void commit(Warpgroup& group) { group.ends[group.committed++ % Warpgroup::GROUPS] = group.issued; }

void wgmma_commit(Place place) {
    if (!is_skipped(place)) warpgroup_operation("wgmma.commit_group", nullptr, commit, place);
}

struct Wait {
    int pending;
    const float* d;
    unsigned registers;
};

static void wait_for_groups(Warpgroup& group) {
    const Wait& wait = *static_cast<const Wait*>(group.arguments[0]);
    const int last = int(group.committed) - wait.pending; // groups before this one
    if (last <= 0) return;
    const unsigned end = group.ends[(last - 1) % Warpgroup::GROUPS];
    while (int(end - group.run) > 0) run_wgmma(group);
    if (int(end - group.awaited) > 0) group.awaited = end;
    // Those that nothing under way adds to are the threads' again.
    for (WgmmaAccumulators& accumulators : group.accumulators) {
        if (!accumulators.used) continue;
        bool awaited = accumulators.under_way == 0;
        for (unsigned i = group.awaited; i != group.issued; i++) {
            const WgmmaUnderWay& op = group.operations[i % Warpgroup::OPERATIONS];
            awaited &= &group.accumulators[op.accumulators] != &accumulators;
        }
        if (!awaited) continue;
        if (accumulators.d[0] < wait.d || accumulators.d[0] >= wait.d + wait.registers) {
            fault("wgmma.wait_group at %s:%d ends products whose accumulators it does not carry", group.place.file,
                  group.place.line);
        }
        for (unsigned thread = 0; thread < WARPGROUP; thread++) {
            memcpy(accumulators.d[thread], accumulators.values + thread * accumulators.registers,
                   accumulators.registers * sizeof(float));
        }
        accumulators.used = false;
        group.fenced = false;
    }
}

void wgmma_wait(int pending, const float* d, unsigned registers, Place place) {
    if (is_skipped(place)) return;
    Wait wait{pending + shift_of(place), d, registers};
    warpgroup_operation("wgmma.wait_group", &wait, wait_for_groups, place);
    const Fiber* self = machine().running;
    Warpgroup& group = *self->owner->warpgroups[self->linear / WARPGROUP];
    if (under_thread_sanitizer()) {
        const unsigned kept = Warpgroup::OPERATIONS - 1 - (group.issued - group.awaited); // whose places are not taken again
        for (unsigned i = 0; i < kept && i < group.awaited; i++) {
            acquire_order(group.operations[(group.awaited - 1 - i) % Warpgroup::OPERATIONS].done);
        }
    }
}

void wgmma_keep(const uint32_t* a, unsigned registers, Place place) {
    const Fiber* self = machine().running;
    const Warpgroup* group = self->owner->warpgroups[self->linear / WARPGROUP];
    const unsigned thread = self->linear % WARPGROUP;
    if (!group) return;
    const auto changed = [&](const WgmmaUnderWay& op) {
        const uint32_t* own = op.a_of[thread];
        return own && own >= a && own < a + registers && memcmp(op.fragments[thread], own, sizeof op.fragments[thread]) != 0;
    };
    for (unsigned i = 0; i < Warpgroup::OPERATIONS && i < group->issued; i++) {
        const unsigned number = group->issued - 1 - i;
        const WgmmaUnderWay& op = group->operations[number % Warpgroup::OPERATIONS];
        const uint32_t* own = op.a_of[thread];
        if (!own || own < a || own >= a + registers) continue;
        if (int(number - group->awaited) >= 0) {
            fault("wgmma_keep at %s:%d: the wgmma at %s:%d still reads these fragments of A, a wait must come first",
                  place.file, place.line, op.place.file, op.place.line);
        }
        if (changed(op)) {
            fault("the fragments of A were changed before %s:%d, while the wgmma at %s:%d read them", place.file, place.line,
                  op.place.file, op.place.line);
        }
        return; // those before it have been kept, or had other contents
    }
}

} // namespace emulator
