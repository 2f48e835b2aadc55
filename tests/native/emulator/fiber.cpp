// fiber.cpp: the switch between stacks, by hand where that is possible, and the pool of stacks.
#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {
namespace {

constexpr size_t kStride = kGuardBytes + kStackBytes;

#if !defined(EMULATOR_UCONTEXT)
constexpr int kSavedRegisters = 6;
#endif

void (*fiber_entry)() = nullptr;

void begin() {
  arrive(nullptr);
  fiber_entry();
}

}  // namespace

#if !defined(EMULATOR_UCONTEXT)
// What a function has to preserve goes onto the stack, the floating-point environment excepted: it is the same on all.
[[gnu::naked]] void switch_stack(void** /*from*/, void* /*to*/) {
  asm(R"(
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
  )");
}
#endif

std::byte* Fibers::stack_of(int fiber) const { return stacks_ + static_cast<size_t>(fiber) * kStride + kGuardBytes; }

void Fibers::restart(int fiber) {
  fiber_entry = entry_;
  Context& context = fibers_[fiber];
  context.stack = stack_of(fiber);
  // At the same place in their pages, stacks would drive one another out of the cache.
  context.stack_bytes = kStackBytes - static_cast<size_t>(fiber * 5 % 48) * 64;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_of(fiber), kStackBytes);  // of frames that were abandoned
#endif
#if defined(EMULATOR_UCONTEXT)
  getcontext(&context.registers);
  context.registers.uc_stack = {.ss_sp = stack_of(fiber), .ss_flags = 0, .ss_size = context.stack_bytes};
  context.registers.uc_link = nullptr;
  makecontext(&context.registers, begin, 0);
#else
  auto** top = reinterpret_cast<void**>(stack_of(fiber) + context.stack_bytes);
  *--top = nullptr;  // where begin() would return to
  *--top = reinterpret_cast<void*>(begin);
  for (int saved = 0; saved < kSavedRegisters; ++saved) *--top = nullptr;
  context.stack_pointer = top;
#endif
}

Context& Fibers::take() {
  if (free_count_ > 0) return *free_[--free_count_];
  if (!stacks_) {
    void* memory = mmap(nullptr, kStride * kMaxFibers, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    stacks_ = static_cast<std::byte*>(memory);
  }
  const int fiber = count_;
  if (mprotect(stack_of(fiber), kStackBytes, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  ++count_;
  restart(fiber);
  return fibers_[fiber];
}

void Fibers::restart_all() {
  free_count_ = 0;
  for (int fiber = count_; fiber-- > 0;) {
    restart(fiber);
    give_back(fibers_[fiber]);
  }
}

bool Fibers::is_guard(const void* address) const {
  const auto offset = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(stacks_);
  return stacks_ && offset < kStride * kMaxFibers && offset % kStride < kGuardBytes;
}

}  // namespace emulator
