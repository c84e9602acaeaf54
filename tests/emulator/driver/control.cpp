// The schedule, what is skipped, and what was called.
#include "control.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

using emulator::machine;
using emulator::Order;

void emulator_set_schedule(int order, uint64_t seed) {
    driver::settle();
    machine().order = static_cast<Order>(order);
    machine().random_state = seed * 0x9E3779B97F4A7C15 | 1;
}

void schedule_from_environment() {
    const char* schedule = getenv("COTANGENT_EMULATOR_SCHEDULE");
    if (!schedule) return;
    if (strcmp(schedule, "fifo") == 0) return emulator_set_schedule(0, 1);
    if (strcmp(schedule, "lifo") == 0) return emulator_set_schedule(1, 1);
    if (strncmp(schedule, "random:", 7) == 0) return emulator_set_schedule(2, strtoull(schedule + 7, nullptr, 10));
    fprintf(stderr, "COTANGENT_EMULATOR_SCHEDULE is '%s', not fifo, lifo or random:SEED\n", schedule);
    exit(2);
}

static void mutate(const char* file, int line, bool shifts) {
    driver::settle();
    emulator::Machine& m = machine();
    snprintf(m.skipped_file, sizeof m.skipped_file, "%s", file);
    m.skipped_line = line;
    m.shifts = shifts;
    m.skips = 0;
}

void emulator_skip(const char* file, int line) { mutate(file, line, false); }
void emulator_shift(const char* file, int line) { mutate(file, line, true); }

uint64_t emulator_skips() {
    driver::settle();
    return machine().skips;
}

// ---- Calls of the driver

static thread_local std::map<std::string, uint64_t> calls;

// What may stand between two launches that overlap: it neither waits nor touches memory.
static bool lets_launches_wait(const char* function) {
    static const char* const THESE[] = {"cuLaunchKernelEx", "cuCtxSetCurrent", "cuCtxGetCurrent", "cuFuncSetAttribute",
                                        "cuFuncGetAttribute", "cuDeviceGetAttribute", "cuModuleGetFunction",
                                        "cuTensorMapEncodeTiled", "cuOccupancyMaxActiveClusters", "cuStreamIsCapturing"};
    for (const char* name : THESE) {
        if (strcmp(name, function) == 0) return true;
    }
    return false;
}

void driver::count_call(const char* function) {
    calls[function]++;
    if (!lets_launches_wait(function)) settle();
}
uint64_t emulator_calls(const char* function) {
    const auto found = calls.find(function);
    return found == calls.end() ? 0 : found->second;
}
void emulator_clear_calls() { calls.clear(); }
