// The functions of kernels/ptx.cuh in C++: its include guard is taken, so that these stand in.
//
// Copies and reads of shared memory happen here, in code that is compiled with the kernels, so that the
// sanitizers see who reads and writes what; the exchange between lanes happens out of their sight. What
// differs between architectures is asked of the running device, so that one copy of this serves all.
#define COTANGENT_PTX_CUH

namespace ptx {

// ---- cp.async

template <class Word>
EMULATOR_UNCOUNTED void copy_words(void* shared, const void* global) {
    *static_cast<Word*>(shared) = global ? *static_cast<const Word*>(global) : Word{};
}

template <class Word>
EMULATOR_UNCOUNTED void run_copy(const emulator::AsyncCopy& copy) {
    copy_words<Word>(copy.shared, copy.global);
}

template <class Word>
__forceinline__ void copy_async(void* shared, const void* global, bool valid) {
    const uintptr_t source = valid ? reinterpret_cast<uintptr_t>(global) : 0;
    if ((emulator::shared_offset(shared) | source) % sizeof(Word) != 0) {
        emulator::fault("cp.async of %zu bytes from %p to %p: misaligned", sizeof(Word), global, shared);
    }
    if (!valid) global = nullptr;
    emulator::count_copy(shared, global, sizeof(Word));
    if (emulator::device_is_at_least(800)) {
        emulator::async_copy({run_copy<Word>, shared, global});
    } else {
        copy_words<Word>(shared, global);
    }
}

__forceinline__ void copy_async_16(void* shared, const void* global, bool valid) {
    copy_async<uint4>(shared, global, valid);
}
__forceinline__ void copy_async_4(void* shared, const void* global, bool valid) {
    copy_async<uint32_t>(shared, global, valid);
}

inline void copy_async_commit() { emulator::async_commit(); }

template <int PENDING>
void copy_async_wait(emulator::Place place = {}) {
    emulator::async_wait(PENDING, place);
}

// ---- ldmatrix

struct MatrixRow {
    uint16_t elements[8]; // of the row whose address this lane gave
    uint32_t* fragment;
};

template <bool TRANSPOSED>
EMULATOR_UNSEEN void hand_out_matrices(void* const* arguments, uint32_t present) {
    if (present != 0xffffffffu) emulator::fault("ldmatrix with lanes %08x only", present);
    for (unsigned matrix = 0; matrix < 4; matrix++) {
        for (unsigned lane = 0; lane < 32; lane++) {
            uint32_t both = 0;
            for (unsigned half = 0; half < 2; half++) {
                const unsigned across = lane / 4, along = lane % 4 * 2 + half;
                const unsigned row = TRANSPOSED ? along : across, column = TRANSPOSED ? across : along;
                const uint32_t element = static_cast<MatrixRow*>(arguments[matrix * 8 + row])->elements[column];
                both |= element << 16 * half;
            }
            static_cast<MatrixRow*>(arguments[lane])->fragment[matrix] = both;
        }
    }
}

EMULATOR_UNCOUNTED inline void read_row(MatrixRow& own, const void* row) {
    for (int i = 0; i < 8; i++) own.elements[i] = static_cast<const uint16_t*>(row)[i];
}

template <bool TRANSPOSED>
__forceinline__ void load_matrices(uint32_t (&fragment)[4], const void* row, emulator::Place place) {
    if (emulator::shared_offset(row) % 16 != 0) emulator::fault("ldmatrix: the row at %p is misaligned", row);
    emulator::count_access(row, 16, emulator::Access::matrices);
    MatrixRow own;
    read_row(own, row);
    own.fragment = fragment;
    emulator::warp_operation("ldmatrix", 0xffffffffu, &own, hand_out_matrices<TRANSPOSED>, false, place);
}

__forceinline__ void load_matrices_4(uint32_t (&fragment)[4], const void* row, emulator::Place place = {}) {
    load_matrices<false>(fragment, row, place);
}
__forceinline__ void load_matrices_4_transposed(uint32_t (&fragment)[4], const void* row,
                                                emulator::Place place = {}) {
    load_matrices<true>(fragment, row, place);
}

// ---- mma

struct Fragments {
    float* d;
    const uint32_t *a, *b;
};

EMULATOR_UNSEEN inline float bf16_half(uint32_t both, unsigned half) {
    const uint32_t bits = (half ? both >> 16 : both & 0xffff) << 16;
    float result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
}

// Products are exact in float32 and added in the order of k. Hardware adds in blocks and truncates,
// so only agreement to rounding may be asked of either.
EMULATOR_UNSEEN inline void multiply_m16n8k16(void* const* arguments, uint32_t present) {
    if (present != 0xffffffffu) emulator::fault("mma with lanes %08x only", present);
    float a[16][16], b[16][8], d[16][8];
    for (unsigned lane = 0; lane < 32; lane++) {
        const Fragments& own = *static_cast<Fragments*>(arguments[lane]);
        const unsigned group = lane / 4, pair = lane % 4 * 2;
        for (unsigned half = 0; half < 2; half++) {
            for (unsigned i = 0; i < 4; i++) {
                a[group + i % 2 * 8][pair + half + i / 2 * 8] = bf16_half(own.a[i], half);
            }
            for (unsigned i = 0; i < 2; i++) {
                b[pair + half + i * 8][group] = bf16_half(own.b[i], half);
                d[group + i * 8][pair + half] = own.d[2 * i + half];
            }
        }
    }
    for (unsigned row = 0; row < 16; row++) {
        for (unsigned k = 0; k < 16; k++) {
            for (unsigned column = 0; column < 8; column++) d[row][column] += a[row][k] * b[k][column];
        }
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        const Fragments& own = *static_cast<Fragments*>(arguments[lane]);
        for (unsigned i = 0; i < 4; i++) own.d[i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
    }
}

inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                     emulator::Place place = {}) {
    if (!emulator::device_is_at_least(800)) __trap();
    Fragments own{d, a, b};
    emulator::warp_operation("mma.m16n8k16", 0xffffffffu, &own, multiply_m16n8k16, false, place);
}

// ---- Grid-wide waiting

inline void add_release(unsigned* address, unsigned value, emulator::Place place = {}) {
    if (emulator::releases(place)) __atomic_fetch_add(address, value, __ATOMIC_RELEASE);
}
// Where a test skips the line, whatever is waited for seems to come.
EMULATOR_UNCOUNTED inline unsigned load_acquire(const unsigned* address, emulator::Place place = {}) {
    return emulator::spin(place) ? __atomic_load_n(address, __ATOMIC_ACQUIRE) : emulator::unawaited();
}

inline void launch_dependents(emulator::Place place = {}) {
    if (!emulator::device_is_at_least(900)) __trap();
    emulator::launch_dependents(place);
}
inline void wait_for_prerequisites(emulator::Place place = {}) {
    if (!emulator::device_is_at_least(900)) __trap();
    emulator::wait_for_prerequisites(place);
}

// ---- Clusters

inline unsigned cluster_rank() {
    if (!emulator::device_is_at_least(900)) __trap();
    return emulator::cluster_rank();
}
inline unsigned cluster_size() {
    if (!emulator::device_is_at_least(900)) __trap();
    return emulator::cluster_size();
}
inline void cluster_arrive(emulator::Place place = {}) {
    if (!emulator::device_is_at_least(900)) __trap();
    emulator::cluster_arrive(place);
}
inline void cluster_wait(emulator::Place place = {}) {
    if (!emulator::device_is_at_least(900)) __trap();
    emulator::cluster_wait(place);
}
inline uint32_t cluster_address(const void* shared, unsigned rank) {
    if (!emulator::device_is_at_least(900)) __trap();
    return emulator::cluster_address(shared, rank);
}

template <class Word>
Word load_cluster(uint32_t address) {
    if (!emulator::device_is_at_least(900)) __trap();
    return *static_cast<const Word*>(emulator::cluster_shared(address, sizeof(Word)));
}
inline uint32_t load_cluster_4(uint32_t address) { return load_cluster<uint32_t>(address); }
inline uint4 load_cluster_16(uint32_t address) { return load_cluster<uint4>(address); }

} // namespace ptx
