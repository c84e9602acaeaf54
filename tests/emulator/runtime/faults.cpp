// Faults: what ends a launch, with the block and thread it happened in.
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

#include "faults.hpp"
#include "machine.hpp"
#include "sanitizers.hpp"

namespace emulator {

static void describe(Machine& m, const char* text) {
    const uint3 b = block ? block->index : uint3{}, t = current ? current->index : uint3{};
    const bool host = m.running == &m.launcher;
    if (host) {
        snprintf(m.message, sizeof m.message, "%.800s [block (%u, %u, %u)]", text, b.x, b.y, b.z);
    } else {
        snprintf(m.message, sizeof m.message, "%.800s [block (%u, %u, %u), thread (%u, %u, %u)]", text, b.x, b.y, b.z,
                 t.x, t.y, t.z);
    }
    m.failed = true;
}

void fault(const char* format, ...) {
    Machine& m = machine();
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    describe(m, text);
    if (m.running == &m.launcher) siglongjmp(m.recovery, 1);
    leave_kernel();
}

// A memory access that the processor refused. Not left by a switch of fibers: the stack that the
// signal came on is not the fiber's.
static struct sigaction previous[64];

static void on_signal(int number, siginfo_t* information, void* context) {
    Machine& m = machine();
    if (!m.in_kernel) { // not ours
        const struct sigaction& other = previous[number];
        if (other.sa_flags & SA_SIGINFO) return other.sa_sigaction(number, information, context);
        sigaction(number, &other, nullptr);
        return;
    }
    char text[128];
    if (number == SIGFPE) {
        snprintf(text, sizeof text, "integer division by zero");
    } else if (information->si_code == SI_KERNEL) {
        snprintf(text, sizeof text, "misaligned access");
    } else {
        snprintf(text, sizeof text, "illegal address %p", information->si_addr);
    }
    describe(m, text);
    siglongjmp(m.recovery, 1);
}

void install_signal_handlers() {
    if (under_address_sanitizer()) return; // it reports better
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int number : {SIGSEGV, SIGBUS, SIGFPE}) sigaction(number, &action, &previous[number]);
}

SignalStack::SignalStack() {
    static constexpr size_t SIZE = 64 * 1024;
    static thread_local void* memory = malloc(SIZE);
    stack_t mine = {};
    mine.ss_sp = memory;
    mine.ss_size = SIZE;
    active = !under_address_sanitizer() && sigaltstack(&mine, &before) == 0;
}

SignalStack::~SignalStack() {
    if (active) sigaltstack(&before, nullptr);
}

} // namespace emulator
