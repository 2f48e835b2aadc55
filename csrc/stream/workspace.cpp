// workspace.cpp: how much memory a merge works in, and how it is cut.
#include "stream/workspace.hpp"
#include "core/summation.hpp"

#include <sched.h>

#include <algorithm>
#include <bit>

#include "cpu/reduce.hpp"
#include "statistics/selector.hpp"
#include "stream/device_memory.hpp"
#include "stream/gram_run.hpp"
#include "stream/masks.hpp"
#include "stream/resident_run.hpp"

namespace fk {
namespace {

constexpr int64_t kSmallestTile = kSumBlock;
constexpr int64_t kTileBudget = 4 << 20;  // bytes of all inputs and the output: larger saves calls, smaller saves cache
constexpr int64_t kDeviceTileBudget = 32 << 20;  // the same on a GPU: larger saves launches and waiting
constexpr int64_t kMostDeviceTile = 1 << 18;     // elements down to which a tile may shrink before lanes are given up
constexpr int kDeviceDepth = 2;
constexpr int64_t kAlignment = 4096;

int available_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// What the jobs ask for at most.
struct Needs {
  int models = 1, itemsize = 1, bytes_per_element = 2;
  int64_t elements = 0;              // of a tensor
  int64_t together = 0;              // bytes of small tensors that a GPU may merge at once, and more
  int64_t columns = 0;               // of a tensor whose rows must be whole
  int64_t slot = 0, least_slot = 0;  // bytes collected about a tensor under way: useful, indispensable
  int64_t column_sums = 0;           // bytes of a tensor whose columns are vectors
  bool f64 = false;
};

Needs needs_of(const MergeCall& call) {
  const Method& method = *call.method;
  const int cuts = method.sparsifier == Sparsifier::band ? 2 : 1;
  Needs needs;
  int64_t merged = 0;
  for (const Job& job : call.jobs) {
    int bytes = size_of(job.out.dtype) + (job.base ? size_of(job.base->dtype) : 0);
    needs.itemsize = std::max({needs.itemsize, size_of(job.out.dtype), job.base ? size_of(job.base->dtype) : 1});
    for (const TensorRef& input : job.inputs) {
      bytes += size_of(input.dtype);
      needs.itemsize = std::max(needs.itemsize, size_of(input.dtype));
    }
    needs.bytes_per_element = std::max(needs.bytes_per_element, bytes);
    needs.models = std::max(needs.models, job.count());
    needs.elements = std::max(needs.elements, job.units());
    if (job.kind != Job::Kind::merge) continue;
    needs.together += ResidentRun::staged_bytes(job);
    needs.f64 |= job.f64();
    merged += job.units();
    if (call.needs_rows(job)) needs.columns = std::max(needs.columns, job.cols);
    if (method.is_gram && call.axis(job) == Axis::column)
      needs.column_sums = std::max(needs.column_sums, ColumnGramRun::bytes(job));
    if (trims(method.sparsifier) && !call.scopes_model())
      needs.slot = std::max(needs.slot, cuts * job.count() * Selector::wanted_entries(job.units()) * 8);
    if (is_masked(method.sparsifier) && call.measures_mass(job))
      needs.slot = std::max(needs.slot, Masks::stored_bytes(job));
  }
  if (call.scopes_model())
    needs.slot = cuts * needs.models * Selector::wanted_entries(merged) * 8;  // shared out among the slots below
  if (trims(method.sparsifier)) needs.least_slot = std::min(needs.slot / cuts, needs.models * Selector::kUnsampled * 8);
  needs.least_slot = std::max(needs.least_slot, needs.column_sums);
  needs.slot = std::max(needs.slot, needs.column_sums);
  return needs;
}

[[noreturn]] void fail(const MergeCall& call, const Needs& needs, int64_t least) {
  std::string rows;
  if (needs.columns > 0)
    for (const Job& job : call.jobs)
      if (call.needs_rows(job) && job.cols == needs.columns) {
        rows =
            " (tensor '" + job.name + "' has rows of " + std::to_string(job.cols) + " elements, which are taken whole)";
        break;
      }
  throw InvalidArgument("memory_limit is " + std::to_string(call.memory_limit) + " bytes; method '" +
                        call.method->info->name + "' with " + std::to_string(needs.models) + " models needs at least " +
                        std::to_string(least) + rows);
}

// What a GPU can find out about a tile, or about tensors that are merged together.
int64_t found_bytes(const MergeCall& call, int models) {
  if (call.devices.empty()) return 0;
  const DeviceBackend* const backend = device_backend();
  if (!backend) throw DeviceError("this build of fusion_kernels has no GPU kernels");
  return aligned(std::max(
      {backend->scan_bytes(2 * models), pair_count(models) * int64_t{8}, static_cast<int64_t>(kMostTogether) * 8}));
}

// Smaller tiles, then fewer lanes, until the GPUs' memory holds what is under way on them.
void fit_device(const MergeCall& call, int64_t least_tile, WorkspacePlan& plan) {
  if (call.devices.empty()) return;
  const DeviceMemory memory(call);
  const int gpus = static_cast<int>(call.devices.size());
  const auto share = [&] { return memory.budget() / ((plan.threads + gpus - 1) / gpus * plan.depth) / 256 * 256; };
  const auto fits = [&] { return (plan.device_tile_bytes = memory.tile_bytes(plan.tile_elements)) <= share(); };
  const bool may_shrink = call.tile_elements == 0;
  while (!fits() && may_shrink && plan.tile_elements > std::max(least_tile, kMostDeviceTile)) plan.tile_elements /= 2;
  while (!fits() && plan.threads > gpus) --plan.threads;
  while (!fits() && may_shrink && plan.tile_elements > least_tile) plan.tile_elements /= 2;
  if (!fits()) plan.depth = 1;
  plan.device_bytes = share();
  if (!fits())
    throw InvalidArgument("device_memory_limit is " + std::to_string(memory.budget()) + " bytes; method '" +
                          call.method->info->name + "' needs at least " + std::to_string(plan.device_tile_bytes) +
                          " of each GPU for these tensors");
}

}  // namespace

WorkspacePlan plan_workspace(const MergeCall& call) {
  const Needs needs = needs_of(call);
  const bool has_masks = is_masked(call.method->sparsifier) || call.method->has("rescale");
  WorkspacePlan plan{};
  const bool on_gpu = !call.devices.empty();
  plan.depth = on_gpu ? kDeviceDepth : 1;
  plan.found_bytes = found_bytes(call, needs.models);
  plan.most_inputs = needs.models + 1;
  plan.row_bytes =
      call.method->sparsifier == Sparsifier::ranked ? aligned(rank_row_bytes(needs.columns, needs.f64)) : 0;
  const int64_t scratch = aligned(std::max(fold_scratch_bytes(needs.models), gram_scratch_bytes(needs.models)));
  const auto mask_bytes = [&](int64_t tile) { return has_masks ? aligned(tile / 8) : 0; };
  const auto tile_bytes = [&](int64_t tile) {
    return aligned((tile + DeviceMemory::surrounding(call, needs.columns)) * needs.itemsize);
  };
  const auto set_bytes = [&](int64_t tile) {
    return (plan.most_inputs + 1) * tile_bytes(tile) + needs.models * mask_bytes(tile) + plan.row_bytes +
           plan.found_bytes + scratch;
  };

  plan.tile_elements = call.tile_elements;
  if (plan.tile_elements == 0)
    plan.tile_elements =
        std::max<int64_t>(kSmallestTile, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(
                                             (on_gpu ? kDeviceTileBudget : kTileBudget) / needs.bytes_per_element))));
  if (plan.tile_elements % kSmallestTile || !std::has_single_bit(static_cast<uint64_t>(plan.tile_elements)))
    throw InvalidArgument("tile_elements is " + std::to_string(plan.tile_elements) +
                          "; expected 4096 times a power of two");
  const auto power_of_two = [](int64_t n) {
    return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max(n, kSmallestTile))));
  };
  // A vector's row must lie within a tile; a row that is ranked had better, or it is ranked for each of its tiles.
  const int64_t row_tile = power_of_two(needs.columns);
  const int64_t least_tile = call.method->is_gram ? row_tile : kSmallestTile;
  const int64_t most_elements = on_gpu ? std::max(needs.elements, needs.together) : needs.elements;
  plan.tile_elements = std::max(std::min(plan.tile_elements, power_of_two(most_elements)),
                                call.tile_elements == 0 ? row_tile : least_tile);
  plan.threads = call.threads > 0 ? call.threads : available_cores();
  plan.threads = static_cast<int>(std::clamp<int64_t>(plan.threads, 1, 1024));
  plan.threads = std::max(plan.threads, static_cast<int>(call.devices.size()));

  // A page less: a workspace the caller owns need not start on one.
  const int64_t limit = call.memory_limit > 0 ? call.memory_limit - kAlignment : INT64_MAX;
  const auto needed = [&] {
    return plan.threads * plan.depth * (set_bytes(plan.tile_elements) + needs.least_slot) + needs.least_slot;
  };
  while (needed() > limit && plan.tile_elements > least_tile && call.tile_elements == 0) plan.tile_elements /= 2;
  while (needed() > limit && plan.threads > std::max<int>(1, static_cast<int>(call.devices.size()))) --plan.threads;
  if (needed() > limit) plan.depth = 1;
  if (needed() > limit) fail(call, needs, needed() + kAlignment);
  fit_device(call, least_tile, plan);
  plan.tile_bytes = tile_bytes(plan.tile_elements);
  plan.mask_bytes = mask_bytes(plan.tile_elements);
  plan.set_bytes = set_bytes(plan.tile_elements);
  plan.slots = plan.threads * plan.depth + 1;
  const int64_t wanted = call.scopes_model() ? std::max(needs.slot / plan.slots, needs.least_slot) : needs.slot;
  const int64_t room = (limit - plan.threads * plan.depth * plan.set_bytes) / plan.slots / kAlignment * kAlignment;
  plan.slot_bytes = std::min(aligned(wanted), std::max(room, int64_t{0}));
  return plan;
}

}  // namespace fk
