// resident_run.cpp: moves whole tensors through a lane: many at once through a buffer, or one piece by piece.
#include "stream/resident_run.hpp"

#include <algorithm>
#include <cstring>

#include "cpu/inspect.hpp"
#include "stream/selection.hpp"

namespace fk {
namespace {

int64_t bytes_of(const Job& job, const TensorRef* ref) {
  return ref ? on_device(job.units() * size_of(ref->dtype)) : 0;
}

int64_t staged_of(const std::vector<const Job*>& jobs) {
  int64_t bytes = 0;
  for (const Job* job : jobs) bytes += ResidentRun::staged_bytes(*job);
  return bytes;
}

}  // namespace

int64_t ResidentRun::staged_bytes(const Job& job) {
  int widest = std::max(size_of(job.out.dtype), job.base ? size_of(job.base->dtype) : 1);
  for (const TensorRef& input : job.inputs) widest = std::max(widest, size_of(input.dtype));
  return on_device(job.units() * widest);
}

int64_t ResidentRun::device_bytes(const MergeContext& context, const std::vector<const Job*>& jobs) {
  std::vector<ResidentTensor> tensors;
  std::vector<TensorPart> parts(jobs.size());
  std::vector<TensorFacts> facts(jobs.size());
  int64_t bytes = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = *jobs[i];
    bytes += data_bytes(job, job.units());
    tensors.push_back({&job, nullptr, std::vector<const void*>(job.inputs.size()), nullptr});
    if (!context.call.scopes_model()) continue;
    facts[i] = limits_known(context.call, job);
    parts[i] = {0, job.units(), 0, job.units(), &facts[i]};
    tensors.back().part = &parts[i];
  }
  return bytes + context.backend->workspace_bytes(context.call, tensors);
}

ResidentRun::ResidentRun(const MergeContext& context, const std::vector<const Job*>& jobs, std::span<char> slot)
    : context_(context), slot_(slot) {
  std::copy_if(jobs.begin(), jobs.end(), std::back_inserter(jobs_), [](const Job* job) { return job->units() > 0; });
  if (!context.model_cuts || jobs_.empty()) return;
  facts_ = context.model_cuts->facts(*context.call.method, jobs_[0]->count());
  for (const Job* job : jobs_) parts_.push_back({0, job->units(), 0, job->units(), &facts_});
}

ResidentRun::Refs ResidentRun::refs(const std::function<const TensorRef*(const Job&)>& choose) const {
  Refs refs;
  for (const Job* job : jobs_) refs.push_back(choose(*job));
  return refs;
}

int64_t ResidentRun::region_bytes(const std::vector<const Job*>& jobs, const Refs& refs) {
  int64_t bytes = 0;
  for (size_t i = 0; i < jobs.size(); ++i) bytes += bytes_of(*jobs[i], refs[i]);
  return bytes;
}

bool ResidentRun::is_staged() const { return staged_of(jobs_) <= context_.plan.tile_bytes; }

// A region of device memory for the outputs, one for the bases, one for each model's tensors: a copy each.
void ResidentRun::work(int64_t, TileBuffers& buffers) {
  DeviceLane& lane = *buffers.lane;
  buffers.forget();
  char* free = lane.reserve(std::max(device_bytes(context_, jobs_), context_.plan.device_tile_bytes));
  std::vector<ResidentTensor> tensors;
  for (const Job* job : jobs_) {
    tensors.push_back({job, nullptr, std::vector<const void*>(job->inputs.size()), nullptr});
    if (!parts_.empty()) tensors.back().part = &parts_[tensors.size() - 1];
  }
  const auto lay_out = [&](const Refs& of, const auto& put) {
    char* const region = free;
    for (size_t i = 0; i < jobs_.size(); ++i) {
      if (of[i]) put(tensors[i], free);
      free += bytes_of(*jobs_[i], of[i]);
    }
    return region;
  };
  const Refs outputs = refs([](const Job& job) { return &job.out; });
  char* const out = lay_out(outputs, [](ResidentTensor& tensor, char* at) { tensor.out = at; });
  const Refs bases = refs([](const Job& job) { return job.base ? &*job.base : nullptr; });
  load(bases, lay_out(bases, [](ResidentTensor& tensor, const char* at) { tensor.base = at; }), buffers.inputs[0],
       buffers);
  for (size_t k = 0; k + 1 < buffers.inputs.size(); ++k) {
    const Refs inputs = refs([k](const Job& job) { return k < job.inputs.size() ? &job.inputs[k] : nullptr; });
    load(inputs, lay_out(inputs, [k](ResidentTensor& tensor, const char* at) { tensor.inputs[k] = at; }),
         buffers.inputs[k + 1], buffers);
  }
  lane.merge(context_.call, tensors, free, reinterpret_cast<int64_t*>(buffers.found));
  if (is_staged()) lane.download(buffers.output, out, region_bytes(jobs_, outputs));
  out_ = out;
}

