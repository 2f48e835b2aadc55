// device_tile.hpp: one tile in a GPU's memory: read, copied there, and its result copied back, while other tiles go on.
#pragma once
#include "stream/device_memory.hpp"
#include "stream/tiles.hpp"

namespace fk {

class DeviceTile {
 public:
  // The places of a tile's data; the same each time, so that who finishes it need not be who began it.
  DeviceTile(const MergeContext& context, const Tiles& tiles, int64_t tile, TileBuffers& buffers);
  DeviceTile(const DeviceTile&) = delete;
  DeviceTile& operator=(const DeviceTile&) = delete;

  // Reads inputs and enqueues their copies. What the buffers held is lost.
  void load(const TensorFacts* facts = nullptr);
  const ResidentTensor& tensor() const { return tensor_; }
  char* workspace() const { return workspace_; }
  DeviceLane& lane() const { return *buffers_.lane; }

  // Enqueues the merge and the copy of its result.
  void merge();
  // Waits for it, and writes it; false, and nothing is written, if it must be looked at more closely.
  bool write();

 private:
  void load(const TensorRef& ref, char* to, char* scratch);

  const MergeContext& context_;
  const Tiles& tiles_;
  Tiles::Range own_;
  TileBuffers& buffers_;
  TensorPart part_;
  ResidentTensor tensor_;
  char* workspace_;
  char* out_;  // on the host
};

}  // namespace fk
