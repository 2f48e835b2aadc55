// device_fold.hpp: the passes over one tensor of a fold method, tile by tile on GPUs: its statistics and its result.
#pragma once
#include "stream/device_tile.hpp"
#include "stream/fold_run.hpp"

namespace fk {

class DeviceFoldRun : public FoldRun {
 public:
  using FoldRun::FoldRun;
  void finish(int64_t unit, TileBuffers& buffers) override;

 private:
  void scan(int64_t tile, TileBuffers& buffers) override;
  void measure(int64_t tile, TileBuffers& buffers) override;
  void fold(int64_t tile, TileBuffers& buffers) override;
  TensorFacts facts() const;
};

}  // namespace fk
