// TMA: boxes copied between global and shared memory beside the threads (PTX ISA, "cp.async.bulk.tensor").
//
// A load writes shared memory and then tells its barrier. A store goes in two parts, reading shared memory and writing
// global memory, each at a moment of its own: the source must stay until wait_group.read, and the result is there
// after wait_group. What is outside of the tensor is read as zeros and not written.
#include <cstdlib>
#include <cstring>

#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

static const char* name_of(BulkCopy::Kind kind) {
    switch (kind) {
    case BulkCopy::load:
        return "TMA load";
    case BulkCopy::store:
        return "TMA store";
    case BulkCopy::reduce:
        return "TMA reduction";
    }
    return "";
}

static uint32_t row_bytes(const TensorMap& map) { return map.box[0] * map.element; }
static uint32_t box_bytes(const TensorMap& map) { return row_bytes(map) * map.box[1]; }

// ---- Accesses. A box's rows lie one after another in shared memory, each as swizzled as the map says: in pieces of 16
// bytes, which no swizzle takes apart.

static constexpr uint32_t PIECE = 16;

// Calls for each piece: where it lies in shared memory, the tensor's element that it begins with, and where that lies.
template <class Act>
static void for_pieces(const BulkCopy& copy, Act act) {
    const TensorMap& map = copy.map;
    const uint32_t row = row_bytes(map), span = swizzle_span(map.swizzle);
    for (uint32_t y = 0; y < map.box[1]; y++) {
        for (uint32_t at = 0; at < row; at += PIECE) {
            act(swizzled(copy.offset + y * row + at, span), int64_t(copy.x) + at / map.element, int64_t(copy.y) + y);
        }
    }
}

// The bytes of a piece that lie in the tensor, from `first` to `last`, and where the first is.
struct Inside {
    char* address;
    uint32_t first, last;
};
static Inside inside(const TensorMap& map, int64_t x, int64_t y) {
    const int64_t columns = int64_t(map.last[0]) + 1, rows = int64_t(map.last[1]) + 1, elements = PIECE / map.element;
    if (y < 0 || y >= rows || x >= columns || x + elements <= 0) return {nullptr, 0, 0};
    const int64_t from = x < 0 ? -x : 0, to = x + elements > columns ? columns - x : elements;
    return {map.address + y * map.strides[0] + (x + from) * map.element, uint32_t(from * map.element),
            uint32_t(to * map.element)};
}

static void expect_allocated(const BulkCopy& copy, const Inside& piece) {
    if (piece.address && !is_allocated(piece.address, piece.last - piece.first)) {
        fault("%s at %s:%d: the tensor map leads to %p, where nothing is allocated", name_of(copy.kind), copy.place.file,
              copy.place.line, static_cast<void*>(piece.address));
    }
}

static void see_read(void* address, size_t size) {
    if (under_thread_sanitizer() && size) __tsan_read_range(address, size);
}
static void see_write(void* address, size_t size) {
    if (under_thread_sanitizer() && size) __tsan_write_range(address, size);
}

// The synchronisation objects of a thread's groups; those of a group long ago serve again.
static void* read_order(Fiber& issuer, unsigned group) { return &issuer.bulk_order[0][group % Fiber::BULK_GROUPS]; }
static void* written_order(Fiber& issuer, unsigned group) { return &issuer.bulk_order[1][group % Fiber::BULK_GROUPS]; }

// ---- The parts of a copy

static void load_into(LiveBlock& block, const BulkCopy& copy) {
    for_pieces(copy, [&](uint32_t shared, int64_t x, int64_t y) {
        const Inside piece = inside(copy.map, x, y);
        expect_allocated(copy, piece);
        written_by_async(block, shared, PIECE, "TMA load", copy.place);
        char* to = block.arena + shared;
        memset(to, 0, PIECE);
        if (piece.address) memcpy(to + piece.first, piece.address, piece.last - piece.first);
        see_read(piece.address, piece.last - piece.first);
        see_write(to, PIECE);
    });
}

static void land(BulkCopy& copy) {
    const Cluster& cluster = *copy.block->cluster;
    acquire_order(copy.issued);
    for (unsigned rank = 0; rank < cluster.size; rank++) {
        if (!(copy.blocks >> rank & 1)) continue;
        LiveBlock& block = *cluster.blocks[rank];
        expect_live(block, "a TMA load writes its shared memory");
        MBarrier& barrier = mbarrier_at(block, copy.barrier, "TMA load", copy.place);
        if (barrier.phase != copy.phases[rank]) {
            fault("the TMA load of %u bytes at %s:%d lands after its barrier's phase is over: fewer bytes were expected than "
                  "are copied",
                  box_bytes(copy.map), copy.place.file, copy.place.line);
        }
        load_into(block, copy);
        complete_transactions(barrier, box_bytes(copy.map));
    }
}

