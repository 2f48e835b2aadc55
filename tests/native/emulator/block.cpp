// block.cpp: one block after the other, one thread until it waits or ends, then the next.
#include "block.h"

#include <algorithm>
#include <cfenv>
#include <exception>
#include <new>
#include <numeric>
#include <utility>

#include "guarded.h"
#include "scheduler.h"
#include "trap.h"

namespace emulator {
namespace {

constexpr size_t kMaxSharedBytes = 227 * 1024;
constinit Scheduler the_scheduler;

uint64_t volume(const dim3& sizes) { return uint64_t{sizes.x} * sizes.y * sizes.z; }

std::string text_of(const uint3& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

uint3 index_in(const dim3& sizes, uint64_t number) {
  return {static_cast<unsigned>(number % sizes.x), static_cast<unsigned>(number / sizes.x % sizes.y),
          static_cast<unsigned>(number / sizes.x / sizes.y)};
}

}  // namespace

Scheduler& scheduler() { return the_scheduler; }

uint64_t Scheduler::random() {  // splitmix64
  uint64_t z = random_state_ += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

void Scheduler::prepare(const KernelCall& call) {
  call_ = &call;
  error_ = cudaSuccess;
  count_ = static_cast<unsigned>(volume(call.block));
  gridDim = call.grid;
  blockDim = call.block;
  if (block_dim_.x != call.block.x || block_dim_.y != call.block.y || block_dim_.z != call.block.z) {
    block_dim_ = {call.block.x, call.block.y, call.block.z};
    for (unsigned thread = 0; thread < count_; ++thread) indices_[thread] = index_in(call.block, thread);
  }
}

void Scheduler::order_threads() {
  if (order_ != Order::random && order_ == sequence_order_ && count_ == sequence_count_) return;
  sequence_order_ = order_;
  sequence_count_ = count_;
  for (unsigned thread = 0; thread < count_; ++thread)
    sequence_[thread] = static_cast<uint16_t>(order_ == Order::reverse ? count_ - 1 - thread : thread);
  flip_ = order_ == Order::reverse ? kWarpSize - 1 : 0;
  if (order_ != Order::random) return;
  flip_ = static_cast<unsigned>(random() % kWarpSize);
  for (unsigned last = count_; last > 1; --last) std::swap(sequence_[last - 1], sequence_[random() % last]);
}

void Scheduler::run_block() {
  order_threads();
  std::fill_n(states_, count_, State::not_begun);
  for (unsigned warp = 0; warp * kWarpSize < count_; ++warp) {
    const unsigned lanes = count_ - warp * kWarpSize;  // those that the block does not have will never come
    warps_[warp].waiting = 0;
    warps_[warp].ended = lanes < kWarpSize ? ~0u << lanes : 0;
  }
  begun_ = ended_ = arrived_ = predicates_ = ready_count_ = 0;
  running_ = &fibers_.take();
  switch_context(home_, *running_);
}

cudaError_t Scheduler::run_grid(const KernelCall& call, const void* arguments, Order order, uint64_t seed) {
  arguments_ = arguments;
  order_ = order;
  random_state_ = seed;
  prepare(call);
  // The host thread may have set other modes of arithmetic than a kernel has.
  std::fenv_t host_environment;
  std::fegetenv(&host_environment);
  std::fesetenv(FE_DFL_ENV);
  const uint64_t blocks = volume(call.grid);
  uint64_t first = 0, step = 1;
  if (order == Order::reverse) first = step = blocks - 1;
  if (order == Order::random) {
    first = random() % blocks;
    do step = random() % blocks;
    while (std::gcd(step, blocks) != 1);
  }
  set_trap(true);
  for (uint64_t i = 0; i < blocks && error_ == cudaSuccess; ++i) {
    blockIdx = index_in(call.grid, (first + i * step) % blocks);
    run_block();
  }
  set_trap(false);
  std::fesetenv(&host_environment);
  if (error_ == cudaSuccess) return cudaSuccess;
  fibers_.restart_all();
  if (const std::string trapped = describe_trap(); !trapped.empty()) report(name_of_current() + " " + trapped);
  return std::exchange(error_, cudaSuccess);
}

inline void Scheduler::begin_next() {
  current_ = sequence_[begun_++];
  states_[current_] = State::runs;
  threadIdx = indices_[current_];
}

// Returns when there is a thread to begin on this stack.
inline void Scheduler::end_current() {
  states_[current_] = State::ended;
  warps_[current_ / kWarpSize].ended |= 1u << current_ % kWarpSize;
  ++ended_;
  if (ready_count_ == 0 && begun_ < count_) return;
  if (ready_count_ == 0 && ended_ < count_) fail_at_standstill();
  fibers_.give_back(*running_);
  go_to(ready_count_ > 0 ? *stacks_[ready_[--ready_count_]] : home_);
}

void Scheduler::run_threads() {
  Scheduler& self = the_scheduler;
  for (;;) {
    self.begin_next();
    try {
      self.call_->run(self.call_->kernel, self.arguments_);
    } catch (const std::exception& thrown) {
      report(self.name_of_current() + " threw an exception: " + thrown.what());
      self.error_ = cudaErrorLaunchFailure;
    } catch (...) {
      report(self.name_of_current() + " threw something");
      self.error_ = cudaErrorLaunchFailure;
    }
    if (self.error_ != cudaSuccess) self.abandon(self.error_);
    self.end_current();
  }
}

unsigned Scheduler::wait_for_block(Barrier barrier, bool predicate) {
  if (arrived_ == 0) {
    barrier_ = barrier;
  } else if (barrier_ != barrier) {
    const auto* other = std::find(states_, states_ + count_, State::in_barrier);
    report(name_of_current() + " waits in " + name_of(barrier) + ", but " +
           describe(static_cast<unsigned>(other - states_)));
    abandon(cudaErrorLaunchFailure);
  }
  predicates_ += predicate;
  if (++arrived_ == count_) {
    // Nobody gets to the next barrier's end before all have read the result of this one.
    result_ = std::exchange(predicates_, 0);
    arrived_ = 0;
    for (unsigned place = count_; place-- > 0;) let_go(sequence_[place]);
  }
  wait(State::in_barrier);
  return result_;
}

void Scheduler::abandon(cudaError_t error) {
  error_ = error;
  switch_context(*running_, home_);
  __builtin_unreachable();
}

unsigned wait_for_block(Barrier barrier, bool predicate) { return the_scheduler.wait_for_block(barrier, predicate); }

cudaError_t run_grid(const KernelCall& call, const void* arguments, Order order, uint64_t seed) {
  return the_scheduler.run_grid(call, arguments, order, seed);
}

cudaError_t check_sizes(const KernelCall& call) {
  const dim3 &grid = call.grid, &block = call.block;
  if (volume(block) == 0 || volume(block) > kMaxThreads || block.z > 64) return cudaErrorInvalidConfiguration;
  if (volume(grid) == 0 || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
    return cudaErrorInvalidConfiguration;
  return call.shared_bytes > kMaxSharedBytes ? cudaErrorInvalidValue : cudaSuccess;
}

void* Scheduler::dynamic_shared() {
  static const Buffer* const memory = make_buffer(kMaxSharedBytes, kSharedMemory);
  if (!memory) throw std::bad_alloc();
  return memory->begin + (kMaxSharedBytes - (call_->shared_bytes + 15) / 16 * 16);
}

void* dynamic_shared() { return the_scheduler.dynamic_shared(); }

std::string Scheduler::name_of_thread(unsigned thread) const {
  return "thread " + text_of(indices_[thread]) + " of block " + text_of(blockIdx);
}

}  // namespace emulator
