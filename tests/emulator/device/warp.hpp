// Warp shuffles and votes.
#pragma once

namespace emulator {

template <class T>
struct Shuffle {
    T value, result;
    unsigned source;
};

// Every lane takes the value of its source; from a lane that is not there it gets NaN (all bits set),
// as hardware promises nothing.
template <class T>
EMULATOR_UNSEEN void shuffle_lanes(void* const* arguments, uint32_t present) {
    for (unsigned lane = 0; lane < 32; lane++) {
        if (!(present >> lane & 1)) continue;
        auto* own = static_cast<Shuffle<T>*>(arguments[lane]);
        if (present >> own->source & 1) {
            own->result = static_cast<Shuffle<T>*>(arguments[own->source])->value;
        } else {
            __builtin_memset(&own->result, 0xFF, sizeof(T));
        }
    }
}

template <class T>
T shuffle(const char* name, uint32_t mask, T value, unsigned source, Place place) {
    Shuffle<T> shuffle{value, value, source};
    warp_operation(name, mask, &shuffle, shuffle_lanes<T>, false, place);
    return shuffle.result;
}

// The source lanes, within groups of `width` lanes (CUDA C++ Programming Guide, "Warp shuffle functions").
inline unsigned group_start(int width) { return current->lane & ~unsigned(width - 1); }
inline unsigned shuffle_index(int source, int width) { return group_start(width) | (source & (width - 1)); }
inline unsigned shuffle_up(unsigned distance, int width) {
    const unsigned lane = current->lane;
    return lane < group_start(width) + distance ? lane : lane - distance;
}
inline unsigned shuffle_down(unsigned distance, int width) {
    const unsigned lane = current->lane;
    return lane + distance >= group_start(width) + width ? lane : lane + distance;
}
inline unsigned shuffle_xor(int mask, int width) {
    const unsigned lane = current->lane, other = lane ^ mask;
    return other >= group_start(width) + width ? lane : other;
}

struct Ballot {
    bool vote;
    uint32_t result;
};

EMULATOR_UNSEEN inline void count_votes(void* const* arguments, uint32_t present) {
    uint32_t votes = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        if ((present >> lane & 1) && static_cast<Ballot*>(arguments[lane])->vote) votes |= 1u << lane;
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        if (present >> lane & 1) static_cast<Ballot*>(arguments[lane])->result = votes;
    }
}

inline uint32_t ballot(const char* name, uint32_t mask, bool vote, Place place) {
    Ballot ballot{vote, 0};
    warp_operation(name, mask, &ballot, count_votes, false, place);
    return ballot.result;
}

inline void nothing(void* const*, uint32_t) {}

} // namespace emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, emulator::Place place = {}) {
    return emulator::shuffle("__shfl_sync", mask, value, emulator::shuffle_index(source, width), place);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32, emulator::Place place = {}) {
    return emulator::shuffle("__shfl_up_sync", mask, value, emulator::shuffle_up(distance, width), place);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32, emulator::Place place = {}) {
    return emulator::shuffle("__shfl_down_sync", mask, value, emulator::shuffle_down(distance, width), place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, emulator::Place place = {}) {
    return emulator::shuffle("__shfl_xor_sync", mask, value, emulator::shuffle_xor(lanes, width), place);
}

inline unsigned __ballot_sync(unsigned mask, bool vote, emulator::Place place = {}) {
    return emulator::ballot("__ballot_sync", mask, vote, place);
}
inline bool __any_sync(unsigned mask, bool vote, emulator::Place place = {}) {
    return emulator::ballot("__any_sync", mask, vote, place) != 0;
}
inline bool __all_sync(unsigned mask, bool vote, emulator::Place place = {}) {
    return emulator::ballot("__all_sync", mask, !vote, place) == 0;
}

inline void __syncwarp(unsigned mask = 0xffffffffu, emulator::Place place = {}) {
    emulator::warp_operation("__syncwarp", mask, nullptr, emulator::nothing, true, place);
}