static void read_source(BulkCopy& copy) {
    acquire_order(copy.issued);
    copy.box = static_cast<char*>(malloc(box_bytes(copy.map)));
    char* to = copy.box;
    for_pieces(copy, [&](uint32_t shared, int64_t, int64_t) {
        read_by_async(*copy.block, shared, PIECE, name_of(copy.kind), copy.place);
        see_read(copy.block->arena + shared, PIECE);
        memcpy(to, copy.block->arena + shared, PIECE);
        to += PIECE;
    });
    release_order(read_order(*copy.issuer, copy.group));
}

// Adds element by element, as the map's type has it.
static void add(const BulkCopy& copy, char* sum, const char* values, uint32_t bytes) {
    for (uint32_t at = 0; at < bytes; at += copy.map.element) {
        if (copy.map.type == TENSOR_FLOAT32) {
            float a, b;
            memcpy(&a, sum + at, sizeof a), memcpy(&b, values + at, sizeof b);
            a += b;
            memcpy(sum + at, &a, sizeof a);
        } else if (copy.map.type == TENSOR_INT32 || copy.map.type == TENSOR_UINT32) {
            uint32_t a, b;
            memcpy(&a, sum + at, sizeof a), memcpy(&b, values + at, sizeof b);
            a += b;
            memcpy(sum + at, &a, sizeof a);
        } else {
            fault("TMA reduction at %s:%d: the emulator adds float32 and 32-bit integers alone", copy.place.file,
                  copy.place.line);
        }
    }
}

static void write_result(BulkCopy& copy) {
    acquire_order(read_order(*copy.issuer, copy.group));
    const char* from = copy.box;
    for_pieces(copy, [&](uint32_t, int64_t x, int64_t y) {
        const Inside piece = inside(copy.map, x, y);
        expect_allocated(copy, piece);
        const uint32_t bytes = piece.last - piece.first;
        if (piece.address && copy.kind == BulkCopy::store) {
            memcpy(piece.address, from + piece.first, bytes);
            see_write(piece.address, bytes);
        } else if (piece.address) {
            add(copy, piece.address, from + piece.first, bytes); // atomic: no race with other reductions
        }
        from += PIECE;
    });
    free(copy.box);
    copy.box = nullptr;
    release_order(written_order(*copy.issuer, copy.group));
    release_order(&copy.block->launch->ends);
    release_order(&machine().ends);
}

// Out of the list, whose order stays; the structure is used again behind the others.
static void remove(Machine& m, unsigned index) {
    BulkCopy* const done = m.copies[index];
    for (unsigned i = index; i + 1 < m.copy_count; i++) m.copies[i] = m.copies[i + 1];
    m.copies[--m.copy_count] = done;
}

void run_copy(unsigned index) {
    Machine& m = machine();
    BulkCopy& copy = *m.copies[index];
    enter_context(copy.issuer);
    if (copy.kind == BulkCopy::load) {
        land(copy);
        leave_context();
        return remove(m, index);
    }
    if (!copy.box) {
        read_source(copy);
        copy.due = draw_due();
        return leave_context();
    }
    write_result(copy);
    leave_context();
    remove(m, index);
}

// ---- Instructions

static BulkCopy& begin(BulkCopy::Kind kind, const void* map, int x, int y, const void* shared, Place place) {
    Machine& m = machine();
    Fiber* self = m.running;
    if (m.copy_count == Machine::MOST_COPIES) run_copy(0); // as many as there is room for
    if (m.copy_count == Machine::MOST_COPIES) run_copy(0);
    BulkCopy*& copy = m.copies[m.copy_count];
    if (!copy) copy = static_cast<BulkCopy*>(calloc(1, sizeof(BulkCopy)));
    copy->kind = kind;
    copy->issuer = self;
    copy->block = self->owner;
    copy->place = place;
    memcpy(&copy->map, map, sizeof copy->map);
    if (copy->map.magic != TensorMap::MAGIC) fault("%s at %s:%d: no tensor map", name_of(kind), place.file, place.line);
    if (copy->map.rank != 2) {
        fault("%s at %s:%d: the tensor map has %u dimensions, not 2", name_of(kind), place.file, place.line, copy->map.rank);
    }
    const uint32_t span = swizzle_span(copy->map.swizzle);
    if (span != 0 && row_bytes(copy->map) != span) {
        fault("%s at %s:%d: rows of %u bytes in a swizzle of %u are not emulated", name_of(kind), place.file, place.line,
              row_bytes(copy->map), span);
    }
    copy->x = x, copy->y = y;
    copy->offset = shared_offset(shared);
    if (copy->offset % 128 != 0) {
        fault("%s at %s:%d: shared address %u is misaligned, no multiple of 128", name_of(kind), place.file, place.line,
              copy->offset);
    }
    check_within_variable(*self->owner, copy->offset, box_bytes(copy->map), name_of(kind), place);
    copy->box = nullptr;
    copy->due = draw_due();
    copy->issued = fresh_order();
    release_order(copy->issued);
    return *copy;
}

