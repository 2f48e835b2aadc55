// device_memory.cpp: measures a GPU's memory, and what tiles need of it.
#include "stream/device_memory.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "core/error.hpp"

namespace fk {

int64_t data_bytes(const Job& job, int64_t units) {
  int64_t bytes = on_device(units * size_of(job.out.dtype));
  if (job.base) bytes += on_device(units * size_of(job.base->dtype));
  for (const TensorRef& input : job.inputs) bytes += on_device(units * size_of(input.dtype));
  return bytes;
}

TensorFacts limits_known(const MergeCall& call, const Job& job) {
  TensorFacts facts;
  const std::vector<Limit> limits(static_cast<size_t>(job.count()));
  if (trims(call.method->sparsifier)) facts.above = limits;
  if (call.method->sparsifier == Sparsifier::band) facts.ceiling = limits;
  return facts;
}

int64_t DeviceMemory::surrounding(const MergeCall& call, int64_t columns) {
  return call.devices.empty() || call.method->sparsifier != Sparsifier::ranked ? 0 : 2 * columns;
}

DeviceMemory::DeviceMemory(const MergeCall& call)
    : call_(call), backend_(device_backend()), budget_(call.device_memory_limit) {
  if (!backend_) throw DeviceError("this build of fusion_kernels has no GPU kernels");
  std::set<std::tuple<int, int64_t, bool, int64_t, int>> seen;
  for (const Job& job : call.jobs) {
    if (job.kind != Job::Kind::merge || job.units() == 0) continue;
    const int64_t columns = call.needs_rows(job) ? job.cols : 0;
    if (seen.insert({job.count(), columns, job.f64(), data_bytes(job, 4096), job.values}).second)
      kinds_.push_back(&job);
  }
}

int64_t DeviceMemory::tile_bytes(int64_t elements) const {
  int64_t most = 0;
  for (const Job* job : kinds_) {
    const int64_t units = elements + surrounding(call_, job->cols);
    const int64_t n = call_.needs_rows(*job) ? std::max(job->cols, units / job->cols * job->cols) : units;
    const TensorFacts facts = limits_known(call_, *job);
    const TensorPart part{0, n, 0, n, &facts};
    const ResidentTensor tile{job, nullptr, std::vector<const void*>(job->inputs.size()), nullptr, &part};
    most = std::max(most, data_bytes(*job, n) + backend_->part_workspace_bytes(call_, tile));
  }
  return most;
}

void settle_device_memory(MergeCall& call) {
  if (call.devices.empty() || call.device_memory_limit > 0) return;
  const DeviceBackend* const backend = device_backend();
  if (!backend) throw DeviceError("this build of fusion_kernels has no GPU kernels");
  int64_t free = INT64_MAX;
  for (const int device : call.devices) free = std::min(free, backend->free_memory(device));
  call.device_memory_limit = free - free / 8;  // others allocate too
}

}  // namespace fk
