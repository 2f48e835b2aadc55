// device_run.cpp: moves a tensor through a thread's lane, tile by tile through the thread's buffers.
#include "stream/device_run.hpp"

#include <algorithm>

#include "cpu/inspect.hpp"
#include "stream/device_backend.hpp"

namespace fk {
namespace {

int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

}  // namespace

DeviceRun::DeviceRun(const MergeContext& context, const Job& job, std::span<char> slot)
    : context_(context), job_(job), slot_(slot), tiles_(context, job, false) {}

void DeviceRun::work(int64_t, TileBuffers& buffers) {
  if (merge_on_device(buffers)) return;
  const std::unique_ptr<Run> run = make_cpu_run(context_, job_, slot_);
  do
    for (int64_t unit = 0; unit < run->units(); ++unit) run->work(unit, buffers);
  while (run->advance());
}

bool DeviceRun::merge_on_device(TileBuffers& buffers) {
  DeviceLane& lane = *buffers.lane;
  const auto bytes_of = [&](const TensorRef& ref) { return aligned(job_.units() * size_of(ref.dtype)); };
  ResidentTensor resident{&job_, nullptr, std::vector<const void*>(job_.inputs.size()), nullptr};
  int64_t bytes = bytes_of(job_.out) + (job_.base ? bytes_of(*job_.base) : 0);
  for (const TensorRef& input : job_.inputs) bytes += bytes_of(input);
  const int64_t workspace = context_.backend->workspace_bytes(context_.call, {resident});
  char* const memory = lane.reserve(bytes + workspace);
  if (!memory) return false;

  char* free = memory;
  const auto place = [&](const TensorRef& ref) {
    char* const placed = free;
    free += bytes_of(ref);
    return placed;
  };
  char* const out = place(job_.out);
  resident.out = out;
  if (job_.base) {
    char* const base = place(*job_.base);
    upload(*job_.base, base, buffers);
    resident.base = base;
  }
  for (size_t k = 0; k < job_.inputs.size(); ++k) {
    char* const input = place(job_.inputs[k]);
    upload(job_.inputs[k], input, buffers);
    resident.inputs[k] = input;
  }
  int64_t peak = 0;
  lane.merge(context_.call, {resident}, free, &peak);
  lane.wait();
  if (overflows(job_.out.dtype, peak)) return false;

  const int64_t size = size_of(job_.out.dtype);
  for (int64_t tile = 0; tile < tiles_.count(); ++tile) {
    const Tiles::Range range = tiles_.range(tile);
    char* const here = tiles_.output(tile, buffers);
    lane.download(here, out + range.first * size, range.n * size);
    lane.wait();
    tiles_.write(range, here);
  }
  return true;
}

// Two buffers in turn: one is read into while the other is copied from.
void DeviceRun::upload(const TensorRef& ref, char* to, TileBuffers& buffers) {
  const int64_t size = size_of(ref.dtype);
  for (int64_t tile = 0; tile < tiles_.count(); ++tile) {
    const Tiles::Range range = tiles_.range(tile);
    char* const scratch = tile % 2 ? buffers.output : buffers.inputs[0];
    if (tile >= 2) buffers.lane->wait();
    const char* const here = tiles_.read(ref, range, scratch);
    buffers.lane->upload(to + range.first * size, here, range.n * size);
  }
  buffers.lane->wait();
}

}  // namespace fk
