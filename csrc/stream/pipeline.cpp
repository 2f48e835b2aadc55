// pipeline.cpp: the threads of a merge, fed from one queue of tiles.
#include "stream/pipeline.hpp"

#include <fcntl.h>

#include <chrono>
#include <thread>
#include <utility>

#include "stream/device_lanes.hpp"
#include "stream/schedule.hpp"

namespace fk {
namespace {

using Clock = std::chrono::steady_clock;

TileBuffers cut_buffers(const WorkspacePlan& plan, char* from) {
  TileBuffers buffers;
  const auto take = [&](int64_t bytes) { return std::exchange(from, from + bytes); };
  for (int i = 0; i < plan.most_inputs; ++i) buffers.inputs.push_back(take(plan.tile_bytes));
  buffers.output = take(plan.tile_bytes);
  for (int i = 1; i < plan.most_inputs; ++i) buffers.masks.push_back(reinterpret_cast<uint8_t*>(take(plan.mask_bytes)));
  buffers.stored_masks.resize(buffers.masks.size());
  buffers.row = take(plan.row_bytes);
  buffers.found = take(plan.found_bytes);
  buffers.scratch = from;
  buffers.loaded.resize(static_cast<size_t>(plan.most_inputs));
  return buffers;
}

int64_t total_bytes(const MergeCall& call) {
  int64_t bytes = 0;
  for (const Job& job : call.jobs) bytes += job.bytes();
  return bytes;
}

}  // namespace

MergeOutcome run_merge(const MergeCall& call, char* workspace, MergeRecord& record, const Observer& observe) {
  const auto start = Clock::now();
  MergeOutcome outcome{0, choose_isa(call.isa), plan_workspace(call)};
  const WorkspacePlan& plan = outcome.plan;
  for (const Buffer& buffer : call.buffers)
    if (buffer.is_file()) posix_fadvise(buffer.file, 0, 0, POSIX_FADV_SEQUENTIAL);

  MergeContext context{call, plan, outcome.isa, record};
  const DeviceLanes lanes(call, plan, workspace);
  context.backend = lanes.backend();
  Schedule schedule(context, workspace + plan.threads * plan.depth * plan.set_bytes);
  std::vector<TileBuffers> buffers;
  for (int i = 0; i < plan.threads * plan.depth; ++i) {
    buffers.push_back(cut_buffers(plan, workspace + i * plan.set_bytes));
    buffers.back().lane = lanes.of_thread(i / plan.depth, i % plan.depth);
  }
  const auto sets_of = [&](int thread) {
    return std::span(buffers).subspan(static_cast<size_t>(thread * plan.depth), static_cast<size_t>(plan.depth));
  };

  constexpr int64_t kWorthThreads = 1 << 20;
  if (total_bytes(call) < kWorthThreads && call.devices.size() < 2) {
    schedule.run_worker(sets_of(0));
  } else {
    std::vector<std::jthread> threads;  // joined on every way out
    for (int i = 0; i < plan.threads; ++i)
      threads.emplace_back([&schedule, own = sets_of(i)] { schedule.run_worker(own); });
    while (!schedule.wait_finished()) {
      try {
        if (observe) observe(record);
      } catch (...) {
        schedule.fail(std::current_exception());
      }
    }
  }
  schedule.rethrow();
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return outcome;
}

}  // namespace fk
