// device_gram.hpp: the passes over one tensor of a gram method, tile by tile on GPUs: dot products and weighted sums.
#pragma once
#include "stream/device_tile.hpp"
#include "stream/gram_run.hpp"

namespace fk {

class DeviceGramRun : public GramRun {
 public:
  using GramRun::GramRun;
  void work(int64_t tile, TileBuffers& buffers) override;
  void finish(int64_t tile, TileBuffers& buffers) override;
};

class DeviceRowGramRun : public RowGramRun {
 public:
  using RowGramRun::RowGramRun;
  void work(int64_t tile, TileBuffers& buffers) override;
  void finish(int64_t tile, TileBuffers& buffers) override;
};

class DeviceColumnGramRun : public ColumnGramRun {
 public:
  using ColumnGramRun::ColumnGramRun;
  void work(int64_t tile, TileBuffers& buffers) override;
  void finish(int64_t tile, TileBuffers& buffers) override;
};

}  // namespace fk
