// resident_run.hpp: output tensors merged in a GPU's memory, whole: many small ones by one launch, or a large one.
#pragma once
#include <functional>

#include "stream/device_memory.hpp"
#include "stream/run.hpp"

namespace fk {

// What overflowed, and must be looked at more closely, is merged by the processor: the bits are the same.
class ResidentRun : public Run {
 public:
  ResidentRun(const MergeContext& context, const std::vector<const Job*>& jobs, std::span<char> slot);
  int64_t units() const override { return jobs_.empty() ? 0 : 1; }
  void work(int64_t unit, TileBuffers& buffers) override;
  void finish(int64_t unit, TileBuffers& buffers) override;
  bool advance() override { return false; }

  // Of a tensor's place in a buffer that many are read into one after another.
  static int64_t staged_bytes(const Job& job);
  // Of data and workspace, on the device.
  static int64_t device_bytes(const MergeContext& context, const std::vector<const Job*>& jobs);

 private:
  using Refs = std::vector<const TensorRef*>;  // one of each job, null where it has none
  Refs refs(const std::function<const TensorRef*(const Job&)>& choose) const;
  static int64_t region_bytes(const std::vector<const Job*>& jobs, const Refs& refs);
  void load(const Refs& refs, char* region, char* staging, TileBuffers& buffers);
  void load_in_pieces(const TensorRef& ref, char* region, TileBuffers& buffers);
  void write_in_pieces(TileBuffers& buffers);
  void merge_again(const Job& job, TileBuffers& buffers);
  bool is_staged() const;  // a buffer holds all there is of them

  const MergeContext& context_;
  std::vector<const Job*> jobs_;  // those with elements
  std::vector<TensorPart> parts_;
  TensorFacts facts_;  // where cuts are the model's
  std::span<char> slot_;
  char* out_ = nullptr;  // on the device
};

}  // namespace fk
