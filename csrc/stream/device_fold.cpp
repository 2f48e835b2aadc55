// device_fold.cpp: begins a tile's pass on a GPU, and takes what it found.
#include "stream/device_fold.hpp"

#include <algorithm>

#include "stream/device_scan.hpp"

namespace fk {

TensorFacts DeviceFoldRun::facts() const {
  TensorFacts facts;
  if (cuts_) facts = cuts_->facts(*context_.call.method, tiles_.job().count());
  facts.factors = factors_;
  return facts;
}

void DeviceFoldRun::scan(int64_t tile, TileBuffers& buffers) {
  fk::begin_scan(context_, own_cuts_, tiles_, tile, tile, buffers);
}

void DeviceFoldRun::measure(int64_t tile, TileBuffers& buffers) {
  const TensorFacts known = facts();
  DeviceTile on_device(context_, tiles_, tile, buffers);
  on_device.load(&known);
  on_device.lane().sum_masses(context_.call, on_device.tensor(), on_device.workspace(),
                              reinterpret_cast<double*>(buffers.found));
}

void DeviceFoldRun::fold(int64_t tile, TileBuffers& buffers) {
  const TensorFacts known = facts();
  DeviceTile on_device(context_, tiles_, tile, buffers);
  on_device.load(&known);
  on_device.merge();
}

void DeviceFoldRun::finish(int64_t unit, TileBuffers& buffers) {
  if (phase_ == Phase::scan) {
    fk::finish_scan(context_, own_cuts_, tiles_, unit, unit, 0, buffers);
  } else if (phase_ == Phase::mass) {
    buffers.lane->wait();
    const auto width = static_cast<int64_t>(tiles_.job().count()) * 2;
    std::copy_n(reinterpret_cast<const double*>(buffers.found), width, sums_.begin() + unit * width);
  } else if (phase_ == Phase::output && !DeviceTile(context_, tiles_, unit, buffers).write()) {
    buffers.forget();
    FoldRun::fold(unit, buffers);
  }
}

}  // namespace fk
