// tiles.cpp: reads a tensor's tiles where a thread has not read them already.
#include "stream/tiles.hpp"

#include <algorithm>

namespace fk {

static constexpr int64_t kStreamedBytes = 4 << 20;  // no cache of a core's own is larger

Tiles::Tiles(const MergeContext& context, const Job& job, bool whole_rows)
    : context_(context), job_(job), size_(context.plan.tile_elements) {
  if (whole_rows && job.cols > 0) size_ = std::max<int64_t>(1, size_ / job.cols) * job.cols;
}

const void* Tiles::load(const TensorRef& ref, int slot, int64_t tile, TileBuffers& buffers) const {
  if (buffers.owner != &job_ || buffers.tile != tile) {
    buffers.owner = &job_;  // not the run's address: another may get it
    buffers.tile = tile;
    buffers.masked = false;
    std::fill(buffers.loaded.begin(), buffers.loaded.end(), nullptr);
  }
  const void*& loaded = buffers.loaded[static_cast<size_t>(slot)];
  if (!loaded) {
    loaded = read(ref, range(tile), buffers.inputs[static_cast<size_t>(slot)]);
  }
  return loaded;
}

const char* Tiles::read(const TensorRef& ref, const Range& range, char* scratch) const {
  const int64_t unit = unit_bytes(ref);
  const char* const found = buffer_of(ref).read(ref.offset + range.first * unit, range.n * unit, scratch);
  context_.record.bytes_read.fetch_add(range.n * unit, std::memory_order_relaxed);
  return found;
}

const void* Tiles::base(int64_t tile, TileBuffers& buffers) const {
  return job_.base ? load(*job_.base, 0, tile, buffers) : nullptr;
}

const void* Tiles::input(int k, int64_t tile, TileBuffers& buffers) const {
  return load(job_.inputs[static_cast<size_t>(k)], k + 1, tile, buffers);
}

DeltaSpan Tiles::delta(int k, int64_t tile, TileBuffers& buffers) const {
  const void* const from = base(tile, buffers);
  return {from, from ? job_.base->dtype : job_.out.dtype, input(k, tile, buffers),
          job_.inputs[static_cast<size_t>(k)].dtype, range(tile).n};
}

DeltaSpan Tiles::delta_at(int k, int64_t first, int64_t n, char* base_scratch, char* model_scratch) const {
  const auto read = [&](const TensorRef& ref, char* scratch) {
    return buffer_of(ref).read(ref.offset + first * size_of(ref.dtype), n * size_of(ref.dtype), scratch);
  };
  const TensorRef& input = job_.inputs[static_cast<size_t>(k)];
  return {read(*job_.base, base_scratch), job_.base->dtype, read(input, model_scratch), input.dtype, n};
}

bool Tiles::streamed() const {
  return !buffer_of(job_.out).is_file() && job_.units() * unit_bytes(job_.out) >= kStreamedBytes;
}

char* Tiles::output(int64_t tile, TileBuffers& buffers) const {
  return buffer_of(job_.out).place(job_.out.offset + range(tile).first * size_of(job_.out.dtype), buffers.output);
}

void Tiles::write(const Range& range, const char* from) const {
  const int64_t unit = unit_bytes(job_.out);
  const Buffer& buffer = buffer_of(job_.out);
  // The system lets one thread at a time write to a file, and the others would wait for it spinning.
  std::unique_lock lock(context_.writing, std::defer_lock);
  if (buffer.is_file()) lock.lock();
  buffer.write(job_.out.offset + range.first * unit, range.n * unit, from);
  context_.record.bytes_written.fetch_add(range.n * unit, std::memory_order_relaxed);
}

}  // namespace fk
