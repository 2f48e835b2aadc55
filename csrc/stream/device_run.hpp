// device_run.hpp: one output tensor merged in a GPU's memory, whole: read, copied there, merged, copied back, written.
#pragma once
#include "stream/run.hpp"

namespace fk {

// What does not fit the device's memory, and what must be looked at more closely because it overflowed, is merged by
// the processor: the bits are the same.
class DeviceRun : public Run {
 public:
  DeviceRun(const MergeContext& context, const Job& job, std::span<char> slot);
  int64_t units() const override { return tiles_.count() > 0 ? 1 : 0; }
  void work(int64_t unit, TileBuffers& buffers) override;
  bool advance() override { return false; }

 private:
  bool merge_on_device(TileBuffers& buffers);
  void upload(const TensorRef& ref, char* to, TileBuffers& buffers);

  const MergeContext& context_;
  const Job& job_;
  std::span<char> slot_;
  Tiles tiles_;
};

}  // namespace fk