// The copy is complete: it is under way, or has happened where the schedule has it happen at once.
static void submit(Machine& m) {
    const BulkCopy* const copy = m.copies[m.copy_count++];
    while (m.copy_count > 0 && m.copies[m.copy_count - 1] == copy && copy->due <= m.points) run_copy(m.copy_count - 1);
    give_way();
}

void tma_prefetch(const void* map, Place place) {
    TensorMap copied;
    memcpy(&copied, map, sizeof copied);
    if (copied.magic != TensorMap::MAGIC) fault("prefetch.tensormap at %s:%d: no tensor map", place.file, place.line);
}

void tma_load(void* shared, const void* map, int x, int y, void* barrier, uint32_t blocks, Place place) {
    if (is_skipped(place)) return;
    Machine& m = machine();
    LiveBlock& own = *m.running->owner;
    const Cluster& cluster = *own.cluster;
    BulkCopy& copy = begin(BulkCopy::load, map, x, y, shared, place);
    copy.blocks = blocks == OWN_BLOCK ? 1u << own.rank : blocks;
    copy.barrier = shared_offset(barrier);
    if (copy.blocks == 0 || copy.blocks >> cluster.size != 0) {
        fault("TMA load at %s:%d: the mask %04x names other blocks than the cluster's %u", place.file, place.line,
              copy.blocks, cluster.size);
    }
    for (unsigned rank = 0; rank < cluster.size; rank++) {
        if (!(copy.blocks >> rank & 1)) continue;
        LiveBlock& block = *cluster.blocks[rank];
        expect_live(block, "a TMA load is to write its shared memory");
        const MBarrier& b = mbarrier_at(block, copy.barrier, "TMA load", place);
        if (!(&block == &own ? b.fenced_for_async : b.fenced_for_cluster)) {
            fault("TMA load at %s:%d: the mbarrier was initialised at %s:%d without fence.mbarrier_init", place.file,
                  place.line, b.initialised.file, b.initialised.line);
        }
        copy.phases[rank] = b.phase;
    }
    submit(m);
}

void tma_store(const void* map, int x, int y, const void* shared, bool adds, Place place) {
    if (is_skipped(place)) return;
    Machine& m = machine();
    BulkCopy& copy = begin(adds ? BulkCopy::reduce : BulkCopy::store, map, x, y, shared, place);
    copy.group = m.running->bulk_group;
    submit(m);
}

void bulk_commit(Place place) {
    if (!is_skipped(place)) machine().running->bulk_group++;
}

// Runs the copies of the thread's groups but for the last `pending` ones: all of them, or until they have read.
static void wait_for_groups(int pending, bool reads_only, Place place) {
    if (is_skipped(place)) return;
    pending += shift_of(place);
    Machine& m = machine();
    Fiber* self = m.running;
    for (unsigned i = 0; i < m.copy_count;) {
        const BulkCopy& copy = *m.copies[i];
        const bool awaited =
            copy.kind != BulkCopy::load && copy.issuer == self && copy.group + unsigned(pending) < self->bulk_group;
        if (awaited && !(reads_only && copy.box)) run_copy(i); // one part; out of the list after the second
        else i++;
    }
    for (unsigned past = 1; past <= Fiber::BULK_GROUPS && unsigned(pending) + past <= self->bulk_group; past++) {
        const unsigned group = self->bulk_group - unsigned(pending) - past;
        acquire_order(reads_only ? read_order(*self, group) : written_order(*self, group));
    }
}

void bulk_wait(int pending, Place place) { wait_for_groups(pending, false, place); }
void bulk_wait_read(int pending, Place place) { wait_for_groups(pending, true, place); }

// ---- Ends

void end_copies_of(LiveBlock& block) {
    Machine& m = machine();
    for (unsigned i = 0; i < m.copy_count; i++) {
        const BulkCopy& copy = *m.copies[i];
        if (copy.kind == BulkCopy::load) {
            for (unsigned rank = 0; rank < copy.block->cluster->size; rank++) {
                if ((copy.blocks >> rank & 1) && copy.block->cluster->blocks[rank] == &block) {
                    fault("block (%u, %u, %u) ends while the TMA load at %s:%d is to write its shared memory", block.index.x,
                          block.index.y, block.index.z, copy.place.file, copy.place.line);
                }
            }
        } else if (copy.block == &block && !copy.box) {
            fault("block (%u, %u, %u) ends while the %s at %s:%d is to read its shared memory", block.index.x, block.index.y,
                  block.index.z, name_of(copy.kind), copy.place.file, copy.place.line);
        }
    }
}

void finish_copies_of(const Grid& grid) {
    Machine& m = machine();
    for (unsigned i = 0; i < m.copy_count;) {
        if (m.copies[i]->block->launch == &grid) run_copy(i); // what is left is a store's second part
        else i++;
    }
}

void forget_copies() {
    Machine& m = machine();
    for (unsigned i = 0; i < m.copy_count; i++) free(m.copies[i]->box);
    m.copy_count = m.wgmma_count = 0;
}

} // namespace emulator
