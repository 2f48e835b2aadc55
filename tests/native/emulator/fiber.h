// fiber.h: the stacks that a kernel's threads run on, and the switch from one to another.
#pragma once
#include <cstddef>

#if !defined(__x86_64__) && !defined(EMULATOR_UCONTEXT)
#define EMULATOR_UCONTEXT 1  // portable, at the price of two system calls a switch
#endif
#if defined(EMULATOR_UCONTEXT)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {

inline constexpr size_t kPageBytes = 4096;
inline constexpr size_t kGuardBytes = 16 * 1024;  // more than a frame: none steps over it
inline constexpr size_t kStackBytes = 64 * 1024;
inline constexpr int kMaxFibers = 1024;  // the threads of the largest block

// Where a stack goes on when it is switched to.
struct Context {
#if defined(EMULATOR_UCONTEXT)
  ucontext_t registers;
#else
  void* stack_pointer = nullptr;
#endif
  const void* stack = nullptr;  // its lowest byte; these two are for AddressSanitizer
  size_t stack_bytes = 0;
};

#if !defined(EMULATOR_UCONTEXT)
void switch_stack(void** from, void* to);
#endif

#if defined(__SANITIZE_ADDRESS__)
inline Context* switched_from = nullptr;
#endif

// On a stack that was switched to.
inline void arrive([[maybe_unused]] void* fake_stack) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, &switched_from->stack, &switched_from->stack_bytes);
#endif
}

// Inlined: every function that returns after a switch returns elsewhere than the processor foresaw.
inline void switch_context(Context& from, Context& to) {
  void* fake_stack = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  switched_from = &from;
  __sanitizer_start_switch_fiber(&fake_stack, to.stack, to.stack_bytes);
#endif
#if defined(EMULATOR_UCONTEXT)
  swapcontext(&from.registers, &to.registers);
#else
  switch_stack(&from.stack_pointer, to.stack_pointer);
#endif
  arrive(fake_stack);
}

// Stacks are made when they are first needed and kept. What is below each is inaccessible.
class Fibers {
 public:
  // Every fiber runs entry(), which never returns, from its beginning.
  explicit constexpr Fibers(void (*entry)()) : entry_(entry) {}
  Context& take();  // one that is free: the one last given back, whose stack is still in the cache
  void give_back(Context& fiber) { free_[free_count_++] = &fiber; }
  void restart_all();  // whatever they were doing
  // Whether an address lies below a stack.
  bool is_guard(const void* address) const;

 private:
  std::byte* stack_of(int fiber) const;
  void restart(int fiber);

  void (*entry_)();
  std::byte* stacks_ = nullptr;
  int count_ = 0, free_count_ = 0;
  Context fibers_[kMaxFibers] = {};
  Context* free_[kMaxFibers] = {};
};

}  // namespace emulator
