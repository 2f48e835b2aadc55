// device_tile.cpp: lays a tile out in a GPU's memory and moves it.
#include "stream/device_tile.hpp"

#include "cpu/inspect.hpp"

namespace fk {
namespace {

// Ranks are taken in whole rows.
TensorPart part_of_tile(const MergeCall& call, const Job& job, const Tiles::Range& own) {
  TensorPart part{own.first, own.n, own.first, own.n, nullptr};
  if (call.method->sparsifier != Sparsifier::ranked) return part;
  part.first = own.first / job.cols * job.cols;
  part.n = (own.first + own.n + job.cols - 1) / job.cols * job.cols - part.first;
  return part;
}

}  // namespace

DeviceTile::DeviceTile(const MergeContext& context, const Tiles& tiles, int64_t tile, TileBuffers& buffers)
    : context_(context),
      tiles_(tiles),
      own_(tiles.range(tile)),
      buffers_(buffers),
      part_(part_of_tile(context.call, tiles.job(), own_)),
      tensor_{&tiles.job(), nullptr, {}, nullptr, &part_},
      out_(tiles.output(tile, buffers)) {
  const Job& job = tiles.job();
  char* free = lane().reserve(context.plan.device_tile_bytes);
  const auto place = [&](const TensorRef& ref) {
    return std::exchange(free, free + on_device(part_.n * size_of(ref.dtype)));
  };
  tensor_.out = place(job.out);
  if (job.base) tensor_.base = place(*job.base);
  for (const TensorRef& input : job.inputs) tensor_.inputs.push_back(place(input));
  workspace_ = free;
}

void DeviceTile::load(const TensorFacts* facts) {
  const Job& job = tiles_.job();
  part_.facts = facts;
  buffers_.forget();
  const auto there = [](const void* memory) { return static_cast<char*>(const_cast<void*>(memory)); };
  if (job.base) load(*job.base, there(tensor_.base), buffers_.inputs[0]);
  for (size_t k = 0; k < job.inputs.size(); ++k) load(job.inputs[k], there(tensor_.inputs[k]), buffers_.inputs[k + 1]);
}

void DeviceTile::load(const TensorRef& ref, char* to, char* scratch) {
  const char* const here = tiles_.read(ref, {part_.first, part_.n}, scratch);
  lane().upload(to, here, part_.n * size_of(ref.dtype));
}

void DeviceTile::merge() {
  const int64_t size = size_of(tiles_.job().out.dtype);
  auto* const peak = reinterpret_cast<int64_t*>(buffers_.found);
  lane().merge(context_.call, {tensor_}, workspace_, peak);
  lane().download(out_, static_cast<char*>(tensor_.out) + (own_.first - part_.first) * size, own_.n * size);
}

bool DeviceTile::write() {
  lane().wait();
  if (overflows(tiles_.job().out.dtype, *reinterpret_cast<const int64_t*>(buffers_.found))) return false;
  tiles_.write(own_, out_);
  return true;
}

}  // namespace fk
