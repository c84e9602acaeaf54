// The functions of kernels/ptx_wgmma.cuh in C++: its include guard is taken, so that these stand in.
#define COTANGENT_PTX_WGMMA_CUH

namespace ptx {

enum class Major { K, MN };
enum class Swizzle { NONE = 0, BYTES_128 = 1, BYTES_64 = 2, BYTES_32 = 3 };

inline uint64_t wgmma_descriptor(const void* shared, unsigned leading_bytes, unsigned stride_bytes, Swizzle swizzle) {
    const auto field = [](uint32_t bytes) { return uint64_t(bytes >> 4 & 0x3fff); };
    return field(emulator::shared_offset(shared)) | field(leading_bytes) << 16 | field(stride_bytes) << 32 |
           uint64_t(swizzle) << 62;
}

inline void wgmma_fence(emulator::Place place = {}) { emulator::wgmma_fence(place); }
inline void wgmma_commit(emulator::Place place = {}) { emulator::wgmma_commit(place); }

template <Major A = Major::K, Major B = Major::K, int R>
void wgmma_bf16(float (&d)[R], uint64_t a, uint64_t b, bool accumulate = true, emulator::Place place = {}) {
    emulator::wgmma({d, nullptr, a, b, 2 * R, false, A == Major::MN, B == Major::MN, accumulate}, place);
}
template <Major B = Major::K, int R>
void wgmma_bf16(float (&d)[R], const uint32_t (&a)[4], uint64_t b, bool accumulate = true, emulator::Place place = {}) {
    emulator::wgmma({d, a, 0, b, 2 * R, false, false, B == Major::MN, accumulate}, place);
}
template <int R>
void wgmma_tf32(float (&d)[R], uint64_t a, uint64_t b, bool accumulate = true, emulator::Place place = {}) {
    emulator::wgmma({d, nullptr, a, b, 2 * R, true, false, false, accumulate}, place);
}
template <int R>
void wgmma_tf32(float (&d)[R], const uint32_t (&a)[4], uint64_t b, bool accumulate = true, emulator::Place place = {}) {
    emulator::wgmma({d, a, 0, b, 2 * R, true, false, false, accumulate}, place);
}

template <int PENDING, int R>
void wgmma_wait(float (&d)[R], emulator::Place place = {}) {
    emulator::wgmma_wait(PENDING, d, R, place);
}
template <int PENDING, int T, int R>
void wgmma_wait(float (&d)[T][R], emulator::Place place = {}) {
    emulator::wgmma_wait(PENDING, d[0], T * R, place);
}
template <int R>
void wgmma_keep(const uint32_t (&a)[R], emulator::Place place = {}) {
    emulator::wgmma_keep(a, R, place);
}

} // namespace ptx
