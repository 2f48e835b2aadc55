// standstill.cpp: nobody can go on: who waits for whom.
#include <algorithm>

#include "scheduler.h"

namespace emulator {

const char* name_of(Barrier barrier) {
  static constexpr const char* kNames[] = {"__syncthreads", "__syncthreads_or", "__syncthreads_and",
                                           "__syncthreads_count"};
  return kNames[static_cast<int>(barrier)];
}

const char* name_of(Collective collective) {
  static constexpr const char* kNames[] = {"__syncwarp",      "__shfl_sync",   "__shfl_up_sync", "__shfl_down_sync",
                                           "__shfl_xor_sync", "__ballot_sync", "__any_sync",     "__all_sync"};
  return kNames[static_cast<int>(collective)];
}

std::string name_of_mask(unsigned mask) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[mask >> shift & 15];
  return text;
}

std::string Scheduler::describe(unsigned thread) const {
  const std::string name = name_of_thread(thread);
  const Lane& lane = warps_[thread / kWarpSize].lanes[thread % kWarpSize];
  switch (states_[thread]) {
    case State::in_barrier:
      return name + " waits in " + name_of(barrier_);
    case State::in_collective:
      return name + " waits in " + name_of(lane.collective) + " with mask " + name_of_mask(lane.mask);
    case State::ended:
      return name + " has ended";
    default:
      return name + " runs";
  }
}

void Scheduler::fail_at_standstill() {
  const State *begin = states_, *end = states_ + count_;
  // A collective first: where there is one, the threads in a barrier wait for its lanes.
  const State* waiter = std::find(begin, end, State::in_collective);
  const State* other;
  if (waiter != end) {
    const auto thread = static_cast<unsigned>(waiter - states_);
    const Warp& warp = warps_[thread / kWarpSize];
    const Lane& lane = warp.lanes[thread % kWarpSize];
    const State* first = waiter - thread % kWarpSize;
    other = std::find_if(first, std::min(first + kWarpSize, end), [&](const State& state) {
      const Lane& its = warp.lanes[&state - first];
      return (lane.mask >> (&state - first) & 1) &&
             (state != State::in_collective || its.mask != lane.mask || its.collective != lane.collective);
    });
  } else {
    waiter = std::find(begin, end, State::in_barrier);
    other = std::find(begin, end, State::ended);
  }
  report(describe(static_cast<unsigned>(waiter - states_)) + ", but " +
         describe(static_cast<unsigned>(other - states_)));
  abandon(cudaErrorLaunchFailure);
}

}  // namespace emulator
