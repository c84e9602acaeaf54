// Signals that a kernel's accesses raise.
#pragma once
#include <csignal>

namespace emulator {

void install_signal_handlers();

// A stack for signal handlers while it lives: a fiber's may be what has overflowed.
class SignalStack {
  public:
    SignalStack();
    ~SignalStack();

  private:
    stack_t before;
    bool active;
};

} // namespace emulator
