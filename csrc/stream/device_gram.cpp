// device_gram.cpp: begins a tile's pass on a GPU, and takes what it found. What overflowed the processor looks into.
#include "stream/device_gram.hpp"
#include "core/summation.hpp"

#include <algorithm>

namespace fk {

void DeviceGramRun::work(int64_t tile, TileBuffers& buffers) {
  DeviceTile on_device(context_, tiles_, tile, buffers);
  if (summing_) {
    on_device.load();
    on_device.lane().sum_products(context_.call, on_device.tensor(), on_device.workspace(),
                                  reinterpret_cast<double*>(buffers.found));
  } else {
    const TensorFacts known{{}, {}, {}, parameters_.models};
    on_device.load(&known);
    on_device.merge();
  }
}

void DeviceGramRun::finish(int64_t tile, TileBuffers& buffers) {
  if (summing_) {
    buffers.lane->wait();
    const int64_t pairs = pair_count(tiles_.job().count());
    std::copy_n(reinterpret_cast<const double*>(buffers.found), pairs, sums_.begin() + tile * pairs);
  } else if (!DeviceTile(context_, tiles_, tile, buffers).write()) {
    buffers.forget();
    GramRun::work(tile, buffers);
  }
}

void DeviceRowGramRun::work(int64_t tile, TileBuffers& buffers) {
  DeviceTile on_device(context_, tiles_, tile, buffers);
  on_device.load();
  on_device.merge();
}

void DeviceRowGramRun::finish(int64_t tile, TileBuffers& buffers) {
  if (DeviceTile(context_, tiles_, tile, buffers).write()) return;
  buffers.forget();
  RowGramRun::work(tile, buffers);
}

// The sums of a column go on from tile to tile, so one lane takes them all.
void DeviceColumnGramRun::work(int64_t unit, TileBuffers& buffers) {
  if (!summing_) {
    const TensorFacts known{{}, {}, {}, weights_};
    DeviceTile on_device(context_, tiles_, unit, buffers);
    on_device.load(&known);
    return on_device.merge();
  }
  for (int64_t tile = 0; tile < tiles_.count(); ++tile) {
    DeviceTile on_device(context_, tiles_, tile, buffers);
    on_device.load();
    on_device.lane().add_columns(context_.call, on_device.tensor(), on_device.workspace(), sums_.data());
    on_device.lane().wait();
  }
}

void DeviceColumnGramRun::finish(int64_t unit, TileBuffers& buffers) {
  if (summing_ || DeviceTile(context_, tiles_, unit, buffers).write()) return;
  buffers.forget();
  ColumnGramRun::work(unit, buffers);
}

}  // namespace fk
