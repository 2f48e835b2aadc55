// scheduler.h: which thread of the running block runs, and which waits for what.
//
// A thread runs on the stack its predecessor ended on, so that a kernel in which nobody waits runs its block on one. A
// thread that waits keeps its stack: the next thread of the order begins on another. Threads that a collective of their
// warp lets go run before those that have not begun: warps drift as far apart as barriers allow.
#pragma once
#include <string>

#include "block.h"
#include "fiber.h"
#include "warp.h"

namespace emulator {

inline constexpr unsigned kMaxThreads = 1024, kWarpSize = 32;

enum class State : uint8_t { not_begun, runs, in_barrier, in_collective, ended };

struct Lane {
  uint64_t value, result;
  unsigned mask;
  Collective collective;
  uint8_t source;
};

struct Warp {
  Lane lanes[kWarpSize];
  unsigned waiting, ended;
};

class Scheduler {
 public:
  constexpr Scheduler() : fibers_(run_threads) {}

  cudaError_t run_grid(const KernelCall& call, const void* arguments, Order order, uint64_t seed);
  unsigned wait_for_block(Barrier barrier, bool predicate);
  uint64_t collect(Collective collective, unsigned mask, uint64_t value, unsigned offset, int width);
  void* dynamic_shared();
  // Ends the grid from within a thread of it. The threads' stacks are abandoned as they are.
  [[noreturn]] void abandon(cudaError_t error);
  // "thread (1, 0, 0) of block (0, 0, 0)"
  std::string name_of_thread(unsigned thread) const;
  std::string name_of_current() const { return name_of_thread(current_); }
  bool is_stack_guard(const void* address) const { return fibers_.is_guard(address); }

 private:
  [[noreturn]] static void run_threads();
  void prepare(const KernelCall& call);
  void order_threads();
  void run_block();
  void begin_next();
  void end_current();
  void wait(State state);
  void go_to(Context& stack);
  void let_go(unsigned thread) { ready_[ready_count_++] = static_cast<uint16_t>(thread); }
  void report_misuse(const Warp& warp, Collective collective, unsigned mask, int width) const;
  void check_mask(const Warp& warp, Collective collective, unsigned mask, int width);
  bool is_complete(const Warp& warp, Collective collective, unsigned mask) const;
  void complete(Warp& warp, Collective collective, unsigned mask);
  [[noreturn]] void fail_at_standstill();
  std::string describe(unsigned thread) const;
  uint64_t random();

  const KernelCall* call_ = nullptr;
  const void* arguments_ = nullptr;
  cudaError_t error_ = cudaSuccess;
  unsigned count_ = 0, begun_ = 0, ended_ = 0, current_ = 0;
  unsigned arrived_ = 0, predicates_ = 0, result_ = 0;  // at the barrier
  Barrier barrier_ = Barrier::plain;
  unsigned flip_ = 0;  // lane ^ flip_ is a lane's place in the order of its warp
  Order order_ = Order::forward;
  uint64_t random_state_ = 0;
  uint3 block_dim_{};  // that indices_ were made for

  Context home_ = {};  // the host thread's stack
  Context* running_ = nullptr;
  Fibers fibers_;
  // Of each thread, by its number in the block.
  State states_[kMaxThreads] = {};
  Context* stacks_[kMaxThreads] = {};
  uint3 indices_[kMaxThreads] = {};
  uint16_t sequence_[kMaxThreads] = {};
  unsigned sequence_count_ = 0;
  Order sequence_order_ = Order::random;
  // A stack: the last one runs next.
  uint16_t ready_[kMaxThreads] = {};
  unsigned ready_count_ = 0;
  Warp warps_[kMaxThreads / kWarpSize] = {};
};

std::string name_of_mask(unsigned mask);

// Inlined, as switch_context() is.
inline void Scheduler::go_to(Context& stack) {
  Context& own = *running_;
  running_ = &stack;
  switch_context(own, stack);
}

inline void Scheduler::wait(State state) {
  const unsigned own = current_;
  states_[own] = state;
  stacks_[own] = running_;
  if (ready_count_ > 0) {
    const unsigned next = ready_[--ready_count_];
    if (next != own) go_to(*stacks_[next]);
  } else if (begun_ < count_) {
    go_to(fibers_.take());
  } else {
    fail_at_standstill();
  }
  current_ = own;
  states_[own] = State::runs;
  threadIdx = indices_[own];
}

// The one there is: the runtime's lock is held while it runs.
Scheduler& scheduler();

}  // namespace emulator
