// Fibers: stacks that are switched by hand.
//
// On x86-64 a switch saves and restores six registers (about 15 ns with its queue); elsewhere the C
// library's ucontext does it, about ten times slower because it also switches signal masks.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "machine.hpp"
#include "sanitizers.hpp"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

static constexpr size_t STACK = 256 * 1024;

static void run_thread() {
    Machine& m = machine();
    if (__sanitizer_finish_switch_fiber) {
        // The first fiber comes from the launcher, and so learns where the launcher's stack lies.
        const void* bottom = nullptr;
        size_t size = 0;
        __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
        if (!m.launcher.stack) {
            m.launcher.stack = static_cast<char*>(const_cast<void*>(bottom));
            m.launcher.stack_size = size;
        }
    }
    acquire_order(&m.starts);
    LiveBlock& own = *m.running->owner;
    own.begun = true;
    own.launch->request->kernel->call(own.launch->request->arguments);
    finish_thread();
}

#if defined(__x86_64__)

extern "C" void emulator_switch(void** save, void* to);
asm(R"(
.text
.globl emulator_switch
.hidden emulator_switch
.type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulator_switch, . - emulator_switch
)");

static void exchange(Fiber* from, Fiber* to) { emulator_switch(&from->stack_pointer, to->stack_pointer); }

static void lay_out(Fiber* fiber) {
    void** top = reinterpret_cast<void**>(fiber->stack + STACK);
    *--top = nullptr; // no caller; and the stack is aligned as after a call
    *--top = reinterpret_cast<void*>(run_thread);
    for (int saved = 0; saved < 6; saved++) *--top = nullptr;
    fiber->stack_pointer = top;
}

#else

static void exchange(Fiber* from, Fiber* to) {
    if (!from->stack_pointer) from->stack_pointer = calloc(1, sizeof(ucontext_t));
    swapcontext(static_cast<ucontext_t*>(from->stack_pointer), static_cast<ucontext_t*>(to->stack_pointer));
}

static void lay_out(Fiber* fiber) {
    if (!fiber->stack_pointer) fiber->stack_pointer = calloc(1, sizeof(ucontext_t));
    auto* context = static_cast<ucontext_t*>(fiber->stack_pointer);
    getcontext(context);
    context->uc_stack.ss_sp = fiber->stack;
    context->uc_stack.ss_size = STACK;
    context->uc_link = nullptr;
    makecontext(context, run_thread, 0);
}

#endif

void prepare_fiber(Fiber* fiber) {
    if (!fiber->stack) {
        const size_t guard = sysconf(_SC_PAGESIZE);
        void* memory = mmap(nullptr, STACK + guard, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) abort();
        mprotect(memory, guard, PROT_NONE); // an overflow faults instead of reaching a neighbour
        fiber->stack = static_cast<char*>(memory) + guard;
        fiber->stack_size = STACK;
        fiber->async = static_cast<AsyncQueue*>(calloc(1, sizeof(AsyncQueue)));
    }
    if (__tsan_create_fiber && !fiber->race_detector) fiber->race_detector = __tsan_create_fiber(0);
    if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(fiber->stack, STACK);
    fiber->fake_stack = nullptr;
    fiber->acquires = nullptr;
    lay_out(fiber);
}

void switch_to(Fiber* to, bool leaving_for_good) {
    Machine& m = machine();
    Fiber* from = m.running;
    if (to == from) return;
    m.running = to;
    current = to;
    block = to->owner;
    if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(to->race_detector, 1 /* orders nothing */);
    if (__sanitizer_start_switch_fiber) {
        __sanitizer_start_switch_fiber(leaving_for_good ? nullptr : &from->fake_stack, to->stack, to->stack_size);
    }
    exchange(from, to);
    if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
}

} // namespace emulator
