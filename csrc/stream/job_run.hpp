// job_run.hpp: one tensor under way: its passes, cut in units of work that any thread may take.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "cpu/inspect.hpp"
#include "cpu/reduce.hpp"
#include "cpu/select.hpp"
#include "stream/workspace.hpp"

namespace fk {

// What a merge tells while it runs, and what it found.
struct MergeRecord {
  std::atomic<int64_t> bytes_read{0}, bytes_written{0}, tensors_done{0};
  std::mutex mutex;
  std::string tensor;  // the latest one begun
  std::map<std::string, int64_t> saturated, nonfinite_inputs;
};

// A thread's tiles. What the last tile left here is found again by the next pass over the same tile.
struct TileBuffers {
  std::vector<char*> inputs;  // base first
  char* output;
  void* scratch;
  const void* owner = nullptr;
  int64_t tile = -1;
  std::vector<const void*> loaded;  // null: not read for this tile
};

struct MergeContext {
  const MergeCall& call;
  const WorkspacePlan& plan;
  Isa isa;
  MergeRecord& record;
};

class JobRun {
 public:
  JobRun(const MergeContext& context, const Job& job, char* slot);

  const Job& job() const { return job_; }
  int64_t units() const { return units_; }  // of the current pass
  void work(int64_t unit, TileBuffers& buffers);
  bool advance();  // when every unit is done: the next pass, or false after the last

 private:
  enum class Phase { sample, scan, gram, output };

  int64_t tiles() const;
  std::pair<int64_t, int64_t> tile_range(int64_t tile) const;  // first element, number of elements
  const void* load(const TensorRef& ref, int slot, int64_t tile, TileBuffers& buffers) const;
  const void* load_base(int64_t tile, TileBuffers& buffers) const;
  const void* load_input(int k, int64_t tile, TileBuffers& buffers) const;

  void start_selection(char* slot);
  void start_scan();
  void finish_selection();
  void finish_gram();
  void sample();
  void scan(int64_t tile, TileBuffers& buffers);
  void gram(int64_t tile, TileBuffers& buffers);
  void fold(int64_t tile, TileBuffers& buffers);
  void fold_part(FoldCall part, const FoldParameters& parameters, int64_t first);
  void copy(int64_t tile, TileBuffers& buffers);
  void write(int64_t first, int64_t n, const char* from);

  const MergeContext& context_;
  const Job& job_;
  Phase phase_ = Phase::output;
  int64_t units_ = 0;
  FoldParameters parameters_;
  std::vector<std::unique_ptr<Selector>> selectors_;  // null: everything is kept
  std::vector<double> gram_sums_;                     // per tile
};

}  // namespace fk
