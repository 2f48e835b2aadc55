// model_scope.hpp: where each model's deltas are trimmed over all tensors that are merged.
//
// Elements are ordered by the name of their tensor, as bytes, then by index. The passes are those of one long tensor.
#pragma once
#include "stream/run.hpp"
#include "stream/selection.hpp"

namespace fk {

class ModelScope : public Run {
 public:
  ModelScope(const MergeContext& context, std::span<char> scratch);
  int64_t units() const override { return units_; }
  void work(int64_t unit, TileBuffers& buffers) override;
  void finish(int64_t unit, TileBuffers& buffers) override;
  bool advance() override;
  const Selection& cuts() const { return selection_; }

  // Numbers the elements: fills in every job's cut_offset and returns their number.
  static int64_t order(std::vector<Job>& jobs);

 private:
  void begin_pass();
  struct Place {
    const Tiles& tensor;
    int64_t tile;
  };
  Place place_of(int64_t unit) const;
  void read_magnitudes(int k, int64_t first, int64_t* found) const;

  const MergeContext& context_;
  std::vector<Tiles> tensors_;        // in their order
  std::vector<int64_t> first_tiles_;  // of each, and their total
  Selection selection_;
  int64_t units_ = 0;
};

}  // namespace fk
