// run.cpp: picks the passes a tensor needs, from its kind and its method.
#include "stream/run.hpp"

#include <cstring>

#include "stream/device_fold.hpp"
#include "stream/device_gram.hpp"
#include "stream/resident_run.hpp"

namespace fk {
namespace {

// The bytes of the first input, once the others (of Job::Kind::equal) have proved to be the same.
class CopyRun : public Run {
 public:
  CopyRun(const MergeContext& context, const Job& job) : tiles_(context, job, false) {}
  int64_t units() const override { return tiles_.count(); }
  bool advance() override { return false; }

  void work(int64_t tile, TileBuffers& buffers) override {
    const Job& job = tiles_.job();
    const Tiles::Range range = tiles_.range(tile);
    const void* const from = tiles_.input(0, tile, buffers);
    for (int k = 1; job.kind == Job::Kind::equal && k < job.count(); ++k)
      if (std::memcmp(from, tiles_.input(k, tile, buffers), static_cast<size_t>(range.n)) != 0)
        throw InvalidArgument("tensor '" + job.name + "' (" + std::string(info(job.out.dtype).code) +
                              ") differs between input 0 and input " + std::to_string(k) +
                              "; integers are not merged: they must be equal, or be taken from the base with "
                              "on_unequal_integers='base'");
    tiles_.write(range, static_cast<const char*>(from));
  }

 private:
  Tiles tiles_;
};

}  // namespace

std::unique_ptr<Run> make_run(const MergeContext& context, const Assignment& assignment, std::span<char> slot) {
  if (assignment.place == Assignment::Place::resident)
    return std::make_unique<ResidentRun>(context, assignment.jobs, slot);
  const Job& job = *assignment.jobs[0];
  if (assignment.place == Assignment::Place::processor) return make_cpu_run(context, job, slot);
  if (!context.call.method->is_gram) return std::make_unique<DeviceFoldRun>(context, job, slot);
  switch (context.call.axis(job)) {
    case Axis::row:
      return std::make_unique<DeviceRowGramRun>(context, job);
    case Axis::column:
      return std::make_unique<DeviceColumnGramRun>(context, job);
    default:
      return std::make_unique<DeviceGramRun>(context, job);
  }
}

std::unique_ptr<Run> make_cpu_run(const MergeContext& context, const Job& job, std::span<char> slot) {
  if (job.kind != Job::Kind::merge) return std::make_unique<CopyRun>(context, job);
  if (!context.call.method->is_gram) return std::make_unique<FoldRun>(context, job, slot);
  switch (context.call.axis(job)) {
    case Axis::row:
      return std::make_unique<RowGramRun>(context, job);
    case Axis::column:
      return std::make_unique<ColumnGramRun>(context, job);
    default:
      return std::make_unique<GramRun>(context, job);
  }
}

}  // namespace fk
