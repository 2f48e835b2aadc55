// tiles.hpp: one tensor cut in tiles, and the reading of them.
#pragma once
#include <atomic>
#include <map>
#include <mutex>

#include "cpu/deltas.hpp"
#include "stream/workspace.hpp"

namespace fk {

// What a merge tells while it runs, and what it found.
struct MergeRecord {
  std::atomic<int64_t> bytes_read{0}, bytes_written{0}, tensors_done{0};
  std::mutex mutex;
  std::string tensor;  // the latest one begun
  std::map<std::string, int64_t> saturated, nonfinite_inputs;
};

class DeviceLane;

// A thread's tiles. What the last tile left here is found again by the next pass over the same tile.
struct TileBuffers {
  std::vector<char*> inputs;  // base first
  char* output;
  std::vector<uint8_t*> masks;         // room for every model's
  std::vector<uint8_t*> stored_masks;  // where they are kept for the next pass, if they are
  char* row;                           // see WorkspacePlan::row_bytes
  char* found;                         // see WorkspacePlan::found_bytes
  void* scratch;
  const void* owner = nullptr;
  int64_t tile = -1;
  std::vector<const void*> loaded;  // null: not read for this tile
  bool masked = false;              // masks are this tile's
  DeviceLane* lane = nullptr;       // of a merge on a GPU

  // For who reads into the buffers without telling: what was loaded is lost.
  void forget() { owner = nullptr; }
};

class Selection;
struct DeviceBackend;

struct MergeContext {
  const MergeCall& call;
  const WorkspacePlan& plan;
  Isa isa;
  MergeRecord& record;
  const DeviceBackend* backend = nullptr;  // null: the processor merges
  const Selection* model_cuts = nullptr;   // where deltas are trimmed over all tensors of a model
  mutable std::mutex writing{};            // held by the one thread that writes to a file
};

class Tiles {
 public:
  // whole_rows: a tile is as many rows as fit, else 4096 * 2^m elements whatever the rows.
  Tiles(const MergeContext& context, const Job& job, bool whole_rows);

  const Job& job() const { return job_; }
  int64_t count() const { return (job_.units() + size_ - 1) / size_; }
  int64_t size() const { return size_; }
  struct Range {
    int64_t first, n;
  };
  Range range(int64_t tile) const { return {tile * size_, std::min(size_, job_.units() - tile * size_)}; }

  const void* base(int64_t tile, TileBuffers& buffers) const;  // null where there is none
  const void* input(int k, int64_t tile, TileBuffers& buffers) const;
  DeltaSpan delta(int k, int64_t tile, TileBuffers& buffers) const;
  // Any n elements, in place or read into scratch of n times 8 bytes.
  DeltaSpan delta_at(int k, int64_t first, int64_t n, char* base_scratch, char* model_scratch) const;
  // Elements of a tensor as they are stored, in place or read into scratch.
  const char* read(const TensorRef& ref, const Range& range, char* scratch) const;
  void write(const Range& range, const char* from) const;
  char* output(int64_t tile, TileBuffers& buffers) const;  // where the result may be put before it is written
  bool streamed() const;                                   // the result lies in memory and is larger than the caches

 private:
  const void* load(const TensorRef& ref, int slot, int64_t tile, TileBuffers& buffers) const;
  const Buffer& buffer_of(const TensorRef& ref) const { return context_.call.buffers[static_cast<size_t>(ref.buffer)]; }
  int unit_bytes(const TensorRef& ref) const { return job_.kind == Job::Kind::merge ? size_of(ref.dtype) : 1; }

  const MergeContext& context_;
  const Job& job_;
  int64_t size_;
};

}  // namespace fk
