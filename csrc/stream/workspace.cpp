// workspace.cpp: how much memory a merge works in, and how it is cut.
#include "stream/workspace.hpp"

#include <sched.h>

#include <algorithm>
#include <bit>

#include "cpu/reduce.hpp"
#include "statistics/selector.hpp"

namespace fk {
namespace {

constexpr int64_t kSmallestTile = kSumBlock;
constexpr int64_t kTileBudget = 2 << 20;  // bytes of all inputs and the output: larger saves calls, smaller saves cache
constexpr int64_t kAlignment = 4096;

int available_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

WorkspacePlan plan_workspace(const MergeCall& call) {
  WorkspacePlan plan{};
  int most_models = 1, itemsize = 1, bytes_per_element = 2;
  int64_t largest = 0, wanted_slot = 0;
  for (const Job& job : call.jobs) {
    int bytes = size_of(job.out.dtype) + (job.base ? size_of(job.base->dtype) : 0);
    itemsize = std::max({itemsize, size_of(job.out.dtype), job.base ? size_of(job.base->dtype) : 1});
    for (const TensorRef& input : job.inputs) {
      bytes += size_of(input.dtype);
      itemsize = std::max(itemsize, size_of(input.dtype));
    }
    bytes_per_element = std::max(bytes_per_element, bytes);
    most_models = std::max(most_models, job.count());
    largest = std::max(largest, job.units());
    if (job.kind == Job::Kind::merge && call.method->trims_by)
      wanted_slot = std::max(wanted_slot, job.count() * Selector::wanted_entries(job.units()) * 8);
  }
  plan.most_inputs = most_models + 1;
  const int64_t scratch = aligned(std::max(fold_scratch_bytes(most_models), gram_scratch_bytes(most_models)));
  const auto thread_bytes = [&](int64_t tile) { return (plan.most_inputs + 1) * aligned(tile * itemsize) + scratch; };

  plan.tile_elements = call.tile_elements;
  if (plan.tile_elements == 0)
    plan.tile_elements = std::max<int64_t>(
        kSmallestTile, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(kTileBudget / bytes_per_element))));
  if (plan.tile_elements % kSmallestTile || !std::has_single_bit(static_cast<uint64_t>(plan.tile_elements)))
    throw InvalidArgument("tile_elements is " + std::to_string(plan.tile_elements) +
                          "; expected 4096 times a power of two");
  const auto fit = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max(largest, kSmallestTile))));
  plan.tile_elements = std::min(plan.tile_elements, fit);
  plan.threads = call.threads > 0 ? call.threads : available_cores();
  plan.threads = static_cast<int>(std::clamp<int64_t>(plan.threads, 1, 1024));

  // What must be there at all: one slot's smallest buffer beside one thread's tiles.
  const int64_t least_slot = wanted_slot ? std::min(wanted_slot, most_models * Selector::kUnsampled * 8) : 0;
  // A page less: a workspace the caller owns need not start on one.
  const int64_t limit = call.memory_limit > 0 ? call.memory_limit - kAlignment : INT64_MAX;
  const auto needed = [&] { return plan.threads * (thread_bytes(plan.tile_elements) + least_slot) + least_slot; };
  while (needed() > limit && plan.tile_elements > kSmallestTile && call.tile_elements == 0) plan.tile_elements /= 2;
  while (needed() > limit && plan.threads > 1) --plan.threads;
  if (needed() > limit)
    throw InvalidArgument("memory_limit is " + std::to_string(call.memory_limit) + " bytes; method '" +
                          call.method->info->name + "' with " + std::to_string(most_models) +
                          " models needs at least " + std::to_string(needed() + kAlignment));
  plan.tile_bytes = aligned(plan.tile_elements * itemsize);
  plan.thread_bytes = thread_bytes(plan.tile_elements);
  plan.slots = plan.threads + 1;
  const int64_t room = (limit - plan.threads * plan.thread_bytes) / plan.slots / kAlignment * kAlignment;
  plan.slot_bytes = std::min(aligned(wanted_slot), std::max(room, int64_t{0}));
  return plan;
}

}  // namespace fk
