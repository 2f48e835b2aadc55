// assignments.cpp: small tensors together, large ones whole where that saves reading them twice, the others by tiles.
#include "stream/assignments.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "stream/resident_run.hpp"

namespace fk {
namespace {

// Whether statistics come before the result: a tensor that does not stay is then read more than once.
bool reads_twice(const MergeCall& call, const Job& job) {
  if (call.method->is_gram) return call.axis(job) != Axis::row;
  return (trims(call.method->sparsifier) && !call.scopes_model()) || call.measures_mass(job);
}

class Assigner {
 public:
  explicit Assigner(const MergeContext& context) : context_(context), call_(context.call) {
    for (const Job& job : call_.jobs)
      if (job.kind == Job::Kind::merge) merged_bytes_ += job.bytes();
  }

  std::vector<Assignment> assign() {
    for (const Job& job : call_.jobs) {
      if (job.kind != Job::Kind::merge)
        done_.push_back({Assignment::Place::processor, {&job}});
      else if (ResidentRun::staged_bytes(job) <= context_.plan.tile_bytes && fits(job))
        gather(job);
      else if (reads_twice(call_, job) && !is_shared(job) && fits(job))
        done_.push_back({Assignment::Place::resident, {&job}});
      else
        done_.push_back({Assignment::Place::tiled, {&job}});
    }
    close();
    return std::move(done_);
  }

 private:
  // Data and workspace of a tensor that is whole in a GPU's memory.
  int64_t resident_bytes(const Job& job) {
    const auto kind = std::tuple(job.rows, job.cols, job.count(), job.values, data_bytes(job, job.units()));
    const auto [known, is_new] = bytes_of_.try_emplace(kind, 0);
    if (is_new) known->second = ResidentRun::device_bytes(context_, {&job});
    return known->second;
  }
  bool fits(const Job& job) { return resident_bytes(job) <= context_.plan.device_bytes; }

  // A tensor that would keep one GPU busy while the others have nothing left.
  bool is_shared(const Job& job) const {
    return call_.devices.size() > 1 && job.bytes() * 4 > merged_bytes_ / context_.plan.threads;
  }

  // Memory of several tensors is no more than that of each added up.
  void gather(const Job& job) {
    const int64_t bytes = resident_bytes(job), staged = ResidentRun::staged_bytes(job);
    if (gathered_bytes_ + bytes > context_.plan.device_bytes || staged_ + staged > context_.plan.tile_bytes ||
        gathered_.size() == kMostTogether)
      close();
    gathered_.push_back(&job);
    gathered_bytes_ += bytes;
    staged_ += staged;
  }
  void close() {
    if (!gathered_.empty()) done_.push_back({Assignment::Place::resident, std::move(gathered_)});
    gathered_.clear();
    gathered_bytes_ = staged_ = 0;
  }

  const MergeContext& context_;
  const MergeCall& call_;
  int64_t merged_bytes_ = 0;
  std::map<std::tuple<int64_t, int64_t, int, int, int64_t>, int64_t> bytes_of_;
  std::vector<Assignment> done_;
  std::vector<const Job*> gathered_;
  int64_t gathered_bytes_ = 0, staged_ = 0;
};

}  // namespace

std::vector<Assignment> assign(const MergeContext& context) {
  if (context.backend) return Assigner(context).assign();
  std::vector<Assignment> each;
  for (const Job& job : context.call.jobs) each.push_back({Assignment::Place::processor, {&job}});
  return each;
}

}  // namespace fk