void ResidentRun::load(const Refs& refs, char* region, char* staging, TileBuffers& buffers) {
  if (!is_staged()) {
    if (refs[0]) load_in_pieces(*refs[0], region, buffers);
    return;
  }
  char* to = staging;
  for (size_t i = 0; i < jobs_.size(); ++i) {
    if (!refs[i]) continue;
    const int64_t units = jobs_[i]->units();
    const char* const here = Tiles(context_, *jobs_[i], false).read(*refs[i], {0, units}, to);
    if (here != to) std::memcpy(to, here, static_cast<size_t>(units * size_of(refs[i]->dtype)));
    to += bytes_of(*jobs_[i], refs[i]);
  }
  if (to != staging) buffers.lane->upload(region, staging, to - staging);
}

// Two buffers in turn: one is read into while the other is copied from.
void ResidentRun::load_in_pieces(const TensorRef& ref, char* region, TileBuffers& buffers) {
  const Tiles tiles(context_, *jobs_[0], false);
  const int64_t size = size_of(ref.dtype);
  for (int64_t tile = 0; tile < tiles.count(); ++tile) {
    const Tiles::Range range = tiles.range(tile);
    if (tile >= 2) buffers.lane->wait();
    const char* const here = tiles.read(ref, range, tile % 2 ? buffers.output : buffers.inputs[0]);
    buffers.lane->upload(region + range.first * size, here, range.n * size);
  }
  buffers.lane->wait();
}

void ResidentRun::finish(int64_t, TileBuffers& buffers) {
  buffers.lane->wait();
  const auto* const peaks = reinterpret_cast<const int64_t*>(buffers.found);
  std::vector<const Job*> overflowed;
  const char* from = buffers.output;
  for (size_t i = 0; i < jobs_.size(); ++i) {
    const Job& job = *jobs_[i];
    if (overflows(job.out.dtype, peaks[i]))
      overflowed.push_back(&job);
    else if (is_staged())
      Tiles(context_, job, false).write({0, job.units()}, from);
    else
      write_in_pieces(buffers);
    from += bytes_of(job, &job.out);
  }
  buffers.forget();
  for (const Job* job : overflowed) merge_again(*job, buffers);
}

// Two buffers in turn: one is written from while the other is copied to.
void ResidentRun::write_in_pieces(TileBuffers& buffers) {
  const Tiles tiles(context_, *jobs_[0], false);
  const int64_t size = size_of(jobs_[0]->out.dtype);
  char* const halves[] = {buffers.output, buffers.inputs[0]};
  const auto fetch = [&](int64_t tile) {
    const Tiles::Range range = tiles.range(tile);
    buffers.lane->download(halves[tile % 2], out_ + range.first * size, range.n * size);
  };
  fetch(0);
  for (int64_t tile = 0; tile < tiles.count(); ++tile) {
    buffers.lane->wait();
    if (tile + 1 < tiles.count()) fetch(tile + 1);
    tiles.write(tiles.range(tile), halves[tile % 2]);
  }
}

void ResidentRun::merge_again(const Job& job, TileBuffers& buffers) {
  const std::unique_ptr<Run> run = make_cpu_run(context_, job, slot_);
  do
    for (int64_t unit = 0; unit < run->units(); ++unit) run->work(unit, buffers);
  while (run->advance());
}

}  // namespace fk
