// warp.cpp: a lane hands in its value and waits; the last one of a mask gives every lane what it asked for.
#include "warp.h"

#include <bit>

#include "scheduler.h"

namespace emulator {
namespace {

bool is_shuffle(Collective collective) {
  return collective >= Collective::shuffle && collective <= Collective::shuffle_xor;
}

// Beyond its part of the warp, a shuffle gets its own value. A GPU looks at the low five bits of the offset.
unsigned source_of(Collective collective, unsigned lane, unsigned offset, unsigned width) {
  const unsigned first = lane & ~(width - 1), last = lane | (width - 1), distance = offset % kWarpSize;
  switch (collective) {
    case Collective::shuffle:
      return first | (offset & (width - 1));
    case Collective::shuffle_up:
      return lane >= first + distance ? lane - distance : lane;
    case Collective::shuffle_down:
      return lane + distance <= last ? lane + distance : lane;
    case Collective::shuffle_xor:
      return (lane ^ distance) <= last ? lane ^ distance : lane;
    default:
      return lane;
  }
}

}  // namespace

// Apart from check_mask(), whose stack is not unwound.
void Scheduler::report_misuse(const Warp& warp, Collective collective, unsigned mask, int width) const {
  const unsigned lane = current_ % kWarpSize, ended = mask & warp.ended;
  std::string problem;
  if (!(mask >> lane & 1)) {
    problem = "does not name its own lane " + std::to_string(lane);
  } else if (ended) {
    const unsigned gone = static_cast<unsigned>(std::countr_zero(ended)), thread = current_ - lane + gone;
    problem = "names lane " + std::to_string(gone) + ", which " +
              (thread < count_ ? "has ended: " + name_of_thread(thread) : "the block does not have");
  } else {
    problem = "comes with a width of " + std::to_string(width) + ", which is no power of two up to 32";
  }
  report(name_of_current() + " calls " + name_of(collective) + " with mask " + name_of_mask(mask) + ", which " +
         problem);
}

void Scheduler::check_mask(const Warp& warp, Collective collective, unsigned mask, int width) {
  const bool is_width = std::has_single_bit(static_cast<unsigned>(width)) && width <= static_cast<int>(kWarpSize);
  if ((mask >> current_ % kWarpSize & 1) && !(mask & warp.ended) && is_width) return;
  report_misuse(warp, collective, mask, width);
  abandon(cudaErrorLaunchFailure);
}

// Lanes of the mask may still be in a collective of another mask, that ends without this lane.
bool Scheduler::is_complete(const Warp& warp, Collective collective, unsigned mask) const {
  if (mask & ~warp.waiting) return false;
  for (unsigned rest = mask; rest; rest &= rest - 1) {
    const Lane& lane = warp.lanes[std::countr_zero(rest)];
    if (lane.mask != mask || lane.collective != collective) return false;
  }
  return true;
}

void Scheduler::complete(Warp& warp, Collective collective, unsigned mask) {
  const unsigned first_thread = static_cast<unsigned>(&warp - warps_) * kWarpSize;
  uint64_t votes = 0;
  for (unsigned rest = mask; rest; rest &= rest - 1)
    if (warp.lanes[std::countr_zero(rest)].value) votes |= rest & -rest;
  warp.waiting &= ~mask;
  for (unsigned place = kWarpSize; place-- > 0;) {
    const unsigned number = place ^ flip_;
    if (!(mask >> number & 1)) continue;
    Lane& lane = warp.lanes[number];
    lane.result = is_shuffle(collective) ? warp.lanes[lane.source].value : votes;
    let_go(first_thread + number);
    if (mask >> lane.source & 1) continue;
    report(name_of_thread(first_thread + number) + " reads lane " + std::to_string(lane.source) + " in " +
           name_of(collective) + ", which its mask " + name_of_mask(mask) + " does not name");
    abandon(cudaErrorLaunchFailure);
  }
}

uint64_t Scheduler::collect(Collective collective, unsigned mask, uint64_t value, unsigned offset, int width) {
  const unsigned number = current_ % kWarpSize;
  Warp& warp = warps_[current_ / kWarpSize];
  check_mask(warp, collective, mask, width);
  const unsigned source = source_of(collective, number, offset, static_cast<unsigned>(width));
  warp.lanes[number] = {value, 0, mask, collective, static_cast<uint8_t>(source)};
  warp.waiting |= 1u << number;
  if (is_complete(warp, collective, mask)) complete(warp, collective, mask);
  wait(State::in_collective);
  return warp.lanes[number].result;
}

uint64_t collect(Collective collective, unsigned mask, uint64_t value, unsigned offset, int width) {
  return scheduler().collect(collective, mask, value, offset, width);
}

}  // namespace emulator
