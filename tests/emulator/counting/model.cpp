// The costs of requests: see model.hpp.
#include "model.hpp"

#include <algorithm>

namespace emulator::counting {

static constexpr unsigned BANKS = 32, WORD = 4, SECTOR = 32;

namespace {

// Numbers of words or sectors that lanes want, each once: of up to 16 bytes a lane, which may begin anywhere.
struct Distinct {
    uint64_t numbers[LANES * (16 / WORD + 1)];
    unsigned count = 0;

    // Those of `unit` bytes that an access touches.
    void touch(uint64_t address, unsigned bytes, unsigned unit) {
        for (uint64_t number = address / unit; number <= (address + bytes - 1) / unit; number++) {
            numbers[count++] = number;
        }
    }

    void finish() {
        std::sort(numbers, numbers + count);
        count = std::unique(numbers, numbers + count) - numbers;
    }
};

} // namespace

static unsigned round_up_divide(unsigned a, unsigned b) { return (a + b - 1) / b; }

static Distinct touched(const WarpRequest& request, uint32_t lanes, unsigned bytes, unsigned unit) {
    Distinct all;
    for (unsigned lane = 0; lane < LANES; lane++) {
        if (request.present & lanes & 1u << lane) all.touch(request.addresses[lane], bytes, unit);
    }
    all.finish();
    return all;
}

// The fewest stretches of `size` bytes that could hold what a request touches.
static unsigned fewest(const WarpRequest& request, unsigned bytes, unsigned size) {
    const unsigned unit = std::min(bytes, WORD);
    return round_up_divide(touched(request, ~0u, bytes, unit).count * unit, size);
}

// The most words that some lanes want of one bank.
static unsigned most_in_a_bank(const WarpRequest& request, uint32_t lanes, unsigned bytes) {
    const Distinct words = touched(request, lanes, bytes, WORD);
    unsigned in_bank[BANKS] = {}, most = 0;
    for (unsigned i = 0; i < words.count; i++) most = std::max(most, ++in_bank[words.numbers[i] % BANKS]);
    return most;
}

// Whether every one of these lanes has the address of the lane whose number differs by `bit`.
static bool agree(const WarpRequest& request, uint32_t lanes, unsigned bit) {
    for (unsigned lane = 0; lane < LANES; lane++) {
        const uint32_t both = 1u << lane | 1u << (lane ^ bit);
        if ((request.present & lanes & both) != both) continue;
        if (request.addresses[lane] != request.addresses[lane ^ bit]) return false;
    }
    return true;
}

Wavefronts wavefronts(const WarpRequest& request, unsigned bytes, bool matrices) {
    Wavefronts sum = {0, 0, fewest(request, bytes, BANKS * WORD)};
    const auto add = [&](uint32_t lanes) {
        if (!(request.present & lanes)) return; // nothing to do for this group
        sum.needed += most_in_a_bank(request, lanes, bytes);
        sum.conflict_free++;
    };
    if (bytes <= WORD) {
        add(~0u);
        return sum;
    }
    const unsigned group = LANES * WORD / bytes; // lanes
    for (unsigned first = 0; first < LANES; first += 2 * group) {
        const uint32_t one = uint32_t((uint64_t(1) << group) - 1) << first, other = one << group, both = one | other;
        if (!matrices && (agree(request, both, 1) || agree(request, both, 2))) {
            add(both);
        } else {
            add(one);
            add(other);
        }
    }
    return sum;
}

Sectors sectors(const WarpRequest& request, unsigned bytes) {
    return {touched(request, ~0u, bytes, SECTOR).count, fewest(request, bytes, SECTOR)};
}

} // namespace emulator::counting
