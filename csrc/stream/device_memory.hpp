// device_memory.hpp: how much of a GPU's memory a merge may take, and how much a tile of any of its tensors needs.
#pragma once
#include "stream/device_backend.hpp"

namespace fk {

// As in the device's memory, where every tensor starts on a boundary that suits its copies.
constexpr int64_t on_device(int64_t bytes) { return (bytes + 255) / 256 * 256; }
int64_t data_bytes(const Job& job, int64_t units);  // of inputs and output

// Whose statistics are known, but not their norms: as the passes over parts find it.
TensorFacts limits_known(const MergeCall& call, const Job& job);

class DeviceMemory {
 public:
  explicit DeviceMemory(const MergeCall& call);
  int64_t budget() const { return budget_; }   // of each GPU
  int64_t tile_bytes(int64_t elements) const;  // data and workspace of a tile of at most so many elements
  // Elements around a tile that make its rows complete, at most; 0 for methods that do not rank.
  static int64_t surrounding(const MergeCall& call, int64_t columns);

 private:
  const MergeCall& call_;
  const DeviceBackend* backend_;
  int64_t budget_;
  std::vector<const Job*> kinds_;  // one for every kind of tensor that needs memory of its own
};

// Asks the GPUs how much memory is free where the caller named no limit, so that every plan sees the same.
void settle_device_memory(MergeCall& call);

}  // namespace fk
