// The functions of kernels/ptx_hopper.cuh in C++: its include guard is taken, so that these stand in.
#define COTANGENT_PTX_HOPPER_CUH

namespace ptx {

// As the driver fills it: see runtime/tensor_map.hpp.
struct alignas(64) TensorMap {
    uint64_t words[16];
};

// ---- mbarrier

inline void mbarrier_init(uint64_t* barrier, unsigned arrivals, emulator::Place place = {}) {
    emulator::mbarrier_init(barrier, arrivals, place);
}
inline void fence_mbarrier_init(emulator::Place place = {}) { emulator::fence_mbarrier_init(place); }
inline void mbarrier_invalidate(uint64_t* barrier, emulator::Place place = {}) {
    emulator::mbarrier_invalidate(barrier, place);
}
inline void mbarrier_arrive(uint64_t* barrier, emulator::Place place = {}) { emulator::mbarrier_arrive(barrier, place); }
inline void mbarrier_arrive_expect_tx(uint64_t* barrier, unsigned bytes, emulator::Place place = {}) {
    emulator::mbarrier_arrive_expect_tx(barrier, bytes, place);
}
inline void mbarrier_expect_tx(uint64_t* barrier, unsigned bytes, emulator::Place place = {}) {
    emulator::mbarrier_expect_tx(barrier, bytes, place);
}
inline void mbarrier_arrive_remote(uint32_t address, emulator::Place place = {}) {
    emulator::mbarrier_arrive_remote(address, place);
}
inline bool mbarrier_try_wait(uint64_t* barrier, unsigned parity, emulator::Place place = {}) {
    return emulator::mbarrier_try_wait(barrier, parity, place);
}
inline void mbarrier_wait(uint64_t* barrier, unsigned parity, emulator::Place place = {}) {
    emulator::mbarrier_wait(barrier, parity, place);
}
inline void mbarrier_wait_cluster(uint64_t* barrier, unsigned parity, emulator::Place place = {}) {
    emulator::mbarrier_wait(barrier, parity, place);
}

// ---- Proxies

inline void fence_proxy_async(emulator::Place place = {}) { emulator::fence_proxy_async(place); }

// ---- TMA

inline void tma_prefetch(const TensorMap* map, emulator::Place place = {}) { emulator::tma_prefetch(map, place); }
inline void tma_load(void* shared, const TensorMap* map, int x, int y, uint64_t* barrier, emulator::Place place = {}) {
    emulator::tma_load(shared, map, x, y, barrier, emulator::OWN_BLOCK, place);
}
inline void tma_load_multicast(void* shared, const TensorMap* map, int x, int y, uint64_t* barrier, uint16_t blocks,
                               emulator::Place place = {}) {
    emulator::tma_load(shared, map, x, y, barrier, blocks, place);
}
inline void tma_store(const TensorMap* map, int x, int y, const void* shared, emulator::Place place = {}) {
    emulator::tma_store(map, x, y, shared, false, place);
}
inline void tma_reduce_add(const TensorMap* map, int x, int y, const void* shared, emulator::Place place = {}) {
    emulator::tma_store(map, x, y, shared, true, place);
}
inline void bulk_commit(emulator::Place place = {}) { emulator::bulk_commit(place); }
template <int PENDING>
void bulk_wait(emulator::Place place = {}) {
    emulator::bulk_wait(PENDING, place);
}
template <int PENDING>
void bulk_wait_read(emulator::Place place = {}) {
    emulator::bulk_wait_read(PENDING, place);
}

// ---- Registers

template <int REGISTERS>
void setmaxnreg_inc(emulator::Place place = {}) {
    emulator::set_registers(REGISTERS, true, place);
}
template <int REGISTERS>
void setmaxnreg_dec(emulator::Place place = {}) {
    emulator::set_registers(REGISTERS, false, place);
}

} // namespace ptx
